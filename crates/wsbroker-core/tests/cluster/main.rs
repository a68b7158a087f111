//! Several brokers on one Redis, which is killed, stalled and flooded.

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod emitter;
mod line;
mod reasons;
mod redis;
mod relay;
mod role;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use common::{Client, DEADLINE, Got, Seen, TestWorker, listen, until};
use parking_lot::Mutex;
use redis::Redis;
use wsbroker_core::{
    Broker, BusEvent, BusState, ClusterConfig, ClusterCount, Config, Handlers, Listener, MessageKind, RedisConfig,
    RedisServers, RedisTls, SocketLimits,
};

/// A broker on a bus, with a worker that subscribes clients as they ask: the text `+room` joins and `-room` leaves, `+number rooms` and
/// `-number rooms` do so with that many; each is answered by `ok`.
struct Instance {
    broker: Broker,
    port: u16,
    events: Arc<Mutex<Vec<BusEvent>>>,
    _worker: TestWorker,
    _listener: Listener,
}

impl Instance {
    fn on(redis: &Redis) -> Self {
        let instance = Self::trying(RedisConfig::from_url(&redis.url()).unwrap());
        instance.until_ready();
        instance
    }

    fn trying(redis: RedisConfig) -> Self {
        Self::with(ClusterConfig::new(redis))
    }

    fn with(config: ClusterConfig) -> Self {
        let broker = Broker::new(Config { io_threads: 1, ..Config::default() }).unwrap();
        let events = Arc::<Mutex<Vec<BusEvent>>>::default();
        let own = Arc::clone(&events);
        broker.join_cluster(config, Arc::new(move |event| own.lock().push(event))).unwrap();
        let worker = TestWorker::new(
            &broker,
            Handlers::TEXT,
            Box::new(|scope, id, seen| {
                let Seen::Text(text) = seen else { return };
                let text = String::from_utf8(text.to_vec()).unwrap();
                let (verb, room) = text.split_at(1);
                let rooms = match room.strip_suffix(" rooms") {
                    Some(number) => (0..number.parse().unwrap()).map(|room: usize| room.to_string()).collect(),
                    None => vec![room.to_owned()],
                };
                for room in rooms.iter().map(|room| room.as_bytes()) {
                    match verb {
                        "+" => assert_eq!(scope.broker.subscribe(scope.cork, id, room), Ok(true)),
                        "-" => assert!(scope.broker.unsubscribe(scope.cork, id, room)),
                        _ => panic!("unknown request"),
                    }
                }
                scope.send(id, b"ok");
            }),
        );
        let (listener, port) = listen(&broker, SocketLimits::default());
        Self { broker, port, events, _worker: worker, _listener: listener }
    }

    fn until_ready(&self) {
        let ready = async { tokio::time::timeout(DEADLINE, self.broker.cluster_ready()).await };
        let ready = self.broker.runtime().clone().block_on(ready);
        assert!(matches!(ready, Ok(true)), "{:?} {:?}", self.events.lock(), self.broker.bus_stats());
    }

    fn until_lost(&self) {
        until("the bus is lost", || self.broker.bus_stats().unwrap().state == BusState::Lost);
    }

    fn client(&self) -> Client {
        Client::connect(self.port)
    }

    /// A client in that room; what is published elsewhere reaches it.
    fn member(&self, room: &str) -> Client {
        let mut client = self.client();
        client.send(format!("+{room}").as_bytes());
        assert_eq!(client.text(), "ok");
        assert!(wait(&self.broker, self.broker.listening(room.as_bytes())));
        client
    }

    fn publish(&self, room: &str, text: &str) -> usize {
        let mut cork = self.broker.cork();
        let staged = cork.stage_slice(MessageKind::Text, text.as_bytes());
        cork.publish(room.as_bytes(), staged, &[])
    }

    fn gaps(&self) -> u64 {
        let missed = |event: &BusEvent| if let BusEvent::Gap { missed, .. } = event { *missed } else { 0 };
        self.events.lock().iter().map(missed).sum()
    }
}

/// The first with `REDIS_TESTS=full`, which says what it is.
fn full_or<T: std::fmt::Display>(full: T, usual: T) -> T {
    if std::env::var("REDIS_TESTS").is_ok_and(|value| value == "full") {
        return full;
    }
    eprintln!("{usual} instead of {full}: REDIS_TESTS=full for all of it");
    usual
}

fn wait<T>(broker: &Broker, future: impl Future<Output = T>) -> T {
    broker
        .runtime()
        .clone()
        .block_on(async { tokio::time::timeout(DEADLINE, future).await.expect("it takes too long") })
}

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
fn an_instance_listens_to_what_it_has_subscribers_for_and_to_nothing_else() {
    let redis = Redis::start();
    let (one, other) = (Instance::on(&redis), Instance::on(&redis));
    let mut member = one.member("a");
    let _second = one.member("b");
    assert_eq!(redis.channels(), ["a", "b"]);
    other.publish("elsewhere", "nobody hears this");
    other.publish("a", "hello");
    assert_eq!(member.text(), "hello");
    assert_eq!(one.broker.bus_stats().unwrap().received, 1);
    member.send(b"-a");
    assert_eq!(member.text(), "ok");
    until("the channel is let go", || redis.channels() == ["b"]);
}

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
    until("who has lost them is told, too", || one.events.lock().contains(&BusEvent::Dropped { messages: 7 }));
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
                assert!(!twice, "each reason is told once: {events:?}");
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
    assert!(stats.dropped + stats.unanswered >= other.gaps(), "whoever published knows: {stats:?}");
    let told = |event: &BusEvent| if let BusEvent::Dropped { messages } = event { *messages } else { 0 };
    until("it is told", || one.events.lock().iter().map(told).sum::<u64>() == stats.dropped + stats.unanswered);
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
    until("it is told", || one.events.lock().contains(&BusEvent::Dropped { messages: 10 }));
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
    until("it is told", || one.events.lock().contains(&BusEvent::Dropped { messages: 1 }));
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
    until("its loss is told", || matches!(one.events.lock()[..], [BusEvent::Lost { .. }]));
    redis.run();
    one.until_ready();
    let other = Instance::on(&redis);
    other.publish("room", "together");
    assert_eq!(client.text(), "together");
}

#[test]
fn a_wrong_password_is_told_and_a_right_one_works() {
    let redis = Redis::with(&["--requirepass", "secret"]);
    let wrong = format!("redis://:wrong@127.0.0.1:{}", redis.port);
    let refused = Instance::trying(RedisConfig::from_url(&wrong).unwrap());
    until("it is told", || !refused.events.lock().is_empty());
    let told = format!("{:?}", refused.events.lock());
    assert!(told.contains("WRONGPASS") || told.contains("uthentication"), "{told}");
    assert!(!told.contains("wrong@"), "no password is told: {told}");
    let right = format!("redis://:secret@127.0.0.1:{}", redis.port);
    Instance::trying(RedisConfig::from_url(&right).unwrap()).until_ready();
}

#[test]
fn a_channel_is_closed_on_every_instance_behind_what_was_published() {
    let redis = Redis::start();
    let (one, other) = (Instance::on(&redis), Instance::on(&redis));
    let (mut here, mut there) = (one.member("room"), other.member("room"));
    let mut cork = one.broker.cork();
    let staged = cork.stage_slice(MessageKind::Text, b"bye");
    cork.publish(b"room", staged, &[]);
    cork.close_channel_everywhere(b"room", wsbroker_core::CloseCode::RESTART, "moved");
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
fn a_hundred_thousand_channels_are_listened_to_in_batches_and_let_go() {
    const CHANNELS: u64 = 100_000;
    let redis = Redis::start();
    let (one, other) = (Instance::on(&redis), Instance::on(&redis));
    let own = redis.info("stats", "pubsub_channels");
    let mut client = one.client();
    for _ in 0..2 {
        let before = redis.info("commandstats", "cmdstat_subscribe:calls");
        client.send(format!("+{CHANNELS} rooms").as_bytes());
        assert_eq!(client.text(), "ok");
        assert!(wait(&one.broker, one.broker.listening(b"99999")));
        until("all are listened to", || redis.info("stats", "pubsub_channels") == own + CHANNELS);
        let commands = redis.info("commandstats", "cmdstat_subscribe:calls") - before;
        assert!(commands < CHANNELS / 100, "they are asked for in batches: {commands} commands");
        assert_eq!(one.broker.bus_stats().unwrap().channels as u64, CHANNELS);
        other.publish("0", "first");
        other.publish("99999", "last");
        assert_eq!((client.text(), client.text()), ("first".into(), "last".into()));
        client.send(format!("-{CHANNELS} rooms").as_bytes());
        assert_eq!(client.text(), "ok");
        until("all are let go", || one.broker.bus_stats().unwrap().channels == 0);
        until("Redis knows", || redis.info("stats", "pubsub_channels") == own);
        assert!(redis.info("commandstats", "cmdstat_unsubscribe:calls") < CHANNELS / 50);
    }
}

/// Channels come and go all the time, others are joined again just when they are let go: whoever waited for `listening` hears what is published then.
#[test]
fn no_interest_is_lost_while_thousands_of_channels_come_and_go() {
    const PER_SECOND: u32 = 5_000;
    let seconds = full_or(20, 5);
    let redis = Redis::start();
    let (one, other) = (Instance::on(&redis), Instance::on(&redis));
    let (mut churner, mut member) = (one.client(), one.client());
    let begun = redis.info("commandstats", "cmdstat_unsubscribe:calls");
    let done = Arc::new(AtomicBool::new(false));
    let over = Arc::clone(&done);
    let churn = std::thread::spawn(move || {
        let mut next = 0;
        for _ in 0..seconds * 100 {
            let batch = PER_SECOND / 100;
            for _ in 0..batch {
                churner.send(format!("+brief {next}").as_bytes());
                churner.send(format!("-brief {next}").as_bytes());
                next += 1;
            }
            (0..2 * batch).for_each(|_| assert_eq!(churner.text(), "ok"));
            // The rate it is asked for at, at most.
            std::thread::sleep(Duration::from_millis(10));
        }
        over.store(true, Ordering::SeqCst);
        next
    });
    let mut probes = 0;
    while !done.load(Ordering::SeqCst) {
        // Of so few rooms that each is joined again now before, now after it was let go.
        let room = format!("lasting {}", probes % 100);
        member.send(format!("+{room}").as_bytes());
        assert_eq!(member.text(), "ok");
        assert!(wait(&one.broker, one.broker.listening(room.as_bytes())));
        other.publish(&room, &format!("probe {probes}"));
        assert_eq!(member.text(), format!("probe {probes}"), "of {room}");
        member.send(format!("-{room}").as_bytes());
        assert_eq!(member.text(), "ok");
        probes += 1;
    }
    let channels = churn.join().unwrap();
    eprintln!("{channels} channels came and went, {probes} probes arrived");
    assert!(probes > 100);
    until("all are let go", || redis.channels().is_empty() && one.broker.bus_stats().unwrap().channels == 0);
    assert!(redis.info("commandstats", "cmdstat_unsubscribe:calls") > begun, "they were really let go meanwhile");
    assert_eq!((one.gaps(), other.broker.bus_stats().unwrap().dropped), (0, 0));
}

#[test]
fn what_nobody_here_has_joined_costs_this_instance_no_byte() {
    const FLOOD: usize = 20_000;
    let redis = Redis::start();
    let (one, other) = (Instance::on(&redis), Instance::on(&redis));
    let mut member = one.member("quiet");
    let carried = || (redis.info("stats", "total_net_input_bytes"), redis.info("stats", "total_net_output_bytes"));
    let message = "x".repeat(1000);
    let flood = |room: &str| {
        let before = carried();
        for number in 0..FLOOD {
            other.publish(&format!("{room} {}", number % 50), &message);
            until("it leaves", || other.broker.bus_stats().unwrap().waiting < 1 << 20);
        }
        other.publish("quiet", "over");
        assert_eq!(member.text(), "over");
        let after = carried();
        (after.0 - before.0, after.1 - before.1)
    };
    let mut flood = flood;
    let (came, went) = flood("elsewhere");
    assert!(came > 20_000_000, "{came}");
    // Answers to whoever publishes, and what these questions cost.
    assert!(went < came / 20, "{came} in, {went} out");
    assert_eq!(one.broker.bus_stats().unwrap().received, 1);
    // That it would show.
    let listeners: Vec<Client> = (0..50).map(|room| one.member(&format!("here {room}"))).collect();
    let (came, went) = flood("here");
    assert!(went > 20_000_000, "{came} in, {went} out");
    drop(listeners);
}

#[test]
fn a_channel_that_is_left_while_redis_is_away_is_not_listened_to_afterwards() {
    let mut redis = Redis::start();
    let one = Instance::on(&redis);
    let mut member = one.member("left");
    let _other = one.member("kept");
    member.send(b"-left");
    assert_eq!(member.text(), "ok");
    redis.kill();
    one.until_lost();
    // It has lingered.
    until("it is given up", || one.broker.bus_stats().unwrap().channels == 1);
    redis.run();
    one.until_ready();
    until("the bus follows", || redis.channels() == ["kept"]);
    assert_eq!(one.broker.bus_stats().unwrap().channels, 1);
}

#[test]
fn a_redis_cluster_carries_channels_by_slot_and_survives_the_loss_of_a_master() {
    let mut nodes = Redis::cluster();
    let addresses = nodes.iter().map(|node| ("127.0.0.1".to_owned(), node.port)).collect();
    let config = RedisConfig::new(RedisServers::Cluster(addresses));
    let (one, other) = (Instance::trying(config.clone()), Instance::trying(config));
    one.until_ready();
    other.until_ready();
    let rooms: Vec<String> = (0..100).map(|room| format!("room {room}")).collect();
    let mut members: Vec<Client> = rooms.iter().map(|room| other.member(room)).collect();
    rooms.iter().for_each(|room| assert_eq!(one.publish(room, "before"), 0));
    for member in &mut members {
        assert_eq!(member.text(), "before");
    }
    // All at once: each channel's keep their order, whatever master the others go to.
    for message in 0..200 {
        rooms.iter().for_each(|room| assert_eq!(one.publish(room, &message.to_string()), 0));
    }
    for member in &mut members {
        (0..200).for_each(|message| assert_eq!(member.text(), message.to_string()));
    }
    assert_eq!(other.gaps(), 0);
    assert_eq!(other.broker.bus_stats().unwrap().losses, 0);
    // A slot goes to another master. That is told, all rooms are listened to before it is ready, and nothing is missed without being counted.
    Redis::move_slot(&nodes, &format!("wsbroker:{}", rooms[0]));
    until("the move is a loss of the bus", || other.broker.bus_stats().unwrap().losses > 0);
    other.until_ready();
    assert!(
        other
            .events
            .lock()
            .iter()
            .any(|event| matches!(event, BusEvent::Lost { reason } if reason.contains("moved a channel")))
    );
    for (member, room) in members.iter_mut().zip(&rooms) {
        until("the room is heard", || {
            one.publish(room, "moved");
            member.arrives(Duration::from_secs(1))
        });
        one.publish(room, "end");
        // As often as it was published.
        assert!((0..).map(|_| member.text()).take_while(|text| text != "end").all(|text| text == "moved"));
    }
    let master = nodes.iter().position(|node| node.answers(&["ROLE"]).contains("master")).unwrap();
    nodes[master].kill();
    one.until_lost();
    other.until_lost();
    one.until_ready();
    other.until_ready();
    // At most once: while slots move a publish may still meet the wrong master, and is counted as refused. It heals by itself.
    for (member, room) in members.iter_mut().zip(&rooms) {
        until("the room is reached again", || {
            one.publish(room, "after");
            member.arrives(Duration::from_secs(1))
        });
        assert_eq!(member.text(), "after");
    }
}

#[test]
fn sentinels_lead_to_the_new_master_after_a_failover() {
    let mut master = Redis::start();
    let replica = Redis::with(&["--replicaof", "127.0.0.1", &master.port.to_string()]);
    until("the replica is in step", || replica.answers(&["INFO", "replication"]).contains("master_link_status:up"));
    let sentinel = master.sentinel("chat");
    let config = RedisConfig::new(RedisServers::Sentinel(vec![("127.0.0.1".into(), sentinel.port)], "chat".into()));
    let (one, other) = (Instance::trying(config.clone()), Instance::trying(config));
    one.until_ready();
    other.until_ready();
    let mut member = other.member("room");
    one.publish("room", "before");
    assert_eq!(member.text(), "before");
    until("the sentinel knows the replica", || {
        sentinel.answers(&["SENTINEL", "MASTER", "chat"]).contains("num-slaves\r\n$1\r\n1")
    });
    master.kill();
    one.until_lost();
    other.until_lost();
    one.until_ready();
    other.until_ready();
    one.publish("room", "after");
    assert_eq!(member.text(), "after");
}

#[test]
fn redis_is_reached_through_tls_and_an_unknown_certificate_is_refused() {
    let (redis, certificate) = Redis::with_tls(&["localhost", "127.0.0.1"]);
    let mut config = RedisConfig::from_url(&format!("rediss://127.0.0.1:{}", redis.tls_port())).unwrap();
    let stranger = Instance::trying(config.clone());
    until("it is refused", || matches!(stranger.events.lock()[..], [BusEvent::Lost { .. }]));
    config.tls = Some(RedisTls { ca: Some(certificate.into_bytes()), ..RedisTls::default() });
    let (one, other) = (Instance::trying(config.clone()), Instance::trying(config));
    one.until_ready();
    other.until_ready();
    let mut member = other.member("room");
    one.publish("room", "in secret");
    assert_eq!(member.text(), "in secret");
}

#[test]
fn where_redis_wants_a_certificate_ours_is_shown_and_where_any_will_do_its_name_does_not_matter() {
    let (redis, certificate, key) = Redis::with_tls_for(&["elsewhere.test"], "yes");
    let mut config = RedisConfig::from_url(&format!("rediss://127.0.0.1:{}", redis.tls_port())).unwrap();
    let told = |instance: &Instance| {
        let lost = |event: &BusEvent| matches!(event, BusEvent::Lost { .. });
        instance.events.lock().iter().any(lost)
    };
    config.tls = Some(RedisTls { accept_any: true, ..RedisTls::default() });
    let nobody = Instance::trying(config.clone());
    until("without one it is refused", || told(&nobody));
    let identity = Some((certificate.clone().into_bytes(), key.into_bytes()));
    let ca = Some(certificate.into_bytes());
    config.tls = Some(RedisTls { ca, identity: identity.clone(), ..RedisTls::default() });
    let strict = Instance::trying(config.clone());
    until("another name is refused", || told(&strict));
    config.tls = Some(RedisTls { identity, accept_any: true, ..RedisTls::default() });
    let (one, other) = (Instance::trying(config.clone()), Instance::trying(config));
    one.until_ready();
    other.until_ready();
    let mut member = other.member("room");
    one.publish("room", "in secret");
    assert_eq!(member.text(), "in secret");
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

/// Redis cuts off who reads too slowly; here it does so at once.
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
