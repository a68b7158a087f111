//! Opening connections as the settings say: addresses, certificates, credentials.

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
    liveness::{Liveness, MonitoredStream},
    redis_tls,
    reply_limit::BoundedReplies,
};

/// A connection to one server. We open its stream, so that we see what moves on it.
#[derive(Clone)]
pub(crate) struct ServerConnection {
    pub(crate) redis: MultiplexedConnection,
    pub(crate) liveness: Arc<Liveness>,
    _task: Arc<ConnectionTask>,
}

/// The task of a connection. It ends with it, even when Redis takes nothing any more.
struct ConnectionTask(JoinHandle<()>);

impl Drop for ConnectionTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Connects to one server, and authenticates. `name`: the name that its certificate must be for, if
/// that is not the host.
pub(crate) async fn open(
    config: &RedisConfig,
    address: &ConnectionAddr,
    name: Option<&str>,
    options: AsyncConnectionConfig,
) -> Result<ServerConnection, RedisError> {
    match address {
        #[cfg(unix)]
        ConnectionAddr::Unix(path) => {
            let stream = tokio::net::UnixStream::connect(path).await?;
            let liveness = Arc::new(Liveness::of(&stream));
            begin(config, MonitoredStream::new(stream, Arc::clone(&liveness)), liveness, options).await
        }
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
            let stream = TcpStream::connect((host.as_str(), *port)).await?;
            stream.set_nodelay(true)?;
            let liveness = Arc::new(Liveness::of(&stream));
            let stream = MonitoredStream::new(stream, Arc::clone(&liveness));
            match &config.tls {
                None => begin(config, stream, liveness, options).await,
                Some(tls) => {
                    let name = name.unwrap_or(host).trim_matches(['[', ']']).to_owned();
                    let name = ServerName::try_from(name).map_err(io::Error::other)?;
                    let connector = TlsConnector::from(Arc::new(redis_tls::client(tls)?));
                    let stream = connector.connect(name, stream).await?;
                    begin(config, stream, liveness, options).await
                }
            }
        }
        _ => Err((redis::ErrorKind::InvalidClientConfig, "this kind of address is not supported").into()),
    }
}

async fn begin(
    config: &RedisConfig,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    liveness: Arc<Liveness>,
    options: AsyncConnectionConfig,
) -> Result<ServerConnection, RedisError> {
    let (redis, driver) =
        MultiplexedConnection::new_with_config(&settings(config), BoundedReplies::new(stream), options).await?;
    Ok(ServerConnection { redis, liveness, _task: Arc::new(ConnectionTask(tokio::spawn(driver))) })
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
