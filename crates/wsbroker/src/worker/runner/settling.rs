//! What becomes of events that were handed over: settled, kept until they are, or given back.

use wsbroker_core::{Batch, CloseCode, Event, EventKind, OpenReply};

use super::{Desk, Place};
use crate::{
    helper::instance,
    js::raw::{Env, Failed},
    process,
    worker::{
        control_block::EventState,
        dispatch_call::Taken,
        inbox::{self, Inbox, Position},
        slab::Slab,
        thread_cork,
    },
};

impl Desk {
    /// Takes no events any more, and lets JavaScript's functions go: at once, or when the call that is being made is over.
    pub(super) fn dismiss(&self, env: Env<'_>) {
        self.leave();
        if !self.handing_over.get() {
            self.release(env);
        }
    }

    /// Looks how far the events of a call got.
    pub(super) fn collect(&self, taken: &Taken) {
        let (mut slots, mut inbox) = (self.slots.borrow_mut(), self.inbox.borrow_mut());
        let mut unsettled = self.unsettled.borrow_mut();
        let mut settled = 0_u32;
        for (index, (slot, position)) in taken.iter().enumerate() {
            if self.control().state(slot) == EventState::Settled {
                end(&mut slots, &mut inbox, slot, position);
                settled |= 1 << index;
            } else {
                unsettled.push((slot, position));
            }
        }
        if settled != 0 {
            let settled = taken.iter().enumerate().filter(|(index, _)| settled & (1 << index) != 0);
            self.worker.settle(settled.filter_map(|(_, (_, position))| inbox.get(position)).map(|(event, _)| event));
        }
        drop((slots, inbox, unsettled));
        self.forget_passed();
    }

    /// Looks again at events whose calls are over. Those that still have not settled are taken out of their batches.
    pub(super) fn collect_unsettled(&self) {
        let mut unsettled = self.unsettled.borrow_mut();
        if unsettled.is_empty() {
            return;
        }
        let (mut slots, mut inbox) = (self.slots.borrow_mut(), self.inbox.borrow_mut());
        unsettled.retain(|&(slot, position)| {
            let state = self.control().state(slot);
            if state == EventState::Settled {
                end(&mut slots, &mut inbox, slot, position);
                return true;
            }
            if let (Some(place), Some(event)) =
                (slots.get_mut(slot), inbox.take(position, state == EventState::Started))
            {
                self.kept.set(self.kept.get() + 1);
                *place = Place::Kept(self.kept.get(), event);
            }
            false
        });
        let settled = unsettled.drain(..).filter_map(|(_, position)| inbox.get(position)).map(|(event, _)| event);
        self.worker.settle(settled);
        drop((slots, inbox, unsettled));
        self.forget_passed();
    }

    /// Frees batches that nobody looks at any more.
    pub(super) fn forget_passed(&self) {
        if self.unsettled.borrow().is_empty() {
            self.inbox.borrow_mut().forget_passed();
        }
    }

    /// Looks which promises of events that were kept have settled since the last time.
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

    /// After a throw that passed the dispatcher, which is a mistake of ours, or while the thread is being terminated.
    pub(super) fn recover(&self, env: Env<'_>, taken: &Taken) -> Result<(), Failed> {
        let error = env.take_exception().filter(|error| env.is_object(*error)).ok_or(Failed)?;
        env.uncaught(error);
        self.collect_unsettled();
        // Whoever threw is the one in hand, or else the first that waits: it is done for. The rest gets another call.
        let mut slots = self.slots.borrow_mut();
        let left: Vec<(EventState, Event)> = taken
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

    /// Events that could not be made into values, for want of memory: their connections are closed (1011).
    pub(super) fn lose(&self, env: Env<'_>, lost: &[Position]) {
        if lost.is_empty() {
            return;
        }
        let _ = env.take_exception();
        let inbox = self.inbox.borrow();
        let events = || lost.iter().filter_map(|position| inbox.get(*position)).map(|(event, _)| event);
        for event in events() {
            let id = event.socket.id();
            tracing::error!(%id, "an event could not be handed over; its connection is closed");
            thread_cork::with(|_, cork| cork.close(id, CloseCode::INTERNAL, ""));
        }
        self.worker.settle(events());
    }

    /// Takes no events any more, and gives back what its handlers have not begun: at once, or when the call that is being made is over.
    pub(super) fn leave(&self) {
        self.leaving.set(true);
        if !self.handing_over.get() {
            self.give_back();
        }
    }

    pub(super) fn give_back(&self) {
        let arrived = self.worker.close();
        self.posts.borrow_mut().clear();
        process::remove_worker(&self.worker);
        self.worker.wake().end();
        thread_cork::flush();
        self.unsettled.borrow_mut().clear();
        let mut inbox = self.inbox.borrow_mut();
        let mut unstarted: Vec<(u64, Event)> = Vec::new();
        let mut started: Vec<Event> = Vec::new();
        for (slot, place) in self.slots.borrow_mut().take_all() {
            let (order, event) = match place {
                Place::Kept(order, event) => (order, event),
                // The environment has ended in the middle of a call.
                Place::Here(position) => match inbox.take(position, false) {
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
        let mut batches: Vec<Batch> = vec![inbox::alone(unstarted)];
        batches.extend(inbox.take_all());
        batches.extend(arrived);
        drop(inbox);
        // A verdict that was being thought about is dropped with its event: the connection gets 503.
        self.worker.settle(started.iter());
        drop(started);
        let untold = self.worker.retire(batches);
        if self.helper.is_some() {
            instance::untold(self.control().thread_id(), untold);
            instance::left(self.number);
        }
    }
}

/// Takes the question out of an open event. Any other kind that costs as little will do in its place: it is only settled from here on.
pub(super) fn take_open(event: &mut Event) -> Option<OpenReply> {
    if !matches!(event.kind, EventKind::Open(_)) {
        return None;
    }
    match std::mem::replace(&mut event.kind, EventKind::Drain) {
        EventKind::Open(open) => Some(open.reply),
        _ => None,
    }
}

/// The handler of an event that lies in its batch has settled.
fn end(slots: &mut Slab<Place>, inbox: &mut Inbox, slot: u32, position: Position) {
    slots.take(slot);
    // Without a verdict the connection gets its 503 now, and not when the batch is over.
    if let Some(event) = inbox.get_mut(position) {
        drop(take_open(event));
    }
}

/// Takes an event out of its slot, if it was kept beyond its call.
fn take_kept(slots: &mut Slab<Place>, slot: u32) -> Option<Event> {
    match slots.get(slot)? {
        Place::Here(_) => None,
        Place::Kept(..) => match slots.take(slot)? {
            Place::Kept(_, event) => Some(event),
            Place::Here(_) => None,
        },
    }
}
