//! The messages that wait to be published: in the order of the calls, and bounded.

use std::collections::VecDeque;

use bytes::Bytes;
use parking_lot::Mutex;

/// What each message costs besides its bytes, so that empty ones are bounded, too.
const OVERHEAD: usize = 128;

/// Gets the outcome of a message: once, in the order of the publishes, on the relay's thread. It
/// must not block.
pub type PublishCallback = Box<dyn FnOnce(Result<(), PublishError>) + Send>;

/// Why a message that was taken did not reach Redis, or may not have.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// Redis has refused it, with this text.
    #[error("Redis refused the message: {0}")]
    Refused(String),
    /// The connection was lost before Redis had answered: it may have the message or not.
    #[error("the connection to Redis was lost before it answered")]
    Lost,
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum QueueError {
    /// There is no connection to Redis.
    #[error("there is no connection to Redis")]
    Lost,
    /// Too much is waiting already.
    #[error("too many messages are waiting to be published")]
    Full,
    /// The relay has been stopped.
    #[error("the relay has been stopped")]
    Stopped,
}

/// A message that waits, or that Redis has not answered yet.
pub(super) struct QueuedMessage {
    pub(super) channel: Bytes,
    pub(super) text: Bytes,
    pub(super) answer: Option<PublishCallback>,
}

impl QueuedMessage {
    fn cost(&self) -> usize {
        self.channel.len() + self.text.len() + OVERHEAD
    }

    pub(super) fn settle(self, outcome: Result<(), PublishError>) {
        if let Some(answer) = self.answer {
            answer(outcome);
        }
    }
}

pub(super) struct RelayQueue {
    limit: usize,
    state: Mutex<RelayQueueState>,
}

struct RelayQueueState {
    closed: Option<QueueError>,
    waiting: VecDeque<QueuedMessage>,
    /// The cost of the messages that wait, and of those that are not answered.
    bytes: usize,
}

impl RelayQueue {
    /// A queue that takes nothing until it is opened.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            state: Mutex::new(RelayQueueState { closed: Some(QueueError::Lost), waiting: VecDeque::new(), bytes: 0 }),
        }
    }

    /// Takes a message. True if no other waits. A message larger than the limit is taken when
    /// nothing else waits or is under way.
    pub(super) fn push(
        &self,
        channel: Bytes,
        text: Bytes,
        answer: Option<PublishCallback>,
    ) -> Result<bool, QueueError> {
        let message = QueuedMessage { channel, text, answer };
        let mut state = self.state.lock();
        if let Some(closed) = state.closed {
            return Err(closed);
        }
        let cost = message.cost();
        if state.bytes > 0 && state.bytes.saturating_add(cost) > self.limit {
            return Err(QueueError::Full);
        }
        state.bytes += cost;
        state.waiting.push_back(message);
        Ok(state.waiting.len() == 1)
    }

    /// Takes the first messages, of about this many bytes, and at least one. They count until they
    /// are [`settled`](Self::settled).
    pub(super) fn take(&self, bytes: usize) -> Vec<QueuedMessage> {
        let mut state = self.state.lock();
        let mut taken = Vec::new();
        let mut size = 0;
        while size < bytes {
            let Some(message) = state.waiting.pop_front() else { break };
            size += message.cost();
            taken.push(message);
        }
        taken
    }

    /// These were answered, and no longer count.
    pub(super) fn settled(&self, messages: &[QueuedMessage]) {
        let mut state = self.state.lock();
        state.bytes = state.bytes.saturating_sub(messages.iter().map(QueuedMessage::cost).sum());
    }

    /// Takes messages from now on, unless it has been stopped.
    pub(super) fn open(&self) {
        let mut state = self.state.lock();
        if state.closed == Some(QueueError::Lost) {
            state.closed = None;
        }
    }

    /// Takes no more messages. Returns those that waited. Those that were not answered no longer
    /// count either.
    pub(super) fn lose(&self) -> Vec<QueuedMessage> {
        let mut state = self.state.lock();
        state.closed.get_or_insert(QueueError::Lost);
        state.bytes = 0;
        state.waiting.drain(..).collect()
    }

    /// Takes no more messages, for good. Those that wait can still be published.
    pub(super) fn stop(&self) {
        self.state.lock().closed = Some(QueueError::Stopped);
    }

    /// The cost of the messages that wait or are not answered.
    pub(super) fn bytes(&self) -> usize {
        self.state.lock().bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(limit: usize) -> RelayQueue {
        let queue = RelayQueue::new(limit);
        queue.open();
        queue
    }

    fn push(queue: &RelayQueue, text: &str) -> Result<bool, QueueError> {
        queue.push(Bytes::new(), text.to_owned().into(), None)
    }

    fn texts(messages: &[QueuedMessage]) -> Vec<&str> {
        messages.iter().map(|message| std::str::from_utf8(&message.text).unwrap()).collect()
    }

    #[test]
    fn what_waits_leaves_in_order_and_in_portions() {
        let queue = open(1 << 20);
        assert_eq!(push(&queue, "1"), Ok(true));
        assert_eq!(push(&queue, "2"), Ok(false));
        assert_eq!(push(&queue, "3"), Ok(false));
        let first = queue.take(OVERHEAD + 2);
        assert_eq!(texts(&first), ["1", "2"]);
        assert_eq!(texts(&queue.take(1)), ["3"]);
        assert!(queue.take(1).is_empty());
        assert_eq!(push(&queue, "4"), Ok(true));
    }

    #[test]
    fn what_is_not_answered_yet_counts_as_waiting() {
        let queue = open(4 * OVERHEAD);
        for text in ["1", "2", "3"] {
            push(&queue, text).unwrap();
        }
        assert_eq!(push(&queue, "4"), Err(QueueError::Full));
        let taken = queue.take(usize::MAX);
        assert_eq!(push(&queue, "4"), Err(QueueError::Full));
        queue.settled(&taken);
        assert_eq!(queue.bytes(), 0);
        let large = "x".repeat(100 * OVERHEAD);
        assert_eq!(push(&queue, &large), Ok(true), "alone, a large one passes");
        assert_eq!(push(&queue, ""), Err(QueueError::Full));
    }

    #[test]
    fn without_a_connection_nothing_is_taken_and_what_waited_comes_back() {
        let queue = RelayQueue::new(1000);
        assert_eq!(push(&queue, "1"), Err(QueueError::Lost));
        queue.open();
        push(&queue, "2").unwrap();
        queue.take(usize::MAX);
        push(&queue, "3").unwrap();
        assert_eq!(texts(&queue.lose()), ["3"]);
        assert_eq!(push(&queue, "4"), Err(QueueError::Lost));
        assert_eq!(queue.bytes(), 0);
        queue.open();
        push(&queue, "5").unwrap();
        queue.stop();
        assert_eq!(push(&queue, "6"), Err(QueueError::Stopped));
        queue.open();
        queue.lose();
        assert_eq!(push(&queue, "7"), Err(QueueError::Stopped));
    }
}
