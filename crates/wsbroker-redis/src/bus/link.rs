//! Redis as the bus needs it: one connection to publish and one to listen. On a Cluster the client
//! keeps one of each per primary.

use std::{sync::Arc, time::Duration};

use futures_util::future::try_join_all;
use redis::{
    AsyncConnectionConfig, Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, Pipeline, ProtocolVersion,
    PushInfo, PushKind, RedisConnectionInfo, RedisError, TlsMode, Value,
    cluster::{ClusterClient, ClusterClientBuilder},
    cluster_async::ClusterConnection,
    cluster_routing::{MultipleNodeRoutingInfo, ResponsePolicy, RoutingInfo},
};
use rustc_hash::FxHashMap;
use tokio::time::timeout;

use super::{
    pipeline::PublishPipeline,
    publish_queue::{AddressedEnvelope, ChannelKey, Refused},
};
use crate::server::{
    RedisConfig, RedisServers,
    cluster_node::{ClusterNode, NodeSettings},
    dial::{ServerConnection, address, open, sentinel},
    liveness::{Liveness, Unresponsive},
    node_traffic::NodeTraffic,
    printable::clean,
    role::{self, RoleError, RoleQuery},
    sentinels::ServerAddress,
};

/// Commands under way to one primary of a Cluster. A connection's queue in redis-rs takes 50, and
/// redis-rs refreshes the slots through the same queue while everything else stands still. A
/// command that waits for room in the queue then would wait for ever.
const UNDER_WAY: usize = 40;

/// Takes what a link receives. Called on the connection's own task.
pub(super) trait BusHandler: Send + Sync + 'static {
    /// Something was published to this name on the bus.
    fn message(&self, channel: &[u8], payload: &[u8]);
    /// A Cluster has confirmed a subscription.
    fn subscribed(&self, channel: &[u8]);
    /// A Cluster has ended a subscription: because it was asked to, or by itself, when the channel
    /// has moved to another primary.
    fn unsubscribed(&self, channel: &[u8]);
    /// A connection is gone. More calls may follow.
    fn disconnected(&self);
}

/// The connections of the bus.
pub(super) struct Link {
    publisher: Publisher,
    listener: RedisConnection,
    /// Runs the script of the histories, if there are some.
    scripts: Option<RedisConnection>,
    /// The primary that the Sentinels have named.
    address: Option<ServerAddress>,
    /// For the nodes of a Cluster that are still to come.
    _settings: Option<NodeSettings>,
}

/// Whether channels are subscribed to or unsubscribed from.
#[derive(Clone, Copy)]
pub(super) enum Listen {
    Begin,
    End,
}

/// The connection that publishes.
#[derive(Clone)]
enum Publisher {
    Pipeline(Arc<PublishPipeline>),
    Client(RedisConnection),
}

#[derive(Clone)]
enum RedisConnection {
    /// With the question that tells whether it is a primary.
    Server(ServerConnection, RoleQuery),
    Cluster(ClusterConnection<ClusterNode>, Arc<NodeTraffic>),
}

/// Why a link could not be made, or ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error(transparent)]
    Silent(#[from] Unresponsive),
    #[error(transparent)]
    Redis(#[from] RedisError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Role(#[from] RoleError),
    #[error("Redis did not confirm the subscription of a channel")]
    Unconfirmed,
    #[error("the Cluster counts {counted} subscriptions of ours instead of {ours}")]
    Miscounted { counted: usize, ours: usize },
    #[error("the Cluster did not say how many subscriptions are ours")]
    Uncounted,
}

impl Link {
    /// Opens both connections, within the connect timeout.
    /// With `scripts` a third one, that runs the script of the histories; a Cluster's client is for
    /// both.
    pub(super) async fn connect(
        config: &RedisConfig,
        listener: Arc<dyn BusHandler>,
        scripts: bool,
    ) -> Result<Self, LinkError> {
        let limit = config.connect_timeout;
        let connecting = async {
            let push = move |info: PushInfo| -> Result<(), std::convert::Infallible> {
                take_push(&*listener, info);
                Ok(())
            };
            match &config.servers {
                RedisServers::Cluster(nodes) => {
                    let settings = NodeSettings::new(config);
                    let plain = cluster(config, nodes, &settings)?.build()?;
                    let with_push = cluster(config, nodes, &settings)?.push_sender(push).build()?;
                    let (publisher, listener) = tokio::try_join!(
                        plain.get_async_generic_connection(),
                        with_push.get_async_generic_connection()
                    )?;
                    let publisher = RedisConnection::Cluster(publisher, Arc::clone(settings.traffic()));
                    Ok(Self {
                        scripts: scripts.then(|| publisher.clone()),
                        publisher: Publisher::Client(publisher),
                        listener: RedisConnection::Cluster(listener, Arc::clone(settings.traffic())),
                        address: None,
                        _settings: Some(settings),
                    })
                }
                servers => {
                    let address = match servers {
                        RedisServers::Sentinel(sentinels, name) => {
                            let primary = sentinel(config, sentinels, name)?.async_get_client().await?;
                            primary.get_connection_info().addr().clone()
                        }
                        RedisServers::Unix(path) => ConnectionAddr::Unix(path.clone()),
                        RedisServers::Single(host, port) => address(config, host, *port),
                        RedisServers::Cluster(_) => return Err(no_servers().into()),
                    };
                    // Every wait has a limit of its own.
                    let plain = AsyncConnectionConfig::new().set_response_timeout(None);
                    let with_push = plain.clone().set_push_sender(push);
                    // The listener first: its errors say more.
                    let listener = node(config, &address, with_push).await?;
                    let publisher = match pipeline(config, &address).await? {
                        Some(pipeline) => Publisher::Pipeline(Arc::new(pipeline)),
                        None => Publisher::Client(node(config, &address, plain.clone()).await?),
                    };
                    let scripts = if scripts { Some(node(config, &address, plain).await?) } else { None };
                    let address = match (servers, address) {
                        (
                            RedisServers::Sentinel(..),
                            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. },
                        ) => Some((host, port)),
                        _ => None,
                    };
                    Ok(Self { publisher, listener, scripts, address, _settings: None })
                }
            }
        };
        match timeout(limit, connecting).await {
            Ok(outcome) => outcome,
            Err(_) => Err(LinkError::Timeout(limit)),
        }
    }

    /// The primary that the Sentinels have named.
    pub(super) const fn address(&self) -> Option<&ServerAddress> {
        self.address.as_ref()
    }

    /// The pipeline, if that publishes: any thread may use it.
    pub(super) fn pipeline(&self) -> Option<&Arc<PublishPipeline>> {
        match &self.publisher {
            Publisher::Pipeline(pipeline) => Some(pipeline),
            Publisher::Client(_) => None,
        }
    }

    /// What runs the script of the histories, once Redis has it. `None` where there are none.
    pub(super) async fn scripts(&self, limit: Duration) -> Result<Option<ScriptLink>, LinkError> {
        let Some(connection) = &self.scripts else { return Ok(None) };
        let sha = load_script(connection, limit).await?;
        Ok(Some(ScriptLink { connection: connection.clone(), sha: sha.into() }))
    }

    /// Publishes all of them, each channel's in order. No channel waits for the answer to
    /// another's. Returns what Redis refused. On a Cluster this fails when nothing has moved for
    /// `limit`, since its client can lose an answer and still answer pings. Elsewhere a ping is
    /// answered after all that was published.
    pub(super) fn publish(
        &self,
        prefix: &[u8],
        envelopes: Vec<AddressedEnvelope>,
        limit: Duration,
    ) -> impl Future<Output = Result<Refused, LinkError>> + Send + use<> {
        let publisher = self.publisher.clone();
        let on_bus = |envelope: &AddressedEnvelope| {
            if envelope.is_instance_message { envelope.channel.to_vec() } else { [prefix, &envelope.channel].concat() }
        };
        let envelopes: Vec<(Vec<u8>, AddressedEnvelope)> =
            envelopes.into_iter().map(|envelope| (on_bus(&envelope), envelope)).collect();
        async move {
            match publisher {
                // The pipeline takes what waits by itself.
                Publisher::Pipeline(_) => Ok(Refused::default()),
                Publisher::Client(RedisConnection::Server(mut node, _)) => {
                    let mut pipeline = Pipeline::with_capacity(envelopes.len());
                    for (name, envelope) in &envelopes {
                        pipeline.cmd("PUBLISH").arg(name).arg(&envelope.bytes[..]);
                    }
                    let answers = node.redis.send_packed_commands(&pipeline, 0, envelopes.len()).await?;
                    let mut refused = Refused::default();
                    for (answer, (_, envelope)) in answers.into_iter().zip(envelopes) {
                        refused.add(settle(envelope, answer.extract_error()));
                    }
                    Ok(refused)
                }
                Publisher::Client(RedisConnection::Cluster(cluster, traffic)) => {
                    let mut channels: FxHashMap<Vec<u8>, Vec<AddressedEnvelope>> = FxHashMap::default();
                    for (name, envelope) in envelopes {
                        channels.entry(name).or_default().push(envelope);
                    }
                    let channels = channels.into_iter();
                    let refused =
                        try_join_all(channels.map(|(name, envelopes)| spublish(cluster.clone(), name, envelopes)));
                    let refused = traffic.within(limit, refused).await??;
                    Ok(refused.into_iter().fold(Refused::default(), |mut all, one| {
                        all.add(one);
                        all
                    }))
                }
            }
        }
    }

    /// How many calls of [`publish`](Self::publish) may be under way at once without one overtaking
    /// the other.
    pub(super) fn under_way(&self) -> usize {
        match self.publisher {
            // On one connection, what is written first arrives first. While one call is answered,
            // the next one gathers.
            Publisher::Pipeline(_) | Publisher::Client(RedisConnection::Server(..)) => 2,
            // A command may be sent again, to another primary.
            Publisher::Client(RedisConnection::Cluster(..)) => 1,
        }
    }

    /// Whether this is a Cluster, where only [`BusHandler::subscribed`] confirms a channel. Its
    /// client may take one answer for another: when a channel moves to another primary, the server
    /// sends the answer to an unsubscription that nobody asked for.
    pub(super) fn is_cluster(&self) -> bool {
        matches!(self.listener, RedisConnection::Cluster(..))
    }

    /// Subscribes to these channels, or unsubscribes from them. When it resolves, what is published
    /// there arrives, or does no longer.
    pub(super) fn listen(
        &self,
        change: Listen,
        channels: Vec<Vec<u8>>,
        limit: Duration,
    ) -> impl Future<Output = Result<(), LinkError>> + Send + use<> {
        let (listener, movement) = (self.listener.clone(), self.listener.movement());
        let changing = async move {
            match listener {
                RedisConnection::Server(mut node, _) => match change {
                    Listen::Begin => node.redis.subscribe(&channels).await?,
                    Listen::End => node.redis.unsubscribe(&channels).await?,
                },
                RedisConnection::Cluster(cluster, _) => {
                    // A command goes to one primary, and these may belong to several. None waits
                    // for the one before.
                    let one = |channel| {
                        let mut cluster = cluster.clone();
                        async move {
                            match change {
                                Listen::Begin => cluster.ssubscribe(channel).await,
                                Listen::End => cluster.sunsubscribe(channel).await,
                            }
                        }
                    };
                    try_join_all(channels.iter().map(one)).await?;
                }
            }
            Ok(())
        };
        async move { movement.within(limit, changing).await }
    }

    /// How many channels the primaries of a Cluster say we are subscribed to: its client can lose a
    /// connection or an answer without saying so. `None` where they cannot be asked: a single
    /// server, a Redis before 7.0.3, or a user without the right to ask.
    pub(super) fn count(
        &self,
        limit: Duration,
    ) -> impl Future<Output = Result<Option<usize>, LinkError>> + Send + use<> {
        let listener = self.listener.clone();
        async move {
            let RedisConnection::Cluster(mut cluster, traffic) = listener else { return Ok(None) };
            let mut command = redis::cmd("CLIENT");
            command.arg("INFO");
            let everywhere =
                RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, Some(ResponsePolicy::Special)));
            subscriptions(traffic.within(limit, cluster.route_command(command, everywhere)).await??)
        }
    }

    /// Whether the publishing connection is known to lead to a primary.
    pub(super) fn knows_role(&self) -> bool {
        let publisher = match &self.publisher {
            Publisher::Pipeline(pipeline) => pipeline.role_query(),
            Publisher::Client(RedisConnection::Server(_, role_query)) => *role_query,
            // Any node of a Cluster passes a publish on to all listeners.
            Publisher::Client(RedisConnection::Cluster(..)) => return true,
        };
        publisher != RoleQuery::Ping
    }

    /// Resolves when both connections have answered. Fails when a server says that it is a replica.
    pub(super) fn ping(&self, limit: Duration) -> impl Future<Output = Result<(), LinkError>> + Send + use<> {
        let (publisher, listener) = (self.publisher.clone(), self.listener.clone());
        async move {
            let publisher = async {
                match publisher {
                    Publisher::Pipeline(pipeline) => {
                        let ping = pipeline.ping();
                        Ok(pipeline.liveness().within(limit, ping).await?)
                    }
                    Publisher::Client(connection) => ping(connection, limit).await,
                }
            };
            tokio::try_join!(publisher, ping(listener, limit)).map(drop)
        }
    }
}

/// The script that stores and publishes.
pub(super) const SCRIPT: &str = include_str!("history/history.lua");

/// Runs the script of the histories.
#[derive(Clone)]
pub(super) struct ScriptLink {
    connection: RedisConnection,
    sha: Arc<str>,
}

/// Gives every primary the script. Returns its digest.
async fn load_script(connection: &RedisConnection, limit: Duration) -> Result<String, LinkError> {
    let mut load = redis::cmd("SCRIPT");
    load.arg("LOAD").arg(SCRIPT);
    let loading = async {
        Ok(match connection.clone() {
            RedisConnection::Server(mut node, _) => load.query_async::<String>(&mut node.redis).await?,
            RedisConnection::Cluster(mut cluster, _) => {
                let everywhere = (MultipleNodeRoutingInfo::AllMasters, Some(ResponsePolicy::AllSucceeded));
                let value = cluster.route_command(load, RoutingInfo::MultiNode(everywhere)).await?;
                redis::from_redis_value::<String>(value).map_err(RedisError::from)?
            }
        })
    };
    connection.movement().within(limit, loading).await
}

impl ScriptLink {
    /// Gives Redis the script again, where it was flushed.
    pub(super) async fn load(&self, limit: Duration) -> Result<(), LinkError> {
        load_script(&self.connection, limit).await.map(drop)
    }

    /// A call of the script.
    pub(super) fn call<'a>(&self, keys: &[Vec<u8>], arguments: impl IntoIterator<Item = &'a [u8]>) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        command.arg(&*self.sha).arg(keys.len());
        for key in keys {
            command.arg(&key[..]);
        }
        for argument in arguments {
            command.arg(argument);
        }
        command
    }

    /// The command that publishes to a channel.
    pub(super) fn publish_command(&self) -> &'static str {
        match self.connection {
            RedisConnection::Server(..) => "PUBLISH",
            RedisConnection::Cluster(..) => "SPUBLISH",
        }
    }

    /// The answer to one command, within this time or as long as something moves.
    pub(super) async fn run(&self, command: &Cmd, limit: Duration) -> Result<Value, LinkError> {
        let running = async {
            Ok(match self.connection.clone() {
                RedisConnection::Server(mut node, _) => command.query_async::<Value>(&mut node.redis).await?,
                RedisConnection::Cluster(mut cluster, _) => command.query_async::<Value>(&mut cluster).await?,
            })
        };
        self.connection.movement().within(limit, running).await
    }

    /// The answers to these commands. Those of one channel are executed in their order; what Redis
    /// refuses is an answer, too.
    pub(super) async fn run_all(
        &self,
        commands: Vec<(ChannelKey, Cmd)>,
        limit: Duration,
    ) -> Result<Vec<Result<Value, RedisError>>, LinkError> {
        let running = async {
            match self.connection.clone() {
                RedisConnection::Server(mut node, _) => {
                    let mut pipeline = Pipeline::with_capacity(commands.len());
                    let count = commands.len();
                    for (_, command) in commands {
                        pipeline.add_command(command);
                    }
                    let answers = node.redis.send_packed_commands(&pipeline, 0, count).await?;
                    Ok(answers.into_iter().map(Value::extract_error).collect())
                }
                RedisConnection::Cluster(cluster, _) => {
                    let mut channels: FxHashMap<ChannelKey, Vec<(usize, Cmd)>> = FxHashMap::default();
                    let count = commands.len();
                    for (index, (channel, command)) in commands.into_iter().enumerate() {
                        channels.entry(channel).or_default().push((index, command));
                    }
                    let each = channels.into_values().map(|commands| {
                        let mut cluster = cluster.clone();
                        async move {
                            let mut answers = Vec::with_capacity(commands.len());
                            for (index, command) in commands {
                                match command.query_async::<Value>(&mut cluster).await {
                                    Err(error) if error.is_unrecoverable_error() || error.is_io_error() => {
                                        return Err(LinkError::from(error));
                                    }
                                    answer => answers.push((index, answer)),
                                }
                            }
                            Ok(answers)
                        }
                    });
                    let mut answers: Vec<_> = try_join_all(each).await?.into_iter().flatten().collect();
                    answers.sort_unstable_by_key(|(index, _)| *index);
                    debug_assert_eq!(answers.len(), count);
                    Ok(answers.into_iter().map(|(_, answer)| answer).collect())
                }
            }
        };
        self.connection.movement().within(limit, running).await
    }
}

impl RedisConnection {
    fn movement(&self) -> Movement {
        match self {
            Self::Server(node, _) => Movement::Server(Arc::clone(&node.liveness)),
            Self::Cluster(_, traffic) => Movement::Cluster(Arc::clone(traffic)),
        }
    }
}

/// What puts the deadline of an answer off.
enum Movement {
    Server(Arc<Liveness>),
    Cluster(Arc<NodeTraffic>),
}

impl Movement {
    /// The outcome of `task`. Fails when nothing that it waits for moves for this long.
    async fn within<T>(
        &self,
        limit: Duration,
        task: impl Future<Output = Result<T, LinkError>>,
    ) -> Result<T, LinkError> {
        match self {
            Self::Server(liveness) => liveness.within(limit, task).await?,
            Self::Cluster(traffic) => traffic.within(limit, task).await?,
        }
    }
}

/// A pipeline, to a single server without TLS.
async fn pipeline(config: &RedisConfig, address: &ConnectionAddr) -> Result<Option<PublishPipeline>, LinkError> {
    let login = config.password.as_deref().map(|password| (config.username.as_deref().unwrap_or(""), password));
    Ok(match address {
        ConnectionAddr::Tcp(host, port) => Some(PublishPipeline::connect_tcp(host, *port, login).await?),
        #[cfg(unix)]
        ConnectionAddr::Unix(path) => Some(PublishPipeline::connect_unix(path, login).await?),
        _ => None,
    })
}

/// Publishes the envelopes of one channel one after the other, so that they keep their order.
/// Returns what Redis refused.
async fn spublish(
    mut cluster: ClusterConnection<ClusterNode>,
    name: Vec<u8>,
    envelopes: Vec<AddressedEnvelope>,
) -> Result<Refused, RedisError> {
    let mut refused = Refused::default();
    for envelope in envelopes {
        let mut command = Cmd::new();
        command.arg("SPUBLISH").arg(&name).arg(&envelope.bytes[..]);
        match command.query_async::<Value>(&mut cluster).await {
            Err(error) if error.is_unrecoverable_error() || error.is_io_error() => return Err(error),
            answer => refused.add(settle(envelope, answer)),
        }
    }
    Ok(refused)
}

/// Reports the outcome to the waiters. Returns what was refused.
fn settle(envelope: AddressedEnvelope, answer: Result<Value, RedisError>) -> Refused {
    let reason = answer.err().map(|error| clean(&error.to_string()));
    for waiter in envelope.waiters {
        // The waiter may have given up.
        let _ = waiter.send(reason.clone().map_or(Ok(()), Err));
    }
    Refused { messages: if reason.is_some() { envelope.messages } else { 0 }, reason }
}

/// A connection to one server, which is a primary.
async fn node(
    config: &RedisConfig,
    address: &ConnectionAddr,
    options: AsyncConnectionConfig,
) -> Result<RedisConnection, LinkError> {
    let mut node = open(config, address, None, options).await?;
    let role_query = role::find(&mut node.redis).await?;
    Ok(RedisConnection::Server(node, role_query))
}

async fn ping(connection: RedisConnection, limit: Duration) -> Result<(), LinkError> {
    let movement = connection.movement();
    let ping = async {
        match connection {
            RedisConnection::Server(mut node, role_query) => {
                Ok(role::ask(&mut node.redis, role_query).await.map(drop)?)
            }
            // It goes to every primary.
            RedisConnection::Cluster(mut cluster, _) => Ok(redis::cmd("PING").query_async(&mut cluster).await?),
        }
    };
    movement.within(limit, ping).await
}

/// The sum of the subscriptions in the answers of all primaries to CLIENT INFO.
fn subscriptions(answers: Value) -> Result<Option<usize>, LinkError> {
    let Value::Map(answers) = answers else { return Err(LinkError::Uncounted) };
    let mut sum = 0;
    for (_, answer) in answers {
        match answer {
            Value::ServerError(error) if matches!(error.code(), "NOPERM" | "ERR") => return Ok(None),
            // It may be another answer, such as the end of a subscription.
            answer => {
                let Ok(line) = redis::from_redis_value::<String>(answer) else { return Err(LinkError::Uncounted) };
                let mut fields = line.split_ascii_whitespace().filter_map(|field| field.split_once('='));
                if !fields.clone().any(|(name, _)| name == "id") {
                    return Err(LinkError::Uncounted);
                }
                let Some((_, count)) = fields.find(|(name, _)| *name == "ssub") else { return Ok(None) };
                sum += count.parse::<usize>().map_err(|_| LinkError::Uncounted)?;
            }
        }
    }
    Ok(Some(sum))
}

fn take_push(listener: &dyn BusHandler, info: PushInfo) {
    match (info.kind, info.data.as_slice()) {
        (PushKind::Message | PushKind::SMessage, [channel, payload]) => {
            if let (Some(channel), Some(payload)) = (bytes(channel), bytes(payload)) {
                listener.message(channel, payload);
            }
        }
        (PushKind::SSubscribe, [channel, ..]) => {
            if let Some(channel) = bytes(channel) {
                listener.subscribed(channel);
            }
        }
        (PushKind::SUnsubscribe, [channel, ..]) => {
            if let Some(channel) = bytes(channel) {
                listener.unsubscribed(channel);
            }
        }
        (PushKind::Disconnection, _) => listener.disconnected(),
        _ => {}
    }
}

fn bytes(value: &Value) -> Option<&[u8]> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.as_bytes()),
        _ => None,
    }
}

fn cluster(
    config: &RedisConfig,
    nodes: &[(String, u16)],
    settings: &NodeSettings,
) -> Result<ClusterClientBuilder, RedisError> {
    let login = RedisConnectionInfo::default().set_username(settings.name());
    let node = |(host, port): &(String, u16)| -> Result<ConnectionInfo, RedisError> {
        Ok(address(config, host, *port).into_connection_info()?.set_redis_settings(login.clone()))
    };
    let nodes = nodes.iter().map(node).collect::<Result<Vec<_>, _>>()?;
    // One attempt only: while it lasts, nobody learns that the bus is lost.
    let mut builder = ClusterClient::builder(nodes)
        .use_protocol(ProtocolVersion::RESP3)
        .retries(1)
        .connection_timeout(config.connect_timeout / 3)
        .connection_concurrency_limit(UNDER_WAY);
    if let Some(tls) = &config.tls {
        builder = builder.tls(if tls.accept_any { TlsMode::Insecure } else { TlsMode::Secure });
    }
    Ok(builder)
}

fn no_servers() -> RedisError {
    (redis::ErrorKind::InvalidClientConfig, "no servers").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn answers(answers: Vec<Value>) -> Value {
        Value::Map(answers.into_iter().map(|answer| (line("127.0.0.1:6379"), answer)).collect())
    }

    #[test]
    fn subscriptions_are_counted_on_every_primary() {
        let primaries =
            answers(vec![line("id=7 sub=9 psub=9 ssub=40 multi=-1\n"), line("id=3 sub=0 ssub=2 multi=-1\n")]);
        assert!(matches!(subscriptions(primaries), Ok(Some(42))));
    }

    #[test]
    fn who_cannot_tell_is_not_asked_and_who_tells_something_else_is_not_trusted() {
        let old = answers(vec![line("id=7 sub=0 psub=0 multi=-1\n")]);
        assert!(matches!(subscriptions(old), Ok(None)));
        let moved = Value::Push { kind: PushKind::SUnsubscribe, data: vec![line("room"), Value::Int(0)] };
        for other in [moved, line("PONG"), line("id=7 ssub=many"), Value::Nil] {
            let other = answers(vec![line("id=7 ssub=1"), other]);
            assert!(matches!(subscriptions(other), Err(LinkError::Uncounted)));
        }
        assert!(matches!(subscriptions(Value::Okay), Err(LinkError::Uncounted)));
    }
}
