//! One error per operation, each saying what the caller can do.

use std::io;

use crate::event::Batch;

/// Why a broker could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The system refused a thread, a poll handle or the runtime.
    #[error("cannot start the broker's threads: {0}")]
    System(#[from] io::Error),
}

/// What is wrong with the text of an address.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{reason}")]
pub struct BindError {
    pub(crate) reason: String,
}

/// What is wrong with the text of a network.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected an IP address or a network as \"10.0.0.0/8\", got {text:?}")]
pub struct CidrError {
    pub(crate) text: String,
}

/// Why a listener could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The system refused the address: in use, not ours, not allowed.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address as it was given.
        address: String,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// Another listener of this broker serves that path on that address.
    #[error("the path {path:?} on {address} is taken by another server of this process")]
    PathTaken {
        /// The address as it was given.
        address: String,
        /// The path that is taken.
        path: String,
    },
    /// This system has no such kind of address.
    #[error("{address}: {what} are not supported on this system")]
    Unsupported {
        /// The address as it was given.
        address: String,
        /// The kind of address, in the plural.
        what: &'static str,
    },
    /// Options of the whole address differ from those it was opened with.
    #[error("{address} is open with another value of {option}")]
    Conflict {
        /// The address as it was given.
        address: String,
        /// The option that differs.
        option: &'static str,
    },
    /// The broker is shutting down.
    #[error("the broker is shutting down")]
    ShuttingDown,
}

/// Why a worker did not take a batch.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeliverError {
    /// The worker has ended: its connections need another.
    #[error("worker has gone")]
    Gone(Batch),
}
