//! The bus's thread: connects, listens, publishes, notices when Redis is gone or hangs, and begins again.

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
    Ear, Ending, RedisBus,
    bus_envelope::Note,
    interest::Changes,
    link::{Link, LinkError, Listen},
    peers,
    pipeline::Answered,
    publish_queue::{Name, Refused},
};
use crate::server::{
    RedisConfig,
    backoff::Backoff,
    role::{self, RoleError},
    sentinels,
};

/// How often both connections are asked whether they live, and how long they may take. Together less than 5 s, in which a Redis that hangs is noticed.
const PING: (Duration, Duration) = (Duration::from_millis(1500), Duration::from_millis(2500));
/// Channels of one SUBSCRIBE, and bytes of their names from which on it takes no more: Redis answers with each name, and cuts off a listener to whom it has to say too much at once.
const CHUNK: (usize, usize) = (512, 256 << 10);
/// After so long without a publish a channel's numbers are forgotten; what others said, after twice as long.
const EXPIRY: Duration = Duration::from_secs(600);

/// How long a broker that ends may take to publish what waits.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Messages that may or may not have got anywhere.
#[derive(Default)]
struct Doubt {
    /// Redis was given them, and has not answered.
    unanswered: u64,
    /// It has turned out to be a replica.
    is_replica: bool,
}

/// Why a session ended.
enum End {
    Stopped,
    Lost(String),
}

pub(super) fn spawn(bus: Arc<RedisBus>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    // There is none before.
    let _ = bus.runtime.set(runtime.handle().clone());
    std::thread::Builder::new().name("wsbroker-bus".into()).spawn(move || {
        *bus.cork.lock() = bus.broker.as_ref().and_then(WeakBroker::cork);
        runtime.block_on(run(&bus));
        // Its connections end with it, and only then nothing comes any more.
        drop(runtime);
        drop(bus.cork.lock().take());
    })?;
    Ok(())
}

async fn run(bus: &Arc<RedisBus>) {
    let mut stop = bus.stop.subscribe();
    let mut backoff = Backoff::new();
    let mut flusher = std::pin::pin!(flush(bus));
    let mut sentinels = std::pin::pin!(follow(bus));
    let sessions = async {
        loop {
            let mut reloads = bus.reloads.subscribe();
            let redis = bus.redis.lock().clone();
            let ending = Arc::<Ending>::default();
            let ear = Arc::new(Ear { bus: Arc::clone(bus), ending: Arc::clone(&ending) });
            let reason = match while_away(bus, Link::connect(&redis, ear)).await {
                Ok(link) => {
                    let begun = Instant::now();
                    let session = async {
                        tokio::select! {
                            biased;
                            end = session(bus, &link, &ending) => end,
                            () = moves(bus, &redis) => End::Lost("the settings name other servers now".into()),
                        }
                    };
                    match session.await {
                        End::Stopped => return,
                        End::Lost(reason) => {
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
                // With new settings at once.
                _ = reloads.changed() => {}
                () = while_away(bus, sleep(backoff.next())) => {}
            }
        }
    };
    tokio::select! {
        () = sessions => {}
        () = &mut flusher => {}
        () = &mut sentinels => {}
    }
}

/// Awaits something while there is no link, and meanwhile handles joins and leaves: nothing else does, and they would pile up.
async fn while_away<T>(bus: &RedisBus, task: impl Future<Output = T>) -> T {
    let look = async {
        loop {
            let due = bus.interest.next_due();
            tokio::select! {
                () = bus.look.notified() => {}
                () = until(due) => {}
            }
            // All that is left of it is asked for when there is a link.
            bus.changes();
        }
    };
    tokio::select! {
        biased;
        outcome = task => outcome,
        () = look => unreachable!(),
    }
}

/// Listens to the Sentinels that the settings name.
async fn follow(bus: &RedisBus) {
    let mut reloads = bus.reloads.subscribe();
    loop {
        let redis = bus.redis.lock().clone();
        tokio::select! {
            () = bus.masters.follow(&redis) => {}
            // The sender is the bus's.
            _ = reloads.changed() => {}
        }
    }
}

/// Resolves when the settings name other servers than these.
async fn moves(bus: &RedisBus, redis: &RedisConfig) {
    let mut reloads = bus.reloads.subscribe();
    while bus.redis.lock().servers == redis.servers {
        let _ = reloads.changed().await;
    }
}

/// Hands what has come to the shards: when the connection has nothing more to read, this gets its turn.
async fn flush(bus: &RedisBus) {
    loop {
        bus.arrived.notified().await;
        if let Some(cork) = bus.cork.lock().as_mut() {
            cork.flush();
        }
    }
}

/// Resolves when the link is of no use any more, with the reason.
async fn ends(bus: &RedisBus, link: &Link, ending: &Ending) -> &'static str {
    tokio::select! {
        biased;
        reason = ending.reason() => reason,
        () = bus.masters.leaves(link.address()) => sentinels::LEFT,
    }
}

/// From a connection to its end.
async fn session(bus: &RedisBus, link: &Link, ending: &Ending) -> End {
    let mut doubt = Doubt::default();
    let work = async {
        let begun = tokio::select! {
            biased;
            reason = ends(bus, link, ending) => return End::Lost(reason.into()),
            begun = begin(bus, link) => begun,
        };
        match begun {
            Ok(()) => serve(bus, link, ending, &mut doubt).await,
            Err(error) => End::Lost(error.to_string()),
        }
    };
    let end = match link.wire() {
        None => work.await,
        Some(wire) => {
            let answered = |answered: Answered| {
                bus.refused(&answered.refused);
                // What was gathered meanwhile.
                bus.send();
            };
            tokio::select! {
                biased;
                end = work => end,
                error = wire.run(answered) => End::Lost(error.to_string()),
            }
        }
    };
    bus.wire.lock().take();
    // Who has it still takes nothing any more.
    let unanswered = doubt.unanswered + link.wire().map_or(0, |wire| wire.end(doubt.is_replica));
    if let End::Lost(_) = end {
        // Perhaps they arrived. Whoever published them is to know that perhaps they did not.
        bus.unanswered.fetch_add(unanswered, Ordering::Relaxed);
    }
    end
}

async fn serve(bus: &RedisBus, link: &Link, ending: &Ending, doubt: &mut Doubt) -> End {
    let mut stop = bus.stop.subscribe();
    let mut publishing: FuturesUnordered<BoxFuture<'_, Result<(u64, Refused), LinkError>>> = FuturesUnordered::new();
    // One change at a time, so that a channel's come in order; or what is listened to is counted, which nothing may change meanwhile.
    let mut changing: Option<BoxFuture<'_, Result<(), LinkError>>> = None;
    let mut pinging: Option<BoxFuture<'_, Result<(), LinkError>>> = None;
    // Messages that were answered since it was last known to be a primary; and how many they were when it was asked.
    let (mut unsure, mut asked) = (0, 0);
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
                    bus.note(&bus.everybody(), Note::Farewell);
                    while publishing.next().await.is_some() {}
                    match link.wire() {
                        Some(wire) => {
                            bus.send();
                            while bus.outgoing.bytes() > 0 {
                                wire.drained().await;
                                bus.send();
                            }
                            wire.drained().await;
                        }
                        None => drop(link.publish(&bus.prefix, bus.take_parcels(), LAST_WORDS).await),
                    }
                };
                let _ = timeout(LAST_WORDS, last).await;
                return End::Stopped;
            }
            reason = ends(bus, link, ending) => return End::Lost(reason.into()),
            Some(outcome) = publishing.next() => outcome.map(|(messages, refused)| {
                doubt.unanswered -= messages;
                unsure += messages - refused.messages;
                refused
            }),
            () = bus.publish.notified(), if publishing.len() < link.under_way() => {
                if link.wire().is_some() {
                    bus.send();
                    continue;
                }
                let parcels = bus.take_parcels();
                if !parcels.is_empty() {
                    let messages: u64 = parcels.iter().map(|parcel| parcel.messages).sum();
                    doubt.unanswered += messages;
                    publishing.push(link.publish(&bus.prefix, parcels, PING.1).map_ok(move |refused| (messages, refused)).boxed());
                }
                Ok(Refused::default())
            }
            outcome = or_never(&mut changing) => {
                changing = None;
                // What was noted meanwhile.
                bus.look.notify_one();
                outcome.map(|()| Refused::default())
            }
            () = std::future::ready(()), if count && changing.is_none() => {
                count = false;
                changing = Some(bus.count_subscriptions(link).boxed());
                Ok(Refused::default())
            }
            () = bus.look.notified(), if changing.is_none() => {
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
                    Ok(()) => unsure -= asked,
                    Err(LinkError::Role(RoleError::Replica)) => {
                        doubt.is_replica = true;
                        doubt.unanswered += unsure;
                    }
                    Err(_) => {}
                }
                outcome.map(|()| Refused::default())
            }
            _ = ping.tick() => {
                if pinging.is_none() {
                    asked = unsure;
                    pinging = Some(link.ping(PING.1).boxed());
                }
                count = link.is_cluster();
                bus.probe(Instant::now());
                if greeted.elapsed() >= peers::HELLO {
                    greeted = Instant::now();
                    bus.note(&bus.everybody(), Note::Hello(&bus.name()));
                    if let Some(before) = greeted.checked_sub(peers::SILENCE) {
                        bus.members.expire(before);
                    }
                }
                if expired.elapsed() > EXPIRY / 10 {
                    expired = Instant::now();
                    bus.expire(expired);
                }
                bus.tell_dropped();
                Ok(Refused::default())
            }
        };
        match outcome {
            Ok(refused) => bus.refused(&refused),
            Err(error) => return End::Lost(error.to_string()),
        }
    }
}

/// Listens to everything again, and lets messages leave.
async fn begin(bus: &RedisBus, link: &Link) -> Result<(), LinkError> {
    link.listen(Listen::Begin, vec![bus.everybody(), bus.inbox(bus.instance)], PING.1).await?;
    // What was given up while there was no link needs no more than to be forgotten.
    bus.changes();
    let names = bus.interest.lost();
    bus.incoming.lock().keep(&names);
    bus.subscribe(link, names).await?;
    // Joined or left while that took its time.
    if let Some(change) = bus.change(link) {
        change.await?;
    }
    // The connection to publish has been asked nothing yet, and on a Cluster it may still go by the slots of a master that is gone.
    link.ping(PING.1).await?;
    bus.count_subscriptions(link).await?;
    bus.outgoing.open();
    *bus.wire.lock() = link.wire().map(Arc::clone);
    *bus.since.lock() = Some(Instant::now());
    bus.refusals.lock().clear();
    bus.state.send_replace(BusState::Ready);
    bus.tell(BusEvent::Ready);
    if !link.knows_role() && !bus.told_role.swap(true, Ordering::Relaxed) {
        bus.warn(role::UNKNOWN.into());
    }
    bus.tell_dropped();
    bus.note(&bus.everybody(), Note::Hello(&bus.name()));
    if bus.broker.is_none() {
        // An emitter waits for those that were there before; they do not greet one that they know.
        bus.note(&bus.everybody(), Note::Question(0, b""));
    }
    bus.look.notify_one();
    Ok(())
}

impl RedisBus {
    async fn subscribe(&self, link: &Link, names: Vec<Name>) -> Result<(), LinkError> {
        for chunk in chunks(&names) {
            link.listen(Listen::Begin, chunk.iter().map(|name| self.on_bus(name)).collect(), PING.1).await?;
            if !self.interest.confirmed(chunk.iter().map(|name| &**name), link.is_cluster()) {
                return Err(LinkError::Unconfirmed);
            }
        }
        Ok(())
    }

    async fn unsubscribe(&self, link: &Link, names: Vec<Name>) -> Result<(), LinkError> {
        for chunk in chunks(&names) {
            link.listen(Listen::End, chunk.iter().map(|name| self.on_bus(name)).collect(), PING.1).await?;
            let mut incoming = self.incoming.lock();
            chunk.iter().for_each(|name| incoming.forget(name));
        }
        Ok(())
    }

    /// Fails when a Cluster listens to other channels for us than was asked. Nothing is to be asked meanwhile.
    async fn count_subscriptions(&self, link: &Link) -> Result<(), LinkError> {
        let Some(counted) = link.count(PING.1).await? else { return Ok(()) };
        // What stands in for a Cluster may say 0 of everything.
        if counted == 0 && !self.counts.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.counts.store(true, Ordering::Relaxed);
        // And what the instances' notes come on.
        let ours = self.interest.len() + 2;
        if counted == ours { Ok(()) } else { Err(LinkError::Miscounted { counted, ours }) }
    }

    fn changes(&self) -> Changes {
        let Some(broker) = &self.broker else { return Changes::default() };
        self.interest.changes(Instant::now(), |name| broker.has_subscribers(name))
    }

    /// What has to be changed about the channels that are listened to, if anything.
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

    /// Asks one of the others whether it hears this one.
    fn probe(&self, now: Instant) {
        let (asked, deaf) = self.members.probe(now);
        for name in deaf {
            self.warn(format!("the instance {name} is heard, but does not hear this one: they are on different servers, which do not pass messages to each other"));
        }
        if let Some((instance, number)) = asked
            && !self.note(&self.inbox(instance), Note::Question(number, b""))
        {
            self.members.end_probes();
        }
    }

    fn warn(&self, reason: String) {
        tracing::warn!(reason, "the bus");
        self.tell(BusEvent::Warning { reason });
    }

    /// Redis has refused these.
    fn refused(&self, refused: &Refused) {
        if refused.messages == 0 {
            return;
        }
        self.refused.fetch_add(refused.messages, Ordering::Relaxed);
        let told = refused.reason.as_ref().and_then(|reason| self.refusals.lock().add(reason));
        if let Some(reason) = told {
            self.warn(format!("Redis refuses what is published: {reason}"));
        }
    }

    fn lost(&self, reason: &str) {
        self.outgoing.close_down();
        self.members.end_probes();
        self.interest.lost();
        if self.state.send_replace(BusState::Lost) == BusState::Ready || self.losses.load(Ordering::Relaxed) == 0 {
            self.losses.fetch_add(1, Ordering::Relaxed);
            self.outage.lock().clear();
        }
        let told = self.outage.lock().add(reason);
        if let Some(reason) = told {
            tracing::warn!(reason, "the bus is lost");
            self.tell(BusEvent::Lost { reason });
        }
    }

    /// Tells what has been dropped since it was last told.
    fn tell_dropped(&self) {
        let now = self.not_left();
        let before = self.told_dropped.swap(now, Ordering::Relaxed);
        if now > before {
            self.tell(BusEvent::Dropped { messages: now - before });
        }
    }

    fn expire(&self, now: Instant) {
        if let (Some(ours), Some(theirs)) = (now.checked_sub(EXPIRY), now.checked_sub(2 * EXPIRY)) {
            self.outgoing.expire(ours);
            self.incoming.lock().expire(theirs);
        }
    }
}

/// As many as one command asks for.
fn chunks(mut names: &[Name]) -> impl Iterator<Item = &[Name]> {
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |name: &&Name| {
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
