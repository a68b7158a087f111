//! A worker's side of a broker: events that have settled, and its end.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::{Broker, BrokerState, stuck_watch::ask_others};
use crate::{
    cork::Cork,
    dispatch::WorkerEntry,
    event::{Batch, Event},
    ids::WorkerId,
    namespace::Namespace,
    registry::{Socket, WindowUse},
    shard::{Command, ConnectionKey},
};

/// Between two looks whether a worker that has been superseded has become empty.
const EMPTIED_TICK: Duration = Duration::from_millis(5);

/// A worker's side of a broker.
#[derive(Debug)]
pub struct WorkerHandle {
    pub(super) broker: Arc<BrokerState>,
    /// `None` for a raw worker.
    pub(super) namespace: Option<Arc<Namespace>>,
    pub(super) entry: Arc<WorkerEntry>,
}

impl WorkerHandle {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> WorkerId {
        self.entry.id
    }

    /// Whether it is a worker of that broker.
    #[must_use]
    pub fn is_of(&self, broker: &Broker) -> bool {
        Arc::ptr_eq(&self.broker, broker.state())
    }

    /// Whether all its events have settled.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.entry.delivered() == self.entry.handled()
    }

    /// The handlers of these events have settled: gives their room in the inbound window back.
    /// `cork` is where the handlers have sent. It is flushed before a shard is told to go on with a
    /// socket, since a connection that ends must end after that.
    pub fn settle<'a>(&self, events: impl Iterator<Item = &'a Event>, mut cork: Option<&mut Cork>) {
        if let Some(cork) = cork.as_deref_mut() {
            // Before the first of them counts as settled.
            cork.hold_for(&self.entry);
        }
        let (mut bytes, mut count) = (0, 0);
        let mut awaited: Vec<&Arc<Socket>> = Vec::new();
        let limit = &self.broker.config.in_flight;
        // Messages of one socket that come one behind the other leave in one step.
        let mut run: Option<(&'a Arc<Socket>, WindowUse)> = None;
        let mut leave = |run: Option<(&'a Arc<Socket>, WindowUse)>, awaited: &mut Vec<&'a Arc<Socket>>| {
            if let Some((socket, messages)) = run {
                bytes += messages.bytes;
                if socket.leave_window(messages, limit) {
                    awaited.push(socket);
                }
            }
        };
        for event in events {
            count += 1;
            let Some(cost) = event.kind.cost() else {
                leave(run.take(), &mut awaited);
                if event.socket.leave_other() {
                    awaited.push(&event.socket);
                }
                continue;
            };
            match &mut run {
                Some((socket, messages)) if Arc::ptr_eq(socket, &event.socket) => messages.add(cost),
                _ => leave(run.replace((&event.socket, WindowUse::one(cost))), &mut awaited),
            }
        }
        leave(run, &mut awaited);
        if count == 0 {
            return;
        }
        if !awaited.is_empty() {
            if let Some(cork) = cork {
                cork.flush();
            }
            for socket in awaited {
                self.broker.shard(socket.shard()).push(Command::Resume(ConnectionKey::of(socket)));
            }
        }
        self.entry.settled(count);
        if self.entry.sub_in_flight(bytes, self.broker.config.in_flight.worker_bytes) {
            self.broker.push_all(|| Command::WorkerRoom(Arc::clone(&self.entry)));
        }
        self.broker.dispatch.settled(count);
    }

    /// Other workers take its place: it gets no connections any more, and each that it has moves to
    /// another between two of its events, once the handlers of what this one was given have settled
    /// and what they have sent has been flushed. Questions of whether to let a connection in that
    /// it has not fetched are asked of others. There should be another worker; what comes while
    /// there is none waits. Of a [`Namespace`](crate::Namespace)'s worker the connections stay;
    /// those of a [pinned](Broker::add_pinned_worker) worker are closed (1012) instead of moved.
    pub fn supersede(&self) {
        if self.namespace.is_none() && self.entry.supersede() {
            self.broker.push_all(|| Command::WorkerSuperseded(Arc::clone(&self.entry)));
            ask_others(&self.broker, &self.entry);
        }
    }

    /// Resolves when a worker that has been superseded has no connection any more and all its
    /// events have settled, or when it has been removed and the shards have let it go. The output
    /// is how many connections were closed instead of moved: those of a
    /// [pinned](Broker::add_pinned_worker) worker.
    pub fn emptied(&self) -> impl Future<Output = usize> + Send + use<> {
        let entry = Arc::clone(&self.entry);
        let shards = self.broker.shard_count();
        async move {
            // Looked at now and then: to tell of it, every event would have to look whether it was
            // the last.
            while if entry.is_gone() { !entry.is_let_go(shards) } else { !entry.is_empty() } {
                tokio::time::sleep(EMPTIED_TICK).await;
            }
            entry.closed()
        }
    }

    /// Ends the worker: its connections move to others (those of a namespace are closed, see
    /// [`Broker::add_helper`](crate::Broker::add_helper)), which get `unstarted` first, in order,
    /// and then what came since. Events that were started must have been settled before. From
    /// before this call on, [`Worker::deliver`](crate::Worker::deliver) must answer
    /// [`DeliverError::Gone`](crate::DeliverError::Gone).
    ///
    /// The other helpers of its namespace are told of the clients that it has not
    /// [removed](crate::Helper::remove_client). Returns how many could not be reported, since it
    /// was the last.
    pub fn remove(self, unstarted: Vec<Batch>) -> usize {
        if !self.broker.dispatch.remove(&self.entry) {
            return 0;
        }
        let unreported = self.namespace.as_ref().map_or(0, |namespace| namespace.leave(&self.entry));
        let mut per_shard: Vec<Vec<(Event, Bytes)>> = (0..self.broker.shard_count()).map(|_| Vec::new()).collect();
        for batch in unstarted {
            for event in batch.events {
                if let Some(events) = per_shard.get_mut(event.socket.shard()) {
                    events.push((event, batch.data.clone()));
                }
            }
        }
        for (index, events) in per_shard.into_iter().enumerate() {
            self.broker.shard(index).push(Command::WorkerGone(Arc::clone(&self.entry), events));
        }
        unreported
    }
}
