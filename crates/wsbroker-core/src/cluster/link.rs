//! Redis as the bus needs it: one connection to publish, one to listen; on a Cluster one of each per master.

use std::{sync::Arc, time::Duration};

use redis::{
    AsyncConnectionConfig, Cmd, ConnectionAddr, ConnectionInfo, Pipeline, ProtocolVersion, PushInfo, PushKind,
    RedisError, TlsMode, Value,
    aio::MultiplexedConnection,
    cluster::{ClusterClient, ClusterConfig},
    cluster_async::ClusterConnection,
};
use tokio::time::timeout;

use super::{
    dial::{address, certificates, client, info, sentinel},
    outgoing::Parcel,
};
use crate::config::{RedisConfig, RedisServers};

/// What comes in: called on the connection's own task, with a channel of the bus and what was published there.
pub(super) trait Listener: Send + Sync + 'static {
    fn message(&self, channel: &[u8], payload: &[u8]);
    /// A connection is gone. More may be told of one that is.
    fn disconnected(&self);
}

/// Both connections.
pub(super) struct Link {
    publisher: Connection,
    listener: Connection,
}

#[derive(Clone)]
enum Connection {
    Node(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// Why a link could not be made, or ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error(transparent)]
    Redis(#[from] RedisError),
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
                    let nodes = nodes.iter().map(|(host, port)| info(config, address(config, host, *port)));
                    let client = cluster(config, nodes.collect())?;
                    let with_push = ClusterConfig::new().set_push_sender(push);
                    Ok(Self {
                        publisher: Connection::Cluster(client.get_async_connection().await?),
                        listener: Connection::Cluster(client.get_async_connection_with_config(with_push).await?),
                    })
                }
                servers => {
                    let client = match servers {
                        RedisServers::Sentinel(sentinels, name) => {
                            sentinel(config, sentinels, name)?.async_get_client().await?
                        }
                        RedisServers::Unix(path) => client(config, ConnectionAddr::Unix(path.clone()))?,
                        RedisServers::Single(host, port) => client(config, address(config, host, *port))?,
                        RedisServers::Cluster(_) => return Err(no_servers()),
                    };
                    // Each wait is bounded where it stands.
                    let plain =
                        AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(Some(limit));
                    let with_push = plain.clone().set_push_sender(push);
                    let (publisher, listener) = tokio::try_join!(
                        client.get_multiplexed_async_connection_with_config(&plain),
                        client.get_multiplexed_async_connection_with_config(&with_push),
                    )?;
                    Ok(Self { publisher: Connection::Node(publisher), listener: Connection::Node(listener) })
                }
            }
        };
        match timeout(limit, connecting).await {
            Ok(outcome) => Ok(outcome?),
            Err(_) => Err(LinkError::Timeout(limit)),
        }
    }

    /// Publishes all of them, each channel's in order. Returns how many messages Redis refused.
    pub(super) fn publish(&self, parcels: Vec<Parcel>) -> impl Future<Output = Result<u64, LinkError>> + Send + use<> {
        let publisher = self.publisher.clone();
        async move {
            match publisher {
                Connection::Node(mut node) => {
                    let mut pipeline = Pipeline::with_capacity(parcels.len());
                    for parcel in &parcels {
                        pipeline.cmd("PUBLISH").arg(&*parcel.channel).arg(&parcel.envelope[..]);
                    }
                    let count = parcels.len();
                    let answers = node.send_packed_commands(&pipeline, 0, count).await?;
                    let refused =
                        answers.iter().zip(&parcels).filter(|(answer, _)| matches!(answer, Value::ServerError(_)));
                    Ok(refused.map(|(_, parcel)| parcel.messages).sum())
                }
                Connection::Cluster(mut cluster) => {
                    let mut refused = 0;
                    for parcel in &parcels {
                        let mut command = Cmd::new();
                        command.arg("SPUBLISH").arg(&*parcel.channel).arg(&parcel.envelope[..]);
                        match command.query_async::<Value>(&mut cluster).await {
                            Ok(_) => {}
                            Err(error) if error.is_unrecoverable_error() || error.is_io_error() => {
                                return Err(error.into());
                            }
                            Err(_) => refused += parcel.messages,
                        }
                    }
                    Ok(refused)
                }
            }
        }
    }

    /// Listens to these too. When it resolves, whatever is published there from now on comes.
    pub(super) fn subscribe(
        &self,
        channels: Vec<Vec<u8>>,
    ) -> impl Future<Output = Result<(), LinkError>> + Send + use<> {
        let listener = self.listener.clone();
        async move {
            match listener {
                Connection::Node(mut node) => Ok(node.subscribe(&channels).await?),
                Connection::Cluster(mut cluster) => {
                    // One command goes to one master, and these may be of several.
                    for channel in &channels {
                        cluster.ssubscribe(channel).await?;
                    }
                    Ok(())
                }
            }
        }
    }

    /// Listens to these no more.
    pub(super) fn unsubscribe(
        &self,
        channels: Vec<Vec<u8>>,
    ) -> impl Future<Output = Result<(), LinkError>> + Send + use<> {
        let listener = self.listener.clone();
        async move {
            match listener {
                Connection::Node(mut node) => Ok(node.unsubscribe(&channels).await?),
                Connection::Cluster(mut cluster) => {
                    for channel in &channels {
                        cluster.sunsubscribe(channel).await?;
                    }
                    Ok(())
                }
            }
        }
    }

    /// Resolves when both answer.
    pub(super) fn ping(&self, limit: Duration) -> impl Future<Output = Result<(), LinkError>> + Send + use<> {
        let (publisher, listener) = (self.publisher.clone(), self.listener.clone());
        async move {
            match timeout(limit, async { tokio::try_join!(ping(publisher), ping(listener)) }).await {
                Ok(outcome) => outcome.map(|_| ()).map_err(LinkError::Redis),
                Err(_) => Err(LinkError::Timeout(limit)),
            }
        }
    }
}

async fn ping(connection: Connection) -> Result<(), RedisError> {
    let command = redis::cmd("PING");
    match connection {
        Connection::Node(mut node) => command.query_async(&mut node).await,
        // To every master.
        Connection::Cluster(mut cluster) => command.query_async(&mut cluster).await,
    }
}

fn take_push(listener: &dyn Listener, info: PushInfo) {
    match (info.kind, info.data.as_slice()) {
        (PushKind::Message | PushKind::SMessage, [channel, payload]) => {
            if let (Some(channel), Some(payload)) = (bytes(channel), bytes(payload)) {
                listener.message(channel, payload);
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

fn cluster(config: &RedisConfig, nodes: Vec<Result<ConnectionInfo, RedisError>>) -> Result<ClusterClient, RedisError> {
    let nodes = nodes.into_iter().collect::<Result<Vec<_>, _>>()?;
    // One attempt: whoever waits here does not hear that the bus is lost.
    let mut builder = ClusterClient::builder(nodes)
        .use_protocol(ProtocolVersion::RESP3)
        .retries(1)
        .connection_timeout(config.connect_timeout);
    if let Some(tls) = &config.tls {
        builder = builder.tls(if tls.accept_any { TlsMode::Insecure } else { TlsMode::Secure });
        if tls.ca.is_some() || tls.identity.is_some() {
            builder = builder.certs(certificates(tls));
        }
    }
    builder.build()
}

fn no_servers() -> RedisError {
    (redis::ErrorKind::InvalidClientConfig, "no servers").into()
}
