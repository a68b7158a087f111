//! The head of a request: bytes in, a [`Request`] or a [`Refusal`] out. No sockets, no clocks.
//!
//! Stricter than httparse alone, because bytes that a proxy before us reads differently allow
//! request smuggling: every line ends in CR LF (RFC 9112 §2.2), no header is folded (§5.2), and
//! there is no control character. Such bytes are refused as soon as they are seen, so that a TLS
//! client on a plain port does not wait for the deadline.

use bytes::{BufMut, BytesMut};

use super::{host::is_host, response::Refusal};
use crate::open::OpenRequest;

/// Headers of one request; more are answered with 431.
pub(super) const MAX_HEADERS: usize = 100;
/// Room for the head of most browsers, taken with the first read.
const FIRST_ROOM: usize = 1024;
/// Room that an idle connection keeps for its next request.
const KEPT_ROOM: usize = 4 << 10;

/// Gathers a head from whatever pieces it comes in.
#[derive(Debug)]
pub(super) struct HeadBuffer {
    bytes: Vec<u8>,
    scanned: usize,
    line: LinePosition,
    limit: usize,
}

/// The position of the last byte in its line.
#[derive(Clone, Copy, Debug)]
enum LinePosition {
    /// Before the request line; empty lines are skipped there (RFC 9112 §2.2).
    Leading,
    LeadingCr,
    Within,
    Cr,
    Start,
    LastCr,
    /// The empty line is complete.
    End,
}

impl HeadBuffer {
    /// `limit`: bytes of request line and headers together.
    pub(super) fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), scanned: 0, line: LinePosition::Leading, limit }
    }

    /// Where to read into: what the limit leaves. Empty only when
    /// [`is_complete`](Self::is_complete) would not ask for more.
    pub(super) fn room(&mut self) -> impl BufMut + '_ {
        let left = self.limit.saturating_sub(self.bytes.len());
        if self.bytes.len() == self.bytes.capacity() {
            // Exactly: what grows by itself may grow beyond the limit.
            self.bytes.reserve_exact(left.min(self.bytes.capacity().max(FIRST_ROOM)));
        }
        (&mut self.bytes).limit(left)
    }

    /// Bytes of memory that it takes.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Looks at what has come since the last call. False when more bytes are needed.
    ///
    /// # Errors
    /// 400 at the first byte that no request can have there, 431 when the limit is reached before
    /// the end.
    pub(super) fn is_complete(&mut self) -> Result<bool, Refusal> {
        for &byte in self.bytes.get(self.scanned..).unwrap_or_default() {
            self.line = self.line.after(byte)?;
            self.scanned += 1;
            if matches!(self.line, LinePosition::End) {
                return Ok(true);
            }
        }
        if self.bytes.len() >= self.limit { Err(Refusal::HEAD_TOO_LARGE) } else { Ok(false) }
    }

    /// The head's bytes, once [`is_complete`](Self::is_complete) said so.
    pub(super) fn head(&self) -> &[u8] {
        &self.bytes[..self.scanned.min(self.bytes.len())]
    }

    /// Takes what was read behind the head away.
    pub(super) fn take_behind(&mut self, into: &mut BytesMut) {
        into.extend_from_slice(self.bytes.get(self.scanned..).unwrap_or_default());
        self.bytes.truncate(self.scanned);
    }

    /// Whether nothing has been read.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Forgets the head, for that of the next request: it begins with what was read behind it. Much
    /// room is given back.
    pub(super) fn restart(&mut self) {
        self.bytes.drain(..self.scanned.min(self.bytes.len()));
        if self.bytes.capacity() > KEPT_ROOM {
            self.bytes = self.bytes.as_slice().to_vec();
        }
        (self.scanned, self.line) = (0, LinePosition::Leading);
    }

    /// Puts what was read elsewhere behind what is here.
    pub(super) fn extend(&mut self, read: &[u8]) {
        self.bytes.extend_from_slice(read);
    }

    /// The head's bytes, and those behind it. To be called once [`is_complete`](Self::is_complete)
    /// said so.
    pub(super) fn into_parts(mut self) -> (Vec<u8>, Vec<u8>) {
        let rest = self.bytes.split_off(self.scanned.min(self.bytes.len()));
        (self.bytes, rest)
    }

    /// The request, and the bytes behind it. To be called once [`is_complete`](Self::is_complete)
    /// said so.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn finish(self) -> Result<(Request, Vec<u8>), Refusal> {
        let (head, rest) = self.into_parts();
        Ok((Request::parse(&head)?, rest))
    }
}

impl LinePosition {
    fn after(self, byte: u8) -> Result<Self, Refusal> {
        match (self, byte) {
            (Self::Leading, b'\r') => Ok(Self::LeadingCr),
            (Self::LeadingCr, b'\n') => Ok(Self::Leading),
            (Self::Within, b'\r') => Ok(Self::Cr),
            (Self::Cr, b'\n') => Ok(Self::Start),
            (Self::Start, b'\r') => Ok(Self::LastCr),
            (Self::LastCr, b'\n') => Ok(Self::End),
            (Self::LeadingCr | Self::Cr | Self::LastCr, _) => Err(Refusal::bad("a CR without LF")),
            (_, b'\n') => Err(Refusal::bad("a line that ends without CR")),
            (Self::Start, b' ' | b'\t') => Err(Refusal::bad("a folded header")),
            (_, 0..=8 | 10..=31 | 127) => Err(Refusal::bad("a control character; this is a plain HTTP/1.1 port")),
            _ => Ok(Self::Within),
        }
    }
}

/// A well-formed request, not yet known to be an upgrade.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Request {
    pub(super) method: String,
    /// 0 or 1: the `x` of HTTP/1.x.
    pub(super) minor_version: u8,
    /// Path and query, also when the target came in absolute form.
    pub(super) url: String,
    /// Undecoded. `*` for the target of that form (RFC 9112 §3.2.4).
    pub(super) path: String,
    /// Of a target in absolute form: whose it is. It counts, and what the Host header says does not
    /// (RFC 9112 §3.2.2).
    authority: Option<String>,
    headers: Headers,
}

/// The lines of a request's headers, in memory that they share.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Headers {
    /// Lower-case names and values, one behind the other.
    text: String,
    /// Where each name begins, where its value does, and where that ends.
    lines: Vec<(usize, usize, usize)>,
}

impl Headers {
    fn of(parsed: &[httparse::Header<'_>]) -> Self {
        let length = parsed.iter().map(|header| header.name.len() + header.value.len()).sum();
        let mut headers = Self { text: String::with_capacity(length), lines: Vec::with_capacity(parsed.len()) };
        for header in parsed {
            let name = headers.text.len();
            headers.text.extend(header.name.chars().map(|letter| letter.to_ascii_lowercase()));
            let value = headers.text.len();
            match std::str::from_utf8(header.value) {
                Ok(text) => headers.text.push_str(text),
                // Losing none: one character per byte.
                Err(_) => headers.text.extend(header.value.iter().map(|&byte| char::from(byte))),
            }
            headers.lines.push((name, value, headers.text.len()));
        }
        headers
    }

    fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &str)> {
        let part = |from, to| self.text.get(from..to).unwrap_or_default();
        self.lines.iter().map(move |&(name, value, end)| (part(name, value), part(value, end)))
    }
}

impl Request {
    pub(super) fn parse(head: &[u8]) -> Result<Self, Refusal> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut parsed = httparse::Request::new(&mut headers);
        match parsed.parse(head) {
            Ok(httparse::Status::Complete(length)) if length == head.len() => {}
            Ok(_) => return Err(Refusal::bad("an unreadable request")),
            Err(httparse::Error::TooManyHeaders) => return Err(Refusal::TOO_MANY_HEADERS),
            Err(httparse::Error::Version) if names_a_version(head) => return Err(Refusal::VERSION),
            Err(httparse::Error::HeaderName) => return Err(Refusal::bad("a header name that is no token")),
            Err(httparse::Error::HeaderValue) => return Err(Refusal::bad("a header value with a forbidden character")),
            Err(_) => return Err(Refusal::bad("an unreadable request line")),
        }
        let (Some(method), Some(target), Some(minor_version)) = (parsed.method, parsed.path, parsed.version) else {
            return Err(Refusal::bad("an unreadable request line"));
        };
        if target == "*" && method != "OPTIONS" {
            return Err(Refusal::bad("the request target * is for OPTIONS only"));
        }
        let (authority, url) =
            origin_form(target).ok_or(Refusal::bad("a request target that is neither a path nor a URL with a host"))?;
        let path = url.split('?').next().unwrap_or_default().to_owned();
        let headers = Headers::of(parsed.headers);
        Ok(Self { method: method.to_owned(), minor_version, url, path, authority, headers })
    }

    /// The values of all headers with this lower-case name.
    pub(super) fn values<'a>(&'a self, name: &'a str) -> impl DoubleEndedIterator<Item = &'a str> {
        self.headers.iter().filter(move |(found, _)| *found == name).map(|(_, value)| value)
    }

    /// The elements of all headers with this name, which holds a comma-separated list; empty
    /// elements are skipped (RFC 9110 §5.6.1.2).
    pub(super) fn elements<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.values(name)
            .flat_map(|value| value.split(','))
            .map(|element| element.trim_matches([' ', '\t']))
            .filter(|element| !element.is_empty())
    }

    /// What handlers see of it. `host` is the host that the request is for, also where the target
    /// says so and not the header.
    pub(super) fn into_open(self, ip: String, remote_port: u16, protocols: Vec<String>) -> OpenRequest {
        let mut headers: Vec<(String, String)> = Vec::with_capacity(self.headers.lines.len());
        for (name, value) in self.headers.iter() {
            if let Some((_, joined)) = headers.iter_mut().find(|(found, _)| found == name) {
                joined.push_str(if name == "cookie" { "; " } else { ", " });
                joined.push_str(value);
            } else {
                headers.push((name.to_owned(), value.to_owned()));
            }
        }
        if let Some(authority) = self.authority {
            headers.iter_mut().filter(|(name, _)| name == "host").for_each(|(_, host)| host.clone_from(&authority));
        }
        let query = self.url.split_once('?').map(|(_, query)| query.to_owned()).unwrap_or_default();
        OpenRequest {
            ip,
            remote_port,
            headers,
            url: self.url,
            path: self.path,
            query,
            method: self.method,
            protocols,
            secure: false,
            client_certificate: None,
            client_certificate_authorized: false,
        }
    }
}

/// Whether the request line ends in a version at all, so that the complaint can be about which one.
fn names_a_version(head: &[u8]) -> bool {
    let line =
        head.split(|&byte| byte == b'\r').find(|line| line.iter().any(|&byte| byte != b'\n')).unwrap_or_default();
    let mut words = line.split(|&byte| byte == b' ');
    let (Some(_), Some(_), Some(version), None) = (words.next(), words.next(), words.next(), words.next()) else {
        return false;
    };
    matches!(version, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit())
}

/// Path and query of a target: as they are, or behind scheme and authority (RFC 9112 §3.2), which
/// is given, too. In HTTP an authority must not have a user (RFC 9110 §4.2.4) and must have a host
/// (§4.2.1).
fn origin_form(target: &str) -> Option<(Option<String>, String)> {
    if target.contains('#') {
        return None;
    }
    if target.starts_with('/') || target == "*" {
        return Some((None, target.to_owned()));
    }
    let (scheme, rest) = target.split_once("://")?;
    let named = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    let (authority, tail) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if !named || authority.is_empty() || authority.starts_with(':') || !is_host(authority) {
        return None;
    }
    let url = if tail.starts_with('/') { tail.to_owned() } else { format!("/{tail}") };
    Some((Some(authority.to_owned()), url))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Feeds the pieces as reads would, and says what came of it: `None` when more is needed.
    fn read(pieces: &[&[u8]], limit: usize) -> Option<Result<(Request, Vec<u8>), Refusal>> {
        let mut head = HeadBuffer::new(limit);
        for piece in pieces {
            let mut piece = *piece;
            while !piece.is_empty() {
                match head.is_complete() {
                    Ok(false) => {}
                    Ok(true) => {
                        // The rest of what was sent is still in the socket.
                        return Some(head.finish());
                    }
                    Err(refusal) => return Some(Err(refusal)),
                }
                let mut room = head.room();
                let taken = piece.len().min(room.remaining_mut());
                room.put_slice(&piece[..taken]);
                piece = &piece[taken..];
            }
        }
        match head.is_complete() {
            Ok(false) => None,
            Ok(true) => Some(head.finish()),
            Err(refusal) => Some(Err(refusal)),
        }
    }

    fn whole(text: &str) -> Result<Request, Refusal> {
        read(&[text.as_bytes()], 16 << 10).expect("the head is complete").map(|(request, _)| request)
    }

    fn status(text: &str) -> u16 {
        whole(text).expect_err("the request is refused").status
    }

    #[test]
    fn a_request_is_read() {
        let request = whole("GET /a%20b?x=1?y HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nx-a:  2 \r\nCookie: a=1\r\ncookie: b=2\r\nX-Raw: \u{e9}\r\n\r\n").unwrap();
        assert_eq!(
            (request.method.as_str(), request.minor_version, request.url.as_str(), request.path.as_str()),
            ("GET", 1, "/a%20b?x=1?y", "/a%20b")
        );
        assert_eq!(request.values("x-a").collect::<Vec<_>>(), ["1", "2"]);
        let open = request.into_open("::1".into(), 7, vec!["chat".into()]);
        let headers: Vec<_> = open.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(headers, [("host", "h"), ("x-a", "1, 2"), ("cookie", "a=1; b=2"), ("x-raw", "é")]);
        assert_eq!(
            (open.query.as_str(), open.url.as_str(), open.ip.as_str(), open.remote_port),
            ("x=1?y", "/a%20b?x=1?y", "::1", 7)
        );
    }

    #[test]
    fn bytes_that_are_no_utf8_are_latin1() {
        let (request, _) = read(&[b"GET / HTTP/1.1\r\nX: caf\xe9\r\n\r\n"], 100).unwrap().unwrap();
        assert_eq!(request.values("x").collect::<Vec<_>>(), ["café"]);
    }

    #[test]
    fn what_comes_behind_the_request_is_kept() {
        let (_, rest) = read(&[b"GET / HTTP/1.1\r\n\r\n\x81\x00\r\n\n"], 100).unwrap().unwrap();
        assert_eq!(rest, b"\x81\x00\r\n\n");
    }

    #[test]
    fn targets_of_every_form_are_read() {
        for (target, url, path) in [
            ("/", "/", "/"),
            ("/a?b", "/a?b", "/a"),
            ("//a", "//a", "//a"),
            ("http://host/a?b=c", "/a?b=c", "/a"),
            ("WSS://host:443/a", "/a", "/a"),
            ("http://host", "/", "/"),
            ("http://host?x=/y", "/?x=/y", "/"),
        ] {
            let request = whole(&format!("GET {target} HTTP/1.1\r\n\r\n")).unwrap();
            assert_eq!((request.url.as_str(), request.path.as_str()), (url, path), "{target}");
        }
        for target in [
            "*",
            "a",
            "host:443",
            "http://",
            "http:///a",
            "http://:80/a",
            "http://user@host/",
            "http://user:secret@host/",
            "http://a,b/",
            "http://[::1/",
            "http://h:80:80/",
            "://a/b",
            "1a://b/",
            "/a#b",
            "http://h/#f",
        ] {
            assert_eq!(status(&format!("GET {target} HTTP/1.1\r\n\r\n")), 400, "{target}");
        }
        assert_eq!(whole("OPTIONS * HTTP/1.1\r\n\r\n").unwrap().path, "*");
        assert_eq!(status("options * HTTP/1.1\r\n\r\n"), 400, "methods are not the same in another case");
    }

    #[test]
    fn the_authority_of_a_target_counts_and_the_host_header_does_not() {
        for (target, host, expected) in [
            ("http://one.test/a", "one.test", "one.test"),
            ("http://one.test:80/a", "one.test", "one.test:80"),
            ("http://one.test/a", "one.test:80", "one.test"),
            ("ws://one.test", "two.test", "one.test"),
            ("http://[::1]:8080/", "", "[::1]:8080"),
            ("/", "two.test", "two.test"),
        ] {
            let request = whole(&format!("GET {target} HTTP/1.1\r\nX: y\r\nHost: {host}\r\n\r\n")).unwrap();
            let open = request.into_open(String::new(), 0, Vec::new());
            let headers: Vec<_> = open.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_eq!(headers, [("x", "y"), ("host", expected)], "{target} and {host}");
        }
    }

    #[test]
    fn empty_lines_before_a_request_are_skipped() {
        assert_eq!(whole("\r\n\r\nGET /x HTTP/1.1\r\n\r\n").unwrap().path, "/x");
    }

    #[test]
    fn what_smuggles_is_refused() {
        for head in [
            "GET / HTTP/1.1\nHost: h\n\n",
            "GET / HTTP/1.1\r\nHost: h\n\r\n",
            "GET / HTTP/1.1\r\nHost: h\r\n\n",
            "GET / HTTP/1.1\rHost: h\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: h\r\n folded\r\n\r\n",
            "GET / HTTP/1.1\r\n\tfolded: x\r\n\r\n",
            "GET / HTTP/1.1\r\nHost : h\r\n\r\n",
            "GET / HTTP/1.1\r\nHost\r\n\r\n",
            "GET / HTTP/1.1\r\n: h\r\n\r\n",
            "GET / HTTP/1.1\r\nA\u{b}: h\r\n\r\n",
            "GET / HTTP/1.1\r\nA: \0\r\n\r\n",
            "GET / HTTP/1.1\r\nA: \x7f\r\n\r\n",
            "GET  / HTTP/1.1\r\n\r\n",
            "GET /a b HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1 \r\n\r\n",
            "GET /\r\n\r\n",
            "GET / HTTP/1\r\n\r\n",
            "GET / http/1.1\r\n\r\n",
            "G@T / HTTP/1.1\r\n\r\n",
            "\r\n \r\n\r\n",
            "\n\nGET / HTTP/1.1\r\n\r\n",
        ] {
            assert_eq!(status(head), 400, "{head:?}");
        }
    }

    #[test]
    fn other_versions_are_named() {
        for version in ["HTTP/2.0", "HTTP/1.2", "HTTP/0.9", "HTTP/3.0"] {
            assert_eq!(status(&format!("GET / {version}\r\n\r\n")), 505, "{version}");
        }
        assert_eq!(status("\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505);
        assert_eq!(whole("GET / HTTP/1.0\r\n\r\n").unwrap().minor_version, 0);
    }

    #[test]
    fn a_client_hello_is_refused_at_once() {
        assert_eq!(read(&[b"\x16\x03\x01"], 100).unwrap().unwrap_err().status, 400);
    }

    #[test]
    fn the_limit_holds_to_the_byte() {
        let head = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
        assert!(read(&[head], head.len()).unwrap().is_ok());
        assert_eq!(read(&[head], head.len() - 1).unwrap().unwrap_err().status, 431);
        assert_eq!(
            read(&[head, &[b'x'; 500]], head.len()).unwrap().unwrap().1,
            b"",
            "what is over the limit stays in the socket"
        );
        assert_eq!(read(&[b"G"], 0).unwrap().unwrap_err().status, 431);
        assert!(read(&[&head[..20]], head.len()).is_none(), "more is to come");
    }

    #[test]
    fn a_head_that_trickles_in_takes_little_more_than_its_bytes_and_never_more_than_the_limit() {
        for limit in [1, 1000, 10_000, 16 << 10, 100_000] {
            let mut head = HeadBuffer::new(limit);
            let mut sent = 0;
            while let Ok(false) = head.is_complete() {
                head.room().put_slice(&[b"GET /"[sent.min(4)]]);
                sent += 1;
                let room = head.bytes.capacity();
                assert!(room <= limit && room <= (2 * sent).max(FIRST_ROOM), "{room} for {sent} of {limit}");
            }
            assert_eq!(sent, limit);
        }
    }

    #[test]
    fn a_hundred_headers_are_the_limit() {
        let head = |count: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(count));
        assert!(whole(&head(MAX_HEADERS)).is_ok());
        assert_eq!(status(&head(MAX_HEADERS + 1)), 431);
    }

    #[test]
    fn lists_are_split_and_trimmed() {
        let request = whole("GET / HTTP/1.1\r\nL: a,b ,\t c\r\nL: ,,\r\nl: d\r\n\r\n").unwrap();
        assert_eq!(request.elements("l").collect::<Vec<_>>(), ["a", "b", "c", "d"]);
    }

    fn head_like() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just(b"GET /a?b HTTP/1.1\r\n".to_vec()),
            Just(b"Host: h\r\n".to_vec()),
            Just(b"\r\n".to_vec()),
            Just(b"\r\n\r\n".to_vec()),
            Just(b"\n".to_vec()),
            Just(b"A: b, c".to_vec()),
            Just(b" ".to_vec()),
            proptest::collection::vec(any::<u8>(), 0..8),
            proptest::collection::vec(32u8..127, 0..8),
        ];
        proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same(bytes in head_like(), cuts in proptest::collection::vec(0usize..200, 0..6), limit in 0usize..150) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            // Bytes behind the request may stay in the socket, as the reads fall; what was read of
            // them is theirs from the start.
            match (read(&pieces, limit), read(&[&bytes], limit)) {
                (Some(Ok((split, some))), Some(Ok((at_once, all)))) => {
                    prop_assert_eq!(split, at_once);
                    prop_assert!(all.starts_with(&some));
                }
                (split, at_once) => prop_assert_eq!(split, at_once),
            }
        }

        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), limit in 0usize..300) {
            let _ = read(&[&bytes], limit);
        }

        #[test]
        fn bytes_become_text_without_loss(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let headers = Headers::of(&[httparse::Header { name: "X-A", value: &bytes }]);
            let (name, text) = headers.iter().next().unwrap();
            prop_assert_eq!(name, "x-a");
            let back: Vec<u8> = if std::str::from_utf8(&bytes).is_ok() { text.as_bytes().to_vec() } else { text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect() };
            prop_assert_eq!(back, bytes);
        }
    }
}
