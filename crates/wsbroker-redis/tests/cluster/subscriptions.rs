//! Which channels an instance listens to.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{
    Instance,
    common::{Client, until},
    full_or,
    redis_server::Redis,
    wait,
};

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

/// Channels come and go all the time, others are joined again just when they are let go: whoever
/// waited for `listening` hears what is published then.
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
