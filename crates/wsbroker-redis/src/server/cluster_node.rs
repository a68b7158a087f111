//! Connections to the nodes of a Cluster, on [streams of our own](super::dial), which bound their
//! replies.
//!
//! redis-rs finds out which nodes there are, and connects to them with [`Connect`]. That function has
//! no receiver: it gets an address and a login and nothing else. Our settings are more than that, and
//! include the login. So the username that redis-rs gets is the number of our settings; no Redis gets
//! it.

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
    AsyncConnectionConfig, Cmd, ConnectionInfo, IntoConnectionInfo, Pipeline, RedisFuture, Value, aio::ConnectionLike,
    cluster_async::Connect,
};
use tokio::time::timeout;

use super::{
    RedisConfig,
    dial::{ServerConnection, open},
};

/// The settings of all Clusters that are in use.
static SETTINGS: Mutex<BTreeMap<u64, Arc<RedisConfig>>> = Mutex::new(BTreeMap::new());
static LAST: AtomicU64 = AtomicU64::new(0);

/// The settings of one Cluster. Its nodes can be connected to while this lives.
pub(crate) struct NodeSettings(u64);

impl NodeSettings {
    pub(crate) fn new(config: &RedisConfig) -> Self {
        let number = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        SETTINGS.lock().insert(number, Arc::new(config.clone()));
        Self(number)
    }

    /// The username for redis-rs.
    pub(crate) fn name(&self) -> String {
        self.0.to_string()
    }

    fn of(info: &ConnectionInfo) -> Option<Arc<RedisConfig>> {
        let number = info.redis_settings().username()?.parse().ok()?;
        SETTINGS.lock().get(&number).map(Arc::clone)
    }
}

impl Drop for NodeSettings {
    fn drop(&mut self) {
        SETTINGS.lock().remove(&self.0);
    }
}

/// A connection to one node of a Cluster.
#[derive(Clone)]
pub(crate) struct ClusterNode(ServerConnection);

impl Connect for ClusterNode {
    fn connect_with_config<'a, T>(info: T, options: AsyncConnectionConfig) -> RedisFuture<'a, Self>
    where
        T: IntoConnectionInfo + Send + 'a,
    {
        async move {
            let info = info.into_connection_info()?;
            let ended = || io::Error::new(io::ErrorKind::NotConnected, "the connection to the Cluster has ended");
            let config = NodeSettings::of(&info).ok_or_else(ended)?;
            // redis-rs waits for all the nodes of the settings, and then for those that they name:
            // one that hangs must leave time for the others.
            match timeout(config.connect_timeout / 3, open(&config, info.addr(), None, options)).await {
                Ok(node) => Ok(Self(node?)),
                Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
            }
        }
        .boxed()
    }
}

impl ConnectionLike for ClusterNode {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        self.0.redis.req_packed_command(cmd)
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.0.redis.req_packed_commands(pipeline, offset, count)
    }

    fn get_db(&self) -> i64 {
        self.0.redis.get_db()
    }
}
