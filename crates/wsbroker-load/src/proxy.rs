//! The header with which a load balancer names the client of a connection (PROXY protocol, versions 1 and 2, <https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The addresses are from 198.18.0.0/15, which RFC 2544 reserves for benchmarks, or one of each /64
/// of 2001:db8::/32, which RFC 3849 reserves for documentation.
const FIRST_V4: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 0);
/// The size of the IPv4 block.
pub(crate) const MOST_ADDRESSES: usize = 1 << 17;
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Version 2, on behalf of another client (section 2.2).
const VERSION_2_PROXY: u8 = 0x21;
const TCP_OVER_V4: u8 = 0x11;
const TCP_OVER_V6: u8 = 0x21;

/// Version of the header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Version {
    /// A line of text.
    One,
    /// Binary.
    Two,
}

/// What the header of each connection says.
#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    pub(crate) version: Version,
    pub(crate) ipv6: bool,
    /// How many clients there seem to be, 1 to [`MOST_ADDRESSES`].
    pub(crate) addresses: usize,
}

impl Proxy {
    /// The header of the connection that is opened as number `turn`: clients take turns, with ports
    /// that change. `to` is the address that the client connected to.
    pub(crate) fn header(&self, turn: usize, to: SocketAddr) -> Vec<u8> {
        let client = (turn % self.addresses) as u32;
        let port = 1024 + (turn / self.addresses % 60_000) as u16;
        let (source, target) = if self.ipv6 {
            let [a, b, c, d] = client.to_be_bytes().map(u16::from);
            let source = Ipv6Addr::new(0x2001, 0xdb8, a << 8 | b, c << 8 | d, 0, 0, 0, 1);
            let target = match to.ip() {
                IpAddr::V6(ip) => ip,
                IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            };
            (IpAddr::V6(source), IpAddr::V6(target))
        } else {
            let source = Ipv4Addr::from(u32::from(FIRST_V4) + client);
            let target = if let IpAddr::V4(ip) = to.ip() { ip } else { Ipv4Addr::LOCALHOST };
            (IpAddr::V4(source), IpAddr::V4(target))
        };
        match self.version {
            Version::One => {
                let family = if self.ipv6 { "TCP6" } else { "TCP4" };
                format!("PROXY {family} {source} {target} {port} {}\r\n", to.port()).into_bytes()
            }
            Version::Two => binary(source, target, port, to.port()),
        }
    }
}

fn binary(source: IpAddr, target: IpAddr, from_port: u16, to_port: u16) -> Vec<u8> {
    let mut addresses = Vec::with_capacity(36);
    for ip in [source, target] {
        match ip {
            IpAddr::V4(ip) => addresses.extend_from_slice(&ip.octets()),
            IpAddr::V6(ip) => addresses.extend_from_slice(&ip.octets()),
        }
    }
    for port in [from_port, to_port] {
        addresses.extend_from_slice(&port.to_be_bytes());
    }
    let family = if source.is_ipv6() { TCP_OVER_V6 } else { TCP_OVER_V4 };
    let mut header = SIGNATURE.to_vec();
    header.extend_from_slice(&[VERSION_2_PROXY, family]);
    header.extend_from_slice(&(addresses.len() as u16).to_be_bytes());
    header.extend_from_slice(&addresses);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(version: Version, ipv6: bool, turn: usize) -> Vec<u8> {
        Proxy { version, ipv6, addresses: 1000 }.header(turn, "127.0.0.1:8080".parse().unwrap())
    }

    #[test]
    fn a_line_tells_both_ends() {
        assert_eq!(header(Version::One, false, 0), b"PROXY TCP4 198.18.0.0 127.0.0.1 1024 8080\r\n");
        assert_eq!(header(Version::One, false, 2999), b"PROXY TCP4 198.18.3.231 127.0.0.1 1026 8080\r\n");
        assert_eq!(header(Version::One, true, 258), b"PROXY TCP6 2001:db8:0:102::1 ::ffff:127.0.0.1 1024 8080\r\n");
    }

    #[test]
    fn the_binary_header_is_as_long_as_it_says() {
        let v4 = header(Version::Two, false, 1);
        assert_eq!(v4[..16], *b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c");
        assert_eq!(v4[16..], [198, 18, 0, 1, 127, 0, 0, 1, 4, 0, 0x1f, 0x90]);
        let v6 = header(Version::Two, true, 1);
        assert_eq!(v6[12..16], [0x21, 0x21, 0, 36]);
        assert_eq!(v6.len(), 16 + 36);
    }

    #[test]
    fn each_client_has_a_network_of_its_own() {
        let networks: std::collections::HashSet<Vec<u8>> =
            (0..1000).map(|turn| header(Version::Two, true, turn)[16..24].to_vec()).collect();
        assert_eq!(networks.len(), 1000);
    }
}
