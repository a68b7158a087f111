use std::{collections::HashMap, time::Duration};

use proptest::prelude::*;
use wsbroker_proto::MessageKind;

use super::*;
use crate::shard::Compress;

fn epoch(number: u64) -> HistoryEpoch {
    HistoryEpoch::new(number)
}

fn ring() -> (HistoryRing, Arc<HistoryTotals>) {
    let totals = Arc::<HistoryTotals>::default();
    (HistoryRing::new(epoch(1), ChannelAccount::new(&totals)), totals)
}

fn rule(size: usize, ttl: u64, max_bytes: usize) -> HistoryRule {
    HistoryRule { size, ttl: Duration::from_millis(ttl), max_bytes, ..HistoryRule::new([&b"*"[..]]) }
}

fn message(payload: &[u8]) -> Unnumbered<'_> {
    Unnumbered {
        kind: MessageKind::Text,
        payload,
        compress: Compress::Auto,
        may_compress: false,
        exclude: Box::default(),
    }
}

fn publish(ring: &mut HistoryRing, now: u64, rule: &HistoryRule, id: Option<&[u8]>, payload: &[u8]) -> Option<u64> {
    match ring.publish(now, rule, b" c\n", id, message(payload)) {
        Published::New(entry) => {
            assert_eq!(entry.payload(), payload);
            Some(entry.offset)
        }
        Published::Duplicate(_) => None,
    }
}

#[test]
fn a_frame_begins_with_its_offset_and_the_channel() {
    let (mut ring, _) = ring();
    let Published::New(entry) = ring.publish(0, &rule(9, 9, 9999), b" a b\n", None, message(b"hello")) else {
        panic!("it is new")
    };
    assert_eq!(&*entry.frame, b"\x81\x0b1 a b\nhello");
    let Published::New(bare) = ring.publish(0, &rule(9, 9, 9999), b"", None, message(b"hello")) else {
        panic!("it is new")
    };
    assert_eq!((&*bare.frame, bare.offset), (&b"\x81\x05hello"[..], 2));
}

#[test]
fn the_head_recovers_even_if_nothing_is_kept_any_more() {
    let (mut ring, _) = ring();
    let rule = rule(10, 100, 1 << 20);
    publish(&mut ring, 0, &rule, None, b"a");
    ring.expire(100, &rule);
    let at = |offset, number| Since::Position(HistoryPosition { offset, epoch: epoch(number) });
    assert_eq!(ring.next_after(at(1, 1), 10), Some(2));
    assert_eq!(ring.next_after(at(0, 1), 10), None, "gone");
    assert_eq!(ring.next_after(at(2, 1), 10), None, "beyond the head");
    assert_eq!(ring.next_after(at(1, 2), 10), None, "of another epoch");
    assert_eq!(ring.next_after(Since::Latest, 10), Some(2));
    assert_eq!(ring.next_after(Since::Now, 10), Some(2));
}

#[test]
fn the_newest_message_is_not_for_those_who_get_nothing_of_the_past() {
    let (mut ring, _) = ring();
    publish(&mut ring, 0, &rule(10, 100, 1 << 20), None, b"a");
    assert_eq!(ring.next_after(Since::Latest, 1), Some(1));
    assert_eq!(ring.next_after(Since::Latest, 0), Some(2));
}

#[test]
fn a_reader_of_an_epoch_that_is_over_goes_on_at_the_begin_of_the_next_if_that_is_here() {
    let (mut ring, _) = ring();
    let rule = rule(2, 100, 1 << 20);
    let lost = |ring: &HistoryRing| match ring.read(epoch(2), 7, 100) {
        HistoryRead::Lost(position) => position.offset,
        HistoryRead::Entries(..) => panic!("it is another epoch"),
    };
    publish(&mut ring, 0, &rule, None, b"a");
    publish(&mut ring, 0, &rule, None, b"b");
    assert_eq!(lost(&ring), 0);
    publish(&mut ring, 0, &rule, None, b"c");
    assert_eq!(lost(&ring), 3, "the first is gone");
}

#[test]
fn compressed_forms_count_until_their_entry_goes_and_never_longer() {
    let (mut ring, totals) = ring();
    let rule = rule(1, 1000, 1 << 20);
    let Published::New(entry) = ring.publish(0, &rule, b" c\n", None, message(b"hello")) else { panic!("it is new") };
    let before = totals.bytes.load(Ordering::Relaxed);
    entry.count_compressed(100);
    assert_eq!(totals.bytes.load(Ordering::Relaxed), before + 100);
    publish(&mut ring, 0, &rule, None, b"hello");
    assert_eq!(totals.bytes.load(Ordering::Relaxed), before);
    entry.count_compressed(100);
    assert_eq!(totals.bytes.load(Ordering::Relaxed), before, "nobody keeps it");
    ring.clear();
    assert_eq!(totals.bytes.load(Ordering::Relaxed), 0);
}

#[test]
fn ids_get_a_quarter_of_the_bytes_and_the_oldest_go_first() {
    let (mut ring, totals) = ring();
    let rule = rule(1, 1000, 4 * 3 * 120);
    for id in [&b"1"[..], b"2", b"3", b"4"] {
        assert!(publish(&mut ring, 0, &rule, Some(id), b"").is_some());
    }
    assert_eq!(totals.ids_dropped.load(Ordering::Relaxed), 1);
    assert_eq!(publish(&mut ring, 0, &rule, Some(b"2"), b""), None);
    assert_eq!(publish(&mut ring, 0, &rule, Some(b"1"), b""), Some(5), "it was forgotten");
}

/// What the ring is compared with: everything that was ever published in this epoch.
#[derive(Default)]
struct Model {
    epoch: u64,
    all: Vec<(u64, Vec<u8>)>,
    /// The offset of the oldest that is kept.
    first: u64,
    ids: HashMap<Vec<u8>, u64>,
}

#[derive(Clone, Debug)]
enum Step {
    Publish(Vec<u8>, Option<u8>),
    Wait(u64),
    DeleteBefore(u64),
    Clear,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => (prop::collection::vec(any::<u8>(), 0..300), prop::option::of(0u8..20))
            .prop_map(|(payload, id)| Step::Publish(payload, id)),
        4 => (0u64..400).prop_map(Step::Wait),
        1 => (0u64..60).prop_map(Step::DeleteBefore),
        1 => Just(Step::Clear),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    /// Whatever is asked, the ring gives the end of what was published, without holes, or says that
    /// something is gone; and it never takes more than it may.
    #[test]
    fn a_ring_keeps_the_end_of_what_was_published(
        steps in prop::collection::vec(step(), 0..120),
        size in 1usize..30,
        max_bytes in 400usize..6000,
        asked in prop::collection::vec((0u64..80, any::<bool>(), 1u64..40, 0usize..1000), 8),
    ) {
        let (mut ring, totals) = ring();
        let rule = rule(size, 300, max_bytes);
        let mut model = Model { epoch: 1, first: 1, ..Model::default() };
        let mut now = 0;
        for step in steps {
            match step {
                Step::Publish(payload, id) => {
                    let id = id.map(|id| vec![id; 3]);
                    let known = id.as_ref().and_then(|id| model.ids.get(id).copied());
                    let outcome = ring.publish(now, &rule, b" c\n", id.as_deref(), message(&payload));
                    match outcome {
                        Published::Duplicate(offset) => prop_assert_eq!(Some(offset), known, "only what is known"),
                        Published::New(entry) => {
                            model.all.push((now, payload));
                            prop_assert_eq!(entry.offset, model.all.len() as u64);
                            if let Some(id) = id {
                                model.ids.insert(id, entry.offset);
                            }
                        }
                    }
                }
                Step::Wait(time) => now += time,
                Step::DeleteBefore(offset) => {
                    ring.delete_before(offset);
                    model.first = model.first.max(offset.min(model.all.len() as u64 + 1));
                }
                Step::Clear => {
                    ring.clear();
                    model.first = model.all.len() as u64 + 1;
                }
                Step::Restart => {
                    let next = model.epoch + 1;
                    ring.restart(epoch(next));
                    model = Model { epoch: next, first: 1, ..Model::default() };
                }
            }
            ring.expire(now, &rule);
            let head = model.all.len() as u64;
            // What the bounds have taken can only be a beginning.
            model.first = model.first.max(ring.first());
            prop_assert_eq!(ring.position(), HistoryPosition { offset: head, epoch: epoch(model.epoch) });
            prop_assert_eq!(ring.first(), model.first.min(head + 1));
            prop_assert!(ring.entries.len() <= size);
            prop_assert!(ring.account.bytes() <= max_bytes || ring.entries.len() == 1);
            for (entry, offset) in ring.entries.iter().zip(ring.first()..) {
                prop_assert_eq!(entry.offset, offset);
                let (at, payload) = &model.all[offset as usize - 1];
                prop_assert_eq!(entry.payload(), &payload[..]);
                prop_assert!(at + 300 > now);
            }
            let held: usize = ring.entries.iter().map(|entry| entry.size()).sum();
            prop_assert_eq!(ring.account.bytes(), held + ring.ids.bytes());
            prop_assert_eq!(totals.bytes.load(Ordering::Relaxed), ring.account.bytes());
            prop_assert_eq!(totals.messages.load(Ordering::Relaxed), ring.entries.len());
        }
        let head = model.all.len() as u64;
        for (offset, same, max, bytes) in asked {
            let of = if same { epoch(model.epoch) } else { epoch(model.epoch + 100) };
            let since = HistoryPosition { offset, epoch: of };
            let whole = same && offset <= head && offset + 1 >= model.first;
            let expected = (whole && head - offset <= max).then_some(offset + 1);
            prop_assert_eq!(ring.next_after(Since::Position(since), max), expected);
            let page = ring.page(Some(since), bytes, false);
            prop_assert_eq!(page.complete, whole);
            let from = if same && offset <= head { (offset + 1).max(model.first) } else { model.first };
            let offsets: Vec<u64> = page.entries.iter().map(|entry| entry.offset).collect();
            prop_assert_eq!(&offsets, &(from..=head).take(bytes).collect::<Vec<_>>());
            let mut newest: Vec<u64> = ring.page(Some(since), bytes, true).entries.iter().map(|entry| entry.offset).collect();
            newest.reverse();
            let expected: Vec<u64> = (from..=head).rev().take(bytes).collect::<Vec<_>>().into_iter().rev().collect();
            prop_assert_eq!(newest, expected);
            // A reader that is behind: bit by bit up to the head, or told that it cannot.
            let mut next = offset + 1;
            loop {
                match ring.read(of, next, bytes) {
                    HistoryRead::Lost(position) => {
                        let is_news = !same && model.first == 1;
                        let expected = if is_news { HistoryPosition { offset: 0, ..ring.position() } } else { ring.position() };
                        prop_assert_eq!(position, expected);
                        prop_assert!(!same || next < model.first, "{} of {}..", next, model.first);
                        break;
                    }
                    HistoryRead::Entries(entries, is_all) => {
                        prop_assert!(same && next >= model.first);
                        for (entry, offset) in entries.iter().zip(next..) {
                            prop_assert_eq!(entry.offset, offset);
                        }
                        next += entries.len() as u64;
                        if is_all {
                            prop_assert!(next > head);
                            break;
                        }
                        prop_assert!(!entries.is_empty());
                    }
                }
            }
        }
        ring.clear();
        prop_assert_eq!(totals.bytes.load(Ordering::Relaxed), 0);
        prop_assert_eq!(totals.messages.load(Ordering::Relaxed), 0);
    }
}
