//! How a Redis is reached with what its settings say: addresses, certificates, names.

use std::{io, sync::Arc};

use redis::{
    AsyncConnectionConfig, ClientTlsConfig, ConnectionAddr, ProtocolVersion, RedisConnectionInfo, RedisError,
    TlsCertificates, TlsMode,
    aio::MultiplexedConnection,
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinHandle,
};
use tokio_rustls::TlsConnector;

use super::{
    RedisConfig, RedisTls,
    liveness::{Pulse, Watched},
    redis_tls,
    reply_limit::Bounded,
};

/// A connection to one server. Its stream is ours, so that it is known what moves on it.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) redis: MultiplexedConnection,
    pub(crate) pulse: Arc<Pulse>,
    _task: Arc<Task>,
}

/// Ends with the connection, also where Redis takes nothing any more.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Connects to one server, and authenticates. `name`: what its certificate must be for, if not the host.
pub(crate) async fn open(
    config: &RedisConfig,
    address: &ConnectionAddr,
    name: Option<&str>,
    options: AsyncConnectionConfig,
) -> Result<Node, RedisError> {
    match address {
        #[cfg(unix)]
        ConnectionAddr::Unix(path) => {
            let stream = tokio::net::UnixStream::connect(path).await?;
            let pulse = Arc::new(Pulse::of(&stream));
            begin(config, Watched::new(stream, Arc::clone(&pulse)), pulse, options).await
        }
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
            let stream = TcpStream::connect((host.as_str(), *port)).await?;
            stream.set_nodelay(true)?;
            let pulse = Arc::new(Pulse::of(&stream));
            let stream = Watched::new(stream, Arc::clone(&pulse));
            match &config.tls {
                None => begin(config, stream, pulse, options).await,
                Some(tls) => {
                    let name = name.unwrap_or(host).trim_matches(['[', ']']).to_owned();
                    let name = ServerName::try_from(name).map_err(io::Error::other)?;
                    let connector = TlsConnector::from(Arc::new(redis_tls::client(tls)?));
                    let stream = connector.connect(name, stream).await?;
                    begin(config, stream, pulse, options).await
                }
            }
        }
        _ => Err((redis::ErrorKind::InvalidClientConfig, "this kind of address is not supported").into()),
    }
}

async fn begin(
    config: &RedisConfig,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    pulse: Arc<Pulse>,
    options: AsyncConnectionConfig,
) -> Result<Node, RedisError> {
    let (redis, driver) =
        MultiplexedConnection::new_with_config(&settings(config), Bounded::new(stream), options).await?;
    Ok(Node { redis, pulse, _task: Arc::new(Task(tokio::spawn(driver))) })
}

pub(crate) fn address(config: &RedisConfig, host: &str, port: u16) -> ConnectionAddr {
    match &config.tls {
        None => ConnectionAddr::Tcp(host.into(), port),
        Some(tls) => ConnectionAddr::TcpTls { host: host.into(), port, insecure: tls.accept_any, tls_params: None },
    }
}

fn settings(config: &RedisConfig) -> RedisConnectionInfo {
    let mut settings = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3).set_db(config.db);
    if let Some(username) = &config.username {
        settings = settings.set_username(username);
    }
    if let Some(password) = &config.password {
        settings = settings.set_password(password);
    }
    settings
}

pub(crate) fn certificates(tls: &RedisTls) -> TlsCertificates {
    let identity = tls.identity.clone();
    TlsCertificates {
        client_tls: identity.map(|(client_cert, client_key)| ClientTlsConfig { client_cert, client_key }),
        root_cert: tls.ca.clone(),
    }
}

pub(crate) fn sentinel(
    config: &RedisConfig,
    sentinels: &[(String, u16)],
    name: &str,
) -> Result<SentinelClient, RedisError> {
    let addresses = sentinels.iter().map(|(host, port)| ConnectionAddr::Tcp(host.clone(), *port));
    let mut builder = SentinelClientBuilder::new(addresses, name, SentinelServerType::Master)?
        .set_client_to_redis_protocol(ProtocolVersion::RESP3)
        .set_client_to_redis_db(config.db);
    if let Some(username) = &config.username {
        builder = builder.set_client_to_redis_username(username);
    }
    if let Some(password) = &config.password {
        builder = builder.set_client_to_redis_password(password);
    }
    if let Some(tls) = &config.tls {
        builder = builder
            .set_client_to_redis_tls_mode(if tls.accept_any { TlsMode::Insecure } else { TlsMode::Secure })
            .set_client_to_redis_certificates(certificates(tls));
    }
    builder.build()
}
