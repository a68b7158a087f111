//! What a worker is told, and how it answers.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;

use crate::{error::AcceptError, front::Gate, registry::Socket};

/// One loop turn's events for one worker, in order.
#[derive(Debug, Default)]
pub struct Batch {
    /// The events.
    pub events: Vec<Event>,
    /// Where the small payloads lie.
    pub data: Bytes,
}

impl Batch {
    /// The bytes of a payload of one of this batch's events.
    #[must_use]
    pub fn bytes<'a>(&'a self, payload: &'a Payload) -> &'a [u8] {
        payload.of(&self.data)
    }
}

/// Something that happened to a socket.
#[derive(Debug)]
pub struct Event {
    /// The socket it happened to.
    pub socket: Arc<Socket>,
    /// What happened.
    pub kind: EventKind,
}

/// What happened to a socket.
#[derive(Debug)]
pub enum EventKind {
    /// A connection asks to be let in. The reply must be used; dropping it refuses the connection with 503.
    Open(Box<Open>),
    /// A socket of a [`Realm`](crate::Realm) is there: its client has its 101. The first event of such a socket; holds the client's address, as
    /// [`OpenRequest::ip`] does.
    Joined(Box<str>),
    /// A text message, valid UTF-8.
    Text(Payload),
    /// A binary message.
    Binary(Payload),
    /// The connection has ended. The last event of a socket.
    Close {
        /// The close code (RFC 6455 §7.4); 1005 when the peer gave none, 1006 when there was no close handshake.
        code: u16,
        /// The peer's reason, or ours.
        reason: Box<str>,
    },
    /// A socket that was over its limit is at or below half of it.
    Drain,
}

/// Where an event's bytes are.
#[derive(Clone, Debug)]
pub enum Payload {
    /// In [`Batch::data`]: small payloads share one allocation.
    Shared(Range<u32>),
    /// On their own.
    Owned(Bytes),
}

impl Payload {
    /// Bytes of payload.
    #[must_use]
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        match self {
            Self::Shared(range) => (range.end - range.start) as usize,
            Self::Owned(bytes) => bytes.len(),
        }
    }

    pub(crate) fn of<'a>(&'a self, data: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Shared(range) => data.get(range.start as usize..range.end as usize).unwrap_or_default(),
            Self::Owned(bytes) => bytes,
        }
    }
}

impl EventKind {
    /// What this event takes of the inbound window: the payload and [`OVERHEAD`], 0 for anything but a message.
    pub(crate) fn cost(&self) -> Option<usize> {
        match self {
            Self::Text(payload) | Self::Binary(payload) => Some(payload.len() + OVERHEAD),
            _ => None,
        }
    }
}

/// Counted on top of each message in the inbound window, in bytes.
pub(crate) const OVERHEAD: usize = 128;

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
    /// The client's address as text, mapped IPv4 unmapped: as proxies tell it where they are believed, else the peer's. Empty for a unix socket.
    pub ip: String,
    /// The client's port; 0 for a unix socket, and where a proxy does not tell it.
    pub remote_port: u16,
    /// Lower-case names; repeated headers joined with `, ` (cookies with `; `), in order of first appearance. `host` is the host that the request is for,
    /// also where its target was a URL and the header said something else (RFC 9112 §3.2.2).
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
    /// The client's certificate (DER), where [`TlsPem::request_cert`](crate::TlsPem::request_cert) asks for one and it has one.
    pub client_certificate: Option<Vec<u8>>,
    /// Whether that certificate comes from one of our authorities and is valid. Always true for a certificate unless
    /// [`TlsPem::reject_unauthorized`](crate::TlsPem::reject_unauthorized) is off.
    pub client_certificate_authorized: bool,
}

/// The way back from a worker to a connection that waits for its verdict.
#[derive(Debug)]
pub struct OpenReply {
    pub(crate) gate: Option<Arc<Gate>>,
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

/// The verdict came too late: the client has had a 503. After an acceptance a close event (1006) follows.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the verdict came too late")]
pub struct LateVerdict;

impl OpenReply {
    /// Lets the connection in.
    ///
    /// # Errors
    /// [`AcceptError::Late`] when the client has been answered already, [`AcceptError::Channels`] when the channels are above a limit: then it is
    /// refused with 500.
    pub fn accept(mut self, accept: Accept) -> Result<(), AcceptError> {
        self.gate.take().map_or(Err(LateVerdict.into()), |gate| gate.accept(accept))
    }

    /// Lets the connection in because nobody wants to be asked.
    pub(crate) fn let_in(mut self) {
        if let Some(gate) = self.gate.take() {
            gate.let_in();
        }
    }

    /// Turns the connection away.
    ///
    /// # Errors
    /// [`LateVerdict`] when the client has been answered already.
    pub fn reject(mut self, reject: Reject) -> Result<(), LateVerdict> {
        self.gate.take().map_or(Err(LateVerdict), |gate| gate.reject(reject))
    }
}

impl Drop for OpenReply {
    fn drop(&mut self) {
        if let Some(gate) = self.gate.take() {
            gate.worker_gone();
        }
    }
}
