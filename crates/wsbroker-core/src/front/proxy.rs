//! The PROXY protocol, versions 1 and 2: what a proxy says about a client before the client's first
//! byte. Bytes in, a [`Proxied`] or a reason out. No sockets, no clocks.
//!
//! Source: "The PROXY protocol, Versions 1 & 2" (HAProxy, `doc/proxy-protocol.txt`); sections below
//! are its own. Read to the letter, since nothing writes a valid header by accident. What is behind
//! the addresses in version 2 is skipped, checksums too: TCP has its own.
//!
//! The header is asked for in pieces that cannot go beyond its end, so that what follows, TLS or
//! HTTP, finds its first byte in the socket.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::peer::Peer;

/// §2.2: how version 2 begins.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// §2.1: how version 1 begins.
const WORD: &[u8] = b"PROXY ";
/// No header is shorter: `PROXY UNKNOWN` with its CR LF.
const SHORTEST: usize = 15;
/// §2.1: the longest line of version 1, with CR LF.
const LONGEST_LINE: usize = 107;
/// §2.2: up to the length, and with it.
const FIXED: usize = 16;
/// The longest header of version 2. Addresses take at most 216 bytes; the rest, mostly of TLS, is
/// some hundred bytes with the proxies there are, and is to fit one segment. It is not kept, so
/// this bounds only what a client may make us read.
const LONGEST: usize = 4096;
/// What is kept of a header: a line, or of version 2 the fixed part and the longest addresses that
/// are looked at.
const KEPT: usize = LONGEST_LINE;

/// The client of a connection, as its proxy says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Proxied {
    /// The proxy itself, as for health checks, or a client that it cannot name: the socket's own
    /// address counts.
    Itself,
    Client(Peer),
}

/// Gathers a header from whatever pieces it comes in.
#[derive(Debug)]
pub(super) struct ProxyHeader {
    kept: [u8; KEPT],
    length: usize,
}

/// What is wrong with a header, for the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Malformed(pub(super) &'static str);

impl ProxyHeader {
    pub(super) fn new() -> Self {
        Self { kept: [0; KEPT], length: 0 }
    }

    /// How many bytes the header lacks at least. Not more may be read. Never 0 while
    /// [`push`](Self::push) asks for more.
    pub(super) fn lacks(&self) -> usize {
        let at_least = if self.length < SHORTEST {
            SHORTEST
        } else if self.kept.starts_with(&SIGNATURE) {
            if self.length < FIXED { FIXED } else { self.announced() }
        } else if self.bytes().ends_with(b"\r") {
            self.length + 1
        } else {
            (self.length + 2).min(LONGEST_LINE)
        };
        at_least.saturating_sub(self.length)
    }

    /// Takes bytes, at most as many as it [`lacks`](Self::lacks). `None` when more are needed.
    ///
    /// # Errors
    /// At the first byte that no header can have there, as far as that is known without the rest.
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<Option<Proxied>, Malformed> {
        for &byte in piece {
            if let Some(place) = self.kept.get_mut(self.length) {
                *place = byte;
            }
            self.length += 1;
        }
        let bytes = self.bytes();
        if begins(bytes, &SIGNATURE) {
            self.version_2()
        } else if begins(bytes, WORD) {
            line(bytes)
        } else {
            Err(Malformed("neither version"))
        }
    }

    fn bytes(&self) -> &[u8] {
        &self.kept[..self.length.min(KEPT)]
    }

    /// What the fixed part says the header is long.
    fn announced(&self) -> usize {
        FIXED + usize::from(u16::from_be_bytes([self.kept[14], self.kept[15]]))
    }

    /// §2.2.
    fn version_2(&self) -> Result<Option<Proxied>, Malformed> {
        if self.length < FIXED {
            return Ok(None);
        }
        let (local, room) = match self.kept[12] {
            0x20 => (true, 0),
            0x21 => (false, addresses(self.kept[13])?),
            _ => return Err(Malformed("a version or command that there is not")),
        };
        if self.announced() > LONGEST {
            return Err(Malformed("a header that is too long"));
        }
        if self.announced() < FIXED + room {
            return Err(Malformed("a header without room for its addresses"));
        }
        if self.length < self.announced() {
            return Ok(None);
        }
        Ok(Some(if local { Proxied::Itself } else { self.source() }))
    }

    /// The source in the addresses of version 2, which are there.
    fn source(&self) -> Proxied {
        let at = |place: usize| self.kept[FIXED + place];
        let port = |place| u16::from_be_bytes([at(place), at(place + 1)]);
        match self.kept[13] {
            0x11 | 0x12 => {
                let ip = Ipv4Addr::from(std::array::from_fn(at));
                Proxied::Client(Peer::new(IpAddr::V4(ip), port(8)))
            }
            0x21 | 0x22 => {
                let ip = Ipv6Addr::from(std::array::from_fn::<u8, 16, _>(at));
                Proxied::Client(Peer::new(IpAddr::V6(ip), port(32)))
            }
            0x31 | 0x32 => Proxied::Client(Peer::UNIX),
            // Of a family or a protocol that is not named: what is there instead of addresses means
            // nothing.
            _ => Proxied::Itself,
        }
    }
}

/// Whether these bytes are the beginning of that, or the other way round.
fn begins(bytes: &[u8], with: &[u8]) -> bool {
    let common = bytes.len().min(with.len());
    bytes[..common] == with[..common]
}

/// Bytes of the addresses of a family and protocol (§2.2).
fn addresses(kind: u8) -> Result<usize, Malformed> {
    match (kind >> 4, kind & 0xf) {
        (0..=3, 0) | (0, 1..=2) => Ok(0),
        (1, 1..=2) => Ok(12),
        (2, 1..=2) => Ok(36),
        (3, 1..=2) => Ok(216),
        _ => Err(Malformed("a family or protocol that there is not")),
    }
}

/// §2.1.
fn line(bytes: &[u8]) -> Result<Option<Proxied>, Malformed> {
    let text = match bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
        None if bytes.len() < LONGEST_LINE => return Ok(None),
        None => return Err(Malformed("a line that is too long")),
        Some(end) => match bytes[end..] {
            [b'\r', b'\n'] => &bytes[..end],
            [b'\r'] if bytes.len() < LONGEST_LINE => return Ok(None),
            _ => return Err(Malformed("a line that does not end in CR LF")),
        },
    };
    let text = text.strip_prefix(WORD).unwrap_or_default();
    // Whatever else it says.
    if text == b"UNKNOWN" || text.starts_with(b"UNKNOWN ") {
        return Ok(Some(Proxied::Itself));
    }
    let peer = std::str::from_utf8(text).ok().and_then(client).ok_or(Malformed("a line that cannot be read"))?;
    Ok(Some(Proxied::Client(peer)))
}

/// The source in `TCP4 source destination port port`.
fn client(text: &str) -> Option<Peer> {
    let mut fields = text.split(' ');
    let family = fields.next()?;
    let address = |text: &str| -> Option<IpAddr> {
        match family {
            "TCP4" => text.parse().ok().map(IpAddr::V4),
            "TCP6" => text.parse().ok().map(IpAddr::V6),
            _ => None,
        }
    };
    let source = address(fields.next()?)?;
    address(fields.next()?)?;
    let from = port(fields.next()?)?;
    port(fields.next()?)?;
    fields.next().is_none().then(|| Peer::new(source, from))
}

/// Without leading zeros, which some read as octal.
fn port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads as the front does, from a socket that gives at most `at_once` bytes, and says what was
    /// left in it.
    fn read(mut socket: &[u8], at_once: usize) -> Result<Option<(Proxied, &[u8])>, Malformed> {
        let mut header = ProxyHeader::new();
        loop {
            let taken = header.lacks().min(at_once).min(socket.len());
            assert!(header.lacks() > 0, "more is wanted, but not how much");
            if taken == 0 {
                return Ok(None);
            }
            let (piece, rest) = socket.split_at(taken);
            socket = rest;
            if let Some(proxied) = header.push(piece)? {
                return Ok(Some((proxied, socket)));
            }
        }
    }

    /// What comes of a header with something behind it, however it is cut.
    fn heard(header: &[u8]) -> Result<Proxied, &'static str> {
        let behind = b"\x16\x03\x01\r\n";
        let sent = [header, behind].concat();
        let whole = read(&sent, usize::MAX);
        for at_once in [1, 2, 7, 16] {
            // What is wrong with more than one thing is refused for one or the other.
            assert_eq!(read(&sent, at_once).map_err(drop), whole.map_err(drop), "{at_once} bytes at once");
        }
        match whole {
            Ok(Some((proxied, rest))) => {
                assert_eq!(rest, behind, "not a byte more than the header is read");
                for end in 0..header.len() {
                    assert_eq!(read(&header[..end], usize::MAX), Ok(None), "{end} bytes of it");
                }
                Ok(proxied)
            }
            Ok(None) => Err("more"),
            Err(Malformed(why)) => Err(why),
        }
    }

    fn peer(ip: &str, port: u16) -> Result<Proxied, &'static str> {
        Ok(Proxied::Client(Peer { ip: Some(ip.parse().unwrap()), port }))
    }

    fn v2(command: u8, kind: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, kind], &length, rest].concat()
    }

    const V4: [u8; 12] = [192, 0, 2, 1, 10, 0, 0, 1, 0xc3, 0x50, 1, 0xbb];

    fn v6(source: &str) -> Vec<u8> {
        let source: Ipv6Addr = source.parse().unwrap();
        [&source.octets()[..], &Ipv6Addr::LOCALHOST.octets(), &[0x04, 0xd2, 0, 80]].concat()
    }

    #[test]
    fn lines_name_the_client() {
        for (line, ip, port) in [
            ("TCP4 192.168.0.1 192.168.0.11 56324 443", "192.168.0.1", 56324),
            ("TCP4 255.255.255.255 255.255.255.255 65535 65535", "255.255.255.255", 65535),
            ("TCP4 0.0.0.0 0.0.0.0 0 0", "0.0.0.0", 0),
            ("TCP6 :: :: 0 0", "::", 0),
            ("TCP6 2001:DB8::1 ::1 1 2", "2001:db8::1", 1),
            ("TCP6 ::ffff:192.0.2.1 ::1 1 2", "192.0.2.1", 1),
            (
                "TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535",
                "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                65535,
            ),
        ] {
            assert_eq!(heard(format!("PROXY {line}\r\n").as_bytes()), peer(ip, port), "{line}");
        }
    }

    #[test]
    fn a_client_that_is_not_named_has_the_address_of_its_socket() {
        let longest = format!("PROXY UNKNOWN {}\r\n", "f".repeat(91));
        assert_eq!(longest.len(), LONGEST_LINE);
        for line in ["PROXY UNKNOWN\r\n", "PROXY UNKNOWN \r\n", "PROXY UNKNOWN a  b\0\r\n", &longest] {
            assert_eq!(heard(line.as_bytes()), Ok(Proxied::Itself), "{line:?}");
        }
        for (command, kind, rest) in [
            (0x20, 0x00, &[] as &[u8]),
            (0x20, 0x11, &V4),
            (0x20, 0xff, &[1, 2, 3]),
            (0x21, 0x00, &[]),
            (0x21, 0x00, &V4),
            (0x21, 0x01, &[]),
            (0x21, 0x10, &V4),
            (0x21, 0x20, &[]),
        ] {
            assert_eq!(heard(&v2(command, kind, rest)), Ok(Proxied::Itself), "{command:x} {kind:x}");
        }
    }

    #[test]
    fn blocks_name_the_client() {
        assert_eq!(heard(&v2(0x21, 0x11, &V4)), peer("192.0.2.1", 50_000));
        assert_eq!(heard(&v2(0x21, 0x12, &V4)), peer("192.0.2.1", 50_000), "what it forwards may have come as UDP");
        assert_eq!(heard(&v2(0x21, 0x21, &v6("2001:db8::7"))), peer("2001:db8::7", 1234));
        assert_eq!(heard(&v2(0x21, 0x22, &v6("::ffff:192.0.2.1"))), peer("192.0.2.1", 1234));
        for kind in [0x31, 0x32] {
            assert_eq!(heard(&v2(0x21, kind, &[b'/'; 216])), Ok(Proxied::Client(Peer::UNIX)));
        }
    }

    #[test]
    fn what_is_behind_the_addresses_is_skipped() {
        let more = |length: usize| [&V4[..], &vec![0xff; length - V4.len()]].concat();
        assert_eq!(heard(&v2(0x21, 0x11, &more(13))), peer("192.0.2.1", 50_000));
        assert_eq!(heard(&v2(0x21, 0x11, &more(LONGEST - FIXED))), peer("192.0.2.1", 50_000));
        assert_eq!(heard(&v2(0x21, 0x11, &more(LONGEST - FIXED + 1))), Err("a header that is too long"));
        assert_eq!(heard(&v2(0x20, 0, &vec![0; 65_535])), Err("a header that is too long"));
    }

    #[test]
    fn lines_are_read_to_the_letter() {
        for line in [
            "TCP4 192.168.0.1 192.168.0.11 56324 443 ",
            "TCP4 192.168.0.1 192.168.0.11 56324",
            "TCP4 192.168.0.1 192.168.0.11 56324 443 1",
            "TCP4  192.168.0.1 192.168.0.11 56324 443",
            " TCP4 192.168.0.1 192.168.0.11 56324 443",
            "TCP4\t192.168.0.1 192.168.0.11 56324 443",
            "tcp4 192.168.0.1 192.168.0.11 56324 443",
            "TCP5 192.168.0.1 192.168.0.11 56324 443",
            "UDP4 192.168.0.1 192.168.0.11 56324 443",
            "TCP4 192.168.0.01 192.168.0.11 56324 443",
            "TCP4 192.168.0.256 192.168.0.11 56324 443",
            "TCP4 192.168.1 192.168.0.11 56324 443",
            "TCP4 localhost 192.168.0.11 56324 443",
            "TCP4 192.168.0.1 elsewhere12 56324 443",
            "TCP4 ::1 ::1 56324 443",
            "TCP6 192.168.0.1 192.168.0.11 56324 443",
            "TCP6 fe80::1%eth0 ::1 56324 443",
            "TCP6 [::1] [::1] 56324 443",
            "TCP4 192.168.0.1 192.168.0.11 65536 443",
            "TCP4 192.168.0.1 192.168.0.11 056324 443",
            "TCP4 192.168.0.1 192.168.0.11 +5632 443",
            "TCP4 192.168.0.1 192.168.0.11 -1 443",
            "TCP4 192.168.0.1 192.168.0.11 56324 00",
            "TCP4 192.168.0.1 192.168.0.11 56324 ",
            "UNKNOWNS",
            "unknown ",
            "        ",
        ] {
            let sent = format!("PROXY {line}\r\n");
            assert_eq!(heard(sent.as_bytes()), Err("a line that cannot be read"), "{line:?}");
        }
        assert_eq!(heard(b"PROXY UNKNOWN\xff\r\n"), Err("a line that cannot be read"));
    }

    #[test]
    fn a_line_ends_in_cr_lf_and_in_time() {
        let ends = "a line that does not end in CR LF";
        for line in ["UNKNOWN a\n", "UNKNOWN a\rb\r\n", "UNKNOWN a\r\r\n", "\r\nUNKNOWN\r\n", "UNKNOWN\n\r\n"] {
            assert_eq!(heard(format!("PROXY {line}").as_bytes()), Err(ends), "{line:?}");
        }
        let long = |length: usize| format!("PROXY UNKNOWN {}", "f".repeat(length - 14));
        assert_eq!(heard(long(LONGEST_LINE).as_bytes()), Err("a line that is too long"));
        assert_eq!(heard((long(LONGEST_LINE - 1) + "\r\n").as_bytes()), Err(ends));
        assert_eq!(heard((long(LONGEST_LINE) + "\r\n").as_bytes()), Err("a line that is too long"));
    }

    #[test]
    fn blocks_are_read_to_the_letter() {
        for command in [0x00, 0x01, 0x10, 0x11, 0x22, 0x2f, 0x31, 0xff] {
            assert_eq!(heard(&v2(command, 0x11, &V4)), Err("a version or command that there is not"), "{command:x}");
        }
        for kind in [0x03, 0x13, 0x1f, 0x23, 0x33, 0x40, 0x41, 0xf0, 0xff] {
            let whole = v2(0x21, kind, &[0; 216]);
            assert_eq!(heard(&whole), Err("a family or protocol that there is not"), "{kind:x}");
        }
        for (kind, length) in [(0x11, 12), (0x12, 12), (0x21, 36), (0x22, 36), (0x31, 216), (0x32, 216)] {
            assert!(heard(&v2(0x21, kind, &vec![0; length])).is_ok());
            let short = v2(0x21, kind, &vec![0; length - 1]);
            assert_eq!(heard(&short), Err("a header without room for its addresses"), "{kind:x}");
        }
    }

    #[test]
    fn what_is_no_header_is_known_by_its_first_wrong_byte() {
        for (sent, good) in [
            (&b"GET / HTTP/1.1\r\n"[..], 0),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x01\x02\x03\x04", 0),
            (b"proxy UNKNOWN\r\n", 0),
            (b"PROXY\tUNKNOWN\r\n", 5),
            (b"PROXYUNKNOWN\r\n\r\n", 5),
            (b"POST / HTTP/1.1\r\n", 1),
            (b"\r\n\r\nGET / HTTP/1.1", 4),
            (b"\r\n\r\n\0\r\nQUIT\r\x21\x11\0\x0c", 11),
        ] {
            let mut header = ProxyHeader::new();
            for &byte in &sent[..good] {
                assert_eq!(header.push(&[byte]), Ok(None), "{sent:?}");
            }
            assert_eq!(header.push(&[sent[good]]), Err(Malformed("neither version")), "{sent:?}");
        }
    }

    fn header_like() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just(SIGNATURE.to_vec()),
            Just(b"PROXY ".to_vec()),
            Just(b"TCP4 1.2.3.4 5.6.7.8 9 10".to_vec()),
            Just(b"TCP6 ::1 ::2 9 10".to_vec()),
            Just(b"UNKNOWN".to_vec()),
            Just(b"\r\n".to_vec()),
            Just(vec![0x21, 0x11, 0, 12]),
            Just(vec![0x21, 0x21, 0, 40]),
            Just(vec![0x20, 0, 0, 3]),
            proptest::collection::vec(any::<u8>(), 0..40),
        ];
        proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn however_it_is_cut_it_means_the_same(bytes in header_like(), at_once in 1usize..20) {
            prop_assert_eq!(read(&bytes, at_once).map_err(drop), read(&bytes, usize::MAX).map_err(drop));
        }

        #[test]
        fn every_client_is_heard(source in any::<u128>(), destination in any::<u128>(), from in any::<u16>(), to in any::<u16>()) {
            let (source, destination) = (Ipv6Addr::from(source), Ipv6Addr::from(destination));
            let expected = Ok(Proxied::Client(Peer::new(source.into(), from)));
            let line = format!("PROXY TCP6 {source} {destination} {from} {to}\r\n");
            prop_assert_eq!(heard(line.as_bytes()), expected);
            let rest = [&source.octets()[..], &destination.octets(), &from.to_be_bytes(), &to.to_be_bytes()].concat();
            prop_assert_eq!(heard(&v2(0x21, 0x21, &rest)), expected);
        }
    }
}
