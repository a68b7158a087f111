//! Compressed messages (RFC 7692, section 7.2), without context takeover: each message is
//! compressed on its own, so that one inflater and a few deflaters serve any number of connections.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::close::CloseCode;
use crate::error::ProtocolError;
use crate::extension::WindowBits;

/// How a flushed DEFLATE stream ends: an empty stored block. The sender leaves these bytes out
/// behind its header (section 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// The same, and an empty stored block that is the last one. Only a message that stops where a
/// block does ends exactly here.
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

/// Inflates messages of any peer, whatever window they were compressed with. About 50 KB from the
/// first message on, nothing before.
#[derive(Debug, Default)]
pub struct Inflater {
    state: Option<Decompress>,
    /// Bytes of [`TAIL_AND_END`] that have been inflated behind the message.
    tail: usize,
}

/// What one [slice](Inflater::slice) of a message may take and give, in bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Slice {
    /// Compressed bytes it takes at most. At least 1.
    pub input: usize,
    /// Inflated bytes it gives at most; one more, or what fits into the capacity that is there, if
    /// there are more.
    pub output: usize,
}

/// Whether a slice was the last one of its message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sliced {
    /// There is more to inflate.
    More,
    /// The message is whole.
    Whole,
}

impl Inflater {
    /// An inflater that owns nothing yet.
    pub const fn new() -> Self {
        Self { state: None, tail: 0 }
    }

    /// Inflates one message, the payloads of its frames joined, into `out`, whose content is lost.
    ///
    /// Stops as soon as `max` bytes are passed. `out` grows by doubling to `max` and one byte at
    /// most, however much the message would inflate to; a larger capacity is used if it is there.
    ///
    /// A block that is marked as the last one does not end the message: further blocks may begin at
    /// the next byte, and must not refer to what came before (sections 7.2.1 and 7.2.3.4). A
    /// message may end with such a block, and may be empty altogether.
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
    pub fn inflate(&mut self, mut compressed: &[u8], max: usize, out: &mut Vec<u8>) -> Result<(), InflateError> {
        self.begin();
        match self.slice(&mut compressed, Slice { input: usize::MAX, output: max }, out)? {
            Sliced::Whole => Ok(()),
            Sliced::More => Err(InflateError::TooBig),
        }
    }

    /// Begins a message that is inflated in [slices](Self::slice). What is left of another one is
    /// given up.
    pub fn begin(&mut self) {
        self.tail = 0;
        if let Some(state) = &mut self.state {
            state.reset(false);
        }
    }

    /// Inflates the next part of a message, so that something else can be done between two of them:
    /// takes from the front of `rest`, the compressed bytes that are left, and puts what they give
    /// into `out`, whose content is lost. `out` grows as with [`inflate`](Self::inflate), to the
    /// bounds of the slice.
    ///
    /// With each call at least a byte is taken or given, until the message is whole; `rest` may be
    /// empty before that. A slice that gives more than its `output` is never the last.
    ///
    /// # Errors
    /// [`InflateError::Corrupt`].
    ///
    /// ```
    /// use wsbroker_proto::{Inflater, Slice, Sliced};
    ///
    /// let (mut inflater, mut out) = (Inflater::new(), Vec::new());
    /// let mut rest = &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00][..];
    /// let (slice, mut message) = (Slice { input: 3, output: 100 }, Vec::new());
    /// inflater.begin();
    /// while inflater.slice(&mut rest, slice, &mut out)? == Sliced::More {
    ///     message.append(&mut out);
    /// }
    /// message.append(&mut out);
    /// assert_eq!(message, b"Hello");
    /// # Ok::<(), wsbroker_proto::InflateError>(())
    /// ```
    pub fn slice(&mut self, rest: &mut &[u8], slice: Slice, out: &mut Vec<u8>) -> Result<Sliced, InflateError> {
        out.clear();
        let begun = self.state.as_ref().is_some_and(|state| state.total_in() > 0) || self.tail > 0;
        if !begun && rest.is_empty() {
            return Ok(Sliced::Whole);
        }
        let state = self.state.get_or_insert_with(|| Decompress::new(false));
        if self.tail == 0 {
            let most = slice.input.max(1).min(rest.len());
            let (mut part, later) = rest.split_at(most);
            // What text comes to, more often than not.
            reserve(out, most.saturating_mul(4), slice.output);
            let ended = run(state, &mut part, slice.output, out)?;
            *rest = rest.get(most - part.len()..).unwrap_or_default();
            match ended {
                Ended::Full => return Ok(Sliced::More),
                Ended::WithFinalBlock if later.is_empty() => return Ok(Sliced::Whole),
                Ended::WithFinalBlock => {
                    state.reset(false);
                    return Ok(Sliced::More);
                }
                Ended::Open if !later.is_empty() => return Ok(Sliced::More),
                Ended::Open => {}
            }
        }
        let mut tail = TAIL_AND_END.get(self.tail..).unwrap_or_default();
        let ended = run(state, &mut tail, slice.output, out)?;
        self.tail = TAIL_AND_END.len() - tail.len();
        match ended {
            Ended::Full => Ok(Sliced::More),
            Ended::WithFinalBlock => Ok(Sliced::Whole),
            Ended::Open => Err(InflateError::Corrupt),
        }
    }
}

/// Where some bytes left the stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ended {
    /// All are taken, and more may follow.
    Open,
    /// All are taken, and the last was that of a final block.
    WithFinalBlock,
    /// More than the limit came out.
    Full,
}

/// Inflates `input` until it is used up or more than `max` bytes came out, and appends what it
/// gives.
fn run(state: &mut Decompress, input: &mut &[u8], max: usize, out: &mut Vec<u8>) -> Result<Ended, InflateError> {
    loop {
        if out.len() == out.capacity() {
            reserve(out, out.len(), max);
        }
        let (total_in, len) = (state.total_in(), out.len());
        let status = state.decompress_vec(input, out, FlushDecompress::None).map_err(|_| InflateError::Corrupt)?;
        // As much as it says it took, which is at most what there was.
        let taken = (state.total_in() - total_in) as usize;
        *input = input.get(taken..).unwrap_or_default();
        if out.len() > max {
            return Ok(Ended::Full);
        }
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

/// Compresses messages: one deflater for each window size, made when it is first needed, of up to
/// 400 KB.
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

    /// Compresses one message into `out`, whose content is lost. False: the result would not be
    /// shorter than `payload`, which is better sent as it is; what `out` holds then is of no use.
    ///
    /// The same payload, `window` and `level` always give the same bytes, for none depends on what
    /// came before. `level` is 1 (fast) to 9 (small); others are taken for the nearest. `out` grows
    /// to an eighth and 128 bytes more than `payload` at most.
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
            // Right behind a reset there is nothing that would have to be flushed first, so this
            // does not fail.
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
            // zlib-rs 0.6.8 does not forget all of its output in a reset: an unfinished stream
            // cannot be followed by another.
            *slot = None;
            return false;
        }
        out.truncate(out.len() - TAIL.len());
        out.len() < payload.len()
    }
}

#[cfg(test)]
mod tests;
