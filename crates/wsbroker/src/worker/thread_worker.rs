//! A JavaScript thread as a worker of the broker: who joins and leaves, and what goes through its mailbox.
//!
//! Shards put batches into the mailbox and wake the thread once; `desk` takes them out there.

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;
use wsbroker_core::{
    Backlog, Batch, Broker, Cork, DeliverError, Event, Handlers, Helper, Namespace, Operation, Worker, WorkerHandle,
    WorkerId,
};

use crate::{
    js::raw::Wake,
    process,
    worker::{
        control_block::ControlBlock,
        mailbox::{Fetched, Mailbox, Thread},
        thread_cork,
    },
};

/// A JavaScript thread as the broker sees it.
pub(crate) struct NodeWorker {
    handlers: Handlers,
    control: ControlBlock,
    wake: Wake,
    mailbox: Mailbox,
    /// The membership of a broker. Locked while joining, so that whoever settles the first events finds it.
    membership: Mutex<Option<WorkerHandle>>,
    /// The broker says so.
    stuck: AtomicBool,
}

impl fmt::Debug for NodeWorker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeWorker").field("handlers", &self.handlers).finish_non_exhaustive()
    }
}

impl Worker for NodeWorker {
    fn deliver(&self, batch: Batch) -> Result<(), DeliverError> {
        let thread = self.mailbox.put(batch).map_err(DeliverError::Gone)?;
        self.wake_if(thread);
        Ok(())
    }

    fn deliver_operation(&self, post: Operation) {
        self.wake_if(self.mailbox.put_post(post));
    }

    fn token_changed(&self) {
        self.control.bump_token_epoch();
    }

    fn backlog(&self) -> Backlog {
        self.mailbox.backlog()
    }

    fn set_stuck(&self, stuck: bool) {
        if !self.stuck.swap(stuck, Ordering::Relaxed) && stuck {
            process::worker_stuck(self);
        }
    }

    fn take_opens(&self) -> Vec<Event> {
        self.mailbox.take_opens()
    }

    fn give_up(&self) {
        let (batches, thread) = self.mailbox.give_up();
        self.retire(batches.into());
        self.wake_if(thread);
    }
}

impl NodeWorker {
    /// A worker without a broker.
    pub(crate) fn new(handlers: Handlers, control: ControlBlock, wake: Wake) -> Self {
        Self {
            handlers,
            control,
            wake,
            mailbox: Mailbox::default(),
            membership: Mutex::new(None),
            stuck: AtomicBool::new(false),
        }
    }

    /// Gets events from this broker from now on. A worker that has been told goodbye stays away.
    pub(crate) fn join(self: &Arc<Self>, broker: &Broker, concurrent: bool, handler_timeout: u32) {
        let mut membership = self.membership.lock();
        if membership.is_some() || !self.mailbox.is_fresh() {
            return;
        }
        self.control.set_handling(concurrent, handler_timeout);
        let worker: Arc<dyn Worker> = Arc::clone(self) as _;
        *membership = Some(broker.add_worker(worker, self.handlers));
    }

    /// Gets events of a namespace from now on.
    pub(crate) fn join_namespace(self: &Arc<Self>, broker: &Broker, namespace: &Arc<Namespace>) -> Helper {
        let mut membership = self.membership.lock();
        // Its handlers return nothing that could be waited for.
        self.control.set_handling(true, 0);
        let worker: Arc<dyn Worker> = Arc::clone(self) as _;
        let (handle, helper) = broker.add_helper(namespace, worker);
        *membership = Some(handle);
        helper
    }

    /// Lets go of a broker that never had a connection. The next one may be joined.
    pub(crate) fn leave(&self) {
        drop(self.membership.lock().take());
    }

    /// Whether it belongs to that broker.
    pub(crate) fn is_in(&self, broker: &Broker) -> bool {
        self.membership.lock().as_ref().is_some_and(|handle| handle.is_of(broker))
    }

    /// Its broker has shut down without being asked to: it lets go of it, and may join the next, unless handlers are still at work for the old one. Then it is told goodbye.
    pub(crate) fn outlive(&self) {
        let at_rest = self.membership.lock().as_ref().is_none_or(WorkerHandle::is_at_rest);
        if at_rest {
            self.leave();
        } else {
            self.say_goodbye();
        }
    }

    /// The broker has shut down: what is here already is run, then the thread is told.
    pub(crate) fn say_goodbye(&self) {
        self.leave();
        self.wake_if(self.mailbox.say_goodbye());
    }

    /// Takes everything that has come.
    pub(crate) fn fetch(&self) -> Fetched {
        self.mailbox.fetch()
    }

    /// Takes the events that have come, while there is other work.
    pub(crate) fn take_batches(&self) -> VecDeque<Batch> {
        self.mailbox.take_batches()
    }

    fn wake_if(&self, thread: Thread) {
        if thread == Thread::Asleep {
            self.wake.wake();
        }
    }

    /// Whether something has waited for it for a second.
    pub(crate) fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::Relaxed)
    }

    /// How to wake its thread.
    pub(crate) fn wake(&self) -> &Wake {
        &self.wake
    }

    /// Its control block.
    pub(crate) fn control(&self) -> &ControlBlock {
        &self.control
    }

    /// From now on it takes nothing. Returns what has come.
    pub(crate) fn close(&self) -> VecDeque<Batch> {
        self.mailbox.close()
    }

    /// The handlers of these events have settled.
    pub(crate) fn settle<'a>(&self, events: impl Iterator<Item = &'a Event>) {
        let mut events = Some(events);
        // The cork first: to renew it takes the lock of the process, which others hold while they take that of a membership.
        thread_cork::with(|_, cork| self.settle_with(events.take(), Some(cork)));
        if events.is_some() {
            self.settle_with(events, None);
        }
    }

    fn settle_with<'a>(&self, events: Option<impl Iterator<Item = &'a Event>>, cork: Option<&mut Cork>) {
        if let (Some(handle), Some(events)) = (&*self.membership.lock(), events) {
            handle.settle(events, cork);
        }
    }

    /// Its number in the broker it belongs to.
    pub(crate) fn id(&self) -> Option<WorkerId> {
        self.membership.lock().as_ref().map(WorkerHandle::id)
    }

    /// Leaves for good. `unstarted` goes to other workers, in order. Returns how many of a helper's clients could not be reported.
    pub(crate) fn retire(&self, unstarted: Vec<Batch>) -> usize {
        self.membership.lock().take().map_or(0, |handle| handle.remove(unstarted))
    }
}
