//! What arrives from Redis: messages for local sockets, and news of other instances.

use std::{
    sync::{Arc, OnceLock, atomic::Ordering},
    time::Instant,
};

use bytes::Bytes;
use tokio::sync::Notify;
use wsbroker_core::BusEvent;

use super::{
    RedisBus,
    bus_envelope::{self, BusEnvelope, InstanceMessage},
    link::BusHandler,
};

/// Ignores whatever arrives.
pub(super) struct DiscardAll;

impl BusHandler for DiscardAll {
    fn message(&self, _: &[u8], _: &[u8]) {}
    fn subscribed(&self, _: &[u8]) {}
    fn unsubscribed(&self, _: &[u8]) {}
    fn disconnected(&self) {}
}

/// The end of a link, as its connections report it to the bus's thread.
#[derive(Default)]
pub(super) struct LinkEnd {
    reason: OnceLock<&'static str>,
    reported: Notify,
}

impl LinkEnd {
    /// The first reason counts.
    fn report(&self, reason: &'static str) {
        let _ = self.reason.set(reason);
        self.reported.notify_one();
    }

    pub(super) async fn reason(&self) -> &'static str {
        loop {
            if let Some(reason) = self.reason.get() {
                return reason;
            }
            self.reported.notified().await;
        }
    }
}

/// Takes what a link's connections receive.
pub(super) struct BusReceiver {
    pub(super) bus: Arc<RedisBus>,
    pub(super) link_end: Arc<LinkEnd>,
}

impl BusHandler for BusReceiver {
    fn message(&self, channel: &[u8], payload: &[u8]) {
        if let Some(channel) = channel.strip_prefix(&*self.bus.prefix) {
            self.bus.take_envelope(channel, payload);
        } else {
            // The bus subscribes to nothing else.
            self.bus.take_instance_message(payload);
        }
    }

    fn subscribed(&self, channel: &[u8]) {
        if let Some(channel) = channel.strip_prefix(&*self.bus.prefix) {
            self.bus.interest.seen(channel);
        }
    }

    fn unsubscribed(&self, channel: &[u8]) {
        // The names of instance messages are never given up.
        if channel.strip_prefix(&*self.bus.prefix).is_none_or(|channel| self.bus.interest.wants(channel)) {
            self.link_end.report("the Cluster has moved a channel to another primary");
        }
    }

    fn disconnected(&self) {
        self.link_end.report("the connection was closed");
    }
}

impl RedisBus {
    fn take_instance_message(&self, payload: &[u8]) {
        let Ok(BusEnvelope::InstanceMessage(instance, message)) = BusEnvelope::read(payload) else {
            self.invalid.fetch_add(1, Ordering::Relaxed);
            return;
        };
        if instance == self.instance {
            return;
        }
        match message {
            InstanceMessage::Hello(name) => {
                // It may not know us either.
                if self.peers.hello(instance, name, Instant::now()) {
                    self.greet(&self.inbox(instance));
                }
            }
            InstanceMessage::Settings(digest) => {
                if let Some(name) = self.peers.differs(instance, self.history.digest() != Some(digest)) {
                    self.warn(format!(
                        "the instance {name} has other settings of \"history\" than this one: give all instances the same"
                    ));
                }
            }
            InstanceMessage::Leave => self.peers.leave(instance),
            InstanceMessage::Question(number, channel) => {
                let count = self.subscribers(channel);
                self.tell_instances(&self.inbox(instance), InstanceMessage::Answer(number, count));
            }
            InstanceMessage::Answer(number, count) => {
                self.peers.answer(instance, number, count);
                self.peers.spoke(instance, Instant::now());
            }
        }
    }

    fn take_envelope(&self, channel: &[u8], payload: &[u8]) {
        // A channel of a longer or shorter prefix can have the same name on the bus.
        let Some(payload) = bus_envelope::unmarked(&self.mark, payload) else { return };
        let envelope = match BusEnvelope::read(payload) {
            Ok(envelope) => envelope,
            Err(error) => {
                self.invalid.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(%error, "an envelope on the bus cannot be read");
                return;
            }
        };
        let (head, count) = match &envelope {
            BusEnvelope::Messages(head, messages) => (*head, messages.count() as u64),
            BusEnvelope::Close(head, ..) => (*head, 1),
            BusEnvelope::Numbered(..) | BusEnvelope::Deleted(..) | BusEnvelope::CloseNumbered(..) => {
                return self.take_kept(channel, &envelope);
            }
            BusEnvelope::InstanceMessage(..) => return,
        };
        if head.instance == self.instance {
            return;
        }
        let arrival = self.sequences.lock().arrived(channel, head, count, Instant::now());
        if arrival.missed > 0 {
            self.missed.fetch_add(arrival.missed, Ordering::Relaxed);
            self.tell(BusEvent::Gap { channel: Bytes::copy_from_slice(channel), missed: arrival.missed });
        }
        let fresh = count.saturating_sub(arrival.known);
        if fresh == 0 {
            return;
        }
        if matches!(envelope, BusEnvelope::Messages(..)) && self.has_history(channel) {
            return self.take_unnumbered(fresh);
        }
        self.received.fetch_add(fresh, Ordering::Relaxed);
        let mut cork = self.cork.lock();
        let Some(cork) = cork.as_mut() else { return };
        match envelope {
            BusEnvelope::Messages(_, messages) => {
                for (form, payload) in messages.skip(arrival.known as usize) {
                    let staged = cork.stage_slice(form.kind, payload).compress(form.compress);
                    cork.publish_here(channel, staged, &[]);
                }
            }
            BusEnvelope::Close(_, code, reason) => {
                cork.close_channel(channel, code, reason);
            }
            _ => {}
        }
        // The cork is flushed when the connection has nothing more to read.
        self.arrived.notify_one();
    }
}
