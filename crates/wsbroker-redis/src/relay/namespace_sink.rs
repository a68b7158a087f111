//! What comes from other instances goes straight to a namespace: no helper is asked, and none is woken that holds nobody concerned.

use std::sync::Arc;

use parking_lot::Mutex;
use wsbroker_core::{Audience, Broker, Cork, MessageKind, Namespace};

use super::{Incoming, MessageType, Part, RelayEvent, RelaySink};

/// A namespace as a [`Relay`](crate::Relay) serves it. Its helpers are told whether messages of other instances come in.
#[derive(Debug)]
pub struct NamespaceSink {
    namespace: Arc<Namespace>,
    /// Of the relay's thread.
    cork: Mutex<Cork>,
}

impl NamespaceSink {
    /// The way to the clients of this broker's namespace: messages of other instances go there without
    /// any worker, but to those that are held.
    #[must_use]
    pub fn new(broker: &Broker, namespace: Arc<Namespace>) -> Self {
        Self { namespace, cork: Mutex::new(broker.cork()) }
    }
}

impl RelaySink for NamespaceSink {
    fn deliver(&self, message: Incoming<'_>) {
        let mut cork = self.cork.lock();
        let frame = message.frame();
        let staged = cork.stage_slice(MessageKind::Text, frame.as_bytes());
        let target = message.target.as_bytes();
        let audience = match message.kind {
            MessageType::Client => {
                return self.namespace.relay_to_client(&mut cork, target, staged);
            }
            MessageType::User => Audience::User(target),
            MessageType::Room => Audience::Room(target),
            MessageType::Broadcast => Audience::Everybody,
        };
        let exclude: Vec<&[u8]> = message.exclude.iter().map(|id| id.as_bytes()).collect();
        self.namespace.relay(&mut cork, audience, staged, &exclude);
    }

    fn flush(&self) {
        self.cork.lock().flush();
    }

    fn happened(&self, event: RelayEvent) {
        match event {
            RelayEvent::Connected | RelayEvent::Ready { part: Part::Listener } => self.namespace.set_input(true),
            RelayEvent::Lost { part: Part::Listener, .. } => self.namespace.set_input(false),
            _ => {}
        }
    }
}
