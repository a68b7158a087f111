//! A namespace and all that is beside it: raw sockets, other namespaces, other paths of the
//! address.

use std::sync::Arc;

use wsbroker_core::{Audience, CloseCode, Handlers, MessageKind, SendOutcome, SocketId, SocketLimits};

use crate::common::{Client, Seen, listen_with, logging, until};
use crate::kit::{HelperThread, beside, broker, listen, settings, status};

#[test]
fn raw_calls_take_a_namespace_s_socket_for_one_that_is_gone() {
    let broker = broker(1);
    let namespace = broker.namespace(settings());
    let mut thread = HelperThread::new(&broker, &namespace);
    let (_listener, port) = listen(&broker, &namespace, SocketLimits::default());
    let (mut client, id) = thread.client(port, "a");
    let mut cork = broker.cork();
    assert!(thread.helper.subscribe(&mut thread.cork, id, b"room"));
    thread.helper.add_member(&mut thread.cork, b"a", Audience::Room(b"room"));

    assert!(!broker.is_open(id));
    assert_eq!(broker.buffered_amount(id), 0);
    assert!(!broker.set_token(id, b"t"));
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
    let staged = cork.stage_slice(MessageKind::Text, b"no");
    assert_eq!(cork.send_to_all(staged, &[]), 0);
    assert!(broker.sockets(0, 10).is_empty() && broker.socket_info(id).is_none() && broker.round_trip(id).is_none());
    assert_eq!(cork.close_channel(b"room", CloseCode::NORMAL, ""), 0);
    cork.close(id, CloseCode::NORMAL, "");
    cork.terminate(id);
    cork.flush();

    assert_eq!(thread.send(id, "still there"), SendOutcome::Queued);
    assert_eq!(client.text(), "still there");
    // Totals are of all.
    assert_eq!((broker.stats().connections, namespace.connections()), (1, 1));
}

#[test]
fn a_slow_socket_of_a_namespace_is_counted_and_not_listed_with_raw_ones() {
    let broker = broker(1);
    let namespace = broker.namespace(settings());
    let mut thread = HelperThread::new(&broker, &namespace);
    let (_listener, port) = listen(&broker, &namespace, SocketLimits::default());
    let (client, id) = thread.client(port, "a");
    assert_eq!(broker.scrape().slow.count, 0);
    let large = "x".repeat(100_000);
    until("it is slow", || {
        thread.send(id, &large);
        broker.scrape().slow.count == 1
    });
    assert_eq!(broker.scrape().slow.worst[0].id, id);
    assert!(broker.slow_sockets(10).is_empty());
    drop(client);
    until("it is gone", || broker.scrape().slow.count == 0);
}

#[test]
fn a_namespace_reaches_neither_raw_sockets_nor_those_of_another_namespace() {
    let broker = broker(1);
    let (_worker, log) = logging(&broker, Handlers::ALL);
    let (raw, raw_port) = listen_with(&broker, |_| ());
    let mut raw_client = Client::connect(raw_port);
    raw_client.send(b"hello");
    until("the raw one is there", || log.lock().len() == 1);
    let raw_id = SocketId::new(log.lock()[0].0).unwrap();
    let mut raw_cork = broker.cork();
    broker.subscribe(&mut raw_cork, raw_id, b"room").unwrap();

    let namespaces = [broker.namespace(settings()), broker.namespace(settings())];
    let mut threads = namespaces.each_ref().map(|namespace| HelperThread::new(&broker, namespace));
    let ports = namespaces.each_ref().map(|namespace| listen(&broker, namespace, SocketLimits::default()));
    let [one, two] = &mut threads;
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
    assert_eq!(log.lock().len(), 1, "a raw worker hears of no namespace");
    drop(raw);
}

#[test]
fn a_path_whose_namespace_has_no_worker_answers_503_and_raw_handlers_never_get_it() {
    let broker = broker(1);
    let (_worker, log) = logging(&broker, Handlers::ALL);
    let (raw, port) = listen_with(&broker, |_| ());
    let raw = Arc::new(raw);
    let namespace = broker.namespace(settings());
    let listener = beside(&broker, &raw, "/ws", Some(&namespace));
    assert_eq!(status(port, "/ws"), "503", "none yet");
    let mut thread = HelperThread::new(&broker, &namespace);
    assert_eq!(status(port, "/ws"), "101");
    assert_eq!(status(port, "/else"), "101", "a raw one");
    thread.helper.accept(false);
    assert_eq!(status(port, "/ws"), "503");
    thread.helper.accept(true);
    thread.die();
    assert_eq!(status(port, "/ws"), "503");
    drop(listener);
    assert_eq!(status(port, "/ws"), "503", "its listener is closed, too");
    let again = broker.namespace(settings());
    let _listener = beside(&broker, &raw, "/ws", Some(&again));
    let _thread = HelperThread::new(&broker, &again);
    assert_eq!(status(port, "/ws"), "101", "somebody else serves it");
    until("the raw one is gone", || log.lock().len() == 1);
    assert_eq!(log.lock()[0].1, Seen::Close(1006, String::new()));
}

#[test]
fn a_path_that_a_namespace_is_about_to_serve_answers_503_until_it_does_or_gives_up() {
    let broker = broker(1);
    let silent = logging(&broker, Handlers::default());
    let (raw, port) = listen_with(&broker, |_| ());
    let raw = Arc::new(raw);
    assert_eq!(status(port, "/ws"), "101", "nothing else is served here: a program without handlers wants no messages");
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
    let namespace = broker.namespace(settings());
    let _thread = HelperThread::new(&broker, &namespace);
    let _listener = beside(&broker, &raw, "/ws", Some(&namespace));
    assert_eq!(status(port, "/ws"), "101", "it is there");
    drop((awaited, silent));
}

#[test]
fn paths_are_exact_and_an_address_without_raw_handlers_has_no_others() {
    let broker = broker(1);
    let namespace = broker.namespace(settings());
    let _thread = HelperThread::new(&broker, &namespace);
    let (alone, port) = listen(&broker, &namespace, SocketLimits::default());
    for path in ["/", "/WS", "/ws/", "/w%73"] {
        assert_eq!(status(port, path), "404", "{path}");
    }
    assert_eq!(status(port, "*"), "400", "no path at all");
    assert_eq!(status(port, "/ws?a=b"), "101");
    let (worker, _) = logging(&broker, Handlers::default());
    let _raw = beside(&broker, &Arc::new(alone), "*", None);
    assert_eq!(status(port, "/"), "404", "no raw worker has a handler");
    let _other = logging(&broker, Handlers::TEXT);
    assert_eq!(status(port, "/"), "101");
    drop(worker);
}
