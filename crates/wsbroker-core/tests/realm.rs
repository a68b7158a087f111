//! Realms: sockets, channels and workers that are apart from all others of their broker.
#![allow(clippy::unwrap_used)]

mod common;

use std::{sync::Arc, time::Duration};

use wsbroker_core::{
    Audience, Broker, CloseCause, CloseCode, Config, Cork, Envelope, Event, Group, Handlers, Helper, Listener,
    MessageKind, Operation, Overflow, Realm, RelaySink, SendOutcome, SocketId, SocketLimits, Worker, WorkerHandle,
};

use common::{Client, Got, Queue, Seen, listen_with, logging, until};

/// A worker of a realm that runs on the test's own thread: whenever it is asked what has come.
struct Desk {
    queue: Arc<Queue>,
    handle: Option<WorkerHandle>,
    helper: Helper,
    cork: Cork,
    log: Vec<(SocketId, Seen)>,
}

impl Desk {
    fn new(broker: &Broker, realm: &Arc<Realm>) -> Self {
        let queue = Arc::<Queue>::default();
        let (handle, helper) = broker.add_helper(realm, Arc::clone(&queue) as Arc<dyn Worker>);
        helper.accept(true);
        Self { queue, handle: Some(handle), helper, cork: broker.cork(), log: Vec::new() }
    }

    /// Takes what has come.
    fn pump(&mut self) {
        for batch in self.queue.take() {
            for event in &batch.events {
                if let Some(seen) = seen(&batch, event) {
                    self.log.push((event.socket.id(), seen));
                }
            }
            if let Some(handle) = &self.handle {
                handle.settle(batch.events.iter(), None);
            }
        }
    }

    fn joined(&self) -> Vec<SocketId> {
        self.log.iter().filter(|(_, seen)| matches!(seen, Seen::Joined(_))).map(|(id, _)| *id).collect()
    }

    fn of(&self, id: SocketId) -> Vec<Seen> {
        self.log.iter().filter(|(other, _)| *other == id).map(|(_, seen)| seen.clone()).collect()
    }

    /// Waits for something that was told of this socket.
    fn await_seen(&mut self, id: SocketId, what: &Seen) {
        until("it is told", || {
            self.pump();
            self.of(id).contains(what)
        });
    }

    /// Makes a client of that name of the next connection.
    fn client(&mut self, port: u16, name: &str) -> (Client, SocketId) {
        let before = self.joined().len();
        let client = Client::request_to(port, "/ws", "").expect("HTTP/1.1 101");
        until("it is told of the socket", || {
            self.pump();
            self.joined().len() > before
        });
        let id = *self.joined().last().unwrap();
        assert!(self.helper.add_client(name.as_bytes(), Some(id)));
        (client, id)
    }

    fn send(&mut self, id: SocketId, text: &str) -> SendOutcome {
        let staged = self.cork.stage_slice(MessageKind::Text, text.as_bytes());
        let outcome = self.helper.send(&mut self.cork, id, staged);
        self.cork.flush();
        outcome
    }

    fn publish(&mut self, audience: Audience<'_>, text: &str, exclude: &[&str]) -> usize {
        let exclude: Vec<&[u8]> = exclude.iter().map(|id| id.as_bytes()).collect();
        let staged = self.cork.stage_slice(MessageKind::Text, text.as_bytes());
        let refused = self.helper.publish(&mut self.cork, audience, staged, &exclude);
        self.cork.flush();
        refused
    }

    fn die(&mut self) {
        let unstarted = self.queue.end();
        self.handle.take().unwrap().remove(unstarted);
    }
}

fn seen(batch: &wsbroker_core::Batch, event: &Event) -> Option<Seen> {
    use wsbroker_core::EventKind as Kind;
    Some(match &event.kind {
        Kind::Joined(ip) => Seen::Joined(ip.to_string()),
        Kind::Text(payload) => Seen::Text(batch.bytes(payload).to_vec()),
        Kind::Binary(payload) => Seen::Binary(batch.bytes(payload).to_vec()),
        Kind::Close { code, reason } => Seen::Close(*code, reason.to_string()),
        Kind::Drain => Seen::Drain,
        Kind::Open(_) => return None,
    })
}

fn broker(io_threads: usize) -> Broker {
    Broker::new(Config { io_threads, ..Config::default() }).unwrap()
}

/// An address of a realm alone, at `/ws`.
fn listen(broker: &Broker, realm: &Arc<Realm>, limits: SocketLimits) -> (Listener, u16) {
    listen_with(broker, |config| {
        config.realm = Some(Arc::clone(realm));
        config.paths = vec!["/ws".into()];
        config.limits = limits;
    })
}

/// Another path on the address of a listener.
fn beside(broker: &Broker, other: &Arc<Listener>, path: &str, realm: Option<&Arc<Realm>>) -> Listener {
    let mut config = wsbroker_core::ListenerConfig::new("127.0.0.1:0".parse().unwrap());
    config.paths = vec![path.into()];
    config.realm = realm.cloned();
    let listener = broker.runtime().block_on(broker.listen_beside(Arc::clone(other), config)).unwrap();
    listener.serve();
    listener
}

fn status(port: u16, path: &str) -> String {
    let client = Client::request_to(port, path, "").expect("HTTP/1.1 ");
    client.head.split(' ').nth(1).unwrap().to_owned()
}

#[test]
fn nobody_is_asked_and_events_come_in_order_from_the_socket_s_beginning_to_its_end() {
    let broker = broker(2);
    let realm = broker.realm();
    let mut desk = Desk::new(&broker, &realm);
    let (_listener, port) = listen(&broker, &realm, SocketLimits::default());
    let (mut client, id) = desk.client(port, "a");
    for text in ["1", "2", "3"] {
        client.send(text.as_bytes());
    }
    client.send_frame(true, wsbroker_proto::Opcode::Binary, b"4");
    client.close(3001, "bye");
    desk.await_seen(id, &Seen::Close(3001, "bye".into()));
    let text = |text: &str| Seen::Text(text.into());
    let expected = [
        Seen::Joined("127.0.0.1".into()),
        text("1"),
        text("2"),
        text("3"),
        Seen::Binary(b"4".to_vec()),
        Seen::Close(3001, "bye".into()),
    ];
    assert_eq!(desk.of(id), expected);
    assert_eq!(client.next(), Got::Close(Some(3001), String::new()));
}

#[test]
fn raw_calls_take_a_realm_s_socket_for_one_that_is_gone() {
    let broker = broker(1);
    let realm = broker.realm();
    let mut desk = Desk::new(&broker, &realm);
    let (_listener, port) = listen(&broker, &realm, SocketLimits::default());
    let (mut client, id) = desk.client(port, "a");
    let mut cork = broker.cork();
    assert!(desk.helper.subscribe(&mut desk.cork, id, b"room"));
    desk.helper.add_member(&mut desk.cork, b"a", Audience::Room(b"room"));

    assert!(!broker.is_open(id));
    assert_eq!(broker.buffered_amount(id), 0);
    assert!(!broker.set_token(id, "t".into()));
    assert_eq!(broker.token(id), None);
    assert_eq!(broker.subscribe(&mut cork, id, b"raw"), Ok(false));
    assert_eq!(broker.subscribe_many(&mut cork, id, &[b"raw"]), Ok(0));
    assert!(!broker.unsubscribe(&mut cork, id, b"room"));
    assert_eq!(broker.unsubscribe_all(&mut cork, id), 0);
    assert!(!broker.is_subscribed(id, b"room"));
    assert!(broker.subscriptions(id).is_empty() && broker.subscribers(b"room").is_empty());
    assert_eq!(broker.copy_subscriptions(&mut cork, b"room", b"raw"), Ok(0));
    assert_eq!((broker.subscriber_count(b"room"), broker.channel_count(), broker.connection_count()), (0, 0, 0));
    // Also when the thread's helper has just used it.
    let staged = cork.stage_slice(MessageKind::Text, b"no");
    assert_eq!(cork.send(id, staged), SendOutcome::Dropped);
    let staged = cork.stage_slice(MessageKind::Text, b"no");
    assert_eq!(cork.publish(b"room", staged, &[]), 0);
    assert_eq!(cork.close_channel(b"room", CloseCode::NORMAL, ""), 0);
    cork.close(id, CloseCode::NORMAL, "");
    cork.terminate(id);
    cork.flush();

    assert_eq!(desk.send(id, "still there"), SendOutcome::Queued);
    assert_eq!(client.text(), "still there");
    // Totals are of all.
    assert_eq!((broker.stats().connections, realm.connections()), (1, 1));
}

#[test]
fn a_realm_reaches_neither_raw_sockets_nor_those_of_another_realm() {
    let broker = broker(1);
    let (_worker, log) = logging(&broker, Handlers::ALL);
    let (raw, raw_port) = listen_with(&broker, |_| ());
    let mut raw_client = Client::connect(raw_port);
    raw_client.send(b"hello");
    until("the raw one is there", || log.lock().len() == 1);
    let raw_id = SocketId::new(log.lock()[0].0).unwrap();
    let mut raw_cork = broker.cork();
    broker.subscribe(&mut raw_cork, raw_id, b"room").unwrap();

    let realms = [broker.realm(), broker.realm()];
    let mut desks = realms.each_ref().map(|realm| Desk::new(&broker, realm));
    let ports = realms.each_ref().map(|realm| listen(&broker, realm, SocketLimits::default()));
    let [one, two] = &mut desks;
    let (mut a, a_id) = one.client(ports[0].1, "a");
    let (mut b, b_id) = two.client(ports[1].1, "b");
    assert!(one.helper.subscribe(&mut one.cork, a_id, b"room") && two.helper.subscribe(&mut two.cork, b_id, b"room"));

    for foreign in [raw_id, b_id] {
        assert_eq!(one.send(foreign, "no"), SendOutcome::Dropped);
        assert!(!one.helper.subscribe(&mut one.cork, foreign, b"x"));
        assert!(!one.helper.unsubscribe(&mut one.cork, foreign, b"room"));
        assert!(!one.helper.is_subscribed(foreign, b"room"));
        one.helper.close(&mut one.cork, foreign, CloseCode::NORMAL, "");
    }
    one.publish(Audience::Room(b"room"), "to one", &[]);
    two.publish(Audience::Room(b"room"), "to two", &[]);
    let staged = raw_cork.stage_slice(MessageKind::Text, b"to raw");
    assert_eq!(raw_cork.publish(b"room", staged, &[]), 1);
    raw_cork.flush();
    assert_eq!((a.text(), b.text(), raw_client.text()), ("to one".into(), "to two".into(), "to raw".into()));
    // Nothing else is on its way.
    assert_eq!((one.send(a_id, "end"), two.send(b_id, "end")), (SendOutcome::Queued, SendOutcome::Queued));
    assert_eq!((a.text(), b.text()), ("end".into(), "end".into()));
    assert_eq!((broker.channel_count(), broker.connection_count()), (1, 1));
    assert!(one.of(b_id).is_empty() && two.of(a_id).is_empty());
    assert_eq!(log.lock().len(), 1, "a raw worker hears of no realm");
    drop(raw);
}

#[test]
fn rooms_and_users_of_one_name_are_two_channels() {
    let broker = broker(1);
    let realm = broker.realm();
    let mut desk = Desk::new(&broker, &realm);
    let (_listener, port) = listen(&broker, &realm, SocketLimits::default());
    let (mut a, id) = desk.client(port, "a");
    let (mut b, _) = desk.client(port, "b");
    desk.helper.subscribe(&mut desk.cork, id, b"x");
    desk.helper.add_member(&mut desk.cork, b"b", Audience::User(b"x"));
    desk.publish(Audience::Room(b"x"), "room", &[]);
    desk.publish(Audience::User(b"x"), "user", &[]);
    assert_eq!((a.text(), b.text()), ("room".into(), "user".into()));
}

#[test]
fn a_publish_reaches_the_clients_of_every_worker_once_but_the_excluded() {
    let broker = broker(2);
    let realm = broker.realm();
    let (_listener, port) = listen(&broker, &realm, SocketLimits::default());
    let mut clients = Vec::new();
    let mut desks: Vec<Desk> = (0..4)
        .map(|number| {
            let mut desk = Desk::new(&broker, &realm);
            for which in 0..3 {
                let name = format!("{number}-{which}");
                let (client, id) = desk.client(port, &name);
                desk.helper.subscribe(&mut desk.cork, id, b"room");
                desk.helper.add_member(&mut desk.cork, name.as_bytes(), Audience::Room(b"room"));
                clients.push((name, client));
            }
            // The next three go to the next one, as it is the only one that takes any.
            desk.helper.accept(false);
            desk
        })
        .collect();
    assert_eq!((realm.room_count(b"room"), realm.client_count(), realm.connections()), (12, 12, 12));
    for (number, desk) in desks.iter_mut().enumerate() {
        assert_eq!(desk.publish(Audience::Room(b"room"), &format!("from {number}"), &["0-0", "3-2", "nobody"]), 0);
    }
    desks[0].publish(Audience::Room(b"room"), "end", &[]);
    for (name, client) in &mut clients {
        let mut got = Vec::new();
        loop {
            match client.text() {
                text if text == "end" => break,
                text => got.push(text),
            }
        }
        got.sort_unstable();
        let expected: &[&str] =
            if ["0-0", "3-2"].contains(&name.as_str()) { &[] } else { &["from 0", "from 1", "from 2", "from 3"] };
        assert_eq!(got, expected, "client {name}");
    }
}

#[test]
fn a_connection_goes_to_the_worker_of_its_realm_that_has_the_fewest() {
    let broker = broker(2);
    let realm = broker.realm();
    let other = broker.realm();
    let (_raw, _) = logging(&broker, Handlers::ALL);
    let _idle = Desk::new(&broker, &other);
    let mut desks: Vec<Desk> = (0..3).map(|_| Desk::new(&broker, &realm)).collect();
    let (_listener, port) = listen(&broker, &realm, SocketLimits::default());
    let clients: Vec<Client> = (0..9).map(|_| Client::request_to(port, "/ws", "").expect("HTTP/1.1 101")).collect();
    until("all are told", || {
        desks.iter_mut().for_each(Desk::pump);
        desks.iter().map(|desk| desk.joined().len()).sum::<usize>() == 9
    });
    assert_eq!(desks.iter().map(|desk| desk.joined().len()).collect::<Vec<_>>(), [3, 3, 3]);
    drop(clients);
}

#[test]
fn when_a_worker_ends_its_clients_are_closed_with_1012_and_nothing_of_them_is_left() {
    let broker = broker(2);
    let realm = broker.realm();
    let mut dying = Desk::new(&broker, &realm);
    let (_listener, port) = listen(&broker, &realm, SocketLimits::default());
    let mut clients = Vec::new();
    for name in ["a", "b", "c"] {
        let (client, id) = dying.client(port, name);
        dying.helper.subscribe(&mut dying.cork, id, b"room");
        dying.helper.add_member(&mut dying.cork, name.as_bytes(), Audience::Room(b"room"));
        dying.helper.add_member(&mut dying.cork, name.as_bytes(), Audience::User(b"u"));
        clients.push(client);
    }
    dying.helper.hold_client(&mut dying.cork, b"c");
    dying.helper.accept(false);
    let mut staying = Desk::new(&broker, &realm);
    let (mut other, id) = staying.client(port, "d");
    staying.helper.subscribe(&mut staying.cork, id, b"room");
    staying.helper.add_member(&mut staying.cork, b"d", Audience::Room(b"room"));
    // Not begun when it dies.
    clients[0].send(b"left behind");
    until("it waits", || dying.queue.waiting() == 1);
    dying.die();

    assert_eq!((realm.client_count(), realm.room_count(b"room")), (1, 1));
    for client in &mut clients {
        assert_eq!(client.next(), Got::Close(Some(1012), "Worker ended".into()));
        client.close(1012, "");
        assert_eq!(client.next(), Got::End);
    }
    until("they are gone", || realm.connections() == 1);
    assert_eq!(broker.stats().closes.of(CloseCause::WorkerEnded), 3);
    assert_eq!(staying.publish(Audience::Room(b"room"), "here", &[]), 0, "nobody holds anything any more");
    assert_eq!(other.text(), "here");
    staying.pump();
    assert_eq!(staying.of(id), [Seen::Joined("127.0.0.1".into())]);
    assert_eq!(staying.joined().len(), 1, "nothing moves");
    // A shutdown does not wait for what was never begun.
    drop(staying.handle.take());
    other.close(1000, "");
}

#[test]
fn a_shutdown_closes_and_does_not_wait_for_events_that_died_with_their_worker() {
    let broker = broker(1);
    let realm = broker.realm();
    let mut desk = Desk::new(&broker, &realm);
    let (_listener, port) = listen(&broker, &realm, SocketLimits::default());
    let (mut client, _) = desk.client(port, "a");
    client.send(b"left behind");
    until("it waits", || desk.queue.waiting() == 1);
    desk.die();
    assert_eq!(client.next(), Got::Close(Some(1012), "Worker ended".into()));
    client.close(1012, "");
    assert_eq!(client.next(), Got::End);
    let ending = std::thread::spawn({
        let broker = broker.clone();
        move || {
            let runtime = broker.runtime().clone();
            runtime.block_on(broker.shutdown(CloseCode::GOING_AWAY, Duration::from_secs(3600)))
        }
    });
    until("it is over", || ending.is_finished());
}

#[test]
fn a_shutdown_of_the_broker_closes_a_realm_s_sockets_as_any_other() {
    let broker = broker(1);
    let realm = broker.realm();
    let mut desk = Desk::new(&broker, &realm);
    let (_listener, port) = listen(&broker, &realm, SocketLimits::default());
    let (mut client, id) = desk.client(port, "a");
    let ending = std::thread::spawn({
        let broker = broker.clone();
        move || {
            let runtime = broker.runtime().clone();
            runtime.block_on(broker.shutdown(CloseCode::GOING_AWAY, Duration::from_secs(20)))
        }
    });
    assert_eq!(client.next(), Got::Close(Some(1001), String::new()));
    client.close(1001, "");
    desk.await_seen(id, &Seen::Close(1001, String::new()));
    assert_eq!(ending.join().unwrap(), wsbroker_core::ShutdownReport { closed: 1, terminated: 0 });
}

#[test]
fn a_path_whose_realm_has_no_worker_answers_503_and_raw_handlers_never_get_it() {
    let broker = broker(1);
    let (_worker, log) = logging(&broker, Handlers::ALL);
    let (raw, port) = listen_with(&broker, |_| ());
    let raw = Arc::new(raw);
    let realm = broker.realm();
    let listener = beside(&broker, &raw, "/ws", Some(&realm));
    assert_eq!(status(port, "/ws"), "503", "none yet");
    let mut desk = Desk::new(&broker, &realm);
    assert_eq!(status(port, "/ws"), "101");
    assert_eq!(status(port, "/else"), "101", "a raw one");
    desk.helper.accept(false);
    assert_eq!(status(port, "/ws"), "503");
    desk.helper.accept(true);
    desk.die();
    assert_eq!(status(port, "/ws"), "503");
    drop(listener);
    assert_eq!(status(port, "/ws"), "503", "its listener is closed, too");
    let again = broker.realm();
    let _listener = beside(&broker, &raw, "/ws", Some(&again));
    let _desk = Desk::new(&broker, &again);
    assert_eq!(status(port, "/ws"), "101", "somebody else serves it");
    until("the raw one is gone", || log.lock().len() == 1);
    assert_eq!(log.lock()[0].1, Seen::Close(1006, String::new()));
}

#[test]
fn a_path_that_a_realm_is_about_to_serve_answers_503_until_it_does_or_gives_up() {
    let broker = broker(1);
    let silent = logging(&broker, Handlers::default());
    let (raw, port) = listen_with(&broker, |_| ());
    let raw = Arc::new(raw);
    assert_eq!(
        status(port, "/ws"),
        "101",
        "nothing else is served here: who listens without handlers wants no messages"
    );
    let (one, other) = (raw.await_path("/ws"), raw.await_path("/ws"));
    assert_eq!(status(port, "/ws"), "503");
    assert_eq!(status(port, "/else"), "404", "nobody would hear of it");
    let _raw_worker = logging(&broker, Handlers::TEXT);
    assert_eq!(status(port, "/else"), "101");
    drop(one);
    assert_eq!(status(port, "/ws"), "503", "one more is on its way");
    drop(other);
    assert_eq!(status(port, "/ws"), "101", "it has given up");
    let awaited = raw.await_path("/ws");
    let realm = broker.realm();
    let _desk = Desk::new(&broker, &realm);
    let _listener = beside(&broker, &raw, "/ws", Some(&realm));
    assert_eq!(status(port, "/ws"), "101", "it is there");
    drop((awaited, silent));
}

#[test]
fn paths_are_exact_and_an_address_without_raw_handlers_has_no_others() {
    let broker = broker(1);
    let realm = broker.realm();
    let _desk = Desk::new(&broker, &realm);
    let (alone, port) = listen(&broker, &realm, SocketLimits::default());
    for path in ["/", "/WS", "/ws/", "/w%73", "*"] {
        assert_eq!(status(port, path), "404", "{path}");
    }
    assert_eq!(status(port, "/ws?a=b"), "101");
    let (worker, _) = logging(&broker, Handlers::default());
    let _raw = beside(&broker, &Arc::new(alone), "*", None);
    assert_eq!(status(port, "/"), "404", "no raw worker has a handler");
    let _other = logging(&broker, Handlers::TEXT);
    assert_eq!(status(port, "/"), "101");
    drop(worker);
}

#[test]
fn a_frame_is_limited_until_the_client_is_finished() {
    let broker = broker(1);
    let realm = broker.realm();
    let mut desk = Desk::new(&broker, &realm);
    let limits = SocketLimits { max_payload: 1000, max_first_payload: Some(10), ..SocketLimits::default() };
    let (_listener, port) = listen(&broker, &realm, limits);
    let (mut early, id) = desk.client(port, "early");
    early.send(&[b'x'; 10]);
    // Its header alone is enough.
    std::io::Write::write_all(&mut early.stream, &[0x81, 0x80 | 11, 0, 0, 0, 0]).unwrap();
    assert_eq!(early.next(), Got::Close(Some(1009), "Received too big message".into()));
    desk.await_seen(id, &Seen::Close(1009, "Received too big message".into()));
    assert_eq!(desk.of(id)[1], Seen::Text(vec![b'x'; 10]));

    let (mut client, id) = desk.client(port, "client");
    desk.helper.finish_client(&mut desk.cork, b"client");
    assert_eq!(desk.send(id, "connected"), SendOutcome::Queued);
    assert_eq!(client.text(), "connected");
    client.send(&[b'x'; 1000]);
    desk.await_seen(id, &Seen::Text(vec![b'x'; 1000]));
    client.send(&[b'x'; 1001]);
    assert_eq!(client.next(), Got::Close(Some(1009), "Received too big message".into()));
}

#[test]
fn the_first_limit_never_allows_more_than_the_other() {
    let broker = broker(1);
    let realm = broker.realm();
    let mut desk = Desk::new(&broker, &realm);
    let limits = SocketLimits { max_payload: 5, max_first_payload: Some(10), ..SocketLimits::default() };
    let (_listener, port) = listen(&broker, &realm, limits);
    let (mut client, _) = desk.client(port, "a");
    client.send(b"123456");
    assert_eq!(client.next(), Got::Close(Some(1009), "Received too big message".into()));
}

#[test]
fn one_thread_s_calls_take_effect_in_their_order() {
    let broker = broker(2);
    let realm = broker.realm();
    let mut desk = Desk::new(&broker, &realm);
    let (_listener, port) = listen(&broker, &realm, SocketLimits::default());
    let (mut a, id) = desk.client(port, "a");
    let stage = |cork: &mut Cork, text: &str| cork.stage_slice(MessageKind::Text, text.as_bytes());
    let Desk { helper, cork, .. } = &mut desk;
    for round in 0..100 {
        let staged = stage(cork, "before");
        helper.publish(cork, Audience::Room(b"r"), staged, &[]);
        helper.subscribe(cork, id, b"r");
        let staged = stage(cork, &format!("{round} published"));
        helper.publish(cork, Audience::Room(b"r"), staged, &[]);
        let staged = stage(cork, &format!("{round} sent"));
        assert_eq!(helper.send(cork, id, staged), SendOutcome::Queued);
        let staged = stage(cork, &format!("{round} by name"));
        assert_eq!(helper.realm().send(cork, b"a", staged), SendOutcome::Queued);
        let staged = stage(cork, &format!("{round} bye"));
        helper.publish(cork, Audience::Room(b"r"), staged, &[]);
        helper.unsubscribe(cork, id, b"r");
        let staged = stage(cork, "after");
        helper.publish(cork, Audience::Room(b"r"), staged, &[]);
    }
    cork.flush();
    for round in 0..100 {
        for what in ["published", "sent", "by name", "bye"] {
            assert_eq!(a.text(), format!("{round} {what}"));
        }
    }
}

#[test]
fn an_outbox_holds_its_limit_and_one_message() {
    let broker = broker(1);
    let realm = broker.realm();
    let mut desk = Desk::new(&broker, &realm);
    let limits = SocketLimits { max_backpressure: 100_000, overflow: Overflow::DropNewest, ..SocketLimits::default() };
    let (_listener, port) = listen(&broker, &realm, limits);
    let (mut client, id) = desk.client(port, "a");
    let text = "x".repeat(60_000);
    let mut outcomes = Vec::new();
    until("it is full", || {
        outcomes.push(desk.send(id, &text));
        outcomes.last() == Some(&SendOutcome::Dropped)
    });
    let queued = outcomes.iter().filter(|outcome| **outcome != SendOutcome::Dropped).count();
    assert!(outcomes.contains(&SendOutcome::OverLimit), "the last that is queued says so");
    for _ in 0..queued {
        assert_eq!(client.text(), text);
    }
    desk.await_seen(id, &Seen::Drain);
    assert_eq!(desk.send(id, "on it goes"), SendOutcome::Queued);
    assert_eq!(client.text(), "on it goes");
}

#[test]
fn a_removed_client_keeps_its_socket_and_nothing_else() {
    let broker = broker(1);
    let realm = broker.realm();
    let mut desk = Desk::new(&broker, &realm);
    let (_listener, port) = listen(&broker, &realm, SocketLimits::default());
    let (mut client, id) = desk.client(port, "a");
    desk.helper.subscribe(&mut desk.cork, id, b"r");
    desk.helper.add_member(&mut desk.cork, b"a", Audience::Room(b"r"));
    desk.helper.add_member(&mut desk.cork, b"a", Audience::User(b"u"));
    desk.helper.remove_client(&mut desk.cork, b"a");
    assert_eq!((realm.client_count(), realm.room_count(b"r")), (0, 0));
    desk.publish(Audience::Room(b"r"), "no", &[]);
    desk.publish(Audience::User(b"u"), "no", &[]);
    assert!(!desk.helper.subscribe(&mut desk.cork, id, b"again"), "it joins nothing any more");
    assert_eq!(desk.send(id, "yes"), SendOutcome::Queued);
    assert_eq!(client.text(), "yes");
}

fn publish_post(posts: &[wsbroker_core::Post]) -> Vec<(Group, String, Vec<String>)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let one = |post: &wsbroker_core::Post| match &post.operation {
        Operation::Publish { audience, frame, exclude } => {
            Some((audience.clone(), text(frame), exclude.iter().map(|id| text(id)).collect()))
        }
        _ => None,
    };
    posts.iter().filter_map(one).collect()
}

#[test]
fn held_members_are_counted_and_published_to_through_their_owners_only() {
    let broker = broker(1);
    let realm = broker.realm();
    let mut owner = Desk::new(&broker, &realm);
    let (_listener, port) = listen(&broker, &realm, SocketLimits::default());
    let (mut held, id) = owner.client(port, "held");
    owner.helper.subscribe(&mut owner.cork, id, b"r");
    owner.helper.add_member(&mut owner.cork, b"held", Audience::Room(b"r"));
    owner.helper.add_member(&mut owner.cork, b"held", Audience::User(b"u"));
    owner.helper.finish_client(&mut owner.cork, b"held");
    owner.helper.hold_client(&mut owner.cork, b"held");
    assert!(!owner.helper.is_subscribed(id, b"r"));
    owner.helper.add_member(&mut owner.cork, b"held", Audience::Room(b"later"));
    owner.helper.accept(false);
    let mut other = Desk::new(&broker, &realm);

    assert_eq!((realm.room_count(b"r"), realm.room_count(b"later")), (1, 1));
    assert_eq!(other.publish(Audience::Room(b"r"), "1", &["x"]), 0);
    assert_eq!(other.publish(Audience::User(b"u"), "2", &[]), 0);
    assert_eq!(other.publish(Audience::Everybody, "3", &[]), 0);
    assert_eq!(other.publish(Audience::Room(b"later"), "4", &[]), 0);
    assert_eq!(other.publish(Audience::Room(b"empty"), "5", &[]), 0);
    assert_eq!(owner.publish(Audience::Room(b"r"), "its own", &[]), 0);
    let posts = owner.queue.take_posts();
    let room = |name: &str| Group::Room(name.as_bytes().into());
    let expected = [
        (room("r"), "1".to_owned(), vec!["x".to_owned()]),
        (Group::User(b"u"[..].into()), "2".into(), vec![]),
        (Group::Everybody, "3".into(), vec![]),
        (room("later"), "4".into(), vec![]),
    ];
    assert_eq!(publish_post(&posts), expected);
    assert!(other.queue.take_posts().is_empty(), "who holds nothing is not woken");

    let staged = other.cork.stage_slice(MessageKind::Text, b"single");
    assert_eq!(realm.send(&mut other.cork, b"held", staged), SendOutcome::Queued);
    assert!(other.helper.ask_member(b"held", b"n", true) && other.helper.ask_member(b"held", b"n", false));
    assert!(!other.helper.ask_member(b"nobody", b"n", true));
    let posts: Vec<Operation> = owner.queue.take_posts().into_iter().map(|post| post.operation).collect();
    let (client, room) = (Box::<[u8]>::from(&b"held"[..]), Box::<[u8]>::from(&b"n"[..]));
    let expected = [
        Operation::Send { client: client.clone(), frame: b"single"[..].into() },
        Operation::Join { client: client.clone(), room: room.clone() },
        Operation::Leave { client, room },
    ];
    assert_eq!(posts, expected);
    assert_eq!(owner.send(id, "end"), SendOutcome::Queued);
    assert_eq!(held.text(), "end", "nothing was published to it");
    owner.helper.remove_client(&mut owner.cork, b"held");
    assert_eq!(other.publish(Audience::Room(b"r"), "nobody", &[]), 0);
    assert!(owner.queue.take_posts().is_empty());
}

#[test]
fn what_waits_at_a_helper_is_bounded_and_the_sender_is_told() {
    let broker = broker(1);
    let realm = broker.realm();
    let owner = Desk::new(&broker, &realm);
    let mut other = Desk::new(&broker, &realm);
    assert!(owner.helper.add_client(b"made by hand", None));
    let text = "x".repeat(1 << 20);
    let send = |desk: &mut Desk| {
        let staged = desk.cork.stage_slice(MessageKind::Text, text.as_bytes());
        realm.send(&mut desk.cork, b"made by hand", staged)
    };
    let sent = (0..20).filter(|_| send(&mut other) == SendOutcome::Queued).count();
    assert_eq!(sent, 15, "16 MiB, with what is counted on top of each");
    let posts = owner.queue.take_posts();
    assert_eq!(posts.len(), 15);
    assert_eq!(send(&mut other), SendOutcome::Dropped, "they wait until they are done with");
    drop(posts);
    assert_eq!(send(&mut other), SendOutcome::Queued);
}

#[test]
fn clients_that_a_publish_leaves_out_count_into_what_waits() {
    let broker = broker(1);
    let realm = broker.realm();
    let mut owner = Desk::new(&broker, &realm);
    let mut other = Desk::new(&broker, &realm);
    assert!(owner.helper.add_client(b"held", None));
    owner.helper.finish_client(&mut owner.cork, b"held");
    owner.helper.hold_client(&mut owner.cork, b"held");
    let nobody = vec![""; 100_000];
    let refused: usize = (0..10).map(|_| other.publish(Audience::Everybody, "", &nobody)).sum();
    assert_eq!((owner.queue.take_posts().len(), refused), (5, 5), "each takes 3.2 MB, whatever the names are");
}

#[test]
fn an_excluded_client_costs_no_more_when_it_is_named_a_million_times() {
    let broker = broker(1);
    let realm = broker.realm();
    let mut desk = Desk::new(&broker, &realm);
    let (_listener, port) = listen(&broker, &realm, SocketLimits::default());
    let (mut a, a_id) = desk.client(port, "a");
    let (mut b, b_id) = desk.client(port, "b");
    for id in [a_id, b_id] {
        desk.helper.subscribe(&mut desk.cork, id, b"r");
    }
    // The one that is not excluded is looked for among all.
    let often = ["b"].repeat(1_000_000);
    desk.publish(Audience::Room(b"r"), "but b", &often);
    desk.publish(Audience::Room(b"r"), "but both", &["b", "a", "b", "nobody"]);
    desk.publish(Audience::Room(b"r"), "all", &[]);
    assert_eq!([a.text(), a.text(), b.text()], ["but b", "all", "all"]);
}

#[test]
fn one_helper_takes_the_input_and_hands_it_on_when_it_leaves() {
    let broker = broker(1);
    let realm = broker.realm();
    let mut desks: Vec<Desk> = (0..3).map(|_| Desk::new(&broker, &realm)).collect();
    assert_eq!(desks.iter().map(|desk| desk.helper.claim_input()).collect::<Vec<_>>(), [true, false, false]);
    assert!(desks[0].helper.claim_input(), "it stays its own");
    let told =
        |desk: &Desk| -> Vec<Operation> { desk.queue.take_posts().into_iter().map(|post| post.operation).collect() };
    assert!(desks[0].helper.set_input(true) && !desks[0].helper.set_input(true));
    assert!(realm.input_is_ready());
    let state = |ready| Operation::InputState { ready };
    assert_eq!(desks.iter().map(told).collect::<Vec<_>>(), [vec![], vec![state(true)], vec![state(true)]]);
    desks[2].die();
    assert!(told(&desks[1]).is_empty());
    desks[0].die();
    assert_eq!(told(&desks[1]), [state(false), Operation::TakeInput]);
    assert!(!realm.input_is_ready() && desks[1].helper.claim_input());
}

#[test]
fn a_helper_that_shuts_down_waits_for_its_own_connections_and_cuts_what_stays() {
    let broker = broker(1);
    let realm = broker.realm();
    let mut desk = Desk::new(&broker, &realm);
    let (_listener, port) =
        listen(&broker, &realm, SocketLimits { close_timeout: Duration::from_secs(3600), ..SocketLimits::default() });
    let (mut client, id) = desk.client(port, "a");
    desk.helper.accept(false);
    let mut other = Desk::new(&broker, &realm);
    let (mut neighbour, _) = other.client(port, "b");
    desk.helper.close(&mut desk.cork, id, CloseCode::GOING_AWAY, "Server shutting down");
    desk.cork.flush();
    assert_eq!(client.next(), Got::Close(Some(1001), "Server shutting down".into()));
    broker.runtime().block_on(desk.helper.emptied(Duration::from_millis(10)));
    assert_eq!(client.next(), Got::End, "it did not answer");
    desk.await_seen(id, &Seen::Close(1006, String::new()));
    neighbour.send(b"still here");
    until("the other goes on", || {
        other.pump();
        other.log.iter().any(|(_, seen)| *seen == Seen::Text(b"still here".to_vec()))
    });
}

#[test]
fn who_waits_for_the_last_connection_is_woken_however_the_threads_interleave() {
    let broker = broker(1);
    let realm = broker.realm();
    let mut desk = Desk::new(&broker, &realm);
    let (_listener, port) = listen(&broker, &realm, SocketLimits::default());
    for round in 0..1000 {
        let (client, _) = desk.client(port, &format!("client {round}"));
        let helper = desk.helper.clone();
        // Longer than anybody waits: it must not be the limit that ends this.
        let waiting = broker.runtime().spawn(async move { helper.emptied(Duration::from_secs(3600)).await });
        drop(client);
        until("the end of the last connection is told", || {
            desk.pump();
            waiting.is_finished()
        });
    }
}

#[test]
fn a_client_that_becomes_held_gets_each_publish_of_another_thread_once() {
    let broker = broker(1);
    let realm = broker.realm();
    let mut owner = Desk::new(&broker, &realm);
    let (_listener, port) = listen(&broker, &realm, SocketLimits::default());
    // The channel lives on, and it has a subscriber in that shard.
    let (_neighbour, neighbour) = owner.client(port, "neighbour");
    owner.helper.subscribe(&mut owner.cork, neighbour, b"r");
    for round in 0..20 {
        let name = format!("client {round}");
        let (mut client, id) = owner.client(port, &name);
        owner.helper.subscribe(&mut owner.cork, id, b"r");
        owner.helper.add_member(&mut owner.cork, name.as_bytes(), Audience::Room(b"r"));
        let (_, other) = broker.add_helper(&realm, Arc::<Queue>::default() as Arc<dyn Worker>);
        let (began, begin) = std::sync::mpsc::channel();
        let publisher = std::thread::spawn({
            let broker = broker.clone();
            move || {
                let mut cork = broker.cork();
                for number in 0..2_000 {
                    let staged = cork.stage_slice(MessageKind::Text, number.to_string().as_bytes());
                    assert_eq!(other.publish(&mut cork, Audience::Room(b"r"), staged, &[]), 0);
                    if number % 7 == 0 {
                        cork.flush();
                    }
                    if number == 200 {
                        began.send(()).unwrap();
                    }
                }
            }
        });
        begin.recv().unwrap();
        owner.helper.hold_client(&mut owner.cork, name.as_bytes());
        publisher.join().unwrap();
        assert_eq!(owner.send(id, "end"), SendOutcome::Queued);
        let mut natively = Vec::new();
        loop {
            match client.text() {
                text if text == "end" => break,
                text => natively.push(text.parse::<u32>().unwrap()),
            }
        }
        let posts = publish_post(&owner.queue.take_posts());
        let posted = posts.iter().map(|(_, frame, _)| frame.parse().unwrap());
        let all: Vec<u32> = natively.into_iter().chain(posted).collect();
        assert_eq!(
            all,
            (0..2_000).collect::<Vec<_>>(),
            "each once, in order, first by itself and then through its owner"
        );
        owner.helper.remove_client(&mut owner.cork, name.as_bytes());
        owner.helper.close(&mut owner.cork, id, CloseCode::NORMAL, "");
        owner.cork.flush();
    }
}

#[test]
fn what_comes_from_other_instances_needs_no_worker_but_for_those_that_are_held() {
    let broker = broker(2);
    let realm = broker.realm();
    let mut desk = Desk::new(&broker, &realm);
    let (_listener, port) = listen(&broker, &realm, SocketLimits::default());
    let (mut a, a_id) = desk.client(port, "a");
    let (mut held, held_id) = desk.client(port, "held");
    for (name, id) in [("a", a_id), ("held", held_id)] {
        desk.helper.subscribe(&mut desk.cork, id, b"r");
        desk.helper.subscribe(&mut desk.cork, id, b"ws:internal:broadcast");
        desk.helper.add_member(&mut desk.cork, name.as_bytes(), Audience::Room(b"r"));
        desk.helper.add_member(&mut desk.cork, name.as_bytes(), Audience::User("ü".as_bytes()));
        desk.helper.finish_client(&mut desk.cork, name.as_bytes());
    }
    desk.helper.hold_client(&mut desk.cork, b"held");
    desk.cork.flush();
    let sink = broker.realm_sink(&realm);
    let receive = |fields: &str| {
        let text = format!(r#"{{"serverId":"x","event":"e",{fields}}}"#);
        match Envelope::read(&text, None) {
            Envelope::Message(message) => sink.deliver(message),
            other => panic!("{other:?}"),
        }
    };
    receive(r#""type":"room","target":"r","data":{ "as" : 1.0 }"#);
    receive(r#""type":"user","target":"\u00fc","data":"u""#);
    receive(r#""type":"broadcast","data":null"#);
    receive(r#""type":"client","target":"a""#);
    receive(r#""type":"client","target":"held","data":1"#);
    receive(r#""type":"client","target":"nobody","data":1"#);
    receive(r#""type":"room","target":"r","exclude":["a"],"data":2"#);
    receive(r#""type":"broadcast","exclude":["held"],"data":3"#);
    sink.flush();
    let natively = [
        r#"{"event":"e","data":{ "as" : 1.0 }}"#,
        r#"{"event":"e","data":"u"}"#,
        r#"{"event":"e","data":null}"#,
        r#"{"event":"e"}"#,
        r#"{"event":"e","data":3}"#,
    ];
    for expected in natively {
        assert_eq!(a.text(), expected);
    }
    let posts = desk.queue.take_posts();
    let frames = posts.iter().map(|post| match &post.operation {
        Operation::Publish { frame, .. } | Operation::Send { frame, .. } => String::from_utf8(frame.to_vec()).unwrap(),
        other => panic!("{other:?}"),
    });
    let expected =
        [natively[0], natively[1], natively[2], r#"{"event":"e","data":1}"#, r#"{"event":"e","data":2}"#, natively[4]];
    assert_eq!(frames.collect::<Vec<_>>(), expected);
    desk.send(held_id, "end");
    assert_eq!(held.text(), "end");
}
