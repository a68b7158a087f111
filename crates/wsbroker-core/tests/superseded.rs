//! Workers that others take the place of, under open connections.

#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::{Client, Got, Queue, listen, until};
use wsbroker_core::{
    Accept, Batch, Broker, Config, Event, EventKind, Handlers, MessageKind, OpenReply, Socket, SocketLimits, Worker,
    WorkerHandle,
};

fn broker() -> Broker {
    Broker::new(Config { io_threads: 1, ..Config::default() }).unwrap()
}

fn queue(broker: &Broker, handlers: Handlers) -> (Arc<Queue>, WorkerHandle) {
    let queue = Arc::new(Queue::default());
    let handle = broker.add_worker(Arc::clone(&queue) as Arc<dyn Worker>, handlers);
    (queue, handle)
}

/// The texts that wait at a worker, in order.
fn texts(batches: &[Batch]) -> Vec<String> {
    let text = |batch: &Batch, event: &Event| match &event.kind {
        EventKind::Text(payload) => Some(String::from_utf8(batch.bytes(payload).to_vec()).unwrap()),
        _ => None,
    };
    batches.iter().flat_map(|batch| batch.events.iter().filter_map(move |event| text(batch, event))).collect()
}

/// Takes the question apart that is alone in its batch.
fn question(mut batch: Batch) -> (Arc<Socket>, OpenReply) {
    match batch.events.remove(0) {
        Event { socket, kind: EventKind::Open(open) } => (socket, open.reply),
        other => panic!("{other:?}"),
    }
}

fn settle(handle: &WorkerHandle, batches: &[Batch]) {
    handle.settle(batches.iter().flat_map(|batch| &batch.events), None);
}

/// The server closes with 1012, and the client answers.
fn assert_restarts(client: &mut Client) {
    assert!(matches!(client.next(), Got::Close(Some(1012), reason) if reason == "Worker ended"));
    client.close(1012, "");
}

#[test]
fn a_socket_moves_when_what_is_in_hand_has_settled_and_one_at_rest_at_once() {
    let broker = broker();
    let (first, old) = queue(&broker, Handlers::TEXT);
    let (_listener, port) = listen(&broker, SocketLimits::default());
    let (mut busy, mut idle) = (Client::connect(port), Client::connect(port));
    busy.send(b"1");
    busy.send(b"2");
    until("both are in hand", || first.waiting() == 2);
    let (second, new) = queue(&broker, Handlers::TEXT);
    old.supersede();
    old.supersede();
    idle.send(b"idle");
    until("the idle one has moved", || second.waiting() == 1);
    assert_eq!(texts(&second.take()), ["idle"]);
    busy.send(b"3");
    busy.send(b"4");
    common::pass(&mut idle);
    let batches = first.take();
    assert_eq!((texts(&batches), second.waiting()), (vec!["1".into(), "2".into()], 0));
    let mut events = batches.iter().flat_map(|batch| &batch.events);
    old.settle(events.by_ref().take(1), None);
    common::pass(&mut idle);
    assert_eq!((first.waiting(), second.waiting()), (0, 0), "one of them has not settled");
    old.settle(events, None);
    until("what came meanwhile is there", || second.waiting() == 2);
    assert_eq!(texts(&second.take()), ["3", "4"]);
    broker.runtime().block_on(old.emptied());
    let fresh = Client::connect(port);
    until("it is there", || broker.connection_count() == 3);
    drop(fresh);
    drop(new);
}

/// Once what is in hand has settled; and it is the old worker that hears of it.
#[test]
fn the_sockets_of_a_pinned_worker_are_closed_instead_of_moved() {
    let broker = broker();
    let first = Arc::new(Queue::default());
    let told = Handlers::OPEN | Handlers::TEXT | Handlers::CLOSE;
    let old = broker.add_pinned_worker(Arc::clone(&first) as Arc<dyn Worker>, told);
    let (_listener, port) = listen(&broker, SocketLimits::default());
    let mut busy = Client::request(port);
    until("it is asked", || first.waiting() == 1);
    let (socket, reply) = question(first.take().remove(0));
    reply.accept(Accept::default()).unwrap();
    busy = busy.expect("HTTP/1.1 101");
    old.settle([Event { socket, kind: EventKind::Drain }].iter(), None);
    busy.send(b"1");
    until("it is in hand", || first.waiting() == 1);
    let in_hand = first.take();
    let mut late = Client::request(port);
    until("the other is asked", || first.waiting() == 1);
    let mut asked = first.take();
    let (second, _new) = queue(&broker, told);
    old.supersede();
    settle(&old, &in_hand);
    assert_restarts(&mut busy);
    until("the old one hears of the close", || first.waiting() == 1);
    settle(&old, &first.take());
    // It was asked before that, and is let in now.
    let (socket, reply) = question(asked.remove(0));
    old.settle([Event { socket, kind: EventKind::Drain }].iter(), None);
    reply.accept(Accept::default()).unwrap();
    late = late.expect("HTTP/1.1 101");
    assert_restarts(&mut late);
    until("the old one hears of this close, too", || first.waiting() == 1);
    settle(&old, &first.take());
    assert_eq!(broker.runtime().block_on(old.emptied()), 2, "how many were closed");
    assert_eq!(second.waiting(), 0);
}

/// As after a handler that does not return in time.
#[test]
fn the_sockets_of_a_pinned_worker_that_is_removed_are_counted_once() {
    let broker = broker();
    let first = Arc::new(Queue::default());
    let old = broker.add_pinned_worker(Arc::clone(&first) as Arc<dyn Worker>, Handlers::TEXT);
    let (_listener, port) = listen(&broker, SocketLimits::default());
    let mut busy = Client::connect(port);
    busy.send(b"1");
    until("it is in hand", || first.waiting() == 1);
    let mut idle = Client::connect(port);
    let (_second, _new) = queue(&broker, Handlers::TEXT);
    old.supersede();
    assert_restarts(&mut idle);
    let emptied = old.emptied();
    old.remove(Vec::new());
    assert_eq!(broker.runtime().block_on(emptied), 2);
    assert_restarts(&mut busy);
}

#[test]
fn what_a_superseded_worker_has_sent_comes_before_what_the_next_one_sends() {
    let broker = broker();
    let (first, old) = queue(&broker, Handlers::TEXT);
    let (_listener, port) = listen(&broker, SocketLimits::default());
    let (mut client, mut neighbour) = (Client::connect(port), Client::connect(port));
    client.send(b"1");
    until("it is in hand", || first.waiting() == 1);
    let batches = first.take();
    let id = batches[0].events[0].socket.id();
    let mut cork = broker.cork();
    let staged = cork.stage_slice(MessageKind::Text, b"old");
    cork.send(id, staged);
    // Nothing waits for this socket yet, so the reply stays where it is.
    old.settle(batches.iter().flat_map(|batch| &batch.events), Some(&mut cork));
    let (second, _new) = queue(&broker, Handlers::TEXT);
    old.supersede();
    client.send(b"2");
    common::pass(&mut neighbour);
    assert_eq!((first.waiting(), second.waiting()), (0, 0), "the reply of the old one is not on its way");
    cork.flush();
    until("the next has it", || second.waiting() == 1);
    let mut other = broker.cork();
    let staged = other.stage_slice(MessageKind::Text, b"new");
    other.send(id, staged);
    other.flush();
    assert_eq!([client.text(), client.text()], ["old", "new"]);
}

#[test]
fn before_its_101_a_connection_waits_for_the_worker_that_was_asked() {
    let broker = broker();
    let (first, old) = queue(&broker, Handlers::OPEN | Handlers::TEXT);
    let (_listener, port) = listen(&broker, SocketLimits::default());
    let mut client = Client::request(port);
    until("it is asked", || first.waiting() == 1);
    let mut asked = first.take();
    let (second, new) = queue(&broker, Handlers::OPEN | Handlers::TEXT);
    old.supersede();
    let mut other = Client::request(port);
    until("only the next is asked", || second.waiting() == 1);
    let (_, reply) = question(second.take().remove(0));
    reply.accept(Accept::default()).unwrap();
    other = other.expect("HTTP/1.1 101");
    let (socket, reply) = question(asked.remove(0));
    reply.accept(Accept::default()).unwrap();
    client = client.expect("HTTP/1.1 101");
    client.send(b"hello");
    common::pass(&mut other);
    assert_eq!((first.waiting(), second.waiting()), (0, 0), "its handler may have more to do");
    old.settle([Event { socket, kind: EventKind::Drain }].iter(), None);
    until("it has moved", || second.waiting() == 1);
    let batches = second.take();
    assert_eq!(texts(&batches), ["hello"]);
    settle(&new, &batches);
}

#[test]
fn while_there_is_no_other_worker_what_comes_waits() {
    let broker = broker();
    let (first, old) = queue(&broker, Handlers::TEXT);
    let (_listener, port) = listen(&broker, SocketLimits::default());
    let mut client = Client::connect(port);
    client.send(b"1");
    until("it is in hand", || first.waiting() == 1);
    old.supersede();
    client.send(b"2");
    settle(&old, &first.take());
    broker.runtime().block_on(old.emptied());
    client.send(b"3");
    let (second, _new) = queue(&broker, Handlers::TEXT);
    until("it has both", || second.waiting() == 2);
    assert_eq!(texts(&second.take()), ["2", "3"]);
    assert_eq!(first.waiting(), 0);
}

#[test]
fn one_that_is_removed_before_it_is_empty_leaves_what_it_has_not_begun() {
    let broker = broker();
    let (first, old) = queue(&broker, Handlers::TEXT);
    let (_listener, port) = listen(&broker, SocketLimits::default());
    let (mut client, mut neighbour) = (Client::connect(port), Client::connect(port));
    client.send(b"1");
    client.send(b"2");
    until("both are in hand", || first.waiting() == 2);
    let (second, _new) = queue(&broker, Handlers::TEXT);
    old.supersede();
    client.send(b"3");
    common::pass(&mut neighbour);
    let emptied = old.emptied();
    let mut batches = first.end();
    let begun = batches[0].events.remove(0);
    old.settle([begun].iter(), None);
    old.remove(batches);
    broker.runtime().block_on(emptied);
    until("the rest is there", || second.waiting() == 2);
    assert_eq!(texts(&second.take()), ["2", "3"]);
}
