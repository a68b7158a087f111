//! What goes wrong with the connections of the bus.

use std::time::Duration;

use redis::RedisError;

use crate::server::{liveness::Unresponsive, role::RoleError};

/// Why a link could not be made, or ended.
#[derive(Debug, thiserror::Error)]
pub(in crate::bus) enum LinkError {
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error(transparent)]
    Silent(#[from] Unresponsive),
    #[error(transparent)]
    Redis(#[from] RedisError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Role(#[from] RoleError),
    #[error("Redis did not confirm the subscription of a channel")]
    Unconfirmed,
    #[error("the Cluster counts {counted} subscriptions of ours instead of {ours}")]
    Miscounted { counted: usize, ours: usize },
    #[error("the Cluster did not say how many subscriptions are ours")]
    Uncounted,
}
