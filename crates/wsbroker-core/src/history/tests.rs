use std::time::Duration;

use wsbroker_proto::MessageKind;

use super::*;
use crate::shard::Compress;

fn histories(max_bytes: usize) -> Histories {
    Histories::new(&[HistoryRule::new([&b"h:*"[..]])], max_bytes)
}

fn publish(histories: &Histories, name: &[u8], length: usize) -> HistoryPosition {
    let history = histories.of(name).unwrap();
    let message = Unnumbered {
        kind: MessageKind::Binary,
        payload: &vec![0; length],
        compress: Compress::Auto,
        may_compress: false,
        exclude: Box::default(),
    };
    let numbered = histories.publish(&history, &mut history.lock(), histories.now(), None, message);
    histories.make_room();
    numbered.position
}

fn kept(histories: &Histories, name: &[u8]) -> usize {
    histories.page(&histories.of(name).unwrap(), None, usize::MAX, false).entries.len()
}

#[test]
fn the_channel_that_was_not_used_for_the_longest_time_goes_first() {
    let histories = histories(100_000);
    let position = publish(&histories, b"h:1", 30_000);
    publish(&histories, b"h:2", 30_000);
    publish(&histories, b"h:3", 30_000);
    assert_eq!(kept(&histories, b"h:1"), 1, "which uses it");
    publish(&histories, b"h:4", 30_000);
    assert_eq!([1, 2, 3, 4].map(|name| kept(&histories, format!("h:{name}").as_bytes())), [1, 0, 1, 1]);
    assert_eq!(histories.totals.evictions.load(Ordering::Relaxed), 1);
    // The position outlives the messages.
    let evicted = histories.position(&histories.of(b"h:2").unwrap());
    assert_eq!(evicted.offset, 1);
    assert_ne!(evicted.epoch, position.epoch);
    assert!(histories.totals.bytes.load(Ordering::Relaxed) <= 100_000);
}

#[test]
fn positions_are_bounded_and_come_back_in_another_epoch() {
    let histories = histories(100_000);
    let first = publish(&histories, b"h:first", 10);
    let used = histories.of(b"h:used").unwrap();
    let before = histories.position(&used);
    for number in 0..1000 {
        histories.of(format!("h:{number}").as_bytes()).unwrap();
    }
    assert!(histories.totals.channel_bytes.load(Ordering::Relaxed) <= 100_000 / FOR_POSITIONS);
    assert!(histories.len() < 100, "{} channels", histories.len());
    assert_eq!(histories.position(&used), before, "somebody has it");
    assert_eq!(kept(&histories, b"h:first"), 1, "it keeps something");
    let gone = histories.position(&histories.of(b"h:0").unwrap());
    assert_eq!(gone.offset, 0);
    histories.of(b"h:first").unwrap().lock().clear();
    histories.sweep_some(0);
    for number in 0..1000 {
        histories.of(format!("h:{number}").as_bytes()).unwrap();
    }
    let back = histories.position(&histories.of(b"h:first").unwrap());
    assert_eq!(back.offset, 0);
    assert_ne!(back.epoch, first.epoch);
}

#[test]
fn no_two_epochs_are_alike() {
    let (one, other) = (histories(1), histories(1));
    let mut epochs: Vec<String> =
        (0..1000).flat_map(|_| [one.epoch(), other.epoch()]).map(|epoch| epoch.to_string()).collect();
    epochs.sort();
    epochs.dedup();
    assert_eq!(epochs.len(), 2000);
}

#[test]
fn only_channels_that_a_rule_names_have_one() {
    let histories = histories(1 << 20);
    assert!(histories.of(b"other").is_none());
    assert!(histories.of(b"h:").is_some());
    assert!(Histories::new(&[], 1).of(b"h:").is_none());
}

#[test]
fn what_is_too_old_is_swept_out_of_channels_that_nobody_uses() {
    let rule = HistoryRule { ttl: Duration::ZERO, ..HistoryRule::new([&b"*"[..]]) };
    let histories = Histories::new(&[rule], 1 << 30);
    for number in 0..SWEPT + 10 {
        publish(&histories, format!("{number}").as_bytes(), 10);
    }
    let next = histories.sweep_some(0);
    assert_eq!(histories.totals.messages.load(Ordering::Relaxed), 10);
    assert_eq!(histories.sweep_some(next), 0);
    assert_eq!(histories.totals.messages.load(Ordering::Relaxed), 0);
}
