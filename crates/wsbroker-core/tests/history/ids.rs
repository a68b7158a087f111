//! A publish that is repeated.

use wsbroker_core::{HistoryPosition, Since, SocketLimits};

use crate::kit::{World, next, rule};

#[test]
fn a_repeated_id_is_delivered_once_and_answered_with_the_first() {
    let mut world = World::new(rule(), SocketLimits::default());
    let (mut client, id) = world.connect();
    world.recover(id, "h:a", Since::Now);
    let first = world.publish_with("h:a", "one", &[], Some("alice:1"));
    assert!(!first.duplicate);
    world.publish("h:a", "two");
    let again = world.publish_with("h:a", "one", &[], Some("alice:1"));
    assert_eq!((again.duplicate, again.position, again.subscribers), (true, first.position, 1));
    assert!(!world.publish_with("h:b", "one", &[], Some("alice:1")).duplicate, "of another channel");
    world.publish("h:a", "three");
    assert_eq!([next(&mut client).1, next(&mut client).1, next(&mut client).1], ["one", "two", "three"]);
    assert_eq!(world.broker.stats().history.duplicates, 1);
}

#[test]
fn of_many_that_publish_one_id_at_once_one_is_delivered() {
    let world = World::new(rule(), SocketLimits::default());
    let positions: Vec<HistoryPosition> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let broker = &world.broker;
                scope.spawn(move || {
                    let mut cork = broker.cork();
                    (0..500)
                        .map(|number| {
                            let staged = cork.stage_slice(wsbroker_core::MessageKind::Text, b"x");
                            let id = format!("{number}");
                            let receipt = cork.publish_with_receipt(b"h:a", staged, &[], Some(id.as_bytes()));
                            receipt.unwrap().position.unwrap()
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        let all: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "all were told the same");
        all.into_iter().next().unwrap()
    });
    assert_eq!(positions.last().unwrap().offset, 500);
}
