//! Header fields on their way through: which are of one connection only, and what the application's
//! server is told of the client.

use std::net::IpAddr;

use hyper::{
    HeaderMap,
    header::{
        AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, COOKIE, FORWARDED,
        HOST, HeaderName, HeaderValue, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
    },
};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
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
}

/// Removes what is of one connection only (RFC 9110 §7.6.1): the known fields, and those that
/// Connection lists. Host stays, whatever Connection says.
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap, options: &[String]) {
    // Most requests have none or one: to look all of them up would cost more.
    let found: Vec<HeaderName> = headers.keys().filter(|name| is_hop_by_hop(name, options)).cloned().collect();
    for name in found {
        headers.remove(name);
    }
}

/// Whether it is of one connection only, in a message whose Connection fields list `options`.
pub(crate) fn is_hop_by_hop(name: &HeaderName, options: &[String]) -> bool {
    let listed = || options.iter().any(|option| option == name.as_str()) && *name != HOST && *name != CONTENT_LENGTH;
    [CONNECTION, TE, TRANSFER_ENCODING, UPGRADE].contains(name)
        || matches!(name.as_str(), "http2-settings" | "keep-alive" | "proxy-connection")
        || listed()
}

/// What the application's server is told of a client: the same with each of its requests, so that
/// it is written down once.
#[derive(Clone, Debug)]
pub(crate) struct ClientFields {
    ip: Option<IpAddr>,
    port: u16,
    secure: bool,
    address: Option<HeaderValue>,
    identity: Option<HeaderValue>,
}

impl ClientFields {
    fn new(client: &Client<'_>, secure: bool) -> Self {
        let Client { ip, port, .. } = *client;
        let address = ip.map(|ip| ip.to_string());
        let identity = client.identified_by.and_then(|(_, secret)| {
            let address = address.as_deref().unwrap_or("-");
            let scheme = if secure { "secure" } else { "plain" };
            HeaderValue::try_from(format!("{secret} {address} {port} {scheme}")).ok()
        });
        Self { ip, port, secure, address: address.and_then(|address| HeaderValue::try_from(address).ok()), identity }
    }

    fn are_of(&self, client: &Client<'_>, secure: bool) -> bool {
        (self.ip, self.port, self.secure) == (client.ip, client.port, secure)
    }
}

/// Says who the client is, and removes what it says of itself. `known`: what was written down for
/// the request before, on a connection whose [`Client::identified_by`] does not change.
pub(crate) fn describe_client(headers: &mut HeaderMap, client: &Client<'_>, known: &mut Option<ClientFields>) {
    let kept = |name: &HeaderName| client.trusted && (*name == FORWARDED_PROTO || *name == FORWARDED_HOST);
    let foreign: Vec<HeaderName> = headers
        .keys()
        .filter(|name| {
            let says_who = name.as_str().starts_with("x-forwarded-") || **name == FORWARDED || **name == REAL_IP;
            let identifies = client.identified_by.is_some_and(|(ours, _)| ours == *name);
            (says_who && !kept(name)) || identifies
        })
        .cloned()
        .collect();
    for name in foreign {
        headers.remove(name);
    }
    let secure = is_secure(headers, client);
    let fields = known.take().filter(|known| known.are_of(client, secure));
    let fields = known.insert(fields.unwrap_or_else(|| ClientFields::new(client, secure)));
    if let Some(address) = &fields.address {
        headers.insert(FORWARDED_FOR, address.clone());
    }
    if !headers.contains_key(FORWARDED_PROTO) {
        headers.insert(FORWARDED_PROTO, HeaderValue::from_static(if client.secure { "https" } else { "http" }));
    }
    if !headers.contains_key(FORWARDED_HOST)
        && let Some(host) = headers.get(HOST).filter(|host| !host.is_empty()).cloned()
    {
        headers.insert(FORWARDED_HOST, host);
    }
    if let (Some((name, _)), Some(identity)) = (client.identified_by, &fields.identity) {
        headers.insert(name.clone(), identity.clone());
    }
}

/// Whether the client's own connection is encrypted, as far as is known: a proxy that is believed
/// may have decrypted it.
fn is_secure(headers: &HeaderMap, client: &Client<'_>) -> bool {
    let said = headers.get(FORWARDED_PROTO).filter(|_| client.trusted).and_then(|proto| proto.to_str().ok());
    match said {
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
        describe_client(&mut headers, &Client { ip, port: 9, secure: true, trusted, identified_by }, &mut None);
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        let mut told: Vec<_> = headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        told.sort();
        told
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
            let client = Client { ip: None, port: 0, secure, trusted, identified_by: Some((&name, "secret")) };
            describe_client(&mut headers, &client, &mut known);
            assert_eq!(
                headers.iter().last().unwrap(),
                (&name, &HeaderValue::from_str(&format!("secret - 0 {expected}")).unwrap()),
                "{proto:?}"
            );
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
