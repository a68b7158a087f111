//! What joins a broker to the same broker elsewhere: a [`Bus`], and what it tells.
//!
//! The broker knows no bus but by this trait. It tells the bus which channels have subscribers
//! here, and hands it what is published; the bus hands over what others publish through the
//! [`Cork`](crate::Cork) of a [`WeakBroker`](crate::WeakBroker). Local subscribers are served by
//! the publishing thread itself, before the bus sees anything, and whatever the bus does.

mod events;

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use wsbroker_proto::{CloseCode, MessageKind};

pub use self::events::BusEvents;
use crate::shard::Compress;

/// The way to other instances. A broker has one at most, from
/// [`join_bus`](crate::Broker::join_bus) to its end.
///
/// Shards, workers and the front call the methods that are not asynchronous: these must not block.
pub trait Bus: fmt::Debug + Send + Sync {
    /// A channel has its first subscriber here, or has lost its last. Calls of two threads may come
    /// in either order: look the channel up with
    /// [`has_subscribers`](crate::WeakBroker::has_subscribers).
    fn subscribers_changed(&self, channel: &[u8]);

    /// Resolves when what other instances publish to the channel arrives here. False when the bus
    /// stops before that. Never for a channel without subscribers.
    fn listening<'a>(&'a self, channel: &'a [u8]) -> BoxFuture<'a, bool>;

    /// Takes a message for the other instances' subscribers. It leaves with the next
    /// [`send`](Self::send).
    fn publish(&self, channel: &[u8], form: MessageForm, payload: &[u8]);

    /// Has the other instances close the channel's subscribers, after what was published to it.
    /// Leaves with the next [`send`](Self::send).
    fn close_channel(&self, channel: &[u8], code: CloseCode, reason: &str);

    /// Lets what was taken leave.
    fn send(&self);

    /// Counts the channel's subscribers on all instances, as far as they answer within `limit`.
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

    /// Numbers so far.
    fn stats(&self) -> BusStats;

    /// The broker has ended: the bus publishes what it has taken, soon, and ends. May be called
    /// again.
    fn stop(&self);
}

/// How a message is to reach sockets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MessageForm {
    /// Text or binary.
    pub kind: MessageKind,
    /// Whether it is compressed.
    pub compress: Compress,
}

/// What the bus has to tell. Loss is never hidden.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum BusEvent {
    /// Connected, and every channel with subscribers here is listened to.
    Ready,
    /// The connection is gone, or leads to a replica; reconnecting is tried until it succeeds. Sent
    /// once for each reason, eight times at most, until it is ready again: what keeps it from
    /// coming back is often another reason than the first.
    Lost {
        /// Why, as far as it is known: one line of 300 characters at most.
        reason: String,
    },
    /// The bus works, but messages may not get where they should. Each is sent once, until it is
    /// over.
    Warning {
        /// What is wrong, and what to do about it.
        reason: String,
    },
    /// Messages of others to a channel that did not arrive here.
    Gap {
        /// The channel.
        channel: Bytes,
        /// How many.
        missed: u64,
    },
    /// Messages of others to more than 100 channels that did not arrive here, put together by
    /// [`BusEvents`].
    Gaps {
        /// Channels. Where there are too many to keep their names each gap counts.
        count: u64,
        /// How many messages, of all of them.
        missed: u64,
        /// The channels: at most 10,000, and 1 MiB of names. If these are fewer than `count`, any
        /// channel may be one of the others.
        channels: Vec<Bytes>,
    },
    /// Messages of ours that did not leave: too many waited, the bus was lost, or Redis refused
    /// them. Those that were under way when the bus was lost count too, though some may have
    /// arrived. Said every 1.5 s at most, and when the bus is ready again.
    Dropped {
        /// How many since it was last said.
        messages: u64,
    },
}

/// Where the bus stands.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum BusState {
    /// Not connected, or not listening to everything yet.
    #[default]
    Lost,
    /// All is well.
    Ready,
}

/// Numbers of the bus so far.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct BusStats {
    /// Where it stands.
    pub state: BusState,
    /// Why it is lost; or, while it is ready, why Redis has refused a message since then.
    pub reason: Option<String>,
    /// Other instances that were heard of lately.
    pub instances: usize,
    /// Of these, the ones that do not hear this instance: they are on another server.
    pub deaf: usize,
    /// Channels listened to.
    pub channels: usize,
    /// Messages handed to Redis.
    pub published: u64,
    /// Messages of ours that were not handed to Redis.
    pub dropped: u64,
    /// Messages that Redis was given and had not answered when the bus was lost, or had answered
    /// when it may already have been a replica: they may have arrived or not.
    pub unanswered: u64,
    /// Messages that Redis refused.
    pub refused: u64,
    /// Messages of others that arrived.
    pub received: u64,
    /// Messages of others that are known to be missing.
    pub missed: u64,
    /// Envelopes that could not be read.
    pub invalid: u64,
    /// Times that the connection was lost.
    pub losses: u64,
    /// Bytes that wait to be published.
    pub waiting: usize,
}

/// Subscribers of a channel on all instances.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ClusterCount {
    /// On this instance and on those that have answered.
    pub count: u64,
    /// Instances that have not answered in time, by their
    /// [`instance_id`](ClusterConfig::instance_id).
    pub missing: Vec<String>,
}

/// Who is told of [`BusEvent`]s. Called on the bus's thread: must not block.
pub type BusListener = Arc<dyn Fn(BusEvent) + Send + Sync>;
