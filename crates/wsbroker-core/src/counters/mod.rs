//! What is counted: the causes that have a number each, what a shard counts, and the statistics
//! that the application gets.

mod metrics;
mod stats;
mod tally;

pub(crate) use self::{
    metrics::Metrics,
    tally::{Flow, ShardCounters, Tally, payload_of},
};
pub use self::{
    metrics::{CloseCause, DropCause, RejectCause},
    stats::{CauseCounts, ShardStats, Stats, Traffic, WorkerStats},
};
