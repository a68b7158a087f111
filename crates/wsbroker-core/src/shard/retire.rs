//! Sockets that have ended leave their channels: most at once, those that are in very many over
//! several turns, while others are read and written.
//!
//! Handlers hear of an end only after that, so that they find the socket in no channel. Until then
//! its slot is not reused: it is still in lists.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    Shard,
    context::ShardContext,
    retiring::{CloseNotice, Retired, RetiringSocket},
};
use crate::{ids::NamespaceId, registry::Socket, worker::Handlers};

/// Channels that one socket leaves before the next has its share.
const SHARE: usize = 256;

impl Shard {
    /// Takes those out of their channels that have just ended, or lets them begin to leave.
    pub(super) fn retire_all(&mut self) {
        let mut retired = std::mem::take(&mut self.ctx.retired);
        for one in retired.drain(..) {
            self.retire(one);
        }
        self.ctx.retired = retired;
    }

    fn retire(&mut self, Retired { socket, notice }: Retired) {
        let slot = socket.slot();
        self.ctx.broker.sockets.remove(socket.id());
        if let Some(leaver) = self.retiring.by_slot.get_mut(&slot) {
            // Its namespace's worker had ended first.
            leaver.notice = leaver.notice.take().or(notice);
            return;
        }
        let channels = self.ctx.broker.retire(&socket);
        if let Some(channels) = &channels
            && self.ctx.turn.take_leaves(channels.len())
        {
            for channel in channels.iter() {
                self.ctx.broker.leave(&socket, channel);
                self.lists.remove(channel.id(), slot);
            }
            if let Some(notice) = notice {
                self.ctx.tell(&socket, notice);
            }
            return;
        }
        let channels = channels.map(IntoIterator::into_iter);
        self.retiring.by_slot.insert(slot, RetiringSocket { socket, channels, notice, is_gone: false });
        self.retiring.order.push_back(slot);
    }

    /// Lets those that are in very many channels leave some more.
    pub(super) fn go_on_retiring(&mut self) {
        if self.retiring.is_empty() {
            return;
        }
        let mut room = self.ctx.turn.remaining_leaves();
        let mut locked = 0;
        while room > 0
            && locked < self.retiring.order.len()
            && let Some(slot) = self.retiring.order.pop_front()
        {
            let Some(leaver) = self.retiring.by_slot.get_mut(&slot) else { continue };
            if leaver.channels.is_none() {
                leaver.channels = self.ctx.broker.retire(&leaver.socket).map(IntoIterator::into_iter);
            }
            let Some(channels) = &mut leaver.channels else {
                locked += 1;
                self.retiring.order.push_back(slot);
                continue;
            };
            locked = 0;
            let share = room.min(SHARE);
            let mut left = 0;
            for (id, channel) in channels.by_ref().take(share) {
                self.ctx.broker.leave(&leaver.socket, &channel);
                self.lists.remove(id, slot);
                left += 1;
            }
            room -= left;
            if left == share {
                self.retiring.order.push_back(slot);
            } else if let Some(RetiringSocket { socket, notice, is_gone, .. }) = self.retiring.by_slot.remove(&slot) {
                if let Some(notice) = notice {
                    self.ctx.tell(&socket, notice);
                }
                if is_gone {
                    self.handle().give_slot(slot);
                }
            }
        }
    }
}

impl ShardContext {
    /// Hands the close event over. The socket is in no channel any more.
    fn tell(&mut self, socket: &Arc<Socket>, mut notice: CloseNotice) {
        // It has had no worker since before its 101, so workers that have joined since do not know
        // it. But while events wait for a worker, its own may be among them, and a worker that has
        // joined gets those first.
        let of_namespace = socket.namespace().is_some();
        let waits = of_namespace || !self.unassigned.is_empty();
        if notice.worker.is_none() && !waits {
            notice.move_to(self.broker.dispatch.assign(NamespaceId::RAW));
        }
        let CloseNotice { worker, kind, endpoint } = notice;
        match worker {
            Some(worker) => {
                // Most sockets have no token, and most workers no handler for an end: they would be
                // woken for nothing.
                let forgets = worker.handlers.contains(Handlers::FORGET) && socket.token_version() != 0;
                if forgets || worker.handlers.contains(Handlers::CLOSE) {
                    socket.enter_other();
                    self.batches.push(&worker, socket, kind);
                }
                if endpoint.is_some() {
                    worker.release();
                }
            }
            // What its worker knew of it went with that.
            None if of_namespace => {}
            None => {
                socket.enter_other();
                self.keep(socket, kind, Bytes::new());
            }
        }
        self.leaving.extend(endpoint);
    }
}
