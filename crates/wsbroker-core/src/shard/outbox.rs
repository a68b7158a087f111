//! What waits to be written to one connection: bounded, coalesced, in frame order.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
};

use bytes::Bytes;
use wsbroker_proto::{CloseCode, Opcode, write_close, write_frame};

use crate::{channel_protocol, stream::Stream, tls::TlsScratch};

/// Up to this size a frame is copied next to its neighbours; a larger one is shared and written
/// with `writev`. A copy of this size costs a tenth of the system call that it saves.
pub(super) const COPY_MAX: usize = 4 << 10;
/// Copied frames gather in chunks of about this size.
const CHUNK: usize = 32 << 10;
/// Room for some small frames, which is taken at once.
const FIRST_ROOM: usize = 256;
/// A chunk that was kept for use again is at most this large.
const SPARE_MAX: usize = 128 << 10;
/// So many chunks are kept: a publish to thousands needs one for each of them at the same time.
const SPARE_COUNT: usize = 4096;
/// What they take together.
const SPARE_BYTES: usize = 8 << 20;
const SLICES: usize = 64;
/// Bytes after which a write ends, although the kernel takes more: a fast reader of a long message
/// does not hold up the others.
const WRITE_MAX: usize = 4 << 20;

/// Frames that wait for the kernel.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pieces: VecDeque<Piece>,
    len: usize,
    /// Bytes that the stream has taken and the kernel has not.
    unsent: usize,
    /// A place in the first piece between two frames: what lies before it has been begun, or is no
    /// frame, and has to go out. It is moved behind what has been written when it is needed.
    edge: usize,
    /// The last piece is a close frame.
    closes: bool,
    /// While the kernel takes nothing, of pongs only the newest waits (RFC 6455 §5.5.3 allows
    /// that); it goes out before what was not begun.
    pong: Option<Box<[u8]>>,
    /// That pong has stood among the frames, so that those still there are newer.
    pong_was_queued: bool,
    /// The answer to a ping of `wsbroker.v1` goes out before what was not begun.
    text_pong: bool,
    /// What is appended now must not be dropped for something newer.
    keeps: bool,
    /// What is appended now has memory for itself, that others share.
    shares: bool,
}

/// Frames, whole but for what was written of the first.
#[derive(Debug)]
struct Piece {
    chunk: Chunk,
    /// What lies before has been written, or dropped.
    from: usize,
    /// Frames of channels with history, which are not dropped for something newer.
    kept: bool,
}

impl Piece {
    fn new(chunk: Chunk) -> Self {
        Self { chunk, from: 0, kept: false }
    }

    fn rest(&self) -> &[u8] {
        self.chunk.bytes().get(self.from..).unwrap_or_default()
    }

    fn end(&self) -> usize {
        self.chunk.bytes().len()
    }

    fn truncate(&mut self, end: usize) {
        match &mut self.chunk {
            Chunk::Copied(bytes) => bytes.truncate(end),
            Chunk::Shared(bytes) => bytes.truncate(end),
        }
    }
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
    /// The kernel has taken so much that others have their turn before it is asked again.
    Enough,
    /// The kernel takes no more; the rest waits.
    Blocked,
    /// The connection is gone.
    Lost,
}

/// What all connections of a shard write with: buffers that are between uses.
#[derive(Debug)]
pub(super) struct Spare {
    chunks: Vec<Vec<u8>>,
    /// The capacity of these.
    bytes: usize,
    scratch: TlsScratch,
    /// [`WRITE_MAX`], but for tests.
    pub(super) write_max: usize,
}

impl Default for Spare {
    fn default() -> Self {
        Self { chunks: Vec::new(), bytes: 0, scratch: TlsScratch::default(), write_max: WRITE_MAX }
    }
}

impl Spare {
    fn take(&mut self, room: usize) -> Vec<u8> {
        let Some(mut buffer) = self.chunks.pop() else { return Vec::with_capacity(room.max(FIRST_ROOM)) };
        self.bytes -= buffer.capacity();
        buffer.reserve(room);
        buffer
    }

    fn give(&mut self, mut buffer: Vec<u8>) {
        let capacity = buffer.capacity();
        if self.chunks.len() < SPARE_COUNT && capacity <= SPARE_MAX && self.bytes + capacity <= SPARE_BYTES {
            buffer.clear();
            self.bytes += capacity;
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
            // A small part of an arena must not keep all of it for as long as a slow reader takes.
            let alone = !waits || self.shares || frame.len() >= 64 << 10;
            let frame = if alone { arena.slice(start..end) } else { Bytes::copy_from_slice(frame) };
            self.pieces.push_back(Piece { kept: self.keeps, ..Piece::new(Chunk::Shared(frame)) });
        }
    }

    /// What is appended until [`end_entry`](Self::end_entry) is an entry of a history, which has
    /// memory for itself. `keeps`: it must not be dropped for something newer.
    pub(super) fn begin_entry(&mut self, keeps: bool) {
        self.shares = true;
        self.keeps = keeps;
    }

    pub(super) fn end_entry(&mut self) {
        self.shares = false;
        self.keeps = false;
    }

    /// Appends a copy of whole frames.
    pub(super) fn push_copy(&mut self, frames: &[u8], spare: &mut Spare) {
        self.len += frames.len();
        if let Some(Piece { chunk: Chunk::Copied(last), kept, .. }) = self.pieces.back_mut()
            && last.len() + frames.len() <= CHUNK
            && *kept == self.keeps
        {
            last.extend_from_slice(frames);
            return;
        }
        let mut chunk = spare.take(frames.len());
        chunk.extend_from_slice(frames);
        self.pieces.push_back(Piece { kept: self.keeps, ..Piece::new(Chunk::Copied(chunk)) });
    }

    /// Puts what is no frame before everything else. Only while nothing has been written.
    pub(super) fn push_front(&mut self, bytes: Vec<u8>) {
        debug_assert_eq!(self.edge, 0);
        self.len += bytes.len();
        self.edge = bytes.len();
        self.pieces.push_front(Piece::new(Chunk::Copied(bytes)));
    }

    /// Appends a close frame, the last of all; returns its length.
    pub(super) fn push_close(&mut self, code: Option<CloseCode>, reason: &str) -> usize {
        let mut frame = Vec::with_capacity(128);
        write_close(&mut frame, code, reason);
        let length = frame.len();
        self.len += length;
        self.closes = true;
        self.pieces.push_back(Piece::new(Chunk::Copied(frame)));
        length
    }

    /// Queues a ping before everything that was not begun: behind all of it, it would ask too late.
    /// Returns its length, 0 when one waits there already.
    pub(super) fn push_ping(&mut self) -> usize {
        let mut frame = Vec::with_capacity(2);
        write_frame(&mut frame, Opcode::Ping, b"");
        let (at, length) = (self.set_begun_apart(), frame.len());
        if self.pieces.get(at).is_some_and(|next| next.rest().starts_with(&frame)) {
            return 0;
        }
        self.insert(at, frame);
        length
    }

    /// Puts a frame at a place that [`set_begun_apart`](Self::set_begun_apart) has returned.
    fn insert(&mut self, at: usize, frame: Vec<u8>) {
        self.len += frame.len();
        if at == 0 {
            self.edge = 0;
        }
        self.pieces.insert(at, Piece::new(Chunk::Copied(frame)));
    }

    /// Appends the answer to a ping. It takes the place of one that waited longer than it.
    pub(super) fn push_pong(&mut self, payload: &[u8], spare: &mut Spare) {
        self.pong = None;
        let mut frame = Vec::with_capacity(payload.len() + 2);
        write_frame(&mut frame, Opcode::Pong, payload);
        self.push_copy(&frame, spare);
    }

    /// Answers a ping once the kernel takes something again, in place of an answer that waited for
    /// that.
    pub(super) fn set_pong(&mut self, payload: &[u8]) {
        self.pong = Some(payload.into());
        self.pong_was_queued = false;
    }

    /// Answers a ping of `wsbroker.v1` with the next write. Several until then get one answer.
    pub(super) fn set_text_pong(&mut self) {
        self.text_pong = true;
    }

    /// Moves the edge behind what has been written.
    fn find_edge(&mut self) {
        let Some(first) = self.pieces.front() else { return };
        while self.edge < first.from {
            self.edge = frame_at(first.chunk.bytes(), self.edge).1;
        }
    }

    /// Drops what was not begun to be written, but for the close frame; what was begun is finished.
    /// Returns the bytes dropped.
    pub(super) fn discard_unsent(&mut self) -> usize {
        self.pong = None;
        self.text_pong = false;
        self.find_edge();
        let before = self.len;
        let close = if self.closes { self.pieces.pop_back() } else { None };
        let mut begun = self.pieces.pop_front();
        if let Some(first) = &mut begun {
            first.truncate(self.edge);
        }
        // A new one, since the old one may be large.
        self.pieces = begun.filter(|first| first.from < first.end()).into_iter().chain(close).collect();
        self.len = self.pieces.iter().map(|piece| piece.rest().len()).sum();
        self.edge = self.pieces.front().map_or(0, Piece::end);
        before - self.len
    }

    /// Drops the messages that have waited longest and were not begun, until fewer bytes wait than
    /// `limit` or there are none. Returns how many. Control frames stay, of pongs the newest.
    pub(super) fn drop_oldest(&mut self, limit: usize, spare: &mut Spare) -> u64 {
        if self.closes {
            return 0;
        }
        let begun = self.set_begun_apart();
        let mut at = begun;
        let mut dropped = 0;
        let mut pinged = false;
        while self.len() >= limit {
            let Some(piece) = self.pieces.get_mut(at) else { break };
            if piece.kept {
                at += 1;
                continue;
            }
            let bytes = piece.chunk.bytes();
            let (header, end) = frame_at(bytes, piece.from);
            let opcode = bytes.get(piece.from).map_or(0, |first| first & 0x0f);
            if opcode == Opcode::Pong as u8 && (self.pong.is_none() || self.pong_was_queued) {
                self.pong = bytes.get(header..end).map(Into::into);
                self.pong_was_queued = true;
            }
            self.len -= end - piece.from;
            piece.from = end;
            if end == piece.end()
                && let Some(Piece { chunk: Chunk::Copied(buffer), .. }) = self.pieces.remove(at)
            {
                spare.give(buffer);
            }
            if opcode == Opcode::Ping as u8 {
                pinged = true;
            } else if opcode != Opcode::Pong as u8 {
                dropped += 1;
            }
        }
        if begun == 0 {
            self.edge = self.pieces.front().map_or(0, |first| first.from);
        }
        if pinged {
            self.push_ping();
        }
        dropped
    }

    /// Gives what must go out a piece of its own. Returns the place of the piece behind it.
    fn set_begun_apart(&mut self) -> usize {
        self.find_edge();
        let Some(first) = self.pieces.front_mut() else { return 0 };
        if first.from == self.edge {
            return 0;
        }
        if self.edge < first.end() {
            // A large frame is alone in its piece, so this is short.
            let begun = first.chunk.bytes().get(first.from..self.edge).unwrap_or_default().to_vec();
            first.from = self.edge;
            self.edge = begun.len();
            let kept = first.kept;
            self.pieces.push_front(Piece { kept, ..Piece::new(Chunk::Copied(begun)) });
        }
        1
    }

    /// Drops everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Writes as much as the kernel takes, and adds it to `taken`; [`len`](Self::len) tells what is
    /// left.
    pub(super) fn write(&mut self, stream: &mut Stream, spare: &mut Spare, taken: &mut u64) -> Written {
        let written = self.write_chunks(stream, spare, taken);
        self.unsent = stream.unsent();
        written
    }

    fn write_chunks(&mut self, stream: &mut Stream, spare: &mut Spare, taken: &mut u64) -> Written {
        if let Some(pong) = self.pong.take() {
            let mut frame = spare.take(pong.len() + 2);
            write_frame(&mut frame, Opcode::Pong, &pong);
            let at = self.set_begun_apart();
            self.insert(at, frame);
        }
        if std::mem::take(&mut self.text_pong) {
            let at = self.set_begun_apart();
            self.insert(at, channel_protocol::pong());
        }
        let mut room = spare.write_max;
        loop {
            if self.pieces.is_empty() {
                return match stream.flush() {
                    Ok(()) => Written::All,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => Written::Blocked,
                    Err(_) => Written::Lost,
                };
            }
            let result = if self.pieces.len() == 1 {
                stream.write(self.pieces.front().map_or(&[][..], Piece::rest), &mut spare.scratch)
            } else {
                let mut slices = [IoSlice::new(&[]); SLICES];
                for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
                    *slice = IoSlice::new(piece.rest());
                }
                let count = self.pieces.len().min(SLICES);
                stream.write_vectored(slices.get(..count).unwrap_or_default(), &mut spare.scratch)
            };
            match result {
                Ok(0) => return Written::Lost,
                Ok(count) => {
                    *taken += count as u64;
                    self.advance(count, spare);
                    room = room.saturating_sub(count);
                    if room == 0 && !self.pieces.is_empty() {
                        return Written::Enough;
                    }
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
            let Some(first) = self.pieces.front_mut() else { return };
            let left = first.end() - first.from;
            if count < left {
                first.from += count;
                return;
            }
            count -= left;
            if let Some(Piece { chunk: Chunk::Copied(buffer), .. }) = self.pieces.pop_front() {
                spare.give(buffer);
            }
            self.edge = self.pieces.front().map_or(0, |next| next.from);
        }
    }

    /// Copies shared frames that may have to wait long, so that they do not keep a whole arena
    /// alive. Frames of that size and up have an arena to themselves.
    fn unshare(&mut self) {
        for piece in &mut self.pieces {
            if let Chunk::Shared(bytes) = &mut piece.chunk
                && bytes.len() < 64 << 10
                && !bytes.is_unique()
            {
                *bytes = Bytes::copy_from_slice(bytes);
            }
        }
    }
}

/// Where the payload of the frame begins that begins at `at`, and where it ends.
fn frame_at(bytes: &[u8], at: usize) -> (usize, usize) {
    let (header, length) = match bytes.get(at..).unwrap_or_default() {
        [_, 126, a, b, ..] => (4, usize::from(u16::from_be_bytes([*a, *b]))),
        [_, 127, a, b, c, d, e, f, g, h, ..] => (10, u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]) as usize),
        [_, short, ..] => (2, usize::from(short & 0x7f)),
        _ => (2, 0),
    };
    // The frames are our own, so none is cut short. The end is beyond the start in any case, so
    // that a walk from frame to frame comes to an end.
    let payload = at + header;
    (payload, payload.saturating_add(length).min(bytes.len()).max(at + 1))
}

#[cfg(test)]
mod tests;
