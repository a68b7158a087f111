//! A connection that asks to be let in, and the worker's verdict on it.

use std::{fmt, sync::Arc};

use bytes::Bytes;

use crate::error::SubscribeError;

/// A connection that asks to be let in.
#[derive(Debug)]
pub struct Open {
    /// What it asked for.
    pub request: OpenRequest,
    /// How to answer.
    pub reply: OpenReply,
}

/// The upgrade request, as far as handlers see it.
#[derive(Clone, Debug, Default)]
pub struct OpenRequest {
    /// The client's address as text, IPv4 where IPv6 maps it: what a trusted proxy says, otherwise
    /// the peer's address. Empty for a unix socket.
    pub ip: String,
    /// The client's port; 0 for a unix socket, and where a proxy does not give it.
    pub remote_port: u16,
    /// Lower-case names; repeated headers joined with `, ` (cookies with `; `), in order of first
    /// appearance. `host` is the host that the request is for, also where its target was a URL and
    /// the header said something else (RFC 9112 §3.2.2).
    pub headers: Vec<(String, String)>,
    /// The request target as it came, path and query.
    pub url: String,
    /// The path, undecoded.
    pub path: String,
    /// What follows the `?`, undecoded, without it.
    pub query: String,
    /// `GET`.
    pub method: String,
    /// Subprotocols the client offers, in its order.
    pub protocols: Vec<String>,
    /// Whether the connection is encrypted.
    pub secure: bool,
    /// The client's certificate (DER), where [`TlsPem::request_cert`](crate::TlsPem::request_cert)
    /// asks for one and it has one.
    pub client_certificate: Option<Vec<u8>>,
    /// Whether that certificate comes from one of our authorities and is valid. Always true for a
    /// certificate unless [`TlsPem::reject_unauthorized`](crate::TlsPem::reject_unauthorized) is
    /// off.
    pub client_certificate_authorized: bool,
}

/// Answers a connection that waits for its verdict.
#[derive(Debug)]
pub struct OpenReply {
    waits: Option<Arc<dyn AwaitsVerdict>>,
}

/// A connection that waits for its verdict. The first one counts.
pub(crate) trait AwaitsVerdict: fmt::Debug + Send + Sync {
    /// Lets it in.
    fn accept(&self, accept: Accept) -> Result<(), AcceptError>;

    /// Lets it in because there is no handler to ask.
    fn accept_unasked(&self);

    /// Turns it away.
    fn reject(&self, reject: Reject) -> Result<(), LateVerdict>;

    /// No answer will come: the worker has ended.
    fn abandoned(&self);
}

/// Lets a connection in.
#[derive(Clone, Debug, Default)]
pub struct Accept {
    /// The subprotocol to answer with; should be one that the client offered.
    pub protocol: Option<String>,
    /// More headers of the 101.
    pub headers: Vec<(String, String)>,
    /// The token, in place before the first message.
    pub token: Option<Bytes>,
    /// Channels, subscribed before the first message.
    pub channels: Vec<Bytes>,
}

/// Turns a connection away.
#[derive(Clone, Debug)]
pub struct Reject {
    /// HTTP status, 200 to 599; any other is answered as 403.
    pub status: u16,
    /// More headers of the answer.
    pub headers: Vec<(String, String)>,
    /// The body of the answer.
    pub body: Bytes,
}

/// The verdict came too late: the client has been answered 503. After an acceptance a close event
/// (1006) follows.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the verdict came too late")]
pub struct LateVerdict;

/// Why a connection was not let in although its worker accepted it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// Its client has been answered already.
    #[error(transparent)]
    Late(#[from] LateVerdict),
    /// Its channels are above a limit. The client gets 500.
    #[error(transparent)]
    Channels(#[from] SubscribeError),
}

impl OpenReply {
    pub(crate) fn new(waits: Arc<dyn AwaitsVerdict>) -> Self {
        Self { waits: Some(waits) }
    }

    /// A reply to no connection.
    #[cfg(test)]
    pub(crate) fn unanswerable() -> Self {
        Self { waits: None }
    }

    /// Lets the connection in.
    ///
    /// # Errors
    /// [`AcceptError::Late`] when the client has been answered already, [`AcceptError::Channels`]
    /// when the channels are above a limit: then it is refused with 500.
    pub fn accept(mut self, accept: Accept) -> Result<(), AcceptError> {
        self.waits.take().map_or(Err(LateVerdict.into()), |waits| waits.accept(accept))
    }

    /// Lets the connection in because the worker has no handler for the question.
    pub(crate) fn accept_unasked(mut self) {
        if let Some(waits) = self.waits.take() {
            waits.accept_unasked();
        }
    }

    /// Turns the connection away.
    ///
    /// # Errors
    /// [`LateVerdict`] when the client has been answered already.
    pub fn reject(mut self, reject: Reject) -> Result<(), LateVerdict> {
        self.waits.take().map_or(Err(LateVerdict), |waits| waits.reject(reject))
    }
}

impl Drop for OpenReply {
    fn drop(&mut self) {
        if let Some(waits) = self.waits.take() {
            waits.abandoned();
        }
    }
}
