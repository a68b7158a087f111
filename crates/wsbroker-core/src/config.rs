//! What can be set, and beside each default the reason for its value.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use crate::error::BindError;

/// Settings of a whole broker.
#[derive(Clone, Debug)]
pub struct Config {
    /// Shards: I/O threads that own connections. Default: half the cores, at least 1, since workers need the other half.
    pub io_threads: usize,
    /// Bytes that may wait for slow receivers, in outboxes, command queues and corks together. Above it the slowest sockets are closed (1013).
    /// Default 1 GiB here; the Node package passes a quarter of the memory it finds.
    pub max_send_memory: usize,
    /// Bytes that unfinished inbound messages may hold. Above it the largest is closed (1013). Default 1 GiB here, as above.
    pub max_receive_memory: usize,
    /// The inbound window: what may be under way towards handlers before reading pauses.
    pub in_flight: InFlight,
    /// Connections that may be between accept and 101 at once; more get 503. Default 4,096: a login storm fits, its memory stays in the tens of MB.
    pub max_pending_upgrades: usize,
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
        }
    }
}

/// The inbound window. A message counts with its payload and 128 bytes on top, so that empty messages are bounded too.
#[derive(Clone, Copy, Debug)]
pub struct InFlight {
    /// Messages of one socket. Default 256: a loop turn's worth of small ones.
    pub messages: u32,
    /// Payload bytes of one socket. Default 1 MiB. A larger message passes when nothing else holds the window.
    pub bytes: usize,
    /// Bytes towards one worker, all its sockets together. Default 16 MiB: bounded, and deep enough that a worker never runs dry.
    pub worker_bytes: usize,
}

impl Default for InFlight {
    fn default() -> Self {
        Self { messages: 256, bytes: 1 << 20, worker_bytes: 16 << 20 }
    }
}

/// Settings of one address and the paths served there.
#[derive(Clone, Debug)]
pub struct ListenerConfig {
    /// Where to listen.
    pub bind: Bind,
    /// Exact request paths that are served, case-sensitive, query not counted; `*` serves every path no other listener owns. Default `*`.
    pub paths: Vec<String>,
    /// Subprotocols (RFC 6455 §1.9), best first; the first that the client offers too is chosen unless the worker chooses. A client that
    /// offers none of them is let in without one, and browsers then fail the connection themselves. Default none.
    pub protocols: Vec<String>,
    /// From accept to the end of the request, in all; then cut. Taking an answer that is no 101 may last as long. Default 10 s.
    pub handshake_timeout: Duration,
    /// How long a worker may take to answer. Default 10 s, then 503.
    pub open_timeout: Duration,
    /// Bytes of request line and headers together, at most 100 headers; above 431. Default 16 KiB.
    pub max_header_size: usize,
    /// Limits of each connection made here.
    pub limits: SocketLimits,
}

impl ListenerConfig {
    /// The defaults, on this address.
    #[must_use]
    pub fn new(bind: Bind) -> Self {
        Self {
            bind,
            paths: vec!["*".into()],
            protocols: Vec::new(),
            handshake_timeout: Duration::from_secs(10),
            open_timeout: Duration::from_secs(10),
            max_header_size: 16 << 10,
            limits: SocketLimits::default(),
        }
    }
}

/// Limits of one connection.
#[derive(Clone, Debug)]
pub struct SocketLimits {
    /// Bytes of one inbound message; above 1009. Default 1 MiB.
    pub max_payload: usize,
    /// Silence after which a connection is cut (1006); `None` is off. Default 120 s, above the usual 60 s of proxies.
    pub idle_timeout: Option<Duration>,
    /// Whether a ping is sent after half of `idle_timeout` in silence. Default true.
    pub pings: bool,
    /// How long the peer may take to answer our close frame before it is cut. Default 5 s.
    pub close_timeout: Duration,
    /// Bytes in the outbox from which on `overflow` applies; a message that finds the outbox under it is queued whole. Default 1 MiB.
    pub max_backpressure: usize,
    /// What happens to a message for a socket over `max_backpressure`.
    pub overflow: Overflow,
}

impl Default for SocketLimits {
    fn default() -> Self {
        Self {
            max_payload: 1 << 20,
            idle_timeout: Some(Duration::from_secs(120)),
            pings: true,
            close_timeout: Duration::from_secs(5),
            max_backpressure: 1 << 20,
            overflow: Overflow::Close,
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
}

/// An address to listen on.
///
/// ```
/// use wsbroker_core::Bind;
/// assert_eq!("127.0.0.1:9000".parse(), Ok(Bind::Tcp { host: "127.0.0.1".into(), port: 9000 }));
/// assert_eq!("[::1]:0".parse(), Ok(Bind::Tcp { host: "::1".into(), port: 0 }));
/// assert_eq!("unix:/run/chat.sock".parse(), Ok(Bind::Unix("/run/chat.sock".into())));
/// assert!("127.0.0.1".parse::<Bind>().is_err());
/// assert!("ws://127.0.0.1:80".parse::<Bind>().unwrap_err().to_string().contains("no URL"));
/// assert!("*:80".parse::<Bind>().unwrap_err().to_string().contains("0.0.0.0"));
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Bind {
    /// `host:port` or `[v6]:port`; port 0 lets the system choose.
    Tcp {
        /// An address or a name that resolves to one.
        host: String,
        /// The port; 0 lets the system choose.
        port: u16,
    },
    /// `unix:/path`.
    Unix(PathBuf),
}

impl FromStr for Bind {
    type Err = BindError;

    fn from_str(text: &str) -> Result<Self, BindError> {
        let wrong = |why: &str| BindError {
            reason: format!("expected \"host:port\", \"[v6]:port\" or \"unix:/path\", got {text:?}: {why}"),
        };
        if let Some(path) = text.strip_prefix("unix:") {
            if path.is_empty() || path.contains('\0') {
                return Err(wrong("the path is empty or has a NUL"));
            }
            return Ok(Self::Unix(path.into()));
        }
        if text.contains("://") {
            return Err(wrong("an address is no URL"));
        }
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, tail) = rest.split_once(']').ok_or_else(|| wrong("the bracket is not closed"))?;
            let port = tail.strip_prefix(':').ok_or_else(|| wrong("the port is missing"))?;
            if host.parse::<std::net::Ipv6Addr>().is_err() && !host.contains('%') {
                return Err(wrong("the brackets hold no IPv6 address"));
            }
            (host, port)
        } else {
            let (host, port) = text.rsplit_once(':').ok_or_else(|| wrong("the port is missing"))?;
            if host.contains(':') {
                return Err(wrong("an IPv6 address stands in brackets"));
            }
            (host, port)
        };
        if host == "*" {
            return Err(wrong("all addresses are 0.0.0.0 or [::]"));
        }
        if host.is_empty() || host.chars().any(|c| c.is_whitespace() || c == '/') {
            return Err(wrong("the host is no address or name"));
        }
        if port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong("the port is no number"));
        }
        let port = port.parse().map_err(|_| wrong("the port is above 65535"))?;
        Ok(Self::Tcp { host: host.into(), port })
    }
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
