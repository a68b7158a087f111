//! Encryption.
//!
//! [`config`] turns PEM into what handshakes use, [`certificates`] chooses among them by the name
//! that a client asks for, and [`client`] checks the certificates of clients. [`session`] is the
//! encryption of one connection, which knows no socket: [`handshake`] leads it through the
//! handshake in the front, and [`stream`] is what a shard reads and writes.

mod certificates;
mod client;
mod config;
mod handshake;
mod session;
mod stream;

pub use self::config::{TlsConfig, TlsPem, TlsVersion};
pub(crate) use self::{
    handshake::{EncryptedStream, HandshakeFailure, handshake},
    session::Session,
    stream::{READ_ROOM, SEALING_MAX, TlsScratch, TlsStream},
};
