//! The client's side of RFC 6455 frames: masked on the way out, unmasked on the way in.
//!
//! It does not use `wsbroker-proto` on purpose: with one codec at both ends, a mistake in it would
//! cancel itself out, and the generator would report the run as verified.

const RSV1: u8 = 0x40;

/// Text or binary, as a whole message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum MessageKind {
    Text,
    Binary,
}

/// What a frame carries (RFC 6455, section 5.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xa => Self::Pong,
            _ => return None,
        })
    }

    fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xa,
        }
    }

    pub(crate) fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// A frame's header as a server sends it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Header {
    pub(crate) fin: bool,
    /// RSV1: the message that begins here is compressed (RFC 7692, section 6).
    pub(crate) compressed: bool,
    pub(crate) opcode: Opcode,
    /// Bytes of the header itself.
    pub(crate) length: usize,
    /// Bytes of the payload that follows.
    pub(crate) payload: usize,
}

/// Reads the header at the start of `bytes`; `None` if it is not complete yet. `deflate`: whether
/// compression was agreed.
///
/// # Errors
/// What the server did that RFC 6455, section 5 or RFC 7692, section 6 forbids.
pub(crate) fn parse_header(bytes: &[u8], deflate: bool) -> Result<Option<Header>, &'static str> {
    let &[first, second, ..] = bytes else {
        return Ok(None);
    };
    let compressed = first & RSV1 != 0;
    if first & 0x30 != 0 || (compressed && !deflate) {
        return Err("a reserved bit was set, and no extension was agreed");
    }
    if second & 0x80 != 0 {
        return Err("the server masked a frame");
    }
    let opcode = Opcode::from_bits(first & 0x0f).ok_or("unknown opcode")?;
    if compressed && !matches!(opcode, Opcode::Text | Opcode::Binary) {
        return Err("a frame that begins no message was marked as compressed");
    }
    let fin = first & 0x80 != 0;
    let (length, payload) = match second {
        126 => match bytes.get(2..4).and_then(|b| b.try_into().ok()) {
            Some(b) => (4, u64::from(u16::from_be_bytes(b))),
            None => return Ok(None),
        },
        127 => match bytes.get(2..10).and_then(|b| b.try_into().ok()) {
            Some(b) => (10, u64::from_be_bytes(b)),
            None => return Ok(None),
        },
        short => (2, u64::from(short)),
    };
    if (length == 4 && payload < 126) || (length == 10 && payload <= 0xffff) {
        return Err("the length was not written in the shortest form");
    }
    if opcode.is_control() && (payload > 125 || !fin) {
        return Err("a control frame was fragmented or longer than 125 bytes");
    }
    let payload = usize::try_from(payload).map_err(|_| "a frame was longer than the address space")?;
    Ok(Some(Header { fin, compressed, opcode, length, payload }))
}

/// Appends one masked frame, whose payload is what `fill` appends.
pub(crate) fn write(out: &mut Vec<u8>, opcode: Opcode, size: usize, mask: [u8; 4], fill: impl FnOnce(&mut Vec<u8>)) {
    out.push(0x80 | opcode.bits());
    write_rest(out, size, mask, fill);
}

/// The same for a whole message that `compressed` is the compressed form of.
pub(crate) fn write_compressed(out: &mut Vec<u8>, opcode: Opcode, compressed: &[u8], mask: [u8; 4]) {
    out.push(0x80 | RSV1 | opcode.bits());
    write_rest(out, compressed.len(), mask, |out| out.extend_from_slice(compressed));
}

fn write_rest(out: &mut Vec<u8>, size: usize, mask: [u8; 4], fill: impl FnOnce(&mut Vec<u8>)) {
    match size {
        0..=125 => out.push(0x80 | size as u8),
        126..=0xffff => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(size as u16).to_be_bytes());
        }
        _ => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(size as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&mask);
    let start = out.len();
    fill(out);
    debug_assert_eq!(out.len() - start, size, "the payload is as long as its header says");
    apply_mask(&mut out[start..], mask);
}

/// Eight bytes at a time: the compiler turns this into vector code.
fn apply_mask(payload: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (chunks, rest) = payload.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_frame_is_the_example_of_the_rfc() {
        let mut out = Vec::new();
        write(&mut out, Opcode::Text, 5, [0x37, 0xfa, 0x21, 0x3d], |out| out.extend_from_slice(b"Hello"));
        assert_eq!(out, [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    }

    #[test]
    fn masking_is_the_same_at_every_length() {
        for size in 0..100 {
            let plain: Vec<u8> = (0..size).collect();
            let mut masked = plain.clone();
            apply_mask(&mut masked, [1, 2, 3, 4]);
            let slow: Vec<u8> = plain.iter().enumerate().map(|(i, byte)| byte ^ [1, 2, 3, 4][i % 4]).collect();
            assert_eq!(masked, slow);
        }
    }

    #[test]
    fn a_header_is_read_only_when_it_is_whole() {
        let long = [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0];
        for cut in 0..long.len() {
            assert_eq!(parse_header(&long[..cut], false), Ok(None));
        }
        let header = Header { fin: true, compressed: false, opcode: Opcode::Binary, length: 10, payload: 65_536 };
        assert_eq!(parse_header(&long, false), Ok(Some(header)));
    }

    #[test]
    fn what_a_server_must_not_send_is_named() {
        for bytes in [&[0xc1, 1][..], &[0x81, 0x81], &[0x83, 0], &[0x89, 126, 0, 126], &[0x09, 0], &[0x81, 126, 0, 5]] {
            assert!(parse_header(bytes, false).is_err(), "{bytes:?}");
        }
        for bytes in [&[0xa1, 1][..], &[0xc0, 0], &[0xc8, 0]] {
            assert!(parse_header(bytes, true).is_err(), "{bytes:?}");
        }
        assert!(matches!(parse_header(&[0xc1, 1], true), Ok(Some(Header { compressed: true, .. }))));
    }
}
