//! Many clients that come and go while many threads publish: each sees every message of its
//! channels once and in order, or is told.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use parking_lot::Mutex;
use wsbroker_core::{
    Accept, Broker, Config, Handlers, HistoryPosition, HistoryRule, MessageKind, Since, SocketId, SocketLimits,
};

use crate::{
    common::{Client, Got, Scope, Seen, TestWorker, listen},
    kit::{rule, split},
};

const CHANNELS: usize = 3;
const PUBLISHERS: usize = 3;
const CLIENTS: u64 = 6;
const MESSAGES: usize = 1500;

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// What every client must agree on: which payload an offset of a channel has.
type Truth = Mutex<HashMap<(usize, u64), Vec<u8>>>;

/// Takes part as long as there is something to get. Connects, recovers by a message to the worker,
/// reads some, and goes away without a word.
fn take_part(port: u16, seed: u64, channel: usize, truth: &Truth, published: &AtomicBool, recovered: &AtomicUsize) {
    let mut random = Random(seed);
    let mut position: Option<(u64, String)> = None;
    // What the first connection got before its answer.
    let mut first = None;
    let end = (PUBLISHERS * MESSAGES) as u64;
    loop {
        let mut client = Client::connect(port);
        let since = position.as_ref().map_or("now".to_string(), |(offset, epoch)| format!("{offset} {epoch}"));
        client.send(format!("{channel} {since}").as_bytes());
        // How much is read before it goes. Once all is published, to the end.
        let patience = if published.load(Ordering::SeqCst) { u64::MAX } else { random.below(400) };
        let mut read = 0;
        let mut answered = false;
        while read < patience || !answered {
            let message = match client.next() {
                Got::Text(message) => message,
                Got::End => break,
                other => panic!("{other:?}"),
            };
            if message.starts_with(b"{") {
                // The answer may come behind what is replayed.
                let answer = String::from_utf8(message).unwrap();
                let mut parts = answer.trim_matches(['{', '}']).split(' ');
                let (ok, head, epoch) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
                assert_eq!(ok, "true", "everything is kept: {answer}");
                answered = true;
                recovered.fetch_add(1, Ordering::SeqCst);
                match &mut position {
                    Some((_, known)) => assert_eq!(known, epoch),
                    // The first time: from the head on.
                    none => {
                        let head = head.parse().unwrap();
                        let (from, last) = first.unwrap_or((head + 1, head));
                        assert_eq!(from, head + 1, "from now on");
                        *none = Some((last, epoch.into()));
                    }
                }
            } else {
                let (offset, name, payload) = split(&message);
                assert_eq!(name, format!("h:{channel}"));
                let last = match &mut position {
                    Some((last, _)) => last,
                    None => &mut first.get_or_insert((offset, offset - 1)).1,
                };
                assert_eq!(offset, *last + 1, "no hole, no duplicate");
                *last = offset;
                read += 1;
                let known = truth.lock().entry((channel, offset)).or_insert_with(|| payload.to_vec()).clone();
                assert_eq!(known, payload, "all see one order");
            }
            if position.as_ref().is_some_and(|(offset, _)| *offset == end) {
                return;
            }
        }
    }
}

#[test]
fn clients_that_come_and_go_see_everything_once_and_in_one_order() {
    let rule = HistoryRule { size: 100_000, max_bytes: 1 << 30, max_replay: 100_000, ..rule() };
    let broker = Broker::new(Config { io_threads: 2, history: vec![rule], ..Config::default() }).unwrap();
    // So small that most fall behind.
    let limits = SocketLimits { max_backpressure: 4 << 10, ..SocketLimits::default() };
    let (_listener, port) = listen(&broker, limits);
    let handler = |scope: &mut Scope<'_>, id: SocketId, seen: &Seen| {
        let Seen::Text(text) = seen else { return };
        let text = std::str::from_utf8(text).unwrap();
        let mut parts = text.split(' ');
        let channel = format!("h:{}", parts.next().unwrap());
        let since = match (parts.next().unwrap(), parts.next()) {
            (offset, Some(epoch)) => Since::Position(HistoryPosition {
                offset: offset.parse().unwrap(),
                epoch: wsbroker_core::HistoryEpoch::parse(epoch),
            }),
            _ => Since::Now,
        };
        let recovery = scope.broker.recover(scope.cork, id, channel.as_bytes(), since, false).unwrap();
        let answer = format!("{{{} {} {}}}", recovery.recovered, recovery.position.offset, recovery.position.epoch);
        scope.send(id, answer.as_bytes());
    };
    let worker = |broker: &Broker| {
        TestWorker::opening(broker, Handlers::TEXT, Box::new(|_, _| Some(Accept::default())), Box::new(handler))
    };
    let (_one, _other) = (worker(&broker), worker(&broker));
    let (truth, published, recovered) = (Truth::default(), AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let publishers: Vec<_> = (0..PUBLISHERS)
            .map(|publisher| {
                let broker = &broker;
                scope.spawn(move || {
                    let mut cork = broker.cork();
                    for number in 0..MESSAGES {
                        // Several channels in one flush, in another order each time.
                        for step in 0..CHANNELS {
                            let channel = (step + number + publisher) % CHANNELS;
                            let text = format!("{publisher}/{number} {}", "x".repeat(number % 300));
                            let staged = cork.stage_slice(MessageKind::Text, text.as_bytes());
                            cork.publish(format!("h:{channel}").as_bytes(), staged, &[]);
                        }
                        if number % 3 == 0 {
                            cork.flush();
                        }
                        if number % 64 == 0 {
                            std::thread::yield_now();
                        }
                    }
                })
            })
            .collect();
        for seed in 0..CLIENTS {
            let (truth, published, recovered) = (&truth, &published, &recovered);
            scope.spawn(move || take_part(port, seed + 1, seed as usize % CHANNELS, truth, published, recovered));
        }
        publishers.into_iter().for_each(|publisher| publisher.join().unwrap());
        published.store(true, Ordering::SeqCst);
    });
    // Each publisher's messages are in its order.
    let truth = truth.lock();
    for channel in 0..CHANNELS {
        let mut last = [None; PUBLISHERS];
        for offset in 1..=(PUBLISHERS * MESSAGES) as u64 {
            let Some(payload) = truth.get(&(channel, offset)) else { continue };
            let text = std::str::from_utf8(payload).unwrap();
            let (publisher, rest) = text.split_once('/').unwrap();
            let number: usize = rest.split(' ').next().unwrap().parse().unwrap();
            let last = &mut last[publisher.parse::<usize>().unwrap()];
            assert!(last.is_none_or(|last| last < number), "{text} behind {last:?}");
            *last = Some(number);
        }
    }
    assert!(recovered.load(Ordering::SeqCst) > CLIENTS as usize);
    assert_eq!(broker.stats().history.lost, 0);
    assert_eq!(broker.stats().dropped.of(wsbroker_core::DropCause::Newest), 0);
}
