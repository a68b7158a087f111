//! Compressed messages (RFC 7692, section 7.2), without context takeover: each message stands for itself, so that
//! one inflater and a few deflaters serve any number of connections.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::close::CloseCode;
use crate::error::ProtocolError;
use crate::extension::WindowBits;

/// How a flushed DEFLATE stream ends: an empty stored block. The sender leaves these bytes out behind its header
/// (section 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// The same, and an empty stored block that is the last one. Only a message that stops where a block does ends
/// exactly here.
const TAIL_AND_END: [u8; 9] = [0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff];

/// Why a message could not be inflated.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InflateError {
    /// It would become longer than the limit.
    #[error("message inflates to more than the limit")]
    TooBig,
    /// It is no DEFLATE data, refers to what lies before the message, or stops within a block.
    #[error("compressed message is corrupt")]
    Corrupt,
}

impl InflateError {
    /// The status code to fail the connection with: 1009 for too big, 1007 for corrupt.
    pub fn close_code(&self) -> CloseCode {
        ProtocolError::from(*self).close_code()
    }
}

impl From<InflateError> for ProtocolError {
    fn from(error: InflateError) -> Self {
        match error {
            InflateError::TooBig => Self::MessageTooBig,
            InflateError::Corrupt => Self::CorruptMessage,
        }
    }
}

/// Inflates messages, whatever window they were compressed with, and whoever sent them. About 50 KB from the first
/// message on, nothing before.
#[derive(Debug, Default)]
pub struct Inflater {
    state: Option<Decompress>,
}

impl Inflater {
    /// An inflater that owns nothing yet.
    pub const fn new() -> Self {
        Self { state: None }
    }

    /// Inflates one message, the payloads of its frames joined, into `out`, whose content is lost.
    ///
    /// Stops as soon as `max` bytes are passed. `out` grows by doubling to `max` and one byte at most, however much the
    /// message would inflate to; a larger capacity is used if it is there.
    ///
    /// A block that is marked as the last one does not end the message: further blocks may begin at the next byte, and
    /// must not refer to what came before (sections 7.2.1 and 7.2.3.4). A message may end with such a block, and may be
    /// empty altogether.
    ///
    /// # Errors
    /// [`InflateError`]. What `out` holds then is of no use.
    ///
    /// ```
    /// use wsbroker_proto::{InflateError, Inflater};
    ///
    /// let (mut inflater, mut out) = (Inflater::new(), Vec::new());
    /// let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    /// inflater.inflate(&hello, 5, &mut out)?;
    /// assert_eq!(out, b"Hello");
    /// assert_eq!(inflater.inflate(&hello, 4, &mut out), Err(InflateError::TooBig));
    /// # Ok::<(), InflateError>(())
    /// ```
    pub fn inflate(&mut self, compressed: &[u8], max: usize, out: &mut Vec<u8>) -> Result<(), InflateError> {
        out.clear();
        if compressed.is_empty() {
            return Ok(());
        }
        let state = self.state.get_or_insert_with(|| Decompress::new(false));
        state.reset(false);
        // What text comes to, more often than not.
        reserve(out, compressed.len().saturating_mul(4), max);
        if run(state, compressed, max, out)? == Ended::WithFinalBlock {
            return Ok(());
        }
        match run(state, &TAIL_AND_END, max, out)? {
            Ended::WithFinalBlock => Ok(()),
            Ended::Open => Err(InflateError::Corrupt),
        }
    }
}

/// Where the last of some bytes left the stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ended {
    /// More may follow.
    Open,
    /// With the last byte of a final block.
    WithFinalBlock,
}

/// Inflates all of `input`, and appends what it gives.
fn run(state: &mut Decompress, mut input: &[u8], max: usize, out: &mut Vec<u8>) -> Result<Ended, InflateError> {
    loop {
        if out.len() == out.capacity() {
            reserve(out, out.len(), max);
        }
        let (total_in, len) = (state.total_in(), out.len());
        let status = state.decompress_vec(input, out, FlushDecompress::None).map_err(|_| InflateError::Corrupt)?;
        if out.len() > max {
            return Err(InflateError::TooBig);
        }
        // As much as it says it took, which is at most what there was.
        let taken = (state.total_in() - total_in) as usize;
        input = input.get(taken..).unwrap_or_default();
        match status {
            Status::StreamEnd if input.is_empty() => return Ok(Ended::WithFinalBlock),
            Status::StreamEnd => state.reset(false),
            // Room that is left over means that nothing waits to be written.
            _ if input.is_empty() && out.len() < out.capacity() => return Ok(Ended::Open),
            _ if taken == 0 && out.len() == len => return Err(InflateError::Corrupt),
            _ => {}
        }
    }
}

/// Makes room for `more` bytes, or as many as make `out` longer than `max`; for one at least.
fn reserve(out: &mut Vec<u8>, more: usize, max: usize) {
    let room = max.saturating_add(1).saturating_sub(out.len());
    out.reserve_exact(more.max(64).min(room).max(1));
}

/// Compresses messages: one deflater for each window size, made when it is first needed, of up to 400 KB.
#[derive(Debug, Default)]
pub struct Deflaters {
    by_window: [Option<Deflater>; WindowBits::COUNT],
}

#[derive(Debug)]
struct Deflater {
    state: Compress,
    level: Compression,
}

impl Deflaters {
    /// Deflaters that own nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Compresses one message into `out`, whose content is lost. False: the result would not be shorter than `payload`,
    /// which is better sent as it is; what `out` holds then is of no use.
    ///
    /// The same payload, `window` and `level` always give the same bytes, for none depends on what came before.
    /// `level` is 1 (fast) to 9 (small); others are taken for the nearest. `out` grows to an eighth and 128 bytes more
    /// than `payload` at most.
    ///
    /// ```
    /// use wsbroker_proto::{Deflaters, WindowBits};
    ///
    /// let (mut deflaters, mut out) = (Deflaters::new(), Vec::new());
    /// assert!(deflaters.deflate(&[b'a'; 1000], WindowBits::MAX, 3, &mut out));
    /// assert!(out.len() < 20);
    /// assert!(!deflaters.deflate(b"?", WindowBits::MAX, 3, &mut out));
    /// ```
    pub fn deflate(&mut self, payload: &[u8], window: WindowBits, level: u8, out: &mut Vec<u8>) -> bool {
        out.clear();
        let level = Compression::new(level.clamp(1, 9).into());
        let Some(slot) = self.by_window.get_mut(window.index()) else {
            return false;
        };
        let deflater = slot.get_or_insert_with(|| Deflater {
            state: Compress::new_with_window_bits(level, false, window.get()),
            level,
        });
        deflater.state.reset();
        if deflater.level != level {
            // Right behind a reset there is nothing that would have to be flushed first, so this does not fail.
            if deflater.state.set_level(level).is_err() {
                *slot = None;
                return false;
            }
            deflater.level = level;
        }
        // The worst is 9 bits for each byte, and a little for each block.
        out.reserve_exact(payload.len() + payload.len() / 8 + 128);
        let flushed = deflater.state.compress_vec(payload, out, FlushCompress::Sync).is_ok()
            && deflater.state.total_in() == payload.len() as u64
            && out.len() < out.capacity()
            && out.ends_with(&TAIL);
        if !flushed {
            // zlib-rs 0.6.8 does not forget all of its output in a reset: an unfinished stream cannot be followed by
            // another.
            *slot = None;
            return false;
        }
        out.truncate(out.len() - TAIL.len());
        out.len() < payload.len()
    }
}

#[cfg(test)]
mod tests;
