//! Which Redis to use, and how to log in.

use std::{fmt, time::Duration};

/// A Redis and our credentials. It takes Redis 6 at least, since the connections speak RESP3. The
/// bus on a Cluster takes Redis 7.
#[derive(Clone, Eq, PartialEq)]
pub struct RedisConfig {
    /// The servers.
    pub servers: RedisServers,
    /// For `AUTH`. Default none.
    pub username: Option<String>,
    /// For `AUTH`. Default none.
    pub password: Option<String>,
    /// The database. It makes no difference to what is published. Default 0.
    pub db: i64,
    /// How long connecting may take, `AUTH` included. Default 2 s.
    pub connect_timeout: Duration,
    /// Encryption. Default none.
    pub tls: Option<RedisTls>,
}

/// Which servers make up a Redis.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RedisServers {
    /// A single server, by host and port.
    Single(String, u16),
    /// A single server, by its Unix socket.
    Unix(std::path::PathBuf),
    /// Some nodes of a Cluster; they name the others.
    Cluster(Vec<(String, u16)>),
    /// Sentinels, and the name of the primary that they watch.
    Sentinel(Vec<(String, u16)>, String),
}

/// How a Redis is encrypted.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct RedisTls {
    /// The authorities that the server's certificate must come from, as PEM. Default: those that
    /// the operating system trusts.
    pub ca: Option<Vec<u8>>,
    /// Our certificate and its key, as PEM. Default none.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
    /// Accepts any certificate of the server. Default false.
    pub accept_any: bool,
    /// The name that the server's certificate must be for, which is also sent as SNI. Default: the
    /// host of the connection. Only a [`Relay`](crate::Relay) uses it: the nodes of the bus's
    /// Cluster are known by their own names alone.
    pub server_name: Option<String>,
}

impl RedisConfig {
    /// The defaults, on these servers.
    #[must_use]
    pub fn new(servers: RedisServers) -> Self {
        Self { servers, username: None, password: None, db: 0, connect_timeout: Duration::from_secs(2), tls: None }
    }

    /// Reads `redis://[user:password@]host[:port][/db]`, `rediss://…` with encryption, or `redis+unix:///path`.
    ///
    /// # Errors
    /// What is wrong with the URL, without the password.
    pub fn from_url(url: &str) -> Result<Self, RedisUrlError> {
        use redis::{ConnectionAddr, IntoConnectionInfo};
        let info = url.into_connection_info().map_err(|error| RedisUrlError(error.to_string()))?;
        let (servers, tls) = match info.addr() {
            ConnectionAddr::Tcp(host, port) => (RedisServers::Single(host.clone(), *port), None),
            ConnectionAddr::TcpTls { host, port, insecure, .. } => (
                RedisServers::Single(host.clone(), *port),
                Some(RedisTls { accept_any: *insecure, ..RedisTls::default() }),
            ),
            ConnectionAddr::Unix(path) => (RedisServers::Unix(path.clone()), None),
            _ => return Err(RedisUrlError("an address of an unknown kind".into())),
        };
        let settings = info.redis_settings();
        Ok(Self {
            username: settings.username().map(str::to_owned),
            password: settings.password().map(str::to_owned),
            db: settings.db(),
            tls,
            ..Self::new(servers)
        })
    }
}

/// What is wrong with a Redis URL.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected redis://[user:password@]host[:port][/db] or rediss://…: {0}")]
pub struct RedisUrlError(String);

// Written by hand, so that no secret is ever logged.
impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConfig").field("servers", &self.servers).field("db", &self.db).finish_non_exhaustive()
    }
}

impl fmt::Debug for RedisTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisTls").field("accept_any", &self.accept_any).finish_non_exhaustive()
    }
}
