//! A request's body, from the client to the queue that hyper takes it from.

use bytes::{Bytes, BytesMut};
use hyper::{HeaderMap, body::Frame};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::mpsc,
    time::Instant,
};

use crate::{
    body::Broken,
    chunked::{Chunked, Decoded},
    failure::{Failure, Step},
    head::BodyLength,
    pace::{LeastRate, Pace},
};

/// Bytes read from a client at once.
const READ: usize = 64 << 10;

/// Room for what comes behind a request, which is mostly nothing: reading tells whether the client
/// is there.
const FIRST: usize = 512;

/// What a client may send ahead while its request is answered; more stays in the kernel.
const AHEAD: usize = 16 << 10;

/// The request's body on its way.
#[derive(Debug)]
pub(crate) struct Upload {
    /// `None` when all of it is on its way.
    pub(crate) pieces: Option<mpsc::Sender<Result<Frame<Bytes>, Broken>>>,
    pub(crate) chunked: Chunked,
    pub(crate) left: u64,
    /// The inner server takes no more of it.
    pub(crate) unwanted: bool,
    pub(crate) pace: Pace,
}

impl Upload {
    pub(crate) fn is_done(&self) -> bool {
        self.pieces.is_none()
    }

    /// The next piece of what was read. `None` when more has to be read first.
    fn decode(&mut self, length: BodyLength, ahead: &mut BytesMut) -> Step<Option<(Frame<Bytes>, bool)>> {
        match length {
            BodyLength::Chunked => match self.chunked.decode(ahead) {
                Ok(Some(Decoded::Data(data))) => Ok(Some((Frame::data(data), false))),
                Ok(Some(Decoded::End(trailers))) => Ok(Some((Frame::trailers(trailers), true))),
                Ok(None) => Ok(None),
                Err(error) => {
                    tracing::debug!(%error, "a request's body is refused");
                    Err(Failure::BadBody)
                }
            },
            _ if ahead.is_empty() => Ok(None),
            _ => {
                let taken = ahead.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
                self.left -= taken as u64;
                Ok(Some((Frame::data(ahead.split_to(taken).freeze()), self.left == 0)))
            }
        }
    }
}

/// What came from the client.
pub(crate) enum Received {
    /// Bytes of the body were passed on.
    Piece(u64),
    /// Bytes were read.
    More,
    End,
}

/// Takes a piece of the body from what was read, or reads. Nothing is lost when it is cancelled.
pub(crate) async fn receive<R: AsyncRead + Unpin>(
    upload: &mut Upload,
    length: BodyLength,
    read: &mut R,
    ahead: &mut BytesMut,
    least: LeastRate,
) -> Step<Received> {
    let room = if let Some(pieces) = upload.pieces.clone() {
        if upload.unwanted {
            std::future::pending::<()>().await;
        }
        let Ok(permit) = pieces.reserve_owned().await else {
            upload.unwanted = true;
            return Ok(Received::More);
        };
        if let Some((frame, is_last)) = upload.decode(length, ahead)? {
            let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
            let is_empty_end = frame.trailers_ref().is_some_and(HeaderMap::is_empty);
            if !is_empty_end {
                permit.send(Ok(frame));
            }
            if is_last {
                upload.pieces = None;
            }
            return Ok(Received::Piece(bytes));
        }
        upload.pace.wait(Instant::now());
        READ
    } else {
        let room = AHEAD.saturating_sub(ahead.len());
        if room == 0 {
            std::future::pending::<()>().await;
        }
        room.min(FIRST)
    };
    ahead.reserve(room);
    match read.read_buf(ahead).await {
        Ok(bytes @ 1..) => {
            if upload.pace.is_waiting() {
                upload.pace.moved(bytes as u64, Instant::now(), least)?;
            }
            Ok(Received::More)
        }
        Ok(0) => Ok(Received::End),
        Err(error) => {
            tracing::debug!(kind = ?error.kind(), "a client has gone");
            Err(Failure::Gone)
        }
    }
}
