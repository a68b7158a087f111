//! Compressed messages, in and out (RFC 7692, section 7.2).
//!
//! One state serves all connections: between two messages a DEFLATE stream is on a byte boundary,
//! and only the history is carried over, which the connection keeps if the server may refer to it.
//! The codec is not the server's, on purpose, as in [`crate::frame`]. It refuses references to
//! before the beginning.

use miniz_oxide::DataFormat;
use miniz_oxide::deflate::core::{CompressionStrategy, CompressorOxide, TDEFLFlush, TDEFLStatus, compress};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

/// What a sender leaves out at the end of a message.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// How far back DEFLATE can refer.
const WINDOW: usize = 32 * 1024;
/// No scenario sends a longer message.
const LONGEST: usize = 64 * 1024 * 1024;
const LEVEL: u8 = 6;

/// Inflates whole messages.
pub(crate) struct Inflater {
    state: Box<DecompressorOxide>,
    /// The last message without history, as it came: all subscribers of a publish receive the same
    /// bytes.
    last: Vec<u8>,
    /// That message, inflated.
    out: Vec<u8>,
}

impl Inflater {
    pub(crate) fn new() -> Self {
        Self { state: Box::default(), last: Vec::new(), out: Vec::new() }
    }

    /// Inflates `compressed`. `history` is what the server may refer to, and the message is added
    /// to it; `None` if no message refers to another.
    ///
    /// # Errors
    /// It is not DEFLATE, ends in the middle, refers to data that never came, or exceeds 64 MiB.
    pub(crate) fn inflate(&mut self, compressed: &[u8], history: Option<&mut Vec<u8>>) -> Result<&[u8], &'static str> {
        let Some(history) = history else {
            if self.last != compressed || compressed.is_empty() {
                self.last.clear();
                self.run(compressed, &[])?;
                self.last.extend_from_slice(compressed);
            }
            return Ok(&self.out);
        };
        self.last.clear();
        self.run(compressed, history)?;
        let begin = history.len();
        history.clear();
        history.extend_from_slice(&self.out[self.out.len().saturating_sub(WINDOW)..]);
        Ok(&self.out[begin..])
    }

    /// Makes `out` the history followed by the message.
    fn run(&mut self, compressed: &[u8], history: &[u8]) -> Result<(), &'static str> {
        let Self { state, out, .. } = self;
        out.clear();
        out.extend_from_slice(history);
        let mut end = out.len();
        out.resize(end + (4 * compressed.len()).max(1024), 0);
        **state = DecompressorOxide::new();
        let mut ended = false;
        for mut input in [compressed, &TAIL] {
            while !input.is_empty() && !ended {
                let flags = TINFL_FLAG_HAS_MORE_INPUT | TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
                let (status, read, written) = decompress(state, input, out, end, flags);
                input = &input[read..];
                end += written;
                match status {
                    TINFLStatus::NeedsMoreInput => {}
                    TINFLStatus::HasMoreOutput if out.len() < LONGEST => out.resize(2 * out.len(), 0),
                    // The last block: anything after it would be another stream (section 7.2.3.4).
                    TINFLStatus::Done => ended = true,
                    _ => return Err("a message that cannot be inflated"),
                }
            }
        }
        out.truncate(end);
        Ok(())
    }
}

/// Compresses messages independently of each other, which every server must accept.
pub(crate) struct Deflater(CompressorOxide);

impl Deflater {
    pub(crate) fn new() -> Self {
        Self(CompressorOxide::with_params(DataFormat::Raw, LEVEL, CompressionStrategy::Default, 15))
    }

    /// What to send for `message`; `None` if it might refer further back than the server allows.
    pub(crate) fn deflate(&mut self, message: &[u8], window_bits: u8) -> Option<Vec<u8>> {
        if message.len() > 1 << window_bits {
            return None;
        }
        self.0.reset();
        // Stored blocks add 5 bytes to each 32 KiB, and the end some more: with this much, one call
        // is enough.
        let mut out = vec![0; message.len() + message.len() / 1024 + 128];
        let (status, read, written) = compress(&mut self.0, message, &mut out, TDEFLFlush::Sync);
        out.truncate(written);
        let whole = status == TDEFLStatus::Okay && read == message.len() && out.ends_with(&TAIL);
        out.truncate(written.saturating_sub(TAIL.len()));
        whole.then_some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "Hello" by itself, and again where the first may be referred to (RFC 7692, sections 7.2.3.1
    /// and 7.2.3.2).
    const HELLO: [u8; 7] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    const AGAIN: [u8; 5] = [0xf2, 0x00, 0x11, 0x00, 0x00];

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        let mut inflater = Inflater::new();
        let mut history = Vec::new();
        assert_eq!(inflater.inflate(&HELLO, Some(&mut history)), Ok(&b"Hello"[..]));
        assert_eq!(inflater.inflate(&AGAIN, Some(&mut history)), Ok(&b"Hello"[..]));
        assert_eq!(history, b"HelloHello");
        // Stored, final, and in two blocks.
        for other in [
            &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00][..],
            &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
            &[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00],
        ] {
            assert_eq!(inflater.inflate(other, None), Ok(&b"Hello"[..]), "{other:x?}");
        }
    }

    #[test]
    fn a_message_may_not_refer_to_one_that_is_not_kept() {
        let mut inflater = Inflater::new();
        assert_eq!(inflater.inflate(&HELLO, None), Ok(&b"Hello"[..]));
        assert!(inflater.inflate(&AGAIN, None).is_err());
        assert!(inflater.inflate(&[0xff, 0xff], None).is_err());
        assert_eq!(inflater.inflate(&HELLO, None), Ok(&b"Hello"[..]));
    }

    #[test]
    fn what_is_deflated_is_inflated() {
        let (mut inflater, mut deflater) = (Inflater::new(), Deflater::new());
        let mut noise = 1u64;
        for size in [1, 100, 4096, 32 * 1024] {
            for random in [false, true] {
                let message: Vec<u8> = (0..size)
                    .map(|i| {
                        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        if random { (noise >> 56) as u8 } else { (i / 7) as u8 }
                    })
                    .collect();
                let compressed = deflater.deflate(&message, 15).unwrap();
                assert_eq!(inflater.inflate(&compressed, None), Ok(&message[..]));
                let mut history = b"before".to_vec();
                assert_eq!(inflater.inflate(&compressed, Some(&mut history)), Ok(&message[..]));
            }
        }
    }

    #[test]
    fn a_message_longer_than_the_window_is_not_compressed() {
        let mut deflater = Deflater::new();
        assert!(deflater.deflate(&[0; 512], 9).is_some());
        assert!(deflater.deflate(&[0; 513], 9).is_none());
    }
}
