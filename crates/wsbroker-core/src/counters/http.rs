//! Plain requests, counted.

use std::sync::atomic::{AtomicU64, Ordering};

use wsbroker_http::Failure;

use super::{
    CauseCounts,
    metrics::{Counters, causes},
};

causes! {
    /// Why a forwarded request did not come to its end.
    HttpFailureCause {
        /// 502: the inner server cannot be reached.
        Unreachable = "unreachable",
        /// 502, or a cut: the inner server's response is not HTTP, or broke off.
        BadResponse = "badResponse",
        /// 504, or a cut: the inner server took too long.
        Timeout = "timeout",
        /// 408, or a cut: the client's body stopped, or the client stopped reading.
        ClientTimeout = "clientTimeout",
        /// 400, or a cut: the client's body is not well-formed.
        BadBody = "badBody",
        /// The client went away.
        Gone = "gone",
    }
}

impl From<Failure> for HttpFailureCause {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unreachable => Self::Unreachable,
            Failure::Broken => Self::BadResponse,
            Failure::TooSlow => Self::Timeout,
            Failure::Stalled => Self::ClientTimeout,
            Failure::BadBody => Self::BadBody,
            Failure::Gone => Self::Gone,
        }
    }
}

/// What is counted of plain requests.
#[derive(Debug, Default)]
pub(crate) struct HttpCounters {
    answered: AtomicU64,
    forwarded: AtomicU64,
    failed: Counters<{ HttpFailureCause::COUNT }>,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

impl HttpCounters {
    /// A fixed answer was given.
    pub(crate) fn answered(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    /// A request was forwarded; `failure` if it did not come to its end.
    pub(crate) fn forwarded(&self, failure: Option<Failure>, received: u64, sent: u64) {
        self.bytes_in.fetch_add(received, Ordering::Relaxed);
        self.bytes_out.fetch_add(sent, Ordering::Relaxed);
        match failure {
            None => _ = self.forwarded.fetch_add(1, Ordering::Relaxed),
            Some(failure) => self.failed.count(HttpFailureCause::from(failure)),
        }
    }

    pub(crate) fn stats(&self) -> HttpStats {
        let mut failed = CauseCounts::new(HttpFailureCause::ALL);
        failed.add(&self.failed.load());
        HttpStats {
            answered: self.answered.load(Ordering::Relaxed),
            forwarded: self.forwarded.load(Ordering::Relaxed),
            failed,
            bytes_in: self.bytes_in.load(Ordering::Relaxed),
            bytes_out: self.bytes_out.load(Ordering::Relaxed),
        }
    }
}

/// Plain requests, in [`Stats`](super::Stats).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HttpStats {
    /// Fixed answers.
    pub answered: u64,
    /// Requests that were forwarded and got their whole response, tunnels included.
    pub forwarded: u64,
    /// Forwarded requests that did not come to their end.
    pub failed: CauseCounts<HttpFailureCause>,
    /// Bytes of their bodies.
    pub bytes_in: u64,
    /// Bytes of their responses, heads included.
    pub bytes_out: u64,
}
