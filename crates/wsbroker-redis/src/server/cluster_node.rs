//! Connections to the nodes of a Cluster, on [streams of our own](super::dial), which bound their
//! replies.
//!
//! redis-rs finds out which nodes there are, and connects to them with [`Connect`]. That function
//! has no receiver: it gets an address and a login and nothing else. Our settings are more than
//! that, and include the login. So the username that redis-rs gets is the number of our settings;
//! no Redis gets it.

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use futures_util::FutureExt;
use parking_lot::Mutex;
use redis::{
    Arg, AsyncConnectionConfig, Cmd, ConnectionInfo, IntoConnectionInfo, Pipeline, RedisFuture, Value,
    aio::ConnectionLike, cluster_async::Connect,
};
use tokio::time::timeout;

use super::{
    RedisConfig,
    dial::{ServerConnection, open},
    node_traffic::{NodeBytes, NodeTraffic, UnderWay},
};

/// The Clusters that are in use.
static CLUSTERS: Mutex<BTreeMap<u64, ClusterSettings>> = Mutex::new(BTreeMap::new());
static LAST: AtomicU64 = AtomicU64::new(0);

#[derive(Clone)]
struct ClusterSettings {
    config: Arc<RedisConfig>,
    traffic: Arc<NodeTraffic>,
}

/// The settings of one Cluster. Its nodes can be connected to while this lives.
pub(crate) struct NodeSettings {
    number: u64,
    traffic: Arc<NodeTraffic>,
}

impl NodeSettings {
    pub(crate) fn new(config: &RedisConfig) -> Self {
        let number = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        let traffic = Arc::new(NodeTraffic::default());
        let cluster = ClusterSettings { config: Arc::new(config.clone()), traffic: Arc::clone(&traffic) };
        CLUSTERS.lock().insert(number, cluster);
        Self { number, traffic }
    }

    /// What is under way to the nodes.
    pub(crate) const fn traffic(&self) -> &Arc<NodeTraffic> {
        &self.traffic
    }

    /// The username for redis-rs.
    pub(crate) fn name(&self) -> String {
        self.number.to_string()
    }

    fn of(info: &ConnectionInfo) -> Option<ClusterSettings> {
        let number = info.redis_settings().username()?.parse().ok()?;
        CLUSTERS.lock().get(&number).cloned()
    }
}

impl Drop for NodeSettings {
    fn drop(&mut self) {
        CLUSTERS.lock().remove(&self.number);
    }
}

/// A connection to one node of a Cluster.
#[derive(Clone)]
pub(crate) struct ClusterNode {
    connection: ServerConnection,
    traffic: Arc<NodeTraffic>,
    sent: NodeBytes,
}

impl ClusterNode {
    fn begin(&self, bytes: usize) -> UnderWay {
        self.traffic.begin(&self.connection.liveness, &self.sent, bytes)
    }
}

impl Connect for ClusterNode {
    fn connect_with_config<'a, T>(info: T, options: AsyncConnectionConfig) -> RedisFuture<'a, Self>
    where
        T: IntoConnectionInfo + Send + 'a,
    {
        async move {
            let info = info.into_connection_info()?;
            let ended = || io::Error::new(io::ErrorKind::NotConnected, "the connection to the Cluster has ended");
            let ClusterSettings { config, traffic } = NodeSettings::of(&info).ok_or_else(ended)?;
            // redis-rs waits for all the nodes of the settings, and then for those that they name:
            // one that hangs must leave time for the others.
            match timeout(config.connect_timeout / 3, open(&config, info.addr(), None, options)).await {
                Ok(connection) => {
                    let connection = connection?;
                    let sent = NodeBytes::after(&connection.liveness);
                    Ok(Self { connection, traffic, sent })
                }
                Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
            }
        }
        .boxed()
    }
}

impl ConnectionLike for ClusterNode {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        let under_way = self.begin(size(cmd));
        let answer = self.connection.redis.req_packed_command(cmd);
        async move {
            let answer = answer.await;
            drop(under_way);
            answer
        }
        .boxed()
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        let under_way = self.begin(pipeline.cmd_iter().map(size).sum());
        let answers = self.connection.redis.req_packed_commands(pipeline, offset, count);
        async move {
            let answers = answers.await;
            drop(under_way);
            answers
        }
        .boxed()
    }

    fn get_db(&self) -> i64 {
        self.connection.redis.get_db()
    }
}

/// About as many bytes as the command takes on its way.
fn size(command: &Cmd) -> usize {
    command
        .args_iter()
        .map(|argument| match argument {
            Arg::Simple(bytes) => bytes.len(),
            _ => 0,
        })
        .sum()
}
