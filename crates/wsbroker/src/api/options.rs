//! The options of `start` and of helpers, as JavaScript passes them and as the core takes them.

// napi-rs wants what it exports to be public, though nothing can reach it from Rust.
#![allow(unreachable_pub)]

use napi_derive::napi;
use wsbroker_core::{
    Bind, Cidr, Config, DeflateConfig, ForwardedHeader, HistoryRule, InFlight, ListenerConfig, Overflow, RateAction,
    RateLimit, SocketLimits, TrustProxy,
};

use crate::{
    api::{
        http_options::{self, NativeHttp},
        option_values::{milliseconds, one_of, size},
        tls_options::{self, NativeTls},
    },
    js::js_error::JsError,
    process::ProcessOptions,
};

/// Limits of messages whose handlers have not settled.
#[napi(object)]
pub struct NativeInFlight {
    /// Messages of one socket.
    pub messages: f64,
    /// Bytes of one socket.
    pub bytes: f64,
    /// Bytes of one worker.
    pub worker_bytes: f64,
}

/// Options that a process can have only one value of. Integers; durations in milliseconds, sizes in
/// bytes.
#[napi(object)]
pub struct NativeProcessOptions {
    /// How many shards.
    pub io_threads: f64,
    /// Bytes that may wait in all outboxes.
    pub max_send_memory: f64,
    /// Bytes of unfinished inbound messages.
    pub max_receive_memory: f64,
    /// Limits of messages whose handlers have not settled.
    pub max_in_flight: NativeInFlight,
    /// Connections between accept and 101.
    pub max_pending_upgrades: f64,
    /// Connections at the same time. Absent is unlimited, as in the next three.
    pub max_connections: Option<f64>,
    /// Connections at the same time from one IP address.
    pub max_connections_per_ip: Option<f64>,
    /// Channels that one socket may be in.
    pub max_channels_per_socket: Option<f64>,
    /// Bytes of a channel's name.
    pub max_channel_name_length: Option<f64>,
    /// Channels that keep what is published. The first that matches counts.
    pub history: Vec<NativeHistoryRule>,
    /// Bytes that the histories of all channels may take.
    pub max_history_memory: f64,
    /// Whether the handlers of a socket run at the same time.
    pub concurrent: bool,
    /// How long a handler may take to settle. 0 is off.
    pub handler_timeout: f64,
    /// For how long a worker may fetch nothing before it is stuck.
    pub stuck_after: f64,
}

/// A history for some channels.
#[napi(object)]
pub struct NativeHistoryRule {
    /// Names; one that ends in `*` is a prefix.
    pub channels: Vec<String>,
    /// Messages that each of them keeps.
    pub size: f64,
    /// How long, in milliseconds.
    pub ttl: f64,
    /// Bytes that each of them keeps.
    pub max_bytes: f64,
    /// Messages that one recovery replays.
    pub max_replay: f64,
    /// Whether a frame begins with its offset and its channel.
    pub framed: bool,
}

/// Proxies that are trusted.
#[napi(object)]
pub struct NativeTrustProxy {
    /// Networks.
    pub from: Vec<String>,
    /// Whether everything that connects through a Unix socket is trusted.
    pub unix: bool,
    /// The header in which they put the client's address.
    #[napi(ts_type = "'x-forwarded-for' | 'forwarded'")]
    pub header: String,
}

/// Compression of messages.
#[napi(object)]
pub struct NativeDeflate {
    /// Messages of at least that many bytes are compressed.
    pub threshold: f64,
    /// 1 to 9.
    pub level: u32,
}

/// What one socket may send.
#[napi(object)]
pub struct NativeRateLimit {
    /// Messages a second. Absent is unlimited.
    pub messages: Option<f64>,
    /// Bytes a second. Absent is unlimited.
    pub bytes: Option<f64>,
    /// How many messages may come at once. Absent is as many as in a second.
    pub burst: Option<f64>,
    /// What happens when more come.
    #[napi(ts_type = "'pause' | 'close'")]
    pub action: String,
}

/// The options of `listen`. JavaScript has filled in every default; what is absent is off.
#[napi(object)]
pub struct NativeListenOptions {
    /// `host:port`, `[IPv6]:port` or `unix:/path`.
    pub bind: String,
    /// Paths to serve. `*`: all that nothing else serves.
    pub paths: Vec<String>,
    /// Subprotocols, best first.
    pub protocols: Vec<String>,
    /// From accept to the end of the request, in milliseconds.
    pub handshake_timeout: f64,
    /// How long `handleOpen` may take, in milliseconds.
    pub open_timeout: f64,
    /// Bytes of request line and headers.
    pub max_header_size: f64,
    /// Bytes of one inbound message.
    pub max_payload: f64,
    /// Silence after which a connection is cut, in milliseconds. 0 is off.
    pub idle_timeout: f64,
    /// Whether pings are sent.
    pub pings: bool,
    /// Silence in one direction after which a ping is sent, in milliseconds. 0: no pings.
    pub ping_interval: f64,
    /// How long a closing connection may make no progress, in milliseconds.
    pub close_timeout: f64,
    /// Bytes in an outbox above which `overflow` applies.
    pub max_backpressure: f64,
    /// What happens then.
    #[napi(ts_type = "'close' | 'dropNewest' | 'dropOldest'")]
    pub overflow: String,
    /// How long a connection may live, in milliseconds. 0 is off.
    pub max_lifetime: f64,
    /// How much a socket may send.
    pub rate_limit: Option<NativeRateLimit>,
    /// Values of `Origin` that are accepted, in lower case.
    pub origins: Option<Vec<String>>,
    /// Proxies that are trusted.
    pub trust_proxy: Option<NativeTrustProxy>,
    /// Whether connections begin with a PROXY protocol header.
    pub proxy_protocol: bool,
    /// Whether other processes may listen on the same port.
    pub reuse_port: bool,
    /// Compression of messages.
    pub deflate: Option<NativeDeflate>,
    /// Encryption.
    pub tls: Option<NativeTls>,
    /// What happens to requests that are not upgrades. Absent: they are refused.
    pub http: Option<NativeHttp>,
    /// Options that the process can have only one value of.
    pub process: NativeProcessOptions,
    /// Of a helper: bytes of one inbound message until its client is finished. Absent is
    /// `maxPayload`.
    pub max_first_payload: Option<f64>,
    /// Of a helper: which options of the whole address were given. The others are as they are
    /// there.
    pub given: Option<Vec<String>>,
    /// Of a helper: whether it shares the address of a server with the same `bind`, even if the
    /// port in it is 0.
    pub beside: Option<bool>,
}

pub(crate) fn process_options(options: &NativeProcessOptions) -> ProcessOptions {
    let config = Config {
        io_threads: size(options.io_threads),
        max_send_memory: size(options.max_send_memory),
        max_receive_memory: size(options.max_receive_memory),
        in_flight: InFlight {
            messages: options.max_in_flight.messages as u32,
            bytes: size(options.max_in_flight.bytes),
            worker_bytes: size(options.max_in_flight.worker_bytes),
        },
        max_pending_upgrades: size(options.max_pending_upgrades),
        max_connections: options.max_connections.map(size),
        max_connections_per_ip: options.max_connections_per_ip.map(size),
        max_channels_per_socket: options.max_channels_per_socket.map(size),
        max_channel_name_length: options.max_channel_name_length.map(size),
        history: options.history.iter().map(history_rule).collect(),
        max_history_memory: size(options.max_history_memory),
        stuck_after: milliseconds(options.stuck_after),
    };
    ProcessOptions { config, concurrent: options.concurrent, handler_timeout: options.handler_timeout as u32 }
}

/// The options as JavaScript passes them.
pub(crate) fn native(options: ProcessOptions) -> NativeProcessOptions {
    let config = options.config;
    NativeProcessOptions {
        io_threads: config.io_threads as f64,
        max_send_memory: config.max_send_memory as f64,
        max_receive_memory: config.max_receive_memory as f64,
        max_in_flight: NativeInFlight {
            messages: f64::from(config.in_flight.messages),
            bytes: config.in_flight.bytes as f64,
            worker_bytes: config.in_flight.worker_bytes as f64,
        },
        max_pending_upgrades: config.max_pending_upgrades as f64,
        max_connections: config.max_connections.map(|number| number as f64),
        max_connections_per_ip: config.max_connections_per_ip.map(|number| number as f64),
        max_channels_per_socket: config.max_channels_per_socket.map(|number| number as f64),
        max_channel_name_length: config.max_channel_name_length.map(|number| number as f64),
        history: config.history.iter().map(native_history_rule).collect(),
        max_history_memory: config.max_history_memory as f64,
        concurrent: options.concurrent,
        handler_timeout: f64::from(options.handler_timeout),
        stuck_after: config.stuck_after.as_secs_f64() * 1000.0,
    }
}

pub(crate) fn history_rule(rule: &NativeHistoryRule) -> HistoryRule {
    HistoryRule {
        size: size(rule.size),
        ttl: milliseconds(rule.ttl),
        max_bytes: size(rule.max_bytes),
        max_replay: rule.max_replay as u64,
        framed: rule.framed,
        ..HistoryRule::new(rule.channels.iter().map(|name| name.as_bytes()))
    }
}

fn native_history_rule(rule: &HistoryRule) -> NativeHistoryRule {
    NativeHistoryRule {
        channels: rule.channels.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect(),
        size: rule.size as f64,
        ttl: rule.ttl.as_millis() as f64,
        max_bytes: rule.max_bytes as f64,
        max_replay: rule.max_replay as f64,
        framed: rule.framed,
    }
}

pub(crate) fn listener_config(options: NativeListenOptions) -> Result<ListenerConfig, JsError> {
    let bind = options.bind.parse::<Bind>()?;
    let duration = |number: f64| Some(milliseconds(number)).filter(|duration| !duration.is_zero());
    Ok(ListenerConfig {
        paths: options.paths,
        protocols: options.protocols,
        handshake_timeout: milliseconds(options.handshake_timeout),
        open_timeout: milliseconds(options.open_timeout),
        max_header_size: size(options.max_header_size),
        origins: options.origins,
        trust_proxy: options.trust_proxy.map(trust_proxy).transpose()?,
        proxy_protocol: options.proxy_protocol,
        reuse_port: options.reuse_port,
        tls: options.tls.map(|tls| tls_options::config("start", &tls)).transpose()?,
        deflate: options
            .deflate
            .map(|deflate| DeflateConfig { threshold: size(deflate.threshold), level: deflate.level as u8 }),
        limits: SocketLimits {
            max_payload: size(options.max_payload),
            max_first_payload: options.max_first_payload.map(size),
            idle_timeout: duration(options.idle_timeout),
            pings: options.pings,
            ping_interval: duration(options.ping_interval),
            close_timeout: milliseconds(options.close_timeout),
            max_backpressure: size(options.max_backpressure),
            overflow: one_of(
                "overflow",
                &options.overflow,
                &[
                    ("close", Overflow::Close),
                    ("dropNewest", Overflow::DropNewest),
                    ("dropOldest", Overflow::DropOldest),
                ],
            )?,
            max_lifetime: duration(options.max_lifetime),
            rate_limit: options.rate_limit.map(rate_limit).transpose()?,
        },
        http: options.http.map(http_options::config).transpose()?,
        given: options.given.map(|names| names.iter().filter_map(|name| of_address(name)).collect()),
        ..ListenerConfig::new(bind)
    })
}

/// The core's name of an option that applies to a whole address.
fn of_address(name: &str) -> Option<&'static str> {
    Some(match name {
        "handshakeTimeout" => "handshake_timeout",
        "maxHeaderSize" => "max_header_size",
        "proxyProtocol" => "proxy_protocol",
        "reusePort" => "reuse_port",
        "tls" => "tls",
        "trustProxy" => "trust_proxy",
        _ => return None,
    })
}

fn trust_proxy(options: NativeTrustProxy) -> Result<TrustProxy, JsError> {
    let network = |text: &String| {
        text.parse::<Cidr>().map_err(|_| {
            let expected = "an IP address, a network such as '10.0.0.0/8', or 'unix'";
            JsError::wrong_value("start", "trustProxy.from", expected, format_args!("'{text}'"))
        })
    };
    let headers = [("x-forwarded-for", ForwardedHeader::XForwardedFor), ("forwarded", ForwardedHeader::Forwarded)];
    Ok(TrustProxy {
        from: options.from.iter().map(network).collect::<Result<_, _>>()?,
        unix: options.unix,
        header: one_of("trustProxy.header", &options.header, &headers)?,
    })
}

fn rate_limit(options: NativeRateLimit) -> Result<RateLimit, JsError> {
    let actions = [("pause", RateAction::Pause), ("close", RateAction::Close)];
    Ok(RateLimit {
        messages: options.messages.map(|messages| messages as u32),
        bytes: options.bytes.map(|bytes| bytes as u64),
        burst: options.burst.map(|burst| burst as u32),
        action: one_of("rateLimit.action", &options.action, &actions)?,
    })
}
