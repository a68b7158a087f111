//! What happens to a socket, as its worker hears of it.

use std::{ops::Range, sync::Arc, time::Instant};

use bytes::Bytes;

use crate::{history::HistoryPosition, open::Open, registry::Socket};

/// Events of one loop turn for one worker, in order.
#[derive(Debug, Default)]
pub struct Batch {
    /// The events.
    pub events: Vec<Event>,
    /// Where the small payloads lie.
    pub data: Bytes,
    /// When the shard found the sockets readable; `None` for events that waited elsewhere.
    pub found: Option<Instant>,
}

impl Batch {
    /// The bytes of a payload of one of this batch's events.
    #[must_use]
    pub fn bytes<'a>(&'a self, payload: &'a EventPayload) -> &'a [u8] {
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
    /// A connection asks to be let in. The reply must be used; dropping it refuses the connection
    /// with 503.
    Open(Box<Open>),
    /// A socket of a [`Namespace`](crate::Namespace) has got its 101. The first event of such a
    /// socket. Holds the client's address, as [`OpenRequest::ip`](crate::OpenRequest::ip) does.
    Joined(Box<str>),
    /// A text message, valid UTF-8.
    Text(EventPayload),
    /// A binary message.
    Binary(EventPayload),
    /// The connection has ended. The last event of a socket.
    Close {
        /// The close code (RFC 6455 §7.4); 1005 when the peer gave none, 1006 when there was no
        /// close handshake.
        code: u16,
        /// The peer's reason, or ours.
        reason: Box<str>,
    },
    /// A socket that was over its limit is at or below half of it.
    Drain,
    /// A subscriber of a channel with history was so far behind that what it had to get next is no
    /// longer kept. It gets nothing more of the channel before
    /// [`Cork::continue_channel`](crate::Cork::continue_channel); then what follows the position.
    Lost(Box<LostMessages>),
}

/// What a socket has lost.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LostMessages {
    /// The channel's name.
    pub channel: Box<[u8]>,
    /// Where the socket goes on: everything up to there is lost, or was sent before.
    pub position: HistoryPosition,
}

/// Where an event's payload is.
#[derive(Clone, Debug)]
pub enum EventPayload {
    /// In [`Batch::data`]: small payloads share one allocation.
    Shared(Range<u32>),
    /// On their own.
    Owned(Bytes),
}

impl EventPayload {
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
    /// What this event takes of the inbound window: the payload and [`OVERHEAD`]. `None` for
    /// anything but a message.
    pub(crate) fn cost(&self) -> Option<usize> {
        match self {
            Self::Text(payload) | Self::Binary(payload) => Some(payload.len() + OVERHEAD),
            _ => None,
        }
    }
}

/// Counted on top of each message in the inbound window, in bytes.
pub(crate) const OVERHEAD: usize = 128;
