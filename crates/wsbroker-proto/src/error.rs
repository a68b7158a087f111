//! What can be wrong with a peer's bytes, and which close code tells it so.

use crate::close::CloseCode;

/// A violation of the protocol, or of our limits, by the peer. The connection must be failed (RFC
/// 6455, section 7.1.7): send a close frame with [`close_code`](Self::close_code), then end the
/// stream.
///
/// ```
/// use wsbroker_proto::{CloseCode, ProtocolError};
///
/// assert_eq!(ProtocolError::MessageTooBig.close_code(), CloseCode::TOO_BIG);
/// assert_eq!(ProtocolError::MaskMissing.to_string(), "frame from a client is not masked");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A reserved bit without a negotiated extension that gives it a meaning, or in a frame where
    /// that extension forbids it (section 5.2; RFC 7692, section 6.1).
    #[error("reserved bit set")]
    ReservedBits,
    /// Opcode 3-7 or 11-15 (section 5.2).
    #[error("reserved opcode {0}")]
    ReservedOpcode(u8),
    /// A close, ping or pong frame without FIN (section 5.5).
    #[error("control frame is fragmented")]
    FragmentedControl,
    /// A close, ping or pong frame with more than 125 bytes (section 5.5).
    #[error("control frame is longer than 125 bytes")]
    ControlTooLong,
    /// A continuation frame while no message is unfinished (section 5.4).
    #[error("continuation frame without a message to continue")]
    UnexpectedContinuation,
    /// A text or binary frame while another message is unfinished (section 5.4).
    #[error("new message inside an unfinished one")]
    ExpectedContinuation,
    /// Clients must mask (section 5.1).
    #[error("frame from a client is not masked")]
    MaskMissing,
    /// Servers must not mask (section 5.1).
    #[error("frame from a server is masked")]
    MaskUnexpected,
    /// A length in more bytes than it needs (section 5.2).
    #[error("payload length is not in its shortest form")]
    LengthNotMinimal,
    /// A 64-bit length with the highest bit set (section 5.2).
    #[error("payload length exceeds 63 bits")]
    LengthOverflow,
    /// The message, all its fragments together, is longer than
    /// [`Limits::max_message`](crate::Limits).
    #[error("message is longer than the limit")]
    MessageTooBig,
    /// Text is not UTF-8 (sections 5.6 and 8.1).
    #[error("text is not valid UTF-8")]
    InvalidUtf8,
    /// A compressed message does not inflate (RFC 7692, section 7.2.2).
    #[error("compressed message is corrupt")]
    CorruptMessage,
    /// A close frame with one byte: neither empty nor a status code (section 5.5.1).
    #[error("close frame has a payload of one byte")]
    CloseTooShort,
    /// A status code that must not be sent (section 7.4).
    #[error("close code {0} must not be sent")]
    InvalidCloseCode(u16),
    /// The reason in a close frame is not UTF-8 (section 5.5.1).
    #[error("close reason is not valid UTF-8")]
    InvalidCloseReason,
}

impl ProtocolError {
    /// The status code for the close frame that answers this error: 1009 for a message over the
    /// limit, 1007 for text that is not UTF-8 and for what does not inflate, 1002 for everything
    /// else (RFC 6455, section 7.4.1).
    pub const fn close_code(&self) -> CloseCode {
        match self {
            Self::MessageTooBig => CloseCode::TOO_BIG,
            Self::InvalidUtf8 | Self::InvalidCloseReason | Self::CorruptMessage => CloseCode::INVALID_PAYLOAD,
            _ => CloseCode::PROTOCOL,
        }
    }
}
