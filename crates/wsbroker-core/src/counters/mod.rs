//! What is counted: the causes that have a number each, what a shard counts, and the statistics
//! that the application gets.

mod histogram;
mod metrics;
mod stats;
mod tally;

pub(crate) use self::{
    histogram::HistogramPart,
    metrics::{HttpCounters, Metrics},
    tally::{Flow, ShardCounters, Tally, payload_of},
};
pub use self::{
    histogram::HistogramStats,
    metrics::{CloseCause, DropCause, HandlerKind, HttpFailureCause, RejectCause},
    stats::{CauseCounts, Histograms, HttpStats, ShardStats, Stats, Traffic, WorkerStats},
};
