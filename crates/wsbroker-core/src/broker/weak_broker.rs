//! A broker as its bus sees it.

use std::sync::Weak;

use super::BrokerState;
use crate::cork::Cork;

/// A broker that this handle does not keep alive.
#[derive(Clone, Debug)]
pub struct WeakBroker(pub(super) Weak<BrokerState>);

impl WeakBroker {
    /// A way to send for the calling thread. It keeps what it sends to, but neither listeners nor
    /// connections: those end with the last [`Broker`](super::Broker). `None` when all has ended.
    #[must_use]
    pub fn cork(&self) -> Option<Cork> {
        self.0.upgrade().map(Cork::new)
    }

    /// Whether a channel has subscribers here.
    #[must_use]
    pub fn has_subscribers(&self, channel: &[u8]) -> bool {
        self.0.upgrade().is_some_and(|broker| broker.channels.get(channel).is_some())
    }

    /// Subscribers of a channel here.
    #[must_use]
    pub fn subscriber_count(&self, channel: &[u8]) -> usize {
        let channel = self.0.upgrade().and_then(|broker| broker.channels.get(channel));
        channel.map_or(0, |channel| channel.count())
    }
}
