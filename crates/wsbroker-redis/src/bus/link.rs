//! Redis as the bus needs it: one connection to publish, one to listen; on a Cluster one of each per master.

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
    pipeline::Wire,
    publish_queue::{Parcel, Refused},
};
use crate::server::{
    RedisConfig, RedisServers,
    cluster_node::{ClusterNode, NodeSettings},
    dial::{Node, address, open, sentinel},
    liveness::{Pulse, Silent},
    printable::clean,
    role::{self, Asking, RoleError},
    sentinels::Address,
};

/// Commands under way to one master of a Cluster. redis-rs lets a connection's queue take 50, and asks for the slots through the same queue while it lets
/// all else stand still: what waits for room in it then waits for ever.
const UNDER_WAY: usize = 40;

/// What comes in: called on the connection's own task, with a channel of the bus and what was published there.
pub(super) trait Listener: Send + Sync + 'static {
    fn message(&self, channel: &[u8], payload: &[u8]);
    /// A Cluster has confirmed that it is listened to.
    fn subscribed(&self, channel: &[u8]);
    /// A Cluster has ended that it is listened to: asked or, when the channel has gone to another master, by itself.
    fn unsubscribed(&self, channel: &[u8]);
    /// A connection is gone. More may be told of one that is.
    fn disconnected(&self);
}

/// Both connections.
pub(super) struct Link {
    publisher: Publisher,
    listener: Connection,
    /// Where Sentinels have led.
    address: Option<Address>,
    /// For the nodes of a Cluster that are still to come.
    _settings: Option<NodeSettings>,
}

/// What is to change about channels.
#[derive(Clone, Copy)]
pub(super) enum Listen {
    Begin,
    End,
}

/// What publishes.
#[derive(Clone)]
enum Publisher {
    Wire(Arc<Wire>),
    Through(Connection),
}

#[derive(Clone)]
enum Connection {
    /// With how it is asked whether it is a primary.
    Node(Node, Asking),
    Cluster(ClusterConnection<ClusterNode>),
}

/// Why a link could not be made, or ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error(transparent)]
    Silent(#[from] Silent),
    #[error(transparent)]
    Redis(#[from] RedisError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Role(#[from] RoleError),
    #[error("Redis did not confirm a channel")]
    Unconfirmed,
    #[error("the Cluster counts {counted} subscriptions of ours instead of {ours}")]
    Miscounted { counted: usize, ours: usize },
    #[error("the Cluster did not tell how many subscriptions are ours")]
    Uncounted,
}

impl Link {
    /// Connects both, within the connect timeout.
    pub(super) async fn connect(config: &RedisConfig, listener: Arc<dyn Listener>) -> Result<Self, LinkError> {
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
                    Ok(Self {
                        publisher: Publisher::Through(Connection::Cluster(publisher)),
                        listener: Connection::Cluster(listener),
                        address: None,
                        _settings: Some(settings),
                    })
                }
                servers => {
                    let address = match servers {
                        RedisServers::Sentinel(sentinels, name) => {
                            let master = sentinel(config, sentinels, name)?.async_get_client().await?;
                            master.get_connection_info().addr().clone()
                        }
                        RedisServers::Unix(path) => ConnectionAddr::Unix(path.clone()),
                        RedisServers::Single(host, port) => address(config, host, *port),
                        RedisServers::Cluster(_) => return Err(no_servers().into()),
                    };
                    // Each wait is bounded where it stands.
                    let plain = AsyncConnectionConfig::new().set_response_timeout(None);
                    let with_push = plain.clone().set_push_sender(push);
                    // The listener first: it tells better what is wrong.
                    let listener = node(config, &address, with_push).await?;
                    let publisher = match wire(config, &address).await? {
                        Some(wire) => Publisher::Wire(Arc::new(wire)),
                        None => Publisher::Through(node(config, &address, plain).await?),
                    };
                    let address = match (servers, address) {
                        (
                            RedisServers::Sentinel(..),
                            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. },
                        ) => Some((host, port)),
                        _ => None,
                    };
                    Ok(Self { publisher, listener, address, _settings: None })
                }
            }
        };
        match timeout(limit, connecting).await {
            Ok(outcome) => outcome,
            Err(_) => Err(LinkError::Timeout(limit)),
        }
    }

    /// Where Sentinels have led.
    pub(super) const fn address(&self) -> Option<&Address> {
        self.address.as_ref()
    }

    /// The connection that anybody may publish on, if it is such a one.
    pub(super) fn wire(&self) -> Option<&Arc<Wire>> {
        match &self.publisher {
            Publisher::Wire(wire) => Some(wire),
            Publisher::Through(_) => None,
        }
    }

    /// Publishes all of them, each channel's in order, without one waiting for the answer to another's. Returns how many messages Redis refused.
    /// On a Cluster it fails after `limit`: its client can lose an answer, and go on with pings; one connection's are answered behind this.
    pub(super) fn publish(
        &self,
        prefix: &[u8],
        parcels: Vec<Parcel>,
        limit: Duration,
    ) -> impl Future<Output = Result<Refused, LinkError>> + Send + use<> {
        let publisher = self.publisher.clone();
        let on_bus =
            |parcel: &Parcel| if parcel.is_note { parcel.channel.to_vec() } else { [prefix, &parcel.channel].concat() };
        let parcels: Vec<(Vec<u8>, Parcel)> = parcels.into_iter().map(|parcel| (on_bus(&parcel), parcel)).collect();
        async move {
            match publisher {
                // It takes what waits itself.
                Publisher::Wire(_) => Ok(Refused::default()),
                Publisher::Through(Connection::Node(mut node, _)) => {
                    let mut pipeline = Pipeline::with_capacity(parcels.len());
                    for (name, parcel) in &parcels {
                        pipeline.cmd("PUBLISH").arg(name).arg(&parcel.envelope[..]);
                    }
                    let answers = node.redis.send_packed_commands(&pipeline, 0, parcels.len()).await?;
                    let mut refused = Refused::default();
                    for (answer, (_, parcel)) in answers.into_iter().zip(parcels) {
                        refused.add(settle(parcel, answer.extract_error()));
                    }
                    Ok(refused)
                }
                Publisher::Through(Connection::Cluster(cluster)) => {
                    let mut channels: FxHashMap<Vec<u8>, Vec<Parcel>> = FxHashMap::default();
                    for (name, parcel) in parcels {
                        channels.entry(name).or_default().push(parcel);
                    }
                    let channels = channels.into_iter();
                    let refused =
                        try_join_all(channels.map(|(name, parcels)| spublish(cluster.clone(), name, parcels)));
                    match timeout(limit, refused).await {
                        Ok(refused) => Ok(refused?.into_iter().fold(Refused::default(), |mut all, one| {
                            all.add(one);
                            all
                        })),
                        Err(_) => Err(LinkError::Timeout(limit)),
                    }
                }
            }
        }
    }

    /// How many calls of [`publish`](Self::publish) may be under way at once without one overtaking the other.
    pub(super) fn under_way(&self) -> usize {
        match self.publisher {
            // One connection: what was written first arrives first. While the one is answered the next is gathered.
            Publisher::Wire(_) | Publisher::Through(Connection::Node(..)) => 2,
            // A command may be sent again, to another master.
            Publisher::Through(Connection::Cluster(_)) => 1,
        }
    }

    /// Whether that is a Cluster, which confirms each channel by [`Listener::subscribed`]. What its client takes for an answer may be another's: a
    /// channel that goes to another master is told with no more than an answer that nobody has asked for.
    pub(super) fn is_cluster(&self) -> bool {
        matches!(self.listener, Connection::Cluster(_))
    }

    /// Listens to these too, or no more. When it resolves, whatever is published there from now on comes, or does not.
    pub(super) fn listen(
        &self,
        change: Listen,
        channels: Vec<Vec<u8>>,
        limit: Duration,
    ) -> impl Future<Output = Result<(), LinkError>> + Send + use<> {
        let (listener, pulse) = (self.listener.clone(), self.listener.pulse());
        let changing = async move {
            match listener {
                Connection::Node(mut node, _) => match change {
                    Listen::Begin => node.redis.subscribe(&channels).await?,
                    Listen::End => node.redis.unsubscribe(&channels).await?,
                },
                Connection::Cluster(cluster) => {
                    // One command goes to one master, and these may be of several; nobody waits for the one before.
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
        within(pulse, limit, changing)
    }

    /// How many channels are listened to, as the masters of a Cluster count them; its client can lose a connection, or an answer, and not tell. `None`
    /// where they cannot be asked: one server, a Redis before 7.0.3, or a user who may not ask.
    pub(super) fn count(
        &self,
        limit: Duration,
    ) -> impl Future<Output = Result<Option<usize>, LinkError>> + Send + use<> {
        let listener = self.listener.clone();
        async move {
            let Connection::Cluster(mut cluster) = listener else { return Ok(None) };
            let mut command = redis::cmd("CLIENT");
            command.arg("INFO");
            let everywhere =
                RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, Some(ResponsePolicy::Special)));
            match timeout(limit, cluster.route_command(command, everywhere)).await {
                Ok(answers) => subscriptions(answers?),
                Err(_) => Err(LinkError::Timeout(limit)),
            }
        }
    }

    /// Whether it is known of both connections that they lead to a primary.
    pub(super) fn knows_role(&self) -> bool {
        let publisher = match &self.publisher {
            Publisher::Wire(wire) => wire.asking(),
            Publisher::Through(Connection::Node(_, asking)) => *asking,
            // Every node of a Cluster gives what is published to all that listen.
            Publisher::Through(Connection::Cluster(_)) => return true,
        };
        publisher != Asking::Ping
    }

    /// Resolves when both answer. Fails when one says that it is a replica.
    pub(super) fn ping(&self, limit: Duration) -> impl Future<Output = Result<(), LinkError>> + Send + use<> {
        let (publisher, listener) = (self.publisher.clone(), self.listener.clone());
        async move {
            let publisher = async {
                match publisher {
                    Publisher::Wire(wire) => {
                        let ping = wire.ping();
                        Ok(wire.pulse().within(limit, ping).await?)
                    }
                    Publisher::Through(connection) => ping(connection, limit).await,
                }
            };
            tokio::try_join!(publisher, ping(listener, limit)).map(drop)
        }
    }
}

impl Connection {
    /// Of a Cluster's connections nothing is known.
    fn pulse(&self) -> Option<Arc<Pulse>> {
        match self {
            Self::Node(node, _) => Some(Arc::clone(&node.pulse)),
            Self::Cluster(_) => None,
        }
    }
}

/// The result of it, unless nothing moves on the connection for this long or, where that is not known, it takes this long.
async fn within<T>(
    pulse: Option<Arc<Pulse>>,
    limit: Duration,
    task: impl Future<Output = Result<T, LinkError>>,
) -> Result<T, LinkError> {
    match pulse {
        Some(pulse) => pulse.within(limit, task).await?,
        None => timeout(limit, task).await.unwrap_or(Err(LinkError::Timeout(limit))),
    }
}

/// A connection of our own, where there is one server and no TLS.
async fn wire(config: &RedisConfig, address: &ConnectionAddr) -> Result<Option<Wire>, LinkError> {
    let login = config.password.as_deref().map(|password| (config.username.as_deref().unwrap_or(""), password));
    Ok(match address {
        ConnectionAddr::Tcp(host, port) => Some(Wire::connect_tcp(host, *port, login).await?),
        #[cfg(unix)]
        ConnectionAddr::Unix(path) => Some(Wire::connect_unix(path, login).await?),
        _ => None,
    })
}

/// The parcels of one channel, one after the other so that they keep their order. Returns how many messages Redis refused.
async fn spublish(
    mut cluster: ClusterConnection<ClusterNode>,
    name: Vec<u8>,
    parcels: Vec<Parcel>,
) -> Result<Refused, RedisError> {
    let mut refused = Refused::default();
    for parcel in parcels {
        let mut command = Cmd::new();
        command.arg("SPUBLISH").arg(&name).arg(&parcel.envelope[..]);
        match command.query_async::<Value>(&mut cluster).await {
            Err(error) if error.is_unrecoverable_error() || error.is_io_error() => return Err(error),
            answer => refused.add(settle(parcel, answer)),
        }
    }
    Ok(refused)
}

/// Reports the outcome to those that wait for it. Returns what was refused.
fn settle(parcel: Parcel, answer: Result<Value, RedisError>) -> Refused {
    let reason = answer.err().map(|error| clean(&error.to_string()));
    for waiter in parcel.waiters {
        // The waiting side may have given up.
        let _ = waiter.send(reason.clone().map_or(Ok(()), Err));
    }
    Refused { messages: if reason.is_some() { parcel.messages } else { 0 }, reason }
}

/// A connection to one server, which is a primary.
async fn node(
    config: &RedisConfig,
    address: &ConnectionAddr,
    options: AsyncConnectionConfig,
) -> Result<Connection, LinkError> {
    let mut node = open(config, address, None, options).await?;
    let asking = role::find(&mut node.redis).await?;
    Ok(Connection::Node(node, asking))
}

async fn ping(connection: Connection, limit: Duration) -> Result<(), LinkError> {
    let pulse = connection.pulse();
    let ping = async {
        match connection {
            Connection::Node(mut node, asking) => Ok(role::ask(&mut node.redis, asking).await.map(drop)?),
            // To every master.
            Connection::Cluster(mut cluster) => Ok(redis::cmd("PING").query_async(&mut cluster).await?),
        }
    };
    within(pulse, limit, ping).await
}

/// The sum of what each master has answered to CLIENT INFO.
fn subscriptions(answers: Value) -> Result<Option<usize>, LinkError> {
    let Value::Map(answers) = answers else { return Err(LinkError::Uncounted) };
    let mut sum = 0;
    for (_, answer) in answers {
        match answer {
            Value::ServerError(error) if matches!(error.code(), "NOPERM" | "ERR") => return Ok(None),
            // Such as the end of a subscription that has come just then.
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

fn take_push(listener: &dyn Listener, info: PushInfo) {
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
    // One attempt: whoever waits here does not hear that the bus is lost.
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
    fn subscriptions_are_counted_on_every_master() {
        let masters = answers(vec![line("id=7 sub=9 psub=9 ssub=40 multi=-1\n"), line("id=3 sub=0 ssub=2 multi=-1\n")]);
        assert!(matches!(subscriptions(masters), Ok(Some(42))));
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
