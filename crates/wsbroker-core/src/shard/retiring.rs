//! Sockets that have ended and are still in channels.

use std::{collections::VecDeque, sync::Arc};

use rustc_hash::FxHashMap;

use crate::{
    admission::Endpoint,
    dispatch::WorkerEntry,
    event::EventKind,
    registry::{LeavingChannels, Socket},
};

/// A socket that has to leave its channels.
#[derive(Debug)]
pub(super) struct Retired {
    pub(super) socket: Arc<Socket>,
    /// `None` if handlers are not told, or not yet.
    pub(super) notice: Option<CloseNotice>,
}

/// The close event of a connection, and the counts that the connection is in until the event is
/// handed over.
#[derive(Debug)]
pub(super) struct CloseNotice {
    pub(super) worker: Option<Arc<WorkerEntry>>,
    pub(super) kind: EventKind,
    /// `None` when it no longer counts among the connections of its listener and of its worker.
    pub(super) endpoint: Option<Arc<Endpoint>>,
}

impl CloseNotice {
    /// This worker is told, or the next one that joins. The connection counts there already.
    pub(super) fn move_to(&mut self, worker: Option<Arc<WorkerEntry>>) {
        let uncounted = if self.endpoint.is_some() { &self.worker } else { &worker };
        if let Some(worker) = uncounted {
            worker.release();
        }
        self.worker = worker;
    }
}

/// One that is on its way out.
#[derive(Debug)]
pub(super) struct RetiringSocket {
    pub(super) socket: Arc<Socket>,
    /// `None` while another thread changes its memberships.
    pub(super) channels: Option<LeavingChannels>,
    pub(super) notice: Option<CloseNotice>,
    /// Its connection is gone, and its slot can be given back.
    pub(super) is_gone: bool,
}

/// Sockets that are on their way out, by slot, and in which order they have their share.
#[derive(Debug, Default)]
pub(super) struct Retiring {
    pub(super) by_slot: FxHashMap<u32, RetiringSocket>,
    pub(super) order: VecDeque<u32>,
}

impl Retiring {
    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Whether one of them can leave more channels.
    pub(super) fn can_go_on(&self) -> bool {
        self.by_slot.values().any(|leaver| leaver.channels.is_some())
    }

    /// The connection at this slot is gone. True when the slot is still needed.
    pub(super) fn keep_slot(&mut self, slot: u32) -> bool {
        let Some(leaver) = self.by_slot.get_mut(&slot) else { return false };
        leaver.is_gone = true;
        true
    }

    /// The worker that is to be told of the end of this socket, if none has been yet.
    pub(super) fn worker_of(&self, socket: &Socket) -> Option<&Arc<WorkerEntry>> {
        let leaver = self.by_slot.get(&socket.slot()).filter(|leaver| leaver.socket.id() == socket.id())?;
        leaver.notice.as_ref()?.worker.as_ref()
    }

    pub(super) fn notices(&mut self) -> impl Iterator<Item = (&Arc<Socket>, &mut CloseNotice)> {
        self.by_slot
            .values_mut()
            .filter_map(|RetiringSocket { socket, notice, .. }| notice.as_mut().map(|notice| (&*socket, notice)))
    }
}
