//! The end of a helper and of the broker, in order.

use std::time::Duration;

use wsbroker_core::{Audience, CloseCode, Helper, LeftClient, OperationKind, SocketLimits};

use crate::common::{Got, Seen, until};
use crate::kit::{HelperThread, broker, listen, settings};

#[test]
fn a_shutdown_closes_and_does_not_wait_for_events_that_died_with_their_worker() {
    let broker = broker(1);
    let namespace = broker.namespace(settings());
    let mut thread = HelperThread::new(&broker, &namespace);
    let (_listener, port) = listen(&broker, &namespace, SocketLimits::default());
    let (mut client, _) = thread.client(port, "a");
    client.send(b"left behind");
    until("it waits", || thread.queue.waiting() == 1);
    thread.die();
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
fn a_shutdown_of_the_broker_closes_a_namespace_s_sockets_as_any_other() {
    let broker = broker(1);
    let namespace = broker.namespace(settings());
    let mut thread = HelperThread::new(&broker, &namespace);
    let (_listener, port) = listen(&broker, &namespace, SocketLimits::default());
    let (mut client, id) = thread.client(port, "a");
    let ending = std::thread::spawn({
        let broker = broker.clone();
        move || {
            let runtime = broker.runtime().clone();
            runtime.block_on(broker.shutdown(CloseCode::GOING_AWAY, Duration::from_secs(20)))
        }
    });
    assert_eq!(client.next(), Got::Close(Some(1001), String::new()));
    client.close(1001, "");
    thread.await_seen(id, &Seen::Close(1001, String::new()));
    assert_eq!(ending.join().unwrap(), wsbroker_core::ShutdownReport { closed: 1, terminated: 0 });
}

#[test]
fn a_helper_that_shuts_down_waits_for_its_own_connections_and_cuts_what_stays() {
    let broker = broker(1);
    let namespace = broker.namespace(settings());
    let mut thread = HelperThread::new(&broker, &namespace);
    let (_listener, port) = listen(
        &broker,
        &namespace,
        SocketLimits { close_timeout: Duration::from_secs(3600), ..SocketLimits::default() },
    );
    let (mut client, id) = thread.client(port, "a");
    thread.helper.accept(false);
    let mut other = HelperThread::new(&broker, &namespace);
    let (mut neighbour, _) = other.client(port, "b");
    thread.helper.close(&mut thread.cork, id, CloseCode::GOING_AWAY, "Server shutting down");
    thread.cork.flush();
    assert_eq!(client.next(), Got::Close(Some(1001), "Server shutting down".into()));
    broker.runtime().block_on(thread.helper.emptied(Duration::from_millis(10)));
    assert_eq!(client.next(), Got::End, "it did not answer");
    thread.await_seen(id, &Seen::Close(1006, String::new()));
    neighbour.send(b"still here");
    until("the other goes on", || {
        other.pump();
        other.log.iter().any(|(_, seen)| *seen == Seen::Text(b"still here".to_vec()))
    });
}

#[test]
fn a_wait_for_the_last_connection_ends_however_the_threads_interleave() {
    let broker = broker(1);
    let namespace = broker.namespace(settings());
    let mut thread = HelperThread::new(&broker, &namespace);
    let (_listener, port) = listen(&broker, &namespace, SocketLimits::default());
    for round in 0..1000 {
        let (client, _) = thread.client(port, &format!("client {round}"));
        let helper = thread.helper.clone();
        // Longer than any wait: it must not be the limit that ends this.
        let waiting = broker.runtime().spawn(async move { helper.emptied(Duration::from_secs(3600)).await });
        drop(client);
        until("the end of the last connection is reported", || {
            thread.pump();
            waiting.is_finished()
        });
    }
}

fn left(client: &str, user: Option<&str>) -> LeftClient {
    LeftClient { client: client.as_bytes().into(), user: user.map(|user| user.as_bytes().into()) }
}

fn all_left(helper: &Helper) -> Vec<LeftClient> {
    let mut all: Vec<_> = std::iter::from_fn(|| helper.take_left_client()).collect();
    all.sort_unstable_by(|a, b| a.client.cmp(&b.client));
    all
}

fn is_told(thread: &HelperThread) -> bool {
    thread.queue.take_operations().iter().any(|operation| operation.kind == OperationKind::ClientsLeft)
}

#[test]
fn the_clients_of_a_helper_that_died_are_for_the_others_each_once() {
    let broker = broker(1);
    let namespace = broker.namespace(settings());
    let [mut first, mut second, mut third] = [(); 3].map(|()| HelperThread::new(&broker, &namespace));
    for (thread, name) in [(&first, "a"), (&first, "b"), (&first, "gone"), (&second, "c"), (&third, "d")] {
        assert!(thread.helper.add_client(name.as_bytes(), None));
    }
    first.helper.add_member(&mut first.cork, b"a", Audience::Room(b"r"));
    first.helper.add_member(&mut first.cork, b"a", Audience::User("ü".as_bytes()));
    first.helper.remove_client(&mut first.cork, b"gone");
    assert_eq!(first.die(), 0);
    assert!(is_told(&second) && is_told(&third), "whichever comes first");
    assert_eq!(second.helper.take_left_client().into_iter().len(), 1);
    // The one that took it ends with one not taken, and with one of its own.
    assert_eq!(second.die(), 0);
    assert!(is_told(&third));
    let taken = all_left(&third.helper);
    assert_eq!(taken.len(), 2);
    assert!(taken.contains(&left("c", None)));
    assert!(taken.contains(&left("a", Some("ü"))) != taken.contains(&left("b", None)), "the other was taken before");
    assert_eq!(namespace.client_count(), 1);
    assert_eq!(third.die(), 1, "nobody is told of its own client");
    let fourth = HelperThread::new(&broker, &namespace);
    assert!(!is_told(&fourth) && all_left(&fourth.helper).is_empty());
}

#[test]
fn what_no_helper_has_taken_when_the_last_ends_is_counted_with_its_own() {
    let broker = broker(1);
    let namespace = broker.namespace(settings());
    let [mut first, mut second] = [(); 2].map(|()| HelperThread::new(&broker, &namespace));
    for (thread, names) in [(&first, ["a", "b"]), (&second, ["c", "d"])] {
        assert!(names.iter().all(|name| thread.helper.add_client(name.as_bytes(), None)));
    }
    assert_eq!(first.die(), 0);
    assert_eq!(second.die(), 4);
}

#[test]
fn no_helper_is_told_of_the_clients_of_one_that_leaves_in_order() {
    let broker = broker(1);
    let namespace = broker.namespace(settings());
    let [mut first, mut second] = [(); 2].map(|()| HelperThread::new(&broker, &namespace));
    assert!(first.helper.add_client(b"a", None));
    first.helper.finish_client(&mut first.cork, b"a");
    first.helper.hold_client(&mut first.cork, b"a");
    first.helper.withdraw();
    assert_eq!((namespace.client_count(), first.die()), (0, 0));
    assert!(!is_told(&second) && all_left(&second.helper).is_empty());
    assert_eq!(second.publish(Audience::Everybody, "x", &[]), 0);
    assert_eq!(second.die(), 0);
}
