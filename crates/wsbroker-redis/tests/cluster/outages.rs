//! A Redis that is dead, hangs, refuses or falls behind.

use std::time::{Duration, Instant};

use wsbroker_core::BusEvent;
use wsbroker_redis::{ClusterConfig, RedisConfig};

use super::{Instance, common::until, redis_server::Redis};

#[test]
fn while_redis_is_dead_local_delivery_goes_on_and_afterwards_the_loss_is_known() {
    let mut redis = Redis::start();
    let (one, other) = (Instance::on(&redis), Instance::on(&redis));
    let (mut here, mut there) = (one.member("room"), other.member("room"));
    one.publish("room", "before");
    assert_eq!((here.text(), there.text()), ("before".into(), "before".into()));
    redis.kill();
    one.until_lost();
    other.until_lost();
    for message in 0..7 {
        one.publish("room", &message.to_string());
        assert_eq!(here.text(), message.to_string());
    }
    redis.run();
    one.until_ready();
    other.until_ready();
    one.publish("room", "after");
    assert_eq!((here.text(), there.text()), ("after".into(), "after".into()));
    assert_eq!(other.gaps(), 7);
    assert_eq!(one.broker.bus_stats().unwrap().dropped, 7);
    until("the instance that has lost them is told, too", || {
        one.events.lock().contains(&BusEvent::Dropped { messages: 7 })
    });
    let mut told = one.events.lock().clone();
    // Once for each reason: it was closed, and then nobody was there.
    told.dedup_by(|one, before| matches!((one, before), (BusEvent::Lost { .. }, BusEvent::Lost { .. })));
    assert!(matches!(told[..3], [BusEvent::Ready, BusEvent::Lost { .. }, BusEvent::Ready]), "{told:?}");
}

#[test]
fn a_redis_that_hangs_is_noticed_within_five_seconds() {
    let redis = Redis::start();
    let (one, other) = (Instance::on(&redis), Instance::on(&redis));
    let mut member = other.member("room");
    redis.signal("-STOP");
    let stalled = Instant::now();
    one.until_lost();
    other.until_lost();
    assert!(stalled.elapsed() < Duration::from_secs(5), "{:?}", stalled.elapsed());
    redis.signal("-CONT");
    one.until_ready();
    other.until_ready();
    one.publish("room", "again");
    assert_eq!(member.text(), "again");
}

#[test]
fn while_redis_hangs_for_ten_seconds_local_delivery_goes_on_and_what_was_missed_is_counted() {
    let redis = Redis::start();
    let (one, other) = (Instance::on(&redis), Instance::on(&redis));
    let (mut here, mut there) = (one.member("room"), other.member("room"));
    one.publish("room", "first");
    assert_eq!((here.text(), there.text()), ("first".into(), "first".into()));
    redis.signal("-STOP");
    let stalled = Instant::now();
    let mut published = 0;
    while stalled.elapsed() < Duration::from_secs(10) {
        one.publish("room", &format!("{published}"));
        assert_eq!(here.text(), format!("{published}"), "local subscribers notice nothing");
        published += 1;
        std::thread::sleep(Duration::from_millis(5));
        if stalled.elapsed() > Duration::from_secs(5) {
            for instance in [&one, &other] {
                let events = instance.events.lock().clone();
                let lost = |event: &BusEvent| matches!(event, BusEvent::Lost { .. });
                assert!(events[0] == BusEvent::Ready && events.len() > 1 && events[1..].iter().all(lost), "{events:?}");
                let twice = (1..events.len()).any(|at| events[at + 1..].contains(&events[at]));
                assert!(!twice, "each reason is reported once: {events:?}");
            }
        }
    }
    redis.signal("-CONT");
    one.until_ready();
    other.until_ready();
    one.publish("room", "after");
    let mut arrived = 0;
    while there.text() != "after" {
        arrived += 1;
    }
    eprintln!("{published} published while it hung, {arrived} of them arrived");
    assert_eq!(arrived + other.gaps(), published);
    let stats = one.broker.bus_stats().unwrap();
    assert!(stats.dropped + stats.unanswered >= other.gaps(), "the publisher knows: {stats:?}");
    let told = |event: &BusEvent| if let BusEvent::Dropped { messages } = event { *messages } else { 0 };
    until("it is reported", || one.events.lock().iter().map(told).sum::<u64>() == stats.dropped + stats.unanswered);
}

#[test]
fn what_was_under_way_when_redis_died_is_told_to_who_published_it() {
    let mut redis = Redis::start();
    let (one, other) = (Instance::on(&redis), Instance::on(&redis));
    let mut member = other.member("room");
    one.publish("room", "first");
    assert_eq!(member.text(), "first");
    redis.signal("-STOP");
    (0..10).for_each(|message| assert_eq!(one.publish("room", &message.to_string()), 0));
    until("some are under way", || one.broker.bus_stats().unwrap().published > 1);
    redis.kill();
    one.until_lost();
    redis.run();
    one.until_ready();
    other.until_ready();
    one.publish("room", "after");
    assert_eq!(member.text(), "after");
    assert_eq!(other.gaps(), 10);
    until("it is reported", || one.events.lock().contains(&BusEvent::Dropped { messages: 10 }));
}

#[test]
fn what_redis_refuses_is_told_to_who_published_it() {
    let redis = Redis::start();
    redis.answers(&["ACL", "SETUSER", "limited", "on", ">secret", "+@all", "~*", "&wsbroker!*", "&wsbroker:open"]);
    let url = format!("redis://limited:secret@127.0.0.1:{}", redis.port);
    let one = Instance::trying(RedisConfig::from_url(&url).unwrap());
    one.until_ready();
    one.publish("open", "fine");
    one.publish("shut", "never");
    until("it is reported", || one.events.lock().contains(&BusEvent::Dropped { messages: 1 }));
    assert_eq!(one.broker.bus_stats().unwrap().refused, 1);
}

#[test]
fn a_broker_that_starts_without_redis_finds_it_later() {
    let mut redis = Redis::start();
    redis.kill();
    let one = Instance::trying(RedisConfig::from_url(&redis.url()).unwrap());
    let mut client = one.client();
    client.send(b"+room");
    assert_eq!(client.text(), "ok");
    one.publish("room", "alone");
    assert_eq!(client.text(), "alone");
    until("its loss is reported", || matches!(one.events.lock()[..], [BusEvent::Lost { .. }]));
    redis.run();
    one.until_ready();
    let other = Instance::on(&redis);
    other.publish("room", "together");
    assert_eq!(client.text(), "together");
}

/// Redis cuts off a client that reads too slowly; here it does so at once.
#[test]
fn what_is_lost_when_redis_cuts_a_laggard_off_is_told() {
    let redis = Redis::with(&["--client-output-buffer-limit", "pubsub 64kb 0 0"]);
    let (one, other) = (Instance::on(&redis), Instance::on(&redis));
    let mut member = other.member("room");
    let large = "x".repeat(1 << 20);
    one.publish("room", &large);
    until("it is cut off", || other.broker.bus_stats().unwrap().losses == 1);
    other.until_ready();
    one.publish("room", "small");
    assert_eq!(member.text(), "small");
    // The first that it hears of this instance shows nothing; the next loss does.
    one.publish("room", &large);
    until("it is cut off again", || other.broker.bus_stats().unwrap().losses == 2);
    other.until_ready();
    one.publish("room", "small");
    assert_eq!(member.text(), "small");
    assert_eq!(other.gaps(), 1);
}

#[test]
fn more_than_may_wait_is_dropped_and_known_to_be() {
    let redis = Redis::start();
    let mut config = ClusterConfig::new(RedisConfig::from_url(&redis.url()).unwrap());
    config.max_outgoing = 100_000;
    let (one, other) = (Instance::with(config), Instance::on(&redis));
    one.until_ready();
    let mut member = other.member("room");
    one.publish("room", "first");
    assert_eq!(member.text(), "first");
    redis.signal("-STOP");
    let message = "x".repeat(1000);
    for _ in 0..2000 {
        one.publish("room", &message);
    }
    assert!(one.broker.bus_stats().unwrap().waiting <= 110_000);
    redis.signal("-CONT");
    one.publish("room", "last");
    let mut arrived = 0;
    while member.text() != "last" {
        arrived += 1;
        one.publish("room", "last");
    }
    let dropped = one.broker.bus_stats().unwrap().dropped;
    assert!(dropped > 1000, "{dropped}");
    assert!(arrived + dropped >= 2000, "{arrived} {dropped}");
    assert_eq!(other.gaps(), dropped);
}
