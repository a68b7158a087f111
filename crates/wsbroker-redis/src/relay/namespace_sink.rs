//! Delivery to a namespace in Rust: a message of another instance goes straight to the sockets. No
//! worker is asked, and only those with held clients are woken.

use std::{fmt, sync::Arc};

use parking_lot::Mutex;
use wsbroker_core::{Audience, Broker, Cork, MessageKind, Namespace};

use super::{IncomingMessage, MessageType, RelayEvent, RelayPart, RelaySink};

/// What joins a [`Relay`](crate::Relay) to a namespace: it delivers messages to the clients, and
/// tells the helpers whether messages arrive.
pub struct NamespaceSink {
    namespace: Arc<Namespace>,
    /// For the relay's thread.
    cork: Mutex<Cork>,
    listener: Box<dyn Fn(RelayEvent) + Send + Sync>,
}

impl NamespaceSink {
    /// For a namespace of this broker. The listener gets all events, on the relay's thread, and
    /// must not block.
    #[must_use]
    pub fn new(
        broker: &Broker,
        namespace: Arc<Namespace>,
        listener: impl Fn(RelayEvent) + Send + Sync + 'static,
    ) -> Self {
        Self { namespace, cork: Mutex::new(broker.cork()), listener: Box::new(listener) }
    }
}

impl fmt::Debug for NamespaceSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamespaceSink").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

impl RelaySink for NamespaceSink {
    fn deliver(&self, message: IncomingMessage<'_>) {
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
        match &event {
            RelayEvent::Connected | RelayEvent::Ready { part: RelayPart::Listener } => self.namespace.set_input(true),
            RelayEvent::Lost { part: RelayPart::Listener, .. } => self.namespace.set_input(false),
            _ => {}
        }
        (self.listener)(event);
    }
}
