//! The helpers of a namespace: which one gets a connection, which one takes the input, and what one
//! leaves at its end.

use wsbroker_core::{Audience, CloseCause, Handlers, OperationKind, SocketLimits};

use crate::common::{Client, Got, Seen, logging, until};
use crate::kit::{HelperThread, broker, listen, settings};

#[test]
fn a_connection_goes_to_the_worker_of_its_namespace_that_has_the_fewest() {
    let broker = broker(2);
    let namespace = broker.namespace(settings());
    let other = broker.namespace(settings());
    let (_raw, _) = logging(&broker, Handlers::ALL);
    let _idle = HelperThread::new(&broker, &other);
    let mut threads: Vec<HelperThread> = (0..3).map(|_| HelperThread::new(&broker, &namespace)).collect();
    let (_listener, port) = listen(&broker, &namespace, SocketLimits::default());
    let clients: Vec<Client> = (0..9).map(|_| Client::request_to(port, "/ws", "").expect("HTTP/1.1 101")).collect();
    until("all are reported", || {
        threads.iter_mut().for_each(HelperThread::pump);
        threads.iter().map(|thread| thread.joined().len()).sum::<usize>() == 9
    });
    assert_eq!(threads.iter().map(|thread| thread.joined().len()).collect::<Vec<_>>(), [3, 3, 3]);
    drop(clients);
}

#[test]
fn when_a_worker_ends_its_clients_are_closed_with_1012_and_nothing_of_them_is_left() {
    let broker = broker(2);
    let namespace = broker.namespace(settings());
    let mut dying = HelperThread::new(&broker, &namespace);
    let (_listener, port) = listen(&broker, &namespace, SocketLimits::default());
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
    let mut staying = HelperThread::new(&broker, &namespace);
    let (mut other, id) = staying.client(port, "d");
    staying.helper.subscribe(&mut staying.cork, id, b"room");
    staying.helper.add_member(&mut staying.cork, b"d", Audience::Room(b"room"));
    // Not begun when it dies.
    clients[0].send(b"left behind");
    until("it waits", || dying.queue.waiting() == 1);
    dying.die();

    assert_eq!((namespace.client_count(), namespace.room_count(b"room")), (1, 1));
    for client in &mut clients {
        assert_eq!(client.next(), Got::Close(Some(1012), "Worker ended".into()));
        client.close(1012, "");
        assert_eq!(client.next(), Got::End);
    }
    until("they are gone", || namespace.connections() == 1);
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
fn one_helper_takes_the_input_and_hands_it_on_when_it_leaves() {
    let broker = broker(1);
    let namespace = broker.namespace(settings());
    let mut threads: Vec<HelperThread> = (0..3).map(|_| HelperThread::new(&broker, &namespace)).collect();
    assert_eq!(threads.iter().map(|thread| thread.helper.claim_input()).collect::<Vec<_>>(), [true, false, false]);
    assert!(threads[0].helper.claim_input(), "it stays its own");
    let told = |thread: &HelperThread| -> Vec<OperationKind> {
        thread.queue.take_operations().into_iter().map(|operation| operation.kind).collect()
    };
    assert!(threads[0].helper.set_input(true) && !threads[0].helper.set_input(true));
    assert!(namespace.input_is_ready());
    let state = |ready| OperationKind::InputState { ready };
    assert_eq!(threads.iter().map(told).collect::<Vec<_>>(), [vec![], vec![state(true)], vec![state(true)]]);
    threads[2].die();
    assert!(told(&threads[1]).is_empty());
    threads[0].die();
    assert_eq!(told(&threads[1]), [state(false), OperationKind::TakeInput]);
    assert!(!namespace.input_is_ready() && threads[1].helper.claim_input());
}
