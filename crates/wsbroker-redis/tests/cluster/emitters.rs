//! Emitters, and when what they publish is heard.

use std::{
    io::copy,
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use wsbroker_core::{BusState, MessageKind};
use wsbroker_redis::{ClusterConfig, EmitError, Emitter, RedisConfig};

use super::{
    Instance,
    common::{DEADLINE, until},
    redis_server::Redis,
};

fn emitter(redis: &Redis) -> Emitter {
    let config = ClusterConfig::new(RedisConfig::from_url(&redis.url()).unwrap());
    Emitter::new(config, Vec::new(), Arc::new(|_| {})).unwrap()
}

fn publish(emitter: &Emitter, text: &str, limit: Duration) -> Result<(), EmitError> {
    let runtime = emitter.runtime().unwrap();
    runtime.block_on(emitter.publish(b"room", MessageKind::Text, text.as_bytes(), limit))
}

/// A way to a Redis that can be shut: connections are refused then.
struct Gate {
    port: u16,
    open: Arc<AtomicBool>,
}

impl Gate {
    fn to(redis: &Redis) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let open = Arc::new(AtomicBool::new(true));
        let (own, redis) = (Arc::clone(&open), redis.port);
        // It ends with the process.
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let Ok(far) = TcpStream::connect(("127.0.0.1", redis)) else { continue };
                if own.load(Ordering::SeqCst) {
                    Self::pass(near.try_clone().unwrap(), far.try_clone().unwrap());
                    Self::pass(far, near);
                }
            }
        });
        Self { port, open }
    }

    fn pass(mut from: TcpStream, mut to: TcpStream) {
        std::thread::spawn(move || {
            let _ = copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Both);
        });
    }

    fn set(&self, open: bool) {
        self.open.store(open, Ordering::SeqCst);
    }
}

/// Redis takes it as soon as it is there; but the instances it is for are not back yet.
#[test]
fn what_an_emitter_has_saved_waits_until_instances_are_heard_again() {
    let mut redis = Redis::start();
    let gate = Gate::to(&redis);
    let one = Instance::trying(RedisConfig::from_url(&format!("redis://127.0.0.1:{}", gate.port)).unwrap());
    one.until_ready();
    let mut member = one.member("room");
    let emitter = emitter(&redis);
    publish(&emitter, "before", DEADLINE).unwrap();
    assert_eq!(member.text(), "before");
    gate.set(false);
    redis.kill();
    one.until_lost();
    until("the emitter has lost it, too", || emitter.stats().state == BusState::Lost);
    let saving = emitter.clone();
    let saved = std::thread::spawn(move || publish(&saving, "saved", DEADLINE));
    redis.run();
    until("the emitter is back", || emitter.stats().state == BusState::Ready);
    gate.set(true);
    assert_eq!(member.text(), "saved");
    saved.join().unwrap().unwrap();
    assert_eq!(one.gaps(), 0);
}

#[test]
fn instances_that_are_not_heard_in_time_are_a_reason_to_reject_and_what_was_rejected_is_missed() {
    let mut redis = Redis::start();
    let gate = Gate::to(&redis);
    let one = Instance::trying(RedisConfig::from_url(&format!("redis://127.0.0.1:{}", gate.port)).unwrap());
    one.until_ready();
    let mut member = one.member("room");
    let emitter = emitter(&redis);
    publish(&emitter, "before", DEADLINE).unwrap();
    assert_eq!(member.text(), "before");
    gate.set(false);
    redis.kill();
    until("the emitter has lost it", || emitter.stats().state == BusState::Lost);
    assert_eq!(publish(&emitter, "1", Duration::from_millis(10)), Err(EmitError::Lost));
    redis.run();
    until("the emitter is back", || emitter.stats().state == BusState::Ready);
    assert_eq!(publish(&emitter, "2", Duration::from_millis(10)), Err(EmitError::Lost), "nobody would hear it");
    gate.set(true);
    one.until_ready();
    publish(&emitter, "3", DEADLINE).unwrap();
    assert_eq!(member.text(), "3");
    assert_eq!(one.gaps(), 2);
    assert_eq!(emitter.stats().dropped, 2);
}
