//! What JavaScript calls to ask about single sockets, for operators.

// napi-rs wants what it exports to be public, though nothing can reach it from Rust.
#![allow(unreachable_pub)]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use napi_derive::napi;
use wsbroker_core::SocketId;

use crate::process;

/// A socket that does not take what it is sent.
#[napi(object)]
pub struct NativeSlowSocket {
    /// Its id.
    pub socket_id: f64,
    /// The client's address; empty for a unix socket.
    pub ip: String,
    /// Bytes that wait for it.
    pub buffered_bytes: f64,
    /// Since when, in milliseconds since 1970.
    pub since: f64,
    /// Messages that were dropped since then.
    pub dropped: f64,
}

/// What is known of a socket.
#[napi(object)]
pub struct NativeSocketInfo {
    /// The client's address; empty for a unix socket.
    pub ip: String,
    /// The request's path, at most 256 bytes of it.
    pub path: String,
    /// The subprotocol that was agreed on; empty without one.
    pub protocol: String,
    /// When it was let in, in milliseconds since 1970.
    pub opened: f64,
    /// Messages that came, and bytes of their payloads.
    pub messages_in: f64,
    /// As they came.
    pub bytes_in: f64,
    /// Messages that were queued, and bytes of their payloads.
    pub messages_out: f64,
    /// Compressed where they are.
    pub bytes_out: f64,
    /// What the last answered ping took, in milliseconds.
    pub round_trip: Option<f64>,
    /// The `threadId` of its worker.
    pub worker_id: Option<i32>,
}

/// The ids of open sockets above `after`, ascending, at most `limit`.
#[napi]
pub fn get_sockets(after: f64, limit: f64) -> Vec<f64> {
    let Some(broker) = process::broker().1 else { return Vec::new() };
    broker.sockets(after as u64, limit as usize).into_iter().map(|id| id.get() as f64).collect()
}

/// The slowest sockets, those with most bytes waiting first.
#[napi]
pub fn slow_sockets(count: f64) -> Vec<NativeSlowSocket> {
    let Some(broker) = process::broker().1 else { return Vec::new() };
    let slow = broker.slow_sockets(count as usize).into_iter().map(|slow| NativeSlowSocket {
        socket_id: slow.id.get() as f64,
        ip: slow.ip.map_or_else(String::new, |ip| ip.to_string()),
        buffered_bytes: slow.buffered as f64,
        since: since_1970(slow.since),
        dropped: slow.dropped as f64,
    });
    slow.collect()
}

/// What the last answered ping of a socket took, in milliseconds.
#[napi]
pub fn round_trip(socket_id: f64) -> Option<f64> {
    process::broker().1?.round_trip(id_of(socket_id)?).map(to_milliseconds)
}

/// Whole microseconds, so that no digits are made up.
fn to_milliseconds(taken: Duration) -> f64 {
    taken.as_micros() as f64 / 1000.0
}

/// What is known of a socket that has been let in.
#[napi]
pub fn socket_info(socket_id: f64) -> Option<NativeSocketInfo> {
    let info = process::broker().1?.socket_info(id_of(socket_id)?)?;
    let threads = process::worker_threads();
    Some(NativeSocketInfo {
        ip: info.ip.map_or_else(String::new, |ip| ip.to_string()),
        path: info.path,
        protocol: info.protocol.unwrap_or_default(),
        opened: since_1970(info.opened),
        messages_in: info.messages_in as f64,
        bytes_in: info.bytes_in as f64,
        messages_out: info.messages_out as f64,
        bytes_out: info.bytes_out as f64,
        round_trip: info.round_trip.map(to_milliseconds),
        worker_id: info
            .worker
            .and_then(|worker| threads.iter().find(|(id, _)| *id == worker))
            .map(|(_, thread)| *thread),
    })
}

/// `None` for a number that was never given out.
fn id_of(number: f64) -> Option<SocketId> {
    let whole = number as u64;
    if whole as f64 == number { SocketId::new(whole) } else { None }
}

fn since_1970(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as f64
}
