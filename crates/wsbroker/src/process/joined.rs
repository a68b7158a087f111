//! Where the brokers of the process meet others, and which thread is told about it.

use std::{
    sync::Arc,
    thread::{self, ThreadId},
};

use parking_lot::Mutex;
use wsbroker_core::{Broker, BusEvent, BusListener, JoinError};
use wsbroker_redis::{ClusterConfig, RedisBus};

/// A place on a bus. It belongs to the thread that has joined; when that ends and a broker goes on with it, another may take it over.
pub(crate) struct Joined {
    pub(crate) config: ClusterConfig,
    told: Arc<Mutex<BusListener>>,
    owner: Option<ThreadId>,
}

impl Joined {
    /// A place that belongs to the calling thread.
    pub(crate) fn new(config: ClusterConfig, listener: BusListener) -> Self {
        Self { config, told: Arc::new(Mutex::new(listener)), owner: Some(thread::current().id()) }
    }

    /// Takes a broker there.
    pub(crate) fn join(&self, broker: &Broker) -> Result<Arc<RedisBus>, JoinError> {
        RedisBus::join(broker, self.config.clone(), self.listener())
    }

    /// Tells the thread to which it belongs at that time.
    fn listener(&self) -> BusListener {
        let told = Arc::clone(&self.told);
        Arc::new(move |event: BusEvent| {
            let listener = Arc::clone(&told.lock());
            listener(event);
        })
    }

    /// If it was that thread's, it now belongs to none.
    pub(crate) fn thread_ended(&mut self, thread: ThreadId) {
        self.owner = self.owner.filter(|owner| *owner != thread);
    }

    /// Whether its thread has ended.
    pub(crate) fn is_orphaned(&self) -> bool {
        self.owner.is_none()
    }

    /// It belongs to the calling thread from now on, if it belongs to none and is the same place.
    pub(crate) fn adopt(&mut self, config: &ClusterConfig, listener: &BusListener) -> bool {
        if !self.is_orphaned() || self.config != *config {
            return false;
        }
        self.owner = Some(thread::current().id());
        *self.told.lock() = Arc::clone(listener);
        true
    }
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
