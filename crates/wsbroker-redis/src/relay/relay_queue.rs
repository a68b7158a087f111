//! What waits to be published, in the order of the calls, bounded.

use std::collections::VecDeque;

use bytes::Bytes;
use parking_lot::Mutex;

/// What each message costs beside its bytes, so that empty ones are bounded too.
const OVERHEAD: usize = 128;

/// Told what became of a message: once, in the order of the publishes, on the relay's thread. It must not block.
pub type Answer = Box<dyn FnOnce(Result<(), PublishError>) + Send>;

/// Why a message did not get to Redis.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// Redis said no; this is what it said.
    #[error("Redis refused it: {0}")]
    Refused(String),
    /// The connection went before Redis had answered: it may have the message or not.
    #[error("the connection to Redis was lost before it answered")]
    Lost,
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotTaken {
    /// There is no connection to Redis.
    #[error("Redis is not there")]
    Lost,
    /// As much as may wait is waiting.
    #[error("too much is waiting to be published")]
    Full,
    /// The relay has been stopped.
    #[error("this is shut down")]
    Stopped,
}

/// One message on its way.
pub(super) struct Parcel {
    pub(super) channel: Bytes,
    pub(super) text: Bytes,
    pub(super) answer: Option<Answer>,
}

impl Parcel {
    fn cost(&self) -> usize {
        self.channel.len() + self.text.len() + OVERHEAD
    }

    pub(super) fn settle(self, outcome: Result<(), PublishError>) {
        if let Some(answer) = self.answer {
            answer(outcome);
        }
    }
}

pub(super) struct Queue {
    limit: usize,
    state: Mutex<State>,
}

struct State {
    closed: Option<NotTaken>,
    waiting: VecDeque<Parcel>,
    /// Of those that wait and of those that Redis has not answered yet.
    bytes: usize,
}

impl Queue {
    /// Takes nothing until it is opened.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, state: Mutex::new(State { closed: Some(NotTaken::Lost), waiting: VecDeque::new(), bytes: 0 }) }
    }

    /// Lets a message wait. True: it is the first that does. A message larger than the limit passes when nothing else is under way.
    pub(super) fn push(&self, channel: Bytes, text: Bytes, answer: Option<Answer>) -> Result<bool, NotTaken> {
        let parcel = Parcel { channel, text, answer };
        let mut state = self.state.lock();
        if let Some(closed) = state.closed {
            return Err(closed);
        }
        let cost = parcel.cost();
        if state.bytes > 0 && state.bytes.saturating_add(cost) > self.limit {
            return Err(NotTaken::Full);
        }
        state.bytes += cost;
        state.waiting.push_back(parcel);
        Ok(state.waiting.len() == 1)
    }

    /// The first ones, up to about so many bytes, at least one if there is one. They count until they are [`settled`](Self::settled).
    pub(super) fn take(&self, bytes: usize) -> Vec<Parcel> {
        let mut state = self.state.lock();
        let mut taken = Vec::new();
        let mut size = 0;
        while size < bytes {
            let Some(parcel) = state.waiting.pop_front() else { break };
            size += parcel.cost();
            taken.push(parcel);
        }
        taken
    }

    /// These were answered, or are lost: their bytes wait no more.
    pub(super) fn settled(&self, parcels: &[Parcel]) {
        let mut state = self.state.lock();
        state.bytes = state.bytes.saturating_sub(parcels.iter().map(Parcel::cost).sum());
    }

    /// From now on messages are taken, unless it has been stopped.
    pub(super) fn open(&self) {
        let mut state = self.state.lock();
        if state.closed == Some(NotTaken::Lost) {
            state.closed = None;
        }
    }

    /// From now on nothing is taken. Returns what waited; what was taken away is lost with it, and counts no more.
    pub(super) fn lose(&self) -> Vec<Parcel> {
        let mut state = self.state.lock();
        state.closed.get_or_insert(NotTaken::Lost);
        state.bytes = 0;
        state.waiting.drain(..).collect()
    }

    /// From now on nothing is taken, for good. What waits may still be taken away.
    pub(super) fn stop(&self) {
        self.state.lock().closed = Some(NotTaken::Stopped);
    }

    /// Bytes that wait or are not answered yet.
    pub(super) fn bytes(&self) -> usize {
        self.state.lock().bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(limit: usize) -> Queue {
        let queue = Queue::new(limit);
        queue.open();
        queue
    }

    fn push(queue: &Queue, text: &str) -> Result<bool, NotTaken> {
        queue.push(Bytes::new(), text.to_owned().into(), None)
    }

    fn texts(parcels: &[Parcel]) -> Vec<&str> {
        parcels.iter().map(|parcel| std::str::from_utf8(&parcel.text).unwrap()).collect()
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
        assert_eq!(push(&queue, "4"), Err(NotTaken::Full));
        let taken = queue.take(usize::MAX);
        assert_eq!(push(&queue, "4"), Err(NotTaken::Full));
        queue.settled(&taken);
        assert_eq!(queue.bytes(), 0);
        let large = "x".repeat(100 * OVERHEAD);
        assert_eq!(push(&queue, &large), Ok(true), "alone, a large one passes");
        assert_eq!(push(&queue, ""), Err(NotTaken::Full));
    }

    #[test]
    fn without_a_connection_nothing_is_taken_and_what_waited_comes_back() {
        let queue = Queue::new(1000);
        assert_eq!(push(&queue, "1"), Err(NotTaken::Lost));
        queue.open();
        push(&queue, "2").unwrap();
        queue.take(usize::MAX);
        push(&queue, "3").unwrap();
        assert_eq!(texts(&queue.lose()), ["3"]);
        assert_eq!(push(&queue, "4"), Err(NotTaken::Lost));
        assert_eq!(queue.bytes(), 0);
        queue.open();
        push(&queue, "5").unwrap();
        queue.stop();
        assert_eq!(push(&queue, "6"), Err(NotTaken::Stopped));
        queue.open();
        queue.lose();
        assert_eq!(push(&queue, "7"), Err(NotTaken::Stopped));
    }
}
