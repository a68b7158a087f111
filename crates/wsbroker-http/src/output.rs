//! Bytes that wait to be written, to either side: heads, and bodies in the framing of that side.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use tokio::io::AsyncWrite;

/// Pieces of a body up to this length are copied behind what waits, so that they go out in one
/// write.
const COPIED: usize = 8 << 10;
/// What may wait before the next piece is taken.
const WAITING: usize = 16 << 10;
/// Room that is kept for the next message.
const KEPT: usize = 4 << 10;

/// What waits to be written.
#[derive(Debug, Default)]
pub(crate) struct Output {
    before: BytesMut,
    piece: Bytes,
    behind: &'static [u8],
}

impl Output {
    /// Whether another piece of a body may be put in.
    pub(crate) fn has_room(&self) -> bool {
        self.piece.is_empty() && self.behind.is_empty() && self.before.len() < WAITING
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.before.is_empty() && self.piece.is_empty() && self.behind.is_empty()
    }

    /// How many bytes wait.
    pub(crate) fn len(&self) -> usize {
        self.before.len() + self.piece.len() + self.behind.len()
    }

    /// Forgets what waits. Much room is given back.
    pub(crate) fn clear(&mut self) {
        self.piece = Bytes::new();
        self.behind = &[];
        self.before.clear();
        if self.before.capacity() > KEPT {
            self.before = BytesMut::new();
        }
    }

    /// Writes some of it.
    pub(crate) fn poll_write_to<W: AsyncWrite + Unpin>(
        &mut self,
        write: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let written = if self.piece.is_empty() {
            self.flatten();
            ready!(Pin::new(write).poll_write(cx, &self.before))?
        } else {
            let slices = [&*self.before, &*self.piece, self.behind].map(IoSlice::new);
            // A writer may take the first slice only, and must not be given an empty one.
            let slices = if self.before.is_empty() { &slices[1..] } else { &slices };
            ready!(Pin::new(write).poll_write_vectored(cx, slices))?
        };
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.advance(written);
        Poll::Ready(Ok(written))
    }

    fn advance(&mut self, mut written: usize) {
        let of_before = written.min(self.before.len());
        self.before.advance(of_before);
        written -= of_before;
        let of_piece = written.min(self.piece.len());
        self.piece.advance(of_piece);
        if self.piece.is_empty() {
            // What it lies in is used again for the next when nobody holds it.
            self.piece = Bytes::new();
        }
        self.behind = &self.behind[(written - of_piece).min(self.behind.len())..];
    }

    /// Takes `length` bytes from the front of `source`, as a piece of a body. To be called only
    /// while there [is room](Self::has_room).
    pub(crate) fn take(&mut self, source: &mut BytesMut, length: usize, chunked: bool) {
        if length <= COPIED {
            self.open_chunk(length, chunked);
            self.put(&source[..length]);
            source.advance(length);
            if chunked {
                self.put(b"\r\n");
            }
        } else {
            self.piece(source.split_to(length).freeze(), chunked);
        }
    }

    /// A piece of a body. To be called only while there [is room](Self::has_room).
    pub(crate) fn piece(&mut self, piece: Bytes, chunked: bool) {
        if piece.is_empty() {
            return;
        }
        self.open_chunk(piece.len(), chunked);
        let end: &[u8] = if chunked { b"\r\n" } else { b"" };
        if piece.len() <= COPIED {
            self.put(&piece);
            self.put(end);
        } else {
            self.piece = piece;
            self.behind = end;
        }
    }

    fn open_chunk(&mut self, length: usize, chunked: bool) {
        if chunked {
            self.put(format!("{length:x}\r\n").as_bytes());
        }
    }

    /// The end of a chunked body, with the trailer fields that the decoder let through.
    pub(crate) fn last_chunk(&mut self, trailers: Option<&HeaderMap>) {
        // What waits in front has to stay in front.
        self.flatten();
        self.put(b"0\r\n");
        for (name, value) in trailers.into_iter().flatten() {
            self.field(name.as_str(), value.as_bytes());
        }
        self.put(b"\r\n");
    }

    fn flatten(&mut self) {
        self.before.extend_from_slice(&std::mem::take(&mut self.piece));
        self.before.extend_from_slice(std::mem::take(&mut self.behind));
    }

    /// To be called with what is about to be put in, so that it is moved once at most.
    pub(crate) fn reserve(&mut self, room: usize) {
        self.before.reserve(room);
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.before.extend_from_slice(bytes);
    }

    /// A header field, whose name is written in lower case.
    pub(crate) fn field(&mut self, name: &str, value: &[u8]) {
        let start = self.before.len();
        self.put(name.as_bytes());
        self.before[start..].make_ascii_lowercase();
        self.put(b": ");
        self.put(value);
        self.put(b"\r\n");
    }

    /// A number in decimal.
    pub(crate) fn number(&mut self, number: u64) {
        self.put(itoa::Buffer::new().format(number).as_bytes());
    }

    /// Puts another head in front, instead of the first `length` bytes. Nothing has been written
    /// of them.
    pub(crate) fn replace_head(&mut self, length: usize, head: Self) {
        let mut before = head.before;
        before.extend_from_slice(&self.before[length.min(self.before.len())..]);
        self.before = before;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_comes_out_in_order_however_little_is_taken() {
        let mut output = Output::default();
        output.put(b"head ");
        output.number(0);
        output.number(18_446_744_073_709_551_615);
        let mut source = BytesMut::from(&b"abcdef"[..]);
        output.take(&mut source, 3, true);
        output.take(&mut source, 3, false);
        let large = vec![b'x'; COPIED + 1];
        assert!(output.has_room());
        output.take(&mut BytesMut::from(&large[..]), large.len(), true);
        assert!(!output.has_room());
        output.last_chunk(None);
        let text = String::from_utf8(large).unwrap();
        let expected = format!("head 0184467440737095516153\r\nabc\r\ndef2001\r\n{text}\r\n0\r\n\r\n");
        assert_eq!(output.len(), expected.len());
        let (mut got, mut cx) = (Vec::new(), Context::from_waker(std::task::Waker::noop()));
        while !output.is_empty() {
            let mut some = Some3(Vec::new());
            let Poll::Ready(written) = output.poll_write_to(&mut some, &mut cx) else { panic!("it is never full") };
            assert_eq!(written.unwrap(), some.0.len());
            got.extend(some.0);
        }
        assert!(got == expected.as_bytes());
    }

    #[test]
    fn a_head_is_replaced_and_what_waits_behind_it_stays() {
        let (mut output, mut head) = (Output::default(), Output::default());
        output.put(b"old head, body");
        head.put(b"a longer new head");
        output.replace_head(8, head);
        assert_eq!(output.before, "a longer new head, body");
    }

    /// Takes three bytes.
    struct Some3(Vec<u8>);

    impl AsyncWrite for Some3 {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            let taken = &bytes[..bytes.len().min(3)];
            self.0.extend_from_slice(taken);
            Poll::Ready(Ok(taken.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }
}
