//! What time does to connections over real sockets: silence, pings, and how long a closing may
//! take.

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../tls/kit.rs"]
#[allow(dead_code)]
mod tls;

mod closing;
mod kit;
mod pause;
mod silence;
