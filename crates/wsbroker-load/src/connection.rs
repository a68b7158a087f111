//! One connection: its socket, how far it has come, and the bytes that wait in each direction.

use std::io::{ErrorKind, Read, Write};
use std::time::Instant;

use mio::net::TcpStream;

use crate::content::Kind;
use crate::frame::{Header, Opcode};

/// The nonce of RFC 6455, section 1.3, so that the answer to it is known without SHA-1. It guards against
/// caching intermediaries, and a load test has none.
pub(crate) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// No server answers an upgrade with more.
const LONGEST_HEAD: usize = 64 * 1024;
/// What stands for a close frame without a code (RFC 6455, section 7.1.5).
pub(crate) const NO_STATUS: u16 = 1005;

/// Where a connection stands. Only `engine.rs` moves it forward.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Phase {
    /// No socket: not opened yet, or ended.
    Vacant,
    Connecting,
    Handshaking,
    Open,
    /// We have sent a close frame.
    Closing,
}

/// How a connection ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Ending {
    /// With a close frame from the server, or [`NO_STATUS`] where that held no code.
    Close(u16),
    /// The stream ended without one.
    Eof,
    Reset,
    /// By us, without a close frame.
    Cut,
    /// The upgrade was answered with this status instead of 101.
    Refused(u16),
    /// There was no TCP connection, or it ended before the answer.
    Failed(String),
    /// The server broke the protocol.
    Protocol(&'static str),
}

/// One slot of the engine, used again by a later connection once it is vacant.
pub(crate) struct Connection {
    pub(crate) stream: Option<TcpStream>,
    pub(crate) phase: Phase,
    pub(crate) started: Instant,
    /// Bytes received that are no whole frame (or answer) yet.
    pub(crate) inbox: Vec<u8>,
    /// A message of which fragments have come, and more will.
    fragments: Option<(Kind, Vec<u8>)>,
    /// Bytes to send; those before `sent` have gone.
    pub(crate) out: Vec<u8>,
    sent: usize,
    /// On the engine's list of those to flush.
    pub(crate) dirty: bool,
    /// Whether what arrives is read; the `slow` scenario stops it.
    pub(crate) reading: bool,
    /// A write failed: the cause will show when reading.
    pub(crate) deaf: bool,
    pub(crate) close_code: Option<u16>,
}

impl Connection {
    pub(crate) fn vacant() -> Self {
        Self {
            stream: None,
            phase: Phase::Vacant,
            started: Instant::now(),
            inbox: Vec::new(),
            fragments: None,
            out: Vec::new(),
            sent: 0,
            dirty: false,
            reading: true,
            deaf: false,
            close_code: None,
        }
    }

    /// Writes what waits, as far as the socket takes it. Returns the bytes it took.
    pub(crate) fn flush(&mut self) -> usize {
        let Some(stream) = self.stream.as_mut() else {
            self.out.clear();
            return 0;
        };
        let before = self.sent;
        while self.sent < self.out.len() {
            match stream.write(&self.out[self.sent..]) {
                Ok(n) => self.sent += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => {
                    break;
                }
                Err(_) => {
                    self.deaf = true;
                    break;
                }
            }
        }
        let taken = self.sent - before;
        if self.deaf || self.sent == self.out.len() {
            self.out.clear();
            self.sent = 0;
        }
        taken
    }

    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self.stream.as_mut() {
            Some(stream) => stream.read(buffer),
            None => Err(ErrorKind::WouldBlock.into()),
        }
    }

    /// Takes a data frame; returns the message if it is whole now.
    ///
    /// # Errors
    /// The fragments are out of place (RFC 6455, section 5.4).
    pub(crate) fn gather(&mut self, header: Header, payload: &[u8]) -> Result<Option<(Kind, Vec<u8>)>, &'static str> {
        let kind = match header.opcode {
            Opcode::Text => Kind::Text,
            Opcode::Binary => Kind::Binary,
            _ => {
                let (_, gathered) = self.fragments.as_mut().ok_or("a continuation of nothing")?;
                gathered.extend_from_slice(payload);
                return Ok(if header.fin { self.fragments.take() } else { None });
            }
        };
        if self.fragments.is_some() {
            return Err("a new message began inside a fragmented one");
        }
        self.fragments = Some((kind, payload.to_vec()));
        Ok(None)
    }

    /// Whether a whole data frame is a message by itself, so that [`Self::gather`] need not copy it.
    pub(crate) fn is_whole(&self, header: Header) -> bool {
        header.fin && header.opcode != Opcode::Continuation && self.fragments.is_none()
    }
}

/// Reads the answer to an upgrade request: its length when it is a whole and right 101, `None` when more must come.
///
/// # Errors
/// How the connection ends because of it.
pub(crate) fn parse_answer(bytes: &[u8]) -> Result<Option<usize>, Ending> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return if bytes.len() > LONGEST_HEAD { Err(Ending::Protocol("the answer has no end")) } else { Ok(None) };
    };
    let head = str::from_utf8(&bytes[..end]).map_err(|_| Ending::Protocol("the answer is no text"))?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 "));
    let status: Option<u16> = status.and_then(|status| status.get(..3)?.parse().ok());
    match status {
        Some(101) => {}
        Some(status) => return Err(Ending::Refused(status)),
        None => return Err(Ending::Protocol("the answer is not HTTP/1.1")),
    }
    let accept = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-accept").then(|| value.trim())
    });
    if accept != Some(ACCEPT) {
        return Err(Ending::Protocol("Sec-WebSocket-Accept does not answer the key"));
    }
    Ok(Some(end + 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_when_whole_and_right() {
        let right = format!("HTTP/1.1 101 Switching Protocols\r\nsec-websocket-ACCEPT: {ACCEPT}\r\n\r\n");
        assert_eq!(parse_answer(right.as_bytes()), Ok(Some(right.len())));
        assert_eq!(parse_answer(&right.as_bytes()[..right.len() - 1]), Ok(None));
        assert_eq!(parse_answer(b"HTTP/1.1 503 Busy\r\n\r\n"), Err(Ending::Refused(503)));
        let wrong = b"HTTP/1.1 101 X\r\nSec-WebSocket-Accept: AAAA\r\n\r\n";
        assert!(matches!(parse_answer(wrong), Err(Ending::Protocol(_))));
    }

    #[test]
    fn fragments_become_one_message() {
        let mut connection = Connection::vacant();
        let header = |opcode, fin| Header { fin, opcode, length: 2, payload: 1 };
        assert_eq!(connection.gather(header(Opcode::Text, false), b"a"), Ok(None));
        assert!(!connection.is_whole(header(Opcode::Text, true)));
        assert_eq!(connection.gather(header(Opcode::Continuation, false), b"b"), Ok(None));
        assert_eq!(
            connection.gather(header(Opcode::Continuation, true), b"c"),
            Ok(Some((Kind::Text, b"abc".to_vec())))
        );
        assert!(connection.gather(header(Opcode::Continuation, true), b"d").is_err());
    }
}
