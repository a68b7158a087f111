//! What those who watch a server read at once.

use std::{net::IpAddr, time::SystemTime};

use super::Stats;
use crate::{bus::BusStats, ids::SocketId};

/// All numbers of a broker at a moment.
#[derive(Clone, Debug, Default)]
pub struct Scrape {
    /// What it counts.
    pub stats: Stats,
    /// Of its bus, if it has one.
    pub bus: Option<BusStats>,
    /// The sockets that do not take what they are sent.
    pub slow: SlowSummary,
}

impl Scrape {
    /// How many of the slow sockets are described.
    pub const SLOWEST: usize = 10;
}

/// A socket that does not take what it is sent.
#[derive(Clone, Debug)]
pub struct SlowSocket {
    /// Its id.
    pub id: SocketId,
    /// The client's address; `None` for a unix socket.
    pub ip: Option<IpAddr>,
    /// Bytes that wait for it.
    pub buffered: usize,
    /// Since when something has waited.
    pub since: SystemTime,
    /// Messages that were dropped since then, as it was too slow or memory was used up.
    pub dropped: u64,
}

/// How many sockets are slow, and which of them are the worst. Those of all namespaces.
#[derive(Clone, Debug, Default)]
pub struct SlowSummary {
    /// Sockets to which the kernel takes no more.
    pub count: usize,
    /// Those with most bytes waiting, the worst first.
    pub worst: Vec<SlowSocket>,
}
