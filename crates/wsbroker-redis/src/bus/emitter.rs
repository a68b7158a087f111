//! Publishing without sockets.

use std::{
    fmt, io,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::{Mutex, oneshot},
    time::{Instant, timeout_at},
};
use wsbroker_core::{Bus, BusListener, BusState, BusStats, Compress, MessageForm, MessageKind};

use super::{ClusterConfig, RedisBus, publish_queue::Queued};

/// How long instances may take to come back after a loss of the bus: they try every 2 s at least, and then connect.
const RETURN: Duration = Duration::from_secs(4);
/// How long an emitter that knows of none waits for the first.
const FIRST: Duration = Duration::from_secs(1);

/// Publishes to channels from a process that serves no sockets. Clones are the same emitter.
///
/// It connects in the background, and again without end. Dropping the last clone publishes what waits, for at most a second, and ends it.
#[derive(Clone, Debug)]
pub struct Emitter {
    ending: Arc<Ending>,
    /// Who waits for the bus keeps those behind it waiting, so that all keep their order.
    turn: Arc<Mutex<()>>,
    /// Bytes of messages that have not got as far as the bus's queue.
    waiting: Arc<AtomicUsize>,
}

/// What a message costs besides its bytes while it waits for its turn.
const OVERHEAD: usize = 256;

/// A message that waits for its turn, as long as this lives.
struct Waiting<'a>(&'a AtomicUsize, usize);

impl<'a> Waiting<'a> {
    /// `None`: too much waits already. A longer one than the limit may wait alone.
    fn new(waiting: &'a AtomicUsize, bytes: usize, limit: usize) -> Option<Self> {
        let fits = |before: usize| {
            let after = before.checked_add(bytes)?;
            (before == 0 || after <= limit).then_some(after)
        };
        waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).ok()?;
        Some(Self(waiting, bytes))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Ordering::Relaxed);
    }
}

/// Ends the bus with the last emitter.
struct Ending(Arc<RedisBus>);

/// The message did not get to Redis, or it is not known whether it did.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EmitError {
    /// Redis is not there, or was lost before it answered, or too much waits for it.
    #[error("the bus is lost, or too much waits for it")]
    Lost,
    /// Redis has answered that it does not take it, and why.
    #[error("Redis refused the message: {0}")]
    Refused(String),
}

impl Emitter {
    /// Starts its thread.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub fn new(config: ClusterConfig, listener: BusListener) -> io::Result<Self> {
        let bus = Arc::new(RedisBus::new(None, config, listener));
        bus.start()?;
        Ok(Self { ending: Arc::new(Ending(bus)), turn: Arc::default(), waiting: Arc::default() })
    }

    /// Its thread's runtime, for whoever awaits its futures without one.
    #[must_use]
    pub fn runtime(&self) -> Option<Handle> {
        self.ending.0.runtime()
    }

    /// Publishes to every subscriber on every instance. Resolves when Redis has it. Waits at most that long for the bus, and until the instances that were
    /// there before it was lost are heard again: 4 s at most for these, and 1 s for a first one. What waits meanwhile is bounded by
    /// [`max_outgoing`](ClusterConfig::max_outgoing), with 256 bytes more for each message. A message that is not published takes a number, so that
    /// receivers learn of it.
    ///
    /// # Errors
    /// [`EmitError`].
    pub async fn publish(
        &self,
        channel: &[u8],
        kind: MessageKind,
        payload: &[u8],
        limit: Duration,
    ) -> Result<(), EmitError> {
        let bus = &self.ending.0;
        let deadline = Instant::now() + limit;
        let Some(waiting) = Waiting::new(&self.waiting, payload.len() + OVERHEAD, bus.config.max_outgoing) else {
            bus.outgoing.skip(channel);
            return Err(EmitError::Lost);
        };
        let turn = timeout_at(deadline, self.turn.lock()).await;
        if turn.is_err() || !bus.heard_by(deadline).await {
            bus.outgoing.skip(channel);
            return Err(EmitError::Lost);
        }
        let (waiter, answer) = oneshot::channel();
        let form = MessageForm { kind, compress: Compress::Auto };
        if bus.outgoing.publish(channel, form, payload, Some(waiter)) == Queued::Dropped {
            return Err(EmitError::Lost);
        }
        drop(waiting);
        bus.send();
        drop(turn);
        match answer.await {
            Ok(answer) => answer.map_err(EmitError::Refused),
            Err(_) => Err(EmitError::Lost),
        }
    }

    /// Resolves when the bus is ready; at once if it is.
    pub async fn ready(&self) -> bool {
        self.ending.0.ready().await
    }

    /// Numbers of its bus.
    #[must_use]
    pub fn stats(&self) -> BusStats {
        self.ending.0.stats()
    }
}

impl RedisBus {
    /// Resolves when instances hear what is published now, as far as that can be known; false when they do not by then.
    async fn heard_by(&self, deadline: Instant) -> bool {
        loop {
            if !matches!(timeout_at(deadline, self.ready()).await, Ok(true)) {
                return false;
            }
            let settled = timeout_at(deadline, self.settled()).await.is_ok();
            if *self.state.borrow() == BusState::Ready {
                return settled || !self.is_unheard();
            }
        }
    }

    /// Resolves when all instances that were there before have been heard since the bus is ready; or one, where none was known; or when that takes too long.
    async fn settled(&self) {
        loop {
            let mut heard = pin!(self.members.heard());
            // From here on none is missed.
            heard.as_mut().enable();
            let Some(since) = *self.since.lock() else { return };
            // Those that stay away are no reason to wait for ever.
            if since.elapsed() >= RETURN {
                return;
            }
            let (known, back) = self.members.heard_since(since);
            if known > 0 && known == back {
                return;
            }
            let due = Instant::from_std(since + if known > 0 { RETURN } else { FIRST });
            if timeout_at(due, heard).await.is_err() {
                return;
            }
        }
    }

    /// Whether there are instances, and none of them was heard since the bus is ready.
    fn is_unheard(&self) -> bool {
        let since = *self.since.lock();
        since.is_some_and(|since| matches!(self.members.heard_since(since), (1.., 0)))
    }
}

impl fmt::Debug for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::RedisConfig;

    #[test]
    fn what_waits_for_the_bus_is_bounded_by_its_bytes() {
        // Nobody listens there.
        let redis = RedisConfig::from_url("redis://127.0.0.1:1").unwrap();
        let config = ClusterConfig { max_outgoing: 4 * (1000 + OVERHEAD), ..ClusterConfig::new(redis) };
        let emitter = Emitter::new(config, Arc::new(|_| {})).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let publish = |bytes: usize| {
                let emitter = emitter.clone();
                let payload = vec![b'x'; bytes];
                Box::pin(
                    async move { emitter.publish(b"a", MessageKind::Text, &payload, Duration::from_secs(60)).await },
                )
            };
            let mut waiting: Vec<_> = (0..4).map(|_| publish(1000)).collect();
            for one in &mut waiting {
                assert!(futures_util::poll!(one).is_pending());
            }
            assert_eq!(publish(0).await, Err(EmitError::Lost), "at once");
            assert_eq!(emitter.stats().dropped, 1);
            drop(waiting);
            let mut long = publish(1 << 20);
            assert!(futures_util::poll!(&mut long).is_pending(), "alone, a long one may wait");
            assert_eq!(publish(0).await, Err(EmitError::Lost));
        });
    }
}
