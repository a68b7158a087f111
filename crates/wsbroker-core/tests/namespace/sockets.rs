//! One socket of a namespace, from its beginning to its end.

use wsbroker_core::{Audience, Cork, MessageKind, Overflow, SendOutcome, SocketLimits};

use crate::common::{Got, Seen, until};
use crate::kit::{HelperThread, broker, listen, settings};

#[test]
fn no_worker_is_asked_and_events_come_in_order_from_the_socket_s_beginning_to_its_end() {
    let broker = broker(2);
    let namespace = broker.namespace(settings());
    let mut thread = HelperThread::new(&broker, &namespace);
    let (_listener, port) = listen(&broker, &namespace, SocketLimits::default());
    let (mut client, id) = thread.client(port, "a");
    for text in ["1", "2", "3"] {
        client.send(text.as_bytes());
    }
    client.send_frame(true, wsbroker_proto::Opcode::Binary, b"4");
    client.close(3001, "bye");
    thread.await_seen(id, &Seen::Close(3001, "bye".into()));
    let text = |text: &str| Seen::Text(text.into());
    let expected = [
        Seen::Joined("127.0.0.1".into()),
        text("1"),
        text("2"),
        text("3"),
        Seen::Binary(b"4".to_vec()),
        Seen::Close(3001, "bye".into()),
    ];
    assert_eq!(thread.of(id), expected);
    assert_eq!(client.next(), Got::Close(Some(3001), String::new()));
}

#[test]
fn a_frame_is_limited_until_the_client_is_finished() {
    let broker = broker(1);
    let namespace = broker.namespace(settings());
    let mut thread = HelperThread::new(&broker, &namespace);
    let limits = SocketLimits { max_payload: 1000, max_first_payload: Some(10), ..SocketLimits::default() };
    let (_listener, port) = listen(&broker, &namespace, limits);
    let (mut early, id) = thread.client(port, "early");
    early.send(&[b'x'; 10]);
    // Its header alone is enough.
    std::io::Write::write_all(&mut early.stream, &[0x81, 0x80 | 11, 0, 0, 0, 0]).unwrap();
    assert_eq!(early.next(), Got::Close(Some(1009), "Received too big message".into()));
    thread.await_seen(id, &Seen::Close(1009, "Received too big message".into()));
    assert_eq!(thread.of(id)[1], Seen::Text(vec![b'x'; 10]));

    let (mut client, id) = thread.client(port, "client");
    thread.helper.finish_client(&mut thread.cork, b"client");
    assert_eq!(thread.send(id, "connected"), SendOutcome::Queued);
    assert_eq!(client.text(), "connected");
    client.send(&[b'x'; 1000]);
    thread.await_seen(id, &Seen::Text(vec![b'x'; 1000]));
    client.send(&[b'x'; 1001]);
    assert_eq!(client.next(), Got::Close(Some(1009), "Received too big message".into()));
}

#[test]
fn the_first_limit_never_allows_more_than_the_other() {
    let broker = broker(1);
    let namespace = broker.namespace(settings());
    let mut thread = HelperThread::new(&broker, &namespace);
    let limits = SocketLimits { max_payload: 5, max_first_payload: Some(10), ..SocketLimits::default() };
    let (_listener, port) = listen(&broker, &namespace, limits);
    let (mut client, _) = thread.client(port, "a");
    client.send(b"123456");
    assert_eq!(client.next(), Got::Close(Some(1009), "Received too big message".into()));
}

#[test]
fn one_thread_s_calls_take_effect_in_their_order() {
    let broker = broker(2);
    let namespace = broker.namespace(settings());
    let mut thread = HelperThread::new(&broker, &namespace);
    let (_listener, port) = listen(&broker, &namespace, SocketLimits::default());
    let (mut a, id) = thread.client(port, "a");
    let stage = |cork: &mut Cork, text: &str| cork.stage_slice(MessageKind::Text, text.as_bytes());
    let HelperThread { helper, cork, .. } = &mut thread;
    for round in 0..100 {
        let staged = stage(cork, "before");
        helper.publish(cork, Audience::Room(b"r"), staged, &[]);
        helper.subscribe(cork, id, b"r");
        let staged = stage(cork, &format!("{round} published"));
        helper.publish(cork, Audience::Room(b"r"), staged, &[]);
        let staged = stage(cork, &format!("{round} sent"));
        assert_eq!(helper.send(cork, id, staged), SendOutcome::Queued);
        let staged = stage(cork, &format!("{round} by name"));
        assert_eq!(helper.namespace().send(cork, b"a", staged), SendOutcome::Queued);
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
    let namespace = broker.namespace(settings());
    let mut thread = HelperThread::new(&broker, &namespace);
    let limits = SocketLimits { max_backpressure: 100_000, overflow: Overflow::DropNewest, ..SocketLimits::default() };
    let (_listener, port) = listen(&broker, &namespace, limits);
    let (mut client, id) = thread.client(port, "a");
    let text = "x".repeat(60_000);
    let mut outcomes = Vec::new();
    until("it is full", || {
        outcomes.push(thread.send(id, &text));
        outcomes.last() == Some(&SendOutcome::Dropped)
    });
    let queued = outcomes.iter().filter(|outcome| **outcome != SendOutcome::Dropped).count();
    assert!(outcomes.contains(&SendOutcome::OverLimit), "the last that is queued says so");
    for _ in 0..queued {
        assert_eq!(client.text(), text);
    }
    thread.await_seen(id, &Seen::Drain);
    assert_eq!(thread.send(id, "on it goes"), SendOutcome::Queued);
    assert_eq!(client.text(), "on it goes");
}

#[test]
fn a_removed_client_keeps_its_socket_and_nothing_else() {
    let broker = broker(1);
    let namespace = broker.namespace(settings());
    let mut thread = HelperThread::new(&broker, &namespace);
    let (_listener, port) = listen(&broker, &namespace, SocketLimits::default());
    let (mut client, id) = thread.client(port, "a");
    thread.helper.subscribe(&mut thread.cork, id, b"r");
    thread.helper.add_member(&mut thread.cork, b"a", Audience::Room(b"r"));
    thread.helper.add_member(&mut thread.cork, b"a", Audience::User(b"u"));
    thread.helper.remove_client(&mut thread.cork, b"a");
    assert_eq!((namespace.client_count(), namespace.room_count(b"r")), (0, 0));
    thread.publish(Audience::Room(b"r"), "no", &[]);
    thread.publish(Audience::User(b"u"), "no", &[]);
    assert!(!thread.helper.subscribe(&mut thread.cork, id, b"again"), "it joins nothing any more");
    assert_eq!(thread.send(id, "yes"), SendOutcome::Queued);
    assert_eq!(client.text(), "yes");
}
