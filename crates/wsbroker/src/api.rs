//! The life of the broker: what is called once per server. Convert, call the core, convert back.

// The macro wants what it exports to be public, though nothing can reach it from Rust.
#![allow(unreachable_pub)]

use std::{future::Future, time::Duration};

use napi::{Env, bindgen_prelude::Object};
use napi_derive::napi;
use wsbroker_core::{
    Bind, Broker, Cidr, CloseCode, Config, DeflateConfig, ForwardedHeader, InFlight, ListenerConfig, Overflow,
    RateAction, RateLimit, SocketLimits, TrustProxy,
};

use crate::{
    error::Failure,
    global::{self, ProcessOptions},
    memory, raw,
    tls::{self, NativeTls},
};

type Result<T> = std::result::Result<T, napi::Error<&'static str>>;

/// What is on its way to JavaScript, towards one socket and one worker.
#[napi(object)]
pub struct NativeInFlight {
    /// Messages of one socket.
    pub messages: f64,
    /// Bytes of one socket.
    pub bytes: f64,
    /// Bytes towards one worker.
    pub worker_bytes: f64,
}

/// Limits that the process has once. Integers; durations in milliseconds, sizes in bytes.
#[napi(object)]
pub struct NativeProcessOptions {
    /// Shards.
    pub io_threads: f64,
    /// Bytes that may wait for slow receivers.
    pub max_send_memory: f64,
    /// Bytes of unfinished inbound messages.
    pub max_receive_memory: f64,
    /// The inbound window.
    pub max_in_flight: NativeInFlight,
    /// Connections between accept and 101.
    pub max_pending_upgrades: f64,
    /// Connections at once; absent is unlimited, as in the next three.
    pub max_connections: Option<f64>,
    /// Connections at once from one address.
    pub max_connections_per_ip: Option<f64>,
    /// Channels that one socket may be in.
    pub max_channels_per_socket: Option<f64>,
    /// Bytes of a channel's name.
    pub max_channel_name_length: Option<f64>,
    /// Told to the workers: whether a socket's handlers run at the same time.
    pub concurrent: bool,
    /// Told to the workers; 0 = off.
    pub handler_timeout: f64,
}

/// Proxies that are believed.
#[napi(object)]
pub struct NativeTrustProxy {
    /// Networks.
    pub from: Vec<String>,
    /// Whoever comes through a unix socket, too.
    pub unix: bool,
    /// Where they write the client's address.
    #[napi(ts_type = "'x-forwarded-for' | 'forwarded'")]
    pub header: String,
}

/// Compression of messages.
#[napi(object)]
pub struct NativeDeflate {
    /// Bytes from which on a message is compressed.
    pub threshold: f64,
    /// 1 to 9.
    pub level: u32,
}

/// What one socket may send.
#[napi(object)]
pub struct NativeRateLimit {
    /// A second; absent is unlimited.
    pub messages: Option<f64>,
    /// A second; absent is unlimited.
    pub bytes: Option<f64>,
    /// How many messages may come at once; absent is a second's worth.
    pub burst: Option<f64>,
    /// What happens above it.
    #[napi(ts_type = "'pause' | 'close'")]
    pub action: String,
}

/// Everything `listen` takes; every default is filled in, and what is absent is off.
#[napi(object)]
pub struct NativeListenOptions {
    /// `host:port`, `[v6]:port` or `unix:/path`.
    pub bind: String,
    /// Paths to serve; `*` for all that are left.
    pub paths: Vec<String>,
    /// Subprotocols, best first.
    pub protocols: Vec<String>,
    /// From accept to the end of the request.
    pub handshake_timeout: f64,
    /// For `handleOpen`.
    pub open_timeout: f64,
    /// Bytes of request line and headers.
    pub max_header_size: f64,
    /// Bytes of one inbound message.
    pub max_payload: f64,
    /// Silence after which a connection is cut; 0 = off.
    pub idle_timeout: f64,
    /// Whether a ping is sent after half of it.
    pub pings: bool,
    /// For the peer's answer to our close frame.
    pub close_timeout: f64,
    /// Bytes in the outbox from which on `overflow` applies.
    pub max_backpressure: f64,
    /// What happens then.
    #[napi(ts_type = "'close' | 'dropNewest' | 'dropOldest'")]
    pub overflow: String,
    /// How long a connection may live; 0 = off.
    pub max_lifetime: f64,
    /// How much it may send.
    pub rate_limit: Option<NativeRateLimit>,
    /// Values of `Origin` that are let in.
    pub origins: Option<Vec<String>>,
    /// Proxies that are believed.
    pub trust_proxy: Option<NativeTrustProxy>,
    /// Whether connections begin with a PROXY protocol header.
    pub proxy_protocol: bool,
    /// Whether other processes may listen on the same port.
    pub reuse_port: bool,
    /// Compression of messages.
    pub deflate: Option<NativeDeflate>,
    /// Encryption.
    pub tls: Option<NativeTls>,
    /// What the process has once.
    pub process: NativeProcessOptions,
    /// Of a helper: bytes of one inbound message until its client is finished; absent is `max_payload`.
    pub max_first_payload: Option<f64>,
    /// Of a helper: those of the options of the whole address that were given.
    pub given: Option<Vec<String>>,
    /// Of a helper: whether it shares the address of a server with the same `bind`, whatever its port is.
    pub beside: Option<bool>,
}

/// Where a listener listens.
#[napi(object)]
pub struct NativeAddress {
    /// An IP address, or the path of a unix socket.
    pub address: String,
    /// 0 for a unix socket.
    pub port: u32,
    /// For clients on this machine.
    pub url: String,
}

/// What a shutdown did.
#[napi(object)]
pub struct NativeShutdownReport {
    /// Ended with a close handshake.
    pub closed: f64,
    /// Had to be cut.
    pub terminated: f64,
}

/// What defaults are made from.
#[napi(object)]
pub struct NativeDefaults {
    /// Bytes of memory for this process: the cgroup's limit, else what the machine has; 0 when neither is known.
    pub memory: f64,
    /// Threads that can run at once.
    pub cpus: u32,
}

fn size(number: f64) -> usize {
    // Saturates; what is no number becomes 0. The TypeScript side has checked it.
    number as usize
}

fn milliseconds(number: f64) -> Duration {
    Duration::from_millis(number as u64)
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
    };
    ProcessOptions { config, concurrent: options.concurrent, handler_timeout: options.handler_timeout as u32 }
}

pub(crate) fn listener_config(options: NativeListenOptions) -> std::result::Result<ListenerConfig, Failure> {
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
        tls: options.tls.map(|tls| tls::config("start", &tls)).transpose()?,
        deflate: options
            .deflate
            .map(|deflate| DeflateConfig { threshold: size(deflate.threshold), level: deflate.level as u8 }),
        limits: SocketLimits {
            max_payload: size(options.max_payload),
            max_first_payload: options.max_first_payload.map(size),
            idle_timeout: duration(options.idle_timeout),
            pings: options.pings,
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
        given: options.given.map(|names| names.iter().filter_map(|name| of_address(name)).collect()),
        ..ListenerConfig::new(bind)
    })
}

/// An option of the whole address, as the core calls it.
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

fn trust_proxy(options: NativeTrustProxy) -> std::result::Result<TrustProxy, Failure> {
    let network = |text: &String| {
        text.parse::<Cidr>().map_err(|_| {
            let expected = "an IP address, a network such as '10.0.0.0/8', or 'unix'";
            Failure::wrong_value("start", "trustProxy.from", expected, format_args!("'{text}'"))
        })
    };
    let headers = [("x-forwarded-for", ForwardedHeader::XForwardedFor), ("forwarded", ForwardedHeader::Forwarded)];
    Ok(TrustProxy {
        from: options.from.iter().map(network).collect::<std::result::Result<_, _>>()?,
        unix: options.unix,
        header: one_of("trustProxy.header", &options.header, &headers)?,
    })
}

fn rate_limit(options: NativeRateLimit) -> std::result::Result<RateLimit, Failure> {
    let actions = [("pause", RateAction::Pause), ("close", RateAction::Close)];
    Ok(RateLimit {
        messages: options.messages.map(|messages| messages as u32),
        bytes: options.bytes.map(|bytes| bytes as u64),
        burst: options.burst.map(|burst| burst as u32),
        action: one_of("rateLimit.action", &options.action, &actions)?,
    })
}

/// The value of a name.
///
/// # Errors
/// It is none of these.
pub(crate) fn one_of<T: Copy>(name: &str, given: &str, known: &[(&str, T)]) -> std::result::Result<T, Failure> {
    known.iter().find(|(text, _)| *text == given).map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<String> = known.iter().map(|(text, _)| format!("'{text}'")).collect();
        Failure::wrong_value("start", name, &names.join(" or "), format_args!("'{given}'"))
    })
}

/// How a promise is settled, on the thread it belongs to.
type Settle<T> = Box<dyn FnOnce(Env) -> napi::Result<T> + Send>;

/// A promise that is on its way. It settles whatever happens: the runtime of a broker that shuts down drops what still runs there.
pub(crate) struct Pending<T: napi::bindgen_prelude::ToNapiValue + Send + 'static> {
    deferred: Option<napi::JsDeferred<T, Settle<T>>>,
    /// What it comes to if it is dropped.
    dropped: fn() -> std::result::Result<T, Failure>,
}

impl<T: napi::bindgen_prelude::ToNapiValue + Send + 'static> Pending<T> {
    pub(crate) fn settle(&mut self, outcome: std::result::Result<T, Failure>) {
        if let Some(deferred) = self.deferred.take() {
            deferred.resolve(Box::new(move |env| outcome.map_err(|failure| raw::rejection(&env, &failure))));
        }
    }
}

impl<T: napi::bindgen_prelude::ToNapiValue + Send + 'static> Drop for Pending<T> {
    fn drop(&mut self) {
        if self.deferred.is_some() {
            self.settle((self.dropped)());
        }
    }
}

/// A promise for what a future on the broker's own runtime comes to. It keeps the process alive until then. `dropped` is what it comes to if
/// the broker ends first.
pub(crate) fn promise<'env, T, F>(
    env: &'env Env,
    broker: &Broker,
    dropped: fn() -> std::result::Result<T, Failure>,
    future: F,
) -> Result<Object<'env>>
where
    T: napi::bindgen_prelude::ToNapiValue + Send + 'static,
    F: Future<Output = std::result::Result<T, Failure>> + Send + 'static,
{
    promise_in(env, broker.runtime(), dropped, future)
}

/// As [`promise`], on any runtime.
pub(crate) fn promise_in<'env, T, F>(
    env: &'env Env,
    runtime: &tokio::runtime::Handle,
    dropped: fn() -> std::result::Result<T, Failure>,
    future: F,
) -> Result<Object<'env>>
where
    T: napi::bindgen_prelude::ToNapiValue + Send + 'static,
    F: Future<Output = std::result::Result<T, Failure>> + Send + 'static,
{
    let (deferred, promise) = env.create_deferred().map_err(internal)?;
    let mut pending = Pending { deferred: Some(deferred), dropped };
    runtime.spawn(async move { pending.settle(future.await) });
    Ok(promise)
}

/// A promise, and who settles it, from any thread. `dropped` is what it comes to if nobody does.
pub(crate) fn deferred<'env, T>(
    env: &'env Env,
    dropped: fn() -> std::result::Result<T, Failure>,
) -> Result<(Object<'env>, Pending<T>)>
where
    T: napi::bindgen_prelude::ToNapiValue + Send + 'static,
{
    let (deferred, promise) = env.create_deferred().map_err(internal)?;
    Ok((promise, Pending { deferred: Some(deferred), dropped }))
}

/// A promise for what a future makes of the broker there is; `ended` is what it comes to without one, and if that ends first.
pub(crate) fn promise_on<'env, T, F>(
    env: &'env Env,
    ended: fn() -> std::result::Result<T, Failure>,
    task: impl FnOnce(Broker) -> F,
) -> Result<Object<'env>>
where
    T: napi::bindgen_prelude::ToNapiValue + Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    match global::broker().1 {
        Some(broker) => {
            let future = task(broker.clone());
            promise(env, &broker, ended, async move { Ok(future.await) })
        }
        None => settled(env, ended()),
    }
}

/// A promise that is settled already.
pub(crate) fn settled<'env, T>(env: &'env Env, outcome: std::result::Result<T, Failure>) -> Result<Object<'env>>
where
    T: napi::bindgen_prelude::ToNapiValue + 'static,
{
    let (deferred, promise) = env.create_deferred().map_err(internal)?;
    deferred.resolve(move |env: Env| outcome.map_err(|failure| raw::rejection(&env, &failure)));
    Ok(promise)
}

pub(crate) fn internal(error: napi::Error) -> napi::Error<&'static str> {
    Failure::internal("wsbroker", &error.reason).into()
}

/// Binds an address and reserves its paths, without accepting. The first call makes the broker.
///
/// Rejects with ERR_WSBROKER_INVALID_BIND, ERR_WSBROKER_BIND (`syscallCode` says why), ERR_WSBROKER_CONFLICT, ERR_WSBROKER_UNSUPPORTED or
/// ERR_WSBROKER_SHUT_DOWN.
#[napi(ts_return_type = "Promise<number>")]
pub fn listen(env: &Env, options: NativeListenOptions) -> Result<Object<'_>> {
    let process = process_options(&options.process);
    let bind = options.bind.clone();
    let begun = listener_config(options).and_then(|config| Ok((config, global::open(process)?)));
    let (config, opening) = match begun {
        Ok(begun) => begun,
        Err(failure) => return settled::<u32>(env, Err(failure)),
    };
    let broker = opening.broker.clone();
    let dropped = || Err(wsbroker_core::ListenError::ShuttingDown.into());
    promise(env, &broker, dropped, async move {
        let listener = opening.broker.listen(config).await?;
        opening.done(listener, bind).map_err(|_| wsbroker_core::ListenError::ShuttingDown.into())
    })
}

/// Takes connections from now on.
#[napi]
pub fn serve(listener: u32) -> Result<()> {
    global::started(listener).ok_or_else(|| Failure::no_listener("serve"))?.serve();
    Ok(())
}

/// Where it listens, with the port that the system chose.
#[napi]
pub fn listener_address(listener: u32) -> Result<NativeAddress> {
    let listener = global::listener(listener).ok_or_else(|| Failure::no_listener("listenerAddress"))?;
    Ok(NativeAddress { address: listener.address(), port: u32::from(listener.port()), url: listener.url() })
}

/// Takes no connections there any more, closes those it has with 1001, resolves when they are gone.
#[napi(ts_return_type = "Promise<void>")]
pub fn close_listener(env: &Env, listener: u32) -> Result<Object<'_>> {
    match (global::take_listener(listener), global::broker().1) {
        (Some(listener), Some(broker)) => promise(env, &broker, || Ok(()), async move {
            listener.close().await;
            Ok(())
        }),
        // Closed already, or gone with its broker.
        _ => settled(env, Ok(())),
    }
}

/// Replaces certificates and keys of the address. If they are no good it throws ERR_WSBROKER_TLS, and the old ones stay.
#[napi]
pub fn reload_tls(listener: u32, tls: NativeTls) -> Result<()> {
    const CALL: &str = "reloadTls";
    let listener = global::listener(listener).ok_or_else(|| Failure::no_listener(CALL))?;
    let config = tls::config(CALL, &tls)?;
    listener.reload_tls(config).map_err(|error| Failure::tls(format!("{CALL}: {error}")))?;
    Ok(())
}

/// Closes everything and ends the broker; `timeout` in milliseconds. Afterwards `listen` may make a new one.
#[napi(ts_return_type = "Promise<NativeShutdownReport>")]
pub fn shutdown_broker(env: &Env, code: u32, timeout: f64) -> Result<Object<'_>> {
    let code = u16::try_from(code).ok().and_then(CloseCode::new).unwrap_or(CloseCode::GOING_AWAY);
    // Also when another thread's shutdown was first.
    let nothing = || Ok(NativeShutdownReport { closed: 0.0, terminated: 0.0 });
    let (generation, broker) = global::broker();
    let Some(broker) = broker else { return settled(env, nothing()) };
    promise(env, &broker.clone(), nothing, async move {
        let done = broker.shutdown(code, milliseconds(timeout)).await;
        global::ended(generation);
        Ok(NativeShutdownReport { closed: done.closed as f64, terminated: done.terminated as f64 })
    })
}

/// What defaults are made from.
#[napi]
pub fn broker_defaults() -> NativeDefaults {
    let cpus = std::thread::available_parallelism().map_or(1, |cpus| u32::try_from(cpus.get()).unwrap_or(u32::MAX));
    NativeDefaults { memory: memory::available() as f64, cpus }
}

/// The options of the broker there is, for who follows them where he gives none; without handlers' where no `start` has set them. `started`: also those of a broker
/// that `start` has made.
#[napi]
pub fn process_options_now(started: bool) -> Option<NativeProcessOptions> {
    let options = global::options(started)?;
    let config = options.config;
    Some(NativeProcessOptions {
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
        concurrent: options.concurrent,
        handler_timeout: f64::from(options.handler_timeout),
    })
}

/// Workers that are attached in the whole process, by whichever thread.
#[napi]
pub fn worker_count() -> u32 {
    u32::try_from(global::worker_count()).unwrap_or(u32::MAX)
}
