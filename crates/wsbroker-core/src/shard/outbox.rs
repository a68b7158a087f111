//! What waits to be written to one connection: bounded, coalesced, in frame order.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
};

use bytes::Bytes;
use wsbroker_proto::{CloseCode, Opcode, write_close, write_frame};

use super::{stream::Stream, tls::Scratch};

/// Up to this size a frame is copied next to its neighbours; a larger one is shared and written with `writev`. A copy of this size
/// costs a tenth of the system call that it saves.
const COPY_MAX: usize = 4 << 10;
/// Copied frames gather in chunks of about this size.
const CHUNK: usize = 32 << 10;
/// A chunk that was kept for use again is at most this large.
const SPARE_MAX: usize = 128 << 10;
const SPARE_COUNT: usize = 64;
const SLICES: usize = 64;

/// Frames that wait for the kernel.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// Each begins at a frame's start, but for what `head` has taken off the first.
    chunks: VecDeque<Chunk>,
    head: usize,
    len: usize,
    /// Bytes that the stream has taken and the kernel has not.
    unsent: usize,
    /// While the kernel takes nothing, of pongs only the newest waits (RFC 6455 §5.5.3 allows that); it goes out when the rest has.
    pong: Option<Box<[u8]>>,
}

#[derive(Debug)]
enum Chunk {
    Copied(Vec<u8>),
    Shared(Bytes),
}

impl Chunk {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Copied(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

/// How a write ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Written {
    /// Nothing is left.
    All,
    /// The kernel takes no more; the rest waits.
    Blocked,
    /// The connection is gone.
    Lost,
}

/// Buffers that are between uses, for all connections of a shard.
#[derive(Debug, Default)]
pub(super) struct Spare {
    chunks: Vec<Vec<u8>>,
    scratch: Scratch,
}

impl Spare {
    fn take(&mut self, room: usize) -> Vec<u8> {
        let mut buffer = self.chunks.pop().unwrap_or_default();
        buffer.reserve(room);
        buffer
    }

    fn give(&mut self, mut buffer: Vec<u8>) {
        if self.chunks.len() < SPARE_COUNT && buffer.capacity() <= SPARE_MAX {
            buffer.clear();
            self.chunks.push(buffer);
        }
    }
}

impl Outbox {
    /// Bytes that wait, a waiting pong not counted.
    pub(super) fn len(&self) -> usize {
        self.len + self.unsent
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends a whole frame that lies in `arena`.
    pub(super) fn push(&mut self, arena: &Bytes, start: usize, end: usize, waits: bool, spare: &mut Spare) {
        let Some(frame) = arena.get(start..end) else { return };
        if frame.len() <= COPY_MAX {
            self.push_copy(frame, spare);
        } else {
            self.len += frame.len();
            let alone = !waits || frame.len() >= 64 << 10;
            let frame = if alone { arena.slice(start..end) } else { Bytes::copy_from_slice(frame) };
            self.chunks.push_back(Chunk::Shared(frame));
        }
    }

    /// Appends a copy of whole frames.
    pub(super) fn push_copy(&mut self, frames: &[u8], spare: &mut Spare) {
        self.len += frames.len();
        if let Some(Chunk::Copied(last)) = self.chunks.back_mut()
            && last.len() + frames.len() <= CHUNK
        {
            last.extend_from_slice(frames);
            return;
        }
        let mut chunk = spare.take(frames.len());
        chunk.extend_from_slice(frames);
        self.chunks.push_back(Chunk::Copied(chunk));
    }

    /// Puts bytes before everything else. Only while nothing has been written.
    pub(super) fn push_front(&mut self, bytes: Vec<u8>) {
        debug_assert_eq!(self.head, 0);
        self.len += bytes.len();
        self.chunks.push_front(Chunk::Copied(bytes));
    }

    /// Appends a close frame; returns its length.
    pub(super) fn push_close(&mut self, code: Option<CloseCode>, reason: &str, spare: &mut Spare) -> usize {
        let mut frame = Vec::with_capacity(128);
        write_close(&mut frame, code, reason);
        self.push_copy(&frame, spare);
        frame.len()
    }

    /// Appends a ping; returns its length.
    pub(super) fn push_ping(&mut self, spare: &mut Spare) -> usize {
        let mut frame = Vec::with_capacity(2);
        write_frame(&mut frame, Opcode::Ping, b"");
        self.push_copy(&frame, spare);
        frame.len()
    }

    /// Appends the answer to a ping. It takes the place of one that waited longer than it.
    pub(super) fn push_pong(&mut self, payload: &[u8], spare: &mut Spare) {
        self.pong = None;
        let mut frame = Vec::with_capacity(payload.len() + 2);
        write_frame(&mut frame, Opcode::Pong, payload);
        self.push_copy(&frame, spare);
    }

    /// Answers a ping once all that waits has gone out, in place of an answer that waited for that.
    pub(super) fn set_pong(&mut self, payload: &[u8]) {
        self.pong = Some(payload.into());
    }

    /// Drops what was not begun to be written, but finishes the frame that was. Returns the bytes dropped.
    pub(super) fn discard_unsent(&mut self) -> usize {
        self.pong = None;
        let begun = if self.head == 0 { None } else { self.chunks.pop_front() };
        let before = self.len;
        self.chunks = VecDeque::new();
        let Some(begun) = begun else {
            self.len = 0;
            return before;
        };
        let end = frame_end(begun.bytes(), self.head);
        let rest = begun.bytes().get(self.head..end).unwrap_or_default().to_vec();
        self.head = 0;
        self.len = rest.len();
        if !rest.is_empty() {
            // The rest of a frame is no frame's start: it must stay alone in its chunk, and `frame_end` must not be asked again.
            self.chunks.push_back(Chunk::Shared(rest.into()));
        }
        before - self.len
    }

    /// Drops everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Writes as much as the kernel takes, and adds it to `taken`; [`len`](Self::len) tells what is left.
    pub(super) fn write(&mut self, stream: &mut Stream, spare: &mut Spare, taken: &mut u64) -> Written {
        let written = self.write_chunks(stream, spare, taken);
        self.unsent = stream.unsent();
        written
    }

    fn write_chunks(&mut self, stream: &mut Stream, spare: &mut Spare, taken: &mut u64) -> Written {
        loop {
            if self.chunks.is_empty() {
                match stream.flush() {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Written::Blocked,
                    Err(_) => return Written::Lost,
                }
                let Some(pong) = self.pong.take() else { return Written::All };
                let mut frame = spare.take(pong.len() + 2);
                write_frame(&mut frame, Opcode::Pong, &pong);
                self.len += frame.len();
                self.chunks.push_back(Chunk::Copied(frame));
            }
            let result = if self.chunks.len() == 1 {
                let bytes = self.chunks.front().map_or(&[][..], Chunk::bytes);
                stream.write(bytes.get(self.head..).unwrap_or_default(), &mut spare.scratch)
            } else {
                let mut slices = [IoSlice::new(&[]); SLICES];
                let mut skip = self.head;
                for (slice, chunk) in slices.iter_mut().zip(&self.chunks) {
                    *slice = IoSlice::new(chunk.bytes().get(skip..).unwrap_or_default());
                    skip = 0;
                }
                let count = self.chunks.len().min(SLICES);
                stream.write_vectored(slices.get(..count).unwrap_or_default(), &mut spare.scratch)
            };
            match result {
                Ok(0) => return Written::Lost,
                Ok(count) => {
                    *taken += count as u64;
                    self.advance(count, spare);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.unshare();
                    return Written::Blocked;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Written::Lost,
            }
        }
    }

    fn advance(&mut self, mut count: usize, spare: &mut Spare) {
        self.len -= count;
        while count > 0 {
            let Some(chunk) = self.chunks.front() else { return };
            let left = chunk.bytes().len() - self.head;
            if count < left {
                self.head += count;
                return;
            }
            count -= left;
            self.head = 0;
            if let Some(Chunk::Copied(buffer)) = self.chunks.pop_front() {
                spare.give(buffer);
            }
        }
    }

    /// Copies shared frames that may have to wait long, so that they do not keep a whole arena alive. Frames of that size and up
    /// have an arena to themselves.
    fn unshare(&mut self) {
        for chunk in &mut self.chunks {
            if let Chunk::Shared(bytes) = chunk
                && bytes.len() < 64 << 10
                && !bytes.is_unique()
            {
                *bytes = Bytes::copy_from_slice(bytes);
            }
        }
    }
}

/// Where the frame ends that holds the byte before `at`, in a chunk that begins with a frame.
fn frame_end(chunk: &[u8], at: usize) -> usize {
    let mut end = 0;
    while end < at {
        let Some(header) = chunk.get(end..) else { break };
        let (payload, length) = match header {
            [_, 126, a, b, ..] => (4, usize::from(u16::from_be_bytes([*a, *b]))),
            [_, 127, a, b, c, d, e, f, g, h, ..] => (10, u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]) as usize),
            [_, short, ..] => (2, usize::from(short & 0x7f)),
            _ => break,
        };
        end = end.saturating_add(payload).saturating_add(length);
    }
    end.max(at).min(chunk.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_that_was_begun_is_finished() {
        let mut spare = Spare::default();
        let mut outbox = Outbox::default();
        let mut frames = Vec::new();
        write_frame(&mut frames, Opcode::Text, &[b'a'; 10]);
        write_frame(&mut frames, Opcode::Text, &[b'b'; 300]);
        write_frame(&mut frames, Opcode::Text, &[b'c'; 10]);
        outbox.push_copy(&frames, &mut spare);
        outbox.advance(20, &mut spare);
        assert_eq!(outbox.discard_unsent(), 12);
        assert_eq!(outbox.len(), 12 + 304 - 20);
        assert_eq!(outbox.discard_unsent(), 12 + 304 - 20, "nothing more was written since");
    }

    #[test]
    fn nothing_begun_means_nothing_kept() {
        let mut spare = Spare::default();
        let mut outbox = Outbox::default();
        outbox.push_copy(b"\x81\x01a\x81\x01b", &mut spare);
        outbox.advance(3, &mut spare);
        assert_eq!(outbox.discard_unsent(), 3, "a boundary is not inside a frame");
        assert!(outbox.is_empty());
    }

    #[test]
    fn frame_ends_are_found_for_every_length_form() {
        let mut chunk = Vec::new();
        let mut ends = Vec::new();
        for length in [0, 125, 126, 65_535, 65_536] {
            write_frame(&mut chunk, Opcode::Binary, &vec![0; length]);
            ends.push(chunk.len());
        }
        for (at, expected) in
            [(1, ends[0]), (3, ends[1]), (ends[1], ends[1]), (ends[1] + 1, ends[2]), (ends[3] + 1, ends[4])]
        {
            assert_eq!(frame_end(&chunk, at), expected);
        }
    }
}
