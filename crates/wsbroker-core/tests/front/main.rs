//! From accept to the 101, over real sockets.
#![allow(clippy::unwrap_used)]

mod addresses;
mod admission;
mod answers;
mod closing;
mod counts;
mod kit;
mod limits;
mod origins;
mod plain;
mod proxies;
mod refusals;
#[cfg(unix)]
mod unix;
mod verdicts;
