//! What Redis publishes of channels with history.

use std::sync::atomic::Ordering;

use super::body;
use crate::bus::{
    RedisBus,
    bus_envelope::{BusEnvelope, EnvelopeError},
};

impl RedisBus {
    /// What Redis has numbered, or deleted, or an instance wants closed.
    pub(in crate::bus) fn take_kept(&self, channel: &[u8], envelope: &BusEnvelope<'_>) {
        let invalid = |error: EnvelopeError| {
            self.invalid.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(%error, "a message that Redis keeps cannot be read");
        };
        let Some(followed) = self.followed(channel) else { return invalid(EnvelopeError::Unknown) };
        let clear = match envelope {
            BusEnvelope::Numbered(position, message) => match body::read(self.instance, message, 0) {
                Ok(message) => {
                    self.received.fetch_add(1, Ordering::Relaxed);
                    followed.arrived(*position, message)
                }
                Err(error) => return invalid(error),
            },
            BusEnvelope::Deleted(position, before) => followed.deleted(*position, *before),
            BusEnvelope::CloseNumbered(instance, code, reason) => {
                // Its own is closed by `close_behind`, subscribed on the bus or not.
                if *instance != self.instance
                    && let Some(cork) = self.cork.lock().as_mut()
                {
                    cork.close_channel_now(channel, *code, reason);
                    self.arrived.notify_one();
                }
                true
            }
            _ => true,
        };
        if !clear {
            self.follow_up(channel);
        }
    }

    /// Messages of an instance that does not know that the channel has a history.
    pub(in crate::bus) fn take_unnumbered(&self, messages: u64) {
        self.history.unnumbered.fetch_add(messages, Ordering::Relaxed);
    }
}
