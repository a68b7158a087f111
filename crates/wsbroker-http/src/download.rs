//! A response's body, from the inner server to what waits to be written to the client.

use bytes::BytesMut;

use crate::{
    chunked::{Chunked, Decoded},
    failure::{Failure, Step},
    head::RequestHead,
    output::Output,
    response::{ResponseLength, StatedLength},
};

/// The response's body on its way.
#[derive(Debug)]
pub(crate) struct Download {
    from: Source,
    to: ResponseLength,
    takes_trailers: bool,
    is_done: bool,
}

/// Where it ends on the inner side.
#[derive(Debug)]
enum Source {
    Fixed(u64),
    Chunked(Chunked),
    UntilClose,
}

impl Download {
    pub(crate) fn new(request: &RequestHead, stated: StatedLength, to: ResponseLength) -> Self {
        let from = match stated {
            StatedLength::Fixed(length) => Source::Fixed(length),
            StatedLength::Chunked => Source::Chunked(Chunked::default()),
            StatedLength::UntilClose => Source::UntilClose,
        };
        let is_done = to == ResponseLength::None || stated == StatedLength::Fixed(0);
        Self { from, to, takes_trailers: request.takes_trailers, is_done }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.is_done
    }

    /// Moves what was read to the output, as much as there is room for. True when more has to be
    /// read.
    pub(crate) fn pass(&mut self, input: &mut BytesMut, output: &mut Output) -> Step<bool> {
        let chunked = self.to == ResponseLength::Chunked;
        while !self.is_done && output.has_room() {
            match &mut self.from {
                Source::Chunked(source) => match source.decode(input) {
                    Ok(Some(Decoded::Data(data))) => output.piece(data, chunked),
                    Ok(Some(Decoded::End(trailers))) => {
                        self.end(output, Some(&trailers).filter(|_| self.takes_trailers));
                    }
                    Ok(None) => return Ok(true),
                    Err(error) => {
                        tracing::debug!(%error, "a response broke off");
                        return Err(Failure::Broken);
                    }
                },
                _ if input.is_empty() => return Ok(true),
                Source::Fixed(left) => {
                    let taken = input.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= taken as u64;
                    self.is_done = *left == 0;
                    output.take(input, taken, chunked);
                }
                Source::UntilClose => output.take(input, input.len(), chunked),
            }
        }
        Ok(false)
    }

    /// The inner server has ended its connection, and all that it has sent was passed on.
    pub(crate) fn broke_off(&mut self, output: &mut Output) -> Step<()> {
        if !matches!(self.from, Source::UntilClose) {
            return Err(Failure::Broken);
        }
        self.end(output, None);
        Ok(())
    }

    fn end(&mut self, output: &mut Output, trailers: Option<&http::HeaderMap>) {
        self.is_done = true;
        if self.to == ResponseLength::Chunked {
            output.last_chunk(trailers);
        }
    }
}
