//! The ways to a Redis: passwords, Clusters, Sentinels, TLS.

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::Arc,
    thread,
    time::Duration,
};

use parking_lot::Mutex;
use wsbroker_core::BusEvent;
use wsbroker_redis::{RedisConfig, RedisServers, RedisTls};

use super::{
    Instance,
    common::{Client, until},
    redis_server::Redis,
};

#[test]
fn a_wrong_password_is_told_and_a_right_one_works() {
    let redis = Redis::with(&["--requirepass", "secret"]);
    let wrong = format!("redis://:wrong@127.0.0.1:{}", redis.port);
    let refused = Instance::trying(RedisConfig::from_url(&wrong).unwrap());
    until("it is reported", || !refused.events.lock().is_empty());
    let told = format!("{:?}", refused.events.lock());
    assert!(told.contains("WRONGPASS") || told.contains("uthentication"), "{told}");
    assert!(!told.contains("wrong@"), "no password is shown: {told}");
    let right = format!("redis://:secret@127.0.0.1:{}", redis.port);
    Instance::trying(RedisConfig::from_url(&right).unwrap()).until_ready();
}

#[test]
fn a_redis_cluster_carries_channels_by_slot_and_survives_the_loss_of_a_primary() {
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
    // All at once: each channel's keep their order, whatever primary the others go to.
    for message in 0..200 {
        rooms.iter().for_each(|room| assert_eq!(one.publish(room, &message.to_string()), 0));
    }
    for member in &mut members {
        (0..200).for_each(|message| assert_eq!(member.text(), message.to_string()));
    }
    assert_eq!(other.gaps(), 0);
    assert_eq!(other.broker.bus_stats().unwrap().losses, 0);
    // A slot goes to another primary. That is told, all rooms are listened to before it is ready,
    // and nothing is missed without being counted.
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
    let primary = nodes.iter().position(|node| node.answers(&["ROLE"]).contains("master")).unwrap();
    nodes[primary].kill();
    one.until_lost();
    other.until_lost();
    one.until_ready();
    other.until_ready();
    // At most once: while slots move a publish may still meet the wrong primary, and is counted as
    // refused. It heals by itself.
    for (member, room) in members.iter_mut().zip(&rooms) {
        until("the room is reached again", || {
            one.publish(room, "after");
            member.arrives(Duration::from_secs(1))
        });
        assert_eq!(member.text(), "after");
    }
}

/// It must not decide how much memory we use.
#[test]
fn a_node_of_a_cluster_that_says_too_much_is_cut_off() {
    const SAID: usize = 256 << 20;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let taken = Arc::new(Mutex::new(Vec::new()));
    let all_taken = Arc::clone(&taken);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, all_taken) = (stream.unwrap(), Arc::clone(&all_taken));
            thread::spawn(move || {
                let _ = stream.read(&mut [0; 1024]);
                let _ = stream.write_all(format!("${SAID}\r\n").as_bytes());
                let block = vec![0; 1 << 20];
                let mut taken = 0;
                while taken < SAID && stream.write_all(&block).is_ok() {
                    taken += block.len();
                }
                all_taken.lock().push(taken);
            });
        }
    });
    let mut config = RedisConfig::new(RedisServers::Cluster(vec![("127.0.0.1".into(), port)]));
    config.connect_timeout = Duration::from_secs(30);
    let instance = Instance::trying(config);
    until("it is reported", || !instance.events.lock().is_empty());
    until("it is cut off", || !taken.lock().is_empty());
    assert!(taken.lock().iter().all(|taken| *taken < 32 << 20), "the kernels' room at most: {:?}", taken.lock());
}

#[test]
fn sentinels_lead_to_the_new_primary_after_a_failover() {
    let mut primary = Redis::start();
    let replica = Redis::with(&["--replicaof", "127.0.0.1", &primary.port.to_string()]);
    until("the replica is in step", || replica.answers(&["INFO", "replication"]).contains("master_link_status:up"));
    let sentinel = primary.sentinel("chat");
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
    primary.kill();
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
fn a_cluster_is_reached_through_tls_and_an_unknown_certificate_is_refused() {
    let (node, certificate) = Redis::cluster_with_tls(&["127.0.0.1"]);
    let mut config = RedisConfig::new(RedisServers::Cluster(vec![("127.0.0.1".into(), node.tls_port())]));
    config.tls = Some(RedisTls::default());
    let stranger = Instance::trying(config.clone());
    until("it is refused", || matches!(stranger.events.lock()[..], [BusEvent::Lost { .. }]));
    for tls in [
        RedisTls { ca: Some(certificate.into_bytes()), ..RedisTls::default() },
        RedisTls { accept_any: true, ..RedisTls::default() },
    ] {
        config.tls = Some(tls);
        let (one, other) = (Instance::trying(config.clone()), Instance::trying(config.clone()));
        one.until_ready();
        other.until_ready();
        let mut member = other.member("room");
        one.publish("room", "in secret");
        assert_eq!(member.text(), "in secret");
    }
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
