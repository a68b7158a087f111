//! What makes a request a WebSocket handshake (RFC 6455 §4.2.1), and what is answered.

use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use wsbroker_proto::{Agreement, negotiate};

use super::{
    host::is_host,
    request::Request,
    response::{Refusal, is_token},
};

/// Names of subprotocols in one request. Each is compared with those before it.
const MAX_PROTOCOLS: usize = 100;

/// What a valid handshake asks for.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Handshake {
    /// For `Sec-WebSocket-Accept`.
    pub(super) accept_key: String,
    /// Subprotocols the client offers, in its order, none twice.
    pub(super) protocols: Vec<String>,
}

impl Handshake {
    /// Checks a request whose path is served.
    ///
    /// # Errors
    /// What to answer instead of a 101. A plain request gets 426 whatever else is wrong with it.
    pub(super) fn of(request: &Request) -> Result<Self, Refusal> {
        // An Upgrade in HTTP/1.0 means nothing (RFC 9110 §7.8).
        if request.minor_version == 0
            || !request.elements("upgrade").any(|protocol| protocol.eq_ignore_ascii_case("websocket"))
        {
            return Err(Refusal::NO_UPGRADE);
        }
        if request.method != "GET" {
            return Err(Refusal::METHOD);
        }
        let mut hosts = request.values("host");
        let (Some(host), None) = (hosts.next(), hosts.next()) else {
            return Err(Refusal::bad("an HTTP/1.1 request has exactly one Host header"));
        };
        if !is_host(host) {
            return Err(Refusal::bad("the Host header is no host with an optional port"));
        }
        // What follows is frames for us. A proxy that reads it as a body would see another request
        // in them.
        let body =
            request.values("content-length").any(|length| length.is_empty() || length.bytes().any(|byte| byte != b'0'));
        if body || request.values("transfer-encoding").next().is_some() {
            return Err(Refusal::bad("a WebSocket handshake has no body"));
        }
        if !request.elements("connection").any(|option| option.eq_ignore_ascii_case("upgrade")) {
            return Err(Refusal::bad(
                "the Connection header does not contain Upgrade; a proxy on the way may not know WebSocket",
            ));
        }
        if !request.values("sec-websocket-version").eq(["13"]) {
            return Err(Refusal::WEBSOCKET_VERSION);
        }
        let mut keys = request.values("sec-websocket-key");
        let accept_key = match (keys.next(), keys.next()) {
            (Some(key), None) if is_key(key) => derive_accept_key(key.as_bytes()),
            _ => return Err(Refusal::bad("Sec-WebSocket-Key must be there once, as 16 bytes in base64")),
        };
        Ok(Self { accept_key, protocols: protocols(request)? })
    }
}

/// What is agreed on for compression with a client that offers it.
///
/// # Errors
/// 400 when its offers cannot be read (RFC 6455 §9.1).
pub(super) fn compression(request: &Request) -> Result<Option<Agreement>, Refusal> {
    negotiate(request.values("sec-websocket-extensions").map(str::as_bytes))
        .map_err(|_| Refusal::bad("Sec-WebSocket-Extensions is not a list of extensions"))
}

/// Whether this is base64 of 16 bytes.
fn is_key(key: &str) -> bool {
    key.len() == 24
        && key.strip_suffix("==").is_some_and(|digits| {
            digits.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/')
        })
}

fn protocols(request: &Request) -> Result<Vec<String>, Refusal> {
    let mut protocols: Vec<String> = Vec::new();
    for protocol in request.elements("sec-websocket-protocol") {
        if !is_token(protocol) {
            return Err(Refusal::bad("Sec-WebSocket-Protocol has a name that is no token"));
        }
        if protocols.iter().any(|found| found == protocol) {
            return Err(Refusal::bad("Sec-WebSocket-Protocol has a name twice"));
        }
        if protocols.len() == MAX_PROTOCOLS {
            return Err(Refusal::bad("Sec-WebSocket-Protocol has too many names"));
        }
        protocols.push(protocol.to_owned());
    }
    if protocols.is_empty() && request.values("sec-websocket-protocol").next().is_some() {
        return Err(Refusal::bad("Sec-WebSocket-Protocol is empty"));
    }
    Ok(protocols)
}

/// The subprotocol to answer with: the worker's choice, else the first of ours that the client
/// offers too.
///
/// What the client did not offer is never answered, since it would have to fail the connection (RFC
/// 6455 §4.1). A client none of whose subprotocols are ours is let in without one; browsers then
/// fail the connection by themselves.
pub(super) fn choose<'a>(offered: &[String], wanted: Option<&'a str>, ours: &'a [String]) -> Option<&'a str> {
    let is_offered = |protocol: &str| offered.iter().any(|found| found == protocol);
    match wanted {
        Some(wanted) if is_offered(wanted) => Some(wanted),
        Some(_) => {
            tracing::warn!("the application chose a subprotocol that the client did not offer; none is answered");
            None
        }
        None => ours.iter().map(String::as_str).find(|protocol| is_offered(protocol)),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::request::{HeadBuffer, Request},
        *,
    };
    use bytes::BufMut;

    fn request(head: &str) -> Request {
        let mut buffer = HeadBuffer::new(head.len());
        while !buffer.is_complete().unwrap() {
            buffer.room().put_slice(head.as_bytes());
        }
        buffer.finish().unwrap().0
    }

    const GOOD: [&str; 5] = [
        "Host: example.test",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];

    /// The good handshake with headers left out (by the start of their line) and others added.
    fn variant(line: &str, without: &str, with: &[&str]) -> Result<Handshake, Refusal> {
        let headers = GOOD.iter().filter(|header| without.is_empty() || !header.starts_with(without)).chain(with);
        let head: String = headers.fold(format!("{line}\r\n"), |head, header| head + header + "\r\n");
        Handshake::of(&request(&(head + "\r\n")))
    }

    fn status(without: &str, with: &[&str]) -> u16 {
        variant("GET / HTTP/1.1", without, with).map_or_else(|refusal| refusal.status, |_| 101)
    }

    #[test]
    fn the_example_of_the_rfc_is_answered_as_there() {
        let handshake = variant("GET /chat HTTP/1.1", "", &["Sec-WebSocket-Protocol: chat, superchat"]).unwrap();
        assert_eq!(handshake.accept_key, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(handshake.protocols, ["chat", "superchat"]);
    }

    #[test]
    fn what_may_vary_may_vary() {
        assert_eq!(status("Upgrade", &["UPGRADE: h2c, WebSocket"]), 101);
        assert_eq!(status("Connection", &["Connection: keep-alive, upgrade"]), 101);
        assert_eq!(status("Connection", &["Connection: keep-alive", "connection: Upgrade"]), 101);
        assert_eq!(status("", &["Content-Length: 0"]), 101);
        for host in ["", "a", "A_b.c:80", "127.0.0.1:1", "[::1]", "[2001:db8::1]:443", "a:", "xn--bcher-kva.example"] {
            assert_eq!(status("Host", &[&format!("Host: {host}")]), 101, "{host:?}");
        }
        // The target's authority counts, and what Host says is ignored (RFC 9112 §3.2.2) as long as
        // it is a Host header.
        for target in
            ["http://EXAMPLE.test/chat", "http://example.test:80/", "https://example.test", "ws://other.test/"]
        {
            assert!(variant(&format!("GET {target} HTTP/1.1"), "", &[]).is_ok(), "{target}");
        }
        assert_eq!(status("", &["Sec-WebSocket-Extensions: permessage-deflate"]), 101);
        assert_eq!(status("Sec-WebSocket-Key", &["Sec-WebSocket-Key: ++++++++++//////////99=="]), 101);
    }

    #[test]
    fn each_rule_has_its_answer() {
        for (without, with, expected) in [
            ("Upgrade", &[] as &[&str], 426),
            ("Upgrade", &["Upgrade: h2c"], 426),
            ("Upgrade", &["Upgrade: websockets"], 426),
            ("Host", &[], 400),
            ("", &["Host: other.test"], 400),
            ("Host", &["Host: a b"], 400),
            ("Host", &["Host: a, b"], 400),
            ("Host", &["Host: a/b"], 400),
            ("Host", &["Host: a@b"], 400),
            ("Host", &["Host: a:80b"], 400),
            ("Host", &["Host: a:80:80"], 400),
            ("Host", &["Host: http://a"], 400),
            ("Host", &["Host: [::1"], 400),
            ("Host", &["Host: [::1]80"], 400),
            ("Host", &["Host: [a]"], 400),
            ("Host", &["Host: ::1"], 400),
            ("", &["Content-Length: 1"], 400),
            ("", &["Content-Length: "], 400),
            ("", &["Content-Length: 0, 0"], 400),
            ("", &["Content-Length: +0"], 400),
            ("", &["Content-Length: 0", "Content-Length: 5"], 400),
            ("", &["Transfer-Encoding: chunked"], 400),
            ("", &["Transfer-Encoding: identity"], 400),
            ("Connection", &[], 400),
            ("Connection", &["Connection: keep-alive"], 400),
            ("Connection", &["Connection: upgraded"], 400),
            ("Sec-WebSocket-Version", &[], 426),
            ("Sec-WebSocket-Version", &["Sec-WebSocket-Version: 8"], 426),
            ("Sec-WebSocket-Version", &["Sec-WebSocket-Version: 13, 8"], 426),
            ("", &["Sec-WebSocket-Version: 13"], 426),
            ("Sec-WebSocket-Key", &[], 400),
            ("", &["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="], 400),
            ("Sec-WebSocket-Key", &["Sec-WebSocket-Key: "], 400),
            ("Sec-WebSocket-Key", &["Sec-WebSocket-Key: c2hvcnQ="], 400),
            ("Sec-WebSocket-Key", &["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZSEh"], 400),
            ("Sec-WebSocket-Key", &["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j*Q=="], 400),
            ("", &["Sec-WebSocket-Protocol: "], 400),
            ("", &["Sec-WebSocket-Protocol: a b"], 400),
            ("", &["Sec-WebSocket-Protocol: a, b, a"], 400),
            ("", &["Sec-WebSocket-Protocol: a", "Sec-WebSocket-Protocol: a"], 400),
            ("", &["Sec-WebSocket-Protocol: \u{e4}"], 400),
        ] {
            assert_eq!(status(without, with), expected, "without {without:?}, with {with:?}");
        }
        let of_line = |line| variant(line, "", &[]).unwrap_err().status;
        assert_eq!(of_line("POST / HTTP/1.1"), 405);
        assert_eq!(of_line("get / HTTP/1.1"), 405);
        assert_eq!(of_line("GET / HTTP/1.0"), 426);
        let absolute =
            |without, with: &[&str]| variant("GET http://a.test/ HTTP/1.1", without, with).unwrap_err().status;
        assert_eq!(absolute("Host", &[]), 400, "there has to be one (RFC 9112 §3.2)");
        assert_eq!(absolute("", &["Host: other.test"]), 400);
        assert_eq!(absolute("Host", &["Host: a b"]), 400);
    }

    #[test]
    fn offers_come_from_several_headers() {
        let handshake =
            variant("GET / HTTP/1.1", "", &["Sec-WebSocket-Protocol: a,b ,", "X: y", "sec-websocket-protocol: c"])
                .unwrap();
        assert_eq!(handshake.protocols, ["a", "b", "c"]);
    }

    #[test]
    fn more_than_a_hundred_subprotocols_are_too_many() {
        let names: Vec<_> = (0..101).map(|number| format!("p{number}")).collect();
        let header = |names: &[String]| format!("Sec-WebSocket-Protocol: {}", names.join(", "));
        assert_eq!(status("", &[&header(&names)]), 400);
        assert_eq!(status("", &[&header(&names[..60]), &header(&names[60..])]), 400, "several headers are one list");
        assert_eq!(status("", &[&header(&names[..100])]), 101);
    }

    #[test]
    fn the_subprotocol_is_one_that_was_offered() {
        let offered = ["a".to_owned(), "b".to_owned()];
        let ours = ["x".to_owned(), "b".to_owned(), "a".to_owned()];
        assert_eq!(choose(&offered, Some("a"), &ours), Some("a"));
        assert_eq!(choose(&offered, Some("x"), &ours), None);
        assert_eq!(choose(&offered, None, &ours), Some("b"));
        assert_eq!(choose(&offered, None, &[]), None);
        assert_eq!(choose(&[], None, &ours), None);
        assert_eq!(choose(&offered, None, &ours[..1]), None);
    }
}
