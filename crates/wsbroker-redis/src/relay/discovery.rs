//! Finding a server for a relay's connections. On a Cluster any node will do, since ordinary
//! pub/sub reaches every node from every other. One connection carries all publishes, so that they
//! keep their order.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, future::FutureExt, stream::FuturesUnordered};
use parking_lot::Mutex;
use redis::{AsyncConnectionConfig, ConnectionAddr, PushInfo, RedisError, Value};
use tokio::time::{sleep, timeout};

use crate::server::{
    RedisConfig, RedisServers,
    dial::{self, ServerConnection},
    liveness::Unresponsive,
    role::{self, RoleError, RoleQuery},
    sentinels::{SentinelWatch, ServerAddress},
};

/// How long to wait for a node of a Cluster before the next one is tried at the same time.
const STAGGER: Duration = Duration::from_millis(250);
/// Nodes of a Cluster that are remembered, besides those of the settings.
const MAX_LEARNT: usize = 64;

/// Why a connection could not be opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error(transparent)]
    Redis(#[from] RedisError),
    #[error(transparent)]
    Silent(#[from] Unresponsive),
    #[error(transparent)]
    Role(#[from] RoleError),
}

/// Takes what the server sends unasked. Called on the connection's own task.
pub(super) type PushHandler = Arc<dyn Fn(PushInfo) + Send + Sync>;

/// The servers of a relay: those of the settings, and what was learnt of them since.
pub(super) struct RelayServers {
    config: RedisConfig,
    /// Nodes of a Cluster that its nodes have named.
    learnt: Mutex<Vec<(String, u16)>>,
    sentinels: SentinelWatch,
}

/// A connection, and what is known of its server.
pub(super) struct OpenConnection {
    pub(super) node: ServerConnection,
    /// The question that tells whether it is a primary.
    pub(super) role_query: RoleQuery,
    /// The primary that the Sentinels have named.
    pub(super) address: Option<ServerAddress>,
}

impl RelayServers {
    pub(super) fn new(config: RedisConfig) -> Self {
        Self { config, learnt: Mutex::default(), sentinels: SentinelWatch::new() }
    }

    /// Connects to a primary, or to any node of a Cluster. The connect timeout is for all of it, or
    /// for each node of a Cluster.
    pub(super) async fn connect(&self, push: &PushHandler) -> Result<OpenConnection, ConnectError> {
        if let RedisServers::Cluster(nodes) = &self.config.servers {
            let node = self.any_node(nodes, push).await?;
            return Ok(OpenConnection { node, role_query: RoleQuery::Ping, address: None });
        }
        let limit = self.config.connect_timeout;
        let primary = async {
            let (mut node, address) = self.one(push).await?;
            let role_query = role::find(&mut node.redis).await?;
            Ok(OpenConnection { node, role_query, address })
        };
        timeout(limit, primary).await.unwrap_or(Err(ConnectError::Timeout(limit)))
    }

    /// Whether the server does not say if it is a primary, where that matters.
    pub(super) fn is_unsure(&self, role_query: RoleQuery) -> bool {
        role_query == RoleQuery::Ping && !matches!(self.config.servers, RedisServers::Cluster(_))
    }

    /// What the Sentinels report.
    pub(super) const fn sentinels(&self) -> &SentinelWatch {
        &self.sentinels
    }

    /// Listens to the Sentinels, without end.
    pub(super) async fn follow(&self) {
        self.sentinels.follow(&self.config).await;
    }

    async fn one(&self, push: &PushHandler) -> Result<(ServerConnection, Option<ServerAddress>), RedisError> {
        let config = &self.config;
        match &config.servers {
            RedisServers::Cluster(_) => Err(none()),
            RedisServers::Single(host, port) => Ok((self.node(host, *port, push).await?, None)),
            RedisServers::Unix(path) => {
                let address = ConnectionAddr::Unix(path.clone());
                Ok((dial::open(config, &address, None, options(push)).await?, None))
            }
            RedisServers::Sentinel(sentinels, name) => {
                let primary = dial::sentinel(config, sentinels, name)?.async_get_client().await?;
                match primary.get_connection_info().addr() {
                    ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                        Ok((self.node(host, *port, push).await?, Some((host.clone(), *port))))
                    }
                    address => Ok((dial::open(config, address, None, options(push)).await?, None)),
                }
            }
        }
    }

    async fn node(&self, host: &str, port: u16, push: &PushHandler) -> Result<ServerConnection, RedisError> {
        let config = &self.config;
        let name = config.tls.as_ref().and_then(|tls| tls.server_name.as_deref());
        dial::open(config, &dial::address(config, host, port), name, options(push)).await
    }

    /// Connects to the first node that says that the Cluster is well. If none says so, to the first
    /// that answers.
    async fn any_node(&self, nodes: &[(String, u16)], push: &PushHandler) -> Result<ServerConnection, ConnectError> {
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

    /// Connects to a node, and returns whether it says that the Cluster is well.
    async fn cluster_node(
        &self,
        host: String,
        port: u16,
        push: &PushHandler,
    ) -> Result<(ServerConnection, bool), RedisError> {
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

/// Without the client's limits: every wait has a limit of its own.
fn options(push: &PushHandler) -> AsyncConnectionConfig {
    let push = Arc::clone(push);
    AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(None).set_push_sender(
        move |info: PushInfo| -> Result<(), std::convert::Infallible> {
            push(info);
            Ok(())
        },
    )
}

/// The nodes in an answer to CLUSTER SLOTS. One that does not know its own host has the host that
/// was asked.
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
            if nodes.len() < MAX_LEARNT && !nodes.contains(&node) {
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
