//! Where messages of 16 KiB and more lie.

use wsbroker_proto::client;

use super::{
    manual_shard::{IdleWorker, ManualShard, Peer, told},
    *,
};
use crate::{
    InFlight, WorkerHandle,
    event::{EventKind, EventPayload},
    shard::budget::TurnBounds,
};

const LENGTH: usize = 20 << 10;

fn frames(texts: &[String]) -> Vec<u8> {
    let mut frames = Vec::new();
    for text in texts {
        client::write_frame(&mut frames, true, Opcode::Text, text.as_bytes(), [1, 2, 3, 4]);
    }
    frames
}

/// Says these texts at once. What the shard reads next is all of it.
fn say_all(peer: &mut Peer, texts: &[String]) {
    say(peer, &frames(texts));
}

/// Writes these bytes. What the shard reads next is all of them.
fn say(peer: &mut Peer, bytes: &[u8]) {
    peer.stream.write_all(bytes).unwrap();
    let start = Instant::now();
    while wsbroker_sys::unacknowledged(&peer.stream).is_some_and(|bytes| bytes > 0) {
        assert!(start.elapsed() < Duration::from_secs(20), "the shard's kernel does not get it");
        std::thread::yield_now();
    }
}

/// The payloads that do not lie in the memory that a batch has for short ones.
fn apart(events: &IdleWorker) -> Vec<(usize, usize)> {
    let batches = events.batches.lock();
    let payloads = batches.iter().flat_map(|batch| &batch.events).filter_map(|event| match &event.kind {
        EventKind::Text(EventPayload::Owned(bytes)) => Some((bytes.as_ptr() as usize, bytes.len())),
        _ => None,
    });
    payloads.collect()
}

#[test]
fn long_messages_that_came_whole_go_on_where_they_were_read() {
    let mut manual = ManualShard::new(TurnBounds::default());
    let (events, _worker) = manual.worker();
    let mut peer = manual.connect();
    let texts = ["a".repeat(LENGTH), "b".repeat(LENGTH), "c".repeat(50)];
    say_all(&mut peer, &texts);
    manual.turn_until("all are told", |_| told(&events, peer.id()).len() == 3);
    assert!(apart(&events).is_empty(), "nobody knew that it would say something long");
    say_all(&mut peer, &texts);
    manual.turn_until("all are told", |_| told(&events, peer.id()).len() == 6);
    assert!(told(&events, peer.id()) == [texts.clone(), texts].concat());
    let places = apart(&events);
    assert_eq!(places.len(), 2, "the short one was copied");
    // A header of eight bytes is between them.
    assert_eq!(places[1].0 - places[0].0, LENGTH + 8);
}

#[test]
fn what_is_read_next_does_not_touch_messages_that_have_not_been_handled() {
    let mut manual = ManualShard::new(TurnBounds::default());
    let (events, _worker) = manual.worker();
    let mut peers = [manual.connect(), manual.connect()];
    // More than the memory that is read into.
    let mut said = [const { Vec::new() }; 2];
    for number in 0..20u8 {
        for (peer, said) in peers.iter_mut().zip(&mut said) {
            let texts = [char::from(b'a' + number).to_string().repeat(LENGTH), format!("{number} is short")];
            say_all(peer, &texts);
            said.extend(texts);
        }
        manual.turn_until("it is told", |_| {
            peers.iter().zip(&said).all(|(peer, said)| told(&events, peer.id()).len() == said.len())
        });
    }
    for (peer, said) in peers.iter().zip(&said) {
        assert!(told(&events, peer.id()) == *said);
    }
    assert_eq!(apart(&events).len(), 38, "all but the first of each");
}

#[test]
fn who_says_short_messages_again_is_read_as_before() {
    let mut manual = ManualShard::new(TurnBounds::default());
    let (events, _worker) = manual.worker();
    let mut peer = manual.connect();
    let slot = peer.socket.slot();
    for (number, (text, is_long)) in
        [("a".repeat(LENGTH), true), ("b".into(), false), ("c".repeat(LENGTH), true)].into_iter().enumerate()
    {
        say_all(&mut peer, std::slice::from_ref(&text));
        manual.turn_until("it is told", |_| told(&events, peer.id()).len() == number + 1);
        assert!(told(&events, peer.id()).last() == Some(&text));
        assert_eq!(manual.shard.connections.at(slot).map(|connection| connection.reads_long), Some(is_long));
    }
    assert!(apart(&events).is_empty());
}

/// A shard that has memory for a message of that length, and a peer whose message of that length
/// has come in part: the rest of it will be read straight into that memory.
fn in_the_middle(manual: &mut ManualShard, events: &IdleWorker, worker: &WorkerHandle, bytes: &[u8]) -> (Peer, usize) {
    let mut peer = manual.connect();
    peer.stream.write_all(&frames(&["x".repeat(MIDDLE)])).unwrap();
    manual.turn_until("it is told", |_| !told(events, peer.id()).is_empty());
    let batches = std::mem::take(&mut *events.batches.lock());
    worker.settle(batches.iter().flat_map(|batch| &batch.events), None);
    drop(batches);
    let said = manual.flow().wire_in + SOME as u64;
    say(&mut peer, &bytes[..SOME]);
    manual.turn_until("some is read", |manual| manual.flow().wire_in == said);
    let connection = manual.shard.connections.at(peer.socket.slot()).unwrap();
    let (_, room) = connection.parser.room_for_payload(1).expect("there is memory");
    (peer, room)
}

/// The length of a message of which `SOME` comes first.
const MIDDLE: usize = 90 << 10;
const SOME: usize = 30 << 10;

#[test]
fn what_was_read_behind_a_long_message_waits_with_it() {
    let in_flight = InFlight { bytes: MIDDLE / 2, ..InFlight::default() };
    let mut manual = ManualShard::with(Config { in_flight, ..Config::default() }, TurnBounds::default());
    let (events, worker) = manual.worker();
    let texts = ["first".into(), "x".repeat(MIDDLE), "behind it".into()];
    let bytes = frames(&texts);
    let (mut peer, room) = in_the_middle(&mut manual, &events, &worker, &bytes);
    assert!(room + b"behind it".len() < bytes.len() - SOME, "the rest of the message, and nothing else");
    let said = manual.flow().wire_in + (bytes.len() - SOME) as u64;
    say(&mut peer, &bytes[SOME..]);
    manual.turn_until("all is read", |manual| manual.flow().wire_in == said);
    // There is room for a short message, and not for a long one.
    assert!(told(&events, peer.id()) == texts[..1]);
    for number in 1..=2 {
        worker.settle(events.batches.lock().iter().flat_map(|batch| &batch.events).skip(number - 1), None);
        manual.turn_until("the next is told", |_| told(&events, peer.id()).len() == number + 1);
        assert!(told(&events, peer.id()) == texts[..=number]);
    }
}

#[test]
fn what_was_read_behind_a_message_that_fails_the_connection_is_dropped() {
    let mut manual = ManualShard::new(TurnBounds::default());
    let (events, worker) = manual.worker();
    let mut bytes = frames(&["x".repeat(MIDDLE)]);
    // It does not end as UTF-8.
    *bytes.last_mut().unwrap() = 0xff;
    bytes.extend(frames(&["behind it".into()]));
    let (mut peer, _) = in_the_middle(&mut manual, &events, &worker, &bytes);
    say(&mut peer, &bytes[SOME..]);
    manual.turn_until("it is closed", |_| !told(&events, peer.id()).is_empty());
    assert_eq!(told(&events, peer.id()), ["close"]);
}
