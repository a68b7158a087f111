//! What happens to events after their call: they have settled, or are kept until they have, or go
//! to another worker.

use wsbroker_core::{Batch, CloseCode, Event, EventKind, OpenReply};

use super::{Runner, SlotEvent};
use crate::{
    helper::instance,
    js::raw::{Env, Failed},
    process,
    worker::{
        control_block::EventState,
        dispatch_call::CallEvents,
        inbox::{self, Inbox, Position},
        slab::Slab,
        thread_cork,
    },
};

impl Runner {
    /// Leaves, and lets JavaScript's functions be collected: at once, or when the current run is
    /// over.
    pub(super) fn stop(&self, env: Env<'_>) {
        self.leave();
        if !self.running.get() {
            self.release(env);
        }
    }

    /// Looks how far the events of a call got. What has not settled is looked at again later.
    pub(super) fn collect(&self, events: &CallEvents) {
        let (mut slots, mut inbox) = (self.slots.borrow_mut(), self.inbox.borrow_mut());
        let mut unsettled = self.unsettled.borrow_mut();
        let mut settled = 0_u32;
        for (index, (slot, position)) in events.iter().enumerate() {
            if self.control().state(slot) == EventState::Settled {
                end(&mut slots, &mut inbox, slot);
                settled |= 1 << index;
            } else {
                unsettled.push((slot, position));
            }
        }
        if settled != 0 {
            let settled = events.iter().enumerate().filter(|(index, _)| settled & (1 << index) != 0);
            let mut lookup = inbox.lookup();
            self.worker.settle(settled.filter_map(|(_, (_, position))| lookup.get(position)));
        }
        drop((slots, inbox, unsettled));
        self.forget_passed();
    }

    /// Looks again at events whose calls are over. Those that still have not settled are taken out
    /// of their batches.
    pub(super) fn collect_unsettled(&self) {
        let mut unsettled = self.unsettled.borrow_mut();
        if unsettled.is_empty() {
            return;
        }
        let (mut slots, mut inbox) = (self.slots.borrow_mut(), self.inbox.borrow_mut());
        unsettled.retain(|&(slot, position)| {
            let state = self.control().state(slot);
            if state == EventState::Settled {
                end(&mut slots, &mut inbox, slot);
                return true;
            }
            if let (Some(content), Some(event)) =
                (slots.get_mut(slot), inbox.take(position, state == EventState::Started))
            {
                self.kept.set(self.kept.get() + 1);
                *content = SlotEvent::Kept(self.kept.get(), event);
            }
            false
        });
        let mut lookup = inbox.lookup();
        self.worker.settle(unsettled.drain(..).filter_map(|(_, position)| lookup.get(position)));
        drop((slots, inbox, unsettled));
        self.forget_passed();
    }

    /// Frees batches whose events are not looked at any more.
    pub(super) fn forget_passed(&self) {
        if self.unsettled.borrow().is_empty() {
            self.inbox.borrow_mut().forget_passed();
        }
    }

    /// Looks which kept events have settled since the last time.
    pub(super) fn collect_settled(&self) {
        let mut list = self.promises.borrow_mut();
        self.control().take_settled(&mut list);
        if list.is_empty() {
            return;
        }
        let mut slots = self.slots.borrow_mut();
        let settled = list.drain(..).filter(|slot| self.control().state(*slot) == EventState::Settled);
        let kept: Vec<Event> = settled.filter_map(|slot| take_kept(&mut slots, slot)).collect();
        drop(slots);
        self.worker.settle(kept.iter());
    }

    /// Deals with what the dispatcher has thrown: a mistake of ours. Fails if the thread is being
    /// terminated.
    pub(super) fn recover(&self, env: Env<'_>, events: &CallEvents) -> Result<(), Failed> {
        let error = env.take_exception().filter(|error| env.is_object(*error)).ok_or(Failed)?;
        env.uncaught(error);
        self.collect_unsettled();
        // The event whose handler was started has thrown, or else the first that waits. It counts
        // as settled. The other events get another call.
        let mut slots = self.slots.borrow_mut();
        let left: Vec<(EventState, Event)> = events
            .iter()
            .filter_map(|(slot, _)| {
                let state = self.control().state(slot);
                take_kept(&mut slots, slot).map(|kept| (state, kept))
            })
            .collect();
        drop(slots);
        let (thrown, mut waiting): (Vec<_>, Vec<_>) =
            left.into_iter().partition(|(state, _)| *state != EventState::Waiting);
        let mut thrown: Vec<Event> = thrown.into_iter().map(|(_, kept)| kept).collect();
        if thrown.is_empty() && !waiting.is_empty() {
            thrown.push(waiting.remove(0).1);
        }
        self.worker.settle(thrown.iter());
        self.inbox.borrow_mut().put_back(waiting.into_iter().map(|(_, event)| event).collect());
        Ok(())
    }

    /// Closes the connections of events that could not be made into values, because the engine has
    /// no memory for them, with 1011.
    pub(super) fn close_connections_of(&self, env: Env<'_>, lost: &[Position]) {
        if lost.is_empty() {
            return;
        }
        let _ = env.take_exception();
        let inbox = self.inbox.borrow();
        let events = || lost.iter().filter_map(|position| inbox.get(*position)).map(|(event, _)| event);
        for event in events() {
            let id = event.socket.id();
            tracing::error!(socket = id.get(), "no memory to pass an event to its handler; the connection is closed");
            thread_cork::with(|_, cork| cork.close(id, CloseCode::INTERNAL, ""));
        }
        self.worker.settle(events());
    }

    /// Takes no more events, and returns those whose handlers have not been called: at once, or
    /// when the current run is over.
    pub(super) fn leave(&self) {
        self.leaving.set(true);
        if !self.running.get() {
            self.return_events();
        }
    }

    /// Leaves the broker. Events whose handlers have not been called go to other workers.
    pub(super) fn return_events(&self) {
        let arrived = self.worker.close();
        self.operations.borrow_mut().clear();
        process::remove_worker(&self.worker);
        self.worker.waker().end();
        thread_cork::flush();
        self.unsettled.borrow_mut().clear();
        let mut inbox = self.inbox.borrow_mut();
        let mut unstarted: Vec<(u64, Event)> = Vec::new();
        let mut started: Vec<Event> = Vec::new();
        for (slot, content) in self.slots.borrow_mut().take_all() {
            let (order, event) = match content {
                SlotEvent::Kept(order, event) => (order, event),
                // The environment ended in the middle of a call.
                SlotEvent::InBatch { position, .. } => match inbox.take(position, false) {
                    Some(event) => (position.order(), event),
                    None => continue,
                },
            };
            match self.control().state(slot) {
                EventState::Waiting => unstarted.push((order, event)),
                EventState::Started | EventState::Settled => started.push(event),
            }
        }
        unstarted.sort_unstable_by_key(|(order, _)| *order);
        tracing::debug!(number = self.number, started = started.len(), waiting = unstarted.len(), "a worker leaves");
        let unstarted = unstarted.into_iter().map(|(_, event)| event).collect();
        let mut batches: Vec<Batch> = vec![inbox::batch_of(unstarted)];
        batches.extend(inbox.take_all());
        batches.extend(arrived);
        drop(inbox);
        // An open event that has no verdict is dropped, and its connection is refused with 503.
        self.worker.settle(started.iter());
        drop(started);
        let unreported = self.worker.retire(batches);
        if self.helper.is_some() {
            instance::add_unreported(self.control().thread_id(), unreported);
            instance::helper_left(self.number);
        }
    }
}

/// Takes the reply out of an open event. What stays is only settled, so its kind does not matter.
pub(super) fn take_open(event: &mut Event) -> Option<OpenReply> {
    if !matches!(event.kind, EventKind::Open(_)) {
        return None;
    }
    match std::mem::replace(&mut event.kind, EventKind::Drain) {
        EventKind::Open(open) => Some(open.reply),
        _ => None,
    }
}

/// The handler of an event has settled that is still in its batch.
fn end(slots: &mut Slab<SlotEvent>, inbox: &mut Inbox, slot: u32) {
    // If there was no verdict, the connection gets its 503 now, and not when the batch is dropped.
    if let Some(SlotEvent::InBatch { position, asks: true }) = slots.get(slot)
        && let Some(event) = inbox.get_mut(*position)
    {
        drop(take_open(event));
    }
    slots.free(slot);
}

/// Takes an event out of its slot, if it was kept beyond its call.
fn take_kept(slots: &mut Slab<SlotEvent>, slot: u32) -> Option<Event> {
    match slots.get(slot)? {
        SlotEvent::InBatch { .. } => None,
        SlotEvent::Kept(..) => match slots.take(slot)? {
            SlotEvent::Kept(_, event) => Some(event),
            SlotEvent::InBatch { .. } => None,
        },
    }
}
