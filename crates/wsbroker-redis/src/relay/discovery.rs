//! Connections of a relay. Ordinary pub/sub reaches every node of a Cluster from every other, so one node is enough there, whichever it is: all that is published
//! takes one way, in order.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, future::FutureExt, stream::FuturesUnordered};
use parking_lot::Mutex;
use redis::{AsyncConnectionConfig, ConnectionAddr, PushInfo, RedisError, Value};
use tokio::time::{sleep, timeout};

use crate::server::{
    RedisConfig, RedisServers,
    dial::{self, Node},
    liveness::Silent,
    role::{self, Asking, RoleError},
    sentinels::{Address, Masters},
};

/// How long a node of a Cluster is waited for before the next one is tried beside it.
const STAGGER: Duration = Duration::from_millis(250);
/// Nodes of a Cluster that are remembered beside those of the settings.
const MOST_LEARNT: usize = 64;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error(transparent)]
    Redis(#[from] RedisError),
    #[error(transparent)]
    Silent(#[from] Silent),
    #[error(transparent)]
    Role(#[from] RoleError),
}

/// Called on the connection's own task.
pub(super) type Push = Arc<dyn Fn(PushInfo) + Send + Sync>;

/// Where a relay finds its Redis, and what it has learnt of it.
pub(super) struct Servers {
    config: RedisConfig,
    /// Nodes of a Cluster that its nodes have named.
    learnt: Mutex<Vec<(String, u16)>>,
    masters: Masters,
}

/// A connection, and what is known of it.
pub(super) struct Found {
    pub(super) node: Node,
    /// How it is asked whether it is a primary.
    pub(super) asking: Asking,
    /// Where Sentinels have led.
    pub(super) address: Option<Address>,
}

impl Servers {
    pub(super) fn new(config: RedisConfig) -> Self {
        Self { config, learnt: Mutex::default(), masters: Masters::new() }
    }

    /// Connects, within the connect timeout (on a Cluster, of each node), to a primary (on a Cluster, to any node).
    pub(super) async fn connect(&self, push: &Push) -> Result<Found, ConnectError> {
        if let RedisServers::Cluster(nodes) = &self.config.servers {
            let node = self.any_node(nodes, push).await?;
            return Ok(Found { node, asking: Asking::Ping, address: None });
        }
        let limit = self.config.connect_timeout;
        let primary = async {
            let (mut node, address) = self.one(push).await?;
            let asking = role::find(&mut node.redis).await?;
            Ok(Found { node, asking, address })
        };
        timeout(limit, primary).await.unwrap_or(Err(ConnectError::Timeout(limit)))
    }

    /// Whether it is unknown if this is a primary, and it matters.
    pub(super) fn is_unsure(&self, asking: Asking) -> bool {
        asking == Asking::Ping && !matches!(self.config.servers, RedisServers::Cluster(_))
    }

    /// What Sentinels tell.
    pub(super) const fn masters(&self) -> &Masters {
        &self.masters
    }

    /// Listens to the Sentinels, if there are any, without end.
    pub(super) async fn follow(&self) {
        self.masters.follow(&self.config).await;
    }

    async fn one(&self, push: &Push) -> Result<(Node, Option<Address>), RedisError> {
        let config = &self.config;
        match &config.servers {
            RedisServers::Cluster(_) => Err(none()),
            RedisServers::Single(host, port) => Ok((self.node(host, *port, push).await?, None)),
            RedisServers::Unix(path) => {
                let address = ConnectionAddr::Unix(path.clone());
                Ok((dial::open(config, &address, None, options(push)).await?, None))
            }
            RedisServers::Sentinel(sentinels, name) => {
                let master = dial::sentinel(config, sentinels, name)?.async_get_client().await?;
                match master.get_connection_info().addr() {
                    ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                        Ok((self.node(host, *port, push).await?, Some((host.clone(), *port))))
                    }
                    address => Ok((dial::open(config, address, None, options(push)).await?, None)),
                }
            }
        }
    }

    async fn node(&self, host: &str, port: u16, push: &Push) -> Result<Node, RedisError> {
        let config = &self.config;
        let name = config.tls.as_ref().and_then(|tls| tls.server_name.as_deref());
        dial::open(config, &dial::address(config, host, port), name, options(push)).await
    }

    /// A connection to the first node that answers and says that the Cluster is well; if none says so, to the first that answers.
    async fn any_node(&self, nodes: &[(String, u16)], push: &Push) -> Result<Node, ConnectError> {
        let mut untried: Vec<(String, u16)> = self.learnt.lock().clone();
        untried.retain(|node| !nodes.contains(node));
        untried.extend(nodes.iter().rev().cloned());
        let mut trying = FuturesUnordered::new();
        let mut unwell = None;
        let mut failure = None;
        loop {
            if let Some((host, port)) = untried.pop() {
                trying.push(within(self.config.connect_timeout, self.cluster_node(host, port, push)).boxed());
            }
            tokio::select! {
                outcome = trying.next() => match outcome {
                    Some(Ok((connection, true))) => return Ok(connection),
                    Some(Ok((connection, false))) => {
                        unwell.get_or_insert(connection);
                    }
                    Some(Err(error)) => failure = Some(error),
                    None => {
                        return unwell.ok_or_else(|| failure.unwrap_or_else(|| none().into()));
                    }
                },
                () = sleep(STAGGER), if !untried.is_empty() => {}
            }
        }
    }

    /// A connection to a node, and whether it says that the Cluster is well.
    async fn cluster_node(&self, host: String, port: u16, push: &Push) -> Result<(Node, bool), RedisError> {
        let mut node = self.node(&host, port, push).await?;
        let state: String = redis::cmd("CLUSTER").arg("INFO").query_async(&mut node.redis).await?;
        let slots: Value = redis::cmd("CLUSTER").arg("SLOTS").query_async(&mut node.redis).await?;
        let named = nodes_of(&slots, &host);
        if !named.is_empty() {
            *self.learnt.lock() = named;
        }
        Ok((node, state.contains("cluster_state:ok")))
    }
}

fn none() -> RedisError {
    (redis::ErrorKind::InvalidClientConfig, "no servers").into()
}

async fn within<T>(limit: Duration, task: impl Future<Output = Result<T, RedisError>>) -> Result<T, ConnectError> {
    match timeout(limit, task).await {
        Ok(outcome) => Ok(outcome?),
        Err(_) => Err(ConnectError::Timeout(limit)),
    }
}

/// Each wait is bounded where it stands.
fn options(push: &Push) -> AsyncConnectionConfig {
    let push = Arc::clone(push);
    AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(None).set_push_sender(
        move |info: PushInfo| -> Result<(), std::convert::Infallible> {
            push(info);
            Ok(())
        },
    )
}

/// The nodes in an answer to CLUSTER SLOTS. One that does not know its own address is where it was asked.
fn nodes_of(slots: &Value, asked: &str) -> Vec<(String, u16)> {
    let Value::Array(ranges) = slots else { return Vec::new() };
    let mut nodes = Vec::new();
    for range in ranges {
        let Value::Array(range) = range else { continue };
        for node in range.iter().skip(2) {
            let Value::Array(node) = node else { continue };
            let host = match node.first() {
                Some(Value::BulkString(host)) if host != b"?" && !host.is_empty() => String::from_utf8_lossy(host),
                _ => asked.into(),
            };
            let Some(Value::Int(port)) = node.get(1) else { continue };
            let Ok(port) = u16::try_from(*port) else { continue };
            let node = (host.into_owned(), port);
            if nodes.len() < MOST_LEARNT && !nodes.contains(&node) {
                nodes.push(node);
            }
        }
    }
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_learnt_from_what_a_node_says() {
        let bulk = |text: &str| Value::BulkString(text.into());
        let node = |host: Value, port| Value::Array(vec![host, Value::Int(port), bulk("id")]);
        let range = |nodes: Vec<Value>| Value::Array([vec![Value::Int(0), Value::Int(1)], nodes].concat());
        let slots = Value::Array(vec![
            range(vec![node(bulk("10.0.0.1"), 1), node(Value::Nil, 2), node(bulk("?"), 3)]),
            range(vec![node(bulk("10.0.0.1"), 1), node(bulk("10.0.0.2"), -1), Value::Nil]),
            Value::Okay,
        ]);
        let expected = [("10.0.0.1", 1), ("asked", 2), ("asked", 3)].map(|(host, port)| (host.to_owned(), port));
        assert_eq!(nodes_of(&slots, "asked"), expected);
        assert!(nodes_of(&Value::Nil, "asked").is_empty());
    }
}
