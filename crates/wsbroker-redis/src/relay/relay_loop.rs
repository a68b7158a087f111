//! The relay's thread: it keeps the two connections independently of each other, notices when one
//! is gone or hangs, and opens it again.

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
    RelayEvent, RelayPart, RelayShared, RelayState,
    discovery::{ConnectError, OpenConnection, RelayServers},
    relay_queue::{PublishError, QueuedMessage},
};
use crate::server::{
    backoff::Backoff,
    dial::ServerConnection,
    printable::clean,
    reasons::Reasons,
    role::{self, RoleQuery},
    sentinels::{self, ServerAddress},
};

/// The pause between pings, and how long nothing may move while one is unanswered. Together they
/// stay below the 5 s within which a Redis that hangs must be noticed.
const PING: (Duration, Duration) = (Duration::from_millis(1500), Duration::from_millis(2500));
/// Pipelines under way at once, and bytes of each: enough for a distant Redis.
const UNDER_WAY: usize = 4;
const PORTION: usize = 256 << 10;
/// The subscriptions.
const CHANNEL: &str = "ws:broadcast";
const PATTERNS: [&str; 3] = ["ws:room:*", "ws:client:*", "ws:user:*"];

pub(super) fn spawn(shared: Arc<RelayShared>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    // It is set once, here.
    let _ = shared.runtime.set(runtime.handle().clone());
    std::thread::Builder::new().name("wsbroker-relay".into()).spawn(move || {
        runtime.block_on(run(&shared));
        shared.lose(VecDeque::new());
        // Connections end with the runtime. Before that, messages may still arrive.
        drop(runtime);
        shared.state.send_if_modified(|state| {
            let failed = matches!(state, RelayState::Failed(_));
            if !failed {
                *state = RelayState::Ended;
            }
            !failed
        });
    })?;
    Ok(())
}

async fn run(shared: &Arc<RelayShared>) {
    let mut stop = shared.stop.subscribe();
    let first = async {
        tokio::try_join!(RelayConnection::open(shared, RelayPart::Publisher), async {
            match shared.listens {
                true => RelayConnection::open(shared, RelayPart::Listener).await.map(Some),
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
                shared.state.send_replace(RelayState::Failed(reason));
                return;
            }
        },
    };
    shared.queue.open();
    shared.sink.happened(RelayEvent::Connected);
    shared.state.send_replace(RelayState::Connected);
    let listening = async {
        if let Some(listener) = listener {
            keep(shared, RelayPart::Listener, listener).await;
        }
    };
    let flush = async {
        loop {
            shared.arrived.notified().await;
            shared.sink.flush();
        }
    };
    tokio::select! {
        _ = async { tokio::join!(keep(shared, RelayPart::Publisher, publisher), listening) } => {}
        () = flush => {}
        () = shared.servers.follow() => {}
    }
}

/// Why a connection has ended.
enum ConnectionEnd {
    Stopped,
    Lost(String),
}

/// Uses a connection and its successors, until the relay is stopped.
async fn keep(shared: &Arc<RelayShared>, part: RelayPart, first: RelayConnection) {
    let mut stop = shared.stop.subscribe();
    let mut backoff = Backoff::new();
    let mut connection = first;
    loop {
        let begun = std::time::Instant::now();
        let end = match part {
            RelayPart::Publisher => publish(shared, &connection).await,
            RelayPart::Listener => tokio::select! {
                biased;
                _ = stop.wait_for(Option::is_some) => ConnectionEnd::Stopped,
                reason = connection.ends(&shared.servers) => ConnectionEnd::Lost(reason),
            },
        };
        drop(connection);
        let ConnectionEnd::Lost(reason) = end else { return };
        backoff.lasted_since(begun);
        let mut reasons = Reasons::default();
        let reason = reasons.add(&reason).unwrap_or(reason);
        tracing::warn!(?part, reason, "the relay has lost a connection");
        shared.sink.happened(RelayEvent::Lost { part, reason });
        let again = async {
            loop {
                sleep(backoff.next()).await;
                match RelayConnection::open(shared, part).await {
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
        if part == RelayPart::Publisher {
            shared.queue.open();
        }
        shared.sink.happened(RelayEvent::Ready { part });
    }
}

/// Publishes from the queue, until the connection ends.
async fn publish(shared: &RelayShared, connection: &RelayConnection) -> ConnectionEnd {
    let mut stop = shared.stop.subscribe();
    let mut sent = VecDeque::new();
    let mut answers: FuturesOrdered<BoxFuture<'static, Result<Vec<Value>, RedisError>>> = FuturesOrdered::new();
    let mut ends = pin!(connection.ends(&shared.servers));
    let mut deadline = None;
    let end = loop {
        while answers.len() < UNDER_WAY {
            let messages = shared.queue.take(PORTION);
            if messages.is_empty() {
                break;
            }
            answers.push_back(send(connection.node.redis.clone(), &messages).boxed());
            sent.push_back(messages);
        }
        if deadline.is_some() && answers.is_empty() {
            break ConnectionEnd::Stopped;
        }
        tokio::select! {
            biased;
            () = until(deadline) => break ConnectionEnd::Stopped,
            Ok(at) = stop.wait_for(Option::is_some), if deadline.is_none() => deadline = *at,
            Some(outcome) = answers.next() => match outcome {
                Ok(values) => {
                    if let Some(messages) = sent.pop_front() {
                        shared.answered(messages, values);
                    }
                }
                Err(error) => break ConnectionEnd::Lost(error.to_string()),
            },
            reason = &mut ends => break ConnectionEnd::Lost(reason),
            () = shared.publish.notified() => {}
        }
    };
    shared.lose(sent);
    end
}

fn send(
    mut connection: MultiplexedConnection,
    messages: &[QueuedMessage],
) -> impl Future<Output = Result<Vec<Value>, RedisError>> + Send + use<> {
    let mut pipeline = Pipeline::with_capacity(messages.len());
    for message in messages {
        pipeline.cmd("PUBLISH").arg(&message.channel[..]).arg(&message.text[..]);
    }
    let count = messages.len();
    async move { connection.send_packed_commands(&pipeline, 0, count).await }
}

impl RelayShared {
    fn answered(&self, messages: Vec<QueuedMessage>, values: Vec<Value>) {
        self.queue.settled(&messages);
        let mut values = values.into_iter();
        for message in messages {
            match values.next() {
                Some(Value::ServerError(error)) => {
                    self.counts.failed.fetch_add(1, Ordering::Relaxed);
                    message.settle(Err(PublishError::Refused(clean(&RedisError::from(error).to_string()))));
                }
                Some(_) => {
                    self.counts.published.fetch_add(1, Ordering::Relaxed);
                    message.settle(Ok(()));
                }
                None => self.lost(message),
            }
        }
    }

    /// Everything that was sent without an answer, or still waits, is lost.
    fn lose(&self, sent: VecDeque<Vec<QueuedMessage>>) {
        let waiting = self.queue.lose();
        sent.into_iter().flatten().chain(waiting).for_each(|message| self.lost(message));
    }

    fn lost(&self, message: QueuedMessage) {
        self.counts.failed.fetch_add(1, Ordering::Relaxed);
        message.settle(Err(PublishError::Lost));
    }
}

/// A connection that is ready to publish, or has its subscriptions confirmed.
struct RelayConnection {
    node: ServerConnection,
    role_query: RoleQuery,
    /// The primary that the Sentinels have named.
    address: Option<ServerAddress>,
    disconnected: Arc<Notify>,
}

impl RelayConnection {
    async fn open(shared: &Arc<RelayShared>, part: RelayPart) -> Result<Self, ConnectError> {
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
        let OpenConnection { node, role_query, address } =
            shared.servers.connect(&(push as super::discovery::PushHandler)).await?;
        if part == RelayPart::Listener {
            node.liveness.within(PING.1, subscribe(&node.redis)).await??;
        }
        if shared.servers.is_unsure(role_query) && !shared.warned_role.swap(true, Ordering::Relaxed) {
            shared.sink.happened(RelayEvent::Warning { reason: role::UNKNOWN.into() });
        }
        Ok(Self { node, role_query, address, disconnected })
    }

    /// Resolves when the connection can no longer be used, with the reason.
    async fn ends(&self, servers: &RelayServers) -> String {
        tokio::select! {
            () = servers.sentinels().leaves(self.address.as_ref()) => sentinels::LEFT.into(),
            () = self.disconnected.notified() => "the connection was closed".into(),
            reason = self.falls_silent() => reason,
        }
    }

    /// Resolves when the server no longer answers, or is no longer a primary.
    async fn falls_silent(&self) -> String {
        loop {
            sleep(PING.0).await;
            let mut redis = self.node.redis.clone();
            match self.node.liveness.within(PING.1, role::ask(&mut redis, self.role_query)).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return error.to_string(),
                Err(silent) => return silent.to_string(),
            }
        }
    }
}

/// Makes all subscriptions at once.
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
