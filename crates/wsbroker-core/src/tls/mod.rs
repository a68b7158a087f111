//! Encryption: what is configured, and one connection's session. Neither knows a socket.
//!
//! [`config`] turns PEM into what handshakes use, [`names`] chooses among certificates, [`client`] looks at those of clients.

mod client;
mod config;
mod names;

pub use self::config::{TlsConfig, TlsPem, TlsVersion};
