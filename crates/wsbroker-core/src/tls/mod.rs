//! Encryption: what is configured, and one connection's session. Neither knows a socket.
//!
//! [`config`] turns PEM into what handshakes use, [`names`] chooses among certificates, [`client`] looks at those of clients, and [`session`]
//! is one connection's: the front leads it through the handshake, a shard keeps it.

mod client;
mod config;
mod names;
mod session;

pub use self::config::{TlsConfig, TlsPem, TlsVersion};
pub(crate) use self::{
    client::Client,
    session::{Progress, RECORD_MAX, SEALED_MAX, Session},
};
