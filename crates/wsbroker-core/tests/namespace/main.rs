//! Namespaces: sockets, channels and workers that are apart from all others of their broker.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod apart;
mod ending;
mod held;
mod kit;
mod publishing;
mod sockets;
mod workers;
