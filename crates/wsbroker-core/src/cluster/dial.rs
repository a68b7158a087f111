//! How a Redis is reached with what its settings say: addresses, certificates, names.

use redis::{
    Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo,
    RedisError, TlsCertificates, TlsMode,
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};

use crate::config::{RedisConfig, RedisTls};

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

pub(crate) fn info(config: &RedisConfig, address: ConnectionAddr) -> Result<ConnectionInfo, RedisError> {
    Ok(address.into_connection_info()?.set_redis_settings(settings(config)))
}

pub(crate) fn certificates(tls: &RedisTls) -> TlsCertificates {
    let identity = tls.identity.clone();
    TlsCertificates {
        client_tls: identity.map(|(client_cert, client_key)| ClientTlsConfig { client_cert, client_key }),
        root_cert: tls.ca.clone(),
    }
}

pub(crate) fn client(config: &RedisConfig, address: ConnectionAddr) -> Result<Client, RedisError> {
    let info = info(config, address)?;
    match &config.tls {
        Some(tls) if tls.ca.is_some() || tls.identity.is_some() => Client::build_with_tls(info, certificates(tls)),
        _ => Client::open(info),
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
