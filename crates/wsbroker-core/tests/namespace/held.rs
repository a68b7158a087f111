//! Clients that are held: what is published to them goes through their helper.

use std::sync::Arc;

use wsbroker_core::{Audience, CloseCode, Group, MessageKind, OperationKind, SendOutcome, SocketLimits, Worker};

use crate::common::Queue;
use crate::kit::{HelperThread, broker, listen, published, settings};

#[test]
fn held_members_are_counted_and_published_to_through_their_owners_only() {
    let broker = broker(1);
    let namespace = broker.namespace(settings());
    let mut owner = HelperThread::new(&broker, &namespace);
    let (_listener, port) = listen(&broker, &namespace, SocketLimits::default());
    let (mut held, id) = owner.client(port, "held");
    owner.helper.subscribe(&mut owner.cork, id, b"r");
    owner.helper.add_member(&mut owner.cork, b"held", Audience::Room(b"r"));
    owner.helper.add_member(&mut owner.cork, b"held", Audience::User(b"u"));
    owner.helper.finish_client(&mut owner.cork, b"held");
    owner.helper.hold_client(&mut owner.cork, b"held");
    assert!(!owner.helper.is_subscribed(id, b"r"));
    owner.helper.add_member(&mut owner.cork, b"held", Audience::Room(b"later"));
    owner.helper.accept(false);
    let mut other = HelperThread::new(&broker, &namespace);

    assert_eq!((namespace.room_count(b"r"), namespace.room_count(b"later")), (1, 1));
    assert_eq!(other.publish(Audience::Room(b"r"), "1", &["x"]), 0);
    assert_eq!(other.publish(Audience::User(b"u"), "2", &[]), 0);
    assert_eq!(other.publish(Audience::Everybody, "3", &[]), 0);
    assert_eq!(other.publish(Audience::Room(b"later"), "4", &[]), 0);
    assert_eq!(other.publish(Audience::Room(b"empty"), "5", &[]), 0);
    assert_eq!(owner.publish(Audience::Room(b"r"), "its own", &[]), 0);
    let operations = owner.queue.take_operations();
    let room = |name: &str| Group::Room(name.as_bytes().into());
    let expected = [
        (room("r"), "1".to_owned(), vec!["x".to_owned()]),
        (Group::User(b"u"[..].into()), "2".into(), vec![]),
        (Group::Everybody, "3".into(), vec![]),
        (room("later"), "4".into(), vec![]),
    ];
    assert_eq!(published(&operations), expected);
    assert!(other.queue.take_operations().is_empty(), "a helper that holds nothing is not woken");

    let staged = other.cork.stage_slice(MessageKind::Text, b"single");
    assert_eq!(namespace.send(&mut other.cork, b"held", staged), SendOutcome::Queued);
    assert!(other.helper.ask_member(b"held", b"n", true) && other.helper.ask_member(b"held", b"n", false));
    assert!(!other.helper.ask_member(b"nobody", b"n", true));
    let operations: Vec<OperationKind> =
        owner.queue.take_operations().into_iter().map(|operation| operation.kind).collect();
    let (client, room) = (Box::<[u8]>::from(&b"held"[..]), Box::<[u8]>::from(&b"n"[..]));
    let expected = [
        OperationKind::Send { client: client.clone(), frame: b"single"[..].into() },
        OperationKind::Join { client: client.clone(), room: room.clone() },
        OperationKind::Leave { client, room },
    ];
    assert_eq!(operations, expected);
    assert_eq!(owner.send(id, "end"), SendOutcome::Queued);
    assert_eq!(held.text(), "end", "nothing was published to it");
    owner.helper.remove_client(&mut owner.cork, b"held");
    assert_eq!(other.publish(Audience::Room(b"r"), "nobody", &[]), 0);
    assert!(owner.queue.take_operations().is_empty());
}

#[test]
fn what_waits_at_a_helper_is_bounded_and_the_sender_is_told() {
    let broker = broker(1);
    let namespace = broker.namespace(settings());
    let owner = HelperThread::new(&broker, &namespace);
    let mut other = HelperThread::new(&broker, &namespace);
    assert!(owner.helper.add_client(b"made by hand", None));
    let text = "x".repeat(1 << 20);
    let send = |thread: &mut HelperThread| {
        let staged = thread.cork.stage_slice(MessageKind::Text, text.as_bytes());
        namespace.send(&mut thread.cork, b"made by hand", staged)
    };
    let sent = (0..20).filter(|_| send(&mut other) == SendOutcome::Queued).count();
    assert_eq!(sent, 15, "16 MiB, with what is counted on top of each");
    let operations = owner.queue.take_operations();
    assert_eq!(operations.len(), 15);
    assert_eq!(send(&mut other), SendOutcome::Dropped, "they wait until they are done with");
    drop(operations);
    assert_eq!(send(&mut other), SendOutcome::Queued);
}

#[test]
fn clients_that_a_publish_leaves_out_count_into_what_waits() {
    let broker = broker(1);
    let namespace = broker.namespace(settings());
    let mut owner = HelperThread::new(&broker, &namespace);
    let mut other = HelperThread::new(&broker, &namespace);
    assert!(owner.helper.add_client(b"held", None));
    owner.helper.finish_client(&mut owner.cork, b"held");
    owner.helper.hold_client(&mut owner.cork, b"held");
    let nobody = vec![""; 100_000];
    let refused: usize = (0..10).map(|_| other.publish(Audience::Everybody, "", &nobody)).sum();
    assert_eq!((owner.queue.take_operations().len(), refused), (5, 5), "each takes 3.2 MB, whatever the names are");
}

#[test]
fn what_was_sent_before_a_client_became_held_cannot_come_behind_what_its_owner_sends() {
    let broker = broker(1);
    let namespace = broker.namespace(settings());
    namespace.guard();
    let mut owner = HelperThread::new(&broker, &namespace);
    let (_listener, port) = listen(&broker, &namespace, SocketLimits::default());
    let (mut client, id) = owner.client(port, "c");
    owner.helper.subscribe(&mut owner.cork, id, b"r");
    owner.helper.add_member(&mut owner.cork, b"c", Audience::Room(b"r"));
    let (_, other) = broker.add_helper(&namespace, Arc::<Queue>::default() as Arc<dyn Worker>);
    // Of another thread, whose handler goes on and on.
    let mut held_back = broker.cork();
    let staged = held_back.stage_slice(MessageKind::Text, b"to the room");
    other.publish(&mut held_back, Audience::Room(b"r"), staged, &[]);
    let staged = held_back.stage_slice(MessageKind::Text, b"to it alone");
    assert_eq!(namespace.send(&mut held_back, b"c", staged), SendOutcome::Queued);
    assert!(!held_back.is_empty(), "the cork has not been flushed yet");
    assert!(owner.helper.hold_client(&mut owner.cork, b"c").is_some());
    assert_eq!(owner.helper.hold_client(&mut owner.cork, b"c"), None, "it is held already");
    owner.send(id, "encrypted");
    let staged = held_back.stage_slice(MessageKind::Text, b"later");
    other.publish(&mut held_back, Audience::Room(b"r"), staged, &[]);
    held_back.flush();
    assert!(held_back.is_empty());
    owner.send(id, "end");
    for expected in ["to the room", "to it alone", "encrypted", "end"] {
        assert_eq!(client.text(), expected);
    }
    assert_eq!(published(&owner.queue.take_operations()).len(), 1, "the later one");
}

#[test]
fn what_lies_ready_for_a_sleeping_shard_is_sent_with_the_flush_or_when_it_becomes_much() {
    let broker = broker(1);
    let namespace = broker.namespace(settings());
    namespace.guard();
    let mut owner = HelperThread::new(&broker, &namespace);
    let (_listener, port) = listen(&broker, &namespace, SocketLimits::default());
    let (mut client, id) = owner.client(port, "c");
    owner.helper.subscribe(&mut owner.cork, id, b"r");
    let mut publish = |text: &str| {
        let staged = owner.cork.stage_slice(MessageKind::Text, text.as_bytes());
        owner.helper.publish(&mut owner.cork, Audience::Room(b"r"), staged, &[])
    };
    let long = "x".repeat(40 << 10);
    publish(&long);
    publish(&long);
    assert_eq!((client.text().len(), client.text().len()), (long.len(), long.len()), "nobody has flushed");
    publish("short");
    owner.cork.flush();
    assert_eq!(client.text(), "short");
}

#[test]
fn an_operation_tells_which_clients_its_publish_has_reached_directly() {
    let broker = broker(1);
    let namespace = broker.namespace(settings());
    let mut owner = HelperThread::new(&broker, &namespace);
    let mut other = HelperThread::new(&broker, &namespace);
    let since: Vec<u64> = ["a", "b"]
        .iter()
        .map(|name| {
            assert!(owner.helper.add_client(name.as_bytes(), None));
            owner.helper.finish_client(&mut owner.cork, name.as_bytes());
            let since = owner.helper.hold_client(&mut owner.cork, name.as_bytes()).unwrap();
            other.publish(Audience::Everybody, "x", &[]);
            since
        })
        .collect();
    let epochs: Vec<u64> = owner
        .queue
        .take_operations()
        .iter()
        .map(|operation| match &operation.kind {
            OperationKind::Publish { epoch, .. } => *epoch,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(since[0] <= epochs[0] && epochs[0] < since[1] && since[1] <= epochs[1], "{since:?} {epochs:?}");
}

#[test]
fn a_client_that_becomes_held_gets_each_publish_of_another_thread_once() {
    let broker = broker(1);
    let namespace = broker.namespace(settings());
    namespace.guard();
    let mut owner = HelperThread::new(&broker, &namespace);
    let (_listener, port) = listen(&broker, &namespace, SocketLimits::default());
    // The channel lives on, and it has a subscriber in that shard.
    let (_neighbour, neighbour) = owner.client(port, "neighbour");
    owner.helper.subscribe(&mut owner.cork, neighbour, b"r");
    for round in 0..20 {
        let name = format!("client {round}");
        let (mut client, id) = owner.client(port, &name);
        owner.helper.subscribe(&mut owner.cork, id, b"r");
        owner.helper.add_member(&mut owner.cork, name.as_bytes(), Audience::Room(b"r"));
        let (_, other) = broker.add_helper(&namespace, Arc::<Queue>::default() as Arc<dyn Worker>);
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
        let operations = published(&owner.queue.take_operations());
        let posted = operations.iter().map(|(_, frame, _)| frame.parse().unwrap());
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
