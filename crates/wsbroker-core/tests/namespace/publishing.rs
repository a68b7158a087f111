//! The receivers of what is published to a room, to a user or to everybody.

use wsbroker_core::{Audience, OperationKind, Overflow, SendOutcome, SocketLimits};

use crate::common::until;
use crate::kit::{HelperThread, broker, listen, settings};

#[test]
fn rooms_and_users_of_one_name_are_two_channels() {
    let broker = broker(1);
    let namespace = broker.namespace(settings());
    let mut thread = HelperThread::new(&broker, &namespace);
    let (_listener, port) = listen(&broker, &namespace, SocketLimits::default());
    let (mut a, id) = thread.client(port, "a");
    let (mut b, _) = thread.client(port, "b");
    thread.helper.subscribe(&mut thread.cork, id, b"x");
    thread.helper.add_member(&mut thread.cork, b"b", Audience::User(b"x"));
    thread.publish(Audience::Room(b"x"), "room", &[]);
    thread.publish(Audience::User(b"x"), "user", &[]);
    assert_eq!((a.text(), b.text()), ("room".into(), "user".into()));
}

#[test]
fn a_publish_reaches_the_clients_of_every_worker_once_but_the_excluded() {
    let broker = broker(2);
    let namespace = broker.namespace(settings());
    let (_listener, port) = listen(&broker, &namespace, SocketLimits::default());
    let mut clients = Vec::new();
    let mut threads: Vec<HelperThread> = (0..4)
        .map(|number| {
            let mut thread = HelperThread::new(&broker, &namespace);
            for which in 0..3 {
                let name = format!("{number}-{which}");
                let (client, id) = thread.client(port, &name);
                thread.helper.subscribe(&mut thread.cork, id, b"room");
                thread.helper.add_member(&mut thread.cork, name.as_bytes(), Audience::Room(b"room"));
                clients.push((name, client));
            }
            // The next three go to the next one, as it is the only one that takes any.
            thread.helper.accept(false);
            thread
        })
        .collect();
    assert_eq!((namespace.room_count(b"room"), namespace.client_count(), namespace.connections()), (12, 12, 12));
    for (number, thread) in threads.iter_mut().enumerate() {
        assert_eq!(thread.publish(Audience::Room(b"room"), &format!("from {number}"), &["0-0", "3-2", "nobody"]), 0);
    }
    threads[0].publish(Audience::Room(b"room"), "end", &[]);
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
fn an_excluded_client_costs_no_more_when_it_is_named_a_million_times() {
    let broker = broker(1);
    let namespace = broker.namespace(settings());
    let mut thread = HelperThread::new(&broker, &namespace);
    let (_listener, port) = listen(&broker, &namespace, SocketLimits::default());
    let (mut a, a_id) = thread.client(port, "a");
    let (mut b, b_id) = thread.client(port, "b");
    for id in [a_id, b_id] {
        thread.helper.subscribe(&mut thread.cork, id, b"r");
    }
    // The one that is not excluded is looked for among all.
    let often = ["b"].repeat(1_000_000);
    thread.publish(Audience::Room(b"r"), "but b", &often);
    thread.publish(Audience::Room(b"r"), "but both", &["b", "a", "b", "nobody"]);
    thread.publish(Audience::Room(b"r"), "all", &[]);
    assert_eq!([a.text(), a.text(), b.text()], ["but b", "all", "all"]);
}

fn told_of_drops(thread: &HelperThread) -> usize {
    thread.queue.take_operations().iter().filter(|operation| operation.kind == OperationKind::Dropped).count()
}

#[test]
fn what_a_slow_client_does_not_get_is_counted_at_its_helper_which_is_told_once_until_it_asks_again() {
    let broker = broker(1);
    let namespace = broker.namespace(settings());
    let mut owner = HelperThread::new(&broker, &namespace);
    let limits = SocketLimits { max_backpressure: 1024, overflow: Overflow::DropNewest, ..SocketLimits::default() };
    let (_listener, port) = listen(&broker, &namespace, limits);
    let (_slow, slow) = owner.client(port, "slow");
    owner.helper.subscribe(&mut owner.cork, slow, b"r");
    owner.helper.accept(false);
    let mut other = HelperThread::new(&broker, &namespace);
    let (mut neighbour, neighbour_id) = other.client(port, "neighbour");
    let much = "x".repeat(1 << 20);
    // The neighbour reads, and gets its text when the shard is through with what came before.
    let mut publish = |times: usize| {
        for _ in 0..times {
            other.publish(Audience::Room(b"r"), &much, &[]);
        }
        other.send(neighbour_id, "through");
        assert_eq!(neighbour.text(), "through");
    };
    until("the kernel takes no more", || {
        publish(1);
        owner.helper.dropped(false) > 0
    });
    let before = owner.helper.dropped(false);
    publish(5);
    assert_eq!(owner.helper.dropped(false), before + 5);
    assert_eq!(told_of_drops(&owner), 1);
    assert_eq!(owner.helper.dropped(true), before + 5);
    publish(1);
    assert_eq!(told_of_drops(&owner), 1, "it is reported again");
    // A sender to one client is told by the call.
    assert_eq!(owner.send(slow, "x"), SendOutcome::Dropped);
    assert_eq!((owner.helper.dropped(false), other.helper.dropped(false)), (before + 6, 0));
}
