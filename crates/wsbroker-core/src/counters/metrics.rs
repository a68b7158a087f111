//! What happened so far, counted: every outcome that a limit or a peer can bring about has a
//! number.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use wsbroker_http::Failure;

use super::histogram::{DURATIONS, Durations, Fanout, Histogram, SUBSCRIBERS};

/// An enum whose values are counted, with the names that users see.
macro_rules! causes {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $cause:ident = $text:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        #[non_exhaustive]
        pub enum $name { $($(#[$doc])* $cause,)+ }

        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$cause,)+];

            pub(crate) const COUNT: usize = Self::ALL.len();

            /// Its name in statistics.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$cause => $text,)+ }
            }
        }

        impl From<$name> for usize {
            fn from(cause: $name) -> Self {
                cause as Self
            }
        }
    };
}

causes! {
    /// Why a connection was turned away before its 101.
    RejectCause {
        /// 400: no well-formed request or handshake.
        BadRequest = "badRequest",
        /// 403: its `Origin` is not on the list.
        Origin = "origin",
        /// 404: nothing is served on its path.
        NotFound = "notFound",
        /// 405: not a GET.
        Method = "method",
        /// 426: a plain HTTP request, or another WebSocket version.
        UpgradeRequired = "upgradeRequired",
        /// 431: `max_header_size` or the number of headers.
        HeaderSize = "headerSize",
        /// 505: another HTTP version.
        HttpVersion = "httpVersion",
        /// 503: `max_connections`.
        MaxConnections = "maxConnections",
        /// 429: `max_connections_per_ip`.
        MaxConnectionsPerIp = "maxConnectionsPerIp",
        /// 503, or cut when even that many cannot be told: `max_pending_upgrades`.
        MaxPendingUpgrades = "maxPendingUpgrades",
        /// 503: the path has no server at the moment, or the server is closing.
        NotServed = "notServed",
        /// 503: the worker did not answer within `open_timeout`.
        OpenTimeout = "openTimeout",
        /// 503: the worker ended before it had answered.
        WorkerGone = "workerGone",
        /// The worker's own answer.
        Handler = "handler",
        /// Cut: `handshake_timeout`.
        HandshakeTimeout = "handshakeTimeout",
        /// Cut: the TLS handshake failed.
        Tls = "tls",
        /// Cut: no well-formed PROXY protocol header.
        ProxyProtocol = "proxyProtocol",
        /// The client went away before its answer.
        Gone = "gone",
    }
}

causes! {
    /// Why a connection ended after it was let in.
    CloseCause {
        /// The peer's close frame.
        Peer = "peer",
        /// The peer went away without one (1006).
        Lost = "lost",
        /// `close` or `close_channel`.
        Application = "application",
        /// `terminate`.
        Terminated = "terminated",
        /// Our listener was closed or the broker shut down.
        Shutdown = "shutdown",
        /// 1002: the peer broke the protocol.
        Protocol = "protocol",
        /// 1007: text that is not UTF-8, or data that does not inflate.
        InvalidPayload = "invalidPayload",
        /// 1009: `max_payload`.
        MaxPayload = "maxPayload",
        /// 1006: `idle_timeout`.
        IdleTimeout = "idleTimeout",
        /// Cut, since the closing made no progress for `close_timeout`. Counted in addition to what
        /// the closing began with.
        CloseTimeout = "closeTimeout",
        /// 1013: `max_backpressure` with [`Overflow::Close`](crate::Overflow::Close).
        MaxBackpressure = "maxBackpressure",
        /// 1013: `max_send_memory`.
        MaxSendMemory = "maxSendMemory",
        /// 1013: `max_receive_memory`.
        MaxReceiveMemory = "maxReceiveMemory",
        /// 1008: `rate_limit` with [`RateAction::Close`](crate::RateAction::Close).
        RateLimit = "rateLimit",
        /// 1012: `max_lifetime`.
        MaxLifetime = "maxLifetime",
        /// 4009: messages of a channel with history were lost to it, and no handler is told of
        /// that.
        HistoryLost = "historyLost",
        /// 1012: a [pinned](crate::Broker::add_pinned_worker) worker ended, or one of a
        /// [`Namespace`](crate::Namespace). Their connections do not move.
        WorkerEnded = "workerEnded",
        /// 1006: let in, but gone before there was a 101. Such a connection was never open.
        BeforeOpen = "beforeOpen",
    }
}

causes! {
    /// Why a message to a socket was dropped.
    DropCause {
        /// [`Overflow::DropNewest`](crate::Overflow::DropNewest).
        Newest = "dropNewest",
        /// [`Overflow::DropOldest`](crate::Overflow::DropOldest).
        Oldest = "dropOldest",
        /// `max_send_memory` is used up. A publish counts once, or, while part of the reserve is
        /// left, once for each subscriber for which it was dropped. The answer to a connection that
        /// is not let in counts once, and the connection is cut.
        MaxSendMemory = "maxSendMemory",
        /// The socket is gone or closing, or this message makes it close.
        Gone = "gone",
    }
}

causes! {
    /// Why a forwarded request did not come to its end.
    HttpFailureCause {
        /// 502: the inner server cannot be reached.
        Unreachable = "unreachable",
        /// 502, or a cut: the inner server's response is not HTTP, or broke off.
        BadResponse = "badResponse",
        /// 504, or a cut: the inner server took too long.
        Timeout = "timeout",
        /// 408, or a cut: the client's body stopped, or the client stopped reading.
        ClientTimeout = "clientTimeout",
        /// 400, or a cut: the client's body is not well-formed.
        BadBody = "badBody",
        /// The client went away.
        Gone = "gone",
    }
}

causes! {
    /// A handler whose duration is counted, with the name that it has in a worker's module or among
    /// the options of a server helper.
    HandlerKind {
        /// [`EventKind::Open`](crate::EventKind::Open).
        Open = "handleOpen",
        /// [`EventKind::Text`](crate::EventKind::Text).
        Text = "handleTextMessage",
        /// [`EventKind::Binary`](crate::EventKind::Binary).
        Binary = "handleBinaryMessage",
        /// [`EventKind::Close`](crate::EventKind::Close).
        Close = "handleClose",
        /// [`EventKind::Drain`](crate::EventKind::Drain).
        Drain = "handleDrain",
        /// What an application's server helper does with a message of a client.
        HelperMessage = "messageHandler",
    }
}

/// A counter for each of `N` causes.
#[derive(Debug)]
pub(crate) struct Counters<const N: usize>([AtomicU64; N]);

impl<const N: usize> Default for Counters<N> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl<const N: usize> Counters<N> {
    /// One more.
    pub(crate) fn count(&self, cause: impl Into<usize>) {
        if let Some(counter) = self.0.get(cause.into()) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn load(&self) -> [u64; N] {
        std::array::from_fn(|index| self.0[index].load(Ordering::Relaxed))
    }
}

impl From<Failure> for HttpFailureCause {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unreachable => Self::Unreachable,
            Failure::Broken => Self::BadResponse,
            Failure::TooSlow => Self::Timeout,
            Failure::Stalled => Self::ClientTimeout,
            Failure::BadBody => Self::BadBody,
            Failure::Gone => Self::Gone,
        }
    }
}

/// What is counted of plain requests.
#[derive(Debug, Default)]
pub(crate) struct HttpCounters {
    pub(crate) answered: AtomicU64,
    pub(crate) forwarded: AtomicU64,
    pub(crate) failed: Counters<{ HttpFailureCause::COUNT }>,
    pub(crate) bytes_in: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
}

impl HttpCounters {
    /// A fixed answer was given.
    pub(crate) fn count_answer(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    /// A request was forwarded; `failure` if it did not come to its end.
    pub(crate) fn count_forwarded(&self, failure: Option<Failure>, received: u64, sent: u64) {
        self.bytes_in.fetch_add(received, Ordering::Relaxed);
        self.bytes_out.fetch_add(sent, Ordering::Relaxed);
        match failure {
            None => _ = self.forwarded.fetch_add(1, Ordering::Relaxed),
            Some(failure) => self.failed.count(HttpFailureCause::from(failure)),
        }
    }
}

/// What is counted for a whole broker.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// Connections that the system handed to us.
    pub(crate) accepted: AtomicU64,
    /// Times that it could not.
    pub(crate) accept_failures: AtomicU64,
    /// Plain requests.
    pub(crate) http: HttpCounters,
    pub(crate) rejected: Counters<{ RejectCause::COUNT }>,
    /// What a cork dropped. What a shard drops it counts by itself.
    pub(crate) dropped: Counters<{ DropCause::COUNT }>,
    /// How long each kind of handler took.
    pub(crate) handlers: [Arc<Durations>; HandlerKind::COUNT],
    /// How long events waited until their handlers were called.
    pub(crate) dispatch_delay: Arc<Durations>,
    /// The subscribers of each publish.
    pub(crate) fanout: Arc<Fanout>,
    /// When it began.
    pub(crate) begun: Instant,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            accepted: AtomicU64::new(0),
            accept_failures: AtomicU64::new(0),
            http: HttpCounters::default(),
            rejected: Counters::default(),
            dropped: Counters::default(),
            handlers: std::array::from_fn(|_| Histogram::new(DURATIONS)),
            dispatch_delay: Histogram::new(DURATIONS),
            fanout: Histogram::new(SUBSCRIBERS),
            begun: Instant::now(),
        }
    }
}
