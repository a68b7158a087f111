//! What is known of a broker's drain: whether it was asked for, when what happens, who is told, and
//! what has been counted since connections began to be closed.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{sync::watch, time::Instant};

use crate::counters::{CloseCause, Stats};

/// What a drain did, from the end of its delay on.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct DrainReport {
    /// Connections that ended in time, by our close or by themselves.
    pub closed: usize,
    /// Connections that had to be cut.
    pub cut: usize,
}

/// How far a drain is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct DrainProgress {
    /// Connections that are still open.
    pub open: usize,
    /// Connections that have ended since the delay.
    pub closed: usize,
    /// Connections that had to be cut.
    pub cut: usize,
}

/// Who is told how a drain gets on. Called on a thread of the broker, which must not wait.
pub trait DrainObserver: Send + Sync {
    /// When connections begin to be closed, while they are, at most 20 times a second, and when
    /// all is over.
    fn progress(&self, progress: DrainProgress);
    /// Once, at the end. Not if the broker is dropped before that.
    fn ended(&self, report: DrainReport);
}

/// The drain of a broker, if it was asked for one.
#[derive(Debug, Default)]
pub(crate) struct DrainState {
    pub(super) stage: Mutex<DrainStage>,
    /// Whole seconds that who is refused is asked to wait, 0 before a drain.
    retry_after: AtomicU64,
}

#[derive(Default)]
pub(super) enum DrainStage {
    #[default]
    NotAsked,
    UnderWay {
        times: watch::Sender<DrainTimes>,
        observers: Vec<Arc<dyn DrainObserver>>,
        start: Option<DrainCounts>,
        /// Connections that were open when all were cut.
        terminated: usize,
    },
    Over(DrainReport),
}

impl fmt::Debug for DrainStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAsked => "NotAsked",
            Self::UnderWay { .. } => "UnderWay",
            Self::Over(_) => "Over",
        })
    }
}

/// When something happens. A second call makes each earlier, never later.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct DrainTimes {
    pub(super) closing: Instant,
    pub(super) end: Instant,
    pub(super) deadline: Instant,
}

impl DrainTimes {
    pub(super) fn new(now: Instant, delay: Duration, over: Duration, deadline: Duration) -> Self {
        let closing = now + delay.min(deadline);
        Self { closing, end: closing + over, deadline: now + deadline }
    }

    pub(super) fn earlier(self, other: Self) -> Self {
        Self {
            closing: self.closing.min(other.closing),
            end: self.end.min(other.end),
            deadline: self.deadline.min(other.deadline),
        }
    }
}

/// Totals at the moment when connections begin to be closed.
#[derive(Clone, Copy, Debug)]
pub(super) struct DrainCounts {
    closed: u64,
    unanswered: u64,
}

impl DrainCounts {
    fn of(stats: &Stats) -> Self {
        Self { closed: stats.closed, unanswered: stats.closes.of(CloseCause::CloseTimeout) }
    }

    /// What has happened since. `terminated`: those that were open at the deadline.
    pub(super) fn since(self, stats: &Stats, terminated: usize) -> DrainReport {
        let now = Self::of(stats);
        let ended = now.closed.saturating_sub(self.closed) as usize;
        // Cut as well, by the clock of their own closing.
        let unanswered = now.unanswered.saturating_sub(self.unanswered) as usize;
        let cut = (terminated + unanswered).min(ended);
        DrainReport { closed: ended - cut, cut }
    }
}

impl DrainState {
    pub(super) fn set_retry_after(&self, seconds: u64) {
        self.retry_after.store(seconds, Ordering::Relaxed);
    }

    /// How many whole seconds who is refused is asked to wait; `None` before a drain.
    pub(super) fn retry_after(&self) -> Option<u64> {
        Some(self.retry_after.load(Ordering::Relaxed)).filter(|_| self.is_asked())
    }

    pub(crate) fn is_asked(&self) -> bool {
        !matches!(*self.stage.lock(), DrainStage::NotAsked)
    }

    /// Ends the drain, if there is one, and tells everybody. Once: later calls change nothing.
    pub(super) fn end(&self, stats: &Stats) {
        let mut stage = self.stage.lock();
        let DrainStage::UnderWay { observers, start, terminated, .. } = &mut *stage else { return };
        let report = start.map(|start| start.since(stats, *terminated)).unwrap_or_default();
        let observers = std::mem::take(observers);
        *stage = DrainStage::Over(report);
        drop(stage);
        let progress = DrainProgress { open: stats.connections, closed: report.closed, cut: report.cut };
        for observer in observers {
            observer.progress(progress);
            observer.ended(report);
        }
    }

    /// Connections begin to be closed, by a drain or by a shutdown.
    pub(super) fn begin(&self, stats: &Stats) {
        if let DrainStage::UnderWay { start, .. } = &mut *self.stage.lock() {
            start.get_or_insert_with(|| DrainCounts::of(stats));
        }
    }

    /// So many connections are open, and all are about to be cut.
    pub(super) fn add_terminated(&self, open: usize) {
        if let DrainStage::UnderWay { terminated, .. } = &mut *self.stage.lock() {
            *terminated += open;
        }
    }

    pub(super) fn observers(&self) -> (Vec<Arc<dyn DrainObserver>>, Option<DrainCounts>) {
        match &*self.stage.lock() {
            DrainStage::UnderWay { observers, start, .. } => (observers.clone(), *start),
            _ => (Vec::new(), None),
        }
    }
}
