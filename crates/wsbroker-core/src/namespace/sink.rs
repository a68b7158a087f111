//! What comes from other instances goes straight to a namespace: no helper is asked, and none is woken that holds nobody concerned.

use std::sync::Arc;

use parking_lot::Mutex;
use wsbroker_proto::MessageKind;

use super::Namespace;
use crate::{
    cork::{Cork, SendOutcome},
    operation::Audience,
    relay::{Incoming, MessageType, Part, RelayEvent, RelaySink},
};

/// A namespace as a [`Relay`](crate::Relay) serves it. Its helpers are told whether messages of other instances come in.
#[derive(Debug)]
pub struct NamespaceSink {
    namespace: Arc<Namespace>,
    /// Of the relay's thread.
    cork: Mutex<Cork>,
}

impl NamespaceSink {
    pub(crate) fn new(namespace: Arc<Namespace>, cork: Cork) -> Self {
        Self { namespace, cork: Mutex::new(cork) }
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
                // Of a client that nobody has, nothing is said either.
                if self.namespace.send(&mut cork, target, staged) == SendOutcome::Dropped {
                    self.namespace.drop_frame_of(target);
                }
                return;
            }
            MessageType::User => Audience::User(target),
            MessageType::Room => Audience::Room(target),
            MessageType::Broadcast => Audience::Everybody,
        };
        let exclude: Vec<&[u8]> = message.exclude.iter().map(|id| id.as_bytes()).collect();
        let refused = self.namespace.publish(&mut cork, audience, staged, &exclude);
        if refused > 0 {
            self.namespace.drop_frames(None, refused);
        }
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
