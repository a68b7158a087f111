//! The head of a request: what it asks for, where its body ends, and whether the connection goes
//! on.

use bytes::Bytes;
use http::{
    HeaderMap, Method, Uri,
    header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE},
    uri::PathAndQuery,
};

use crate::{
    headers::{Client, ClientFields, describe_client},
    output::Output,
};

/// Header lines of one request.
pub(crate) const MAX_HEADERS: usize = 100;

/// Where a request's body ends (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BodyLength {
    /// There is none.
    None,
    /// After this many bytes; at least one.
    Fixed(u64),
    /// With the last chunk.
    Chunked,
}

/// What is wrong with a head. The request is answered with [`status`](Self::status), and the
/// connection ends: where the next request begins is unknown.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text}")]
pub struct HeadError {
    /// 400, 417, 431, 501 or 505.
    pub status: u16,
    /// What to tell the client.
    pub text: &'static str,
}

const fn bad(text: &'static str) -> HeadError {
    HeadError { status: 400, text }
}

/// A request as it is understood, and as it is written anew for the application's server.
#[derive(Clone, Debug)]
pub struct RequestHead {
    /// Its method.
    pub method: Method,
    /// Path and query, or `*`; of an absolute target without scheme and authority.
    pub target: Uri,
    /// The `x` of HTTP/1.x: 0 or 1.
    pub minor_version: u8,
    /// All header fields but those that are of one connection only (RFC 9110 §7.6.1), and without
    /// those that say where the body ends. Exactly one `host`, the authority of an absolute target
    /// before all.
    pub headers: HeaderMap,
    /// Where the body ends.
    pub body: BodyLength,
    /// Whether the client lets the connection be used again.
    pub keep_alive: bool,
    /// Whether the client waits for a `100 Continue` before it sends the body.
    pub expects_continue: bool,
    /// Whether the client reads trailer fields.
    pub takes_trailers: bool,
    /// Whether it asks for an upgrade to WebSocket. Other protocols are not passed on.
    pub asks_for_websocket: bool,
}

impl RequestHead {
    /// Reads a whole head, from the request line to the empty line.
    ///
    /// # Errors
    /// Anything that two readers could understand differently, and what HTTP forbids.
    pub fn parse(head: &[u8]) -> Result<Self, HeadError> {
        require_crlf(head)?;
        // One copy that all values share.
        let head = Bytes::copy_from_slice(head);
        let mut lines = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut parsed = httparse::Request::new(&mut lines);
        match parsed.parse(&head) {
            Ok(httparse::Status::Complete(length)) if length == head.len() => {}
            Ok(_) => return Err(bad("an unreadable request")),
            Err(httparse::Error::TooManyHeaders) => {
                return Err(HeadError { status: 431, text: "too many headers" });
            }
            Err(httparse::Error::Version) => {
                return Err(HeadError { status: 505, text: "only HTTP/1.1 is spoken here" });
            }
            Err(_) => return Err(bad("an unreadable request")),
        }
        let (Some(method), Some(target), Some(minor_version)) = (parsed.method, parsed.path, parsed.version) else {
            return Err(bad("an unreadable request line"));
        };
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| bad("an unreadable method"))?;
        let (authority, target) = split_target(target, &method)?;
        let mut headers = HeaderMap::with_capacity(parsed.headers.len() + 4);
        for line in parsed.headers.iter() {
            let name = HeaderName::from_bytes(line.name.as_bytes()).map_err(|_| bad("an unreadable header name"))?;
            let value = HeaderValue::from_maybe_shared(head.slice_ref(line.value))
                .map_err(|_| bad("an unreadable header value"))?;
            headers.append(name, value);
        }
        let host = host(&headers, authority, minor_version)?;
        let options = options(&headers)?;
        let body = body_length(&headers, minor_version)?;
        let expects_continue = expects_continue(&headers, minor_version, body)?;
        let takes_trailers = mentions(&headers, &TE, "trailers");
        let asks_for_websocket = minor_version == 1
            && options.iter().any(|option| option == UPGRADE.as_str())
            && mentions(&headers, &UPGRADE, "websocket");
        let has = |token: &str| options.iter().any(|option| option == token);
        let keep_alive = if minor_version == 0 { has("keep-alive") && !has("close") } else { !has("close") };
        crate::headers::strip_hop_by_hop(&mut headers, &options);
        headers.remove(CONTENT_LENGTH);
        if !expects_continue {
            headers.remove(EXPECT);
        }
        headers.insert(HOST, host);
        Ok(Self {
            method,
            target,
            minor_version,
            headers,
            body,
            keep_alive,
            expects_continue,
            takes_trailers,
            asks_for_websocket,
        })
    }

    /// Writes it anew, for the inner server, with what is known of the client. `known` is what that
    /// server was told with the request before, on the same connection.
    pub(crate) fn write(
        &self,
        client: &Client<'_>,
        known: &mut Option<ClientFields>,
        is_upgrade: bool,
        output: &mut Output,
    ) {
        output.put(self.method.as_str().as_bytes());
        output.put(b" ");
        output.put(self.target.path_and_query().map_or("/", PathAndQuery::as_str).as_bytes());
        output.put(b" HTTP/1.1\r\n");
        let identity = describe_client(&self.headers, client, known, output);
        match self.body {
            BodyLength::None => {}
            BodyLength::Fixed(length) => {
                output.put(b"content-length: ");
                output.number(length);
                output.put(b"\r\n");
            }
            BodyLength::Chunked => output.put(b"transfer-encoding: chunked\r\n"),
        }
        if is_upgrade {
            output.put(b"connection: upgrade\r\nupgrade: websocket\r\n");
        }
        // The last one, which the application's runtime can take away most cheaply.
        if let Some((name, value)) = identity {
            output.field(name, value.as_bytes());
        }
        output.put(b"\r\n");
    }

    /// Whether doing it twice is the same as doing it once (RFC 9110 §9.2.2), and all of it is in
    /// hand.
    pub(crate) fn may_be_sent_again(&self) -> bool {
        self.body == BodyLength::None && self.method.is_idempotent()
    }
}

/// httparse takes lines that end in LF alone and folded fields; another reader may not.
fn require_crlf(head: &[u8]) -> Result<(), HeadError> {
    let mut before = 0;
    for (index, &byte) in head.iter().enumerate() {
        match byte {
            b'\n' if before != b'\r' => return Err(bad("a line that ends without CR")),
            b'\n' => {}
            _ if before == b'\r' => return Err(bad("a CR without LF")),
            b' ' | b'\t' if before == b'\n' && index > 0 => return Err(bad("a folded header")),
            b'\r' | b'\t' => {}
            0..=31 | 127 => return Err(bad("a control character")),
            _ => {}
        }
        before = byte;
    }
    Ok(())
}

/// The authority of an absolute target, and what goes into the request line that we write.
fn split_target<'a>(target: &'a str, method: &Method) -> Result<(Option<&'a str>, Uri), HeadError> {
    const BAD: HeadError = bad("a request target that is neither a path nor a URL with a host");
    if target.contains('#') {
        return Err(BAD);
    }
    let (authority, path) = match target.split_once("://") {
        _ if target.starts_with('/') => (None, target.to_owned()),
        _ if target == "*" && *method == Method::OPTIONS => return Ok((None, Uri::from_static("*"))),
        Some((scheme, rest))
            if ["http", "https", "ws", "wss"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) =>
        {
            let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
            if authority.is_empty() || authority.starts_with(':') || !is_authority(authority.as_bytes()) {
                return Err(BAD);
            }
            (Some(authority), if path.starts_with('/') { path.to_owned() } else { format!("/{path}") })
        }
        _ => return Err(BAD),
    };
    let path = PathAndQuery::try_from(path).map_err(|_| bad("a request target with a forbidden character"))?;
    Ok((authority, Uri::from(path)))
}

/// Host and port, without a user: RFC 3986's characters for them, no more.
fn is_authority(text: &[u8]) -> bool {
    text.iter().all(|&byte| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=:[]".contains(&byte))
}

/// The one Host that the request is for (RFC 9112 §3.2).
fn host(headers: &HeaderMap, authority: Option<&str>, minor_version: u8) -> Result<HeaderValue, HeadError> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (_, Some(_)) => return Err(bad("more than one Host header")),
        (Some(host), None) if is_authority(host.as_bytes()) => host.clone(),
        (Some(_), None) => return Err(bad("an unreadable Host header")),
        (None, None) if minor_version == 0 => HeaderValue::from_static(""),
        (None, None) => return Err(bad("an HTTP/1.1 request needs a Host header")),
    };
    match authority {
        Some(authority) => HeaderValue::from_str(authority).map_err(|_| bad("an unreadable request target")),
        None => Ok(host),
    }
}

/// What the Connection headers list, in lower case.
fn options(headers: &HeaderMap) -> Result<Vec<String>, HeadError> {
    let mut options = Vec::new();
    for value in headers.get_all(CONNECTION) {
        let value = value.to_str().map_err(|_| bad("an unreadable Connection header"))?;
        options.extend(value.split(',').map(|option| option.trim_matches([' ', '\t']).to_ascii_lowercase()));
    }
    options.retain(|option| !option.is_empty());
    Ok(options)
}

/// Only what can be understood in one way (RFC 9112 §6): a length that is one number, or chunks.
fn body_length(headers: &HeaderMap, minor_version: u8) -> Result<BodyLength, HeadError> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    match (codings.next(), codings.next(), lengths.next(), lengths.next()) {
        (None, _, None, _) => Ok(BodyLength::None),
        (Some(_), _, Some(_), _) => Err(bad("both Content-Length and Transfer-Encoding")),
        (_, Some(_), ..) => Err(bad("more than one Transfer-Encoding header")),
        (_, _, _, Some(_)) => Err(bad("more than one Content-Length header")),
        (Some(_), ..) if minor_version == 0 => Err(bad("Transfer-Encoding in an HTTP/1.0 request")),
        (Some(coding), ..) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(BodyLength::Chunked),
        (Some(_), ..) => Err(HeadError { status: 501, text: "the only transfer coding understood is chunked" }),
        (None, _, Some(length), None) => match fixed(length.as_bytes()) {
            Some(0) => Ok(BodyLength::None),
            Some(length) => Ok(BodyLength::Fixed(length)),
            None => Err(bad("a Content-Length that is not a number")),
        },
    }
}

pub(crate) fn fixed(digits: &[u8]) -> Option<u64> {
    if !(1..=18).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn expects_continue(headers: &HeaderMap, minor_version: u8, body: BodyLength) -> Result<bool, HeadError> {
    let mut expectations = headers.get_all(EXPECT).iter();
    match expectations.next() {
        None => Ok(false),
        // RFC 9110 §10.1.1: of HTTP/1.0 it is ignored, and without a body it means nothing.
        Some(_) if minor_version == 0 => Ok(false),
        Some(value) if value.as_bytes().eq_ignore_ascii_case(b"100-continue") && expectations.next().is_none() => {
            Ok(body != BodyLength::None)
        }
        Some(_) => Err(HeadError { status: 417, text: "the only expectation understood is 100-continue" }),
    }
}

/// Whether a list header has this element, parameters aside.
fn mentions(headers: &HeaderMap, name: &HeaderName, element: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|found| {
        found.split(';').next().unwrap_or_default().trim_matches([' ', '\t']).eq_ignore_ascii_case(element)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(lines: &str) -> Result<RequestHead, HeadError> {
        RequestHead::parse(lines.as_bytes())
    }

    fn with(lines: &str) -> Result<RequestHead, HeadError> {
        parse(&format!("POST / HTTP/1.1\r\nHost: h\r\n{lines}\r\n"))
    }

    fn status(lines: &str) -> u16 {
        with(lines).map_or_else(|error| error.status, |_| 200)
    }

    #[test]
    fn the_end_of_a_body_is_known_or_the_request_is_refused() {
        assert_eq!(with("").unwrap().body, BodyLength::None);
        assert_eq!(with("Content-Length: 0\r\n").unwrap().body, BodyLength::None);
        assert_eq!(with("content-length: 0012\r\n").unwrap().body, BodyLength::Fixed(12));
        assert_eq!(with("Transfer-Encoding: Chunked\r\n").unwrap().body, BodyLength::Chunked);
        for lines in [
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            "Content-Length: 5, 5\r\n",
            "Content-Length: +5\r\n",
            "Content-Length: -5\r\n",
            "Content-Length: 5 6\r\n",
            "Content-Length: 0x5\r\n",
            "Content-Length: 5.0\r\n",
            "Content-Length:\r\n",
            "Content-Length: 9999999999999999999\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        ] {
            assert_eq!(status(lines), 400, "{lines:?}");
        }
        for coding in ["gzip, chunked", "chunked, identity", "identity", "xchunked", "chunked;q=1", "\u{b}chunked", ""]
        {
            let status = status(&format!("Transfer-Encoding: {coding}\r\n"));
            assert!([400, 501].contains(&status), "{coding:?}: {status}");
        }
        let old = parse("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert_eq!(old.unwrap_err().status, 400, "HTTP/1.0 knows no chunks");
    }

    #[test]
    fn lines_that_readers_disagree_about_are_refused() {
        for head in [
            "GET / HTTP/1.1\nHost: h\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: h\n\r\n",
            "GET / HTTP/1.1\r\nHost: h\r\nA: b\rC: d\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\r\n",
            "GET / HTTP/1.1\r\n Host: h\r\n\r\n",
            "GET / HTTP/1.1\r\nHost : h\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: h\r\nA: \0\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: h\r\nContent-Length : 5\r\n\r\n",
            "GET  / HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: user@a\r\n\r\n",
            "CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET http://u@h/ HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET * HTTP/1.1\r\nHost: h\r\n\r\n",
        ] {
            assert_eq!(parse(head).unwrap_err().status, 400, "{head:?}");
        }
        assert_eq!(parse("GET / HTTP/2.0\r\nHost: h\r\n\r\n").unwrap_err().status, 505);
        let many = format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "a: b\r\n".repeat(MAX_HEADERS));
        assert_eq!(parse(&many).unwrap_err().status, 431);
    }

    #[test]
    fn the_authority_of_an_absolute_target_becomes_the_host() {
        let head = parse("GET http://b.test:8080/x?y HTTP/1.1\r\nHost: a.test\r\n\r\n").unwrap();
        assert_eq!(head.headers.get_all(HOST).iter().collect::<Vec<_>>(), ["b.test:8080"]);
        assert_eq!(head.target, "/x?y");
        assert_eq!(parse("GET http://b.test HTTP/1.1\r\nHost: a.test\r\n\r\n").unwrap().target, "/");
        assert_eq!(parse("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n").unwrap().target, "*");
        assert_eq!(parse("GET / HTTP/1.0\r\n\r\n").unwrap().headers[HOST], "");
    }

    #[test]
    fn what_is_of_one_connection_is_not_passed_on() {
        let head = with(
            "Connection: keep-alive, X-Mine, Host\r\nX-Mine: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: x\r\n\
             TE: trailers\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\nTransfer-Encoding: chunked\r\nX-Yours: 2\r\n",
        )
        .unwrap();
        let mut names: Vec<_> = head.headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["host", "x-yours"]);
        assert!(head.takes_trailers && !head.asks_for_websocket);
    }

    #[test]
    fn a_connection_goes_on_as_the_versions_have_it() {
        let keeps = |head: &str| parse(head).unwrap().keep_alive;
        assert!(keeps("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
        assert!(!keeps("GET / HTTP/1.1\r\nHost: h\r\nConnection: Close\r\n\r\n"));
        assert!(!keeps("GET / HTTP/1.0\r\n\r\n"));
        assert!(keeps("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"));
        assert!(!keeps("GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, close\r\n\r\n"));
    }

    #[test]
    fn only_websocket_is_an_upgrade() {
        let asks = |lines: &str| with(lines).unwrap().asks_for_websocket;
        assert!(asks("Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"));
        assert!(!asks("Upgrade: websocket\r\n"));
        assert!(!asks("Connection: Upgrade\r\nUpgrade: h2c\r\n"));
        let old = parse("GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n").unwrap();
        assert!(!old.asks_for_websocket);
    }

    #[test]
    fn the_one_expectation_counts_where_there_is_a_body() {
        assert!(with("Expect: 100-Continue\r\nContent-Length: 5\r\n").unwrap().expects_continue);
        let without = with("Expect: 100-continue\r\n").unwrap();
        assert!(!without.expects_continue && !without.headers.contains_key(EXPECT));
        assert_eq!(status("Expect: something\r\nContent-Length: 5\r\n"), 417);
        let old = parse("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n").unwrap();
        assert!(!old.expects_continue && !old.headers.contains_key(EXPECT));
    }
}
