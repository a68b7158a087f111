//! Which proxies are believed about their clients.

use std::{net::IpAddr, str::FromStr};

use crate::error::CidrError;

/// Which proxies are believed, and what.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TrustProxy {
    /// Networks that proxies are in, as `10.0.0.0/8`, `fd00::/8` or a single address.
    pub from: Vec<Cidr>,
    /// Every peer on a unix socket is a proxy.
    pub unix: bool,
    /// Where the proxies write the client's address.
    pub header: ForwardedHeader,
}

impl TrustProxy {
    /// Whether a peer with this address is a proxy. `None`: a peer on a unix socket.
    pub(crate) fn trusts(&self, peer: Option<IpAddr>) -> bool {
        peer.map_or(self.unix, |ip| self.from.iter().any(|network| network.contains(ip)))
    }
}

/// The one header in which proxies write the client's address. Any other is the client's own and
/// means nothing.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`: addresses, the nearest last.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// A network.
///
/// ```
/// use wsbroker_core::Cidr;
/// let private: Cidr = "10.0.0.0/8".parse().unwrap();
/// assert!(private.contains("10.1.2.3".parse().unwrap()) && !private.contains("11.0.0.1".parse().unwrap()));
/// assert!("10.0.0.0/33".parse::<Cidr>().is_err() && "somewhere".parse::<Cidr>().is_err());
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cidr {
    address: IpAddr,
    prefix: u32,
}

impl Cidr {
    /// Whether this address is in it. An IPv4 address mapped into IPv6 counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let mask = u32::MAX.checked_shl(32 - self.prefix).unwrap_or(0);
                (own.to_bits() ^ other.to_bits()) & mask == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let mask = u128::MAX.checked_shl(128 - self.prefix).unwrap_or(0);
                (own.to_bits() ^ other.to_bits()) & mask == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let wrong = || CidrError { text: text.into() };
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let whole = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => whole,
            Some(prefix) if !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit()) => {
                prefix.parse().ok().filter(|prefix| *prefix <= whole).ok_or_else(wrong)?
            }
            Some(_) => return Err(wrong()),
        };
        match address {
            // The same network as peers are compared with it.
            IpAddr::V6(v6)
                if prefix >= 96
                    && let Some(v4) = v6.to_ipv4_mapped() =>
            {
                Ok(Self { address: v4.into(), prefix: prefix - 96 })
            }
            address => Ok(Self { address, prefix }),
        }
    }
}
