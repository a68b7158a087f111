//! A connection between accept and its 101: what it carries, and how long it may take.

use std::sync::Arc;

use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, timeout_at},
};
use wsbroker_http::Timer;

use super::{address::BoundAddress, forwarded, peer::Peer, request::Request, response::Refusal};
use crate::{admission::ConnectionPermit, broker::BrokerState, counters::RejectCause};

/// What a connection takes along on its way in.
#[derive(Debug)]
pub(super) struct NewConnection {
    pub(super) broker: Arc<BrokerState>,
    pub(super) address: Arc<BoundAddress>,
    pub(super) peer: Peer,
    /// The peer that it came from, before a request names the client.
    proxy: Option<Peer>,
    /// One deadline for all that the client has to send before its verdict, from accept on: a
    /// client cannot win time by getting one step further.
    deadline: Instant,
    /// Held while a request is read, and until the verdict. `None` while the connection waits for
    /// no verdict, and where there was none left for one that may only be answered.
    pub(super) pending: Option<OwnedSemaphorePermit>,
    /// Held until the connection ends.
    pub(super) permit: ConnectionPermit,
}

impl NewConnection {
    /// To be made at accept: the deadline runs from here.
    pub(super) fn new(
        broker: Arc<BrokerState>,
        address: Arc<BoundAddress>,
        peer: Peer,
        pending: Option<OwnedSemaphorePermit>,
        permit: ConnectionPermit,
    ) -> Self {
        let deadline = Instant::now() + address.handshake_timeout;
        Self { broker, address, peer, proxy: None, deadline, pending, permit }
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

    /// The same, on a connection that has a timer of its own.
    pub(super) async fn step_with<T>(
        &self,
        timer: &mut Timer,
        step: impl Future<Output = T>,
    ) -> Result<T, RejectCause> {
        tokio::select! {
            biased;
            done = timer.until(self.deadline, step) => done.ok_or(RejectCause::HandshakeTimeout),
            () = self.address.released() => Err(RejectCause::NotServed),
        }
    }

    /// Begins another request, with a deadline and a permit of its own. False without a permit.
    pub(super) fn begin_request(&mut self) -> bool {
        self.deadline = Instant::now() + self.address.handshake_timeout;
        self.pending = self.broker.front.pend();
        self.pending.is_some() || self.permit.is_reserved()
    }

    /// The request is read and will not become a WebSocket: it keeps no upgrade out.
    pub(super) fn end_waiting(&mut self) {
        self.pending = None;
    }

    /// Whether a trusted proxy speaks for the client.
    pub(super) fn comes_from_a_proxy(&self) -> bool {
        self.address.trusted(self.proxy.unwrap_or(self.peer)).is_some()
    }

    /// The client of this request, as far as a trusted proxy names it, and whether there is one.
    ///
    /// # Errors
    /// That client has as many connections as it may.
    pub(super) fn find_client(&mut self, request: &Request) -> Result<bool, Refusal> {
        let proxy = *self.proxy.get_or_insert(self.peer);
        let Some(trusted) = self.address.trusted(proxy) else { return Ok(false) };
        self.peer = forwarded::client(request.values(trusted.header.name()), trusted, proxy);
        if self.permit.claim(self.peer.ip) { Ok(true) } else { Err(Refusal::FULL_FOR_ADDRESS) }
    }

    /// Counts it as turned away. To be called once for each that is not let in.
    pub(super) fn reject(&self, cause: RejectCause) {
        self.broker.metrics.rejected.count(cause);
    }
}
