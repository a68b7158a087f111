//! Events that a bus has reported and that wait for their listener. They are bounded, however long
//! it takes.

use bytes::Bytes;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use super::BusEvent;

/// Gaps in up to this many channels are reported one by one.
const SINGLY: usize = 100;
/// Channels whose names are kept, and bytes of these names. For others only the messages are
/// counted.
const MAX_NAMES: (usize, usize) = (10_000, 1 << 20);
/// Changes between ready and lost that are kept. Beyond that, only the last one is.
const MAX_CHANGES: usize = 64;

/// Events for a listener that takes them on a thread of its own, in its own time.
///
/// Gaps since the last change between ready and lost are put together: one for each channel, or, of
/// more than 100 channels, one [`BusEvent::Gaps`].
#[derive(Debug, Default)]
pub struct BusEvents(Mutex<PendingEvents>);

#[derive(Debug, Default)]
struct PendingEvents {
    /// In the order of the events.
    entries: Vec<PendingEvent>,
    changes: usize,
}

#[derive(Debug)]
enum PendingEvent {
    Change(BusEvent),
    Gaps(Gaps),
}

/// Messages that are missing, here or elsewhere.
#[derive(Debug, Default)]
struct Gaps {
    channels: FxHashMap<Bytes, u64>,
    names: usize,
    /// Gaps in channels whose names are not kept, and the messages missing there.
    others: (u64, u64),
    /// Messages of this instance that did not leave.
    dropped: u64,
}

impl BusEvents {
    /// Adds an event. True when nothing waited, so that the listener has to be woken.
    pub fn push(&self, event: BusEvent) -> bool {
        let mut pending = self.0.lock();
        let wake = pending.entries.is_empty();
        match event {
            BusEvent::Gap { channel, missed } => pending.gaps().add(channel, missed),
            BusEvent::Dropped { messages } => {
                let gaps = pending.gaps();
                gaps.dropped = gaps.dropped.saturating_add(messages);
            }
            // A warning must not replace the last change.
            BusEvent::Warning { .. } if pending.changes >= MAX_CHANGES => {}
            change => pending.change(change),
        }
        wake
    }

    /// Takes everything that waits, in order.
    pub fn take(&self) -> Vec<BusEvent> {
        let PendingEvents { entries, .. } = std::mem::take(&mut *self.0.lock());
        let mut events = Vec::new();
        for entry in entries {
            match entry {
                PendingEvent::Change(event) => events.push(event),
                PendingEvent::Gaps(gaps) => gaps.tell(&mut events),
            }
        }
        events
    }
}

impl PendingEvents {
    /// The gaps since the last change.
    fn gaps(&mut self) -> &mut Gaps {
        if !matches!(self.entries.last(), Some(PendingEvent::Gaps(_))) {
            self.entries.push(PendingEvent::Gaps(Gaps::default()));
        }
        match self.entries.last_mut() {
            Some(PendingEvent::Gaps(gaps)) => gaps,
            // It was pushed above.
            _ => unreachable!(),
        }
    }

    fn change(&mut self, event: BusEvent) {
        if self.changes < MAX_CHANGES {
            self.changes += 1;
            self.entries.push(PendingEvent::Change(event));
            return;
        }
        // This one replaces the last. The gaps before and after that become one.
        let gaps = self.entries.pop_if(|entry| matches!(entry, PendingEvent::Gaps(_)));
        self.entries.pop();
        if let Some(PendingEvent::Gaps(later)) = gaps {
            self.gaps().merge(later);
        }
        self.entries.push(PendingEvent::Change(event));
    }
}

impl Gaps {
    fn add(&mut self, channel: Bytes, missed: u64) {
        if let Some(known) = self.channels.get_mut(&channel) {
            *known = known.saturating_add(missed);
        } else if self.channels.len() < MAX_NAMES.0 && self.names + channel.len() <= MAX_NAMES.1 {
            self.names += channel.len();
            self.channels.insert(channel, missed);
        } else {
            self.others = (self.others.0.saturating_add(1), self.others.1.saturating_add(missed));
        }
    }

    fn merge(&mut self, later: Self) {
        for (channel, missed) in later.channels {
            self.add(channel, missed);
        }
        self.others.0 = self.others.0.saturating_add(later.others.0);
        self.others.1 = self.others.1.saturating_add(later.others.1);
        self.dropped = self.dropped.saturating_add(later.dropped);
    }

    fn tell(self, events: &mut Vec<BusEvent>) {
        let Self { channels, others, dropped, .. } = self;
        if channels.len() <= SINGLY && others.0 == 0 {
            events.extend(channels.into_iter().map(|(channel, missed)| BusEvent::Gap { channel, missed }));
        } else {
            let missed = channels.values().fold(others.1, |sum, missed| sum.saturating_add(*missed));
            let count = others.0.saturating_add(channels.len() as u64);
            events.push(BusEvent::Gaps { count, missed, channels: channels.into_keys().collect() });
        }
        if dropped > 0 {
            events.push(BusEvent::Dropped { messages: dropped });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gap(channel: &str, missed: u64) -> BusEvent {
        BusEvent::Gap { channel: Bytes::copy_from_slice(channel.as_bytes()), missed }
    }

    fn lost(reason: &str) -> BusEvent {
        BusEvent::Lost { reason: reason.into() }
    }

    #[test]
    fn gaps_of_one_channel_are_put_together_between_changes() {
        let events = BusEvents::default();
        assert!(events.push(gap("a", 1)), "the first wakes");
        for event in [
            gap("a", 2),
            lost("so"),
            BusEvent::Dropped { messages: 3 },
            gap("a", 5),
            BusEvent::Dropped { messages: 4 },
            BusEvent::Ready,
        ] {
            assert!(!events.push(event));
        }
        let expected = [gap("a", 3), lost("so"), gap("a", 5), BusEvent::Dropped { messages: 7 }, BusEvent::Ready];
        assert_eq!(events.take(), expected);
        assert!(events.take().is_empty() && events.push(BusEvent::Ready), "the next wakes again");
    }

    #[test]
    fn gaps_of_more_than_a_hundred_channels_are_one_event() {
        let events = BusEvents::default();
        for n in 0..100 {
            events.push(gap(&n.to_string(), 1));
        }
        assert_eq!(events.take().len(), 100);
        for n in 0..101 {
            events.push(gap(&n.to_string(), 2));
        }
        let mut told = events.take();
        let Some(BusEvent::Gaps { count: 101, missed: 202, channels }) = told.pop() else { panic!("{told:?}") };
        assert!(channels.len() == 101 && told.is_empty());
    }

    #[test]
    fn what_waits_is_bounded_and_nothing_missing_is_forgotten() {
        let events = BusEvents::default();
        for round in 0..1000_u64 {
            for n in 0..50 {
                events.push(gap(&format!("{round} {n}"), 1));
            }
            events.push(BusEvent::Dropped { messages: 1 });
            events.push(if round % 2 == 0 { lost("so") } else { BusEvent::Ready });
        }
        events.push(BusEvent::Warning { reason: "split".into() });
        let kept: usize = events
            .0
            .lock()
            .entries
            .iter()
            .map(|told| if let PendingEvent::Gaps(gaps) = told { gaps.channels.len() } else { 1 })
            .sum();
        assert!(kept <= MAX_NAMES.0 + 50 * MAX_CHANGES + MAX_CHANGES, "{kept}");
        let told = events.take();
        assert_eq!(told.last(), Some(&BusEvent::Ready), "how it stands");
        let (mut missed, mut dropped) = (0, 0);
        for event in told {
            match event {
                BusEvent::Gap { missed: more, .. } | BusEvent::Gaps { missed: more, .. } => missed += more,
                BusEvent::Dropped { messages } => dropped += messages,
                _ => {}
            }
        }
        assert_eq!((missed, dropped), (50_000, 1000));
        events.push(gap(&"x".repeat(MAX_NAMES.1 + 1), 1));
        let [BusEvent::Gaps { count: 1, missed: 1, channels }] = &events.take()[..] else {
            panic!("a name too long to keep")
        };
        assert!(channels.is_empty());
    }
}
