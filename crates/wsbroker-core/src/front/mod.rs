//! From accept to the 101: async code, where waiting is the job.
//!
//! [`listener`] is what the caller holds: some paths on one address. [`address`] is a bound [`socket`] with the paths of all its listeners,
//! [`accept`] takes connections there, makes an [`arrival`] of each, and [`upgrade`] leads it through [`proxy`], [`request`], [`forwarded`], [`handshake`], [`origin`], [`gate`] (where it waits for
//! the worker's verdict) and [`response`]. The counts that tell when a listener is empty are in [`endpoint`].
//!
//! Bounded are: connections from accept to their end, in all and from one address ([`admission`]); connections before their verdict (`max_pending_upgrades`; more get a canned 503), connections that are being told no (as many
//! again, and 256 at least; more are cut) and what their answers hold ([`held`]), and of each connection the bytes and the time until its request is complete.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

mod accept;
mod address;
mod admission;
mod arrival;
mod endpoint;
mod forwarded;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod gate;
mod handshake;
mod held;
mod listener;
mod origin;
mod proxy;
mod request;
mod response;
mod socket;
mod tls;
#[cfg(unix)]
mod unix;
mod upgrade;

#[cfg(test)]
pub(crate) use self::gate::{Reservation, Verdict};
use self::{
    address::{Address, Place, Service},
    admission::Admission,
};
pub(crate) use self::{admission::Seat, endpoint::Endpoint, gate::Gate};
use crate::{
    config::{Config, ListenerConfig},
    error::ListenError,
};

pub use self::listener::{AwaitedPath, Listener};

/// Connections that may be told no at once, however few may wait to be let in.
const MIN_ANSWERS: usize = 256;

/// The addresses of a broker, and what bounds the way in.
#[derive(Debug)]
pub(crate) struct Front {
    /// Connections from accept to their end.
    admission: Arc<Admission>,
    /// Connections between accept and verdict.
    pending: Arc<Semaphore>,
    max_pending: usize,
    /// Questions that no worker has answered, also of connections that have gone.
    asking: Arc<Semaphore>,
    /// Connections that are being told no.
    answering: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    closed: bool,
    addresses: Vec<Arc<Address>>,
    /// Of every listener that may still have connections.
    endpoints: Vec<Weak<Endpoint>>,
}

impl Front {
    pub(crate) fn new(config: &Config) -> Self {
        let permits = config.max_pending_upgrades.min(Semaphore::MAX_PERMITS);
        Self {
            admission: Arc::new(Admission::new(config.max_connections, config.max_connections_per_ip)),
            pending: Arc::new(Semaphore::new(permits)),
            max_pending: permits,
            asking: Arc::new(Semaphore::new(permits.saturating_mul(4).clamp(MIN_ANSWERS, Semaphore::MAX_PERMITS))),
            answering: Arc::new(Semaphore::new(permits.max(MIN_ANSWERS))),
            state: Mutex::default(),
        }
    }

    /// Every listener stops accepting, at once, and no upgrade is admitted any more.
    pub(crate) fn close_all(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        for endpoint in state.endpoints.iter().filter_map(Weak::upgrade) {
            endpoint.close();
        }
        for address in state.addresses.drain(..) {
            address.release();
        }
    }

    /// Resolves when no listener has a connection or an upgrade left, after [`close_all`](Self::close_all).
    pub(crate) async fn emptied(&self) {
        // An endpoint that nobody holds any more has no connections.
        let endpoints: Vec<_> = self.state.lock().endpoints.iter().filter_map(Weak::upgrade).collect();
        for endpoint in endpoints {
            endpoint.emptied().await;
        }
    }

    /// Takes a listener's paths on its address, which is bound if this broker has not bound it yet. One at a time: of two listeners that
    /// ask for one address at once the second joins the first.
    fn open(
        &self,
        id: u32,
        place: &Place,
        beside: Option<&Arc<Address>>,
        config: &ListenerConfig,
    ) -> Result<(Arc<Address>, Arc<Service>), ListenError> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(ListenError::ShuttingDown);
        }
        let service = Arc::new(Service::new(id, config)?);
        let means = |address: &&Arc<Address>| match beside {
            Some(other) => Arc::ptr_eq(address, other),
            None => place.means(&address.local),
        };
        let known = state.addresses.iter().find(means).map(Arc::clone);
        let address = match &known {
            Some(address) => Arc::clone(address),
            None => Arc::new(Address::bind(place, config)?),
        };
        address.reserve(config, &service)?;
        if known.is_none() {
            state.addresses.push(Arc::clone(&address));
        }
        state.endpoints.retain(|endpoint| endpoint.strong_count() > 0);
        state.endpoints.push(Arc::downgrade(&service.endpoint));
        Ok((address, service))
    }

    /// Ends a listener, and its address with the last one. False when it had ended before.
    fn retire(&self, address: &Arc<Address>, service: &Service) -> bool {
        let mut state = self.state.lock();
        if !service.endpoint.close() {
            return false;
        }
        if address.is_deserted() {
            address.release();
            state.addresses.retain(|known| !Arc::ptr_eq(known, address));
        }
        true
    }

    /// Connections between accept and verdict.
    pub(crate) fn pending_upgrades(&self) -> usize {
        self.max_pending - self.pending.available_permits()
    }

    /// A place among all connections; held to the end of the connection.
    pub(crate) fn seat(&self) -> Option<Seat> {
        self.admission.enter()
    }

    /// A place among the connections that wait to be let in; held until the verdict.
    fn pend(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.pending).try_acquire_owned().ok()
    }

    /// A place among the questions to workers; held until the answer.
    pub(crate) fn ask(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.asking).try_acquire_owned().ok()
    }

    /// A place among the connections that are being told no.
    fn answer(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.answering).try_acquire_owned().ok()
    }
}
