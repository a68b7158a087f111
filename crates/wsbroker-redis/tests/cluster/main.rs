//! Several brokers on one Redis, which is killed, stalled and flooded.

#![allow(clippy::unwrap_used)]

#[path = "../../../wsbroker-core/tests/common/mod.rs"]
mod common;
mod emitters;
mod outages;
mod publishing;
mod reasons;
mod redis_server;
mod relays;
mod roles;
mod servers;
mod slow_link;
mod subscriptions;

use std::sync::Arc;

use common::{Client, DEADLINE, Seen, TestWorker, listen, until};
use parking_lot::Mutex;
use redis_server::Redis;
use wsbroker_core::{Broker, BusEvent, BusState, Config, Handlers, Listener, MessageKind, SocketLimits};
use wsbroker_redis::{ClusterConfig, RedisBus, RedisConfig};

/// A broker on a bus, with a worker that subscribes clients as they ask: the text `+room` joins and
/// `-room` leaves, `+number rooms` and `-number rooms` do so with that many; each is answered by
/// `ok`.
struct Instance {
    broker: Broker,
    bus: Arc<RedisBus>,
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
        let bus = RedisBus::join(&broker, config, Arc::new(move |event| own.lock().push(event))).unwrap();
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
        Self { broker, bus, port, events, _worker: worker, _listener: listener }
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
