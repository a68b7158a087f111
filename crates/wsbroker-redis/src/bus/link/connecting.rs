//! How the connections are made.

use std::sync::Arc;

use redis::{
    AsyncConnectionConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, PushInfo,
    RedisConnectionInfo, RedisError, TlsMode,
    cluster::{ClusterClient, ClusterClientBuilder},
};
use tokio::time::timeout;

use super::{
    Link,
    bus_handler::{BusHandler, take_push},
    link_error::LinkError,
    publisher::Publisher,
    redis_connection::RedisConnection,
};
use crate::{
    bus::pipeline::PublishPipeline,
    server::{
        RedisConfig, RedisServers,
        cluster_node::NodeSettings,
        dial::{address, open, sentinel},
        role,
    },
};

/// Commands under way to one primary of a Cluster. A connection's queue in redis-rs takes 50, and
/// redis-rs refreshes the slots through the same queue while everything else stands still. A
/// command that waits for room in the queue then would wait for ever.
const UNDER_WAY: usize = 40;

impl Link {
    /// Opens both connections, within the connect timeout.
    /// With `scripts` a third one, that runs the script of the histories; a Cluster's client is for
    /// both.
    pub(in crate::bus) async fn connect(
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
