//! The end of a broker as its clients should see it: readiness goes first, then nothing is let in
//! any more, and then connections are closed one by one, evenly over a time, so that clients come
//! back elsewhere one by one as well. See `docs/design/drain.md`.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout_at},
};
use wsbroker_proto::{CloseCode, MessageKind};

use super::{
    BrokerState,
    drain_state::{DrainObserver, DrainProgress, DrainStage, DrainTimes},
    shutdown::emptied,
};
use crate::{
    cork::Cork,
    counters::Stats,
    shard::{Command, DrainOrder},
};

/// For the handlers of connections that had to be cut.
const FOR_HANDLERS: Duration = Duration::from_millis(500);
/// Reports while connections are closed: so many, but not more often, and not less.
const REPORTS: u32 = 20;
const REPORT_INTERVAL: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// How a broker is drained. Times count from the call.
#[derive(Clone, Debug)]
pub struct DrainConfig {
    /// How long connections are still let in, so that a load balancer can see that readiness has
    /// gone. Default 0.
    pub delay: Duration,
    /// Over how long connections are closed, behind `delay`. Default 10 s.
    pub over: Duration,
    /// How far a close may be from its place in an even row, as a fraction of the interval between
    /// two; 0 to 1. Default 0.1.
    pub jitter: f64,
    /// When the connections that are left are cut. Default 15 s.
    pub deadline: Duration,
    /// The close code. Default 1012.
    pub code: CloseCode,
    /// How long clients are asked to wait before they come back, in the reason of the close frame:
    /// `retry-after=` and whole seconds, rounded up; and in `Retry-After` for those that are
    /// refused from the end of `delay` on. Default 1 s.
    pub retry_after: Duration,
    /// What raw connections are sent before the first one is closed. Default `None`.
    pub notice: Option<(MessageKind, Bytes)>,
}

impl Default for DrainConfig {
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            over: Duration::from_secs(10),
            jitter: 0.1,
            deadline: Duration::from_secs(15),
            code: CloseCode::RESTART,
            retry_after: Duration::from_secs(1),
            notice: None,
        }
    }
}

impl DrainConfig {
    fn retry_after_seconds(&self) -> u64 {
        u64::try_from(self.retry_after.as_millis().div_ceil(1000)).unwrap_or(u64::MAX)
    }
}

/// Begins a drain, or makes the one under way shorter.
pub(super) fn ask(
    broker: &Arc<BrokerState>,
    runtime: &tokio::runtime::Handle,
    config: DrainConfig,
    observer: Arc<dyn DrainObserver>,
) {
    let times = DrainTimes::new(Instant::now(), config.delay, config.over, config.deadline);
    let mut stage = broker.drain.stage.lock();
    match &mut *stage {
        DrainStage::NotAsked => {
            let sender = watch::Sender::new(times);
            let receiver = sender.subscribe();
            *stage = DrainStage::UnderWay { times: sender, observers: vec![observer], start: None, terminated: 0 };
            // Before anybody is refused.
            broker.drain.set_retry_after(config.retry_after_seconds());
            drop(stage);
            broker.front.open_no_more();
            runtime.spawn(run(Arc::clone(broker), receiver, config));
        }
        DrainStage::UnderWay { times: sender, observers, .. } => {
            observers.push(observer);
            sender.send_modify(|now| *now = now.earlier(times));
        }
        DrainStage::Over(report) => {
            let report = *report;
            drop(stage);
            observer.ended(report);
        }
    }
}

async fn run(broker: Arc<BrokerState>, mut times: watch::Receiver<DrainTimes>, config: DrainConfig) {
    reach(&mut times, |times| times.closing).await;
    broker.front.drain();
    broker.drain.begin(&Stats::of(&broker));
    if let Some((kind, payload)) = &config.notice {
        let mut cork = Cork::new(Arc::clone(&broker));
        let staged = cork.stage_slice(*kind, payload);
        cork.send_to_all(staged, &[]);
    }
    let seconds = config.retry_after_seconds();
    let order = |end: Instant| {
        Arc::new(DrainOrder {
            code: config.code,
            reason: format!("retry-after={seconds}").into(),
            end: end.into_std(),
            jitter: config.jitter,
        })
    };
    let begun = order(times.borrow_and_update().end);
    broker.push_all(|| Command::Drain(Arc::clone(&begun)));
    let is_empty = tokio::select! {
        biased;
        () = emptied(&broker) => true,
        () = lead(&broker, &mut times, &order) => false,
    };
    if !is_empty {
        broker.drain.add_terminated(broker.sockets.open());
        broker.front.end_tunnels();
        broker.push_all(|| Command::TerminateOf(None));
        let _ = timeout_at(Instant::now() + FOR_HANDLERS, emptied(&broker)).await;
    }
    broker.drain.end(&Stats::of(&broker));
}

/// Follows the times and reports, until the deadline.
async fn lead(
    broker: &BrokerState,
    times: &mut watch::Receiver<DrainTimes>,
    order: &impl Fn(Instant) -> Arc<DrainOrder>,
) {
    let mut asked = *times.borrow_and_update();
    let mut tunnels = true;
    let mut last = None;
    loop {
        report(broker, &mut last);
        let left = asked.end.saturating_duration_since(Instant::now());
        let next = Instant::now() + (left / REPORTS).clamp(REPORT_INTERVAL.0, REPORT_INTERVAL.1);
        tokio::select! {
            biased;
            () = sleep_until(asked.deadline) => return,
            Ok(()) = times.changed() => {
                let now = *times.borrow_and_update();
                if now.end != asked.end {
                    let sooner = order(now.end);
                    broker.push_all(|| Command::Drain(Arc::clone(&sooner)));
                }
                asked = now;
            }
            () = sleep_until(asked.end), if tunnels => {
                broker.front.end_tunnels();
                tunnels = false;
            }
            () = sleep_until(next) => {}
        }
    }
}

/// Tells how far it is, if that has changed.
fn report(broker: &BrokerState, last: &mut Option<DrainProgress>) {
    let (observers, start) = broker.drain.observers();
    let Some(start) = start else { return };
    let stats = Stats::of(broker);
    let report = start.since(&stats, 0);
    let progress = DrainProgress { open: stats.connections, closed: report.closed, cut: report.cut };
    if last.replace(progress) == Some(progress) {
        return;
    }
    for observer in observers {
        observer.progress(progress);
    }
}

/// Waits until one of the times, which may become earlier meanwhile.
async fn reach(times: &mut watch::Receiver<DrainTimes>, which: impl Fn(&DrainTimes) -> Instant) {
    loop {
        let at = which(&times.borrow_and_update());
        tokio::select! {
            biased;
            () = sleep_until(at) => return,
            Ok(()) = times.changed() => {}
        }
    }
}
