//! The bus's thread: it connects, listens and publishes, notices when Redis is gone or hangs, and
//! connects again.

use std::{
    io,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use futures_util::{
    StreamExt, TryFutureExt,
    future::{BoxFuture, FutureExt},
    stream::FuturesUnordered,
};
use tokio::time::{MissedTickBehavior, interval, sleep, sleep_until, timeout};
use wsbroker_core::{Bus, BusEvent, BusState, WeakBroker};

use super::{
    RedisBus,
    bus_envelope::InstanceMessage,
    bus_receiver::{BusReceiver, LinkEnd},
    interest::Changes,
    link::{Link, LinkError, Listen, ScriptLink},
    peers,
    pipeline::AnsweredMessages,
    publish_queue::{ChannelKey, Refused},
};
use crate::server::{
    RedisConfig,
    backoff::Backoff,
    role::{self, RoleError},
    sentinels,
};

/// How often both connections get a ping, and how long the answer may take. Together they stay
/// below the 5 s within which a Redis that hangs must be noticed.
const PING: (Duration, Duration) = (Duration::from_millis(1500), Duration::from_millis(2500));
/// Channels of one SUBSCRIBE, and bytes of their names at most. Redis answers with each name, and
/// cuts off a listener whose answers grow too large.
const CHUNK: (usize, usize) = (512, 256 << 10);
/// A channel's numbers are forgotten after this long without a publish of ours, or after twice as
/// long without one of others.
const EXPIRY: Duration = Duration::from_secs(600);

/// How long a bus that stops may take to publish what waits.
const DRAIN: Duration = Duration::from_secs(1);

/// Messages that may or may not have reached other instances.
#[derive(Default)]
struct UncertainMessages {
    /// Redis has them, and has not answered.
    unanswered: u64,
    /// Redis has turned out to be a replica.
    is_replica: bool,
}

/// Why a session has ended.
enum SessionEnd {
    Stopped,
    Lost(String),
}

pub(super) fn spawn(bus: Arc<RedisBus>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    // It is set once, here.
    let _ = bus.runtime.set(runtime.handle().clone());
    std::thread::Builder::new().name("wsbroker-bus".into()).spawn(move || {
        *bus.cork.lock() = bus.broker.as_ref().and_then(WeakBroker::cork);
        runtime.block_on(run(&bus));
        // Connections end with the runtime. Before that, messages may still arrive.
        drop(runtime);
        drop(bus.cork.lock().take());
    })?;
    Ok(())
}

async fn run(bus: &Arc<RedisBus>) {
    let mut stop = bus.stop.subscribe();
    let mut backoff = Backoff::new();
    let mut flusher = std::pin::pin!(flush_received(bus));
    let mut sentinels = std::pin::pin!(follow(bus));
    let sessions = async {
        loop {
            let mut reloads = bus.reloads.subscribe();
            let redis = bus.redis.lock().clone();
            let link_end = Arc::<LinkEnd>::default();
            let receiver = Arc::new(BusReceiver { bus: Arc::clone(bus), link_end: Arc::clone(&link_end) });
            let reason = match while_disconnected(bus, Link::connect(&redis, receiver, bus.history.is_on())).await {
                Ok(link) => {
                    let begun = Instant::now();
                    let session = async {
                        tokio::select! {
                            biased;
                            end = session(bus, &link, &link_end) => end,
                            () = servers_change(bus, &redis) => SessionEnd::Lost("the settings name other servers now".into()),
                        }
                    };
                    match session.await {
                        SessionEnd::Stopped => return,
                        SessionEnd::Lost(reason) => {
                            backoff.lasted_since(begun);
                            reason
                        }
                    }
                }
                Err(error) => error.to_string(),
            };
            bus.lost(&reason);
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                // New settings are tried at once.
                _ = reloads.changed() => {}
                () = while_disconnected(bus, sleep(backoff.next())) => {}
            }
        }
    };
    tokio::select! {
        () = sessions => {}
        () = &mut flusher => {}
        () = &mut sentinels => {}
    }
}

/// Awaits `task` while there is no link, and meanwhile takes note of joins and leaves, which would
/// pile up otherwise.
async fn while_disconnected<T>(bus: &RedisBus, task: impl Future<Output = T>) -> T {
    let watch_interest = async {
        loop {
            let due = bus.interest.next_due();
            tokio::select! {
                () = bus.interest_changed.notified() => {}
                () = until(due) => {}
            }
            // The next link begins with everything that is left then.
            bus.changes();
        }
    };
    tokio::select! {
        biased;
        outcome = task => outcome,
        () = watch_interest => unreachable!(),
    }
}

/// Follows the Sentinels that the settings name.
async fn follow(bus: &RedisBus) {
    let mut reloads = bus.reloads.subscribe();
    loop {
        let redis = bus.redis.lock().clone();
        tokio::select! {
            () = bus.sentinels.follow(&redis) => {}
            // It cannot fail: the bus owns the sender.
            _ = reloads.changed() => {}
        }
    }
}

/// Resolves when the settings name other servers than these.
async fn servers_change(bus: &RedisBus, redis: &RedisConfig) {
    let mut reloads = bus.reloads.subscribe();
    while bus.redis.lock().servers == redis.servers {
        let _ = reloads.changed().await;
    }
}

/// Hands received messages to the shards. This future gets its turn when the connections have
/// nothing more to read.
async fn flush_received(bus: &RedisBus) {
    loop {
        bus.arrived.notified().await;
        if let Some(cork) = bus.cork.lock().as_mut() {
            cork.flush();
        }
    }
}

/// Resolves when the link can no longer be used, with the reason.
async fn link_ends(bus: &RedisBus, link: &Link, link_end: &LinkEnd) -> &'static str {
    tokio::select! {
        biased;
        reason = link_end.reason() => reason,
        () = bus.sentinels.leaves(link.address()) => sentinels::LEFT,
    }
}

/// Uses one link to its end.
async fn session(bus: &RedisBus, link: &Link, link_end: &LinkEnd) -> SessionEnd {
    let mut uncertain = UncertainMessages::default();
    let work = async {
        let begun = tokio::select! {
            biased;
            reason = link_ends(bus, link, link_end) => return SessionEnd::Lost(reason.into()),
            begun = begin(bus, link) => begun,
        };
        match begun {
            Ok(None) => serve(bus, link, link_end, &mut uncertain).await,
            Ok(Some(scripts)) => tokio::select! {
                biased;
                end = serve(bus, link, link_end, &mut uncertain) => end,
                error = bus.run_histories(&scripts) => SessionEnd::Lost(error.to_string()),
            },
            Err(error) => SessionEnd::Lost(error.to_string()),
        }
    };
    let end = match link.pipeline() {
        None => work.await,
        Some(pipeline) => {
            let answered = |answered: AnsweredMessages| {
                bus.refused(&answered.refused);
                // More may have gathered meanwhile.
                bus.send();
            };
            tokio::select! {
                biased;
                end = work => end,
                error = pipeline.run(answered) => SessionEnd::Lost(error.to_string()),
            }
        }
    };
    bus.pipeline.lock().take();
    // A thread that still holds it cannot publish on it from now on.
    let unanswered = uncertain.unanswered + link.pipeline().map_or(0, |pipeline| pipeline.end(uncertain.is_replica));
    if let SessionEnd::Lost(_) = end {
        // They may have arrived. The publisher must learn that they may not have.
        bus.unanswered.fetch_add(unanswered, Ordering::Relaxed);
    }
    end
}

async fn serve(bus: &RedisBus, link: &Link, link_end: &LinkEnd, uncertain: &mut UncertainMessages) -> SessionEnd {
    let mut stop = bus.stop.subscribe();
    let mut publishing: FuturesUnordered<BoxFuture<'_, Result<(u64, Refused), LinkError>>> = FuturesUnordered::new();
    // One change at a time keeps the changes of a channel in order. Subscriptions are counted in
    // the same place, since nothing may change them meanwhile.
    let mut changing: Option<BoxFuture<'_, Result<(), LinkError>>> = None;
    let mut pinging: Option<BoxFuture<'_, Result<(), LinkError>>> = None;
    // Messages answered since Redis was last known to be a primary, and how many of them there were
    // when it was last asked.
    let (mut unsure, mut asked) = (0, 0);
    let mut pinged = Instant::now();
    let mut ping = interval(PING.0);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut expired, mut greeted) = (Instant::now(), Instant::now());
    let mut count = false;
    loop {
        let due = bus.interest.next_due();
        let outcome = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => {
                let last = async {
                    bus.tell_instances(&bus.everybody(), InstanceMessage::Leave);
                    while publishing.next().await.is_some() {}
                    bus.history.drained().await;
                    match link.pipeline() {
                        Some(pipeline) => {
                            bus.send();
                            while bus.queue.bytes() > 0 {
                                pipeline.drained().await;
                                bus.send();
                            }
                            pipeline.drained().await;
                        }
                        None => drop(link.publish(&bus.prefix, bus.take_envelopes(), DRAIN).await),
                    }
                };
                let _ = timeout(DRAIN, last).await;
                return SessionEnd::Stopped;
            }
            reason = link_ends(bus, link, link_end) => return SessionEnd::Lost(reason.into()),
            Some(outcome) = publishing.next() => outcome.map(|(messages, refused)| {
                uncertain.unanswered -= messages;
                unsure += messages - refused.messages;
                refused
            }),
            () = bus.publish.notified(), if publishing.len() < link.under_way() => {
                if link.pipeline().is_some() {
                    bus.send();
                    continue;
                }
                let envelopes = bus.take_envelopes();
                if !envelopes.is_empty() {
                    let messages: u64 = envelopes.iter().map(|envelope| envelope.messages).sum();
                    uncertain.unanswered += messages;
                    publishing.push(link.publish(&bus.prefix, envelopes, PING.1).map_ok(move |refused| (messages, refused)).boxed());
                }
                Ok(Refused::default())
            }
            outcome = or_never(&mut changing) => {
                changing = None;
                // Interest may have changed meanwhile.
                bus.interest_changed.notify_one();
                outcome.map(|()| Refused::default())
            }
            () = std::future::ready(()), if count && changing.is_none() => {
                count = false;
                changing = Some(bus.count_subscriptions(link).boxed());
                Ok(Refused::default())
            }
            () = bus.interest_changed.notified(), if changing.is_none() => {
                changing = bus.change(link);
                Ok(Refused::default())
            }
            () = until(due), if changing.is_none() => {
                changing = bus.change(link);
                Ok(Refused::default())
            }
            outcome = or_never(&mut pinging) => {
                pinging = None;
                match &outcome {
                    Ok(()) => {
                        unsure -= asked;
                        bus.lag.store(pinged.elapsed().as_nanos() as u64, Ordering::Relaxed);
                    }
                    Err(LinkError::Role(RoleError::Replica)) => {
                        uncertain.is_replica = true;
                        uncertain.unanswered += unsure;
                    }
                    Err(_) => {}
                }
                outcome.map(|()| Refused::default())
            }
            _ = ping.tick() => {
                if pinging.is_none() {
                    asked = unsure;
                    pinged = Instant::now();
                    pinging = Some(link.ping(PING.1).boxed());
                }
                count = link.is_cluster();
                bus.probe(Instant::now());
                if greeted.elapsed() >= peers::HELLO {
                    greeted = Instant::now();
                    bus.greet(&bus.everybody());
                    if let Some(before) = greeted.checked_sub(peers::SILENCE) {
                        bus.peers.expire(before);
                    }
                }
                if expired.elapsed() > EXPIRY / 10 {
                    expired = Instant::now();
                    bus.expire(expired);
                }
                bus.report_dropped();
                Ok(Refused::default())
            }
        };
        match outcome {
            Ok(refused) => bus.refused(&refused),
            Err(error) => return SessionEnd::Lost(error.to_string()),
        }
    }
}

/// Subscribes to everything again, and opens the queue.
async fn begin(bus: &RedisBus, link: &Link) -> Result<Option<ScriptLink>, LinkError> {
    let scripts = link.scripts(PING.1).await?;
    // What is read when a channel is confirmed is read there.
    bus.history.connect(scripts.clone());
    link.listen(Listen::Begin, vec![bus.everybody(), bus.inbox(bus.instance)], PING.1).await?;
    // A channel given up while there was no link only has to be forgotten.
    bus.changes();
    let names = bus.interest.lost();
    bus.sequences.lock().keep(&names);
    bus.subscribe(link, names).await?;
    // Channels were joined or left meanwhile.
    if let Some(change) = bus.change(link) {
        change.await?;
    }
    // The publishing connection is unproven so far. On a Cluster it may still use the slots of a
    // primary that is gone.
    link.ping(PING.1).await?;
    bus.count_subscriptions(link).await?;
    bus.queue.open();
    bus.history.open();
    *bus.pipeline.lock() = link.pipeline().map(Arc::clone);
    *bus.ready_since.lock() = Some(Instant::now());
    bus.refusals.lock().clear();
    bus.state.send_replace(BusState::Ready);
    bus.tell(BusEvent::Ready);
    if !link.knows_role() && !bus.warned_role.swap(true, Ordering::Relaxed) {
        bus.warn(role::UNKNOWN.into());
    }
    bus.report_dropped();
    bus.greet(&bus.everybody());
    if bus.broker.is_none() {
        // An emitter waits to hear the instances it knew before. They do not greet it again, but
        // they answer.
        bus.tell_instances(&bus.everybody(), InstanceMessage::Question(0, b""));
    }
    bus.interest_changed.notify_one();
    Ok(scripts)
}

impl RedisBus {
    async fn subscribe(&self, link: &Link, names: Vec<ChannelKey>) -> Result<(), LinkError> {
        for chunk in chunks(&names) {
            link.listen(Listen::Begin, chunk.iter().map(|name| self.on_bus(name)).collect(), PING.1).await?;
            if !self.interest.confirmed(chunk.iter().map(|name| &**name), link.is_cluster()) {
                return Err(LinkError::Unconfirmed);
            }
            for name in chunk.iter().filter(|name| self.has_history(name)) {
                self.follow_up(name);
            }
        }
        Ok(())
    }

    async fn unsubscribe(&self, link: &Link, names: Vec<ChannelKey>) -> Result<(), LinkError> {
        for chunk in chunks(&names) {
            for followed in chunk.iter().filter(|_| self.history.is_on()).filter_map(|name| self.followed(name)) {
                // First: who comes from now on must not take what is here for the newest.
                followed.unfollow();
            }
            link.listen(Listen::End, chunk.iter().map(|name| self.on_bus(name)).collect(), PING.1).await?;
            let mut sequences = self.sequences.lock();
            chunk.iter().for_each(|name| sequences.forget(name));
        }
        Ok(())
    }

    /// Fails when a Cluster does not have as many subscriptions of ours as it should. Nothing may
    /// be subscribed to meanwhile.
    async fn count_subscriptions(&self, link: &Link) -> Result<(), LinkError> {
        let Some(counted) = link.count(PING.1).await? else { return Ok(()) };
        // A proxy in front of a Cluster may always say 0.
        if counted == 0 && !self.cluster_counts.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.cluster_counts.store(true, Ordering::Relaxed);
        // Instance messages arrive on two more.
        let ours = self.interest.len() + 2;
        if counted == ours { Ok(()) } else { Err(LinkError::Miscounted { counted, ours }) }
    }

    fn changes(&self) -> Changes {
        let Some(broker) = &self.broker else { return Changes::default() };
        self.interest.changes(Instant::now(), |name| broker.has_subscribers(name) || self.history.holds(name))
    }

    /// Subscribes and unsubscribes as the interest has changed, if it has.
    fn change<'a>(&'a self, link: &'a Link) -> Option<BoxFuture<'a, Result<(), LinkError>>> {
        let Changes { subscribe, unsubscribe } = self.changes();
        if subscribe.is_empty() && unsubscribe.is_empty() {
            return None;
        }
        let change = async move {
            self.subscribe(link, subscribe).await?;
            self.unsubscribe(link, unsubscribe).await
        };
        Some(change.boxed())
    }

    /// Asks one of the other instances whether it hears this one.
    fn probe(&self, now: Instant) {
        let (asked, deaf) = self.peers.probe(now);
        for name in deaf {
            self.warn(format!("the instance {name} is heard, but does not hear this one: they are on different servers, which do not pass messages to each other"));
        }
        if let Some((instance, number)) = asked
            && !self.tell_instances(&self.inbox(instance), InstanceMessage::Question(number, b""))
        {
            self.peers.end_probes();
        }
    }

    /// Says hello to one instance, or to all.
    pub(super) fn greet(&self, on_bus: &[u8]) {
        self.tell_instances(on_bus, InstanceMessage::Hello(&self.name()));
        if let Some(digest) = self.history.digest() {
            self.tell_instances(on_bus, InstanceMessage::Settings(digest));
        }
    }

    pub(super) fn warn(&self, reason: String) {
        tracing::warn!(reason, "the bus");
        self.tell(BusEvent::Warning { reason });
    }

    /// Counts messages that Redis has refused, and warns of each new reason.
    pub(super) fn refused(&self, refused: &Refused) {
        if refused.messages == 0 {
            return;
        }
        self.refused.fetch_add(refused.messages, Ordering::Relaxed);
        let new_reason = refused.reason.as_ref().and_then(|reason| self.refusals.lock().add(reason));
        if let Some(reason) = new_reason {
            self.warn(format!("Redis refuses what is published: {reason}"));
        }
    }

    fn lost(&self, reason: &str) {
        self.queue.close_down();
        self.history.close_down();
        if let Some(broker) = &self.broker {
            broker.bus_is_lost();
        }
        self.peers.end_probes();
        self.interest.lost();
        if self.state.send_replace(BusState::Lost) == BusState::Ready || self.losses.load(Ordering::Relaxed) == 0 {
            self.losses.fetch_add(1, Ordering::Relaxed);
            self.outage.lock().clear();
        }
        let new_reason = self.outage.lock().add(reason);
        if let Some(reason) = new_reason {
            tracing::warn!(reason, "the bus is lost");
            self.tell(BusEvent::Lost { reason });
        }
    }

    /// Reports messages that were dropped since the last report.
    fn report_dropped(&self) {
        let now = self.undelivered();
        let before = self.reported_dropped.swap(now, Ordering::Relaxed);
        if now > before {
            self.tell(BusEvent::Dropped { messages: now - before });
        }
    }

    fn expire(&self, now: Instant) {
        if let (Some(ours), Some(theirs)) = (now.checked_sub(EXPIRY), now.checked_sub(2 * EXPIRY)) {
            self.queue.expire(ours);
            self.sequences.lock().expire(theirs);
        }
    }
}

/// The channels in the portions that one command may have.
fn chunks(mut names: &[ChannelKey]) -> impl Iterator<Item = &[ChannelKey]> {
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |name: &&ChannelKey| {
            let first = bytes == 0;
            bytes += name.len() + 1;
            first || bytes <= CHUNK.1
        };
        let count = names.iter().take(CHUNK.0).take_while(fits).count();
        let (chunk, rest) = names.split_at(count);
        names = rest;
        (count > 0).then_some(chunk)
    })
}

async fn or_never<T>(future: &mut Option<BoxFuture<'_, T>>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
