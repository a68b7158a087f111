//! A JavaScript thread as a worker of the broker: how it joins and leaves, and what goes through
//! its mailbox.
//!
//! Shards put batches into the mailbox and wake the thread once. There the `runner` takes them out.

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use wsbroker_core::{
    Backlog, Batch, Broker, Cork, DeliverError, Event, Handlers, Helper, Namespace, Operation, Worker, WorkerHandle,
    WorkerId,
};

use crate::{
    js::raw::ThreadWaker,
    process,
    worker::{
        control_block::ControlBlock,
        mailbox::{Fetched, Mailbox, MailboxReader},
        thread_cork,
    },
};

/// A JavaScript thread as the broker sees it.
pub(crate) struct ThreadWorker {
    handlers: Handlers,
    /// Its connections are closed when it ends.
    pinned: bool,
    control: ControlBlock,
    waker: ThreadWaker,
    mailbox: Mailbox,
    /// The membership of a broker. Locked while it joins, so that it is there when the first events
    /// settle.
    membership: Mutex<Option<WorkerHandle>>,
    /// Whether the broker has found it stuck.
    stuck: AtomicBool,
}

impl fmt::Debug for ThreadWorker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadWorker").field("handlers", &self.handlers).finish_non_exhaustive()
    }
}

impl Worker for ThreadWorker {
    fn deliver(&self, batch: Batch) -> Result<(), DeliverError> {
        let reader = self.mailbox.put(batch).map_err(DeliverError::Gone)?;
        self.wake_if(reader);
        Ok(())
    }

    fn deliver_operation(&self, operation: Operation) {
        self.wake_if(self.mailbox.put_operation(operation));
    }

    fn token_changed(&self) {
        self.control.bump_token_epoch();
    }

    fn backlog(&self) -> Backlog {
        let mut backlog = self.mailbox.backlog();
        // A thread whose handlers are slow gets on without fetching.
        backlog.fetches = backlog.fetches.map(|fetches| fetches + u64::from(self.control.calls()));
        backlog
    }

    fn probe(&self) {
        self.wake_if(self.mailbox.probe());
    }

    fn set_stuck(&self, for_how_long: Option<Duration>) {
        if !self.stuck.swap(for_how_long.is_some(), Ordering::Relaxed)
            && let Some(for_how_long) = for_how_long
        {
            process::worker_stuck(self, for_how_long);
        }
    }

    fn take_opens(&self) -> Vec<Event> {
        self.mailbox.take_opens()
    }

    fn give_up(&self) {
        let (batches, reader) = self.mailbox.give_up();
        self.retire(batches.into());
        self.wake_if(reader);
    }
}

impl ThreadWorker {
    /// A worker without a broker.
    pub(crate) fn new(handlers: Handlers, pinned: bool, control: ControlBlock, waker: ThreadWaker) -> Self {
        Self {
            handlers,
            pinned,
            control,
            waker,
            mailbox: Mailbox::default(),
            membership: Mutex::new(None),
            stuck: AtomicBool::new(false),
        }
    }

    /// Gets events from this broker from now on, unless it is in a broker or one has shut down.
    pub(crate) fn join(self: &Arc<Self>, broker: &Broker, concurrent: bool, handler_timeout: u32) {
        let mut membership = self.membership.lock();
        if membership.is_some() || !self.mailbox.is_fresh() {
            return;
        }
        self.control.set_handling(concurrent, handler_timeout);
        let worker: Arc<dyn Worker> = Arc::clone(self) as _;
        *membership = Some(if self.pinned {
            broker.add_pinned_worker(worker, self.handlers)
        } else {
            broker.add_worker(worker, self.handlers)
        });
    }

    /// Gets events of a namespace from now on.
    pub(crate) fn join_namespace(self: &Arc<Self>, broker: &Broker, namespace: &Arc<Namespace>) -> Helper {
        let mut membership = self.membership.lock();
        // The handlers of a helper return nothing that could be waited for.
        self.control.set_handling(true, 0);
        let worker: Arc<dyn Worker> = Arc::clone(self) as _;
        let (handle, helper) = broker.add_helper(namespace, worker);
        *membership = Some(handle);
        helper
    }

    /// Leaves a broker that has no connections. The next one may be joined.
    pub(crate) fn leave(&self) {
        drop(self.membership.lock().take());
    }

    /// Whether it belongs to that broker.
    pub(crate) fn is_in(&self, broker: &Broker) -> bool {
        self.membership.lock().as_ref().is_some_and(|handle| handle.is_of(broker))
    }

    /// Its broker has shut down because another thread ended. It leaves, and may join the next one.
    /// If handlers are still at work for the old one, it is told of the end instead.
    pub(crate) fn outlive(&self) {
        let at_rest = self.membership.lock().as_ref().is_none_or(WorkerHandle::is_at_rest);
        if at_rest {
            self.leave();
        } else {
            self.report_broker_end();
        }
    }

    /// Its broker has shut down: the thread runs what is here already, then it is told.
    pub(crate) fn report_broker_end(&self) {
        self.leave();
        self.wake_if(self.mailbox.report_broker_end());
    }

    /// Takes everything that has come.
    pub(crate) fn fetch(&self) -> Fetched {
        self.mailbox.fetch()
    }

    /// Takes the events that have come, while the thread has other work.
    pub(crate) fn take_batches(&self) -> VecDeque<Batch> {
        self.mailbox.take_batches()
    }

    fn wake_if(&self, reader: MailboxReader) {
        if reader == MailboxReader::Asleep {
            self.waker.wake();
        }
    }

    /// Whether something has waited for it for too long.
    pub(crate) fn is_stuck(&self) -> bool {
        self.stuck.load(Ordering::Relaxed)
    }

    /// What wakes its thread.
    pub(crate) fn waker(&self) -> &ThreadWaker {
        &self.waker
    }

    /// Its control block.
    pub(crate) fn control(&self) -> &ControlBlock {
        &self.control
    }

    /// The thread has ended or left: from now on it takes nothing. Returns what has come.
    pub(crate) fn close(&self) -> VecDeque<Batch> {
        self.mailbox.close()
    }

    /// The handlers of these events have settled.
    pub(crate) fn settle<'a>(&self, events: impl Iterator<Item = &'a Event>) {
        let mut events = Some(events);
        // The cork first: to renew it takes the lock of the process, and that comes before the lock
        // of a membership.
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

    /// Others take its place: its connections move to them, each between two of its events.
    pub(crate) fn supersede(&self) {
        if let Some(handle) = &*self.membership.lock() {
            handle.supersede();
        }
    }

    /// Resolves when none of its connections is left and its events have settled, to how many were
    /// closed instead of moved. `None` without a broker.
    pub(crate) fn emptied(&self) -> Option<impl Future<Output = usize> + Send + use<>> {
        self.membership.lock().as_ref().map(WorkerHandle::emptied)
    }

    /// Leaves for good. `unstarted` goes to other workers, in order. Returns how many clients of a
    /// helper could not be reported to any other helper.
    pub(crate) fn retire(&self, unstarted: Vec<Batch>) -> usize {
        self.membership.lock().take().map_or(0, |handle| handle.remove(unstarted))
    }
}
