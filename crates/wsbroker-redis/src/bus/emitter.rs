//! Publishing from a process without sockets.

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
use wsbroker_core::{
    Bus, BusFailure, BusListener, BusMessage, BusReceipt, BusState, BusStats, Compress, HistoryBus, HistoryRule,
    MessageForm, MessageKind,
};

use super::{ClusterConfig, RedisBus, publish_queue::Queued};

/// How long instances may take to return after a loss of the bus: they try at least every 2 s, and
/// then have to connect.
const RETURN: Duration = Duration::from_secs(4);
/// How long an emitter that knows no instance waits for the first one.
const FIRST: Duration = Duration::from_secs(1);

/// Publishes to channels from a process that serves no sockets. Clones are the same emitter.
///
/// It connects in the background, again after every loss. Dropping the last clone ends it, after up
/// to a second in which it publishes what waits.
#[derive(Clone, Debug)]
pub struct Emitter {
    ending: Arc<EmitterBus>,
    /// A message that waits for the bus holds up those behind it, so that they keep their order.
    turn: Arc<Mutex<()>>,
    /// Bytes of messages that are not in the bus's queue yet.
    waiting: Arc<AtomicUsize>,
}

/// What a message that waits for its turn costs besides its bytes.
const OVERHEAD: usize = 256;

/// The bytes of a message that waits for its turn, counted until this is dropped.
struct ReservedBytes<'a>(&'a AtomicUsize, usize);

impl<'a> ReservedBytes<'a> {
    /// `None` when too much waits already. A message longer than the limit may wait alone.
    fn new(waiting: &'a AtomicUsize, bytes: usize, limit: usize) -> Option<Self> {
        let fits = |before: usize| {
            let after = before.checked_add(bytes)?;
            (before == 0 || after <= limit).then_some(after)
        };
        waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).ok()?;
        Some(Self(waiting, bytes))
    }
}

impl Drop for ReservedBytes<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Ordering::Relaxed);
    }
}

/// Ends the bus when the last clone of its emitter is dropped.
struct EmitterBus(Arc<RedisBus>);

/// Why a message did not reach Redis, or may not have.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EmitError {
    /// The bus is lost, or was lost before Redis answered, or too much waits.
    #[error("the bus is lost, or too much waits for it")]
    Lost,
    /// Redis has refused the message, for this reason.
    #[error("Redis refused the message: {0}")]
    Refused(String),
    /// A message of a channel with history has no number, or may have none.
    #[error(transparent)]
    Unnumbered(BusFailure),
}

impl Emitter {
    /// Starts the emitter's thread. `rules`: of channels with history, as the instances have them.
    ///
    /// # Errors
    /// The operating system refused a thread.
    pub fn new(config: ClusterConfig, rules: Vec<HistoryRule>, listener: BusListener) -> io::Result<Self> {
        let bus = Arc::new(RedisBus::new(None, rules, config, listener));
        bus.history.belongs_to(&bus);
        bus.start()?;
        Ok(Self { ending: Arc::new(EmitterBus(bus)), turn: Arc::default(), waiting: Arc::default() })
    }

    /// The runtime of its thread, for callers without a runtime of their own.
    #[must_use]
    pub fn runtime(&self) -> Option<Handle> {
        self.ending.0.runtime()
    }

    /// Publishes to every subscriber on every instance. Resolves when Redis has the message.
    ///
    /// It waits for the bus for at most `limit`. After a loss of the bus it also waits for the
    /// instances that it knew before, at most 4 s, or for a first one, at most 1 s.
    /// [`max_outgoing`](ClusterConfig::max_outgoing) bounds the bytes that wait meanwhile, where
    /// each message counts 256 bytes more. A message that is not published takes a number, so that
    /// receivers see the gap.
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
        let Some(waiting) = ReservedBytes::new(&self.waiting, payload.len() + OVERHEAD, bus.config.max_outgoing) else {
            bus.queue.skip(channel);
            return Err(EmitError::Lost);
        };
        let turn = timeout_at(deadline, self.turn.lock()).await;
        if turn.is_err() || !bus.heard_by(deadline).await {
            bus.queue.skip(channel);
            return Err(EmitError::Lost);
        }
        let (waiter, answer) = oneshot::channel();
        let form = MessageForm { kind, compress: Compress::Auto };
        if bus.queue.publish(channel, form, payload, Some(waiter)) == Queued::Dropped {
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

    /// Whether the channel has a history by the rules.
    #[must_use]
    pub fn has_history(&self, channel: &[u8]) -> bool {
        self.ending.0.history.rule(channel).is_some()
    }

    /// Publishes to a channel with history: Redis numbers and keeps the message, and then every
    /// subscriber on every instance gets it. `id` makes a repeated publish a duplicate, for 5
    /// minutes. `None`: none of the rules is the channel's.
    ///
    /// It waits for the bus for at most `limit`, and does not wait for instances: they find the
    /// message in Redis. What waits is bounded as in [`publish`](Self::publish).
    ///
    /// # Errors
    /// [`EmitError::Unnumbered`]; it says whether the message may be stored all the same.
    pub async fn publish_numbered(
        &self,
        channel: &[u8],
        kind: MessageKind,
        payload: &[u8],
        id: Option<&[u8]>,
        limit: Duration,
    ) -> Option<Result<BusReceipt, EmitError>> {
        let bus = &self.ending.0;
        bus.history.rule(channel)?;
        let lost = |reason: &str, unknown| EmitError::Unnumbered(BusFailure { reason: reason.into(), unknown });
        let deadline = Instant::now() + limit;
        let Some(waiting) = ReservedBytes::new(&self.waiting, payload.len() + OVERHEAD, bus.config.max_outgoing) else {
            return Some(Err(lost("too much waits for the bus", false)));
        };
        let turn = timeout_at(deadline, self.turn.lock()).await;
        if turn.is_err() || !matches!(timeout_at(deadline, bus.ready()).await, Ok(true)) {
            return Some(Err(lost("the bus is lost", false)));
        }
        let form = MessageForm { kind, compress: Compress::Auto };
        let (receipt, answer) = oneshot::channel();
        HistoryBus::publish(&**bus, BusMessage { channel, form, payload, exclude: &[], id }, Some(receipt));
        drop(waiting);
        bus.send();
        drop(turn);
        Some(match answer.await {
            Ok(outcome) => outcome.map_err(EmitError::Unnumbered),
            Err(_) => Err(lost("the bus was lost before Redis answered", true)),
        })
    }

    /// Resolves when the bus is ready; at once if it is. False when it ends before that.
    pub async fn ready(&self) -> bool {
        self.ending.0.ready().await
    }

    /// The numbers of its bus.
    #[must_use]
    pub fn stats(&self) -> BusStats {
        self.ending.0.stats()
    }
}

impl RedisBus {
    /// Resolves when instances receive what is published, as far as that can be known. False when
    /// that takes until after the deadline.
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

    /// Resolves when all known instances, or a first one, have been heard since the bus became
    /// ready, or when that takes too long.
    async fn settled(&self) {
        loop {
            let mut heard = pin!(self.peers.heard());
            // No notification is missed from here on.
            heard.as_mut().enable();
            let Some(since) = *self.ready_since.lock() else { return };
            // Some may never return.
            if since.elapsed() >= RETURN {
                return;
            }
            let (known, back) = self.peers.heard_since(since);
            if known > 0 && known == back {
                return;
            }
            let due = Instant::from_std(since + if known > 0 { RETURN } else { FIRST });
            if timeout_at(due, heard).await.is_err() {
                return;
            }
        }
    }

    /// Whether instances are known, and none of them was heard since the bus became ready.
    fn is_unheard(&self) -> bool {
        let since = *self.ready_since.lock();
        since.is_some_and(|since| matches!(self.peers.heard_since(since), (1.., 0)))
    }
}

impl fmt::Debug for EmitterBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Drop for EmitterBus {
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
        // No server listens there.
        let redis = RedisConfig::from_url("redis://127.0.0.1:1").unwrap();
        let config = ClusterConfig { max_outgoing: 4 * (1000 + OVERHEAD), ..ClusterConfig::new(redis) };
        let emitter = Emitter::new(config, Vec::new(), Arc::new(|_| {})).unwrap();
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
