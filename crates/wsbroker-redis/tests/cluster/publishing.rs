//! What is published on one instance, on the others.

use std::time::Duration;

use wsbroker_core::{BusEvent, CloseCode, ClusterCount, MessageKind};
use wsbroker_redis::{ClusterConfig, RedisConfig};

use super::{
    Instance,
    common::{Client, DEADLINE, Got, until},
    redis_server::Redis,
    wait,
};

#[test]
fn a_publish_on_any_instance_reaches_subscribers_on_all_once_and_in_order() {
    let redis = Redis::start();
    let instances = [Instance::on(&redis), Instance::on(&redis), Instance::on(&redis)];
    let mut members: Vec<Client> =
        instances.iter().flat_map(|instance| [instance.member("room"), instance.member("room")]).collect();
    for (number, instance) in instances.iter().enumerate() {
        (0..500).for_each(|message| {
            assert_eq!(instance.publish("room", &format!("{number} {message}")), 2);
        });
    }
    for member in &mut members {
        let mut next = [0; 3];
        for _ in 0..1500 {
            let text = member.text();
            let (from, message) = text.split_once(' ').unwrap();
            let next = &mut next[from.parse::<usize>().unwrap()];
            assert_eq!(message.parse::<usize>().unwrap(), *next, "{text}");
            *next += 1;
        }
    }
    for instance in &instances {
        let stats = instance.broker.bus_stats().unwrap();
        assert_eq!((stats.published, stats.received, stats.missed, stats.dropped), (500, 1000, 0, 0));
        assert_eq!(*instance.events.lock(), [BusEvent::Ready]);
    }
}

#[test]
fn a_channel_is_closed_on_every_instance_behind_what_was_published() {
    let redis = Redis::start();
    let (one, other) = (Instance::on(&redis), Instance::on(&redis));
    let (mut here, mut there) = (one.member("room"), other.member("room"));
    let mut cork = one.broker.cork();
    let staged = cork.stage_slice(MessageKind::Text, b"bye");
    cork.publish(b"room", staged, &[]);
    cork.close_channel_everywhere(b"room", CloseCode::RESTART, "moved");
    drop(cork);
    for member in [&mut here, &mut there] {
        assert_eq!(member.text(), "bye");
        assert_eq!(member.next(), Got::Close(Some(1012), "moved".into()));
    }
}

#[test]
fn what_others_publish_on_our_names_harms_nobody() {
    let redis = Redis::start();
    let (one, other) = (Instance::on(&redis), Instance::on(&redis));
    let mut member = one.member("room");
    for junk in [&b""[..], b"hello", &[0x10; 40], &[0xff; 100]] {
        redis.ask(&[b"PUBLISH", b"wsbroker:room", junk]);
    }
    other.publish("room", "fine");
    assert_eq!(member.text(), "fine");
    assert!(one.broker.bus_stats().unwrap().invalid >= 3);
}

#[test]
fn subscribers_are_counted_on_all_instances_and_who_does_not_answer_is_named() {
    let redis = Redis::start();
    let named = |name: &str| {
        let mut config = ClusterConfig::new(RedisConfig::from_url(&redis.url()).unwrap());
        config.instance_id = Some(name.into());
        let instance = Instance::with(config);
        instance.until_ready();
        instance
    };
    let (one, two) = (named("one"), named("two"));
    let _members = [one.member("room"), two.member("room"), two.member("room")];
    let others = |instance: &Instance| instance.broker.bus_stats().unwrap().instances;
    until("they know each other", || others(&one) == 1 && others(&two) == 1);
    let count = |limit| wait(&one.broker, one.broker.cluster_count(b"room", limit));
    assert_eq!(count(DEADLINE), ClusterCount { count: 3, missing: vec![] });
    // A third that says hello and then nothing.
    redis.ask(&[b"PUBLISH", b"wsbroker!all", b"\x12\0\0\0\0\0\0\0\x09three"]);
    until("it is known", || others(&one) == 2);
    assert_eq!(count(Duration::from_millis(300)), ClusterCount { count: 3, missing: vec!["three".into()] });
    redis.ask(&[b"PUBLISH", b"wsbroker!all", b"\x13\0\0\0\0\0\0\0\x09"]);
    until("it has gone", || others(&one) == 1);
    drop(two);
    until("so has the other", || others(&one) == 0);
    assert_eq!(count(DEADLINE), ClusterCount { count: 1, missing: vec![] });
}
