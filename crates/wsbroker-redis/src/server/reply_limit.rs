//! A limit on the replies of a Redis. The client library allocates as much memory for a reply as
//! its length asks for. A hostile or broken server must not decide how much memory we use.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes of one reply. The largest replies hold an envelope, and [the bus](crate::bus) publishes
/// smaller ones.
pub(crate) const LONGEST_REPLY: usize = 64 << 20;
/// Values in one reply. Replies to our commands have a handful, and each confirmed channel is a
/// reply of its own.
const MOST_VALUES: u64 = 1 << 16;
/// Bytes of a line with a length: more than any length takes.
const LONGEST_LENGTH: usize = 24;

/// Follows replies as they arrive, by their lengths alone (RESP2 and RESP3).
#[derive(Debug, Default)]
struct ReplyFollower {
    state: ReplyState,
    /// The bytes of the current reply so far, and the values that are still to come.
    bytes: usize,
    values: u64,
}

#[derive(Debug, Default)]
enum ReplyState {
    /// The next byte says what follows.
    #[default]
    Kind,
    /// A length or a number of values: its kind, and the digits so far.
    Length(u8, Vec<u8>),
    /// The rest of a line.
    Line,
    /// The bytes that are left of a value with a length, the end of its line included.
    Bulk(usize),
}

impl ReplyFollower {
    /// # Errors
    /// The reply is too long, or is no reply at all.
    fn take(&mut self, mut bytes: &[u8]) -> Result<(), &'static str> {
        while let [first, rest @ ..] = bytes {
            if self.bytes == 0 {
                self.values = 1;
            }
            match &mut self.state {
                ReplyState::Bulk(left) => {
                    let count = bytes.len().min(*left);
                    *left -= count;
                    let is_whole = *left == 0;
                    self.count(count)?;
                    bytes = bytes.get(count..).unwrap_or_default();
                    if is_whole {
                        self.value();
                    }
                    continue;
                }
                ReplyState::Line => {
                    let end = bytes.iter().position(|byte| *byte == b'\n');
                    let count = end.map_or(bytes.len(), |end| end + 1);
                    self.count(count)?;
                    bytes = bytes.get(count..).unwrap_or_default();
                    if end.is_some() {
                        self.value();
                    }
                    continue;
                }
                ReplyState::Kind => {
                    self.state = match first {
                        b'+' | b'-' | b':' | b'_' | b',' | b'#' | b'(' => ReplyState::Line,
                        b'$' | b'=' | b'!' | b'*' | b'~' | b'>' | b'%' | b'|' => ReplyState::Length(*first, Vec::new()),
                        _ => return Err("a reply is not in the Redis protocol"),
                    };
                }
                ReplyState::Length(kind, digits) if *first == b'\n' => {
                    let (kind, digits) = (*kind, std::mem::take(digits));
                    self.length(kind, &digits)?;
                }
                ReplyState::Length(_, digits) if digits.len() < LONGEST_LENGTH => digits.push(*first),
                ReplyState::Length(..) => return Err("a length in a reply of Redis cannot be read"),
            }
            self.count(1)?;
            // An empty value is complete with its line.
            if matches!(self.state, ReplyState::Kind) && self.values == 0 {
                self.bytes = 0;
            }
            bytes = rest;
        }
        Ok(())
    }

    fn count(&mut self, bytes: usize) -> Result<(), &'static str> {
        self.bytes += bytes;
        if self.bytes > LONGEST_REPLY { Err(TOO_LONG) } else { Ok(()) }
    }

    /// A value is complete, and with the last one the reply.
    fn value(&mut self) {
        self.state = ReplyState::Kind;
        self.values -= 1;
        if self.values == 0 {
            self.bytes = 0;
        }
    }

    fn length(&mut self, kind: u8, digits: &[u8]) -> Result<(), &'static str> {
        let digits = std::str::from_utf8(digits).unwrap_or_default().trim_end_matches('\r');
        self.state = ReplyState::Kind;
        if digits == "-1" {
            self.values -= 1;
            return Ok(());
        }
        let length: u64 = digits.parse().map_err(|_| "a length in a reply of Redis cannot be read")?;
        match kind {
            b'$' | b'=' | b'!' => {
                let room = (LONGEST_REPLY - self.bytes) as u64;
                if length > room {
                    return Err(TOO_LONG);
                }
                self.state = ReplyState::Bulk(length as usize + 2);
                return Ok(());
            }
            // Attributes: the value follows.
            b'|' => self.values = self.values.saturating_add(length.saturating_mul(2)),
            b'%' => self.values = (self.values - 1).saturating_add(length.saturating_mul(2)),
            _ => self.values = (self.values - 1).saturating_add(length),
        }
        if self.values > MOST_VALUES { Err(TOO_LONG) } else { Ok(()) }
    }
}

const TOO_LONG: &str = "a reply of Redis is longer than 64 MiB, or has more than 65,536 values";

/// A stream that fails at a reply that is too long.
pub(crate) struct BoundedReplies<S> {
    stream: S,
    follower: ReplyFollower,
}

impl<S> BoundedReplies<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, follower: ReplyFollower::default() }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for BoundedReplies<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buf);
        let fresh = buf.filled().get(before..).unwrap_or_default();
        if let Err(error) = self.follower.take(fresh) {
            // The client must not see it, since it would allocate for it.
            buf.set_filled(before);
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
        }
        outcome
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for BoundedReplies<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// Whether the bytes are accepted as complete replies.
    fn between(pieces: &[&[u8]]) -> Result<bool, &'static str> {
        let mut follower = ReplyFollower::default();
        for piece in pieces {
            follower.take(piece)?;
        }
        Ok(matches!(follower.state, ReplyState::Kind) && follower.bytes == 0)
    }

    #[test]
    fn replies_of_every_kind_are_followed_to_their_end() {
        let replies: &[&[u8]] = &[
            b"+OK\r\n",
            b"-ERR no\r\n",
            b":-12\r\n",
            b"_\r\n",
            b",1.5\r\n",
            b"#t\r\n",
            b"(12345678901234567890\r\n",
            b"$-1\r\n",
            b"*-1\r\n",
            b"$0\r\n\r\n",
            b"$5\r\n*1\r\n$\r\n",
            b"=7\r\ntxt:abc\r\n",
            b"!3\r\nERR\r\n",
            b"*0\r\n",
            b"%0\r\n",
            b"*2\r\n*1\r\n:1\r\n$1\r\nx\r\n",
            b"%1\r\n+a\r\n~2\r\n:1\r\n:2\r\n",
            b">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$3\r\nx\r\n\r\n",
            b"|1\r\n+ttl\r\n:1\r\n+OK\r\n",
        ];
        for reply in replies {
            let name = String::from_utf8_lossy(reply);
            assert_eq!(between(&[reply]), Ok(true), "{name}");
            assert_eq!(between(&[reply, reply]), Ok(true), "{name} twice");
            for cut in 1..reply.len() {
                let (first, second) = reply.split_at(cut);
                assert_eq!(between(&[first]), Ok(false), "{name} to {cut}");
                assert_eq!(between(&[first, second]), Ok(true), "{name} cut at {cut}");
            }
        }
    }

    #[test]
    fn what_would_take_too_much_is_refused_at_its_head() {
        assert_eq!(between(&[b"$2147483647\r\n"]), Err(TOO_LONG));
        assert_eq!(between(&[b"$18446744073709551615\r\n"]), Err(TOO_LONG));
        assert_eq!(between(&[b"*2147483647\r\n"]), Err(TOO_LONG));
        assert_eq!(between(&[b"%9223372036854775807\r\n"]), Err(TOO_LONG));
        assert_eq!(between(&[b"*65000\r\n", b"*65000\r\n"]), Err(TOO_LONG), "one in the other");
        assert!(between(&[b"$99999999999999999999999999999999\r\n"]).is_err());
        assert!(
            between(&[b"$-2\r\n"]).is_err()
                && between(&[b"$\r\n"]).is_err()
                && between(&[b"GET / HTTP/1.1\r\n"]).is_err()
        );
        let half = vec![b'x'; LONGEST_REPLY / 2 + 1];
        let head = format!("*2\r\n${}\r\n", half.len());
        assert_eq!(
            between(&[head.as_bytes(), &half, b"\r\n", format!("${}\r\n", half.len()).as_bytes()]),
            Err(TOO_LONG),
            "all together"
        );
        assert_eq!(between(&[b"+", &half, &half]), Err(TOO_LONG), "a line without an end");
    }

    #[test]
    fn a_client_does_not_see_what_it_would_make_room_for() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (ours, mut theirs) = tokio::io::duplex(1024);
            let mut ours = BoundedReplies::new(ours);
            theirs.write_all(b"+OK\r\n").await.unwrap();
            let mut read = [0; 64];
            assert_eq!(ours.read(&mut read).await.unwrap(), 5);
            theirs.write_all(b"$2147483647\r\n").await.unwrap();
            assert_eq!(ours.read(&mut read).await.unwrap_err().to_string(), TOO_LONG);
        });
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd_for_it(pieces in prop::collection::vec(prop::collection::vec(prop::sample::select(&b"$*%|>~+-_:19\r\n x"[..]), 0..20), 0..8)) {
            let mut follower = ReplyFollower::default();
            let _ = pieces.iter().try_for_each(|piece| follower.take(piece));
        }
    }
}
