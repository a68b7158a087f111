//! What can be asked about single sockets, for operators: no shard is asked, and none waits.

use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

use super::{Broker, BrokerState};
use crate::{
    counters::SlowSocket,
    ids::{NamespaceId, SocketId, WorkerId},
    registry::{SlowEntry, Socket},
};

/// What is known of one socket. Counts are those of its shard at the moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SocketInfo {
    /// The client's address; `None` for a unix socket.
    pub ip: Option<IpAddr>,
    /// The request's path, without the query; at most 256 bytes of it.
    pub path: String,
    /// The subprotocol that was agreed on.
    pub protocol: Option<String>,
    /// When it was let in, to a tenth of a second.
    pub opened: SystemTime,
    /// Messages that came.
    pub messages_in: u64,
    /// Bytes of their payloads, as they came.
    pub bytes_in: u64,
    /// Messages that were queued.
    pub messages_out: u64,
    /// Bytes of their payloads, compressed where they are.
    pub bytes_out: u64,
    /// What the last answered ping took.
    pub round_trip: Option<Duration>,
    /// The worker that runs its handlers; `None` while it waits for one.
    pub worker: Option<WorkerId>,
}

impl Broker {
    /// The raw sockets that are open, with ids above `after`, ascending, at most `limit`. Looks at
    /// every socket, whatever the limit is.
    #[must_use]
    pub fn sockets(&self, after: u64, limit: usize) -> Vec<SocketId> {
        self.state().sockets.open_after(after, limit)
    }

    /// The raw sockets to which the kernel takes no more, those with most bytes waiting first.
    /// Looks at those only.
    #[must_use]
    pub fn slow_sockets(&self, count: usize) -> Vec<SlowSocket> {
        let slowest = self.state().slow.slowest(Some(NamespaceId::RAW), count);
        slowest.worst.into_iter().map(SlowSocket::from).collect()
    }

    /// What the last answered ping of a socket took, until the thread that reads it noticed. Pings
    /// go to sockets that are silent. `None` before the first answer, and when it is gone.
    #[must_use]
    pub fn round_trip(&self, id: SocketId) -> Option<Duration> {
        self.state().sockets.get(id)?.round_trip()
    }

    /// What is known of a socket. `None` before it has been let in, and when it is gone.
    #[must_use]
    pub fn socket_info(&self, id: SocketId) -> Option<SocketInfo> {
        SocketInfo::of(self.state(), &*self.state().sockets.get(id)?)
    }
}

impl SocketInfo {
    fn of(broker: &BrokerState, socket: &Socket) -> Option<Self> {
        let origin = socket.origin()?;
        let traffic = socket.traffic();
        Some(Self {
            ip: origin.ip,
            path: origin.line.path.to_string(),
            protocol: origin.line.protocol.as_deref().map(str::to_owned),
            opened: broker.time_at(origin.opened),
            messages_in: traffic.messages_in,
            bytes_in: traffic.bytes_in,
            messages_out: traffic.messages_out,
            bytes_out: traffic.bytes_out,
            round_trip: socket.round_trip(),
            worker: socket.worker(),
        })
    }
}

impl From<(SlowEntry, usize)> for SlowSocket {
    fn from((entry, buffered): (SlowEntry, usize)) -> Self {
        Self {
            id: entry.socket.id(),
            ip: entry.socket.origin().and_then(|origin| origin.ip),
            buffered,
            since: entry.since,
            dropped: entry.dropped,
        }
    }
}
