//! Encrypted listeners over real sockets, with rustls on the other side.

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod admission;
mod certificates;
mod forger;
mod handshakes;
mod kit;
mod reload;
mod streams;
