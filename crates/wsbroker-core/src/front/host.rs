//! Hosts as HTTP writes them.

use std::net::Ipv6Addr;

/// Whether this is `uri-host [":" port]` (RFC 9110 §7.2). No comma, although a registered name may
/// have one: it may come from two joined headers.
pub(super) fn is_host(value: &str) -> bool {
    let (is_name, tail) = if let Some(rest) = value.strip_prefix('[') {
        let Some((address, tail)) = rest.split_once(']') else { return false };
        (address.parse::<Ipv6Addr>().is_ok(), tail)
    } else {
        let (name, tail) = value.split_at(value.find(':').unwrap_or(value.len()));
        (name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=".contains(&byte)), tail)
    };
    is_name
        && (tail.is_empty()
            || tail.strip_prefix(':').is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit())))
}
