//! Messages of other instances to the clients of a realm, without JavaScript.

use std::{fmt, sync::Arc};

use parking_lot::Mutex;
use wsbroker_proto::MessageKind;

use super::{Incoming, MessageType, Part, RelayEvent, RelaySink};
use crate::{
    broker::Broker,
    cork::Cork,
    realm::{Audience, Realm},
};

/// A realm as the [`RelaySink`] of its instance's relay. Clients that are held get their messages through their helpers, and the helpers are told whether the input
/// is there.
pub struct RealmDelivery {
    realm: Arc<Realm>,
    /// What came in one go leaves in one go.
    cork: Mutex<Cork>,
}

impl RealmDelivery {
    /// For a realm of that broker. It does not keep the broker's threads.
    #[must_use]
    pub fn new(broker: &Broker, realm: Arc<Realm>) -> Self {
        Self { realm, cork: Mutex::new(broker.cork()) }
    }
}

impl RelaySink for RealmDelivery {
    fn deliver(&self, message: Incoming<'_>) {
        let mut cork = self.cork.lock();
        let staged = cork.stage_slice(MessageKind::Text, message.frame().as_bytes());
        let target = message.target.as_bytes();
        let audience = match message.kind {
            MessageType::Client => {
                self.realm.send(&mut cork, target, staged);
                return;
            }
            MessageType::User => Audience::User(target),
            MessageType::Room => Audience::Room(target),
            MessageType::Broadcast => Audience::Everybody,
        };
        let exclude: Vec<&[u8]> = message.exclude.iter().map(|name| name.as_bytes()).collect();
        self.realm.publish(&mut cork, audience, staged, &exclude);
    }

    fn flush(&self) {
        self.cork.lock().flush();
    }

    fn happened(&self, event: RelayEvent) {
        match event {
            RelayEvent::Connected | RelayEvent::Ready { part: Part::Listener } => self.realm.set_input(true),
            RelayEvent::Lost { part: Part::Listener, .. } => self.realm.set_input(false),
            _ => {}
        }
    }
}

impl fmt::Debug for RealmDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RealmDelivery").field("realm", &self.realm).finish_non_exhaustive()
    }
}
