//! What waits to be published on the bus: numbered, gathered by channel, and bounded.
//!
//! While nothing is under way, a message leaves at once. Otherwise the messages to one channel
//! gather and leave as one envelope, so that a busier bus takes fewer commands. No message waits
//! only to be joined by others.

use std::{collections::VecDeque, sync::Arc, time::Instant};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::sync::oneshot;
use wsbroker_core::{CloseCode, MessageForm};

use super::bus_envelope::{self, EnvelopeHead, InstanceId, MAX_HEAD, MAX_PREFIX};
use crate::server::reply_limit::LONGEST_REPLY;

/// An envelope of this many bytes takes no more messages: it must not hold up others.
const FULL: usize = 32 << 10;
/// A longer message never leaves, since no instance would read it. The rest is room for the
/// envelope.
const LONGEST: usize = LONGEST_REPLY - (1 << 20);
/// About what an envelope costs besides its bytes. It bounds empty messages, too.
const OVERHEAD: usize = 128;

/// Channels whose counters are kept, and bytes of their names. Beyond either, the half that was
/// published to longest ago is forgotten, as if it had expired.
const MAX_COUNTERS: (usize, usize) = (1 << 17, 16 << 20);

/// A channel's name, shared by the tables and the envelopes.
pub(super) type ChannelKey = Arc<[u8]>;

/// Gets Redis's answer to a message: the reason, if it was refused. Dropped if there is no answer.
pub(super) type Waiter = oneshot::Sender<Result<(), String>>;

/// Messages that Redis has refused.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Refused {
    pub(super) messages: u64,
    /// Why it has refused one of them.
    pub(super) reason: Option<String>,
}

impl Refused {
    pub(super) fn add(&mut self, other: Self) {
        self.messages += other.messages;
        self.reason = other.reason.or(self.reason.take());
    }
}

/// An envelope with the channel it goes to.
#[derive(Debug)]
pub(super) struct AddressedEnvelope {
    /// The name of the channel, without the prefix; or of what instance messages arrive on,
    /// complete.
    pub(super) channel: ChannelKey,
    /// It is for instances, and not for subscribers of a channel.
    pub(super) is_instance_message: bool,
    pub(super) bytes: Vec<u8>,
    /// Messages in the envelope.
    pub(super) messages: u64,
    pub(super) waiters: Vec<Waiter>,
}

/// The messages of this instance that wait for the bus. Any thread may publish, and any may take.
#[derive(Debug)]
pub(super) struct PublishQueue {
    instance: InstanceId,
    limit: usize,
    state: Mutex<PublishQueueState>,
}

#[derive(Debug, Default)]
struct PublishQueueState {
    counters: FxHashMap<ChannelKey, ChannelCounter>,
    /// Bytes of their names.
    names: usize,
    /// Counters added since room was last made, and bytes of their names.
    added: (usize, usize),
    /// Channels with an open envelope, in the order of its first message.
    open: Vec<ChannelKey>,
    /// Envelopes that take no more messages.
    full: VecDeque<AddressedEnvelope>,
    bytes: usize,
    last_epoch: u64,
    /// The bus is lost: everything is numbered, counted and dropped.
    closed: bool,
    dropped: u64,
}

/// One channel: the next number, and the envelope that is open.
#[derive(Debug)]
struct ChannelCounter {
    epoch: u64,
    next: u64,
    envelope: Vec<u8>,
    messages: u64,
    waiters: Vec<Waiter>,
    used: Instant,
}

/// What became of a publish.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Queued {
    /// It waits, and something else waited before.
    Yes,
    /// It is the first that waits.
    First,
    /// It was dropped: too much waits already, it is too long, or the bus is lost. Receivers will
    /// see the gap.
    Dropped,
}

impl PublishQueue {
    /// `limit`: bytes that may wait.
    pub(super) fn new(instance: InstanceId, limit: usize) -> Self {
        // Closed until the bus is ready.
        Self { instance, limit, state: Mutex::new(PublishQueueState { closed: true, ..PublishQueueState::default() }) }
    }

    /// Numbers a message and puts it into the queue, with the waiter for its answer, if there is
    /// one.
    pub(super) fn publish(&self, channel: &[u8], form: MessageForm, payload: &[u8], waiter: Option<Waiter>) -> Queued {
        let mut state = self.state.lock();
        let size = payload.len() + MAX_PREFIX;
        if size > LONGEST || !state.has_room(size, self.limit) {
            state.number(channel);
            state.dropped += 1;
            return Queued::Dropped;
        }
        let first = state.is_empty();
        let instance = self.instance;
        let (name, counter) = state.counter(channel);
        let before = counter.envelope.len();
        let opened = before == 0;
        if opened {
            counter.envelope.reserve(MAX_HEAD + size);
            EnvelopeHead { instance, epoch: counter.epoch, first: counter.next }.write(&mut counter.envelope);
        }
        bus_envelope::write_message(form, payload, &mut counter.envelope);
        counter.next += 1;
        counter.messages += 1;
        counter.waiters.extend(waiter);
        let Some(counter) = state.counters.get_mut(&name) else { return Queued::Dropped };
        let (after, envelope) = (counter.envelope.len(), counter.close_if_full(&name));
        state.bytes += after - before;
        if opened {
            state.bytes += OVERHEAD;
        }
        match envelope {
            Some(envelope) => {
                state.full.push_back(envelope);
                if !opened {
                    state.open.retain(|open| *open != name);
                }
            }
            None if opened => state.open.push(name),
            None => {}
        }
        if first { Queued::First } else { Queued::Yes }
    }

    /// Takes a number for a message that will not be published, and counts it as dropped.
    pub(super) fn skip(&self, channel: &[u8]) {
        let mut state = self.state.lock();
        state.number(channel);
        state.dropped += 1;
    }

    /// Puts a request to close the channel's subscribers into the queue, behind its messages.
    pub(super) fn close(&self, channel: &[u8], code: CloseCode, reason: &str) -> Queued {
        let mut state = self.state.lock();
        let mut bytes = Vec::with_capacity(MAX_HEAD + 2 + reason.len());
        let instance = self.instance;
        if !state.has_room(bytes.capacity(), self.limit) {
            state.number(channel);
            state.dropped += 1;
            return Queued::Dropped;
        }
        let first = state.is_empty();
        let (name, counter) = state.counter(channel);
        let waiting = counter.close_envelope(&name);
        EnvelopeHead { instance, epoch: counter.epoch, first: counter.next }.write_close(code, reason, &mut bytes);
        counter.next += 1;
        state.bytes += bytes.len() + OVERHEAD;
        if let Some(waiting) = waiting {
            state.open.retain(|open| *open != name);
            state.full.push_back(waiting);
        }
        state.full.push_back(AddressedEnvelope {
            channel: name,
            is_instance_message: false,
            bytes,
            messages: 1,
            waiters: Vec::new(),
        });
        if first { Queued::First } else { Queued::Yes }
    }

    /// Puts a message to instances into the queue. It has no number, and nobody misses it.
    pub(super) fn publish_instance_message(&self, on_bus: &[u8], envelope: Vec<u8>) -> Queued {
        let mut state = self.state.lock();
        if !state.has_room(envelope.len(), self.limit) {
            return Queued::Dropped;
        }
        let first = state.is_empty();
        state.bytes += envelope.len() + OVERHEAD;
        state.full.push_back(AddressedEnvelope {
            channel: on_bus.into(),
            is_instance_message: true,
            bytes: envelope,
            messages: 0,
            waiters: Vec::new(),
        });
        if first { Queued::First } else { Queued::Yes }
    }

    /// Takes everything that waits. The order within each channel is kept.
    pub(super) fn take(&self) -> Vec<AddressedEnvelope> {
        self.state.lock().take()
    }

    /// The bus is ready: from now on messages are taken.
    pub(super) fn open(&self) {
        self.state.lock().closed = false;
    }

    /// The bus is lost: what waits is dropped, and so is everything from now on. Returns the number
    /// of messages that waited.
    pub(super) fn close_down(&self) -> u64 {
        // One lock for both: what is published in between would stay in the closed queue, and leave
        // after the outage.
        let mut state = self.state.lock();
        state.closed = true;
        let envelopes = state.take();
        let lost = envelopes.iter().map(|envelope| envelope.messages).sum();
        state.dropped += lost;
        lost
    }

    /// Forgets the counters of channels that nothing was published to since. Their next message
    /// begins a new epoch.
    pub(super) fn expire(&self, before: Instant) {
        self.state.lock().expire(before);
    }

    /// Messages that were dropped so far.
    pub(super) fn dropped(&self) -> u64 {
        self.state.lock().dropped
    }

    /// Bytes that wait.
    pub(super) fn bytes(&self) -> usize {
        self.state.lock().bytes
    }
}

impl PublishQueueState {
    fn is_empty(&self) -> bool {
        self.open.is_empty() && self.full.is_empty()
    }

    fn take(&mut self) -> Vec<AddressedEnvelope> {
        let mut envelopes: Vec<AddressedEnvelope> = self.full.drain(..).collect();
        for name in std::mem::take(&mut self.open) {
            if let Some(counter) = self.counters.get_mut(&name) {
                envelopes.extend(counter.close_envelope(&name));
            }
        }
        self.bytes = 0;
        envelopes
    }

    /// A message larger than the limit passes when nothing else waits.
    fn has_room(&self, size: usize, limit: usize) -> bool {
        !self.closed && (self.is_empty() || self.bytes.saturating_add(size + OVERHEAD) <= limit)
    }

    /// Takes a number for a message that will not be sent, so that receivers see the gap.
    fn number(&mut self, channel: &[u8]) {
        // Nobody misses a message to a channel without a counter: receivers begin with the next
        // one.
        let Some(name) = self.counters.get_key_value(channel).map(|(name, _)| Arc::clone(name)) else { return };
        let Some(counter) = self.counters.get_mut(channel) else { return };
        counter.next += 1;
        // The open envelope must end before the gap.
        if let Some(envelope) = counter.close_envelope(&name) {
            self.full.push_back(envelope);
            self.open.retain(|open| *open != name);
        }
    }

    fn expire(&mut self, before: Instant) {
        self.counters.retain(|_, counter| !counter.envelope.is_empty() || counter.used >= before);
        self.names = self.counters.keys().map(|name| name.len()).sum();
        if self.counters.capacity() > 64 && self.counters.len() * 8 < self.counters.capacity() {
            self.counters.shrink_to_fit();
        }
    }

    /// Makes room for one more counter. Counters with an open envelope stay: the limit of what may
    /// wait bounds their number.
    fn make_room(&mut self, name: &ChannelKey) {
        let (counters, names) = MAX_COUNTERS;
        self.added = (self.added.0 + 1, self.added.1 + name.len());
        let over = self.counters.len() >= counters || self.names + name.len() > names;
        // A look at all of them pays only when it can remove many.
        if !over || (self.added.0 < counters / 4 && self.added.1 < names / 4) {
            return;
        }
        self.added = (0, 0);
        let mut used: Vec<Instant> = self.counters.values().map(|counter| counter.used).collect();
        let half = used.len() / 2;
        if half > 0 {
            let (_, median, _) = used.select_nth_unstable(half);
            let median = *median;
            self.expire(median);
        }
    }

    fn counter(&mut self, channel: &[u8]) -> (ChannelKey, &mut ChannelCounter) {
        let name: ChannelKey = match self.counters.get_key_value(channel) {
            Some((name, _)) => Arc::clone(name),
            None => {
                let name: ChannelKey = channel.into();
                self.make_room(&name);
                self.names += name.len();
                name
            }
        };
        let now = Instant::now();
        let counter = self.counters.entry(Arc::clone(&name)).or_insert_with(|| {
            self.last_epoch += 1;
            ChannelCounter {
                epoch: self.last_epoch,
                next: 1,
                envelope: Vec::new(),
                messages: 0,
                waiters: Vec::new(),
                used: now,
            }
        });
        counter.used = now;
        (name, counter)
    }
}

impl ChannelCounter {
    fn close_if_full(&mut self, name: &ChannelKey) -> Option<AddressedEnvelope> {
        if self.envelope.len() < FULL { None } else { self.close_envelope(name) }
    }

    fn close_envelope(&mut self, name: &ChannelKey) -> Option<AddressedEnvelope> {
        if self.envelope.is_empty() {
            return None;
        }
        Some(AddressedEnvelope {
            channel: Arc::clone(name),
            is_instance_message: false,
            bytes: std::mem::take(&mut self.envelope),
            messages: std::mem::take(&mut self.messages),
            waiters: std::mem::take(&mut self.waiters),
        })
    }
}

#[cfg(test)]
mod tests {
    use wsbroker_core::{Compress, MessageKind};

    use super::{super::bus_envelope::BusEnvelope, *};

    fn outgoing(limit: usize) -> PublishQueue {
        let outgoing = PublishQueue::new(InstanceId(7), limit);
        outgoing.open();
        outgoing
    }

    /// Channel, first number, payloads.
    fn read(envelopes: &[AddressedEnvelope]) -> Vec<(String, u64, Vec<String>)> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        envelopes
            .iter()
            .map(|envelope| match BusEnvelope::read(&envelope.bytes).unwrap() {
                BusEnvelope::Messages(head, messages) => {
                    let payloads: Vec<_> = messages.map(|(_, payload)| text(payload)).collect();
                    assert_eq!(payloads.len() as u64, envelope.messages);
                    (text(&envelope.channel), head.first, payloads)
                }
                other @ (BusEnvelope::InstanceMessage(..)
                | BusEnvelope::Numbered(..)
                | BusEnvelope::Deleted(..)
                | BusEnvelope::CloseNumbered(..)) => panic!("{other:?} was not sent"),
                BusEnvelope::Close(head, code, reason) => {
                    (text(&envelope.channel), head.first, vec![format!("close {} {reason}", code.get())])
                }
            })
            .collect()
    }

    fn say(outgoing: &PublishQueue, channel: &str, text: &str) -> Queued {
        let form = MessageForm { kind: MessageKind::Text, compress: Compress::Auto };
        outgoing.publish(channel.as_bytes(), form, text.as_bytes(), None)
    }

    fn entry(channel: &str, first: u64, payloads: &[&str]) -> (String, u64, Vec<String>) {
        (channel.into(), first, payloads.iter().map(|payload| (*payload).into()).collect())
    }

    #[test]
    fn what_comes_for_one_channel_is_gathered_in_order() {
        let outgoing = outgoing(1 << 20);
        assert_eq!(say(&outgoing, "a", "1"), Queued::First);
        assert_eq!(say(&outgoing, "b", "2"), Queued::Yes);
        assert_eq!(say(&outgoing, "a", "3"), Queued::Yes);
        assert_eq!(read(&outgoing.take()), [entry("a", 1, &["1", "3"]), entry("b", 1, &["2"])]);
        assert_eq!(outgoing.bytes(), 0);
        assert_eq!(say(&outgoing, "a", "4"), Queued::First);
        assert_eq!(read(&outgoing.take()), [entry("a", 3, &["4"])]);
    }

    #[test]
    fn a_full_envelope_goes_before_what_comes_behind_it() {
        let outgoing = outgoing(1 << 20);
        let large = "x".repeat(FULL);
        say(&outgoing, "a", "1");
        say(&outgoing, "a", &large);
        say(&outgoing, "a", "3");
        outgoing.close(b"a", CloseCode::RESTART, "so");
        say(&outgoing, "a", "5");
        let envelopes = read(&outgoing.take());
        let expected = [
            entry("a", 1, &["1", &large]),
            entry("a", 3, &["3"]),
            entry("a", 4, &["close 1012 so"]),
            entry("a", 5, &["5"]),
        ];
        assert_eq!(envelopes, expected);
    }

    #[test]
    fn beyond_the_limit_a_message_leaves_its_number_behind() {
        let outgoing = outgoing(1000);
        say(&outgoing, "a", "1");
        assert_eq!(say(&outgoing, "a", &"x".repeat(1000)), Queued::Dropped);
        assert_eq!(say(&outgoing, "a", "3"), Queued::Yes);
        assert_eq!(read(&outgoing.take()), [entry("a", 1, &["1"]), entry("a", 3, &["3"])]);
        assert_eq!(outgoing.dropped(), 1);
        assert_eq!(say(&outgoing, "a", &"x".repeat(5000)), Queued::First, "alone, a large one passes");
        assert_eq!(outgoing.take().len(), 1);
        assert_eq!(
            say(&outgoing, "a", &"x".repeat(LONGEST)),
            Queued::Dropped,
            "but nobody would read a longer one than this"
        );
        let empty = (0..1000).filter(|n| say(&outgoing, &n.to_string(), "") == Queued::Dropped).count();
        assert!(empty > 900, "empty messages are bounded too");
    }

    #[test]
    fn what_is_said_while_the_bus_is_lost_is_missing_afterwards() {
        let outgoing = outgoing(1 << 20);
        say(&outgoing, "a", "1");
        outgoing.take();
        say(&outgoing, "a", "2");
        assert_eq!(outgoing.close_down(), 1);
        assert_eq!(say(&outgoing, "a", "3"), Queued::Dropped);
        outgoing.open();
        say(&outgoing, "a", "4");
        assert_eq!(read(&outgoing.take()), [entry("a", 4, &["4"])]);
        assert_eq!(outgoing.dropped(), 2);
    }

    fn epoch(envelopes: &[AddressedEnvelope]) -> (u64, u64) {
        match BusEnvelope::read(&envelopes[0].bytes).unwrap() {
            BusEnvelope::Messages(head, _) => (head.epoch, head.first),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_published_while_the_bus_goes_down_does_not_go_out_after_the_outage() {
        let outgoing = outgoing(1 << 30);
        for _ in 0..60 {
            outgoing.open();
            std::thread::scope(|scope| {
                let publisher = scope.spawn(|| {
                    let (mut queued, mut dropped) = (0_u64, 0);
                    while dropped < 10 {
                        match say(&outgoing, "a", "") {
                            Queued::Dropped => dropped += 1,
                            Queued::First | Queued::Yes => queued += 1,
                        }
                    }
                    queued
                });
                while outgoing.bytes() == 0 {
                    std::hint::spin_loop();
                }
                let lost = outgoing.close_down();
                assert_eq!(publisher.join().unwrap(), lost, "each is counted");
            });
            assert_eq!(outgoing.bytes(), 0);
            assert!(outgoing.take().is_empty());
        }
    }

    #[test]
    fn a_close_that_is_lost_is_counted_and_leaves_its_number_behind() {
        let outgoing = outgoing(1 << 20);
        say(&outgoing, "a", "1");
        outgoing.take();
        outgoing.close_down();
        assert_eq!(outgoing.close(b"a", CloseCode::RESTART, ""), Queued::Dropped);
        assert_eq!(outgoing.dropped(), 1);
        outgoing.open();
        say(&outgoing, "a", "3");
        assert_eq!(read(&outgoing.take()), [entry("a", 3, &["3"])]);
    }

    #[test]
    fn what_an_envelope_costs_besides_its_bytes_counts_once() {
        let outgoing = outgoing(1 << 20);
        say(&outgoing, "a", "1");
        let one = outgoing.bytes();
        assert!(one > OVERHEAD && one < OVERHEAD + 64, "{one}");
        say(&outgoing, "a", "2");
        assert!(outgoing.bytes() < one + 16, "it joins the first");
        say(&outgoing, "b", "1");
        assert!(outgoing.bytes() > 2 * OVERHEAD);
    }

    #[test]
    fn a_busy_channel_keeps_its_epoch() {
        let outgoing = outgoing(1 << 20);
        say(&outgoing, "a", "1");
        outgoing.take();
        let between = Instant::now();
        say(&outgoing, "a", "2");
        outgoing.take();
        outgoing.expire(between);
        say(&outgoing, "a", "3");
        assert_eq!(epoch(&outgoing.take()), (1, 3));
    }

    #[test]
    fn numbers_of_channels_are_bounded_and_those_in_use_are_kept() {
        let outgoing = outgoing(1 << 20);
        say(&outgoing, "busy", "1");
        for number in 0..3 * MAX_COUNTERS.0 {
            say(&outgoing, &number.to_string(), "");
            if number % 1000 == 0 {
                say(&outgoing, "busy", "");
                outgoing.take();
            }
        }
        let kept = outgoing.state.lock().counters.len();
        assert!(kept <= MAX_COUNTERS.0 * 3 / 2, "{kept}");
        outgoing.take();
        say(&outgoing, "busy", "");
        assert_eq!(epoch(&outgoing.take()).0, 1);
        let long = "x".repeat(MAX_COUNTERS.1 / 8);
        for number in 0..100_u32 {
            say(&outgoing, &format!("{number} {long}"), "");
            outgoing.take();
        }
        let names = outgoing.state.lock().names;
        assert!(names <= MAX_COUNTERS.1 * 2, "{names}");
    }

    #[test]
    fn what_is_not_published_at_all_is_missing_afterwards_too() {
        let outgoing = outgoing(1 << 20);
        outgoing.skip(b"a");
        say(&outgoing, "a", "1");
        outgoing.skip(b"a");
        say(&outgoing, "a", "3");
        assert_eq!(read(&outgoing.take()), [entry("a", 1, &["1"]), entry("a", 3, &["3"])]);
        assert_eq!(outgoing.dropped(), 2);
    }

    #[test]
    fn numbers_of_idle_channels_expire_with_their_epoch() {
        let outgoing = outgoing(1 << 20);
        say(&outgoing, "a", "1");
        outgoing.expire(Instant::now());
        assert_eq!(epoch(&outgoing.take()), (1, 1), "what waits is kept");
        outgoing.expire(Instant::now());
        say(&outgoing, "a", "2");
        assert_eq!(epoch(&outgoing.take()), (2, 1));
    }

    #[test]
    fn an_instance_message_waits_with_the_rest_and_has_no_number() {
        let outgoing = outgoing(1000);
        assert_eq!(outgoing.publish_instance_message(b"all", vec![7; 10]), Queued::First);
        assert_eq!(outgoing.bytes(), 10 + OVERHEAD);
        assert_eq!(say(&outgoing, "a", "1"), Queued::Yes);
        assert_eq!(outgoing.publish_instance_message(b"all", vec![7; 1000]), Queued::Dropped);
        assert_eq!(outgoing.dropped(), 0, "nobody misses it");
        assert_eq!(outgoing.take().iter().filter(|one| one.is_instance_message).count(), 1);
        assert_eq!(outgoing.close_down(), 0);
        assert_eq!(outgoing.publish_instance_message(b"all", Vec::new()), Queued::Dropped);
    }

    #[test]
    fn a_message_is_as_long_as_a_reply_may_be_and_no_longer() {
        let outgoing = outgoing(1000);
        let text = "x".repeat(LONGEST);
        assert_eq!(say(&outgoing, "a", &text[MAX_PREFIX - 1..]), Queued::Dropped);
        assert_eq!(say(&outgoing, "a", &text[MAX_PREFIX..]), Queued::First);
    }

    #[test]
    fn a_message_and_what_it_costs_besides_must_fit() {
        let outgoing = outgoing(1000);
        say(&outgoing, "a", "1");
        let left = 1000 - outgoing.bytes() - OVERHEAD - MAX_PREFIX;
        assert_eq!(say(&outgoing, "b", &"x".repeat(left + 1)), Queued::Dropped);
        assert_eq!(say(&outgoing, "b", &"x".repeat(left)), Queued::Yes);
    }

    #[test]
    fn many_channels_that_expired_leave_no_memory_behind_and_half_of_them_some_room() {
        let outgoing = outgoing(1 << 20);
        let each = |channels: std::ops::Range<u32>| {
            for number in channels {
                say(&outgoing, &number.to_string(), "");
            }
            outgoing.take();
            Instant::now()
        };
        let kept = || {
            let state = outgoing.state.lock();
            (state.counters.len(), state.counters.capacity())
        };
        let old = each(0..2000);
        let new = each(2000..4000);
        let (all, room) = kept();
        assert_eq!(all, 4000);
        outgoing.expire(old);
        assert!(kept().0 == 2000 && kept().1 > room / 2, "{:?} of {room}", kept());
        outgoing.expire(new);
        assert!(kept().1 < 64, "{:?}", kept());
    }
}
