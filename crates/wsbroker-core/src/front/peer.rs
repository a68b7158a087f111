//! The other end of a connection.

use std::net::IpAddr;

/// The other end, as far as it is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Peer {
    /// IPv4 as IPv4, also where the system maps it into IPv6. `None` behind a unix socket.
    pub(super) ip: Option<IpAddr>,
    /// 0 where it is not known.
    pub(super) port: u16,
}

impl Peer {
    /// The other end of a unix socket.
    pub(super) const UNIX: Self = Self { ip: None, port: 0 };

    pub(super) fn new(ip: IpAddr, port: u16) -> Self {
        // A dual-stack socket shows IPv4 peers as IPv6 addresses, which no log or rule expects.
        Self { ip: Some(ip.to_canonical()), port }
    }

    /// The address as handlers see it.
    pub(super) fn ip_text(self) -> String {
        self.ip.map_or_else(String::new, |ip| ip.to_string())
    }
}
