//! What is counted: the causes that have a number each, what a shard counts, and the statistics
//! that the application gets.

mod histogram;
mod metrics;
mod scrape;
mod stats;
mod tally;

pub use self::{
    histogram::HistogramStats,
    metrics::{CloseCause, DropCause, HandlerKind, HttpFailureCause, RejectCause},
    scrape::{Scrape, SlowSocket, SlowSummary},
    stats::{CauseCounts, Histograms, HistoryStats, HttpStats, ShardStats, Stats, Traffic, WorkerStats},
};
pub(crate) use self::{
    histogram::{DurationsPart, FanoutPart},
    metrics::{HttpCounters, Metrics},
    tally::{Flow, ShardCounters, Tally, payload_of},
};
