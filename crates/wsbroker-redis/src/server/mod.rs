//! A Redis and the way to it: settings, connections, whether they are alive, and which server
//! is the primary.
//!
//! [`dial`] opens a connection as [`redis_config`] says, with [`redis_tls`] where it is encrypted
//! and within [`reply_limit`]; [`cluster_node`] does so for the nodes of a Cluster. [`liveness`]
//! and [`node_traffic`] tell a slow connection from a dead one, [`role`] a primary from a replica,
//! and [`sentinels`] listens for a failover. [`backoff`] spaces attempts, [`reasons`] and
//! [`printable`] say why one failed, once, and [`resp`] reads and writes what is not left to the
//! client library. Nothing here knows what is published.

pub(crate) mod backoff;
pub(crate) mod cluster_node;
pub(crate) mod dial;
pub(crate) mod liveness;
pub(crate) mod node_traffic;
pub(crate) mod printable;
pub(crate) mod reasons;
mod redis_config;
mod redis_tls;
pub(crate) mod reply_limit;
pub(crate) mod resp;
pub(crate) mod role;
pub(crate) mod sentinels;

pub use self::redis_config::{RedisConfig, RedisServers, RedisTls, RedisUrlError};
