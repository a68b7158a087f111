//! Why a bus is lost, and how its settings are replaced.

use wsbroker_core::{BusEvent, BusState};
use wsbroker_redis::{RedisConfig, RedisServers};

use super::{Instance, common::until, redis_server::Redis, wait};

fn clerk(redis: &Redis, password: &str) -> RedisConfig {
    let mut config = RedisConfig::new(RedisServers::Single("127.0.0.1".into(), redis.port));
    (config.username, config.password) = (Some("clerk".into()), Some(password.into()));
    config
}

fn rights(redis: &Redis, rights: &[&str]) {
    assert_eq!(redis.answers(&[&["ACL", "SETUSER", "clerk"], rights].concat()), "+OK\r\n");
}

fn reasons(instance: &Instance) -> Vec<String> {
    let events = instance.events.lock();
    let reason = |event: &BusEvent| if let BusEvent::Lost { reason } = event { Some(reason.clone()) } else { None };
    events.iter().filter_map(reason).collect()
}

fn reason(instance: &Instance) -> Option<String> {
    instance.broker.bus_stats().unwrap().reason
}

#[test]
fn what_keeps_the_bus_from_coming_back_is_told_once_and_new_settings_bring_it_back() {
    let redis = Redis::start();
    rights(&redis, &["on", ">old", "+@all", "allchannels"]);
    let one = Instance::trying(clerk(&redis, "old"));
    one.until_ready();
    assert_eq!(reason(&one), None);
    rights(&redis, &["resetpass", ">new"]);
    assert_ne!(redis.answers(&["CLIENT", "KILL", "USER", "clerk"]), ":0\r\n");
    let refused = |reason: &String| reason.contains("WRONGPASS");
    until("the password is reported as wrong", || reasons(&one).iter().any(refused));
    assert!(reason(&one).is_some_and(|reason| refused(&reason)));
    // It is met again and again.
    let attempts = || {
        redis.answers(&["ACL", "LOG"]).matches("clerk").count()
            + redis.info("stats", "total_connections_received") as usize
    };
    let before = attempts();
    until("it is tried again", || attempts() > before + 20);
    let told = reasons(&one);
    assert_eq!(told.iter().filter(|reason| refused(reason)).count(), 1, "{told:?}");
    assert!(!format!("{told:?}").contains("old"), "{told:?}");
    let error = wait(&one.broker, one.bus.reload(clerk(&redis, "other"))).unwrap_err();
    assert!(error.to_string().contains("WRONGPASS"), "{error}");
    wait(&one.broker, one.bus.reload(clerk(&redis, "new"))).unwrap();
    one.until_ready();
    assert_eq!(reason(&one), None);
    assert_eq!(one.broker.bus_stats().unwrap().losses, 1);
}

#[test]
fn new_settings_leave_what_is_there_unless_they_name_other_servers() {
    let (redis, elsewhere) = (Redis::start(), Redis::start());
    rights(&redis, &["on", ">password", "+@all", "allchannels"]);
    let one = Instance::on(&redis);
    wait(&one.broker, one.bus.reload(clerk(&redis, "password"))).unwrap();
    let config = RedisConfig::new(RedisServers::Single("127.0.0.1".into(), elsewhere.port));
    let there = Instance::on(&elsewhere);
    let mut member = one.member("room");
    assert_eq!(*one.events.lock(), [BusEvent::Ready]);
    wait(&one.broker, one.bus.reload(config)).unwrap();
    until("it is at the other one", || elsewhere.channels() == ["room"]);
    one.until_ready();
    there.publish("room", "hello");
    assert_eq!(member.text(), "hello");
    assert!(reasons(&one)[0].contains("other servers"), "{:?}", reasons(&one));
}

#[test]
fn why_redis_refuses_messages_is_told_once() {
    let redis = Redis::start();
    rights(&redis, &["on", ">password", "+@all", "resetchannels", "&wsbroker!*", "&wsbroker:open"]);
    let one = Instance::trying(clerk(&redis, "password"));
    one.until_ready();
    for number in 1..=3 {
        one.publish("shut", "text");
        until("it is refused", || one.broker.bus_stats().unwrap().refused == number);
    }
    let warnings: Vec<_> =
        one.events.lock().iter().filter(|event| matches!(event, BusEvent::Warning { .. })).cloned().collect();
    let [BusEvent::Warning { reason: told }] = &warnings[..] else { panic!("{warnings:?}") };
    assert!(told.starts_with("Redis refuses what is published: NOPERM"), "{told}");
    let stats = one.broker.bus_stats().unwrap();
    assert_eq!(stats.state, BusState::Ready);
    assert!(stats.reason.is_some_and(|reason| reason.contains("NOPERM")));
}
