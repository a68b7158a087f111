//! The addresses of a broker, and what bounds the way in.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    address::{BoundAddress, PathService, ResolvedBind},
    listener_config::ListenerConfig,
    plain_service::PlainService,
};
use crate::{
    admission::{ConnectionPermit, ConnectionPermits, Endpoint},
    config::Config,
    error::ListenError,
};

/// Refusals that may be written at once, however few upgrades may be pending.
const MIN_ANSWERS: usize = 256;

/// The addresses of a broker, and what bounds the way in.
#[derive(Debug)]
pub(crate) struct Front {
    /// Connections from accept to their end.
    admission: Arc<ConnectionPermits>,
    /// Connections between accept and verdict.
    pending: Arc<Semaphore>,
    max_pending: usize,
    /// Questions that no worker has answered, also of connections that have gone.
    asking: Arc<Semaphore>,
    /// Refusals that are being written.
    answering: Arc<Semaphore>,
    state: Mutex<FrontState>,
}

#[derive(Debug, Default)]
struct FrontState {
    closed: bool,
    /// No listener is opened any more.
    draining: bool,
    addresses: Vec<Arc<BoundAddress>>,
    /// Of every listener that may still have connections.
    endpoints: Vec<Weak<Endpoint>>,
}

impl Front {
    pub(crate) fn new(config: &Config) -> Self {
        let permits = config.max_pending_upgrades.min(Semaphore::MAX_PERMITS);
        Self {
            admission: Arc::new(ConnectionPermits::new(config.max_connections, config.max_connections_per_ip)),
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

    /// No listener is opened any more.
    pub(crate) fn open_no_more(&self) {
        self.state.lock().draining = true;
    }

    /// Every listener admits no upgrade and forwards no request any more. Addresses with fixed
    /// answers go on giving them; the others are released, so that the next process can have them.
    pub(crate) fn drain(&self) {
        let state = self.state.lock();
        for endpoint in state.endpoints.iter().filter_map(Weak::upgrade) {
            endpoint.drain();
        }
        for address in state.addresses.iter().filter(|address| !address.answers_while_draining()) {
            address.release();
        }
    }

    /// Ends the tunnels of every listener, after [`drain`](Self::drain).
    pub(crate) fn end_tunnels(&self) {
        for endpoint in self.state.lock().endpoints.iter().filter_map(Weak::upgrade) {
            endpoint.end_tunnels();
        }
    }

    /// Resolves when no listener has a connection or an upgrade left, after
    /// [`close_all`](Self::close_all).
    pub(crate) async fn emptied(&self) {
        // An endpoint without references has no connections.
        let endpoints: Vec<_> = self.state.lock().endpoints.iter().filter_map(Weak::upgrade).collect();
        for endpoint in endpoints {
            endpoint.emptied().await;
        }
    }

    /// Takes a listener's paths on its address, which is bound if this broker has not bound it yet.
    /// One at a time: of two listeners that ask for one address at once the second joins the first.
    pub(super) fn open(
        &self,
        id: u32,
        resolved: &ResolvedBind,
        beside: Option<&Arc<BoundAddress>>,
        config: &ListenerConfig,
    ) -> Result<(Arc<BoundAddress>, Arc<PathService>), ListenError> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(ListenError::ShuttingDown);
        }
        if state.draining {
            return Err(ListenError::Draining);
        }
        let service = Arc::new(PathService::new(id, config)?);
        let means = |address: &&Arc<BoundAddress>| match beside {
            Some(other) => Arc::ptr_eq(address, other),
            None => resolved.means(&address.local),
        };
        let known = state.addresses.iter().find(means).map(Arc::clone);
        let address = match &known {
            Some(address) => Arc::clone(address),
            None => Arc::new(BoundAddress::bind(resolved, config)?),
        };
        if config.http.is_some() && known.is_some() {
            return Err(ListenError::Conflict { address: config.bind.to_string(), option: "http" });
        }
        address.reserve(config, &service)?;
        if let Some(http) = &config.http {
            address.serve_plain(PlainService::new(http, &service.endpoint)?);
        }
        if known.is_none() {
            state.addresses.push(Arc::clone(&address));
        }
        state.endpoints.retain(|endpoint| endpoint.strong_count() > 0);
        state.endpoints.push(Arc::downgrade(&service.endpoint));
        Ok((address, service))
    }

    /// Ends a listener, and its address with the last one. False when it had ended before.
    pub(super) fn retire(&self, address: &Arc<BoundAddress>, service: &PathService) -> bool {
        let mut state = self.state.lock();
        if !service.endpoint.close() {
            return false;
        }
        if address.is_unused() {
            address.release();
            state.addresses.retain(|known| !Arc::ptr_eq(known, address));
        }
        true
    }

    /// Connections between accept and verdict.
    pub(crate) fn pending_upgrades(&self) -> usize {
        self.max_pending - self.pending.available_permits()
    }

    /// A permit above the limits, for a connection that only gets fixed answers.
    pub(crate) fn reserved_permit(&self) -> Option<ConnectionPermit> {
        self.admission.enter_reserved()
    }

    /// A permit for one more connection; held to its end.
    pub(crate) fn permit(&self) -> Option<ConnectionPermit> {
        self.admission.enter()
    }

    /// A permit for one more pending upgrade; held until the verdict.
    pub(super) fn pend(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.pending).try_acquire_owned().ok()
    }

    /// A permit for one more question to a worker; held until the answer.
    pub(crate) fn ask(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.asking).try_acquire_owned().ok()
    }

    /// A permit for one more refusal that is being written.
    pub(super) fn answer(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.answering).try_acquire_owned().ok()
    }
}
