//! What a socket that recovers gets, and when it gets nothing.

use wsbroker_core::{Handlers, HistoryEpoch, HistoryError, HistoryPosition, MessageKind, Since, SocketLimits};

use crate::{
    common::Client,
    kit::{World, next, rule},
};

#[test]
fn what_was_missed_comes_first_and_then_what_is_new() {
    let mut world = World::new(rule(), SocketLimits::default());
    let start = world.position("h:a");
    assert_eq!(start.offset, 0);
    let first = world.publish("h:a", "one");
    assert_eq!((first.offset, first.epoch), (1, start.epoch));
    world.publish("h:a", "two");
    let (mut client, id) = world.connect();
    let recovery = world.recover(id, "h:a", Since::Position(first));
    assert!(recovery.recovered);
    assert_eq!((recovery.replayed, recovery.position.offset), (1, 2));
    world.publish("h:a", "three");
    assert_eq!(next(&mut client), (2, "two".into()));
    assert_eq!(next(&mut client), (3, "three".into()));
    let stats = world.broker.stats().history;
    assert_eq!((stats.recovered, stats.not_recovered, stats.replayed, stats.messages), (1, 0, 1, 3));
}

#[test]
fn a_frame_has_the_payload_as_it_was_published_text_or_binary() {
    let mut world = World::new(rule(), SocketLimits::default());
    let (mut client, id) = world.connect();
    world.broker.subscribe(&mut world.cork, id, b"h:\xff%").unwrap();
    for kind in [MessageKind::Binary, MessageKind::Text] {
        let staged = world.cork.stage_slice(kind, b"a b\nc");
        assert_eq!(world.cork.publish(b"h:\xff%", staged, &[]), 1);
    }
    world.cork.flush();
    assert_eq!(client.next(), crate::common::Got::Binary(b"1 h:%FF%25\na b\nc".to_vec()));
    assert_eq!(client.next(), crate::common::Got::Text(b"2 h:%FF%25\na b\nc".to_vec()));
}

#[test]
fn without_framing_the_payload_is_sent_bare() {
    let mut world = World::new(wsbroker_core::HistoryRule { framed: false, ..rule() }, SocketLimits::default());
    world.publish("h:a", "one");
    let (mut client, id) = world.connect();
    assert_eq!(world.recover(id, "h:a", Since::Latest).replayed, 1);
    world.publish("h:a", "two");
    assert_eq!([client.text(), client.text()], ["one", "two"]);
}

#[test]
fn what_cannot_be_replayed_whole_is_not_replayed() {
    let rule = wsbroker_core::HistoryRule { size: 4, max_replay: 3, ..rule() };
    let mut world = World::new(rule, SocketLimits::default());
    let epoch = world.position("h:a").epoch;
    for text in ["1", "2", "3", "4", "5"] {
        world.publish("h:a", text);
    }
    let at = |offset| Since::Position(HistoryPosition { offset, epoch });
    let other = Since::Position(HistoryPosition { offset: 5, epoch: HistoryEpoch::UNKNOWN });
    // Gone; more than may be replayed; beyond the head; of another epoch.
    for since in [at(0), at(1), at(100), other] {
        let (mut client, id) = world.connect();
        let recovery = world.broker.recover(&mut world.cork, id, b"h:a", since, true).unwrap();
        assert_eq!((recovery.recovered, recovery.replayed), (false, 0), "{since:?}");
        assert!(!world.broker.is_subscribed(id, b"h:a"), "it was to be rejected");
        let recovery = world.recover(id, "h:a", since);
        assert_eq!((recovery.recovered, recovery.replayed), (false, 0), "{since:?}");
        let newest = world.publish("h:a", "new").offset;
        assert_eq!(next(&mut client), (newest, "new".into()), "from now on");
        drop(client);
        world.wait_for_close(id);
    }
    let head = world.position("h:a").offset;
    let (mut client, id) = world.connect();
    assert_eq!(world.recover(id, "h:a", at(head - 3)).replayed, 3, "as many as may be");
    assert_eq!(next(&mut client).0, head - 2);
}

#[test]
fn latest_and_now_always_recover() {
    let mut world = World::new(rule(), SocketLimits::default());
    let (mut early, id) = world.connect();
    let recovery = world.recover(id, "h:a", Since::Latest);
    assert_eq!((recovery.recovered, recovery.replayed, recovery.position.offset), (true, 0, 0));
    world.publish("h:a", "one");
    world.publish("h:a", "two");
    let (mut latest, id) = world.connect();
    assert_eq!(world.recover(id, "h:a", Since::Latest).replayed, 1);
    let (mut now, id) = world.connect();
    let recovery = world.recover(id, "h:a", Since::Now);
    assert_eq!((recovery.recovered, recovery.replayed, recovery.position.offset), (true, 0, 2));
    world.publish("h:a", "three");
    assert_eq!([next(&mut early).0, next(&mut early).0, next(&mut early).0], [1, 2, 3]);
    assert_eq!([next(&mut latest).0, next(&mut latest).0], [2, 3]);
    assert_eq!(next(&mut now).0, 3);
}

#[test]
fn a_subscriber_cannot_recover_and_a_channel_without_history_neither() {
    let mut world = World::new(rule(), SocketLimits::default());
    let (_client, id) = world.connect();
    world.broker.subscribe(&mut world.cork, id, b"h:a").unwrap();
    let again = world.broker.recover(&mut world.cork, id, b"h:a", Since::Now, false);
    assert_eq!(again, Err(HistoryError::Subscribed));
    let plain = world.broker.recover(&mut world.cork, id, b"plain", Since::Now, false);
    assert_eq!(plain, Err(HistoryError::NoHistory));
    assert!(!world.broker.is_subscribed(id, b"plain"));
    assert_eq!(world.broker.position(&mut world.cork, b"plain"), Err(HistoryError::NoHistory));
    let staged = world.cork.stage_slice(MessageKind::Text, b"x");
    let refused = world.cork.publish_with_receipt(b"plain", staged, &[], Some(b"id"));
    assert_eq!(refused.err(), Some(HistoryError::NoHistory));
    let staged = world.cork.stage_slice(MessageKind::Text, b"x");
    let receipt = world.cork.publish_with_receipt(b"plain", staged, &[], None).unwrap();
    assert_eq!((receipt.position, receipt.subscribers), (None, 0));
}

#[test]
fn a_socket_that_is_gone_recovers_nothing() {
    let mut world = World::new(rule(), SocketLimits::default());
    let position = world.publish("h:a", "one");
    let (client, id) = world.connect();
    drop(client);
    world.wait_for_close(id);
    let recovery = world.recover(id, "h:a", Since::Now);
    assert_eq!((recovery.recovered, recovery.position), (false, position));
    assert_eq!(world.broker.channel_count(), 0);
}

#[test]
fn a_recovery_before_the_101_takes_effect_with_it() {
    use std::sync::mpsc;

    use wsbroker_core::{Accept, Broker, Config};

    use crate::common::{TestWorker, listen};

    let broker = Broker::new(Config { history: vec![rule()], ..Config::default() }).unwrap();
    let mut cork = broker.cork();
    // More than one refill.
    for number in 0..400 {
        let staged = cork.stage_slice(MessageKind::Text, format!("{number} {}", "x".repeat(1000)).as_bytes());
        cork.publish(b"h:a", staged, &[]);
    }
    cork.flush();
    let epoch = broker.position(&mut cork, b"h:a").unwrap().epoch;
    let (_listener, port) = listen(&broker, SocketLimits::default());
    let (tell, told) = mpsc::channel();
    let open = move |scope: &mut crate::common::Scope<'_>, id| {
        let since = Since::Position(HistoryPosition { offset: 10, epoch });
        tell.send(scope.broker.recover(scope.cork, id, b"h:a", since, false).unwrap()).unwrap();
        scope.publish(b"h:a", b"new");
        Some(Accept::default())
    };
    let _worker = TestWorker::opening(&broker, Handlers::OPEN, Box::new(open), Box::new(|_, _, _| {}));
    let mut client = Client::connect(port);
    assert_eq!(told.recv().unwrap().replayed, 390);
    for offset in 11..=400 {
        assert_eq!(next(&mut client).0, offset);
    }
    assert_eq!(next(&mut client), (401, "new".into()));
}

#[test]
fn the_excluded_get_a_message_neither_live_nor_later() {
    let mut world = World::new(rule(), SocketLimits::default());
    let ((mut one, a), (mut other, b)) = (world.connect(), world.connect());
    let start = world.position("h:a");
    world.recover(a, "h:a", Since::Now);
    world.publish_with("h:a", "not for a", &[a], None);
    world.publish_with("h:a", "not for b", &[b], None);
    world.recover(b, "h:a", Since::Position(start));
    world.publish("h:a", "for both");
    assert_eq!([next(&mut one), next(&mut one)], [(2, "not for b".into()), (3, "for both".into())]);
    assert_eq!([next(&mut other), next(&mut other)], [(1, "not for a".into()), (3, "for both".into())]);
}

#[test]
fn what_one_thread_sends_keeps_its_order_around_numbered_messages() {
    let mut world = World::new(rule(), SocketLimits::default());
    let (mut client, id) = world.connect();
    world.recover(id, "h:a", Since::Now);
    world.broker.subscribe(&mut world.cork, id, b"plain").unwrap();
    for text in ["1", "2"] {
        for channel in [&b"h:a"[..], b"plain", b"h:a"] {
            let staged = world.cork.stage_slice(MessageKind::Text, text.as_bytes());
            world.cork.publish(channel, staged, &[]);
        }
        let staged = world.cork.stage_slice(MessageKind::Text, b"sent");
        world.cork.send(id, staged);
    }
    world.broker.unsubscribe(&mut world.cork, id, b"h:a");
    let staged = world.cork.stage_slice(MessageKind::Text, b"unheard");
    world.cork.publish(b"h:a", staged, &[]);
    let staged = world.cork.stage_slice(MessageKind::Text, b"end");
    world.cork.send(id, staged);
    world.cork.flush();
    let got: Vec<String> = (0..9).map(|_| client.text()).collect();
    let expected = ["1 h:a\n1", "1", "2 h:a\n1", "sent", "3 h:a\n2", "2", "4 h:a\n2", "sent", "end"].map(String::from);
    assert_eq!(got, expected);
}

#[test]
fn a_slice_of_the_history_says_whether_something_is_missing() {
    let mut world = World::new(wsbroker_core::HistoryRule { size: 3, ..rule() }, SocketLimits::default());
    for text in ["1", "2", "3", "4", "5"] {
        world.publish("h:a", text);
    }
    let head = world.position("h:a");
    let mut slice = |since: Option<u64>, limit, reverse| {
        let since = since.map(|offset| HistoryPosition { offset, ..head });
        let slice = world.broker.history(&mut world.cork, b"h:a", since, limit, reverse).unwrap();
        let offsets: Vec<u64> = slice.messages.iter().map(|message| message.offset()).collect();
        assert_eq!(slice.position, head);
        (slice.complete, offsets)
    };
    assert_eq!(slice(None, 9, false), (false, vec![3, 4, 5]), "the first two are gone");
    assert_eq!(slice(Some(2), 2, false), (true, vec![3, 4]));
    assert_eq!(slice(Some(3), 9, false), (true, vec![4, 5]));
    assert_eq!(slice(Some(1), 1, true), (false, vec![5]));
    assert_eq!(slice(Some(5), 9, false), (true, vec![]));
    assert_eq!(slice(Some(6), 9, false), (false, vec![3, 4, 5]));
    let slice = world.broker.history(&mut world.cork, b"h:a", None, 1, false).unwrap();
    assert_eq!((slice.messages[0].kind(), slice.messages[0].payload()), (MessageKind::Text, &b"3"[..]));
}
