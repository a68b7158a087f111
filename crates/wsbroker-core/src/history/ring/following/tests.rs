use std::{collections::HashMap, time::Duration};

use proptest::prelude::*;

use super::*;
use crate::history::{
    account::{ChannelAccount, HistoryTotals},
    position::Since,
    ring::HistoryRead,
};

fn epoch(number: u64) -> HistoryEpoch {
    HistoryEpoch::new(number)
}

fn at(number: u64, offset: u64) -> HistoryPosition {
    HistoryPosition { offset, epoch: epoch(number) }
}

fn message(text: &str) -> KeptMessage {
    KeptMessage {
        kind: MessageKind::Text,
        compress: Compress::Auto,
        payload: Bytes::copy_from_slice(text.as_bytes()),
        exclude: Box::default(),
        age: 0,
    }
}

fn ring() -> HistoryRing {
    HistoryRing::new(epoch(u64::MAX), ChannelAccount::new(&Arc::<HistoryTotals>::default()))
}

fn rule(size: usize) -> HistoryRule {
    HistoryRule { size, ttl: Duration::from_secs(1000), ..HistoryRule::new([&b"*"[..]]) }
}

fn keeping(rule: &HistoryRule, session: u64) -> Keeping<'_> {
    Keeping { now: 1 << 40, session, rule, prefix: b" c\n", may_compress: &|_| false }
}

fn history(number: u64, first: u64, texts: &[&str], whole: bool) -> BusHistory {
    let head = first + texts.len() as u64 - 1;
    BusHistory { position: at(number, head), first, messages: texts.iter().map(|text| message(text)).collect(), whole }
}

fn payloads(ring: &HistoryRing) -> Vec<String> {
    ring.entries.iter().map(|entry| String::from_utf8_lossy(entry.payload()).into_owned()).collect()
}

#[test]
fn what_is_read_goes_in_front_of_what_has_arrived() {
    let (mut ring, rule) = (ring(), rule(10));
    assert!(matches!(ring.arrived(keeping(&rule, 1), at(7, 4), message("d")), BusArrival::Next(_)));
    assert!(ring.is_live(1) && !ring.is_complete());
    assert_eq!(ring.merge(keeping(&rule, 1), ring.changes(), history(7, 2, &["b", "c", "d"], true)), Merged::Known);
    assert!(ring.is_complete());
    assert_eq!((ring.first(), payloads(&ring)), (2, vec!["b".into(), "c".into(), "d".into()]));
    assert_eq!(ring.next_after(Since::Position(at(7, 1)), 10), Some(2));
    assert_eq!(ring.next_after(Since::Position(at(7, 0)), 10), None);
}

#[test]
fn a_gap_waits_until_what_is_missing_was_read() {
    let (mut ring, rule) = (ring(), rule(10));
    let _ = ring.arrived(keeping(&rule, 1), at(7, 1), message("a"));
    assert!(matches!(ring.arrived(keeping(&rule, 1), at(7, 4), message("d")), BusArrival::Unclear));
    assert!(matches!(ring.arrived(keeping(&rule, 1), at(7, 1), message("a")), BusArrival::Known));
    let (changes, read) = (ring.changes(), history(7, 2, &["b", "c"], false));
    assert_eq!(ring.merge(keeping(&rule, 1), changes, read), Merged::Behind(at(7, 1)));
    assert_eq!(payloads(&ring), ["a", "b", "c", "d"]);
}

#[test]
fn an_epoch_that_was_left_comes_back_only_by_what_is_read() {
    let (mut ring, rule) = (ring(), rule(10));
    let _ = ring.arrived(keeping(&rule, 1), at(7, 1), message("a"));
    let outdated = (ring.changes(), history(7, 1, &["a", "b"], true));
    assert!(matches!(ring.arrived(keeping(&rule, 1), at(8, 1), message("new")), BusArrival::Behind(_)));
    assert!(matches!(ring.arrived(keeping(&rule, 1), at(7, 2), message("b")), BusArrival::Unclear));
    assert_eq!(ring.merge(keeping(&rule, 1), outdated.0, outdated.1), Merged::Outdated);
    let changes = ring.changes();
    assert!(matches!(ring.merge(keeping(&rule, 1), changes, history(7, 1, &["a", "b"], true)), Merged::Behind(_)));
    assert!(matches!(ring.arrived(keeping(&rule, 1), at(7, 3), message("c")), BusArrival::Next(_)));
}

#[test]
fn who_waits_for_a_position_is_told_when_it_is_there() {
    let (mut ring, rule) = (ring(), rule(10));
    let _ = ring.arrived(keeping(&rule, 1), at(7, 1), message("a"));
    assert!(ring.reach(at(7, 1)).is_none());
    let mut waiting = ring.reach(at(7, 2)).unwrap();
    assert!(waiting.try_recv().is_err());
    let _ = ring.arrived(keeping(&rule, 1), at(7, 2), message("b"));
    assert_eq!(waiting.try_recv(), Ok(()));
}

#[test]
fn what_waits_for_a_gap_is_bounded() {
    let (mut ring, rule) = (ring(), rule(10));
    let _ = ring.arrived(keeping(&rule, 1), at(7, 1), message("a"));
    let long = "x".repeat(MAX_ASIDE / 4 + 1);
    for offset in 3..20 {
        let _ = ring.arrived(keeping(&rule, 1), at(7, offset), message(&long));
    }
    let following = ring.following();
    assert_eq!((following.aside.len(), following.aside_bytes), (3, 3 * long.len()));
}

#[test]
fn a_channel_that_nobody_follows_is_cold_and_one_with_subscribers_is_not() {
    let (mut ring, rule) = (ring(), rule(10));
    let _ = ring.arrived(keeping(&rule, 1), at(7, 1), message("a"));
    ring.unfollow(true);
    assert!(!ring.is_live(1) && !ring.is_cold());
    assert!(
        matches!(ring.arrived(keeping(&rule, 1), at(7, 3), message("c")), BusArrival::Unclear),
        "it must not miss b"
    );
    ring.unfollow(false);
    assert!(ring.is_cold());
    assert!(matches!(ring.arrived(keeping(&rule, 2), at(7, 9), message("i")), BusArrival::Next(_)));
    assert_eq!(ring.known(), Some(at(7, 9)));
}

#[test]
fn the_newest_position_that_is_known_is_told() {
    let (mut ring, rule) = (ring(), rule(10));
    assert_eq!(ring.known(), None);
    ring.note(at(7, 5));
    ring.note(at(7, 3));
    assert_eq!(ring.known(), Some(at(7, 5)));
    let _ = ring.arrived(keeping(&rule, 1), at(7, 4), message("d"));
    assert_eq!(ring.known(), Some(at(7, 5)), "its own publish, which has not arrived");
    let _ = ring.arrived(keeping(&rule, 1), at(7, 5), message("e"));
    let _ = ring.arrived(keeping(&rule, 1), at(7, 6), message("f"));
    assert_eq!(ring.known(), Some(at(7, 6)));
}

/// A bus: what it keeps, what is on its way, and what was ever numbered.
#[derive(Default)]
struct Bus {
    epoch: u64,
    /// The offset of the oldest that is kept.
    first: u64,
    kept: VecDeque<String>,
    on_its_way: VecDeque<(HistoryPosition, Option<String>)>,
    all: HashMap<(String, u64), String>,
}

impl Bus {
    fn head(&self) -> u64 {
        self.first + self.kept.len() as u64 - 1
    }

    fn publish(&mut self, text: String, size: usize) {
        self.kept.push_back(text.clone());
        let position = at(self.epoch, self.head());
        self.all.insert((position.epoch.to_string(), position.offset), text.clone());
        self.on_its_way.push_back((position, Some(text)));
        while self.kept.len() > size {
            self.kept.pop_front();
            self.first += 1;
        }
    }

    fn restart(&mut self) {
        self.epoch += 1;
        (self.first, self.kept) = (1, VecDeque::new());
        self.on_its_way.push_back((at(self.epoch, 0), None));
    }

    fn read(&self, from: u64) -> BusHistory {
        let first = from.clamp(self.first, self.head() + 1);
        let texts = self.kept.iter().skip((first - self.first) as usize);
        BusHistory {
            position: at(self.epoch, self.head()),
            first,
            messages: texts.map(|text| message(text)).collect(),
            whole: from == 0,
        }
    }
}

/// A subscriber, as a shard serves it.
struct Reader {
    position: HistoryPosition,
    got: Vec<(HistoryPosition, String)>,
    told: usize,
}

impl Reader {
    fn take(&mut self, entry: &HistoryEntry) {
        assert_eq!(
            (entry.epoch, entry.offset),
            (self.position.epoch, self.position.offset + 1),
            "no hole, no duplicate"
        );
        self.position.offset = entry.offset;
        self.got.push((self.position, String::from_utf8_lossy(entry.payload()).into_owned()));
    }

    fn look(&mut self, ring: &HistoryRing) {
        loop {
            match ring.read(self.position.epoch, self.position.offset + 1, 20) {
                HistoryRead::Entries(entries, all) => {
                    entries.iter().for_each(|entry| self.take(entry));
                    if all {
                        return;
                    }
                }
                HistoryRead::Lost(position) => {
                    (self.position, self.told) = (position, self.told + 1);
                }
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Publish(u8),
    Restart,
    Arrive,
    Disconnect,
    Ask(bool),
    Answer,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_u8..5).prop_map(Step::Publish),
        1 => Just(Step::Restart),
        8 => Just(Step::Arrive),
        1 => Just(Step::Disconnect),
        3 => any::<bool>().prop_map(Step::Ask),
        3 => Just(Step::Answer),
    ]
}

fn show(ring: &HistoryRing, arrival: BusArrival, reader: &mut Reader) -> bool {
    match arrival {
        BusArrival::Next(entries) => entries.iter().for_each(|entry| reader.take(entry)),
        BusArrival::Behind(_) => reader.look(ring),
        BusArrival::Known => {}
        BusArrival::Unclear => return false,
    }
    true
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever is lost on the way, and however late what is read comes: a subscriber gets every
    /// message once and in order, or is told, and in the end it is at the head.
    #[test]
    fn a_subscriber_gets_everything_once_or_is_told(steps in proptest::collection::vec(step(), 1..80), size in prop_oneof![1_usize..8, Just(1000)]) {
        let rule = rule(size);
        let (mut bus, mut ring, mut session) = (Bus { epoch: 1, first: 1, ..Bus::default() }, ring(), 1);
        // It has recovered: the ring is up to date.
        prop_assert_eq!(ring.merge(keeping(&rule, session), 0, bus.read(0)), Merged::Known);
        let mut reader = Reader { position: ring.position(), got: Vec::new(), told: 0 };
        let mut asked: VecDeque<(u64, BusHistory)> = VecDeque::new();
        let mut restarts = 0;
        let mut lossless = true;
        for step in steps.into_iter().chain([Step::Disconnect]) {
            match step {
                Step::Publish(count) => {
                    for _ in 0..count {
                        let text = format!("{}", bus.all.len());
                        bus.publish(text, size);
                    }
                }
                Step::Restart => {
                    bus.restart();
                    restarts += 1;
                }
                Step::Arrive => {
                    let Some((position, text)) = bus.on_its_way.pop_front() else { continue };
                    let arrival = match text {
                        Some(text) => ring.arrived(keeping(&rule, session), position, message(&text)),
                        None => ring.deleted(position, 0),
                    };
                    if !show(&ring, arrival, &mut reader) {
                        let from = ring.position().offset + 1;
                        asked.push_back((ring.changes(), bus.read(from)));
                    }
                }
                Step::Disconnect => {
                    lossless &= bus.on_its_way.is_empty();
                    bus.on_its_way.clear();
                    asked.clear();
                    session += 1;
                    let from = ring.position().offset + 1;
                    asked.push_back((ring.changes(), bus.read(from)));
                }
                Step::Ask(whole) => {
                    let from = if whole { 0 } else { ring.position().offset + 1 };
                    asked.push_back((ring.changes(), bus.read(from)));
                }
                Step::Answer => {
                    let Some((changes, read)) = asked.pop_front() else { continue };
                    match ring.merge(keeping(&rule, session), changes, read) {
                        Merged::Behind(_) => reader.look(&ring),
                        Merged::Known => {}
                        Merged::Outdated => asked.push_back((ring.changes(), bus.read(ring.position().offset + 1))),
                    }
                }
            }
            prop_assert!(ring.entries.iter().zip(ring.first()..).all(|(entry, offset)| entry.offset == offset));
        }
        // The connection is back, and what it asks for is answered.
        for _ in 0..20 {
            let (changes, read) = (ring.changes(), bus.read(ring.position().offset + 1));
            if let Merged::Behind(_) = ring.merge(keeping(&rule, session), changes, read) {
                reader.look(&ring);
            }
        }
        prop_assert_eq!(reader.position, at(bus.epoch, bus.head()));
        for (position, text) in &reader.got {
            prop_assert_eq!(bus.all.get(&(position.epoch.to_string(), position.offset)), Some(text));
        }
        if lossless && restarts == 0 && bus.all.len() <= size {
            prop_assert_eq!((reader.got.len(), reader.told), (bus.all.len(), 0), "nothing was lost, so nobody is told");
        }
    }
}
