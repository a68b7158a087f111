//! Ids. Each has a type of its own, so that they are never mixed up.

use std::{fmt, num::NonZeroU64};

/// One socket, for the life of the process. Positive, increasing, never reused; below 2^53, so a
/// JavaScript number holds it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SocketId(NonZeroU64);

impl SocketId {
    /// The id with this number; `None` for 0 and for numbers that a JavaScript number cannot hold
    /// exactly (2^53 and up).
    #[must_use]
    pub fn new(number: u64) -> Option<Self> {
        if number >= 1 << 53 {
            return None;
        }
        NonZeroU64::new(number).map(Self)
    }

    /// The number that JavaScript sees.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One worker of a broker, never reused.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct WorkerId(pub(crate) u32);

impl WorkerId {
    /// The number, for logs and for JavaScript.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

/// Identifies a namespace, or the raw sockets.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct NamespaceId(u32);

impl NamespaceId {
    /// The raw sockets, which are in no namespace.
    pub(crate) const RAW: Self = Self(0);

    /// The one with this number, which is not 0.
    pub(crate) fn new(number: u32) -> Self {
        Self(number)
    }
}
