//! The relay's thread: keeps both connections, each by itself, notices when one is gone or hangs, and makes it again.

use std::{
    collections::VecDeque,
    io,
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::{
    StreamExt,
    future::{BoxFuture, FutureExt},
    stream::FuturesOrdered,
};
use redis::{Pipeline, PushInfo, PushKind, RedisError, Value, aio::MultiplexedConnection};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};

use super::{
    Part, RelayEvent, Shared, Stage,
    discovery::{ConnectError, Found, Servers},
    relay_queue::{Parcel, PublishError},
};
use crate::server::{
    backoff::Backoff,
    dial::Node,
    printable::clean,
    reasons::Reasons,
    role::{self, Asking},
    sentinels::{self, Address},
};

/// How long a connection is left alone before it is asked whether it lives, and how long nothing may move on it then. Together less than 5 s, in which a Redis that
/// hangs is noticed.
const PING: (Duration, Duration) = (Duration::from_millis(1500), Duration::from_millis(2500));
/// Pipelines under way at once, and bytes of each: enough for a Redis that is far away.
const UNDER_WAY: usize = 4;
const PORTION: usize = 256 << 10;
/// What is listened to.
const CHANNEL: &str = "ws:broadcast";
const PATTERNS: [&str; 3] = ["ws:room:*", "ws:client:*", "ws:user:*"];

pub(super) fn spawn(shared: Arc<Shared>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    // There is none before.
    let _ = shared.runtime.set(runtime.handle().clone());
    std::thread::Builder::new().name("wsbroker-relay".into()).spawn(move || {
        runtime.block_on(run(&shared));
        shared.lose(VecDeque::new());
        // Its connections end with it, and only then nothing comes any more.
        drop(runtime);
        shared.stage.send_if_modified(|stage| {
            let failed = matches!(stage, Stage::Failed(_));
            if !failed {
                *stage = Stage::Ended;
            }
            !failed
        });
    })?;
    Ok(())
}

async fn run(shared: &Arc<Shared>) {
    let mut stop = shared.stop.subscribe();
    let first = async {
        tokio::try_join!(Connection::open(shared, Part::Publisher), async {
            match shared.listens {
                true => Connection::open(shared, Part::Listener).await.map(Some),
                false => Ok(None),
            }
        })
    };
    let (publisher, listener) = tokio::select! {
        biased;
        _ = stop.wait_for(Option::is_some) => return,
        outcome = first => match outcome {
            Ok(connections) => connections,
            Err(error) => {
                let reason = clean(&error.to_string());
                shared.queue.stop();
                shared.sink.happened(RelayEvent::Failed { reason: reason.clone() });
                shared.stage.send_replace(Stage::Failed(reason));
                return;
            }
        },
    };
    shared.queue.open();
    shared.sink.happened(RelayEvent::Connected);
    shared.stage.send_replace(Stage::Connected);
    let listening = async {
        if let Some(listener) = listener {
            keep(shared, Part::Listener, listener).await;
        }
    };
    let flush = async {
        loop {
            shared.arrived.notified().await;
            shared.sink.flush();
        }
    };
    tokio::select! {
        _ = async { tokio::join!(keep(shared, Part::Publisher, publisher), listening) } => {}
        () = flush => {}
        () = shared.servers.follow() => {}
    }
}

/// Why a connection is no longer used.
enum End {
    Stopped,
    Lost(String),
}

/// Uses a connection, and those that follow it, until the relay is stopped.
async fn keep(shared: &Arc<Shared>, part: Part, first: Connection) {
    let mut stop = shared.stop.subscribe();
    let mut backoff = Backoff::new();
    let mut connection = first;
    loop {
        let begun = std::time::Instant::now();
        let end = match part {
            Part::Publisher => publish(shared, &connection).await,
            Part::Listener => tokio::select! {
                biased;
                _ = stop.wait_for(Option::is_some) => End::Stopped,
                reason = connection.ends(&shared.servers) => End::Lost(reason),
            },
        };
        drop(connection);
        let End::Lost(reason) = end else { return };
        backoff.lasted_since(begun);
        let mut reasons = Reasons::default();
        let reason = reasons.add(&reason).unwrap_or(reason);
        tracing::warn!(?part, reason, "the relay has lost a connection");
        shared.sink.happened(RelayEvent::Lost { part, reason });
        let again = async {
            loop {
                sleep(backoff.next()).await;
                match Connection::open(shared, part).await {
                    Ok(connection) => return connection,
                    Err(error) => {
                        if let Some(reason) = reasons.add(&error.to_string()) {
                            tracing::warn!(?part, reason, "the relay still has no connection");
                            shared.sink.happened(RelayEvent::Warning { reason: format!("still lost: {reason}") });
                        }
                    }
                }
            }
        };
        connection = tokio::select! {
            biased;
            _ = stop.wait_for(Option::is_some) => return,
            connection = again => connection,
        };
        if part == Part::Publisher {
            shared.queue.open();
        }
        shared.sink.happened(RelayEvent::Ready { part });
    }
}

/// Publishes what comes to wait.
async fn publish(shared: &Shared, connection: &Connection) -> End {
    let mut stop = shared.stop.subscribe();
    let mut sent = VecDeque::new();
    let mut answers: FuturesOrdered<BoxFuture<'static, Result<Vec<Value>, RedisError>>> = FuturesOrdered::new();
    let mut ends = pin!(connection.ends(&shared.servers));
    let mut deadline = None;
    let end = loop {
        while answers.len() < UNDER_WAY {
            let parcels = shared.queue.take(PORTION);
            if parcels.is_empty() {
                break;
            }
            answers.push_back(send(connection.node.redis.clone(), &parcels).boxed());
            sent.push_back(parcels);
        }
        if deadline.is_some() && answers.is_empty() {
            break End::Stopped;
        }
        tokio::select! {
            biased;
            () = until(deadline) => break End::Stopped,
            Ok(at) = stop.wait_for(Option::is_some), if deadline.is_none() => deadline = *at,
            Some(outcome) = answers.next() => match outcome {
                Ok(values) => {
                    if let Some(parcels) = sent.pop_front() {
                        shared.answered(parcels, values);
                    }
                }
                Err(error) => break End::Lost(error.to_string()),
            },
            reason = &mut ends => break End::Lost(reason),
            () = shared.publish.notified() => {}
        }
    };
    shared.lose(sent);
    end
}

fn send(
    mut connection: MultiplexedConnection,
    parcels: &[Parcel],
) -> impl Future<Output = Result<Vec<Value>, RedisError>> + Send + use<> {
    let mut pipeline = Pipeline::with_capacity(parcels.len());
    for parcel in parcels {
        pipeline.cmd("PUBLISH").arg(&parcel.channel[..]).arg(&parcel.text[..]);
    }
    let count = parcels.len();
    async move { connection.send_packed_commands(&pipeline, 0, count).await }
}

impl Shared {
    fn answered(&self, parcels: Vec<Parcel>, values: Vec<Value>) {
        self.queue.settled(&parcels);
        let mut values = values.into_iter();
        for parcel in parcels {
            match values.next() {
                Some(Value::ServerError(error)) => {
                    self.counts.failed.fetch_add(1, Ordering::Relaxed);
                    parcel.settle(Err(PublishError::Refused(clean(&RedisError::from(error).to_string()))));
                }
                Some(_) => {
                    self.counts.published.fetch_add(1, Ordering::Relaxed);
                    parcel.settle(Ok(()));
                }
                None => self.lost(parcel),
            }
        }
    }

    /// What was sent and not answered is lost, and what waits behind it.
    fn lose(&self, sent: VecDeque<Vec<Parcel>>) {
        let waiting = self.queue.lose();
        sent.into_iter().flatten().chain(waiting).for_each(|parcel| self.lost(parcel));
    }

    fn lost(&self, parcel: Parcel) {
        self.counts.failed.fetch_add(1, Ordering::Relaxed);
        parcel.settle(Err(PublishError::Lost));
    }
}

/// A connection that is ready: to publish, or with its subscriptions confirmed.
struct Connection {
    node: Node,
    asking: Asking,
    /// Where Sentinels have led.
    address: Option<Address>,
    disconnected: Arc<Notify>,
}

impl Connection {
    async fn open(shared: &Arc<Shared>, part: Part) -> Result<Self, ConnectError> {
        let disconnected = Arc::new(Notify::new());
        let push = {
            let (shared, disconnected) = (Arc::clone(shared), Arc::clone(&disconnected));
            Arc::new(move |info: PushInfo| match (info.kind, info.data.as_slice()) {
                (PushKind::Message, [_, payload]) | (PushKind::PMessage, [_, _, payload]) => match payload {
                    Value::BulkString(payload) => shared.received(payload),
                    Value::SimpleString(payload) => shared.received(payload.as_bytes()),
                    _ => {}
                },
                (PushKind::Disconnection, _) => disconnected.notify_one(),
                _ => {}
            })
        };
        let Found { node, asking, address } = shared.servers.connect(&(push as super::discovery::Push)).await?;
        if part == Part::Listener {
            node.pulse.within(PING.1, subscribe(&node.redis)).await??;
        }
        if shared.servers.is_unsure(asking) && !shared.told_role.swap(true, Ordering::Relaxed) {
            shared.sink.happened(RelayEvent::Warning { reason: role::UNKNOWN.into() });
        }
        Ok(Self { node, asking, address, disconnected })
    }

    /// Resolves when it is of no use any more, with the reason.
    async fn ends(&self, servers: &Servers) -> String {
        tokio::select! {
            () = servers.masters().leaves(self.address.as_ref()) => sentinels::LEFT.into(),
            () = self.disconnected.notified() => "the connection was closed".into(),
            reason = self.falls_silent() => reason,
        }
    }

    /// Asks now and then whether it lives and is a primary still.
    async fn falls_silent(&self) -> String {
        loop {
            sleep(PING.0).await;
            let mut redis = self.node.redis.clone();
            match self.node.pulse.within(PING.1, role::ask(&mut redis, self.asking)).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return error.to_string(),
                Err(silent) => return silent.to_string(),
            }
        }
    }
}

/// All of it, at once.
async fn subscribe(redis: &MultiplexedConnection) -> Result<(), RedisError> {
    let channel = async {
        let mut redis = redis.clone();
        redis.subscribe(CHANNEL).await
    };
    let patterns = PATTERNS.map(|pattern| async move {
        let mut redis = redis.clone();
        redis.psubscribe(pattern).await
    });
    tokio::try_join!(channel, futures_util::future::try_join_all(patterns)).map(|_| ())
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
