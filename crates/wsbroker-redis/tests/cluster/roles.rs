//! Servers that are primaries, or no longer, or not yet.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use wsbroker_core::{BusEvent, BusState, MessageKind};
use wsbroker_redis::{
    ClusterConfig, EmitError, Emitter, RedisConfig, RedisServers, RedisTls, RelayError, RelayEvent, RelayPart,
};

use super::{Instance, common::until, redis_server::Redis, relays, wait};

fn config(redis: &Redis) -> RedisConfig {
    RedisConfig::from_url(&redis.url()).unwrap()
}

/// A replica of that one, in step with it.
fn replica(of: &Redis) -> Redis {
    let replica = Redis::with(&["--replicaof", "127.0.0.1", &of.port.to_string()]);
    until("the replica is in step", || replica.answers(&["INFO", "replication"]).contains("master_link_status:up"));
    replica
}

fn follow(redis: &Redis, host: &str, port: &str) {
    assert_eq!(redis.answers(&["REPLICAOF", host, port]), "+OK\r\n");
}

fn tells_of_a_replica(instance: &Instance) -> bool {
    let is_it = |event: &BusEvent| matches!(event, BusEvent::Lost { reason } if reason.contains("is a replica"));
    instance.events.lock().iter().any(is_it)
}

#[test]
fn a_replica_is_not_joined_and_told_as_what_it_is_until_it_is_a_primary() {
    let primary = Redis::start();
    let replica = replica(&primary);
    let one = Instance::trying(config(&replica));
    until("it is reported", || tells_of_a_replica(&one));
    assert_eq!(one.broker.bus_stats().unwrap().state, BusState::Lost);
    assert!(!one.events.lock().contains(&BusEvent::Ready));
    follow(&replica, "NO", "ONE");
    one.until_ready();
}

/// As a managed Redis does it behind one name: no connection is cut, and what is published to the
/// old primary is accepted and goes nowhere.
#[test]
fn a_primary_that_becomes_a_replica_is_a_lost_bus_and_what_it_took_meanwhile_is_counted() {
    let redis = Redis::start();
    becomes_a_replica(&redis, config(&redis));
}

/// There redis-rs publishes.
#[test]
fn the_same_through_tls() {
    let (redis, certificate) = Redis::with_tls(&["127.0.0.1"]);
    let mut config = RedisConfig::from_url(&format!("rediss://127.0.0.1:{}", redis.tls_port())).unwrap();
    config.tls = Some(RedisTls { ca: Some(certificate.into_bytes()), ..RedisTls::default() });
    becomes_a_replica(&redis, config);
}

fn becomes_a_replica(redis: &Redis, config: RedisConfig) {
    let new = Redis::start();
    let (one, other) = (Instance::trying(config.clone()), Instance::trying(config));
    one.until_ready();
    other.until_ready();
    let mut member = other.member("room");
    one.publish("room", "first");
    assert_eq!(member.text(), "first");
    follow(redis, "127.0.0.1", &new.port.to_string());
    // Until it is noticed.
    let mut published = 0;
    until("it is noticed", || {
        one.publish("room", "into the void");
        published += 1;
        tells_of_a_replica(&one)
    });
    until("the other notices, too", || tells_of_a_replica(&other));
    let stats = one.broker.bus_stats().unwrap();
    let in_doubt = stats.dropped + stats.unanswered;
    // And perhaps what was said last before.
    assert!((published..=published + 1).contains(&in_doubt), "none is taken for sent: {published}, {stats:?}");
    follow(redis, "NO", "ONE");
    one.until_ready();
    other.until_ready();
    one.publish("room", "last");
    while member.text() != "last" {}
    let dropped = |event: &BusEvent| if let BusEvent::Dropped { messages } = event { *messages } else { 0 };
    until("all are reported", || one.events.lock().iter().map(dropped).sum::<u64>() == in_doubt);
}

/// Sentinels leave the old primary as it is for some ten seconds; a new instance is at the new one
/// at once.
#[test]
fn after_an_orderly_failover_nobody_stays_at_the_old_primary() {
    let primary = Redis::start();
    let replica = replica(&primary);
    let sentinel = primary.sentinel("chat");
    let config = RedisConfig::new(RedisServers::Sentinel(vec![("127.0.0.1".into(), sentinel.port)], "chat".into()));
    let (one, other) = (Instance::trying(config.clone()), Instance::trying(config.clone()));
    one.until_ready();
    other.until_ready();
    let relay = relays::Instance::at(config.clone(), "relay");
    let mut member = other.member("room");
    until("the sentinel knows the replica", || {
        sentinel.answers(&["SENTINEL", "MASTER", "chat"]).contains("num-slaves\r\n$1\r\n1")
    });
    until("it fails over", || sentinel.answers(&["SENTINEL", "FAILOVER", "chat"]) == "+OK\r\n");
    let told = |instance: &Instance| {
        let is_it = |event: &BusEvent| matches!(event, BusEvent::Lost { reason } if reason.contains("the Sentinels"));
        instance.events.lock().iter().any(is_it)
    };
    for instance in [&one, &other] {
        until("it is reported", || told(instance));
        instance.until_ready();
    }
    let is_it =
        |event: &&RelayEvent| matches!(event, RelayEvent::Lost { reason, .. } if reason.contains("the Sentinels"));
    until("the relay leaves it, too", || relay.heard.events.lock().iter().filter(is_it).count() == 2);
    relay.until_back();
    // An instance that comes now is heard by those that were there.
    let newcomer = Instance::trying(config);
    newcomer.until_ready();
    newcomer.publish("room", "after");
    assert_eq!(member.text(), "after");
    assert_eq!(replica.channels(), ["room"], "they are at the new primary");
    assert!(primary.channels().is_empty(), "nobody is at the old one");
}

#[test]
fn an_emitter_does_not_publish_to_a_replica() {
    let primary = Redis::start();
    let replica = replica(&primary);
    let emitter = Emitter::new(ClusterConfig::new(config(&replica)), Vec::new(), Arc::new(|_| {})).unwrap();
    let publish = || {
        let limit = Duration::from_secs(1);
        emitter.runtime().unwrap().block_on(emitter.publish(b"room", MessageKind::Text, b"text", limit))
    };
    assert_eq!(publish(), Err(EmitError::Lost));
    follow(&replica, "NO", "ONE");
    until("it is a primary now", || publish() == Ok(()));
}

#[test]
fn a_relay_does_not_begin_with_a_replica_and_leaves_a_primary_that_becomes_one() {
    let (redis, new) = (Redis::start(), Redis::start());
    let one = relays::Instance::on(&redis, "one");
    follow(&redis, "127.0.0.1", &new.port.to_string());
    for part in [RelayPart::Publisher, RelayPart::Listener] {
        until("both are lost", || one.losses(part) > 0);
    }
    let is_it =
        |event: &RelayEvent| matches!(event, RelayEvent::Lost { reason, .. } if reason.contains("is a replica"));
    assert_eq!(one.heard.events.lock().iter().filter(|event| is_it(event)).count(), 2);
    assert!(one.say("room", "1").is_err(), "nothing is taken");
    let refused = relays::Instance::trying(config(&redis), "two");
    let error = relays::wait(refused.relay.connected()).unwrap_err();
    assert!(matches!(&error, RelayError::Unreachable(reason) if reason.contains("is a replica")), "{error}");
    follow(&redis, "NO", "ONE");
    one.until_back();
    one.ask("room", "2").unwrap();
}

/// An instance that hears others and gets no answer from them is on another server than they are.
#[test]
fn an_instance_that_is_heard_and_does_not_hear_is_told_once() {
    let redis = Redis::start();
    let (one, _two) = (Instance::on(&redis), Instance::on(&redis));
    // As it would, but for the time.
    let hello = || redis.ask(&[b"PUBLISH", b"wsbroker!all", b"\x12\0\0\0\0\0\0\0\x09far\x1baway"]);
    let warnings = || {
        let events = one.events.lock();
        let reason =
            |event: &BusEvent| if let BusEvent::Warning { reason } = event { Some(reason.clone()) } else { None };
        events.iter().filter_map(reason).collect::<Vec<_>>()
    };
    let says_hello = || {
        hello();
        std::thread::sleep(Duration::from_millis(100));
    };
    until("it is reported", || {
        says_hello();
        !warnings().is_empty()
    });
    assert_eq!(one.broker.bus_stats().unwrap().deaf, 1);
    // Until it has been asked again: one of the two others every 5 s.
    let asked_again = Instant::now() + Duration::from_secs(12);
    while Instant::now() < asked_again {
        says_hello();
    }
    let warnings = warnings();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].starts_with("the instance far?away is heard, but does not hear this one"), "{warnings:?}");
    // That the other one answers is no chance.
    assert!(wait(&one.broker, one.broker.cluster_count(b"room", Duration::from_secs(1))).missing.len() == 1);
}
