//! A connection between accept and its 101: what it carries, and how long it may take.

use std::{net::IpAddr, sync::Arc};

use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, timeout_at},
};

use super::{address::Address, admission::Seat};
use crate::{broker::Inner, metrics::RejectCause};

/// The other end, as far as it is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Peer {
    /// IPv4 as IPv4, also where the system maps it into IPv6. `None` behind a unix socket.
    pub(super) ip: Option<IpAddr>,
    /// 0 where nobody knows it.
    pub(super) port: u16,
}

impl Peer {
    /// The other end of a unix socket.
    pub(super) const UNIX: Self = Self { ip: None, port: 0 };

    pub(super) fn new(ip: IpAddr, port: u16) -> Self {
        // A dual-stack socket shows IPv4 peers as IPv6 addresses; nobody wants to see those.
        Self { ip: Some(ip.to_canonical()), port }
    }

    /// The address as handlers see it.
    pub(super) fn ip_text(self) -> String {
        self.ip.map_or_else(String::new, |ip| ip.to_string())
    }
}

/// What a connection takes along on its way in.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) broker: Arc<Inner>,
    pub(super) address: Arc<Address>,
    pub(super) peer: Peer,
    /// One deadline for all that the client has to send before its verdict, from accept on: a client cannot win time by getting one step
    /// further.
    deadline: Instant,
    /// Held until the verdict.
    pub(super) pending: OwnedSemaphorePermit,
    /// Held until the connection ends.
    pub(super) seat: Seat,
}

impl Arrival {
    /// To be made at accept: the deadline runs from here.
    pub(super) fn new(
        broker: Arc<Inner>,
        address: Arc<Address>,
        peer: Peer,
        pending: OwnedSemaphorePermit,
        seat: Seat,
    ) -> Self {
        let deadline = Instant::now() + address.handshake_timeout;
        Self { broker, address, peer, deadline, pending, seat }
    }

    /// Runs one step of the way in, for as long as there is time and the address is open.
    ///
    /// # Errors
    /// [`RejectCause::HandshakeTimeout`] and [`RejectCause::NotServed`].
    pub(super) async fn step<T>(&self, step: impl Future<Output = T>) -> Result<T, RejectCause> {
        tokio::select! {
            biased;
            done = timeout_at(self.deadline, step) => done.map_err(|_| RejectCause::HandshakeTimeout),
            () = self.address.released() => Err(RejectCause::NotServed),
        }
    }

    /// Counts it as turned away. To be called once for each that is not let in.
    pub(super) fn reject(&self, cause: RejectCause) {
        self.broker.metrics.rejected.count(cause);
    }
}
