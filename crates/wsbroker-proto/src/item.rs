//! What the parser takes and what it gives.

use std::fmt;
use std::mem;

use crate::close::CloseFrame;

/// Which end of the connection we are (RFC 6455, section 5.1).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Role {
    /// What we read comes from a client and must be masked.
    Server,
    /// What we read comes from a server and must not be masked.
    Client,
}

/// What a message holds (RFC 6455, section 5.6).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum MessageKind {
    /// UTF-8.
    Text,
    /// Any bytes.
    Binary,
}

/// What the parser accepts. Passed at every call, so that it costs an idle connection nothing;
/// changes take effect at the next frame header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// The longest message, all fragments together, in bytes. A longer one fails with 1009 at the
    /// header of the frame that would pass it.
    ///
    /// It bounds what a compressed message inflates to, so that is for the inflater to check. The
    /// parser lets compressed bytes be an eighth and 64 bytes more than this, for data that does
    /// not compress grows.
    pub max_message: usize,
    /// permessage-deflate was negotiated: RSV1 on the first frame of a message means that it is
    /// compressed (RFC 7692, section 6). Otherwise RSV1 is an error.
    pub allow_rsv1: bool,
}

impl Limits {
    /// The most bytes a message may bring on the wire.
    #[inline]
    pub(crate) fn ceiling(&self, compressed: bool) -> usize {
        let slack = if compressed { (self.max_message / 8).saturating_add(64) } else { 0 };
        self.max_message.saturating_add(slack)
    }
}

/// A cursor over bytes that were read from the connection. They are unmasked where they lie.
#[derive(Debug)]
pub struct Input<'a> {
    rest: &'a mut [u8],
}

impl<'a> Input<'a> {
    /// Starts at the front of `bytes`.
    pub const fn new(bytes: &'a mut [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Bytes not consumed yet.
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Whether everything is consumed.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The bytes not consumed yet, as they were read: a caller that stops between two items can
    /// keep them, and feed them later.
    pub fn into_rest(self) -> &'a mut [u8] {
        self.rest
    }

    #[inline]
    pub(crate) fn peek(&self) -> &[u8] {
        self.rest
    }

    /// The next `len` bytes, or as many as there are.
    #[inline]
    pub(crate) fn take(&mut self, len: usize) -> &'a mut [u8] {
        let rest = mem::take(&mut self.rest);
        let (taken, rest) = rest.split_at_mut(len.min(rest.len()));
        self.rest = rest;
        taken
    }
}

/// Payload bytes, unmasked.
pub enum Payload<'a> {
    /// In the buffer they were read into.
    Borrowed(&'a mut [u8]),
    /// Gathered from more than one read or fragment. The capacity may be up to twice the length.
    Owned(Vec<u8>),
}

impl Payload<'_> {
    /// Length in bytes.
    #[inline]
    pub fn len(&self) -> usize {
        self.as_ref().len()
    }

    /// Whether there are no bytes.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes as a vector of their own; copies if they are borrowed.
    pub fn into_vec(self) -> Vec<u8> {
        match self {
            Self::Borrowed(bytes) => bytes.to_vec(),
            Self::Owned(bytes) => bytes,
        }
    }
}

impl AsRef<[u8]> for Payload<'_> {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }
}

/// Payloads are equal when their bytes are, wherever they lie.
impl PartialEq for Payload<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.as_ref() == other.as_ref()
    }
}

impl Eq for Payload<'_> {}

impl fmt::Debug for Payload<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

/// One thing the peer said.
#[derive(Debug, Eq, PartialEq)]
pub enum Item<'a> {
    /// A whole message, its fragments joined.
    Message {
        /// Text or binary.
        kind: MessageKind,
        /// The bytes. Text is valid UTF-8, unless it is compressed.
        payload: Payload<'a>,
        /// RSV1 was set: `payload` must be inflated, and only then can text be checked (RFC 7692,
        /// section 6.2).
        compressed: bool,
    },
    /// To be answered by a pong with the same payload, at most 125 bytes (section 5.5.2).
    Ping(Payload<'a>),
    /// An answer to a ping, or a sign of life (section 5.5.3).
    Pong(Payload<'a>),
    /// The peer closes; nothing comes after it. `None`: it gave no code (1005).
    Close(Option<CloseFrame<'a>>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_equal_when_their_bytes_are() {
        let mut read = *b"same";
        assert_eq!(Payload::Borrowed(&mut read), Payload::Owned(b"same".to_vec()));
        assert_ne!(Payload::Owned(b"same".to_vec()), Payload::Owned(b"other".to_vec()));
        assert_ne!(Item::Ping(Payload::Owned(Vec::new())), Item::Pong(Payload::Owned(Vec::new())));
    }
}
