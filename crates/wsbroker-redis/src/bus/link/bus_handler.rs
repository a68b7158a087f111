//! Who is told what the listening connection receives.

use redis::{PushInfo, PushKind, Value};

/// Takes what a link receives. Called on the connection's own task.
pub(in crate::bus) trait BusHandler: Send + Sync + 'static {
    /// Something was published to this name on the bus.
    fn message(&self, channel: &[u8], payload: &[u8]);
    /// A Cluster has confirmed a subscription.
    fn subscribed(&self, channel: &[u8]);
    /// A Cluster has ended a subscription: because it was asked to, or by itself, when the channel
    /// has moved to another primary.
    fn unsubscribed(&self, channel: &[u8]);
    /// A connection is gone. More calls may follow.
    fn disconnected(&self);
}

/// Passes on what a connection of redis-rs has received.
pub(super) fn take_push(listener: &dyn BusHandler, info: PushInfo) {
    match (info.kind, info.data.as_slice()) {
        (PushKind::Message | PushKind::SMessage, [channel, payload]) => {
            if let (Some(channel), Some(payload)) = (bytes(channel), bytes(payload)) {
                listener.message(channel, payload);
            }
        }
        (PushKind::SSubscribe, [channel, ..]) => {
            if let Some(channel) = bytes(channel) {
                listener.subscribed(channel);
            }
        }
        (PushKind::SUnsubscribe, [channel, ..]) => {
            if let Some(channel) = bytes(channel) {
                listener.unsubscribed(channel);
            }
        }
        (PushKind::Disconnection, _) => listener.disconnected(),
        _ => {}
    }
}

fn bytes(value: &Value) -> Option<&[u8]> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.as_bytes()),
        _ => None,
    }
}
