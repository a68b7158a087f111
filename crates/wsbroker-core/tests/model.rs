//! Random calls from many threads against a naive model: no loss, no duplicate, no reordering, no
//! event outside open and close. Workers are killed and added in the middle.

#![allow(clippy::unwrap_used)]

mod common;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use common::{Client, DEADLINE, Got, Scope, Seen, TestWorker, listen, until};
use parking_lot::Mutex;
use wsbroker_core::{Broker, CloseCode, Config, Handlers, SocketId, SocketLimits};

const CLIENTS: usize = 100;
const DRIVERS: u64 = 3;
const CHANNELS: u64 = 8;
const STEPS: u64 = 4000;

/// A small generator of numbers, so that a run can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Time as all threads agree on it: one tick per question.
#[derive(Default)]
struct Clock(AtomicU64);

impl Clock {
    fn now(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

/// When a socket was in a channel: surely from `.1` to `.2`, surely not before `.0` or after `.3`.
type Stay = (u64, u64, u64, u64);

/// A publish: surely done between these two times.
struct Published {
    channel: (u64, u64),
    called: u64,
    flushed: u64,
}

/// What one driver did.
#[derive(Default)]
struct Done {
    stays: HashMap<(u64, (u64, u64)), Vec<Stay>>,
    published: BTreeMap<u64, Published>,
    sent: HashMap<u64, Vec<u64>>,
}

/// What handlers saw of one socket.
#[derive(Default)]
struct Life {
    opened: bool,
    next: u64,
    closed: bool,
}

fn name(channel: (u64, u64)) -> String {
    format!("{}/{}", channel.0, channel.1)
}

fn drive(broker: &Broker, clock: &Clock, driver: u64, ids: &[u64], seed: u64) -> Done {
    let mut random = Random(seed);
    let mut cork = broker.cork();
    let mut done = Done::default();
    let mut unflushed = Vec::new();
    let mut sequence = 0;
    for _ in 0..STEPS {
        let id = SocketId::new(ids[random.below(ids.len() as u64) as usize]).unwrap();
        // Only its driver changes a channel's subscribers, so that the model knows them.
        let own = (driver, random.below(CHANNELS));
        match random.below(12) {
            10 => {
                // All channels of this driver at once.
                let names: Vec<_> = (0..CHANNELS).map(|channel| name((driver, channel))).collect();
                let before = clock.now();
                let added = broker.subscribe_many(&mut cork, id, &names).unwrap();
                unflushed.clear();
                let mut new = 0;
                for channel in 0..CHANNELS {
                    let stays = done.stays.entry((id.get(), (driver, channel))).or_default();
                    if stays.last().is_none_or(|stay| stay.3 != u64::MAX) {
                        stays.push((before, clock.now(), u64::MAX, u64::MAX));
                        new += 1;
                    }
                }
                assert_eq!(added, new, "subscribe_many says how many were new");
            }
            11 if random.below(16) == 0 => {
                let (from, to) = ((driver, random.below(CHANNELS)), (driver, random.below(CHANNELS)));
                let before = clock.now();
                let added = broker.copy_subscriptions(&mut cork, name(from).as_bytes(), name(to).as_bytes()).unwrap();
                unflushed.clear();
                let mut new = 0;
                for id in ids {
                    let is_in = |channel| {
                        let stays: Option<&Vec<Stay>> = done.stays.get(&(*id, channel));
                        stays.and_then(|stays| stays.last()).is_some_and(|stay| stay.3 == u64::MAX)
                    };
                    if is_in(from) && !is_in(to) {
                        done.stays.entry((*id, to)).or_default().push((before, clock.now(), u64::MAX, u64::MAX));
                        new += 1;
                    }
                }
                assert_eq!(added, new, "copy_subscriptions says how many were new");
            }
            0..=2 => {
                let before = clock.now();
                let added = broker.subscribe(&mut cork, id, name(own).as_bytes()).unwrap();
                unflushed.clear();
                let stays = done.stays.entry((id.get(), own)).or_default();
                let inside = stays.last().is_some_and(|stay| stay.3 == u64::MAX);
                assert_eq!(added, !inside, "subscribe says whether it was new");
                if added {
                    stays.push((before, clock.now(), u64::MAX, u64::MAX));
                }
            }
            3 => {
                let before = clock.now();
                let removed = broker.unsubscribe(&mut cork, id, name(own).as_bytes());
                let stays = done.stays.entry((id.get(), own)).or_default();
                let inside = stays.last_mut().filter(|stay| stay.3 == u64::MAX);
                assert_eq!(removed, inside.is_some(), "unsubscribe says whether it was there");
                if let Some(stay) = inside {
                    (stay.2, stay.3) = (before, clock.now());
                }
            }
            4..=6 => {
                let channel = (random.below(DRIVERS), random.below(CHANNELS));
                sequence += 1;
                let called = clock.now();
                let text = format!("p:{driver}:{sequence}");
                Scope { broker, cork: &mut cork }.publish(name(channel).as_bytes(), text.as_bytes());
                done.published.insert(sequence, Published { channel, called, flushed: u64::MAX });
                unflushed.push(sequence);
            }
            7 | 8 => {
                sequence += 1;
                let text = format!("s:{driver}:{sequence}");
                Scope { broker, cork: &mut cork }.send(id, text.as_bytes());
                done.sent.entry(id.get()).or_default().push(sequence);
            }
            _ => {
                broker.set_token(id, &text_token(driver, sequence));
                cork.flush();
                let now = clock.now();
                for sequence in unflushed.drain(..) {
                    done.published.entry(sequence).and_modify(|published| published.flushed = now);
                }
            }
        }
    }
    cork.flush();
    let now = clock.now();
    for published in done.published.values_mut().filter(|published| published.flushed == u64::MAX) {
        published.flushed = now;
    }
    done
}

fn text_token(driver: u64, sequence: u64) -> bytes::Bytes {
    format!("{driver}:{sequence}").into()
}

/// Checks what one client received from one driver.
fn check(id: u64, driver: u64, done: &Done, all: &[Done], received: &[u64]) {
    assert!(
        received.windows(2).all(|pair| pair[0] < pair[1]),
        "{id} from {driver}: out of order or doubled: {received:?}"
    );
    let got = |sequence: u64| received.binary_search(&sequence).is_ok();
    for sequence in done.sent.get(&id).into_iter().flatten() {
        assert!(got(*sequence), "{id} missed send {driver}:{sequence}");
    }
    for (sequence, published) in &done.published {
        let stays = all[published.channel.0 as usize].stays.get(&(id, published.channel));
        let stays = stays.map(Vec::as_slice).unwrap_or_default();
        // A driver's own calls take effect in call order, so between its calls nothing is
        // uncertain.
        let same = published.channel.0 == driver;
        let end = if same { published.called } else { published.flushed };
        let surely = stays.iter().any(|stay| stay.1 < published.called && end < stay.2);
        let maybe = stays.iter().any(|stay| stay.0 < end && published.called < stay.3);
        if surely {
            assert!(got(*sequence), "{id} missed publish {driver}:{sequence} to {:?}", published.channel);
        }
        if !maybe {
            assert!(!got(*sequence), "{id} got publish {driver}:{sequence} to {:?} as a stranger", published.channel);
        }
    }
}

fn run(seed: u64, kill: bool) {
    let broker = Broker::new(Config { io_threads: 2, ..Config::default() }).unwrap();
    let lives: Arc<Mutex<HashMap<u64, Life>>> = Arc::default();
    let worker = || {
        let (opened, seen) = (Arc::clone(&lives), Arc::clone(&lives));
        TestWorker::opening(
            &broker,
            Handlers::ALL,
            Box::new(move |_, id| {
                let mut lives = opened.lock();
                let life = lives.entry(id.get()).or_default();
                assert!(!std::mem::replace(&mut life.opened, true), "{id} opened twice");
                Some(wsbroker_core::Accept::default())
            }),
            Box::new(move |scope, id, event| {
                let mut lives = seen.lock();
                let life = lives.get_mut(&id.get()).expect("nothing before the open");
                assert!(life.opened && !life.closed, "{id}: {event:?} outside open and close");
                match event {
                    Seen::Text(text) => {
                        assert_eq!(text, format!("m:{}", life.next).as_bytes(), "{id}: lost, doubled or out of order");
                        life.next += 1;
                        let answer = if life.next == 1 { format!("id:{id}") } else { format!("e:{}", life.next - 1) };
                        drop(lives);
                        scope.send(id, answer.as_bytes());
                    }
                    Seen::Close(..) => life.closed = true,
                    other => panic!("{other:?}"),
                }
            }),
        )
    };
    let mut workers: Vec<_> = (0..4).map(|_| worker()).collect();
    let limits = SocketLimits { max_backpressure: 256 << 20, ..SocketLimits::default() };
    let (_listener, port) = listen(&broker, limits);
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| Client::connect(port)).collect();
    let mut ids = Vec::new();
    for client in &mut clients {
        client.send(b"m:0");
        ids.push(client.text()["id:".len()..].parse::<u64>().unwrap());
    }

    let clock = Clock::default();
    let start = Instant::now();
    let (all, sent) = std::thread::scope(|scope| {
        let drivers: Vec<_> = (0..DRIVERS)
            .map(|driver| {
                let (broker, clock, ids) = (&broker, &clock, &ids);
                scope.spawn(move || drive(broker, clock, driver, ids, seed * 100 + driver))
            })
            .collect();
        let mut random = Random(seed);
        let mut sent = vec![1; clients.len()];
        while !drivers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            assert!(start.elapsed() < DEADLINE * 3);
            for _ in 0..100 {
                let at = random.below(clients.len() as u64) as usize;
                clients[at].send(format!("m:{}", sent[at]).as_bytes());
                sent[at] += 1;
            }
            if kill {
                let at = random.below(workers.len() as u64) as usize;
                workers.swap_remove(at).kill();
                workers.push(worker());
            }
        }
        let all: Vec<_> = drivers.into_iter().map(|driver| driver.join().unwrap()).collect();
        (all, sent)
    });

    // A last message to each, behind everything else.
    let mut cork = broker.cork();
    for id in &ids {
        Scope { broker: &broker, cork: &mut cork }.send(SocketId::new(*id).unwrap(), b"end");
    }
    cork.flush();
    for ((client, id), sent) in clients.iter_mut().zip(&ids).zip(&sent) {
        let mut received: HashMap<u64, Vec<u64>> = HashMap::new();
        let (mut echoes, mut ended) = (1, false);
        while !ended || echoes < *sent {
            let text = client.text();
            let parts: Vec<_> = text.split(':').collect();
            match parts[..] {
                ["end"] => ended = true,
                ["e", number] => {
                    assert_eq!(number, echoes.to_string(), "{id}: echoes out of order");
                    echoes += 1;
                }
                [_, driver, sequence] => {
                    received.entry(driver.parse().unwrap()).or_default().push(sequence.parse().unwrap());
                }
                _ => panic!("{text}"),
            }
        }
        for (driver, done) in (0..).zip(&all) {
            check(*id, driver, done, &all, received.get(&driver).map(Vec::as_slice).unwrap_or_default());
        }
    }

    // Half are closed from here, half by their clients; each is told once, and nothing is left.
    for (client, id) in clients.iter_mut().zip(&ids) {
        if id % 2 == 0 {
            cork.close(SocketId::new(*id).unwrap(), CloseCode::NORMAL, "");
            cork.flush();
            assert_eq!(client.next(), Got::Close(Some(1000), String::new()));
        }
        client.close(1000, "");
    }
    until("all ends are reported", || lives.lock().values().all(|life| life.closed));
    until("nothing is left", || broker.connection_count() == 0 && broker.channel_count() == 0);
}

#[test]
fn random_calls_from_all_threads_do_what_the_model_says() {
    for seed in 1..4 {
        run(seed, false);
    }
}

#[test]
fn the_same_while_workers_are_killed() {
    for seed in 11..14 {
        run(seed, true);
    }
}

#[test]
fn with_no_worker_left_events_wait_for_the_next() {
    let broker = Broker::new(Config { io_threads: 1, ..Config::default() }).unwrap();
    let log: Arc<Mutex<Vec<Seen>>> = Arc::default();
    let worker = || {
        let log = Arc::clone(&log);
        TestWorker::new(&broker, Handlers::ALL, Box::new(move |_, _, seen| log.lock().push(seen.clone())))
    };
    let (_listener, port) = listen(&broker, SocketLimits::default());
    let first = worker();
    let mut client = Client::connect(port);
    client.send(b"1");
    until("the first is heard", || log.lock().len() == 1);
    first.kill();
    client.send(b"2");
    client.send(b"3");
    client.close(1000, "");
    assert_eq!(client.next(), Got::Close(Some(1000), String::new()));
    let late = Client::request(port);
    let second = worker();
    let _late = late.expect("HTTP/1.1 101");
    until("all is heard", || log.lock().len() == 4);
    let text = |text: &str| Seen::Text(text.into());
    assert_eq!(*log.lock(), [text("1"), text("2"), text("3"), Seen::Close(1000, String::new())]);
    drop(second);
}
