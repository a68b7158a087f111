//! What is counted: the causes that have a number each, what a shard counts, and the statistics
//! that the application gets.

mod http;
mod metrics;
mod stats;
mod tally;

pub use self::{
    http::{HttpFailureCause, HttpStats},
    metrics::{CloseCause, DropCause, RejectCause},
    stats::{CauseCounts, ShardStats, Stats, Traffic, WorkerStats},
};
pub(crate) use self::{
    metrics::Metrics,
    tally::{Flow, ShardCounters, Tally, payload_of},
};
