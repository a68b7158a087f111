//! What waits to be published on the bus: numbered, gathered per channel, bounded.
//!
//! While nothing is under way a message leaves at once. While something is, what comes for one channel is gathered and leaves as one envelope, so the
//! busier the bus, the fewer the commands; nobody ever waits for company.

use std::{collections::VecDeque, sync::Arc, time::Instant};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::sync::oneshot;
use wsbroker_core::{CloseCode, MessageForm};

use super::bus_envelope::{self, Head, InstanceId, MAX_HEAD, MAX_PREFIX};
use crate::server::reply_limit::LONGEST_REPLY;

/// From this many bytes on an envelope takes no more messages: it must not keep others waiting.
const FULL: usize = 32 << 10;
/// A longer message never leaves: no instance would read it. What stands around it has room.
const LONGEST: usize = LONGEST_REPLY - (1 << 20);
/// What a channel's line costs besides its bytes, about: bounds many empty messages too.
const OVERHEAD: usize = 128;

/// Channels whose numbers are kept, and bytes of their names. Beyond either, the half that was published to longest ago is forgotten, as if it had expired.
const MAX_LINES: (usize, usize) = (1 << 17, 16 << 20);

/// A channel's name, shared by what waits for it.
pub(super) type Name = Arc<[u8]>;

/// Who hears of Redis's answer to a message: why it was refused, if it was. Dropped, there is none.
pub(super) type Waiter = oneshot::Sender<Result<(), String>>;

/// What Redis did not take.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Refused {
    pub(super) messages: u64,
    /// Of one of them.
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
pub(super) struct Parcel {
    /// A channel of the application's; its name on the bus has the prefix of these.
    pub(super) channel: Name,
    /// It is none of the application's, but named already as it is on the bus.
    pub(super) is_note: bool,
    pub(super) envelope: Vec<u8>,
    /// Messages in it.
    pub(super) messages: u64,
    pub(super) waiters: Vec<Waiter>,
}

/// The messages of this instance on their way to the bus. Any thread may publish; one task takes.
#[derive(Debug)]
pub(super) struct Outgoing {
    instance: InstanceId,
    limit: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    lines: FxHashMap<Name, Line>,
    /// Bytes of the lines' names.
    names: usize,
    /// Lines that were added since there was no room for one more, and bytes of their names.
    added: (usize, usize),
    /// Channels whose line has an open envelope, in the order of its first message.
    open: Vec<Name>,
    /// Envelopes that take no more.
    full: VecDeque<Parcel>,
    bytes: usize,
    last_epoch: u64,
    /// While the bus is lost everything is numbered, counted and dropped.
    closed: bool,
    dropped: u64,
}

/// One channel as this instance publishes to it.
#[derive(Debug)]
struct Line {
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
    /// It waits, and so did something before it.
    Yes,
    /// It is the first that waits: wake whoever takes.
    First,
    /// Too much waits already, it is too long, or the bus is lost. Receivers will see the gap.
    Dropped,
}

impl Outgoing {
    /// `limit`: bytes that may wait.
    pub(super) fn new(instance: InstanceId, limit: usize) -> Self {
        // Closed until there is a bus.
        Self { instance, limit, state: Mutex::new(State { closed: true, ..State::default() }) }
    }

    /// Numbers a message and lets it wait; the `waiter` too, if there is one.
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
        let (name, line) = state.line(channel);
        let before = line.envelope.len();
        let opened = before == 0;
        if opened {
            line.envelope.reserve(MAX_HEAD + size);
            Head { instance, epoch: line.epoch, first: line.next }.write(&mut line.envelope);
        }
        bus_envelope::write_message(form, payload, &mut line.envelope);
        line.next += 1;
        line.messages += 1;
        line.waiters.extend(waiter);
        let Some(line) = state.lines.get_mut(&name) else { return Queued::Dropped };
        let (after, parcel) = (line.envelope.len(), line.close_if_full(&name));
        state.bytes += after - before;
        if opened {
            state.bytes += OVERHEAD;
        }
        match parcel {
            Some(parcel) => {
                state.full.push_back(parcel);
                if !opened {
                    state.open.retain(|open| *open != name);
                }
            }
            None if opened => state.open.push(name),
            None => {}
        }
        if first { Queued::First } else { Queued::Yes }
    }

    /// A message that will not be published still takes its number, and counts as dropped.
    pub(super) fn skip(&self, channel: &[u8]) {
        let mut state = self.state.lock();
        state.number(channel);
        state.dropped += 1;
    }

    /// Lets a request to close the channel's subscribers wait, behind its messages.
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
        let (name, line) = state.line(channel);
        let waiting = line.close_envelope(&name);
        Head { instance, epoch: line.epoch, first: line.next }.write_close(code, reason, &mut bytes);
        line.next += 1;
        state.bytes += bytes.len() + OVERHEAD;
        if let Some(waiting) = waiting {
            state.open.retain(|open| *open != name);
            state.full.push_back(waiting);
        }
        state.full.push_back(Parcel {
            channel: name,
            is_note: false,
            envelope: bytes,
            messages: 1,
            waiters: Vec::new(),
        });
        if first { Queued::First } else { Queued::Yes }
    }

    /// Lets a note to instances wait. It has no number, and nobody misses it.
    pub(super) fn note(&self, on_bus: &[u8], envelope: Vec<u8>) -> Queued {
        let mut state = self.state.lock();
        if !state.has_room(envelope.len(), self.limit) {
            return Queued::Dropped;
        }
        let first = state.is_empty();
        state.bytes += envelope.len() + OVERHEAD;
        state.full.push_back(Parcel {
            channel: on_bus.into(),
            is_note: true,
            envelope,
            messages: 0,
            waiters: Vec::new(),
        });
        if first { Queued::First } else { Queued::Yes }
    }

    /// Everything that waits, in an order that keeps each channel's.
    pub(super) fn take(&self) -> Vec<Parcel> {
        self.state.lock().take()
    }

    /// The bus is there: from now on messages wait for it.
    pub(super) fn open(&self) {
        self.state.lock().closed = false;
    }

    /// The bus is lost: what waits is dropped, as all that comes from now on. Returns how many messages.
    pub(super) fn close_down(&self) -> u64 {
        // All under one lock: what is published between two would be in a closed queue, and go out after the outage.
        let mut state = self.state.lock();
        state.closed = true;
        let parcels = state.take();
        let lost = parcels.iter().map(|parcel| parcel.messages).sum();
        state.dropped += lost;
        lost
    }

    /// Forgets the numbers of channels that nothing was published to since. Their next message begins an epoch.
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

impl State {
    fn is_empty(&self) -> bool {
        self.open.is_empty() && self.full.is_empty()
    }

    fn take(&mut self) -> Vec<Parcel> {
        let mut parcels: Vec<Parcel> = self.full.drain(..).collect();
        for name in std::mem::take(&mut self.open) {
            if let Some(line) = self.lines.get_mut(&name) {
                parcels.extend(line.close_envelope(&name));
            }
        }
        self.bytes = 0;
        parcels
    }

    /// A message larger than the limit passes when nothing else waits.
    fn has_room(&self, size: usize, limit: usize) -> bool {
        !self.closed && (self.is_empty() || self.bytes.saturating_add(size + OVERHEAD) <= limit)
    }

    /// A message that will not be sent still has a number, so that receivers see that it is missing.
    fn number(&mut self, channel: &[u8]) {
        // One that was never published to has nobody who would miss it: they all begin with the next one.
        let Some(name) = self.lines.get_key_value(channel).map(|(name, _)| Arc::clone(name)) else { return };
        let Some(line) = self.lines.get_mut(channel) else { return };
        line.next += 1;
        // What is open must not seem to go on behind the gap.
        if let Some(parcel) = line.close_envelope(&name) {
            self.full.push_back(parcel);
            self.open.retain(|open| *open != name);
        }
    }

    fn expire(&mut self, before: Instant) {
        self.lines.retain(|_, line| !line.envelope.is_empty() || line.used >= before);
        self.names = self.lines.keys().map(|name| name.len()).sum();
        if self.lines.capacity() > 64 && self.lines.len() * 8 < self.lines.capacity() {
            self.lines.shrink_to_fit();
        }
    }

    /// Makes room for one more line. Lines with something waiting stay: their number is bounded by what may wait.
    fn make_room(&mut self, name: &Name) {
        let (lines, names) = MAX_LINES;
        self.added = (self.added.0 + 1, self.added.1 + name.len());
        let over = self.lines.len() >= lines || self.names + name.len() > names;
        // Looking through all of them pays only where it may let many go.
        if !over || (self.added.0 < lines / 4 && self.added.1 < names / 4) {
            return;
        }
        self.added = (0, 0);
        let mut used: Vec<Instant> = self.lines.values().map(|line| line.used).collect();
        let half = used.len() / 2;
        if half > 0 {
            let (_, median, _) = used.select_nth_unstable(half);
            let median = *median;
            self.expire(median);
        }
    }

    fn line(&mut self, channel: &[u8]) -> (Name, &mut Line) {
        let name: Name = match self.lines.get_key_value(channel) {
            Some((name, _)) => Arc::clone(name),
            None => {
                let name: Name = channel.into();
                self.make_room(&name);
                self.names += name.len();
                name
            }
        };
        let now = Instant::now();
        let line = self.lines.entry(Arc::clone(&name)).or_insert_with(|| {
            self.last_epoch += 1;
            Line { epoch: self.last_epoch, next: 1, envelope: Vec::new(), messages: 0, waiters: Vec::new(), used: now }
        });
        line.used = now;
        (name, line)
    }
}

impl Line {
    fn close_if_full(&mut self, name: &Name) -> Option<Parcel> {
        if self.envelope.len() < FULL { None } else { self.close_envelope(name) }
    }

    fn close_envelope(&mut self, name: &Name) -> Option<Parcel> {
        if self.envelope.is_empty() {
            return None;
        }
        Some(Parcel {
            channel: Arc::clone(name),
            is_note: false,
            envelope: std::mem::take(&mut self.envelope),
            messages: std::mem::take(&mut self.messages),
            waiters: std::mem::take(&mut self.waiters),
        })
    }
}

#[cfg(test)]
mod tests {
    use wsbroker_core::{Compress, MessageKind};

    use super::{super::bus_envelope::Envelope, *};

    fn outgoing(limit: usize) -> Outgoing {
        let outgoing = Outgoing::new(InstanceId(7), limit);
        outgoing.open();
        outgoing
    }

    /// Channel, first number, payloads.
    fn read(parcels: &[Parcel]) -> Vec<(String, u64, Vec<String>)> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        parcels
            .iter()
            .map(|parcel| match Envelope::read(&parcel.envelope).unwrap() {
                Envelope::Messages(head, messages) => {
                    let payloads: Vec<_> = messages.map(|(_, payload)| text(payload)).collect();
                    assert_eq!(payloads.len() as u64, parcel.messages);
                    (text(&parcel.channel), head.first, payloads)
                }
                Envelope::Note(..) => panic!("no note was sent"),
                Envelope::Close(head, code, reason) => {
                    (text(&parcel.channel), head.first, vec![format!("close {} {reason}", code.get())])
                }
            })
            .collect()
    }

    fn say(outgoing: &Outgoing, channel: &str, text: &str) -> Queued {
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
        let parcels = read(&outgoing.take());
        let expected = [
            entry("a", 1, &["1", &large]),
            entry("a", 3, &["3"]),
            entry("a", 4, &["close 1012 so"]),
            entry("a", 5, &["5"]),
        ];
        assert_eq!(parcels, expected);
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

    fn epoch(parcels: &[Parcel]) -> (u64, u64) {
        match Envelope::read(&parcels[0].envelope).unwrap() {
            Envelope::Messages(head, _) => (head.epoch, head.first),
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
        for number in 0..3 * MAX_LINES.0 {
            say(&outgoing, &number.to_string(), "");
            if number % 1000 == 0 {
                say(&outgoing, "busy", "");
                outgoing.take();
            }
        }
        let kept = outgoing.state.lock().lines.len();
        assert!(kept <= MAX_LINES.0 * 3 / 2, "{kept}");
        outgoing.take();
        say(&outgoing, "busy", "");
        assert_eq!(epoch(&outgoing.take()).0, 1);
        let long = "x".repeat(MAX_LINES.1 / 8);
        for number in 0..100_u32 {
            say(&outgoing, &format!("{number} {long}"), "");
            outgoing.take();
        }
        let names = outgoing.state.lock().names;
        assert!(names <= MAX_LINES.1 * 2, "{names}");
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
}
