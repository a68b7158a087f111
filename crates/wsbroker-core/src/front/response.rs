//! Answers as bytes: the 101, and everything that is no 101.

use bytes::Bytes;
use tokio_tungstenite::tungstenite::http::StatusCode;
use wsbroker_proto::Agreement;

use super::rejection::{HttpAnswer, Rejection};
use crate::{broker::BrokerState, counters::RejectCause};

/// Bodies up to this length are copied behind the head, so that they go out in one write; longer
/// ones stay where they are.
const COPIED: usize = 4 << 10;

/// Headers that say how the connection goes on or where the answer ends. They are ours: an
/// application that sets them could split answers.
const OURS: [&str; 7] = [
    "connection",
    "content-length",
    "sec-websocket-accept",
    "sec-websocket-extensions",
    "sec-websocket-protocol",
    "transfer-encoding",
    "upgrade",
];

/// Why we turn a connection away by ourselves, as the client is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    /// What it is counted as.
    pub(super) cause: RejectCause,
    text: &'static str,
    headers: &'static [(&'static str, &'static str)],
    /// Seconds to wait before another attempt (RFC 9110 §10.2.3).
    retry_after: Option<u64>,
}

impl Refusal {
    pub(super) const VERSION: Self = Self::new(505, RejectCause::HttpVersion, "only HTTP/1.1 is spoken here");
    pub(super) const HEAD_TOO_LARGE: Self =
        Self::new(431, RejectCause::HeaderSize, "request line and headers are too large");
    pub(super) const TOO_MANY_HEADERS: Self = Self::new(431, RejectCause::HeaderSize, "too many headers");
    pub(super) const ORIGIN: Self =
        Self::new(403, RejectCause::Origin, "pages of this origin may not open connections here");
    pub(super) const ENCRYPTED: Self = Self::new(400, RejectCause::Tls, "this port speaks TLS: use wss:// or https://");
    pub(super) const NOT_FOUND: Self = Self::new(404, RejectCause::NotFound, "nothing is served on this path");
    pub(super) const NOT_SERVED: Self = Self::new(503, RejectCause::NotServed, "this path is not served at the moment");
    pub(super) const FULL: Self = Self::new(503, RejectCause::MaxConnections, "there are too many connections");
    pub(super) const FULL_FOR_ADDRESS: Self =
        Self::new(429, RejectCause::MaxConnectionsPerIp, "there are too many connections from this address");
    pub(super) const BUSY: Self =
        Self::new(503, RejectCause::MaxPendingUpgrades, "too many connections are waiting to be let in");
    pub(super) const CLOSING: Self = Self::new(503, RejectCause::NotServed, "the server is shutting down");
    pub(super) const NO_VERDICT: Self =
        Self::new(503, RejectCause::OpenTimeout, "the application did not answer in time");
    pub(super) const NO_WORKER: Self = Self::new(503, RejectCause::WorkerGone, "the application could not answer");
    pub(super) const METHOD: Self = Self {
        headers: &[("Allow", "GET")],
        ..Self::new(405, RejectCause::Method, "a WebSocket handshake is a GET request")
    };
    pub(super) const NO_UPGRADE: Self = Self {
        headers: &[("Upgrade", "websocket")],
        ..Self::new(
            426,
            RejectCause::UpgradeRequired,
            "this is a WebSocket endpoint: send an HTTP/1.1 request with \"Upgrade: websocket\"",
        )
    };
    pub(super) const WEBSOCKET_VERSION: Self = Self {
        headers: &[("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")],
        ..Self::new(426, RejectCause::UpgradeRequired, "Sec-WebSocket-Version must be 13")
    };

    pub(super) const ANSWER_METHOD: Self = Self {
        headers: &[("Allow", "GET, HEAD")],
        ..Self::new(405, RejectCause::Method, "this path answers GET and HEAD")
    };

    /// What is wrong with the head of a request that was to be forwarded.
    pub(super) fn of_head(status: u16, text: &'static str) -> Self {
        let cause = match status {
            431 => RejectCause::HeaderSize,
            505 => RejectCause::HttpVersion,
            _ => RejectCause::BadRequest,
        };
        Self::new(status, cause, text)
    }

    const fn new(status: u16, cause: RejectCause, text: &'static str) -> Self {
        Self { status, cause, text, headers: &[], retry_after: None }
    }

    /// Says when to come back, if the broker is being drained.
    pub(super) fn of_broker(self, broker: &BrokerState) -> Self {
        Self { retry_after: broker.retry_after(), ..self }
    }

    /// 400, naming what is wrong with the request.
    pub(super) const fn bad(text: &'static str) -> Self {
        Self::new(400, RejectCause::BadRequest, text)
    }

    /// The answer. `head_only`: to a HEAD request, which gets no body (RFC 9110 §9.3.2).
    pub(super) fn answer(&self, head_only: bool) -> HttpAnswer {
        let mut answer = AnswerHead::new(self.status);
        // 426 must name what to upgrade to in a header that Connection lists (RFC 9110 §7.8).
        answer.header(
            "Connection",
            if self.headers.contains(&("Upgrade", "websocket")) { "Upgrade, close" } else { "close" },
        );
        for (name, value) in self.headers {
            answer.header(name, value);
        }
        if let Some(seconds) = self.retry_after {
            answer.header("Retry-After", &seconds.to_string());
        }
        answer.header("Content-Type", "text/plain; charset=utf-8");
        answer.header("Content-Length", &(self.text.len() + 1).to_string());
        let mut bytes = answer.end();
        if !head_only {
            bytes.extend_from_slice(self.text.as_bytes());
            bytes.push(b'\n');
        }
        bytes.into()
    }
}

/// The answer a worker gave instead of letting the connection in.
pub(super) fn rejection(rejection: Rejection) -> HttpAnswer {
    let Rejection { reject, held } = rejection;
    let status = if (200..=599).contains(&reject.status) { reject.status } else { 403 };
    let mut answer = AnswerHead::new(status);
    answer.header("Connection", "close");
    answer.application(&reject.headers);
    // Those have no body (RFC 9110 §15.3.5, §15.3.6, §15.4.5), and the first and the last not even
    // a length (§8.6).
    let body = if matches!(status, 204 | 205 | 304) { Bytes::new() } else { reject.body };
    if !body.is_empty() && !reject.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        answer.header("Content-Type", "text/plain; charset=utf-8");
    }
    if !matches!(status, 204 | 304) {
        answer.header("Content-Length", &body.len().to_string());
    }
    let mut head = answer.end();
    if body.len() > COPIED {
        return HttpAnswer { head, body, _held: held };
    }
    head.extend_from_slice(&body);
    HttpAnswer { head, body: Bytes::new(), _held: held }
}

/// A fixed answer. `keeps`: the connection goes on behind it.
pub(super) fn fixed(
    status: u16,
    headers: &[(String, String)],
    body: &Bytes,
    head_only: bool,
    keeps: bool,
) -> HttpAnswer {
    let mut answer = AnswerHead::new(status);
    if !keeps {
        answer.header("Connection", "close");
    }
    answer.application(headers);
    let has = |name: &str| headers.iter().any(|(found, _)| found.eq_ignore_ascii_case(name));
    let bodyless = matches!(status, 204 | 205 | 304);
    if !bodyless && !body.is_empty() && !has("content-type") {
        answer.header("Content-Type", "text/plain; charset=utf-8");
    }
    if !has("cache-control") {
        answer.header("Cache-Control", "no-store");
    }
    if !matches!(status, 204 | 304) {
        answer.header("Content-Length", &(if bodyless { 0 } else { body.len() }).to_string());
    }
    let mut head = answer.end();
    if head_only || bodyless {
        return head.into();
    }
    if body.len() > COPIED {
        return HttpAnswer { head, body: body.clone(), _held: None };
    }
    head.extend_from_slice(body);
    head.into()
}

/// The 101 (RFC 6455 §4.2.2).
pub(super) fn switching(
    accept_key: &str,
    protocol: Option<&str>,
    compression: Option<&Agreement>,
    headers: &[(String, String)],
) -> Vec<u8> {
    let mut answer = AnswerHead::new(101);
    answer.header("Upgrade", "websocket");
    answer.header("Connection", "Upgrade");
    answer.header("Sec-WebSocket-Accept", accept_key);
    if let Some(protocol) = protocol {
        answer.header("Sec-WebSocket-Protocol", protocol);
    }
    if let Some(compression) = compression {
        answer.header("Sec-WebSocket-Extensions", &compression.to_string());
    }
    answer.application(headers);
    answer.end()
}

struct AnswerHead(Vec<u8>);

impl AnswerHead {
    fn new(status: u16) -> Self {
        let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Status");
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(format!("HTTP/1.1 {status} {reason}\r\n").as_bytes());
        Self(bytes)
    }

    fn header(&mut self, name: &str, value: &str) {
        for part in [name, ": ", value, "\r\n"] {
            self.0.extend_from_slice(part.as_bytes());
        }
    }

    /// The application's headers, without those that would break the answer.
    fn application(&mut self, headers: &[(String, String)]) {
        for (name, value) in headers {
            match objection(name, value) {
                None => self.header(name, value),
                Some(why) => tracing::warn!(?name, why, "a header of the application's answer is left out"),
            }
        }
    }

    fn end(mut self) -> Vec<u8> {
        self.0.extend_from_slice(b"\r\n");
        self.0
    }
}

/// What speaks against a header of the application's (RFC 9110 §5.1, §5.5).
fn objection(name: &str, value: &str) -> Option<&'static str> {
    if !is_token(name) {
        return Some("its name is no token");
    }
    if value.bytes().any(|byte| matches!(byte, 0..=8 | 10..=31 | 127)) {
        return Some("its value has a control character");
    }
    OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours)).then_some("the broker sets it")
}

/// Whether this is a token (RFC 9110 §5.6.2).
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use wsbroker_proto::negotiate;

    use super::*;
    use crate::open::Reject;

    fn pairs(headers: &[(&str, &str)]) -> Vec<(String, String)> {
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    fn whole(answer: HttpAnswer) -> String {
        text([answer.head.as_slice(), &answer.body].concat())
    }

    fn rejection(reject: Reject) -> HttpAnswer {
        super::rejection(Rejection { reject, held: None })
    }

    #[test]
    fn a_refusal_names_what_is_wrong() {
        let answer = whole(Refusal::bad("something").answer(false));
        assert_eq!(
            answer,
            "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 10\r\n\r\nsomething\n"
        );
        assert!(whole(Refusal::bad("something").answer(true)).ends_with("Content-Length: 10\r\n\r\n"));
        let answer = whole(Refusal::WEBSOCKET_VERSION.answer(false));
        assert!(
            answer.contains("\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"),
            "{answer}"
        );
    }

    #[test]
    fn a_101_has_what_it_needs_and_no_more() {
        assert_eq!(
            text(switching(
                "key=",
                Some("chat"),
                negotiate([&b"permessage-deflate; server_max_window_bits=10"[..]]).unwrap().as_ref(),
                &pairs(&[("X-A", "ü \t~"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
            )),
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: key=\r\n\
             Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; \
             client_no_context_takeover; server_max_window_bits=10\r\nX-A: ü \t~\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n"
        );
    }

    #[test]
    fn headers_that_would_split_or_bend_the_answer_are_left_out() {
        let hostile = pairs(&[
            ("X-A", "b\r\nX-Evil: 1"),
            ("X-A", "b\nX-Evil: 1"),
            ("X-A", "b\0"),
            ("X-A: 1\r\nX-Evil", "1"),
            ("", "x"),
            ("X A", "x"),
            ("Ü", "x"),
            ("upgrade", "h2c"),
            ("CONNECTION", "keep-alive"),
            ("Content-Length", "0"),
            ("transfer-encoding", "chunked"),
            ("Sec-WebSocket-Accept", "x"),
            ("Sec-WebSocket-Protocol", "x"),
            ("Sec-WebSocket-Extensions", "x"),
        ]);
        assert_eq!(switching("key=", None, None, &hostile), switching("key=", None, None, &[]));
        let reject = Reject { status: 401, headers: hostile, body: Bytes::from_static(b"no") };
        assert_eq!(
            whole(rejection(reject)),
            "HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 2\r\n\r\nno"
        );
    }

    #[test]
    fn a_long_body_is_shared_with_its_giver() {
        let body = Bytes::from(vec![b'x'; 100_000]);
        let answer = rejection(Reject { status: 403, headers: Vec::new(), body: body.clone() });
        assert_eq!(answer.body.as_ptr(), body.as_ptr());
        assert!(text(answer.head).ends_with("Content-Length: 100000\r\n\r\n"));
    }

    #[test]
    fn a_rejection_keeps_to_what_an_answer_may_be() {
        let reject = |status, headers: &[(&str, &str)], body: &'static str| {
            whole(rejection(Reject { status, headers: pairs(headers), body: Bytes::from_static(body.as_bytes()) }))
        };
        for status in [0, 101, 199, 600, u16::MAX] {
            assert!(reject(status, &[], "").starts_with("HTTP/1.1 403 Forbidden\r\n"), "{status}");
        }
        assert!(reject(200, &[], "ok").starts_with("HTTP/1.1 200 OK\r\n"), "no client takes it for a 101");
        assert!(reject(599, &[], "").starts_with("HTTP/1.1 599 Status\r\n"));
        assert_eq!(
            reject(302, &[("Location", "/x")], ""),
            "HTTP/1.1 302 Found\r\nConnection: close\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n"
        );
        assert!(reject(204, &[], "body").ends_with("close\r\n\r\n"));
        assert!(reject(205, &[], "body").ends_with("Content-Length: 0\r\n\r\n"));
        assert!(reject(304, &[], "body").ends_with("close\r\n\r\n"));
        let json = reject(400, &[("content-type", "application/json")], "{}");
        assert_eq!(json.to_lowercase().matches("content-type").count(), 1, "{json}");
    }
}
