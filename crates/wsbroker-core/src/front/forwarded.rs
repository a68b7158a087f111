//! Which client a request is from, as the proxies on its way wrote it down: `X-Forwarded-For` or
//! `Forwarded` (RFC 7239). Text in, an address out.
//!
//! Each proxy adds the address of its peer at the right end. So the list is read from the right, as
//! long as the proxy that wrote an entry is trusted: the first address that is not a trusted proxy
//! is the client, and everything left of it may be the client's own invention.

use std::net::{IpAddr, Ipv6Addr};

use super::peer::Peer;
use crate::config::{ForwardedHeader, TrustProxy};

/// Longer than any valid address with brackets, port and unnecessary escapes. The rest of a hostile
/// element is not even looked at.
const LONGEST_NODE: usize = 128;

impl ForwardedHeader {
    /// Its name in lower case.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::XForwardedFor => "x-forwarded-for",
            Self::Forwarded => "forwarded",
        }
    }
}

/// The client behind a trusted peer. `lines` are the values of the header that is believed, in
/// order of appearance; together they are one list (RFC 9110 §5.3).
///
/// If all are trusted, the first of them made the request itself. If an entry cannot be read, the
/// address to its right is the last that is known, or the peer's. A port that is not given is 0.
pub(super) fn client<'a>(lines: impl DoubleEndedIterator<Item = &'a str>, trusted: &TrustProxy, peer: Peer) -> Peer {
    let mut last = peer;
    for line in lines.rev() {
        let mut rest = Some(line);
        while let Some(list) = rest {
            let (before, element) = split_last(list);
            rest = before;
            let element = element.trim_matches([' ', '\t']);
            // Lists may have empty elements, and they mean nothing (RFC 9110 §5.6.1.2).
            if element.is_empty() {
                continue;
            }
            let named = match trusted.header {
                ForwardedHeader::XForwardedFor => node(element),
                ForwardedHeader::Forwarded => for_parameter(element),
            };
            let Some(named) = named else { return last };
            if !trusted.trusts(named.ip) {
                return named;
            }
            last = named;
        }
    }
    last
}

/// A list without its last element, and that. Read from the right: what a client left open with a
/// quote must not swallow what the proxies wrote behind it. Where quotes mean nothing they are part
/// of no address, and whatever is between them is not one either.
fn split_last(list: &str) -> (Option<&str>, &str) {
    let bytes = list.as_bytes();
    let mut quoted = false;
    for (at, &byte) in bytes.iter().enumerate().rev() {
        match byte {
            b'"' if !is_escaped(&bytes[..at]) => quoted = !quoted,
            b',' if !quoted => return (Some(&list[..at]), &list[at + 1..]),
            _ => {}
        }
    }
    (None, list)
}

/// Whether what comes behind these bytes is escaped: behind an odd number of backslashes.
fn is_escaped(before: &[u8]) -> bool {
    before.iter().rev().take_while(|&&byte| byte == b'\\').count() % 2 == 1
}

/// The address in the `for` parameter of an element, which must be there once:
/// `for=192.0.2.1;proto=https` (RFC 7239 §4).
fn for_parameter(element: &str) -> Option<Peer> {
    let mut found = None;
    let mut rest = element;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ';']);
        if rest.is_empty() {
            return found;
        }
        let (name, behind) = rest.split_once('=')?;
        let (value, behind) = value(behind)?;
        if name.eq_ignore_ascii_case("for") {
            if found.is_some() {
                return None;
            }
            found = Some(node(&value)?);
        }
        let behind = behind.trim_start_matches([' ', '\t']);
        if !behind.is_empty() && !behind.starts_with(';') {
            return None;
        }
        rest = behind;
    }
}

/// A token or quoted string (RFC 9110 §5.6.4) without its quotes, as far as an address may be long
/// and one more, so that what is longer is seen to be; and what comes behind it.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, behind) = text.split_at(text.find([';', ' ', '\t']).unwrap_or(text.len()));
        let fits = !value.is_empty() && !value.contains('"');
        return fits.then(|| (value.chars().take(LONGEST_NODE + 1).collect(), behind));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        let character = match character {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => characters.next()?.1,
            other => other,
        };
        if value.len() <= LONGEST_NODE {
            value.push(character);
        }
    }
    None
}

/// An address with or without a port (RFC 7239 §6): `192.0.2.1`, `192.0.2.1:4711`,
/// `[2001:db8::1]:4711`; an IPv6 address without a port may go without brackets. `unknown` and
/// `_name` hide an address and are not one.
fn node(text: &str) -> Option<Peer> {
    if text.len() > LONGEST_NODE {
        return None;
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (ip, behind) = rest.split_once(']')?;
        let ip: Ipv6Addr = ip.parse().ok()?;
        let port = if behind.is_empty() { 0 } else { port(behind.strip_prefix(':')?)? };
        return Some(Peer::new(IpAddr::V6(ip), port));
    }
    if let Ok(ip) = text.parse() {
        return Some(Peer::new(ip, 0));
    }
    let (ip, after) = text.split_once(':')?;
    Some(Peer::new(IpAddr::V4(ip.parse().ok()?), port(after)?))
}

/// One to five digits, or a name that hides the port, which is then 0 (RFC 7239 §6.3).
fn port(text: &str) -> Option<u16> {
    if let Some(name) = text.strip_prefix('_') {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        return (!name.is_empty() && name.bytes().all(plain)).then_some(0);
    }
    let digits = (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PEER: &str = "10.0.0.9:99";

    fn peer(text: &str) -> Peer {
        match text.parse::<std::net::SocketAddr>() {
            Ok(address) => Peer::new(address.ip(), address.port()),
            Err(_) => Peer::new(text.parse().unwrap(), 0),
        }
    }

    fn trust(header: ForwardedHeader) -> TrustProxy {
        let from = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap()).to_vec();
        TrustProxy { from, unix: false, header }
    }

    /// The client of a request from [`PEER`], which is trusted, as are all of 10.0.0.0/8 and
    /// fd00::/8.
    fn x_forwarded_for(lines: &[&str]) -> Peer {
        client(lines.iter().copied(), &trust(ForwardedHeader::XForwardedFor), peer(PEER))
    }

    fn forwarded(lines: &[&str]) -> Peer {
        client(lines.iter().copied(), &trust(ForwardedHeader::Forwarded), peer(PEER))
    }

    #[test]
    fn the_rightmost_address_that_is_not_trusted_is_the_client() {
        for (lines, expected) in [
            (&["192.0.2.1"] as &[&str], "192.0.2.1"),
            (&["192.0.2.1, 10.0.0.1"], "192.0.2.1"),
            (&["6.6.6.6, 192.0.2.1, 10.0.0.1, 10.0.0.2"], "192.0.2.1"),
            (&["10.0.0.1, 192.0.2.1"], "192.0.2.1"),
            (&["6.6.6.6", "192.0.2.1", "10.0.0.1"], "192.0.2.1"),
            (&["6.6.6.6, 192.0.2.1", "10.0.0.1, 10.0.0.2"], "192.0.2.1"),
            (&["192.0.2.1,10.0.0.1"], "192.0.2.1"),
            (&["\t 192.0.2.1\t,  fd00::1"], "192.0.2.1"),
            (&["2001:db8::1"], "2001:db8::1"),
            (&["::ffff:192.0.2.1, ::ffff:10.0.0.1"], "192.0.2.1"),
        ] {
            assert_eq!(x_forwarded_for(lines), peer(expected), "{lines:?}");
        }
    }

    #[test]
    fn of_trusted_ones_only_the_first_is_the_client() {
        assert_eq!(x_forwarded_for(&["10.0.0.3, fd00::1, 10.0.0.1"]), peer("10.0.0.3"));
        assert_eq!(x_forwarded_for(&["10.0.0.3", "10.0.0.1"]), peer("10.0.0.3"));
    }

    #[test]
    fn without_a_word_the_peer_is_the_client() {
        for lines in [&[] as &[&str], &[""], &[" , ,, \t"], &["", ",", " "]] {
            assert_eq!(x_forwarded_for(lines), peer(PEER), "{lines:?}");
            assert_eq!(forwarded(lines), peer(PEER), "{lines:?}");
        }
    }

    #[test]
    fn empty_elements_mean_nothing() {
        assert_eq!(x_forwarded_for(&[",192.0.2.1,, 10.0.0.1 ,", "", ",,"]), peer("192.0.2.1"));
        assert_eq!(forwarded(&[",for=192.0.2.1,, for=10.0.0.1 ,", "", ",,"]), peer("192.0.2.1"));
    }

    #[test]
    fn what_cannot_be_read_ends_the_search_at_the_last_that_could() {
        for bad in [
            "unknown",
            "_hidden",
            "_gazonk",
            "localhost",
            "192.0.2",
            "192.0.2.256",
            "192.0.2.01",
            "0300.0.2.1",
            "0x7f.1",
            "192.0.2.1.",
            "192.0.2.1:",
            "192.0.2.1:port",
            "192.0.2.1:65536",
            "192.0.2.1:000080",
            "192.0.2.1:+80",
            "192.0.2.1:_",
            "192.0.2.1:_a b",
            "192.0.2.1/32",
            "192.0.2.1;x",
            "192.0.2.1 192.0.2.2",
            "[192.0.2.1]",
            "[2001:db8::1",
            "2001:db8::1]",
            "[2001:db8::1]80",
            "[2001:db8::1]:",
            "[2001:db8::1]:x",
            "[fe80::1%eth0]",
            "fe80::1%eth0",
            "[]",
            "[]:80",
            ":80",
            "::1::",
            "\u{ff11}92.0.2.1",
            "192.0.2.\u{661}",
            "-",
            "\0",
        ] {
            assert_eq!(x_forwarded_for(&[bad]), peer(PEER), "{bad:?} alone");
            let lines = [format!("6.6.6.6, {bad}, 10.0.0.3, 10.0.0.2")];
            assert_eq!(x_forwarded_for(&[&lines[0]]), peer("10.0.0.3"), "{bad:?} before those that are trusted");
            let lines = [format!("{bad}, 192.0.2.1")];
            assert_eq!(x_forwarded_for(&[&lines[0]]), peer("192.0.2.1"), "{bad:?} as an invention of the client");
            let quoted = bad.replace('\\', "\\\\").replace('"', "\\\"");
            let line = format!("for=6.6.6.6, for=\"{quoted}\", for=10.0.0.3");
            assert_eq!(forwarded(&[&line]), peer("10.0.0.3"), "{line}");
        }
        assert_eq!(x_forwarded_for(&["\"192.0.2.1\""]), peer(PEER), "this header knows no quotes");
    }

    #[test]
    fn what_is_too_long_is_none_whatever_it_begins_with() {
        let fits = format!("192.0.2.1:_{}", "a".repeat(LONGEST_NODE - 11));
        assert_eq!(fits.len(), LONGEST_NODE);
        for (node, expected) in
            [(fits.clone(), peer("192.0.2.1")), (fits.clone() + "a", peer(PEER)), (fits + "!", peer(PEER))]
        {
            assert_eq!(x_forwarded_for(&[&node]), expected, "{node}");
            assert_eq!(forwarded(&[&format!("for={node}")]), expected, "{node}");
            assert_eq!(forwarded(&[&format!("for=\"{node}\"")]), expected, "{node} in quotes");
        }
    }

    #[test]
    fn ports_are_named_or_zero() {
        for (element, expected) in [
            ("192.0.2.1:4711", "192.0.2.1:4711"),
            ("192.0.2.1:0", "192.0.2.1:0"),
            ("192.0.2.1:65535", "192.0.2.1:65535"),
            ("192.0.2.1:00080", "192.0.2.1:80"),
            ("192.0.2.1:_hidden", "192.0.2.1:0"),
            ("[2001:db8::1]", "[2001:db8::1]:0"),
            ("[2001:db8::1]:4711", "[2001:db8::1]:4711"),
            ("[2001:db8::1]:_x", "[2001:db8::1]:0"),
            ("[::ffff:192.0.2.1]:5", "192.0.2.1:5"),
        ] {
            assert_eq!(x_forwarded_for(&[element]), peer(expected), "{element}");
            assert_eq!(forwarded(&[&format!("for=\"{element}\"")]), peer(expected), "{element}");
        }
        // The colon of a port looks like one of the address; an IPv6 address with a port needs
        // brackets (RFC 7239 §6).
        assert_eq!(x_forwarded_for(&["2001:db8::1:4711"]), peer("2001:db8::1:4711"));
    }

    #[test]
    fn the_for_parameter_is_found_among_others() {
        for element in [
            "for=192.0.2.1",
            "For=192.0.2.1",
            "FOR=\"192.0.2.1\"",
            "proto=https;for=192.0.2.1;by=203.0.113.43",
            "proto=https; for=192.0.2.1 ; by=203.0.113.43",
            "for=192.0.2.1;host=\"a,b;c=d\"",
            "host=\"for=6.6.6.6\";for=192.0.2.1",
            "host=\"\\\"for=6.6.6.6\";for=192.0.2.1",
            "host=\"x\\\\\";for=192.0.2.1",
            // Three backslashes are one, and a quote that ends nothing; four are two, and the quote
            // ends the string.
            r#"host="x\\\",for=6.6.6.6";for=192.0.2.1"#,
            r#"host="\\\"";for=192.0.2.1;by="\\\\""#,
            r#"for=192.0.2.1;host="x\\\", for=6.6.6.6""#,
            r#"for=192.0.2.1;host="x\\\\";by=",""#,
            ";;for=192.0.2.1;",
            "for=\"\\1\\9\\2.0.2.1\"",
            "secret=_abc;for=192.0.2.1",
        ] {
            assert_eq!(forwarded(&[element]), peer("192.0.2.1"), "{element}");
            assert_eq!(forwarded(&[&format!("for=6.6.6.6, {element}, for=10.0.0.1")]), peer("192.0.2.1"), "{element}");
        }
        assert_eq!(forwarded(&["for=\"[2001:db8:cafe::17]:4711\""]), peer("[2001:db8:cafe::17]:4711"));
        assert_eq!(forwarded(&["for=\"[2001:db8:cafe::17]\""]), peer("2001:db8:cafe::17"));
    }

    #[test]
    fn an_element_that_is_not_well_formed_is_none() {
        for element in [
            "192.0.2.1",
            "proto=https",
            "for",
            "for=",
            "for =192.0.2.1",
            "for= 192.0.2.1",
            "for=192.0.2.1 proto=https",
            "for=\"192.0.2.1\"x",
            "for=x\"192.0.2.1\"",
            "for=\"192.0.2.1",
            "for=192.0.2.1\"",
            "for=\"192.0.2.1\\\"",
            "for=192.0.2.1;for=192.0.2.2",
            "for=192.0.2.1;for=192.0.2.1",
            "for=192.0.2.1;proto",
            "xfor=192.0.2.1",
            "for=\"\"",
        ] {
            assert_eq!(forwarded(&[element]), peer(PEER), "{element}");
        }
    }

    #[test]
    fn a_quote_left_open_swallows_nothing_that_proxies_write_behind_it() {
        for hostile in ["for=\"", "for=\"6.6.6.6", "\"", "for=\"\\", "x=\"a,b", "for=6.6.6.6;x=\"\\\"", "\\", "\"\"\""]
        {
            for (written, expected) in [
                ("for=192.0.2.1", "192.0.2.1:0"),
                ("for=\"[2001:db8::1]:80\"", "[2001:db8::1]:80"),
                ("for=\"192.0.2.1:80\";host=\"a, b\"", "192.0.2.1:80"),
            ] {
                let line = format!("{hostile}, {written}");
                assert_eq!(forwarded(&[&line]), peer(expected), "{line}");
                assert_eq!(forwarded(&[&format!("{line}, for=10.0.0.1")]), peer(expected), "{line}");
                assert_eq!(forwarded(&[hostile, written]), peer(expected), "{hostile} in a line of its own");
            }
        }
    }

    #[test]
    fn only_the_header_that_is_named_is_looked_at() {
        assert_eq!(x_forwarded_for(&["for=192.0.2.1"]), peer(PEER));
        assert_eq!(forwarded(&["192.0.2.1"]), peer(PEER));
        assert_eq!(ForwardedHeader::XForwardedFor.name(), "x-forwarded-for");
        assert_eq!(ForwardedHeader::Forwarded.name(), "forwarded");
    }

    #[test]
    fn behind_a_unix_socket_the_proxies_word_is_as_good() {
        let trusted = TrustProxy { from: Vec::new(), unix: true, header: ForwardedHeader::XForwardedFor };
        assert_eq!(client(["6.6.6.6, 10.0.0.1"].into_iter(), &trusted, Peer::UNIX), peer("10.0.0.1"));
        assert_eq!(client([].into_iter(), &trusted, Peer::UNIX), Peer::UNIX);
        assert_eq!(client(["unknown"].into_iter(), &trusted, Peer::UNIX), Peer::UNIX);
    }

    #[test]
    fn a_hundred_kilobytes_of_anything_name_no_client_of_their_own() {
        let size = 100 << 10;
        for piece in [
            "10.0.0.1,",
            ",",
            "\"",
            "\\",
            "\\\"",
            "\",\"",
            "for=10.0.0.1,",
            "for=\"10.0.0.1\",",
            ";",
            "for=",
            "a",
            "=",
            "[",
            ":",
        ] {
            let line = piece.repeat(size / piece.len());
            for line in [line.as_str(), &format!("x=\"{line}\";for=10.0.0.1"), &format!("for=\"{line}\"")] {
                for named in [x_forwarded_for(&[line]), forwarded(&[line])] {
                    assert!(trust(ForwardedHeader::Forwarded).trusts(named.ip), "{piece}: {named:?}");
                }
            }
        }
    }

    fn element() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<u32>().prop_map(|bits| std::net::Ipv4Addr::from_bits(bits).to_string()),
            (0u32..300).prop_map(|low| format!("10.0.0.{low}")),
            any::<u128>().prop_map(|bits| Ipv6Addr::from_bits(bits).to_string()),
            Just("unknown".to_owned()),
            Just(String::new()),
            "[ -~]{0,12}",
        ]
    }

    /// The same rules, read from the left.
    fn model(elements: &[String]) -> Peer {
        let trusted = trust(ForwardedHeader::XForwardedFor);
        let mut found = None;
        for element in elements.iter().flat_map(|element| element.split(',')) {
            let element = element.trim_matches([' ', '\t']);
            if element.is_empty() {
                continue;
            }
            match node(element) {
                None => found = None,
                Some(named) if !trusted.trusts(named.ip) => found = Some(named),
                Some(named) => found = found.or(Some(named)),
            }
        }
        found.unwrap_or(peer(PEER))
    }

    proptest! {
        #[test]
        fn it_is_as_a_reader_from_the_left_would_have_it(elements in proptest::collection::vec(element(), 0..8), cut in 0usize..8) {
            let (first, second) = elements.split_at(cut.min(elements.len()));
            let lines = [first.join(", "), second.join(",")];
            prop_assert_eq!(x_forwarded_for(&[&lines[0], &lines[1]]), model(&elements));
        }

        #[test]
        fn nothing_panics(lines in proptest::collection::vec("\\PC{0,40}", 0..4), hostile in proptest::collection::vec("[,;=\"\\\\a-c:. \\[\\]]{0,40}", 0..4)) {
            for lines in [&lines, &hostile] {
                let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
                x_forwarded_for(&lines);
                forwarded(&lines);
            }
        }
    }
}
