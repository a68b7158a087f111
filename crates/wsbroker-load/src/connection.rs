//! One connection: its socket, how far it has come, and the bytes that wait in each direction.

use std::io::ErrorKind;
use std::time::Instant;

use crate::extension::Agreement;
use crate::frame::MessageKind;
use crate::frame::{Header, Opcode};
use crate::wire::Wire;

/// The nonce of RFC 6455, section 1.3, so that the right answer is known without SHA-1. A nonce
/// guards against caching intermediaries, and a load test has none.
pub(crate) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// No server answers an upgrade with a longer head.
const LONGEST_HEAD: usize = 64 * 1024;
/// Represents a close frame without a code (RFC 6455, section 7.1.5).
pub(crate) const NO_STATUS: u16 = 1005;

/// How far a connection has come. Only `engine` moves it forward.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ConnectionPhase {
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
    /// With a close frame from the server, or [`NO_STATUS`] if that held no code.
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

/// A message joined from fragments.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct JoinedMessage {
    pub(crate) kind: MessageKind,
    pub(crate) compressed: bool,
    pub(crate) payload: Vec<u8>,
}

/// Compression on one connection.
#[derive(Debug)]
pub(crate) struct Deflate {
    pub(crate) agreement: Agreement,
    /// The last bytes that the server sent, if it may refer to them.
    pub(crate) history: Vec<u8>,
}

/// One slot of the engine, used again by a later connection once it is vacant.
pub(crate) struct Connection {
    pub(crate) wire: Option<Wire>,
    pub(crate) phase: ConnectionPhase,
    pub(crate) started: Instant,
    /// Bytes received that are not a whole frame (or answer) yet.
    pub(crate) inbox: Vec<u8>,
    /// The fragments of a message that is not complete yet.
    fragments: Option<JoinedMessage>,
    /// Compression, if it was agreed.
    pub(crate) deflate: Option<Deflate>,
    /// Bytes to send; those before `sent` are sent.
    pub(crate) out: Vec<u8>,
    sent: usize,
    /// On the engine's list of those to flush.
    pub(crate) dirty: bool,
    /// Whether what arrives is read; the `slow` scenario stops it.
    pub(crate) reading: bool,
    /// A write failed: the cause will show when reading.
    pub(crate) write_failed: bool,
    pub(crate) close_code: Option<u16>,
}

impl Connection {
    pub(crate) fn vacant() -> Self {
        Self {
            wire: None,
            phase: ConnectionPhase::Vacant,
            started: Instant::now(),
            inbox: Vec::new(),
            fragments: None,
            deflate: None,
            out: Vec::new(),
            sent: 0,
            dirty: false,
            reading: true,
            write_failed: false,
            close_code: None,
        }
    }

    /// Writes as much as the socket takes. Returns how many bytes that was.
    pub(crate) fn flush(&mut self) -> usize {
        let Some(wire) = self.wire.as_mut() else {
            self.out.clear();
            return 0;
        };
        let before = self.sent;
        let mut result = wire.push();
        while result.is_ok() && self.sent < self.out.len() {
            match wire.write(&self.out[self.sent..]) {
                Ok(0) => break,
                Ok(n) => self.sent += n,
                Err(error) => result = Err(error),
            }
        }
        self.write_failed |=
            result.is_err_and(|e| !matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected));
        let taken = self.sent - before;
        if self.write_failed || self.sent == self.out.len() {
            self.out.clear();
            self.sent = 0;
        }
        taken
    }

    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self.wire.as_mut() {
            Some(wire) => wire.read(buffer),
            None => Err(ErrorKind::WouldBlock.into()),
        }
    }

    /// Takes a data frame; returns the message if it is whole now.
    ///
    /// # Errors
    /// The fragments come in the wrong order (RFC 6455, section 5.4).
    pub(crate) fn gather(&mut self, header: Header, payload: &[u8]) -> Result<Option<JoinedMessage>, &'static str> {
        let kind = match header.opcode {
            Opcode::Text => MessageKind::Text,
            Opcode::Binary => MessageKind::Binary,
            _ => {
                let gathered = self.fragments.as_mut().ok_or("a continuation of nothing")?;
                gathered.payload.extend_from_slice(payload);
                return Ok(if header.fin { self.fragments.take() } else { None });
            }
        };
        if self.fragments.is_some() {
            return Err("a new message began inside a fragmented one");
        }
        self.fragments = Some(JoinedMessage { kind, compressed: header.compressed, payload: payload.to_vec() });
        Ok(None)
    }

    /// Whether a whole data frame is a message by itself, so that [`Self::gather`] need not copy
    /// it.
    pub(crate) fn is_whole(&self, header: Header) -> bool {
        header.fin && header.opcode != Opcode::Continuation && self.fragments.is_none()
    }
}

/// A 101.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct UpgradeResponse {
    pub(crate) length: usize,
    pub(crate) deflate: Option<Agreement>,
}

/// Reads the answer to an upgrade request that made this offer; `None` if it is not complete yet.
///
/// # Errors
/// How the connection ends, because the answer is not a correct 101.
pub(crate) fn parse_response(bytes: &[u8], offer: Option<&str>) -> Result<Option<UpgradeResponse>, Ending> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return if bytes.len() > LONGEST_HEAD { Err(Ending::Protocol("the answer has no end")) } else { Ok(None) };
    };
    let head = str::from_utf8(&bytes[..end]).map_err(|_| Ending::Protocol("the answer is no text"))?;
    let (line, fields) = head.split_once("\r\n").unwrap_or((head, ""));
    let status = Some(line).and_then(|line| line.strip_prefix("HTTP/1.1 "));
    let status: Option<u16> = status.and_then(|status| status.get(..3)?.parse().ok());
    match status {
        Some(101) => {}
        Some(status) => return Err(Ending::Refused(status)),
        None => return Err(Ending::Protocol("the answer is not HTTP/1.1")),
    }
    if field(fields, "sec-websocket-accept") != Some(ACCEPT) {
        return Err(Ending::Protocol("Sec-WebSocket-Accept does not answer the key"));
    }
    let extension = field(fields, "sec-websocket-extensions").map(|extension| Agreement::parse(extension, offer));
    Ok(Some(UpgradeResponse { length: end + 4, deflate: extension.transpose().map_err(Ending::Protocol)? }))
}

/// The value of the first field with that name.
fn field<'a>(fields: &'a str, name: &str) -> Option<&'a str> {
    fields.split("\r\n").find_map(|line| {
        let (is, value) = line.split_once(':')?;
        is.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_when_whole_and_right() {
        let right = format!("HTTP/1.1 101 Switching Protocols\r\nsec-websocket-ACCEPT: {ACCEPT}\r\n\r\n");
        let answer = UpgradeResponse { length: right.len(), deflate: None };
        assert_eq!(parse_response(right.as_bytes(), None), Ok(Some(answer)));
        assert_eq!(parse_response(&right.as_bytes()[..right.len() - 1], None), Ok(None));
        assert_eq!(parse_response(b"HTTP/1.1 503 Busy\r\n\r\n", None), Err(Ending::Refused(503)));
        let wrong = b"HTTP/1.1 101 X\r\nSec-WebSocket-Accept: AAAA\r\n\r\n";
        assert!(matches!(parse_response(wrong, None), Err(Ending::Protocol(_))));
    }

    #[test]
    fn compression_is_agreed_only_when_it_was_offered() {
        let answer = format!(
            "HTTP/1.1 101 X\r\nSec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Accept: {ACCEPT}\r\n\r\n"
        );
        assert!(matches!(parse_response(answer.as_bytes(), None), Err(Ending::Protocol(_))));
        let taken = parse_response(answer.as_bytes(), Some("permessage-deflate"));
        assert!(matches!(taken, Ok(Some(UpgradeResponse { deflate: Some(_), .. }))), "{taken:?}");
    }

    #[test]
    fn fragments_become_one_message() {
        let mut connection = Connection::vacant();
        let header = |opcode, fin| Header { fin, compressed: false, opcode, length: 2, payload: 1 };
        assert_eq!(connection.gather(header(Opcode::Text, false), b"a"), Ok(None));
        assert!(!connection.is_whole(header(Opcode::Text, true)));
        assert_eq!(connection.gather(header(Opcode::Continuation, false), b"b"), Ok(None));
        assert_eq!(
            connection.gather(header(Opcode::Continuation, true), b"c"),
            Ok(Some(JoinedMessage { kind: MessageKind::Text, compressed: false, payload: b"abc".to_vec() }))
        );
        assert!(connection.gather(header(Opcode::Continuation, true), b"d").is_err());
    }
}
