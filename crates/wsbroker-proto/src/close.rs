//! Close codes, and what a close frame carries (RFC 6455, sections 5.5.1 and 7.4).

use std::borrow::Cow;
use std::fmt;

use crate::frame::MAX_CONTROL;

/// The longest close reason, in bytes: a control frame's 125 without the code's two.
pub const MAX_REASON: usize = MAX_CONTROL - 2;

/// A WebSocket status code (RFC 6455, section 7.4).
///
/// Holds either a code that may be sent or one of the two that only describe how a connection
/// ended: [`NO_STATUS`](Self::NO_STATUS) and [`ABNORMAL`](Self::ABNORMAL).
///
/// ```
/// use wsbroker_proto::CloseCode;
///
/// assert_eq!(CloseCode::new(4001).map(CloseCode::get), Some(4001));
/// assert_eq!(CloseCode::new(1006), None);
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose of the connection is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: the server stops, or the browser left the page.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer broke the protocol.
    pub const PROTOCOL: Self = Self(1002);
    /// 1003: a kind of data that the endpoint does not take.
    pub const UNSUPPORTED: Self = Self(1003);
    /// 1005, never on the wire: the close frame had no code.
    pub const NO_STATUS: Self = Self(1005);
    /// 1006, never on the wire: the stream ended without a close frame.
    pub const ABNORMAL: Self = Self(1006);
    /// 1007: text that is not UTF-8, or compressed data that does not inflate.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// 1008: against a rule of the endpoint.
    pub const POLICY: Self = Self(1008);
    /// 1009: a message over the limit.
    pub const TOO_BIG: Self = Self(1009);
    /// 1011: the server met a condition it did not expect.
    pub const INTERNAL: Self = Self(1011);
    /// 1012: the service restarts; the client may come back.
    pub const RESTART: Self = Self(1012);
    /// 1013: overloaded; the client may come back later.
    pub const TRY_AGAIN: Self = Self(1013);

    /// The code, if it may be sent ([`is_sendable`](Self::is_sendable)).
    pub const fn new(code: u16) -> Option<Self> {
        if Self::is_sendable(code) { Some(Self(code)) } else { None }
    }

    /// Whether a close frame may carry `code`: 1000-1003 and 1007-1014 are defined (section 7.4.1
    /// and the IANA registry), 3000-4999 are for libraries and applications (section 7.4.2).
    pub const fn is_sendable(code: u16) -> bool {
        matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> Self {
        code.0
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The payload of a close frame that has one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CloseFrame<'a> {
    /// Why the peer closes; a code that may be sent.
    pub code: CloseCode,
    /// Text for logs, at most [`MAX_REASON`] bytes; often empty.
    pub reason: Cow<'a, str>,
}
