//! The broker: accepts WebSocket connections, owns the registry of channels and tokens, and hands
//! events to workers.
//!
//! Four stages, one direction each. The [front](crate::Broker::listen) (tokio) takes a connection
//! from accept to the 101. A *shard* (one OS thread with a mio event loop) owns it from then on.
//! *Dispatch* hands the events of a loop turn to the connection's worker as a [`Batch`]. What the
//! worker asks for comes back to the shards as commands, collected in a [`Cork`].
//!
//! Nothing here is global and nothing knows Node: a [`Broker`] is a value, and what runs handlers
//! implements [`Worker`].
#![forbid(unsafe_code)]

mod admission;
mod arena;
mod broker;
mod bus;
mod channel_protocol;
mod config;
mod cork;
mod counters;
mod dispatch;
mod error;
mod event;
mod front;
mod history;
mod ids;
mod memory;
#[cfg(all(test, feature = "loom"))]
mod models;
mod namespace;
mod open;
mod operation;
mod registry;
mod shard;
mod stream;
#[cfg(not(feature = "loom"))]
mod sync;
#[cfg(feature = "loom")]
#[doc(hidden)]
pub mod sync;
mod sys;
mod tls;
mod worker;

pub use broker::{
    Broker, BusAsked, ClientSubscription, DrainConfig, DrainObserver, DrainProgress, DrainReport, FollowedHistory,
    FollowedState, HistoryMessage, HistorySlice, NotSubscribed, Recovery, ShutdownReport, SocketInfo, WeakBroker,
    WorkerHandle,
};
pub use bus::{
    Bus, BusEvent, BusEvents, BusFailure, BusListener, BusMessage, BusReceipt, BusState, BusStats, ClusterCount,
    FollowHold, HistoryBus, MessageForm, ReceiptSender,
};
pub use config::{
    Bind, Cidr, Config, DeflateConfig, ForwardedHeader, HistoryRule, InFlight, NamespaceConfig, Overflow, RateAction,
    RateLimit, SocketLimits, TrustProxy,
};
pub use cork::{Cork, PendingReceipt, PublishReceipt, SendOutcome, Staged};
pub use counters::{
    CauseCounts, CloseCause, DropCause, HandlerKind, HistogramStats, Histograms, HistoryStats, HttpFailureCause,
    HttpStats, RejectCause, Scrape, ShardStats, SlowSocket, SlowSummary, Stats, Traffic, WorkerStats,
};
pub use error::{BindError, CidrError, HistoryError, JoinError, ListenError, StartError, SubscribeError, TlsError};
pub use event::{Batch, Event, EventKind, EventPayload, LostMessages};
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub use front::fuzzing;
pub use front::{
    AwaitedPath, FixedAnswer, ForwardUpgrades, HttpConfig, Listener, ListenerConfig, MetricsAnswer, MetricsText,
};
pub use history::{BusHistory, HistoryEpoch, HistoryPosition, KeptMessage, Since};
pub use ids::{SocketId, WorkerId};
pub use namespace::{Helper, LeftClient, Namespace};
pub use open::{Accept, AcceptError, LateVerdict, Open, OpenReply, OpenRequest, Reject};
pub use operation::{Audience, Group, Operation, OperationKind};
pub use registry::{Socket, Token};
pub use shard::Compress;
pub use tls::{TlsConfig, TlsPem, TlsVersion};
pub use worker::{Backlog, DeliverError, Handlers, Worker};
pub use wsbroker_proto::{CloseCode, MessageKind};
