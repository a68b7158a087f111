//! Frame headers (RFC 6455, section 5.2): reading them from however many bytes there are, and
//! writing them.

use crate::close::{CloseCode, MAX_REASON};
use crate::error::ProtocolError;

/// The longest header, in bytes: a masked frame's.
pub const MAX_HEADER: usize = 14;
/// The longest header without a masking key, in bytes: what a server sends.
pub const MAX_SERVER_HEADER: usize = 10;
/// The longest payload of a control frame, in bytes (section 5.5).
pub const MAX_CONTROL: usize = 125;

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const RSV2_RSV3: u8 = 0x30;
const MASKED: u8 = 0x80;

/// What a frame is (RFC 6455, section 5.2).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum Opcode {
    /// A later part of a fragmented message.
    Continuation = 0,
    /// A text message, or its first part.
    Text = 1,
    /// A binary message, or its first part.
    Binary = 2,
    /// Starts or completes the close handshake.
    Close = 8,
    /// Asks for a pong with the same payload.
    Ping = 9,
    /// Answers a ping, or a sign of life without one.
    Pong = 10,
}

impl Opcode {
    /// Close, ping or pong: frames that may come between the fragments of a message (section 5.5).
    pub const fn is_control(self) -> bool {
        self as u8 >= 8
    }

    /// As the first byte of a frame says; `None` if it is reserved.
    #[inline]
    pub(crate) fn of_first_byte(byte: u8) -> Option<Self> {
        Self::from_bits(byte & 0x0f).ok()
    }

    #[inline]
    const fn from_bits(bits: u8) -> Result<Self, ProtocolError> {
        Ok(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            other => return Err(ProtocolError::ReservedOpcode(other)),
        })
    }
}

/// The bytes of a frame header, on the stack.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    bytes: [u8; MAX_HEADER],
    len: u8,
}

impl Header {
    fn new(first: u8, payload_len: usize) -> Self {
        let mut bytes = [0; MAX_HEADER];
        bytes[0] = first;
        let len = match payload_len {
            0..=125 => {
                bytes[1] = payload_len as u8;
                2
            }
            126..=0xffff => {
                bytes[1] = 126;
                bytes[2..4].copy_from_slice(&(payload_len as u16).to_be_bytes());
                4
            }
            _ => {
                bytes[1] = 127;
                bytes[2..10].copy_from_slice(&(payload_len as u64).to_be_bytes());
                10
            }
        };
        Self { bytes, len }
    }

    fn masked(mut self, key: [u8; 4]) -> Self {
        let at = usize::from(self.len);
        self.bytes[1] |= MASKED;
        self.bytes[at..at + 4].copy_from_slice(&key);
        self.len += 4;
        self
    }

    /// Length in bytes: 2, 4 or 10, and 4 more when masked.
    #[allow(clippy::len_without_is_empty)] // A header is never empty.
    pub const fn len(&self) -> usize {
        self.len as usize
    }
}

impl AsRef<[u8]> for Header {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// The header of an unmasked, unfragmented frame, as a server sends it. `rsv1` marks a compressed
/// message (RFC 7692, section 6).
///
/// The payload follows as it is, so header and payload can be shared by every receiver.
///
/// ```
/// use wsbroker_proto::{server_header, Opcode};
///
/// assert_eq!(server_header(Opcode::Text, false, 5).as_ref(), [0x81, 5]);
/// assert_eq!(server_header(Opcode::Binary, true, 300).as_ref(), [0xc2, 126, 1, 44]);
/// ```
#[inline]
pub fn server_header(opcode: Opcode, rsv1: bool, payload_len: usize) -> Header {
    let rsv1 = if rsv1 { RSV1 } else { 0 };
    Header::new(FIN | rsv1 | opcode as u8, payload_len)
}

/// Appends an unmasked, unfragmented frame to `out`.
///
/// A control frame's payload is cut at [`MAX_CONTROL`] bytes, for a longer one must not be sent.
pub fn write_frame(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    let payload = fit(opcode, payload);
    let header = server_header(opcode, false, payload.len());
    out.reserve(header.len() + payload.len());
    out.extend_from_slice(header.as_ref());
    out.extend_from_slice(payload);
}

/// Appends an unmasked close frame to `out`.
///
/// `reason` is cut at 123 bytes, on a character boundary. Without a code, or with one that must not
/// be sent (1005, 1006), the frame is empty and the reason left out (section 5.5.1).
///
/// ```
/// use wsbroker_proto::{write_close, CloseCode};
///
/// let mut out = Vec::new();
/// write_close(&mut out, Some(CloseCode::GOING_AWAY), "bye");
/// assert_eq!(out, b"\x88\x05\x03\xe9bye");
/// ```
pub fn write_close(out: &mut Vec<u8>, code: Option<CloseCode>, reason: &str) {
    let mut payload = [0; MAX_CONTROL];
    let len = close_payload(&mut payload, code, reason);
    write_frame(out, Opcode::Close, &payload[..len]);
}

fn close_payload(payload: &mut [u8; MAX_CONTROL], code: Option<CloseCode>, reason: &str) -> usize {
    let Some(code) = code.filter(|code| CloseCode::is_sendable(code.get())) else {
        return 0;
    };
    let mut end = reason.len().min(MAX_REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    payload[..2].copy_from_slice(&code.get().to_be_bytes());
    payload[2..2 + end].copy_from_slice(&reason.as_bytes()[..end]);
    2 + end
}

fn fit(opcode: Opcode, payload: &[u8]) -> &[u8] {
    if opcode.is_control() { &payload[..payload.len().min(MAX_CONTROL)] } else { payload }
}

/// Writing as a client does: masked (RFC 6455, section 5.3).
pub mod client {
    use super::{CloseCode, FIN, Header, MAX_CONTROL, Opcode, RSV1, close_payload, fit};
    use crate::mask;

    /// The header of a masked frame. The key should be unpredictable for the author of the payload
    /// (section 10.3).
    pub fn header(fin: bool, rsv1: bool, opcode: Opcode, payload_len: usize, key: [u8; 4]) -> Header {
        let fin = if fin { FIN } else { 0 };
        let rsv1 = if rsv1 { RSV1 } else { 0 };
        Header::new(fin | rsv1 | opcode as u8, payload_len).masked(key)
    }

    /// Appends a masked frame to `out`; `fin` is false for all fragments of a message but the last.
    ///
    /// A control frame is always final, and its payload is cut at [`MAX_CONTROL`] bytes.
    ///
    /// ```
    /// use wsbroker_proto::{client, Opcode};
    ///
    /// let mut out = Vec::new();
    /// client::write_frame(&mut out, true, Opcode::Text, b"abc", [1, 1, 1, 1]);
    /// assert_eq!(out, b"\x81\x83\x01\x01\x01\x01`cb");
    /// ```
    pub fn write_frame(out: &mut Vec<u8>, fin: bool, opcode: Opcode, payload: &[u8], mask: [u8; 4]) {
        let payload = fit(opcode, payload);
        let header = header(fin || opcode.is_control(), false, opcode, payload.len(), mask);
        out.reserve(header.len() + payload.len());
        out.extend_from_slice(header.as_ref());
        let start = out.len();
        out.extend_from_slice(payload);
        mask::apply(&mut out[start..], mask);
    }

    /// Appends a masked close frame to `out`; otherwise as [`write_close`](crate::write_close).
    pub fn write_close(out: &mut Vec<u8>, code: Option<CloseCode>, reason: &str, mask: [u8; 4]) {
        let mut payload = [0; MAX_CONTROL];
        let len = close_payload(&mut payload, code, reason);
        write_frame(out, true, Opcode::Close, &payload[..len], mask);
    }
}

/// What the parser's state and settings allow the next frame to be.
#[derive(Clone, Copy)]
pub(crate) struct Expect {
    /// Frames must be masked (we are the server), or must not be.
    pub(crate) masked: bool,
    /// A message is unfinished.
    pub(crate) in_message: bool,
    /// RSV1 on the first frame of a message means compression.
    pub(crate) rsv1: bool,
}

/// A frame header that was read whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct FrameHead {
    pub(crate) fin: bool,
    pub(crate) rsv1: bool,
    pub(crate) opcode: Opcode,
    /// Payload length in bytes, below 2^63.
    pub(crate) len: u64,
    /// Zero when the frame is not masked: xor with it changes nothing.
    pub(crate) key: [u8; 4],
    /// Length of the header itself, in bytes.
    pub(crate) size: usize,
}

/// Reads the header at the start of `bytes`; `None` when it goes on beyond them.
///
/// Checks run in the order of the bytes, each as soon as its byte is there, so that a bad header
/// fails at the same check however its bytes arrive.
#[inline]
pub(crate) fn decode(bytes: &[u8], expect: Expect) -> Result<Option<FrameHead>, ProtocolError> {
    let Some(&first) = bytes.first() else {
        return Ok(None);
    };
    let fin = first & FIN != 0;
    let rsv1 = first & RSV1 != 0;
    if first & RSV2_RSV3 != 0 {
        return Err(ProtocolError::ReservedBits);
    }
    let opcode = Opcode::from_bits(first & 0x0f)?;
    let control = opcode.is_control();
    if rsv1 && !(expect.rsv1 && matches!(opcode, Opcode::Text | Opcode::Binary)) {
        return Err(ProtocolError::ReservedBits);
    }
    if control {
        if !fin {
            return Err(ProtocolError::FragmentedControl);
        }
    } else if matches!(opcode, Opcode::Continuation) != expect.in_message {
        return Err(if expect.in_message {
            ProtocolError::ExpectedContinuation
        } else {
            ProtocolError::UnexpectedContinuation
        });
    }

    let Some(&second) = bytes.get(1) else {
        return Ok(None);
    };
    if (second & MASKED != 0) != expect.masked {
        return Err(if expect.masked { ProtocolError::MaskMissing } else { ProtocolError::MaskUnexpected });
    }
    let short = second & !MASKED;
    if control {
        if usize::from(short) > MAX_CONTROL {
            return Err(ProtocolError::ControlTooLong);
        }
        if short == 1 && matches!(opcode, Opcode::Close) {
            return Err(ProtocolError::CloseTooShort);
        }
    }

    let (len, at) = match short {
        126 => {
            let Some(long) = bytes.get(2..).and_then(|bytes| bytes.first_chunk::<2>()) else {
                return Ok(None);
            };
            let len = u16::from_be_bytes(*long);
            if len < 126 {
                return Err(ProtocolError::LengthNotMinimal);
            }
            (u64::from(len), 4)
        }
        127 => {
            let Some(long) = bytes.get(2..).and_then(|bytes| bytes.first_chunk::<8>()) else {
                return Ok(None);
            };
            let len = u64::from_be_bytes(*long);
            if len >> 63 != 0 {
                return Err(ProtocolError::LengthOverflow);
            }
            if len <= 0xffff {
                return Err(ProtocolError::LengthNotMinimal);
            }
            (len, 10)
        }
        short => (u64::from(short), 2),
    };

    let (key, size) = if expect.masked {
        match bytes.get(at..).and_then(|bytes| bytes.first_chunk::<4>()) {
            Some(key) => (*key, at + 4),
            None => return Ok(None),
        }
    } else {
        ([0; 4], at)
    };
    Ok(Some(FrameHead { fin, rsv1, opcode, len, key, size }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_use_the_shortest_length() {
        let header = |len| server_header(Opcode::Binary, false, len).as_ref().to_vec();
        assert_eq!(header(0), [0x82, 0]);
        assert_eq!(header(125), [0x82, 125]);
        assert_eq!(header(126), [0x82, 126, 0, 126]);
        assert_eq!(header(0xffff), [0x82, 126, 0xff, 0xff]);
        assert_eq!(header(0x1_0000), [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
        assert_eq!(server_header(Opcode::Text, false, usize::MAX).len(), MAX_SERVER_HEADER);
        assert_eq!(client::header(false, true, Opcode::Text, 0x1_0000, [9; 4]).len(), MAX_HEADER);
    }

    #[test]
    fn a_header_is_read_as_it_was_written_and_never_from_a_part_of_it() {
        for (masked, key) in [(false, [0; 4]), (true, [1, 2, 3, 4])] {
            let expect = Expect { masked, in_message: false, rsv1: true };
            for len in [0usize, 1, 125, 126, 0xffff, 0x1_0000, 1 << 40] {
                let header = if masked {
                    client::header(false, true, Opcode::Binary, len, key)
                } else {
                    Header::new(RSV1 | Opcode::Binary as u8, len)
                };
                let bytes = header.as_ref();
                for cut in 0..bytes.len() {
                    assert_eq!(decode(&bytes[..cut], expect), Ok(None));
                }
                let head = decode(bytes, expect).unwrap().unwrap();
                assert_eq!((head.len, head.size, head.key), (len as u64, bytes.len(), key));
                assert!(head.rsv1 && !head.fin);
            }
        }
    }

    #[test]
    fn a_reason_is_cut_between_characters() {
        for reason in ["a".repeat(200), "ü".repeat(100), "a€".repeat(50), "😀".repeat(40)] {
            let mut out = Vec::new();
            write_close(&mut out, Some(CloseCode::POLICY), &reason);
            assert!((120..=MAX_REASON).contains(&(out.len() - 4)));
            let sent = std::str::from_utf8(&out[4..]).unwrap();
            assert!(reason.starts_with(sent));
        }
    }

    #[test]
    fn codes_that_must_not_be_sent_make_an_empty_close_frame() {
        for code in [None, Some(CloseCode::NO_STATUS), Some(CloseCode::ABNORMAL)] {
            let mut out = Vec::new();
            write_close(&mut out, code, "why");
            assert_eq!(out, [0x88, 0]);
        }
    }

    #[test]
    fn control_frames_are_final_and_cut_at_125_bytes() {
        let mut out = Vec::new();
        write_frame(&mut out, Opcode::Ping, &[7; 200]);
        assert_eq!(out[..2], [0x89, 125]);
        assert_eq!(out.len(), 127);
        out.clear();
        client::write_frame(&mut out, false, Opcode::Pong, &[7; 200], [0; 4]);
        assert_eq!((out[0], out.len()), (0x8a, 131));
    }
}
