//! Messages for channels with history: they get their numbers when they leave their cork.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::sync::oneshot;
use wsbroker_proto::{CloseCode, MessageKind};

use super::{Cork, Staged, distinct, socket};
use crate::{
    broker::BrokerState,
    bus::{BusFailure, BusMessage, BusReceipt, MessageForm, ReceiptSender},
    error::HistoryError,
    history::{ChannelHistory, HistoryPosition, HistoryTotals, Unnumbered},
    ids::SocketId,
    registry::Channel,
    shard::{Command, Compress, ConnectionKey, ShardHandle},
};

/// What became of a publish.
#[derive(Debug)]
pub struct PublishReceipt {
    /// The rest, once the bus has numbered it. Then the other fields but the subscribers say
    /// nothing.
    pub pending: Option<PendingReceipt>,
    /// Where it is in the channel's history. `None`: the channel has no history.
    pub position: Option<HistoryPosition>,
    /// Subscribers of this instance, the excluded included.
    pub subscribers: usize,
    /// A publish with this id came before, and is at that position; nobody gets this one.
    pub duplicate: bool,
}

/// A message that its bus has not numbered yet.
#[derive(Debug)]
pub struct PendingReceipt {
    broker: Arc<BrokerState>,
    channel: Box<[u8]>,
    receiver: oneshot::Receiver<Result<BusReceipt, BusFailure>>,
}

/// How long to wait until a message is here that the bus has numbered. It can take longer only if
/// the connection is lost.
const ARRIVAL: Duration = Duration::from_secs(2);

impl PendingReceipt {
    /// Resolves when the bus has the message, and the channel's subscribers here are to get it.
    ///
    /// # Errors
    /// The bus was lost, or refused it.
    pub async fn wait(self) -> Result<BusReceipt, BusFailure> {
        let ended = || BusFailure { reason: "the bus was lost before Redis answered".into(), unknown: true };
        let receipt = self.receiver.await.map_err(|_| ended())??;
        HistoryTotals::count(&self.broker.histories.totals.duplicates, u64::from(receipt.duplicate));
        if let Some(history) = self.broker.histories.of(&self.channel) {
            arrive(&self.broker, &history, receipt.position).await;
        }
        Ok(receipt)
    }
}

/// Waits until this instance has what the bus has numbered, if it follows the channel.
pub(crate) async fn arrive(broker: &BrokerState, history: &ChannelHistory, position: HistoryPosition) {
    let arrival = {
        let mut ring = history.lock();
        ring.note(position);
        if ring.is_live(broker.histories.session()) { ring.reach(position) } else { None }
    };
    if let Some(arrival) = arrival {
        let _ = tokio::time::timeout(ARRIVAL, arrival).await;
        // It is told while the ring is locked. When the lock is let go, the shards have the
        // message.
        drop(history.lock());
    }
}

/// What a cork holds for channels with history.
#[derive(Default)]
pub(super) struct Numbering {
    messages: Vec<NumberedLater>,
    /// For each of them and each shard, how many of the shard's commands come before it.
    places: Vec<usize>,
    /// Where the last one that has left is, and whether it was a duplicate.
    last: Option<(HistoryPosition, bool)>,
}

/// A message that gets its number when it leaves.
struct NumberedLater {
    history: Arc<ChannelHistory>,
    /// The channel at the call.
    channel: Option<Arc<Channel>>,
    kind: MessageKind,
    /// Where its payload lies in the arena.
    payload: (usize, usize),
    compress: Compress,
    may_compress: bool,
    exclude: Box<[SocketId]>,
    id: Option<Box<[u8]>>,
}

impl Numbering {
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }
}

impl Cork {
    /// The history of a channel, which may have no subscribers.
    #[inline]
    pub(super) fn history_of(&self, channel: Option<&Arc<Channel>>, name: &[u8]) -> Option<Arc<ChannelHistory>> {
        match channel {
            Some(channel) => channel.history().map(Arc::clone),
            None => self.broker.histories.of(name),
        }
    }

    /// As [`publish`](Self::publish), and everything that waits here lies in the shards' queues
    /// when it returns, though they need not wake for it before the next [`flush`](Self::flush).
    ///
    /// `id` makes a repeated publish a duplicate: for five minutes, or less if so many follow that
    /// there is no room for it.
    ///
    /// # Errors
    /// [`HistoryError::NoHistory`]: there is an `id`, and the channel has no history.
    pub fn publish_with_receipt(
        &mut self,
        channel: &[u8],
        staged: Staged,
        exclude: &[SocketId],
        id: Option<&[u8]>,
    ) -> Result<PublishReceipt, HistoryError> {
        let found = self.broker.channels.get(channel);
        let history = self.history_of(found.as_ref(), channel);
        if history.is_some() && self.broker.numbers_elsewhere(channel) {
            let (sender, receiver) = oneshot::channel();
            let subscribers = self.publish_elsewhere(channel, staged, exclude, id, Some(sender));
            let receipt = PendingReceipt { broker: Arc::clone(&self.broker), channel: channel.into(), receiver };
            return Ok(PublishReceipt { pending: Some(receipt), position: None, subscribers, duplicate: false });
        }
        let Some(history) = history else {
            if id.is_some() {
                self.arena.truncate(staged.start);
                return Err(HistoryError::NoHistory);
            }
            let subscribers = self.publish(channel, staged, exclude);
            self.enqueue();
            return Ok(PublishReceipt { pending: None, position: None, subscribers, duplicate: false });
        };
        let subscribers = self.publish_later(history, found, staged, exclude, id);
        self.enqueue();
        let (position, duplicate) = self.numbering.last.unzip();
        Ok(PublishReceipt { pending: None, position, subscribers, duplicate: duplicate.unwrap_or(false) })
    }

    /// Hands a message to the bus, which numbers it. It comes back from there. Returns the number
    /// of subscribers here.
    pub(super) fn publish_elsewhere(
        &mut self,
        channel: &[u8],
        staged: Staged,
        exclude: &[SocketId],
        id: Option<&[u8]>,
        receipt: Option<ReceiptSender>,
    ) -> usize {
        let count = self.broker.channels.get(channel).map_or(0, |channel| channel.count());
        let is_here = staged.generation == self.generation;
        let mut copied = None;
        if is_here && self.commands > 0 {
            // The bus may be quicker than this cork, and what waits here was sent before.
            copied = self.arena.get(staged.payload..staged.end).map(<[u8]>::to_vec);
            self.arena.truncate(staged.start);
            self.enqueue();
        }
        let staged_payload = || self.arena.get(staged.payload..staged.end).filter(|_| is_here);
        if let Some(bus) = self.broker.channels.bus()
            && let Some(histories) = bus.histories()
            && let Some(payload) = copied.as_deref().or_else(staged_payload)
        {
            let form = MessageForm { kind: staged.kind, compress: staged.compress };
            let exclude = distinct(exclude);
            histories.publish(BusMessage { channel, form, payload, exclude: &exclude, id }, receipt);
            self.wait_for_bus();
        }
        if copied.is_none() {
            self.arena.truncate(staged.start);
        }
        count
    }

    /// Closes the subscribers of a channel whose messages the bus numbers, behind them. `None`: it
    /// does not, or is lost.
    pub(super) fn close_numbered(
        &mut self,
        channel: &[u8],
        code: CloseCode,
        reason: &str,
        everywhere: bool,
    ) -> Option<usize> {
        if self.broker.histories.is_off() || !self.broker.numbers_elsewhere(channel) {
            return None;
        }
        let histories = self.broker.channels.bus().and_then(|bus| bus.histories())?;
        if !histories.close_channel(channel, code, reason, everywhere) {
            return None;
        }
        self.wait_for_bus();
        Some(self.broker.channels.get(channel).map_or(0, |channel| channel.count()))
    }

    /// Takes a message for a channel with history. It gets its number when it leaves.
    pub(super) fn publish_later(
        &mut self,
        history: Arc<ChannelHistory>,
        channel: Option<Arc<Channel>>,
        staged: Staged,
        exclude: &[SocketId],
        id: Option<&[u8]>,
    ) -> usize {
        let Some(range) = self.range(&staged) else { return 0 };
        let count = channel.as_ref().map_or(0, |channel| channel.count());
        if self.is_empty() {
            self.since = Some(Instant::now());
        }
        self.commands += 1;
        self.numbering.places.extend(self.queues.iter().map(|queue| queue.commands.len()));
        self.numbering.messages.push(NumberedLater {
            history,
            channel,
            kind: staged.kind,
            payload: (staged.payload, staged.end),
            compress: staged.compress,
            may_compress: self.may_compress(range),
            exclude: if exclude.is_empty() { Box::default() } else { distinct(exclude) },
            id: id.map(Into::into),
        });
        self.flush_if_large();
        count
    }

    /// A socket that was told of lost messages of a channel goes on there, behind what this cork
    /// has sent to it.
    pub fn continue_channel(&mut self, id: SocketId, channel: &[u8]) {
        let Some(channel) = self.broker.channels.get(channel).map(|channel| channel.id()) else { return };
        if let Some(socket) = socket(&self.broker, &mut self.recent, id) {
            let (key, shard) = (ConnectionKey::of(socket), socket.shard());
            self.push(shard, 0, Command::Continue(key, channel));
        }
    }

    /// The same, where some messages have to be numbered: the rings of their channels stay locked
    /// until every shard has them, so that all shards get them in the order of their numbers, and a
    /// socket that [recovers](crate::Broker::recover) comes before or behind each of them
    /// everywhere.
    pub(super) fn hand_over_numbered(
        &mut self,
        arena: &Bytes,
        push: impl Fn(&ShardHandle, &mut dyn FnMut(&mut Vec<Command>)),
    ) -> usize {
        let broker = Arc::clone(&self.broker);
        let messages = std::mem::take(&mut self.numbering.messages);
        let mut histories: Vec<&Arc<ChannelHistory>> = messages.iter().map(|message| &message.history).collect();
        histories.sort_unstable_by_key(|history| history.number());
        histories.dedup_by_key(|history| history.number());
        let mut rings: Vec<_> = histories.iter().map(|history| history.lock()).collect();
        let now = broker.histories.now();
        let mut numbered = Vec::with_capacity(messages.len());
        for (at, message) in messages.iter().enumerate() {
            let number = message.history.number();
            let Ok(ring) = histories.binary_search_by_key(&number, |history| history.number()) else { continue };
            let Some(ring) = rings.get_mut(ring) else { continue };
            let (start, end) = message.payload;
            let outcome = broker.histories.publish(
                &message.history,
                ring,
                now,
                message.id.as_deref(),
                Unnumbered {
                    kind: message.kind,
                    payload: arena.get(start..end).unwrap_or_default(),
                    compress: message.compress,
                    may_compress: message.may_compress,
                    exclude: message.exclude.clone(),
                },
            );
            self.numbering.last = Some((outcome.position, outcome.entry.is_none()));
            // The channel of the call may have lost its last subscriber since, and have got another
            // one: that is another life.
            let alive = message.channel.as_ref().filter(|channel| channel.count() > 0).map(Arc::clone);
            let channel = alive.or_else(|| broker.channels.get(message.history.name()));
            if let (Some(channel), Some(entry)) = (channel, outcome.entry) {
                numbered.push((at, channel, entry));
            }
        }
        let shards = self.queues.len();
        let mut all = 0;
        for (index, queue) in self.queues.iter_mut().enumerate() {
            // What waits in queues is bounded. Then it need not wait there: subscribers take it
            // from the ring.
            let full = broker.memory.send_is_full();
            let (mut reached, mut frames) = (0, 0);
            for (_, channel, entry) in &numbered {
                if channel.has_subscribers_in(index) {
                    reached += 1;
                    frames += if full { 0 } else { entry.frame.len() };
                }
            }
            if queue.commands.is_empty() && reached == 0 {
                continue;
            }
            let shard = broker.shard(index);
            let own = (queue.commands.len() + reached) * size_of::<Command>() + frames;
            let bytes = std::mem::take(&mut queue.bytes) + own;
            all += bytes;
            broker.memory.queued(&shard.queued, bytes);
            let places = &self.numbering.places;
            push(shard, &mut |commands| {
                commands.push(Command::Arena(Bytes::clone(arena)));
                let mut taken = 0;
                let mut others = queue.commands.drain(..);
                for (at, channel, entry) in &numbered {
                    let place = places.get(at * shards + index).copied().unwrap_or(0);
                    while taken < place
                        && let Some(command) = others.next()
                    {
                        commands.push(command);
                        taken += 1;
                    }
                    if !channel.has_subscribers_in(index) {
                        continue;
                    }
                    commands.push(match full {
                        false => Command::Numbered(Arc::clone(channel), Arc::clone(entry)),
                        true => Command::FallBehind(Arc::clone(channel), entry.before()),
                    });
                }
                commands.extend(others);
            });
        }
        drop(rings);
        self.numbering.places.clear();
        broker.histories.make_room();
        all
    }
}
