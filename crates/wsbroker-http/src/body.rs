//! A request's body on its way to the inner server: a queue of one piece, so that the client's pace
//! and the server's hold each other back.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

use crate::head::BodyLength;

/// What hyper sends as the body.
#[derive(Debug)]
pub(crate) struct RequestBody {
    length: BodyLength,
    pieces: Option<mpsc::Receiver<Result<Frame<Bytes>, Broken>>>,
}

/// The body ends before its end: the inner server must not take it for whole.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the client has not sent all of its request")]
pub(crate) struct Broken;

impl RequestBody {
    pub(crate) fn empty() -> Self {
        Self { length: BodyLength::None, pieces: None }
    }

    /// A body of this length, and where its pieces go in.
    pub(crate) fn of(length: BodyLength) -> (Self, mpsc::Sender<Result<Frame<Bytes>, Broken>>) {
        let (sender, pieces) = mpsc::channel(1);
        (Self { length, pieces: Some(pieces) }, sender)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match &mut self.pieces {
            None => Poll::Ready(None),
            Some(pieces) => pieces.poll_recv(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.length {
            BodyLength::None => SizeHint::with_exact(0),
            BodyLength::Fixed(length) => SizeHint::with_exact(length),
            BodyLength::Chunked => SizeHint::default(),
        }
    }
}
