//! The bus that the brokers of the process join, and the thread that gets its events.

use std::{
    sync::Arc,
    thread::{self, ThreadId},
};

use parking_lot::Mutex;
use wsbroker_core::{Broker, BusEvent, BusListener, BusState, JoinError};
use wsbroker_redis::{ClusterConfig, RedisBus, RedisConfig};

use super::{PROCESS, next_generation};
use crate::js::js_error::JsError;

/// What the process has joined. It belongs to the thread that has joined. When that thread ends
/// while a broker still uses the bus, another thread may take it over.
pub(crate) struct Joined {
    pub(crate) config: ClusterConfig,
    /// Of the thread that it belongs to.
    listener: Arc<Mutex<BusListener>>,
    owner: Option<ThreadId>,
}

impl Joined {
    /// It belongs to the calling thread.
    pub(crate) fn new(config: ClusterConfig, listener: BusListener) -> Self {
        Self { config, listener: Arc::new(Mutex::new(listener)), owner: Some(thread::current().id()) }
    }

    /// Has a broker join.
    pub(crate) fn join(&self, broker: &Broker) -> Result<Arc<RedisBus>, JoinError> {
        RedisBus::join(broker, self.config.clone(), self.listener())
    }

    /// Passes events on to the thread that it belongs to at the time.
    fn listener(&self) -> BusListener {
        let current = Arc::clone(&self.listener);
        Arc::new(move |event: BusEvent| {
            let listener = Arc::clone(&current.lock());
            listener(event);
        })
    }

    /// A thread has ended. If it belonged to that one, it now belongs to none.
    pub(crate) fn thread_ended(&mut self, thread: ThreadId) {
        self.owner = self.owner.filter(|owner| *owner != thread);
    }

    /// Whether its thread has ended.
    pub(crate) fn is_orphaned(&self) -> bool {
        self.owner.is_none()
    }

    /// Gives it to the calling thread, if it belongs to none and has the same settings.
    pub(crate) fn adopt(&mut self, config: &ClusterConfig, listener: &BusListener) -> bool {
        if !self.is_orphaned() || self.config != *config {
            return false;
        }
        self.owner = Some(thread::current().id());
        *self.listener.lock() = Arc::clone(listener);
        true
    }
}

/// Joins other instances, now or as soon as there is a broker.
///
/// # Errors
/// The process has joined already, and the thread that did still runs or has joined with other
/// settings; or the operating system refused a thread.
pub(crate) fn join_cluster(config: ClusterConfig, listener: BusListener) -> Result<(), JsError> {
    let mut state = PROCESS.state.lock();
    if let Some(joined) = &mut state.cluster {
        if !joined.adopt(&config, &listener) {
            return Err(JoinError::Joined.into());
        }
        let stats = state.current.as_ref().and_then(|current| current.broker.bus_stats());
        drop(state);
        if stats.is_some_and(|stats| stats.state == BusState::Ready) {
            listener(BusEvent::Ready);
        }
        return Ok(());
    }
    if state.current.as_ref().is_some_and(|current| !current.options.config.history.is_empty()) {
        return Err(JsError::history_before_cluster("joinCluster"));
    }
    let joined = Joined::new(config, listener);
    if let Some(current) = &mut state.current {
        current.bus = Some(joined.join(&current.broker)?);
    }
    state.cluster = Some(joined);
    Ok(())
}

/// The broker and the bus that it has joined, if there are both.
pub(crate) fn joined_bus() -> Option<(Broker, Arc<RedisBus>)> {
    let state = PROCESS.state.lock();
    let current = state.current.as_ref()?;
    Some((current.broker.clone(), current.bus.clone()?))
}

/// The settings with which the next broker joins, if the process has joined.
pub(crate) fn reload_cluster(redis: RedisConfig) {
    if let Some(joined) = &mut PROCESS.state.lock().cluster {
        joined.config.redis = redis;
    }
}

/// Takes a join back, unless a broker in use has joined. Returns whether that was done, and the
/// unused broker that had joined, if there is one: it no longer belongs to the process, and is to
/// be shut down.
pub(crate) fn leave_cluster() -> (bool, Option<Broker>) {
    let mut guard = PROCESS.state.lock();
    let state = &mut *guard;
    if state.current.as_ref().is_some_and(|current| !current.is_unused()) {
        return (state.cluster.is_none(), None);
    }
    state.cluster = None;
    let Some(gone) = state.current.take() else { return (true, None) };
    state.free_workers();
    state.last_id = gone.broker.last_id();
    next_generation();
    (true, Some(gone.broker))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use wsbroker_redis::{RedisConfig, RedisServers};

    use super::*;

    fn config(port: u16) -> ClusterConfig {
        ClusterConfig::new(RedisConfig::new(RedisServers::Single("x".into(), port)))
    }

    fn counting() -> (BusListener, Arc<AtomicUsize>) {
        let count = Arc::<AtomicUsize>::default();
        let own = Arc::clone(&count);
        (Arc::new(move |_| _ = own.fetch_add(1, Ordering::SeqCst)), count)
    }

    #[test]
    fn only_what_nobody_has_any_more_is_taken_over_and_only_by_who_wants_the_same() {
        let ((first, told_first), (second, told_second)) = (counting(), counting());
        let mut joined = Joined::new(config(1), first);
        let tell = joined.listener();
        assert!(!joined.adopt(&config(1), &second));
        joined.thread_ended(thread::spawn(|| thread::current().id()).join().unwrap());
        assert!(!joined.is_orphaned());
        joined.thread_ended(thread::current().id());
        assert!(joined.is_orphaned());
        assert!(!joined.adopt(&config(2), &second));
        tell(BusEvent::Ready);
        assert!(joined.adopt(&config(1), &second));
        assert!(!joined.is_orphaned());
        tell(BusEvent::Ready);
        assert_eq!([told_first, told_second].map(|told| told.load(Ordering::SeqCst)), [1, 1]);
    }
}
