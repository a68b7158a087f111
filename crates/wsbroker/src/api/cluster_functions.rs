//! What JavaScript calls for the bus: joining other instances, counting, emitters.

// napi-rs wants what it exports to be public, though nothing can reach it from Rust.
#![allow(unreachable_pub)]

use std::{future::Future, sync::Arc, time::Duration};

use napi::{
    Env, Status,
    bindgen_prelude::{Buffer, Either, Function, Object, ToNapiValue},
    threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode},
};
use napi_derive::napi;
use wsbroker_core::{
    Broker, BusEvent, BusEvents, BusListener, BusMessage, CloseCode, Compress, HistoryEpoch, HistoryPosition,
    MessageForm, MessageKind,
};
use wsbroker_redis::{ClusterConfig, EmitError, Emitter, PublishingScript, RedisConfig, RedisServers, RedisTls};

use crate::{
    api::{
        bus_history_functions::{NativeBusReceipt, NativePosition},
        option_values::milliseconds,
        options::{NativeHistoryRule, history_rule},
    },
    js::{
        js_error::{JsError, Result},
        promise::{internal, promise, promise_in, settled},
        raw::Copied,
    },
    process,
    worker::thread_cork,
};

/// A host and a port.
#[napi(object)]
pub struct NativeNode {
    /// A name or an address.
    pub host: String,
    /// 1 to 65535.
    pub port: u16,
}

/// TLS towards a Redis.
#[napi(object)]
pub struct NativeRedisTls {
    /// PEM.
    #[napi(ts_type = "Buffer")]
    pub ca: Option<Copied>,
    /// PEM; together with `key`.
    #[napi(ts_type = "Buffer")]
    pub cert: Option<Copied>,
    /// PEM.
    #[napi(ts_type = "Buffer")]
    pub key: Option<Copied>,
    /// The name that the server's certificate must be for. Absent: the host.
    pub servername: Option<String>,
    /// Whether the server's certificate is checked.
    pub reject_unauthorized: bool,
}

/// A Redis: by `url`, or by the other fields.
#[napi(object)]
pub struct NativeRedis {
    /// `redis://` or `rediss://`.
    pub url: Option<String>,
    /// A single server, nodes of a Cluster, or Sentinels.
    pub nodes: Vec<NativeNode>,
    /// What the nodes are.
    #[napi(ts_type = "'single' | 'cluster' | 'sentinel'")]
    pub kind: String,
    /// The name of the primary that the Sentinels watch.
    pub name: Option<String>,
    /// For AUTH.
    pub username: Option<String>,
    /// For AUTH.
    pub password: Option<String>,
    /// The database.
    pub db: Option<u32>,
    /// Milliseconds.
    pub connect_timeout: Option<f64>,
    /// Encryption.
    pub tls: Option<NativeRedisTls>,
}

/// How to join a bus.
#[napi(object)]
pub struct NativeCluster {
    /// The Redis.
    pub redis: NativeRedis,
    /// The start of all names on the bus.
    pub prefix: String,
    /// The name of this instance.
    pub instance_id: Option<String>,
    /// Bytes that may wait to be published.
    pub max_outgoing: f64,
}

/// What the bus reports.
#[napi(object)]
pub struct NativeBusEvent {
    /// Which kind.
    #[napi(ts_type = "'ready' | 'lost' | 'gap' | 'gaps' | 'warning'")]
    pub state: String,
    /// Of a gap: its channel. Absent if messages of this instance did not leave.
    pub channel: Option<Either<String, Buffer>>,
    /// Of a gap or gaps: how many messages are missing.
    pub missed: Option<f64>,
    /// Of gaps: the number of channels.
    pub count: Option<f64>,
    /// Of gaps: the channels whose names were kept.
    pub channels: Option<Vec<Either<String, Buffer>>>,
    /// Of a loss or a warning: why.
    pub reason: Option<String>,
}

/// Subscribers on all instances.
#[napi(object)]
pub struct NativeClusterCount {
    /// On the instances that have answered.
    pub count: f64,
    /// The names of the others.
    pub missing: Vec<String>,
}

type Wake = ThreadsafeFunction<(), (), Vec<NativeBusEvent>, Status, false, true>;

fn config(call: &str, options: NativeCluster) -> std::result::Result<ClusterConfig, JsError> {
    let NativeCluster { redis, prefix, instance_id, max_outgoing } = options;
    let redis = redis_config(call, redis)?;
    Ok(ClusterConfig { prefix, instance_id, max_outgoing: max_outgoing as usize, ..ClusterConfig::new(redis) })
}

/// The settings of a Redis.
pub(crate) fn redis_config(call: &str, redis: NativeRedis) -> std::result::Result<RedisConfig, JsError> {
    let mut config = match &redis.url {
        Some(url) => RedisConfig::from_url(url).map_err(|_| JsError::unreadable_url(call))?,
        None => {
            let mut nodes: Vec<(String, u16)> =
                redis.nodes.into_iter().map(|NativeNode { host, port }| (host, port)).collect();
            let servers = match redis.kind.as_str() {
                "cluster" => RedisServers::Cluster(nodes),
                "sentinel" => RedisServers::Sentinel(nodes, redis.name.unwrap_or_default()),
                _ => {
                    let (host, port) = nodes.pop().unwrap_or(("127.0.0.1".into(), 6379));
                    RedisServers::Single(host, port)
                }
            };
            RedisConfig::new(servers)
        }
    };
    if redis.username.is_some() {
        config.username = redis.username;
    }
    if redis.password.is_some() {
        config.password = redis.password;
    }
    if let Some(db) = redis.db {
        config.db = i64::from(db);
    }
    if let Some(limit) = redis.connect_timeout {
        config.connect_timeout = milliseconds(limit);
    }
    if let Some(tls) = redis.tls {
        let identity = tls.cert.zip(tls.key).map(|(cert, key)| (cert.to_vec(), key.to_vec()));
        config.tls = Some(RedisTls {
            ca: tls.ca.map(|ca| ca.to_vec()),
            identity,
            accept_any: !tls.reject_unauthorized,
            server_name: tls.servername,
        });
    }
    Ok(config)
}

/// `None` for an event that a newer core may have: it has no name in JavaScript.
fn event(event: BusEvent) -> Option<NativeBusEvent> {
    let plain = |state: &str| NativeBusEvent {
        state: state.into(),
        channel: None,
        missed: None,
        count: None,
        channels: None,
        reason: None,
    };
    Some(match event {
        BusEvent::Ready => plain("ready"),
        BusEvent::Lost { reason } => NativeBusEvent { reason: Some(reason), ..plain("lost") },
        BusEvent::Warning { reason } => NativeBusEvent { reason: Some(reason), ..plain("warning") },
        BusEvent::Gap { channel, missed } => {
            NativeBusEvent { channel: Some(name(&channel)), missed: Some(missed as f64), ..plain("gap") }
        }
        BusEvent::Gaps { count, missed, channels } => NativeBusEvent {
            count: Some(count as f64),
            missed: Some(missed as f64),
            channels: Some(channels.iter().map(|channel| name(channel)).collect()),
            ..plain("gaps")
        },
        BusEvent::Dropped { messages } => NativeBusEvent { missed: Some(messages as f64), ..plain("gap") },
        _ => return None,
    })
}

/// A name as text if it is UTF-8, as bytes otherwise.
fn name(channel: &[u8]) -> Either<String, Buffer> {
    match std::str::from_utf8(channel) {
        Ok(text) => Either::A(text.to_owned()),
        Err(_) => Either::B(channel.to_vec().into()),
    }
}

/// A listener that gathers events for JavaScript's thread, which may be busy for a long time.
fn listener(callback: Function<'_, Vec<NativeBusEvent>, ()>) -> Result<BusListener> {
    let events = Arc::new(BusEvents::default());
    let waiting = Arc::clone(&events);
    let take = move |_| Ok(waiting.take().into_iter().filter_map(event).collect());
    let wake: Wake = callback.build_threadsafe_function().weak::<true>().build_callback(take).map_err(internal)?;
    Ok(Arc::new(move |happened| {
        if events.push(happened) {
            // It fails when the thread has ended, which is all right.
            let _ = wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
        }
    }))
}

/// Joins the other instances: at once, or as soon as there is a broker.
///
/// Throws ERR_WSBROKER_CONFLICT when the process has joined already.
#[napi]
pub fn join_cluster(options: NativeCluster, on_events: Function<'_, Vec<NativeBusEvent>, ()>) -> Result<()> {
    let config = config("joinCluster", options)?;
    Ok(process::join_cluster(config, listener(on_events)?)?)
}

/// Takes a [`join_cluster`] back, unless a broker in use has joined. False when the process stays
/// joined.
#[napi(ts_return_type = "Promise<boolean>")]
pub fn leave_cluster(env: &Env) -> Result<Object<'_>> {
    match process::leave_cluster() {
        (left, None) => settled(env, Ok(left)),
        (_, Some(broker)) => promise(env, &broker.clone(), || Ok(true), async move {
            broker.shutdown(CloseCode::GOING_AWAY, Duration::ZERO).await;
            Ok(true)
        }),
    }
}

/// From now on the process counts as not ready while its bus is lost. Does nothing without a bus.
#[napi]
pub fn require_cluster() {
    if let Some((_, bus)) = process::joined_bus() {
        bus.require();
    }
}

/// Replaces the settings of Redis. Rejects with ERR_WSBROKER_BUS_LOST when Redis cannot be reached
/// with them; then the old ones stay.
#[napi(ts_return_type = "Promise<void>")]
pub fn reload_cluster(env: &Env, redis: NativeRedis) -> Result<Object<'_>> {
    const CALL: &str = "reloadBus";
    let redis = redis_config(CALL, redis)?;
    let Some((broker, bus)) = process::joined_bus() else {
        return settled::<()>(env, Err(JsError::not_joined(CALL)));
    };
    promise(env, &broker, || Err(JsError::shut_down(CALL)), async move {
        bus.reload(redis.clone()).await.map_err(|error| JsError::bus_lost(CALL, &error))?;
        process::reload_cluster(redis);
        Ok(())
    })
}

/// A promise for the outcome of a future with the process's broker. `ended` is the outcome if there
/// is none, or if it ends first.
fn promise_on<'env, T, F>(
    env: &'env Env,
    ended: fn() -> std::result::Result<T, JsError>,
    task: impl FnOnce(Broker) -> F,
) -> Result<Object<'env>>
where
    T: ToNapiValue + Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    match process::broker().1 {
        Some(broker) => {
            let future = task(broker.clone());
            promise(env, &broker, ended, async move { Ok(future.await) })
        }
        None => settled(env, ended()),
    }
}

/// Resolves when the bus is ready; false when there is none any more.
#[napi(ts_return_type = "Promise<boolean>")]
pub fn cluster_ready(env: &Env) -> Result<Object<'_>> {
    promise_on(env, || Ok(false), |broker| async move { broker.cluster_ready().await })
}

/// Resolves when what other instances publish to the channel arrives here. False when there is no
/// bus, or it ends first.
#[napi(ts_return_type = "Promise<boolean>")]
pub fn listening(env: &Env, #[napi(ts_arg_type = "Buffer")] channel: Copied) -> Result<Object<'_>> {
    let channel = channel.to_vec();
    promise_on(env, || Ok(false), |broker| async move { broker.listening(&channel).await })
}

/// Counts subscribers on the instances that answer within `limit` milliseconds.
#[napi(ts_return_type = "Promise<NativeClusterCount>")]
pub fn cluster_count(env: &Env, #[napi(ts_arg_type = "Buffer")] channel: Copied, limit: f64) -> Result<Object<'_>> {
    let channel = channel.to_vec();
    let limit = milliseconds(limit);
    let ended = || Ok(NativeClusterCount { count: 0.0, missing: Vec::new() });
    promise_on(env, ended, move |broker| async move {
        let counted = broker.cluster_count(&channel, limit).await;
        NativeClusterCount { count: counted.count as f64, missing: counted.missing }
    })
}

/// Closes the channel's subscribers on all instances. Returns how many there are here.
#[napi]
pub fn close_channel_everywhere(#[napi(ts_arg_type = "Buffer")] channel: Copied, code: u32, reason: String) -> u32 {
    let code = u16::try_from(code).ok().and_then(CloseCode::new).unwrap_or(CloseCode::NORMAL);
    let count = thread_cork::with(|_, cork| {
        let count = cork.close_channel_everywhere(&channel, code, &reason);
        cork.flush();
        count
    });
    u32::try_from(count.unwrap_or(0)).unwrap_or(u32::MAX)
}

/// Publishes from a process without sockets.
#[napi]
pub struct NativeEmitter(Option<Emitter>);

#[napi]
impl NativeEmitter {
    /// Connects in the background. `history`: of the channels that have one.
    #[napi(constructor)]
    pub fn new(
        options: NativeCluster,
        history: Vec<NativeHistoryRule>,
        on_events: Function<'_, Vec<NativeBusEvent>, ()>,
    ) -> Result<Self> {
        let config = config("Emitter", options)?;
        let rules = history.iter().map(history_rule).collect();
        let emitter = Emitter::new(config, rules, listener(on_events)?);
        Ok(Self(Some(emitter.map_err(|error| JsError::from(wsbroker_core::StartError::from(error)))?)))
    }

    /// Whether a channel has a history.
    #[napi]
    pub fn has_history(&self, #[napi(ts_arg_type = "Buffer")] channel: Copied) -> bool {
        self.0.as_ref().is_some_and(|emitter| emitter.has_history(&channel))
    }

    /// Resolves when Redis has the message. Waits for the bus for at most `limit` milliseconds.
    /// Rejects with ERR_WSBROKER_BUS_LOST, or for a channel with history resolves with why.
    #[napi(ts_return_type = "Promise<NativeBusReceipt | null>")]
    pub fn publish<'env>(
        &self,
        env: &'env Env,
        #[napi(ts_arg_type = "Buffer")] channel: Copied,
        #[napi(ts_arg_type = "string | Buffer")] data: Either<String, Copied>,
        id: Option<String>,
        limit: f64,
    ) -> Result<Object<'env>> {
        let (kind, payload) = payload(data);
        let channel = channel.to_vec();
        let limit = milliseconds(limit);
        let Some((emitter, runtime)) = self.0.clone().and_then(|emitter| emitter.runtime().map(|own| (emitter, own)))
        else {
            return settled::<()>(env, Err(JsError::shut_down("publish")));
        };
        promise_in(env, &runtime, || Err(JsError::shut_down("publish")), async move {
            let lost = |error: EmitError| JsError::bus_lost("publish", &error);
            match emitter.publish_numbered(&channel, kind, &payload, id.as_deref().map(str::as_bytes), limit).await {
                Some(Ok(receipt)) => Ok(Some(NativeBusReceipt::stored(receipt.position, receipt.duplicate))),
                Some(Err(EmitError::Unnumbered(failure))) => Ok(Some(NativeBusReceipt::failed(failure))),
                Some(Err(error)) => Err(lost(error)),
                None => emitter.publish(&channel, kind, &payload, limit).await.map(|()| None).map_err(lost),
            }
        })
    }

    /// Publishes what waits, and ends.
    #[napi]
    pub fn close(&mut self) {
        self.0 = None;
    }
}

fn payload(data: Either<String, Copied>) -> (MessageKind, Vec<u8>) {
    match data {
        Either::A(text) => (MessageKind::Text, text.into_bytes()),
        Either::B(bytes) => (MessageKind::Binary, bytes.to_vec()),
    }
}

/// Makes the calls by which a Redis client of the application publishes to channels with history.
#[napi]
pub struct NativePublishingScript(PublishingScript);

/// What such a client has to run.
#[napi(object)]
pub struct NativeScriptCall {
    /// The keys.
    #[napi(ts_type = "Buffer[]")]
    pub keys: Vec<Buffer>,
    /// The arguments behind them.
    #[napi(ts_type = "Buffer[]")]
    pub arguments: Vec<Buffer>,
}

#[napi]
impl NativePublishingScript {
    /// The settings of the instances.
    #[napi(constructor)]
    #[allow(clippy::needless_pass_by_value, reason = "napi gives it away")]
    pub fn new(prefix: String, history: Vec<NativeHistoryRule>) -> Self {
        Self(PublishingScript::new(prefix, history.iter().map(history_rule).collect()))
    }

    /// Lua. It answers with the epoch, the offset and, for a duplicate, `1`.
    #[napi(getter)]
    pub fn text(&self) -> &'static str {
        PublishingScript::TEXT
    }

    /// Whether a channel has a history.
    #[napi]
    pub fn has_history(&self, #[napi(ts_arg_type = "Buffer")] channel: Copied) -> bool {
        self.0.has_history(&channel)
    }

    /// The call for a message; null for a channel without history. `known`: the newest position of
    /// the channel.
    #[napi]
    pub fn publish(
        &self,
        #[napi(ts_arg_type = "Buffer")] channel: Copied,
        #[napi(ts_arg_type = "string | Buffer")] data: Either<String, Copied>,
        id: Option<String>,
        known: Option<NativePosition>,
        cluster: bool,
    ) -> Option<NativeScriptCall> {
        let (kind, payload) = payload(data);
        let message = BusMessage {
            channel: &channel,
            form: MessageForm { kind, compress: Compress::Auto },
            payload: &payload,
            exclude: &[],
            id: id.as_deref().map(str::as_bytes),
        };
        let known = known.map(|NativePosition { offset, epoch }| HistoryPosition {
            offset: offset as u64,
            epoch: HistoryEpoch::parse(&epoch),
        });
        let call = self.0.publish(&message, known, cluster)?;
        let buffers = |all: Vec<Vec<u8>>| all.into_iter().map(Buffer::from).collect();
        Some(NativeScriptCall { keys: buffers(call.keys), arguments: buffers(call.arguments) })
    }
}
