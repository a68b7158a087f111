//! Lines that are slow, and a Redis that hangs behind one.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    time::{Duration, Instant},
};

use socket2::{Domain, Socket, Type};
use wsbroker_redis::{ClusterConfig, RedisConfig, RedisServers};

use super::{Instance, common::until, redis_server::Redis, relays};

/// Bytes a second, each way: less than a message of the tests has time for if nothing but answers
/// counted.
const RATE: usize = 300 << 10;
const STEP: Duration = Duration::from_millis(10);

/// A slow way to a Redis, on that port. It has hardly any room of its own, so that what is on its
/// way is known to its sender.
fn line(redis: &Redis) -> RedisConfig {
    let (near, port) = end();
    lay(near, redis.port);
    RedisConfig::from_url(&format!("redis://127.0.0.1:{port}")).unwrap()
}

/// The same, to a Cluster of one node.
fn line_to_cluster() -> (Redis, RedisConfig) {
    let (near, port) = end();
    let redis = Redis::cluster_behind(port);
    lay(near, redis.port);
    (redis, RedisConfig::new(RedisServers::Cluster(vec![("127.0.0.1".into(), port)])))
}

/// The near end of a line, and its port.
fn end() -> (TcpListener, u16) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(16 << 10).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(16).unwrap();
    let listener = TcpListener::from(socket);
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

fn lay(near: TcpListener, redis: u16) {
    // It ends with the process.
    std::thread::spawn(move || {
        for near in near.incoming().flatten() {
            let Ok(far) = TcpStream::connect(("127.0.0.1", redis)) else { continue };
            near.set_nodelay(true).unwrap();
            pass(near.try_clone().unwrap(), far.try_clone().unwrap());
            pass(far, near);
        }
    });
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    std::thread::spawn(move || {
        let mut some = vec![0; RATE / 100];
        while let Ok(count @ 1..) = from.read(&mut some)
            && to.write_all(&some[..count]).is_ok()
        {
            std::thread::sleep(STEP);
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}

#[test]
fn a_large_message_crosses_a_slow_line_and_costs_nobody_the_bus() {
    let redis = Redis::start();
    a_large_message_crosses(line(&redis));
}

#[test]
fn a_large_message_crosses_a_slow_line_to_a_cluster() {
    let (_redis, config) = line_to_cluster();
    a_large_message_crosses(config);
}

fn a_large_message_crosses(redis: RedisConfig) {
    let mut config = ClusterConfig::new(redis);
    config.redis.connect_timeout = Duration::from_secs(5);
    let (one, other) = (Instance::with(config.clone()), Instance::with(config));
    one.until_ready();
    other.until_ready();
    let mut member = other.member("room");
    let large = "x".repeat(5 * RATE);
    let begun = Instant::now();
    one.publish("room", &large);
    until("it has arrived", || member.arrives(Duration::from_secs(1)));
    assert_eq!(member.text(), large);
    assert!(begun.elapsed() > Duration::from_secs(5), "the line is slow: {:?}", begun.elapsed());
    one.publish("room", "small");
    assert_eq!(member.text(), "small");
    for instance in [&one, &other] {
        let stats = instance.broker.bus_stats().unwrap();
        assert_eq!((stats.losses, stats.missed, stats.dropped), (0, 0, 0), "{:?}", instance.events.lock());
    }
}

#[test]
fn a_large_envelope_crosses_a_slow_line_between_relays() {
    let redis = Redis::start();
    let mut config = line(&redis);
    config.connect_timeout = Duration::from_secs(5);
    let (one, other) = (relays::Instance::at(config.clone(), "one"), relays::Instance::at(config, "other"));
    let large = format!("\"{}\"", "x".repeat(5 * RATE));
    one.say("room", &large).unwrap();
    assert!(other.frames(1)[0].len() > large.len());
    for instance in [&one, &other] {
        assert_eq!(*instance.heard.events.lock(), [wsbroker_redis::RelayEvent::Connected]);
    }
}

#[test]
fn a_redis_that_hangs_is_noticed_behind_a_slow_line_too() {
    let redis = Redis::start();
    a_hang_is_noticed(&redis, line(&redis));
}

#[test]
fn a_cluster_that_hangs_is_noticed_behind_a_slow_line_too() {
    let (redis, config) = line_to_cluster();
    a_hang_is_noticed(&redis, config);
}

fn a_hang_is_noticed(redis: &Redis, config: RedisConfig) {
    let one = Instance::with(ClusterConfig::new(config));
    one.until_ready();
    redis.signal("-STOP");
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(1) {
        one.publish("room", &"x".repeat(1000));
        std::thread::sleep(STEP);
    }
    one.until_lost();
    let noticed = begun.elapsed();
    redis.signal("-CONT");
    assert!(noticed < Duration::from_secs(5), "{noticed:?}");
    one.until_ready();
}
