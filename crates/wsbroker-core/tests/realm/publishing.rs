//! Who gets what is published to a room, to a user or to everybody.

use wsbroker_core::{Audience, SocketLimits};

use crate::kit::{Desk, broker, listen};

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
