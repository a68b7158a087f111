//! Gathers all numbers of a broker.

use super::{Broker, BrokerState};
use crate::{
    counters::{Scrape, SlowSocket, SlowSummary, Stats},
    registry::Slowest,
};

impl Scrape {
    /// Looks at workers, shards and slow sockets, at no others.
    pub(crate) fn of(broker: &BrokerState) -> Self {
        Self {
            stats: Stats::of(broker),
            bus: broker.channels.bus().map(|bus| bus.stats()),
            slow: SlowSummary::of(broker, Self::SLOWEST),
        }
    }
}

impl SlowSummary {
    /// With up to `limit` of the worst. Looks at slow sockets only.
    fn of(broker: &BrokerState, limit: usize) -> Self {
        let Slowest { count, worst } = broker.slow.slowest(None, limit);
        Self { count, worst: worst.into_iter().map(SlowSocket::from).collect() }
    }
}

impl Broker {
    /// All numbers now.
    #[must_use]
    pub fn scrape(&self) -> Scrape {
        Scrape::of(self.state())
    }
}
