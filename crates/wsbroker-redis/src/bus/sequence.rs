//! The numbers of received messages: they show what is missing, and what has arrived twice.

use std::time::Instant;

use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    bus_envelope::{EnvelopeHead, InstanceId},
    publish_queue::ChannelKey,
};

/// Instances that are remembered for one channel. Anyone who can publish on the Redis can make some
/// up, and each emitter is one. Beyond that, the one that was silent longest is forgotten: counting
/// begins again at its next message.
const MAX: usize = 1024;

/// How far a number may be from the expected one to be believed at once. Otherwise anyone who can
/// publish on the Redis could send the highest number, and no message of that instance would be new
/// any more. A number farther away is believed when the next envelope continues it.
const NEAR: u64 = 1 << 16;
/// The same for epochs.
const NEAR_EPOCH: u64 = 1 << 32;

/// The last number of each instance on each channel that this one listens to.
#[derive(Debug, Default)]
pub(super) struct SequenceTracker {
    channels: FxHashMap<Box<[u8]>, Vec<Source>>,
}

/// One instance's messages to one channel.
#[derive(Debug)]
struct Source {
    instance: InstanceId,
    epoch: u64,
    next: u64,
    seen: Instant,
    doubt: Option<Box<DoubtfulEnvelope>>,
}

/// An envelope whose numbers were far from the expected ones.
#[derive(Debug)]
struct DoubtfulEnvelope {
    epoch: u64,
    first: u64,
    next: u64,
}

/// What the numbers of an envelope say.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct SequenceCheck {
    /// Messages that are missing before it.
    pub(super) missed: u64,
    /// Messages at its start that have arrived before.
    pub(super) known: u64,
}

impl SequenceTracker {
    /// An envelope with this many messages has arrived. On a new channel, or from a new instance,
    /// nothing can be missing: counting begins at the first message.
    pub(super) fn arrived(&mut self, channel: &[u8], head: EnvelopeHead, messages: u64, now: Instant) -> SequenceCheck {
        let end = head.first.saturating_add(messages);
        let sources = match self.channels.get_mut(channel) {
            Some(sources) => sources,
            None => self.channels.entry(channel.into()).or_default(),
        };
        let Some(source) = sources.iter_mut().find(|source| source.instance == head.instance) else {
            let source = Source::new(head, end, now);
            let oldest = if sources.len() < MAX { None } else { sources.iter_mut().min_by_key(|source| source.seen) };
            match oldest {
                Some(oldest) => *oldest = source,
                None => sources.push(source),
            }
            return SequenceCheck::default();
        };
        source.arrived(head, messages, end, now)
    }

    /// This instance no longer listens to the channel.
    pub(super) fn forget(&mut self, channel: &[u8]) {
        self.channels.remove(channel);
        if self.channels.capacity() > 1024 && self.channels.len() * 8 < self.channels.capacity() {
            self.channels.shrink_to_fit();
        }
    }

    /// This instance listens to these channels only.
    pub(super) fn keep(&mut self, channels: &[ChannelKey]) {
        let kept: FxHashSet<&[u8]> = channels.iter().map(|name| &**name).collect();
        self.channels.retain(|name, _| kept.contains(&**name));
    }

    /// Forgets instances that have sent nothing since.
    pub(super) fn expire(&mut self, before: Instant) {
        self.channels.retain(|_, sources| {
            sources.retain(|source| source.seen >= before);
            !sources.is_empty()
        });
    }
}

impl Source {
    fn new(head: EnvelopeHead, next: u64, now: Instant) -> Self {
        Self { instance: head.instance, epoch: head.epoch, next, seen: now, doubt: None }
    }

    fn arrived(&mut self, head: EnvelopeHead, messages: u64, end: u64, now: Instant) -> SequenceCheck {
        self.seen = now;
        if self.is_far(head) {
            return self.doubted(head, end);
        }
        self.doubt = None;
        if head.epoch < self.epoch {
            return SequenceCheck { missed: 0, known: messages };
        }
        if head.epoch > self.epoch {
            // The counter of the sender has expired meanwhile.
            (self.epoch, self.next) = (head.epoch, end);
            return SequenceCheck::default();
        }
        let arrival = SequenceCheck {
            missed: head.first.saturating_sub(self.next),
            known: self.next.saturating_sub(head.first).min(messages),
        };
        self.next = self.next.max(end);
        arrival
    }

    fn is_far(&self, head: EnvelopeHead) -> bool {
        let far = |number: u64, expected: u64, near: u64| number.abs_diff(expected) > near;
        far(head.epoch, self.epoch, NEAR_EPOCH) || (head.epoch == self.epoch && far(head.first, self.next, NEAR))
    }

    /// The envelope is delivered. Its numbers count when the next one continues it.
    fn doubted(&mut self, head: EnvelopeHead, end: u64) -> SequenceCheck {
        let continues = |doubt: &DoubtfulEnvelope| doubt.epoch == head.epoch && doubt.next == head.first;
        let Some(doubt) = self.doubt.take().filter(|doubt| continues(doubt)) else {
            self.doubt = Some(Box::new(DoubtfulEnvelope { epoch: head.epoch, first: head.first, next: end }));
            return SequenceCheck::default();
        };
        let missed = if doubt.epoch == self.epoch { doubt.first.saturating_sub(self.next) } else { 0 };
        (self.epoch, self.next) = (doubt.epoch, end);
        SequenceCheck { missed, known: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(instance: u64, epoch: u64, first: u64) -> EnvelopeHead {
        EnvelopeHead { instance: InstanceId(instance), epoch, first }
    }

    #[test]
    fn gaps_and_doubles_show() {
        let mut incoming = SequenceTracker::default();
        let now = Instant::now();
        let mut arrive = |head, messages| {
            let SequenceCheck { missed, known } = incoming.arrived(b"room", head, messages, now);
            (missed, known)
        };
        assert_eq!(arrive(head(1, 1, 40), 2), (0, 0), "counting begins with the first");
        assert_eq!(arrive(head(1, 1, 42), 1), (0, 0));
        assert_eq!(arrive(head(1, 1, 45), 3), (2, 0));
        assert_eq!(arrive(head(1, 1, 46), 3), (0, 2), "the last of them is new");
        assert_eq!(arrive(head(1, 1, 40), 2), (0, 2));
        assert_eq!(arrive(head(2, 9, 1), 1), (0, 0), "another instance");
        assert_eq!(arrive(head(1, 2, 1), 1), (0, 0), "another epoch is no gap");
        assert_eq!(arrive(head(1, 1, 49), 1), (0, 1), "what is left of an old one is late");
        assert_eq!(arrive(head(1, 2, 3), 1), (1, 0));
        assert_eq!(arrive(head(3, 1, u64::MAX), 5), (0, 0), "no number is too large");
        assert_eq!(arrive(head(3, 1, u64::MAX), 5), (0, 0));
    }

    /// Gaps and doubles of these envelopes of one instance: epoch, first number, messages.
    fn told(envelopes: &[(u64, u64, u64)]) -> Vec<(u64, u64)> {
        let mut incoming = SequenceTracker::default();
        let now = Instant::now();
        let arrivals = envelopes.iter().map(|&(epoch, first, messages)| {
            let SequenceCheck { missed, known } = incoming.arrived(b"room", head(1, epoch, first), messages, now);
            (missed, known)
        });
        arrivals.collect()
    }

    #[test]
    fn a_forged_number_or_epoch_silences_nobody() {
        let last = u64::MAX;
        assert_eq!(told(&[(1, 1, 1), (1, last, 1), (1, 2, 1), (1, 4, 1)]), [(0, 0), (0, 0), (0, 0), (1, 0)]);
        assert_eq!(told(&[(1, 1, 1), (last, 1, 1), (1, 2, 1), (1, 2, 1)]), [(0, 0), (0, 0), (0, 0), (0, 1)]);
        assert_eq!(
            told(&[(1, last, 1), (1, 2, 1), (1, 3, 1), (1, 5, 1)]),
            [(0, 0), (0, 0), (0, 0), (1, 0)],
            "the first heard of"
        );
        assert_eq!(told(&[(last, 1, 1), (3, 2, 1), (3, 3, 1), (3, 5, 1)]), [(0, 0), (0, 0), (0, 0), (1, 0)]);
    }

    #[test]
    fn a_large_gap_is_told_when_the_next_envelope_continues_behind_it() {
        let far = NEAR + 2;
        assert_eq!(told(&[(1, 1, 1), (1, far, 1)]), [(0, 0), (far - 2, 0)], "not too large");
        assert_eq!(told(&[(1, 1, 1), (1, far + 1, 2), (1, far + 3, 1)]), [(0, 0), (0, 0), (far - 1, 0)]);
        assert_eq!(told(&[(1, 1, 1), (1, far + 1, 2), (1, far + 9, 1), (1, far + 10, 1)])[2..], [(0, 0), (far + 7, 0)]);
    }

    #[test]
    fn what_is_not_listened_to_is_not_counted() {
        let mut incoming = SequenceTracker::default();
        let start = Instant::now();
        incoming.arrived(b"room", head(1, 1, 1), 1, start);
        incoming.forget(b"room");
        assert_eq!(incoming.arrived(b"room", head(1, 1, 9), 1, start), SequenceCheck::default());
        incoming.expire(start + std::time::Duration::from_secs(1));
        assert!(incoming.channels.is_empty());
    }

    #[test]
    fn what_was_given_up_while_there_was_no_bus_is_not_counted() {
        let mut incoming = SequenceTracker::default();
        let now = Instant::now();
        for room in [&b"kept"[..], b"given up"] {
            incoming.arrived(room, head(1, 1, 1), 1, now);
        }
        incoming.keep(&[(&b"kept"[..]).into()]);
        assert_eq!(incoming.arrived(b"given up", head(1, 1, 9), 1, now), SequenceCheck::default());
        assert_eq!(incoming.arrived(b"kept", head(1, 1, 9), 1, now).missed, 7);
    }

    #[test]
    fn instances_that_are_remembered_are_bounded() {
        let mut incoming = SequenceTracker::default();
        let start = Instant::now();
        for number in 0..2 * MAX as u64 {
            let now = start + std::time::Duration::from_millis(number);
            incoming.arrived(b"room", head(7, 1, number + 1), 1, now);
            incoming.arrived(b"room", head(1000 + number, 1, 1), 1, now);
        }
        assert_eq!(incoming.channels[&b"room"[..]].len(), MAX);
        assert_eq!(
            incoming.arrived(b"room", head(7, 1, 2 * MAX as u64 + 3), 1, start).missed,
            2,
            "an instance that speaks is kept"
        );
    }
}
