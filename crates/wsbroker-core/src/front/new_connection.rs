//! A connection between accept and its 101: what it carries, and how long it may take.

use std::sync::Arc;

use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, timeout_at},
};

use super::{address::BoundAddress, peer::Peer};
use crate::{admission::ConnectionPermit, broker::BrokerState, counters::RejectCause};

/// What a connection takes along on its way in.
#[derive(Debug)]
pub(super) struct NewConnection {
    pub(super) broker: Arc<BrokerState>,
    pub(super) address: Arc<BoundAddress>,
    pub(super) peer: Peer,
    /// One deadline for all that the client has to send before its verdict, from accept on: a
    /// client cannot win time by getting one step further.
    deadline: Instant,
    /// Held until the verdict.
    pub(super) pending: OwnedSemaphorePermit,
    /// Held until the connection ends.
    pub(super) permit: ConnectionPermit,
}

impl NewConnection {
    /// To be made at accept: the deadline runs from here.
    pub(super) fn new(
        broker: Arc<BrokerState>,
        address: Arc<BoundAddress>,
        peer: Peer,
        pending: OwnedSemaphorePermit,
        permit: ConnectionPermit,
    ) -> Self {
        let deadline = Instant::now() + address.handshake_timeout;
        Self { broker, address, peer, deadline, pending, permit }
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
