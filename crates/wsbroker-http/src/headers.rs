//! Header fields on their way through: which are of one connection only, and what the application's
//! server is told of the client.

use std::net::IpAddr;

use http::{
    HeaderMap,
    header::{
        AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, COOKIE, FORWARDED,
        HOST, HeaderName, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
    },
};

use crate::output::Output;

const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// The client, as the application's server is told of it.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// Its address; `None` on a unix socket.
    pub ip: Option<IpAddr>,
    /// Its port; 0 where there is none.
    pub port: u16,
    /// Whether it came over TLS.
    pub secure: bool,
    /// Whether the peer is a proxy that is believed: then what it says of scheme and host stays.
    pub trusted: bool,
    /// A header that only the application's server understands, told in this field by name and
    /// value: it says `<value> <ip> <port> <secure or plain>`, and is the last one. A client's own
    /// field of that name is removed.
    pub identified_by: Option<(&'a HeaderName, &'a str)>,
    /// That field is needed with the first request on a connection only, and again when it changes:
    /// the application's server remembers of which client a connection is.
    pub identified_once: bool,
}

/// Removes what is of one connection only (RFC 9110 §7.6.1): the known fields, and those that
/// Connection lists. Host stays, whatever Connection says.
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap, options: &[String]) {
    // Most requests have none or one: to look all of them up would cost more.
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let found: Vec<HeaderName> =
        headers.keys().filter(|name| is_hop_by_hop(name.as_str(), &options)).cloned().collect();
    for name in found {
        headers.remove(name);
    }
}

/// Whether it is of one connection only, in a message whose Connection fields list `options`.
pub(crate) fn is_hop_by_hop(name: &str, options: &[&str]) -> bool {
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    let known = match name.len() {
        2 => is("te"),
        7 => is("upgrade"),
        10 => is("connection") || is("keep-alive"),
        14 => is("http2-settings"),
        16 => is("proxy-connection"),
        17 => is("transfer-encoding"),
        _ => false,
    };
    known || (options.iter().any(|option| is(option)) && !is("host") && !is("content-length"))
}

/// What the application's server is told of a client: the same with each of its requests, so that
/// it is written down once.
#[derive(Clone, Debug)]
pub(crate) struct ClientFields {
    ip: Option<IpAddr>,
    port: u16,
    secure: bool,
    address: Option<String>,
    identity: Option<String>,
}

impl ClientFields {
    fn new(client: &Client<'_>, secure: bool) -> Self {
        let Client { ip, port, .. } = *client;
        let address = ip.map(|ip| ip.to_string());
        let identity = client.identified_by.map(|(_, secret)| {
            let address = address.as_deref().unwrap_or("-");
            let scheme = if secure { "secure" } else { "plain" };
            format!("{secret} {address} {port} {scheme}")
        });
        Self { ip, port, secure, address, identity }
    }

    fn are_of(&self, client: &Client<'_>, secure: bool) -> bool {
        (self.ip, self.port, self.secure) == (client.ip, client.port, secure)
    }
}

/// Writes the fields of a request, without what the client says of itself, and says who it is.
/// `known`: what was written down for the request before, on a connection whose
/// [`Client::identified_by`] does not change. Gives what identifies it, to be written last, unless
/// that was said before and once is enough.
pub(crate) fn describe_client<'a>(
    headers: &HeaderMap,
    client: &Client<'a>,
    known: &'a mut Option<ClientFields>,
    output: &mut Output,
) -> Option<(&'a str, &'a str)> {
    let (mut has_proto, mut has_host) = (false, false);
    for (name, value) in headers {
        let name = name.as_str();
        let passes = if let Some(what) = name.strip_prefix("x-forwarded-") {
            let (proto, host) = (client.trusted && what == "proto", client.trusted && what == "host");
            has_proto |= proto;
            has_host |= host;
            proto || host
        } else {
            let identifies = client.identified_by.is_some_and(|(ours, _)| ours.as_str() == name);
            !identifies && name != FORWARDED && name != REAL_IP
        };
        if passes {
            output.field(name, value.as_bytes());
        }
    }
    let secure = is_secure(headers, client);
    let same = known.take().filter(|known| known.are_of(client, secure));
    let is_news = same.is_none();
    let fields = known.insert(same.unwrap_or_else(|| ClientFields::new(client, secure)));
    if let Some(address) = &fields.address {
        output.field("x-forwarded-for", address.as_bytes());
    }
    if !has_proto {
        output.field("x-forwarded-proto", if client.secure { b"https" } else { b"http" });
    }
    if !has_host && let Some(host) = headers.get(HOST).filter(|host| !host.is_empty()) {
        output.field("x-forwarded-host", host.as_bytes());
    }
    let (name, _) = client.identified_by.filter(|_| is_news || !client.identified_once)?;
    Some((name.as_str(), fields.identity.as_deref()?))
}

/// Whether the client's own connection is encrypted, as far as is known: a proxy that is believed
/// may have decrypted it.
fn is_secure(headers: &HeaderMap, client: &Client<'_>) -> bool {
    if !client.trusted {
        return client.secure;
    }
    match headers.get(FORWARDED_PROTO).and_then(|proto| proto.to_str().ok()) {
        Some(proto) => proto.split(',').next().is_some_and(|first| first.trim().eq_ignore_ascii_case("https")),
        None => client.secure,
    }
}

/// Whether a field may come behind the body: not those that say what the message is, where it goes
/// or who sends it (RFC 9110 §6.5.1).
pub(crate) fn is_allowed_in_trailers(name: &HeaderName) -> bool {
    const FORBIDDEN: [HeaderName; 15] = [
        AUTHORIZATION,
        CONNECTION,
        CONTENT_ENCODING,
        CONTENT_LENGTH,
        CONTENT_RANGE,
        CONTENT_TYPE,
        COOKIE,
        FORWARDED,
        HOST,
        REAL_IP,
        SET_COOKIE,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
    ];
    !FORBIDDEN.contains(name) && name != "keep-alive" && !name.as_str().starts_with("x-forwarded-")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn told(trusted: bool) -> Vec<(String, String)> {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "h.test"),
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-proto", "gopher"),
            ("x-forwarded-host", "other.test"),
            ("x-forwarded-port", "1"),
            ("x-real-ip", "6.6.6.6"),
            ("forwarded", "for=6.6.6.6"),
            ("x-identity", "stolen"),
            ("x-kept", "1"),
        ] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let name = HeaderName::from_static("x-identity");
        let identified_by = Some((&name, "secret"));
        let ip = Some("192.0.2.7".parse().unwrap());
        let client = Client { ip, port: 9, secure: true, trusted, identified_by, identified_once: false };
        let mut told = written(&headers, &client, &mut None);
        told.sort();
        told
    }

    /// The fields that are written, that which identifies the client as the last.
    fn written(headers: &HeaderMap, client: &Client<'_>, known: &mut Option<ClientFields>) -> Vec<(String, String)> {
        let mut output = Output::default();
        let identity = describe_client(headers, client, known, &mut output);
        let identity = identity.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut bytes = Vec::new();
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        while !output.is_empty() {
            assert!(output.poll_write_to(&mut bytes, &mut cx).is_ready());
        }
        let text = String::from_utf8(bytes).unwrap();
        let field = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
        text.split_terminator("\r\n").map(|line| field(line).unwrap()).chain(identity).collect()
    }

    #[test]
    fn the_client_is_described_by_us_and_not_by_itself() {
        let expected = [
            ("host", "h.test"),
            ("x-forwarded-for", "192.0.2.7"),
            ("x-forwarded-host", "h.test"),
            ("x-forwarded-proto", "https"),
            ("x-identity", "secret 192.0.2.7 9 secure"),
            ("x-kept", "1"),
        ];
        assert_eq!(told(false), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn a_client_is_secure_when_its_own_connection_is() {
        // As on the connection of a proxy, where each request is another client's.
        let mut known = None;
        for (trusted, secure, proto, expected) in [
            (false, false, None, "plain"),
            (false, true, None, "secure"),
            (false, false, Some("https"), "plain"),
            (true, false, Some("https"), "secure"),
            (true, false, Some("HTTPS, http"), "secure"),
            (true, true, Some("http"), "plain"),
            (true, true, Some("http, https"), "plain"),
            (true, true, None, "secure"),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(proto) = proto {
                headers.insert(FORWARDED_PROTO, HeaderValue::from_static(proto));
            }
            let name = HeaderName::from_static("x-identity");
            let identified_by = Some((&name, "secret"));
            let client = Client { ip: None, port: 0, secure, trusted, identified_by, identified_once: false };
            let (name, value) = written(&headers, &client, &mut known).pop().unwrap();
            assert_eq!((name.as_str(), value), ("x-identity", format!("secret - 0 {expected}")), "{proto:?}");
        }
    }

    #[test]
    fn where_once_is_enough_a_client_is_identified_when_it_changes() {
        let name = HeaderName::from_static("x-identity");
        let mut known = None;
        for (port, connection, expected) in [(1, 1, true), (1, 1, false), (2, 1, true), (2, 1, false), (2, 2, true)] {
            if connection == 2 {
                known = None;
            }
            let identified_by = Some((&name, "secret"));
            let ip = Some("192.0.2.7".parse().unwrap());
            let client = Client { ip, port, secure: false, trusted: true, identified_by, identified_once: true };
            let fields = written(&HeaderMap::new(), &client, &mut known);
            let told = fields.iter().any(|(name, _)| name == "x-identity");
            assert_eq!(told, expected, "{port} on {connection}");
        }
    }

    #[test]
    fn a_trusted_proxy_is_believed_about_scheme_and_host_only() {
        let expected = [
            ("host", "h.test"),
            ("x-forwarded-for", "192.0.2.7"),
            ("x-forwarded-host", "other.test"),
            ("x-forwarded-proto", "gopher"),
            ("x-identity", "secret 192.0.2.7 9 plain"),
            ("x-kept", "1"),
        ];
        assert_eq!(told(true), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}
