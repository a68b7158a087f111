//! What joins a broker to others: the trait [`Bus`], and what a bus reports.
//!
//! The broker knows its bus by this trait only. It says which channels have subscribers here, and
//! passes on what is published. What other instances publish comes back through a
//! [`Cork`](crate::Cork), which the bus gets from a [`WeakBroker`](crate::WeakBroker). The bus has
//! no part in local delivery: a cork hands everything to the shards before it lets the bus
//! [send](Bus::send).

mod events;

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;
use wsbroker_proto::{CloseCode, MessageKind};

pub use self::events::BusEvents;
use crate::{
    history::{BusHistory, HistoryPosition},
    ids::SocketId,
    shard::Compress,
};

/// The connection to other instances. A broker has one at most, from
/// [`join_bus`](crate::Broker::join_bus) to its end.
///
/// Any thread of the broker may call any method. Those that return no future must not block.
pub trait Bus: fmt::Debug + Send + Sync {
    /// A channel has got its first subscriber here, or has lost its last. The calls of two threads
    /// may arrive in either order, so [`has_subscribers`](crate::WeakBroker::has_subscribers) tells
    /// which it is.
    fn subscribers_changed(&self, channel: &[u8]);

    /// Resolves when what other instances publish to the channel arrives here. False when the bus
    /// stops before that. Never resolves for a channel without subscribers.
    fn listening<'a>(&'a self, channel: &'a [u8]) -> BoxFuture<'a, bool>;

    /// Takes a message for the subscribers on other instances. It leaves with the next
    /// [`send`](Self::send), or is reported as [dropped](BusEvent::Dropped).
    fn publish(&self, channel: &[u8], form: MessageForm, payload: &[u8]);

    /// Closes the channel's subscribers on other instances, after what was published to it. It
    /// leaves with the next [`send`](Self::send).
    fn close_channel(&self, channel: &[u8], code: CloseCode, reason: &str);

    /// Lets everything that was taken leave.
    fn send(&self);

    /// Counts the channel's subscribers on all instances that answer within `limit`.
    fn count<'a>(&'a self, channel: &'a [u8], limit: Duration) -> BoxFuture<'a, ClusterCount>;

    /// Resolves when the bus is ready; at once if it is. False when it stops before that.
    fn ready(&self) -> BoxFuture<'_, bool>;

    /// Whether it is ready now.
    fn is_ready(&self) -> bool {
        self.stats().state == BusState::Ready
    }

    /// Whether the application cannot do without it: while it is lost the process is not ready for
    /// connections.
    fn is_required(&self) -> bool {
        false
    }

    /// The part of it that numbers and keeps the messages of channels with history. `None`: each
    /// broker does that for itself.
    fn histories(&self) -> Option<&dyn HistoryBus> {
        None
    }

    /// Numbers so far.
    fn stats(&self) -> BusStats;

    /// The broker has ended. The bus publishes what it has taken, and ends soon. May be called
    /// again.
    fn stop(&self);
}

/// Numbers and keeps the messages of channels with history, for all instances: nobody gets a
/// message before it has its number here. What it brings, it hands to the broker with a
/// [`FollowedHistory`](crate::FollowedHistory).
pub trait HistoryBus: Send + Sync {
    /// Takes a message. It leaves with the next [`send`](Bus::send), behind what the calling thread
    /// has published to the channel before. The receipt tells what became of it; it is dropped if
    /// the bus ends before.
    fn publish(&self, message: BusMessage<'_>, receipt: Option<ReceiptSender>);

    /// Closes the channel's subscribers behind what was taken before, on all instances, or only on
    /// this one. False: the bus is lost, and nothing is closed.
    fn close_channel(&self, channel: &[u8], code: CloseCode, reason: &str, everywhere: bool) -> bool;

    /// Where the channel's head is.
    fn head<'a>(&'a self, channel: &'a [u8]) -> BoxFuture<'a, Result<HistoryPosition, BusFailure>>;

    /// Follows the channel, at least until what it returns is dropped, and brings the broker's ring
    /// up to date; `whole`: with everything that the bus keeps. Calls for one channel share what
    /// begins after them.
    fn refresh<'a>(&'a self, channel: &'a [u8], whole: bool) -> BoxFuture<'a, Result<FollowHold, BusFailure>>;

    /// What it keeps of the channel.
    fn read<'a>(&'a self, channel: &'a [u8]) -> BoxFuture<'a, Result<BusHistory, BusFailure>>;

    /// Deletes the messages before this offset, or all, on all instances.
    fn delete<'a>(&'a self, channel: &'a [u8], before: Option<u64>) -> BoxFuture<'a, Result<(), BusFailure>>;
}

/// A channel is followed as long as this is there.
#[must_use]
pub struct FollowHold(Option<Box<dyn FnOnce() + Send>>);

impl FollowHold {
    /// `end` is called when it is dropped.
    pub fn new(end: impl FnOnce() + Send + 'static) -> Self {
        Self(Some(Box::new(end)))
    }
}

impl fmt::Debug for FollowHold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FollowHold").finish_non_exhaustive()
    }
}

impl Drop for FollowHold {
    fn drop(&mut self) {
        if let Some(end) = self.0.take() {
            end();
        }
    }
}

/// A message for a channel with history, before it has a number.
#[derive(Clone, Copy, Debug)]
pub struct BusMessage<'a> {
    /// The channel.
    pub channel: &'a [u8],
    /// Its kind, and whether it is compressed.
    pub form: MessageForm,
    /// The payload.
    pub payload: &'a [u8],
    /// Sockets of this instance that do not get it, in order.
    pub exclude: &'a [SocketId],
    /// Makes a repeated publish a duplicate.
    pub id: Option<&'a [u8]>,
}

/// Gets what became of a message.
pub type ReceiptSender = oneshot::Sender<Result<BusReceipt, BusFailure>>;

/// A message has its number, or had it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BusReceipt {
    /// Where it is.
    pub position: HistoryPosition,
    /// It was published before.
    pub duplicate: bool,
}

/// Why a bus did not do what it was asked to do for a channel with history.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{reason}")]
pub struct BusFailure {
    /// What happened.
    pub reason: String,
    /// Whether it may have been done all the same.
    pub unknown: bool,
}

/// The kind of a message, and whether it is compressed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MessageForm {
    /// Text or binary.
    pub kind: MessageKind,
    /// Whether sockets get it compressed.
    pub compress: Compress,
}

/// What a bus reports. Loss is never hidden.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum BusEvent {
    /// Connected, and every channel with subscribers here is listened to.
    Ready,
    /// The connection is lost, or leads to a server that cannot serve as a bus. The bus reconnects
    /// until it succeeds. Each reason is sent once, and eight at most, until the bus is ready
    /// again: what keeps it from returning is often not what it was lost for.
    Lost {
        /// Why, as far as known: one line of at most 300 characters.
        reason: String,
    },
    /// The bus works, but messages may not arrive everywhere. Each warning is sent once, until its
    /// cause is over.
    Warning {
        /// What is wrong, and what to do about it.
        reason: String,
    },
    /// Messages of other instances to one channel did not arrive here.
    Gap {
        /// The channel.
        channel: Bytes,
        /// How many.
        missed: u64,
    },
    /// Messages of other instances to more than 100 channels did not arrive here. Only
    /// [`BusEvents`] makes this event, from single gaps.
    Gaps {
        /// The number of channels. Where their names are too many to keep, each gap counts.
        count: u64,
        /// How many messages, on all channels.
        missed: u64,
        /// The channels: at most 10,000, and 1 MiB of names. If these are fewer than `count`, any
        /// channel may be one of the others.
        channels: Vec<Bytes>,
    },
    /// Messages of this instance did not leave: too many waited, the bus was lost, or the server
    /// refused them. Those under way when the bus was lost count, too, although some may have
    /// arrived.
    Dropped {
        /// How many since the last report.
        messages: u64,
    },
}

/// Whether the bus works.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum BusState {
    /// Not connected, or not listening to everything yet.
    #[default]
    Lost,
    /// Connected, and listening to everything.
    Ready,
}

/// The numbers of a bus so far.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct BusStats {
    /// Whether it works.
    pub state: BusState,
    /// Why it is lost. While it is ready: why the server last refused a message, if it has.
    pub reason: Option<String>,
    /// Other instances that were heard lately.
    pub instances: usize,
    /// Those of them that do not hear this instance, because they are on another server.
    pub deaf: usize,
    /// Channels that it listens to.
    pub channels: usize,
    /// Messages of this instance that were sent.
    pub published: u64,
    /// Messages of this instance that were not sent.
    pub dropped: u64,
    /// Messages that may have arrived or not: the server had not answered when the bus was lost, or
    /// may have been a replica when it did.
    pub unanswered: u64,
    /// Messages that the server refused.
    pub refused: u64,
    /// Messages of other instances that arrived.
    pub received: u64,
    /// Messages of other instances that are known to be missing.
    pub missed: u64,
    /// Envelopes that could not be read.
    pub invalid: u64,
    /// Messages of others to channels with history that have no number, because the history is not
    /// in their settings. They are not delivered.
    pub unnumbered: u64,
    /// How often the bus was lost.
    pub losses: u64,
    /// Bytes that wait to be published.
    pub waiting: usize,
    /// How long the last ping took, behind everything that was under way. Zero before the first.
    pub lag: Duration,
}

/// Subscribers of a channel on all instances.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ClusterCount {
    /// On this instance and on those that have answered.
    pub count: u64,
    /// The names of instances that have not answered in time.
    pub missing: Vec<String>,
}

/// Gets a bus's events. It is called on the bus's thread, and must not block.
pub type BusListener = Arc<dyn Fn(BusEvent) + Send + Sync>;
