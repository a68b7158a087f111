//! A request's body, from the client to what waits to be sent to the inner server.

use bytes::BytesMut;

use crate::{
    chunked::{Chunked, Decoded},
    failure::{Failure, Step},
    head::BodyLength,
    output::Output,
    pace::Pace,
};

/// The request's body on its way.
#[derive(Debug)]
pub(crate) struct Upload {
    length: BodyLength,
    chunked: Chunked,
    left: u64,
    is_done: bool,
    /// The inner server takes no more of it.
    pub(crate) is_unwanted: bool,
    pub(crate) pace: Pace,
}

impl Upload {
    pub(crate) fn of(length: BodyLength) -> Self {
        let left = if let BodyLength::Fixed(length) = length { length } else { 0 };
        Self {
            length,
            chunked: Chunked::default(),
            left,
            is_done: length == BodyLength::None,
            is_unwanted: false,
            pace: Pace::default(),
        }
    }

    /// Whether all of it has been read.
    pub(crate) fn is_done(&self) -> bool {
        self.is_done
    }

    /// Moves the next piece of what was read to the output, which has room: bytes of content.
    /// `None` when more has to be read first.
    pub(crate) fn pass(&mut self, ahead: &mut BytesMut, output: &mut Output) -> Step<Option<u64>> {
        if self.length == BodyLength::Chunked {
            return match self.chunked.decode(ahead) {
                Ok(Some(Decoded::Data(data))) => {
                    let bytes = data.len() as u64;
                    output.piece(data, true);
                    Ok(Some(bytes))
                }
                Ok(Some(Decoded::End(trailers))) => {
                    output.last_chunk(Some(&trailers));
                    self.is_done = true;
                    Ok(Some(0))
                }
                Ok(None) => Ok(None),
                Err(error) => {
                    tracing::debug!(%error, "a request's body is refused");
                    Err(Failure::BadBody)
                }
            };
        }
        if ahead.is_empty() {
            return Ok(None);
        }
        let taken = ahead.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        output.take(ahead, taken, false);
        self.left -= taken as u64;
        self.is_done = self.left == 0;
        Ok(Some(taken as u64))
    }
}
