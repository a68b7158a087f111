//! What can be set, and beside each default the reason for its value.

use std::time::Duration;

mod bind;
mod history_rule;
mod trust_proxy;

pub use self::{
    bind::Bind,
    history_rule::HistoryRule,
    trust_proxy::{Cidr, ForwardedHeader, TrustProxy},
};

/// Settings of a whole broker.
#[derive(Clone, Debug)]
pub struct Config {
    /// Shards: I/O threads that own connections. Default: half the cores, at least 1, since workers
    /// need the other half.
    pub io_threads: usize,
    /// Bytes that may wait for slow receivers, in outboxes and command queues together. Above
    /// fifteen sixteenths of it the slowest sockets are closed (1013); the rest is a reserve for
    /// sockets that have little waiting. Answers to connections that are not let in count, too, and
    /// may hold half of it, or a single one all but the reserve: if there is no room the connection
    /// is cut without its answer. Default 1 GiB here; the Node package passes a quarter of the
    /// memory it finds.
    pub max_send_memory: usize,
    /// Bytes that unfinished inbound messages may hold. Above it the largest is closed (1013).
    /// Default 1 GiB here, as above.
    pub max_receive_memory: usize,
    /// The inbound window: what may be under way towards handlers before reading pauses.
    pub in_flight: InFlight,
    /// Connections that may be between accept and 101 at once; more get 503. Default 4,096: a login
    /// storm fits, its memory stays in the tens of MB.
    pub max_pending_upgrades: usize,
    /// Connections at once, from accept on; more get 503. Default `None`: as many as the system
    /// allows.
    pub max_connections: Option<usize>,
    /// Connections at once from one address, from accept on; more get 429. IPv4 counts by address,
    /// IPv6 by /64, which is what one customer has. Default `None`, since many users may stand
    /// behind one address.
    pub max_connections_per_ip: Option<usize>,
    /// Channels that one socket may be in. Default `None`.
    pub max_channels_per_socket: Option<usize>,
    /// Bytes of a channel's name. Default `None`.
    pub max_channel_name_length: Option<usize>,
    /// Channels that keep what is published. The first rule that matches counts. Default: none.
    pub history: Vec<HistoryRule>,
    /// Bytes that the histories of all channels may take. Above it those go first that have not
    /// been used for the longest time. Default 256 MiB here; the Node package passes an eighth of
    /// the memory it finds.
    pub max_history_memory: usize,
    /// A worker is stuck when something waits for it and it has fetched nothing for this long: it
    /// is passed over, and told. Looked at four times within it, or every 250 ms. Default 1 s: no
    /// handler should keep its thread for so long.
    pub stuck_after: Duration,
}

impl Default for Config {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            io_threads: (cores / 2).max(1),
            max_send_memory: 1 << 30,
            max_receive_memory: 1 << 30,
            in_flight: InFlight::default(),
            max_pending_upgrades: 4096,
            max_connections: None,
            max_connections_per_ip: None,
            max_channels_per_socket: None,
            max_channel_name_length: None,
            history: Vec::new(),
            max_history_memory: 256 << 20,
            stuck_after: Duration::from_secs(1),
        }
    }
}

/// The inbound window. A message counts with its payload and 128 bytes on top, so that empty
/// messages are bounded too.
#[derive(Clone, Copy, Debug)]
pub struct InFlight {
    /// Messages of one socket. Default 256: a loop turn's worth of small ones.
    pub messages: u32,
    /// Bytes of one socket. Default 1 MiB. A larger message passes when nothing else holds the
    /// window.
    pub bytes: usize,
    /// Bytes towards one worker, all its sockets together. Default 16 MiB: bounded, and deep enough
    /// that a worker never runs dry.
    pub worker_bytes: usize,
}

impl Default for InFlight {
    fn default() -> Self {
        Self { messages: 256, bytes: 1 << 20, worker_bytes: 16 << 20 }
    }
}

/// Settings of a [`Namespace`](crate::Namespace).
#[derive(Clone, Debug, Default)]
pub struct NamespaceConfig {
    /// The channel that [`Audience::Everybody`](crate::Audience::Everybody) reaches. Default: the
    /// empty name. No room should have that name.
    pub broadcast_channel: Box<[u8]>,
    /// The reason that clients get with code 1009, for a message above `max_payload`. Default:
    /// none.
    pub too_big_reason: Box<str>,
}

/// How messages are compressed where the client can (RFC 7692).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DeflateConfig {
    /// Payload bytes from which on a message is compressed. Default 1,024: below, the frame that is
    /// saved costs more than it brings.
    pub threshold: usize,
    /// 1 (fastest) to 9 (smallest). Default 3.
    pub level: u8,
}

impl Default for DeflateConfig {
    fn default() -> Self {
        Self { threshold: 1024, level: 3 }
    }
}

/// How much one socket may send us, on average.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RateLimit {
    /// Messages a second; pings and pongs count too. `None` is unlimited.
    pub messages: Option<u32>,
    /// Payload bytes a second. `None` is unlimited.
    pub bytes: Option<u64>,
    /// How many messages may come at once; bytes in proportion, or that many bytes when `messages`
    /// is unlimited. Default one second's worth.
    pub burst: Option<u32>,
    /// What happens above it.
    pub action: RateAction,
}

/// What happens to a socket above its [`RateLimit`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum RateAction {
    /// It is not read until it is below again; TCP pushes back. Nothing is lost, unless the client
    /// ends its side meanwhile: then what is not read within [`SocketLimits::close_timeout`] is
    /// dropped.
    #[default]
    Pause,
    /// It is closed with 1008.
    Close,
}

/// Limits of one connection.
#[derive(Clone, Debug)]
pub struct SocketLimits {
    /// Bytes of one inbound message; above 1009. Default 1 MiB.
    pub max_payload: usize,
    /// Bytes of one inbound message until a socket of a [`Namespace`](crate::Namespace) is
    /// [finished](crate::Helper::finish_client), if `max_payload` does not allow less; above 1009.
    /// Default `None`: `max_payload` from the start.
    pub max_first_payload: Option<usize>,
    /// Silence after which a connection is cut (1006); `None` is off. What the peer sends ends it,
    /// and what its kernel acknowledges, pings not counted. Where the system does not tell (it does
    /// on Linux and macOS), a kernel that was full and takes bytes again counts instead. Default
    /// 120 s, above the usual 60 s of proxies.
    pub idle_timeout: Option<Duration>,
    /// Whether pings are sent. Default true.
    pub pings: bool,
    /// A ping is sent when nothing has come, or nothing has gone out, for this long or for half of
    /// `idle_timeout`, whichever is less. It goes before everything that waits. `None` is as
    /// without `pings`. Default 25 s: half of what the most impatient proxies allow.
    pub ping_interval: Option<Duration>,
    /// How long a closing may make no progress before the connection is cut. While what was sent
    /// before goes out: how long the peer may take nothing, or less than 1 KiB/s on average over 30
    /// s. From when our close frame has left: how long the peer may take to end it. And how long a
    /// close frame of ours waits for handlers that the peer's close found at work. After a failure
    /// or at a limit all of it has this time once. Default 5 s.
    pub close_timeout: Duration,
    /// Bytes in the outbox from which on `overflow` applies; a message that finds the outbox under
    /// it is queued whole. Default 1 MiB.
    pub max_backpressure: usize,
    /// What happens to a message for a socket over `max_backpressure`.
    pub overflow: Overflow,
    /// How long a connection may live, after its 101; then it is closed with 1012. Each gets a time
    /// between 90 and 100 % of it, so that clients that came together do not come back together.
    /// Default `None`.
    pub max_lifetime: Option<Duration>,
    /// How much it may send. Default `None`.
    pub rate_limit: Option<RateLimit>,
}

impl Default for SocketLimits {
    fn default() -> Self {
        Self {
            max_payload: 1 << 20,
            max_first_payload: None,
            idle_timeout: Some(Duration::from_secs(120)),
            pings: true,
            ping_interval: Some(Duration::from_secs(25)),
            close_timeout: Duration::from_secs(5),
            max_backpressure: 1 << 20,
            overflow: Overflow::Close,
            max_lifetime: None,
            rate_limit: None,
        }
    }
}

/// What happens to a message for a slow socket, one over its `max_backpressure`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Overflow {
    /// The connection is closed with 1013. The default: a client that missed something must know.
    #[default]
    Close,
    /// The message is dropped.
    DropNewest,
    /// The messages that have waited longest are dropped, as many as it takes.
    DropOldest,
}
