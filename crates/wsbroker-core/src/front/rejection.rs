//! Answers to connections that are not let in: what they hold until the client has taken them or
//! its time is over.

use std::sync::Arc;

use bytes::Bytes;

use crate::{broker::BrokerState, counters::DropCause, open::Reject};

/// An answer up to this length is not counted: the number of refusals is bounded anyway.
const SMALL: usize = 1 << 10;

/// What a worker answered instead of letting a connection in, counted in the send memory until
/// dropped.
#[derive(Debug)]
pub(crate) struct Rejection {
    pub(crate) reject: Reject,
    pub(super) held: Option<AnswerMemory>,
}

/// Bytes of an answer, in the send memory.
#[derive(Debug)]
pub(super) struct AnswerMemory {
    broker: Arc<BrokerState>,
    bytes: usize,
}

impl Rejection {
    /// Counts an answer. Without room for it, body and headers are dropped at once and nothing is
    /// left to write.
    pub(super) fn new(broker: &Arc<BrokerState>, reject: Reject) -> Option<Self> {
        let headers: usize = reject.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        let bytes = headers + reject.body.len();
        if bytes <= SMALL {
            return Some(Self { reject, held: None });
        }
        if !broker.memory.hold_answer(bytes) {
            broker.metrics.dropped.count(DropCause::MaxSendMemory);
            tracing::debug!(bytes, status = reject.status, "no send memory for the answer to an upgrade");
            return None;
        }
        Some(Self { reject, held: Some(AnswerMemory { broker: Arc::clone(broker), bytes }) })
    }
}

impl Drop for AnswerMemory {
    fn drop(&mut self) {
        self.broker.memory.release_answer(self.bytes);
    }
}

/// An answer that is no 101, as bytes.
#[derive(Debug, Default)]
pub(super) struct HttpAnswer {
    pub(super) head: Vec<u8>,
    /// The application's own bytes, not a copy.
    pub(super) body: Bytes,
    /// Counted for as long as this is there.
    pub(super) _held: Option<AnswerMemory>,
}

impl From<Vec<u8>> for HttpAnswer {
    fn from(head: Vec<u8>) -> Self {
        Self { head, ..Self::default() }
    }
}
