//! What waits to be numbered by Redis: in order, and bounded.

use std::collections::VecDeque;

use parking_lot::Mutex;
use wsbroker_core::{BusFailure, CloseCode, ReceiptSender};

use super::super::publish_queue::ChannelKey;

/// Operations that leave at once, and about how many bytes of them.
const BATCH: (usize, usize) = (256, 1 << 20);
/// About what an operation costs besides its bytes.
const OVERHEAD: usize = 256;

/// What Redis is to do for a channel.
#[derive(Debug)]
pub(super) enum HistoryOperation {
    Publish { channel: ChannelKey, message: Vec<u8>, id: Option<Box<[u8]>>, receipt: Option<ReceiptSender> },
    Close { channel: ChannelKey, code: CloseCode, reason: String, everywhere: bool },
}

/// The operations of this instance. Any thread may add some; the bus's thread takes them.
#[derive(Debug)]
pub(super) struct HistoryQueue {
    limit: usize,
    state: Mutex<QueueState>,
}

#[derive(Debug, Default)]
struct QueueState {
    waiting: VecDeque<HistoryOperation>,
    bytes: usize,
    /// The bus is ready.
    open: bool,
    /// Operations that were taken, and have no answer.
    under_way: usize,
    dropped: u64,
}

impl HistoryOperation {
    pub(super) fn channel(&self) -> &ChannelKey {
        match self {
            Self::Publish { channel, .. } | Self::Close { channel, .. } => channel,
        }
    }

    fn size(&self) -> usize {
        let own = match self {
            Self::Publish { message, .. } => message.len(),
            Self::Close { reason, .. } => reason.len(),
        };
        OVERHEAD + self.channel().len() + own
    }
}

impl HistoryQueue {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, state: Mutex::default() }
    }

    /// Adds an operation. The failure if it is dropped, to be told to the operation's waiter.
    pub(super) fn add(&self, operation: HistoryOperation) -> Result<(), (HistoryOperation, BusFailure)> {
        let mut state = self.state.lock();
        let size = operation.size();
        let reason = if !state.open {
            "the bus is lost: nothing is stored until Redis is back"
        } else if !state.waiting.is_empty() && state.bytes + size > self.limit {
            "too much waits to be stored (maxOutgoing)"
        } else {
            state.bytes += size;
            state.waiting.push_back(operation);
            return Ok(());
        };
        state.dropped += u64::from(matches!(operation, HistoryOperation::Publish { .. }));
        Err((operation, BusFailure { reason: reason.into(), unknown: false }))
    }

    /// Takes some of the oldest. [`answered`](Self::answered) says when they are done.
    pub(super) fn take(&self) -> Vec<HistoryOperation> {
        let mut state = self.state.lock();
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while let Some(operation) = state.waiting.front()
            && taken.len() < BATCH.0
            && (taken.is_empty() || bytes + operation.size() <= BATCH.1)
            && let Some(operation) = state.waiting.pop_front()
        {
            bytes += operation.size();
            taken.push(operation);
        }
        state.bytes -= bytes;
        state.under_way = taken.len();
        taken
    }

    /// What was taken last has its answers.
    pub(super) fn answered(&self) {
        self.state.lock().under_way = 0;
    }

    pub(super) fn is_idle(&self) -> bool {
        let state = self.state.lock();
        state.waiting.is_empty() && state.under_way == 0
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.state.lock().waiting.is_empty()
    }

    pub(super) fn open(&self) {
        self.state.lock().open = true;
    }

    pub(super) fn is_open(&self) -> bool {
        self.state.lock().open
    }

    /// The bus is lost: what waits is returned, and nothing is taken from now on.
    pub(super) fn close_down(&self) -> Vec<HistoryOperation> {
        let mut state = self.state.lock();
        state.open = false;
        state.under_way = 0;
        state.bytes = 0;
        let waiting: Vec<HistoryOperation> = state.waiting.drain(..).collect();
        state.dropped += waiting.iter().filter(|one| matches!(one, HistoryOperation::Publish { .. })).count() as u64;
        waiting
    }

    pub(super) fn dropped(&self) -> u64 {
        self.state.lock().dropped
    }

    pub(super) fn bytes(&self) -> usize {
        self.state.lock().bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publish(length: usize) -> HistoryOperation {
        HistoryOperation::Publish { channel: (*b"a").into(), message: vec![0; length], id: None, receipt: None }
    }

    #[test]
    fn what_waits_is_bounded_and_what_is_lost_is_counted() {
        let queue = HistoryQueue::new(3000);
        let (_, failure) = queue.add(publish(1)).unwrap_err();
        assert!(!failure.unknown && failure.reason.contains("lost"), "{failure}");
        queue.open();
        queue.add(publish(5000)).unwrap();
        let (_, failure) = queue.add(publish(1)).unwrap_err();
        assert!(failure.reason.contains("maxOutgoing"), "{failure}");
        assert!(queue.take().len() == 1 && !queue.is_idle() && queue.bytes() == 0);
        queue.answered();
        assert!(queue.is_idle());
        queue.add(publish(1)).unwrap();
        assert_eq!(queue.close_down().len(), 1);
        assert_eq!((queue.dropped(), queue.is_idle(), queue.is_open()), (3, true, false));
    }

    #[test]
    fn operations_leave_in_order_and_not_too_many_at_once() {
        let queue = HistoryQueue::new(1 << 30);
        queue.open();
        for length in 0..300 {
            queue.add(publish(length)).unwrap();
        }
        let taken: Vec<usize> = std::iter::repeat_with(|| queue.take())
            .take(2)
            .flatten()
            .map(|one| if let HistoryOperation::Publish { message, .. } = one { message.len() } else { 0 })
            .collect();
        assert_eq!(taken, (0..300).collect::<Vec<_>>());
        queue.add(publish(BATCH.1)).unwrap();
        queue.add(publish(1)).unwrap();
        assert_eq!(queue.take().len(), 1);
    }
}
