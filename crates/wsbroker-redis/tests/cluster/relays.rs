//! Relays on one Redis, which is killed, stalled and flooded: the envelopes of the server helper.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use wsbroker_redis::{
    IncomingMessage, MessageType, OutgoingMessage, PublishError, QueueError, RedisConfig, RedisServers, RedisTls,
    Relay, RelayConfig, RelayError, RelayEvent, RelayPart, RelaySink, RequestError,
};

use super::{
    common::{DEADLINE, until},
    redis_server::Redis,
};

/// Type, target, frame and the excluded clients.
type Told = (MessageType, String, String, Vec<String>);

/// What a sink was told.
#[derive(Default)]
pub(super) struct Heard {
    messages: Mutex<Vec<Told>>,
    pub(super) events: Mutex<Vec<RelayEvent>>,
    flushed: Mutex<usize>,
}

impl RelaySink for Heard {
    fn deliver(&self, message: IncomingMessage<'_>) {
        let exclude = message.exclude.iter().map(ToString::to_string).collect();
        self.messages.lock().push((message.kind, message.target.to_string(), message.frame(), exclude));
    }

    fn flush(&self) {
        *self.flushed.lock() = self.messages.lock().len();
    }

    fn happened(&self, event: RelayEvent) {
        self.events.lock().push(event);
    }
}

pub(super) struct Instance {
    pub(super) relay: Relay,
    pub(super) heard: Arc<Heard>,
    id: String,
}

impl Instance {
    fn with(config: RelayConfig) -> Self {
        let heard = Arc::<Heard>::default();
        let id = config.server_id.clone().unwrap_or_default();
        Self { relay: Relay::start(config, Arc::clone(&heard) as Arc<dyn RelaySink>).unwrap(), heard, id }
    }

    pub(super) fn trying(redis: RedisConfig, id: &str) -> Self {
        Self::with(RelayConfig { server_id: Some(id.into()), ..RelayConfig::new(redis) })
    }

    pub(super) fn at(redis: RedisConfig, id: &str) -> Self {
        let instance = Self::trying(redis, id);
        instance.wait(instance.relay.connected()).unwrap();
        instance
    }

    pub(super) fn on(redis: &Redis, id: &str) -> Self {
        Self::at(url(&redis.url()), id)
    }

    fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        wait(future)
    }

    fn message<'a>(&'a self, kind: MessageType, target: Option<&'a str>, data: &'a str) -> OutgoingMessage<'a> {
        OutgoingMessage { server_id: &self.id, kind, target, event: "e", data: Some(data), exclude: None }
    }

    pub(super) fn say(&self, room: &str, data: &str) -> Result<(), QueueError> {
        let message = self.message(MessageType::Room, Some(room), data);
        self.relay.publish(message.channel().into(), message.text().into(), None)
    }

    pub(super) fn ask(&self, room: &str, data: &str) -> Result<(), RequestError> {
        let message = self.message(MessageType::Room, Some(room), data);
        self.wait(self.relay.request(message.channel().into(), message.text().into()))
    }

    /// Waits until so many have come, and returns their frames.
    pub(super) fn frames(&self, count: usize) -> Vec<String> {
        until("the messages are there", || self.heard.messages.lock().len() >= count);
        self.heard.messages.lock().iter().map(|(_, _, frame, _)| frame.clone()).collect()
    }

    fn has(&self, event: &RelayEvent) -> bool {
        self.heard.events.lock().contains(event)
    }

    pub(super) fn losses(&self, of: RelayPart) -> usize {
        let lost = |event: &&RelayEvent| matches!(event, RelayEvent::Lost { part, .. } if *part == of);
        self.heard.events.lock().iter().filter(lost).count()
    }

    /// Lost and back, both parts of it.
    pub(super) fn until_back(&self) {
        for part in [RelayPart::Publisher, RelayPart::Listener] {
            until("it is back", || self.has(&RelayEvent::Ready { part }));
        }
    }
}

pub(super) fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(DEADLINE, future).await.expect("it takes too long") })
}

fn url(url: &str) -> RedisConfig {
    RedisConfig::from_url(url).unwrap()
}

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|number| format!(r#"{{"event":"e","data":{number}}}"#)).collect()
}

#[test]
fn all_four_kinds_arrive_elsewhere_once_and_in_order_and_own_ones_do_not_come_back() {
    let redis = Redis::start();
    let (one, other) = (Instance::on(&redis, "one"), Instance::on(&redis, "other"));
    let data = r#"{ "a":[1.0 , "\u00e9"]}"#;
    let messages = [
        one.message(MessageType::Client, Some("c"), data),
        one.message(MessageType::User, Some("u"), data),
        OutgoingMessage { exclude: Some(&["x", "y"]), ..one.message(MessageType::Room, Some("r:é*"), data) },
        one.message(MessageType::Broadcast, None, data),
    ];
    for message in messages {
        wait(one.relay.request(message.channel().into(), message.text().into())).unwrap();
    }
    let frame = format!(r#"{{"event":"e","data":{data}}}"#);
    let of = |kind, target: &str, exclude: &[&str]| {
        (kind, target.to_owned(), frame.clone(), exclude.iter().map(ToString::to_string).collect())
    };
    let expected = [
        of(MessageType::Client, "c", &[]),
        of(MessageType::User, "u", &[]),
        of(MessageType::Room, "r:é*", &["x", "y"]),
        of(MessageType::Broadcast, "", &[]),
    ];
    until("they are there", || other.heard.messages.lock().len() == 4);
    assert_eq!(*other.heard.messages.lock(), expected);
    until("the sink is told that for now this was all", || *other.heard.flushed.lock() == 4);
    // What the other says comes behind the echo of what this one said.
    other.ask("r", "1").unwrap();
    assert_eq!(one.frames(1), [r#"{"event":"e","data":1}"#]);
    for number in 0..20_000 {
        one.say("r", &number.to_string()).unwrap();
    }
    assert_eq!(other.frames(20_004)[4..], numbers(20_000));
    until("all are answered", || one.relay.stats().published == 20_004);
    assert_eq!((one.relay.stats().waiting, one.relay.stats().failed), (0, 0));
    assert_eq!(*one.heard.events.lock(), [RelayEvent::Connected]);
}

#[test]
fn what_is_no_envelope_is_counted_and_what_is_not_for_us_is_not() {
    let redis = Redis::start();
    let mut config = RelayConfig::new(url(&redis.url()));
    config.max_incoming = 1000;
    let one = Instance::with(config);
    one.wait(one.relay.connected()).unwrap();
    let large = format!(r#"{{"serverId":"x","type":"broadcast","event":"large","data":"{}"}}"#, "x".repeat(1000));
    for text in [&b""[..], b"null", b"{}", b"{\"serverId\":\"\xff", large.as_bytes()] {
        redis.ask(&[b"PUBLISH", b"ws:room:r", text]);
    }
    redis.ask(&[b"PUBLISH", b"ws:user:r", br#"{"serverId":"x","type":"unknown","event":"e"}"#]);
    redis.ask(&[b"PUBLISH", b"ws:other", br#"{"serverId":"x","type":"broadcast","event":"elsewhere"}"#]);
    redis.ask(&[b"PUBLISH", b"ws:client:", b"{\"serverId\":\"x\",\"type\":\"broadcast\",\"event\":\"\xe2\x82\xff\"}"]);
    assert_eq!(one.frames(1), ["{\"event\":\"\u{fffd}\u{fffd}\"}"]);
    assert_eq!((one.relay.stats().invalid, one.relay.stats().received), (5, 1));
    let told = one.heard.events.lock().iter().filter(|event| matches!(event, RelayEvent::Invalid { .. })).count();
    assert_eq!(told, 5);
}

#[test]
fn a_first_connection_that_fails_is_told_and_not_tried_again() {
    let mut redis = Redis::with(&["--requirepass", "secret"]);
    let refused = Instance::trying(url(&format!("redis://:wrong@127.0.0.1:{}", redis.port)), "a");
    let error = refused.wait(refused.relay.connected()).unwrap_err();
    let RelayError::Unreachable(reason) = &error else { panic!("{error:?}") };
    assert!(reason.contains("WRONGPASS") || reason.contains("uthentication"), "{reason}");
    assert!(!format!("{error} {:?}", refused.heard.events.lock()).contains("wrong@"));
    assert_eq!(*refused.heard.events.lock(), [RelayEvent::Failed { reason: reason.clone() }]);
    assert_eq!(refused.say("r", "1"), Err(QueueError::Stopped));
    refused.wait(refused.relay.stop(DEADLINE));
    Instance::at(url(&format!("redis://:secret@127.0.0.1:{}", redis.port)), "b");
    redis.kill();
    let nobody = Instance::trying(url(&redis.url()), "c");
    assert!(matches!(nobody.wait(nobody.relay.connected()), Err(RelayError::Unreachable(_))));
}

#[test]
fn who_may_not_subscribe_does_not_connect() {
    let redis = Redis::start();
    let acl = ["ACL", "SETUSER", "limited", "on", ">pw", "+@all", "~*", "resetchannels", "&ws:broadcast", "&ws:room:*"];
    assert!(redis.answers(&acl).starts_with("+OK"));
    let limited = url(&format!("redis://limited:pw@127.0.0.1:{}", redis.port));
    let one = Instance::trying(limited.clone(), "a");
    let error = one.wait(one.relay.connected()).unwrap_err().to_string();
    assert!(error.contains("NOPERM") || error.contains("ermission"), "{error}");
    // A relay that only publishes is refused where it may not.
    let emitter = Instance::with(RelayConfig { listens: false, ..RelayConfig::new(limited) });
    emitter.wait(emitter.relay.connected()).unwrap();
    emitter.ask("r", "1").unwrap();
    let message = emitter.message(MessageType::User, Some("u"), "1");
    let refused = wait(emitter.relay.request(message.channel().into(), message.text().into())).unwrap_err();
    assert!(
        matches!(&refused, RequestError::Failed(PublishError::Refused(why)) if why.contains("ermission")),
        "{refused:?}"
    );
    emitter.ask("r", "2").unwrap();
    assert_eq!((emitter.relay.stats().published, emitter.relay.stats().failed), (2, 1));
}

#[test]
fn the_rights_that_the_guide_names_are_enough() {
    let redis = Redis::start();
    let channels = ["&ws:broadcast", "&ws:room:*", "&ws:client:*", "&ws:user:*"];
    let rights = ["+subscribe", "+psubscribe", "+publish", "+ping", "+hello", "+role"];
    let words =
        [&["ACL", "SETUSER", "clerk", "on", ">secret", "resetchannels", "-@all"], &channels[..], &rights].concat();
    assert_eq!(redis.answers(&words), "+OK\r\n");
    let config = url(&format!("redis://clerk:secret@127.0.0.1:{}", redis.port));
    let (one, other) = (Instance::at(config.clone(), "one"), Instance::at(config, "other"));
    one.ask("r", "0").unwrap();
    assert_eq!(other.frames(1), numbers(1));
    assert_eq!(redis.answers(&["ACL", "LOG", "1"]), "*0\r\n", "Redis has refused nothing");
    assert_eq!(*one.heard.events.lock(), [RelayEvent::Connected]);
}

#[test]
fn while_redis_is_dead_nothing_is_taken_and_afterwards_all_is_as_before() {
    let mut redis = Redis::start();
    let (one, other) = (Instance::on(&redis, "one"), Instance::on(&redis, "other"));
    one.ask("r", "0").unwrap();
    other.frames(1);
    redis.kill();
    for instance in [&one, &other] {
        until("it is lost", || instance.losses(RelayPart::Publisher) + instance.losses(RelayPart::Listener) == 2);
    }
    assert_eq!(one.say("r", "lost"), Err(QueueError::Lost));
    assert_eq!(one.ask("r", "lost"), Err(RequestError::Queue(QueueError::Lost)));
    assert_eq!(one.relay.stats().refused, 2);
    redis.run();
    one.until_back();
    other.until_back();
    // It is said to be ready when all subscriptions are confirmed: nothing is lost from here on.
    one.ask("r", "1").unwrap();
    assert_eq!(other.frames(2), numbers(2));
    for instance in [&one, &other] {
        let mut told = instance.heard.events.lock().clone();
        // What kept it from coming back, of each connection.
        told.retain(|event| !matches!(event, RelayEvent::Warning { reason } if reason.starts_with("still lost: ")));
        assert_eq!(told.len(), 5, "each change once: {told:?}");
    }
}

#[test]
fn a_redis_that_hangs_is_noticed_within_five_seconds_and_what_is_under_way_is_bounded() {
    let redis = Redis::start();
    let mut config = RelayConfig { server_id: Some("one".into()), ..RelayConfig::new(url(&redis.url())) };
    config.max_outgoing = 100_000;
    let one = Instance::with(config);
    one.wait(one.relay.connected()).unwrap();
    redis.signal("-STOP");
    let stalled = Instant::now();
    let data = format!("\"{}\"", "x".repeat(1000));
    let answers = Arc::new(Mutex::new(Vec::new()));
    let mut taken = 0;
    let full = (0..200).filter(|_| {
        let message = one.message(MessageType::Room, Some("r"), &data);
        let (number, answers) = (taken, Arc::clone(&answers));
        let answer = Box::new(move |outcome| answers.lock().push((number, outcome)));
        let outcome = one.relay.publish(message.channel().into(), message.text().into(), Some(answer));
        taken += usize::from(outcome.is_ok());
        outcome == Err(QueueError::Full)
    });
    let full = full.count();
    assert!(full > 100 && one.relay.stats().waiting <= 100_000, "{full} {:?}", one.relay.stats());
    for part in [RelayPart::Publisher, RelayPart::Listener] {
        until("it is lost", || one.losses(part) == 1);
    }
    assert!(stalled.elapsed() < Duration::from_secs(5), "{:?}", stalled.elapsed());
    until("all are answered", || answers.lock().len() == taken);
    let expected: Vec<_> = (0..taken).map(|number| (number, Err(PublishError::Lost))).collect();
    assert_eq!(*answers.lock(), expected, "in order");
    assert_eq!(one.relay.stats().waiting, 0);
    redis.signal("-CONT");
    one.until_back();
    one.ask("r", "1").unwrap();
}

#[test]
fn one_connection_that_is_cut_does_not_disturb_the_other() {
    let redis = Redis::start();
    let (one, other) = (Instance::on(&redis, "one"), Instance::on(&redis, "other"));
    assert!(redis.answers(&["CLIENT", "KILL", "TYPE", "pubsub"]).starts_with(":2"));
    until("it listens again", || one.has(&RelayEvent::Ready { part: RelayPart::Listener }));
    until("it listens again", || other.has(&RelayEvent::Ready { part: RelayPart::Listener }));
    assert_eq!((one.losses(RelayPart::Publisher), one.losses(RelayPart::Listener)), (0, 1));
    one.ask("r", "0").unwrap();
    assert_eq!(other.frames(1), numbers(1));
    redis.answers(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    until("it publishes again", || one.has(&RelayEvent::Ready { part: RelayPart::Publisher }));
    one.ask("r", "1").unwrap();
    assert_eq!(other.frames(2), numbers(2));
    assert_eq!(one.losses(RelayPart::Listener), 1);
}

#[test]
fn stopping_publishes_what_waits_and_dropping_ends_at_once() {
    let redis = Redis::start();
    let (one, other) = (Instance::on(&redis, "one"), Instance::on(&redis, "other"));
    for number in 0..5000 {
        one.say("r", &number.to_string()).unwrap();
    }
    one.wait(one.relay.stop(DEADLINE));
    assert_eq!(one.say("r", "late"), Err(QueueError::Stopped));
    assert_eq!(one.relay.stats().published, 5000);
    assert_eq!(other.frames(5000), numbers(5000));
    assert_eq!(one.wait(one.relay.connected()), Err(RelayError::Stopped));
    let connections = || redis.answers(&["CLIENT", "LIST"]).matches("\nid=").count();
    until("its connections are closed", || connections() <= 3);
    drop(other);
    until("those of the other, too", || connections() <= 1);
    // One that hangs is given up at the limit, one that is lost at once.
    let (mut redis, hanging) = (Redis::start(), Redis::start());
    let (lost, stuck) = (Instance::on(&redis, "lost"), Instance::on(&hanging, "stuck"));
    redis.kill();
    until("it is lost", || lost.losses(RelayPart::Publisher) == 1);
    lost.wait(lost.relay.stop(Duration::from_secs(3600)));
    hanging.signal("-STOP");
    let answer = stuck.relay.request("ws:broadcast".into(), "{}".into());
    stuck.wait(stuck.relay.stop(Duration::from_millis(100)));
    assert_eq!(stuck.wait(answer), Err(RequestError::Failed(PublishError::Lost)));
    assert!(stuck.heard.events.lock().iter().all(|event| *event == RelayEvent::Connected), "no loss is reported");
}

#[test]
fn a_redis_cluster_carries_ordinary_messages_and_survives_the_loss_of_the_node_that_is_used() {
    let mut nodes = Redis::cluster();
    let servers = |nodes: &[Redis]| nodes.iter().map(|node| ("127.0.0.1".to_owned(), node.port)).collect();
    // Different nodes: what is published at one arrives at all.
    let one = Instance::at(RedisConfig::new(RedisServers::Cluster(servers(&nodes[..1]))), "one");
    let other = Instance::at(RedisConfig::new(RedisServers::Cluster(servers(&nodes[4..]))), "other");
    for number in 0..1000 {
        one.say(&format!("room {number}"), &number.to_string()).unwrap();
    }
    assert_eq!(other.frames(1000), numbers(1000), "in order, whatever their slots");
    // The only one that it was told of: it knows the others from there.
    nodes[0].kill();
    one.until_back();
    until("a message arrives again", || {
        let _ = one.say("r", "true");
        other.heard.messages.lock().len() > 1000
    });
    let single = Redis::start();
    let none = Instance::trying(RedisConfig::new(RedisServers::Cluster(vec![("127.0.0.1".into(), single.port)])), "n");
    let error = none.wait(none.relay.connected()).unwrap_err().to_string();
    assert!(error.contains("cluster support disabled"), "{error}");
}

#[test]
fn sentinels_lead_a_relay_to_the_new_primary() {
    let mut primary = Redis::start();
    let replica = Redis::with(&["--replicaof", "127.0.0.1", &primary.port.to_string()]);
    until("the replica is in step", || replica.answers(&["INFO", "replication"]).contains("master_link_status:up"));
    let sentinel = primary.sentinel("chat");
    let config = RedisConfig::new(RedisServers::Sentinel(vec![("127.0.0.1".into(), sentinel.port)], "chat".into()));
    let (one, other) = (Instance::at(config.clone(), "one"), Instance::at(config, "other"));
    one.ask("r", "0").unwrap();
    other.frames(1);
    until("the sentinel knows the replica", || {
        sentinel.answers(&["SENTINEL", "MASTER", "chat"]).contains("num-slaves\r\n$1\r\n1")
    });
    primary.kill();
    one.until_back();
    other.until_back();
    one.ask("r", "1").unwrap();
    assert_eq!(other.frames(2), numbers(2));
}

#[test]
fn certificates_are_checked_against_the_name_that_was_asked_for() {
    let (redis, certificate) = Redis::with_tls(&["redis.example"]);
    let mut config = url(&format!("rediss://127.0.0.1:{}", redis.tls_port()));
    let mut outcome = |tls: RedisTls| {
        config.tls = Some(tls);
        let one = Instance::trying(config.clone(), "one");
        one.wait(one.relay.connected()).map(|()| one.ask("r", "1").unwrap())
    };
    let trusting = RedisTls { ca: Some(certificate.into_bytes()), ..RedisTls::default() };
    let named = |name: &str| RedisTls { server_name: Some(name.into()), ..trusting.clone() };
    assert_eq!(outcome(named("redis.example")), Ok(()));
    assert!(outcome(named("other.example")).is_err(), "another name");
    assert!(outcome(trusting.clone()).is_err(), "its address is no name of it");
    assert!(outcome(RedisTls { server_name: Some("redis.example".into()), ..RedisTls::default() }).is_err(), "unknown");
    assert_eq!(outcome(RedisTls { accept_any: true, ..RedisTls::default() }), Ok(()));
}
