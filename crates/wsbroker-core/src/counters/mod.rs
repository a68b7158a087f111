//! What is counted: the causes that have a number each, what a shard counts, and the statistics
//! that the application gets.

mod metrics;
mod stats;
mod tally;

pub use self::{
    metrics::{CloseCause, DropCause, HttpFailureCause, RejectCause},
    stats::{CauseCounts, HistoryStats, HttpStats, ShardStats, Stats, Traffic, WorkerStats},
};
pub(crate) use self::{
    metrics::{HttpCounters, Metrics},
    tally::{Flow, ShardCounters, Tally, payload_of},
};
