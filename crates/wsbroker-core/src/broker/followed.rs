//! Channels whose messages the bus numbers: what it brings, and what is asked of it.

use std::{fmt, sync::Arc};

use tokio::sync::oneshot;

use super::{Broker, BrokerState, BusAsked, HistorySlice, Recovery, WeakBroker};
use crate::{
    bus::{Bus, BusFailure, HistoryBus},
    config::HistoryRule,
    cork,
    error::HistoryError,
    history::{
        BusArrival, BusHistory, ChannelHistory, HistoryPosition, HistoryRing, Keeping, KeptMessage, Merged, Since,
    },
    ids::SocketId,
    registry::Membership,
    shard::{Command, Compress},
};

/// A channel of a broker that follows its bus.
#[derive(Clone)]
pub struct FollowedHistory {
    broker: Arc<BrokerState>,
    history: Arc<ChannelHistory>,
}

/// Where a followed channel is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FollowedState {
    /// The newest position of the bus that is known here.
    pub known: Option<HistoryPosition>,
    /// The epoch and the head of what is here. `None`: it was never followed, or no longer is.
    pub here: Option<HistoryPosition>,
    /// To be given back with what is read.
    pub changes: u64,
}

impl fmt::Debug for FollowedHistory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FollowedHistory").finish_non_exhaustive()
    }
}

impl WeakBroker {
    /// The history of a channel. `None` if it has none.
    #[must_use]
    pub fn followed(&self, channel: &[u8]) -> Option<FollowedHistory> {
        let broker = self.0.upgrade()?;
        let history = broker.histories.of(channel)?;
        Some(FollowedHistory { broker, history })
    }

    /// The bus is lost: what is here may no longer be the newest.
    pub fn bus_is_lost(&self) {
        if let Some(broker) = self.0.upgrade() {
            broker.histories.end_session();
        }
    }

    /// The rules of the broker's histories, in their order.
    #[must_use]
    pub fn history_rules(&self) -> Vec<HistoryRule> {
        self.0.upgrade().map_or_else(Vec::new, |broker| broker.config.history.clone())
    }
}

impl FollowedHistory {
    /// What it keeps.
    #[must_use]
    pub fn rule(&self) -> &HistoryRule {
        &self.history.rule
    }

    /// Where it is.
    #[must_use]
    pub fn state(&self) -> FollowedState {
        let ring = self.history.lock();
        let here = (!ring.is_cold()).then(|| ring.position());
        FollowedState { known: ring.known(), here, changes: ring.changes() }
    }

    /// The bus has numbered this message. False: something before it is missing, or the epoch is
    /// unclear, and the bus has to be read.
    #[must_use]
    pub fn arrived(&self, position: HistoryPosition, message: KeptMessage) -> bool {
        let mut ring = self.history.lock();
        let arrival = self.keeping(|keeping| ring.arrived(keeping, position, message));
        self.broker.histories.touch(&self.history, &ring);
        let clear = self.show(&ring, arrival);
        drop(ring);
        self.broker.histories.make_room();
        clear
    }

    /// The bus has deleted the messages before this offset or, where the epoch is another, all.
    /// False: the bus has to be read.
    #[must_use]
    pub fn deleted(&self, position: HistoryPosition, before: u64) -> bool {
        let mut ring = self.history.lock();
        let arrival = ring.deleted(position, before);
        self.broker.histories.touch(&self.history, &ring);
        self.show(&ring, arrival)
    }

    /// Takes what was read of the bus after [`state`](Self::state) was asked. False: it is
    /// outdated, and has to be read again.
    #[must_use]
    pub fn merge(&self, changes: u64, read: BusHistory) -> bool {
        let mut ring = self.history.lock();
        let merged = self.keeping(|keeping| ring.merge(keeping, changes, read));
        self.broker.histories.touch(&self.history, &ring);
        let clear = match merged {
            Merged::Known => true,
            Merged::Behind(from) => self.show(&ring, BusArrival::Behind(from)),
            Merged::Outdated => false,
        };
        drop(ring);
        self.broker.histories.make_room();
        clear
    }

    /// Whether the channel has subscribers here, who would not get what the bus numbers now.
    #[must_use]
    pub fn is_to_be_followed(&self) -> bool {
        self.broker.channels.get(self.history.name()).is_some()
            && !self.history.lock().is_live(self.broker.histories.session())
    }

    /// The bus has said that this is its head, or was.
    pub fn note(&self, position: HistoryPosition) {
        self.history.lock().note(position);
    }

    /// Resolves when this message of the bus is here; at once where the channel is not followed.
    pub async fn arrive(&self, position: HistoryPosition) {
        cork::arrive(&self.broker, &self.history, position).await;
    }

    /// What was read of the bus, up to this position, may have overtaken the messages themselves.
    /// Merged at once, it would send subscribers to the ring for what is on its way to them, and
    /// lose them what the bus no longer keeps. Gets a message when they are here, which may never
    /// be. `None`: none are on their way.
    #[must_use]
    pub fn overtaken(&self, position: HistoryPosition) -> Option<oneshot::Receiver<()>> {
        self.history.lock().on_its_way(self.broker.histories.session(), position)
    }

    /// Nobody here follows the channel any more.
    pub fn unfollow(&self) {
        let mut ring = self.history.lock();
        let has_subscribers = self.broker.channels.get(self.history.name()).is_some();
        ring.unfollow(has_subscribers);
    }

    /// With the ring locked.
    fn keeping<T>(&self, take: impl FnOnce(Keeping<'_>) -> T) -> T {
        let from = self.broker.compress_from.load(std::sync::atomic::Ordering::Relaxed);
        let may_compress = |message: &KeptMessage| match message.compress {
            Compress::Auto => message.payload.len() >= from,
            Compress::Never => false,
            Compress::Always => from < usize::MAX,
        };
        take(Keeping {
            now: self.broker.histories.now(),
            session: self.broker.histories.session(),
            rule: &self.history.rule,
            prefix: &self.history.prefix,
            may_compress: &may_compress,
        })
    }

    /// Hands what is new to the shards that have subscribers. The ring stays locked until each of
    /// them has it.
    fn show(&self, _ring: &HistoryRing, arrival: BusArrival) -> bool {
        let broker = &self.broker;
        let channel = broker.channels.get(self.history.name());
        let (entries, from) = match arrival {
            BusArrival::Next(entries) => (entries, None),
            BusArrival::Behind(from) => (Vec::new(), Some(from)),
            BusArrival::Known => return true,
            BusArrival::Unclear => return false,
        };
        let Some(channel) = channel else { return true };
        // What waits in queues is bounded. Then it need not wait there: subscribers take it from
        // the ring.
        let full = broker.memory.send_is_full();
        for index in (0..broker.shard_count()).filter(|index| channel.has_subscribers_in(*index)) {
            let shard = broker.shard(index);
            let frames = if full { 0 } else { entries.iter().map(|entry| entry.frame.len()).sum() };
            broker.memory.queued(&shard.queued, frames + (entries.len() + 1) * size_of::<Command>());
            shard.push_with(|commands| {
                if let Some(from) = from {
                    commands.push(Command::FallBehind(Arc::clone(&channel), from));
                }
                commands.extend(entries.iter().map(|entry| match full {
                    false => Command::Numbered(Arc::clone(&channel), Arc::clone(entry)),
                    true => Command::FallBehind(Arc::clone(&channel), entry.before()),
                }));
            });
        }
        true
    }
}

impl BrokerState {
    /// Whether the bus numbers what is published to this channel.
    pub(crate) fn numbers_elsewhere(&self, channel: &[u8]) -> bool {
        self.channels.bus().is_some_and(|bus| bus.histories().is_some()) && self.histories.of(channel).is_some()
    }

    fn history_bus(&self) -> Result<Arc<dyn Bus>, HistoryError> {
        self.channels.bus().map(Arc::clone).ok_or(HistoryError::NoHistory)
    }

    /// Whether what is here decides how a client recovers, after the bus was asked so.
    pub(super) fn may_recover(&self, ring: &HistoryRing, since: Since, asked: BusAsked) -> bool {
        if self.channels.bus().is_none_or(|bus| bus.histories().is_none()) {
            return true;
        }
        match asked {
            BusAsked::NotYet => self.has_since(ring, since),
            BusAsked::Answered => ring.is_live(self.histories.session()),
            BusAsked::Lost => self.has_since(ring, since) || is_here(ring, since),
        }
    }

    /// Whether what is here decides how a socket recovers. What is older, and what may be newer,
    /// has to be read: a client may have got its last message from an instance that is ahead of
    /// this one.
    fn has_since(&self, ring: &HistoryRing, since: Since) -> bool {
        ring.is_live(self.histories.session())
            && match since {
                Since::Now => true,
                Since::Latest => ring.is_complete() || ring.first() <= ring.position().offset,
                // Of an epoch that is over nothing is left, here or elsewhere.
                Since::Position(HistoryPosition { epoch, .. }) if ring.is_over(epoch) => true,
                Since::Position(since) => is_in(ring, since) && (ring.is_complete() || is_kept(ring, since)),
            }
    }
}

/// Whether nothing that a socket has to get is known to be missing, the bus being lost.
fn is_here(ring: &HistoryRing, since: Since) -> bool {
    match since {
        Since::Position(since) => !ring.is_cold() && is_in(ring, since) && is_kept(ring, since),
        Since::Latest | Since::Now => false,
    }
}

fn is_in(ring: &HistoryRing, since: HistoryPosition) -> bool {
    let here = ring.position();
    since.epoch == here.epoch && since.offset <= here.offset
}

fn is_kept(ring: &HistoryRing, since: HistoryPosition) -> bool {
    since.offset + 1 >= ring.first()
}

impl Broker {
    /// Whether a bus numbers the messages of channels with history. Then the calls that end in
    /// `_elsewhere` are to be used.
    #[must_use]
    pub fn has_history_bus(&self) -> bool {
        self.state().channels.bus().is_some_and(|bus| bus.histories().is_some())
    }

    /// As [`position`](Self::position), of the bus.
    ///
    /// # Errors
    /// [`HistoryError::NoHistory`], [`HistoryError::Bus`].
    pub async fn position_elsewhere(&self, channel: &[u8]) -> Result<HistoryPosition, HistoryError> {
        let state = Arc::clone(self.state());
        {
            let history = state.histories.of(channel).ok_or(HistoryError::NoHistory)?;
            let ring = history.lock();
            if ring.is_live(state.histories.session()) {
                return Ok(ring.position());
            }
        }
        let bus = state.history_bus()?;
        Ok(part(&bus)?.head(channel).await?)
    }

    /// As [`history`](Self::history), of the bus.
    ///
    /// # Errors
    /// [`HistoryError::NoHistory`], [`HistoryError::Bus`].
    pub async fn history_elsewhere(
        &self,
        channel: &[u8],
        since: Option<HistoryPosition>,
        limit: usize,
        reverse: bool,
    ) -> Result<HistorySlice, HistoryError> {
        let state = Arc::clone(self.state());
        let history = state.histories.of(channel).ok_or(HistoryError::NoHistory)?;
        let is_here = {
            let ring = history.lock();
            ring.is_live(state.histories.session()) && ring.is_complete()
        };
        let page = if is_here {
            state.histories.page(&history, since, limit, reverse)
        } else {
            let bus = state.history_bus()?;
            let read = part(&bus)?.read(channel).await?;
            state.histories.page_of(&history, read, since, limit, reverse)
        };
        Ok(HistorySlice::new(page))
    }

    /// As [`recover`](Self::recover), from what the bus keeps. What is here serves as long as it is
    /// up to date, and also while the bus is lost, if nothing that the socket has to get is known
    /// to be missing.
    ///
    /// # Errors
    /// As [`recover`](Self::recover), and [`HistoryError::Bus`].
    pub async fn recover_elsewhere(
        &self,
        id: SocketId,
        channel: &[u8],
        since: Since,
        or_reject: bool,
    ) -> Result<Recovery, HistoryError> {
        let state = Arc::clone(self.state());
        let history = state.histories.of(channel).ok_or(HistoryError::NoHistory)?;
        state.check_name(channel)?;
        let Some(socket) = state.sockets.get(id) else {
            return Ok(Recovery::none(self.position_elsewhere(channel).await?));
        };
        let attempt = |ready: &dyn Fn(&HistoryRing) -> bool| {
            let check =
                |_: &Membership, ring: &HistoryRing, _| if ready(ring) { Ok(()) } else { Err(Attempt::Unready) };
            match state.recover_socket(&socket, &history, since, u64::MAX, or_reject, check, |_, _| None) {
                Ok(recovery) => Ok(Some(recovery)),
                Err(Attempt::Unready) => Ok(None),
                Err(Attempt::Failed(error)) => Err(error),
            }
        };
        if let Some(recovery) = attempt(&|ring| state.has_since(ring, since))? {
            return Ok(recovery);
        }
        let bus = state.history_bus()?;
        let whole = since != Since::Now;
        match part(&bus)?.refresh(channel, whole).await {
            // What is here now is everything there is. It is followed until the socket is in it.
            Ok(hold) => {
                let recovery = attempt(&|_| true)?;
                drop(hold);
                recovery.ok_or_else(unready)
            }
            Err(failure) => attempt(&|ring| is_here(ring, since))?.ok_or(HistoryError::Bus(failure)),
        }
    }

    /// Brings a channel that the bus numbers up to date, for a call that follows at once: it is
    /// followed for a moment longer. Calls that come together share what is read. Does nothing for
    /// a channel that the bus does not number.
    ///
    /// # Errors
    /// [`HistoryError::Bus`].
    pub async fn follow(&self, channel: &[u8]) -> Result<(), HistoryError> {
        let state = Arc::clone(self.state());
        let Some(history) = state.histories.of(channel) else { return Ok(()) };
        let is_here = {
            let ring = history.lock();
            ring.is_live(state.histories.session()) && ring.is_complete()
        };
        let bus = state.history_bus()?;
        // What is here may still be a moment behind what a client has got elsewhere.
        drop(part(&bus)?.refresh(channel, !is_here).await?);
        Ok(())
    }

    /// As [`delete_history`](Self::delete_history), on all instances.
    ///
    /// # Errors
    /// [`HistoryError::NoHistory`], [`HistoryError::Bus`].
    pub async fn delete_history_elsewhere(&self, channel: &[u8], before: Option<u64>) -> Result<(), HistoryError> {
        let state = Arc::clone(self.state());
        state.histories.of(channel).ok_or(HistoryError::NoHistory)?;
        let bus = state.history_bus()?;
        Ok(part(&bus)?.delete(channel, before).await?)
    }
}

/// Why a socket was not subscribed.
enum Attempt {
    /// The ring has first to be brought up to date.
    Unready,
    Failed(HistoryError),
}

impl From<HistoryError> for Attempt {
    fn from(error: HistoryError) -> Self {
        Self::Failed(error)
    }
}

fn part(bus: &Arc<dyn Bus>) -> Result<&dyn HistoryBus, HistoryError> {
    bus.histories().ok_or(HistoryError::NoHistory)
}

fn unready() -> HistoryError {
    HistoryError::Bus(BusFailure { reason: "the channel cannot be followed".into(), unknown: false })
}
