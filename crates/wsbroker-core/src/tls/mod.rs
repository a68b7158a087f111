//! Encryption.
//!
//! [`tls_config`] turns PEM into what handshakes use, [`certificates`] chooses among them by the
//! name that a client asks for, and [`client_certificate`] checks the certificates of clients.
//! [`tls_session`] is the encryption of one connection, which knows no socket: [`server_handshake`]
//! leads it through the handshake in the front, and [`tls_stream`] is what a shard reads and
//! writes.

mod certificates;
mod client_certificate;
mod server_handshake;
mod tls_config;
mod tls_session;
mod tls_stream;

pub use self::tls_config::{TlsConfig, TlsPem, TlsVersion};
pub(crate) use self::{
    server_handshake::{EncryptedStream, HandshakeFailure, handshake},
    tls_session::Session,
    tls_stream::{READ_ROOM, SEALING_MAX, TlsScratch, TlsStream},
};
