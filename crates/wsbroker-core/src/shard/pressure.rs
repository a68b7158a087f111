//! What happens when memory is used up: the worst go first.

use wsbroker_proto::CloseCode;

use super::{Shard, connection::Phase};

/// A frame that was begun and is longer than this is not finished for the sake of a close frame.
const FINISH_MAX: usize = 64 << 10;

impl Shard {
    /// Reports this shard's share of the memory, and closes connections while the whole is above a limit.
    pub(super) fn relieve(&mut self) {
        let memory = &self.ctx.inner.memory;
        memory.send_changed(self.reported_send, self.ctx.outbox_bytes);
        memory.receive_changed(self.reported_receive, self.ctx.receive_bytes);
        self.reported_send = self.ctx.outbox_bytes;
        self.reported_receive = self.ctx.receive_bytes;
        if memory.send_is_full() && self.ctx.outbox_bytes > 0 {
            self.close_slowest();
        }
        if self.ctx.inner.memory.receive_is_full() && self.ctx.receive_bytes > 0 {
            self.close_largest();
        }
    }

    fn close_slowest(&mut self) {
        let mut slow: Vec<_> = self
            .connections
            .all()
            .filter(|connection| connection.phase != Phase::Dead && !connection.outbox.is_empty())
            .map(|connection| (connection.outbox.len(), connection.socket.slot()))
            .collect();
        slow.sort_unstable_by(|a, b| b.cmp(a));
        for (_, slot) in slow {
            if !self.ctx.inner.memory.send_is_full() {
                return;
            }
            let Some(connection) = self.connections.at(slot) else { continue };
            let lingering = connection.phase == Phase::Lingering;
            tracing::warn!(socket = %connection.id(), bytes = connection.outbox.len(), "send memory is used up: closing the slowest socket");
            connection.overflow(&mut self.ctx);
            if lingering || connection.outbox.len() > FINISH_MAX {
                connection.cut(&mut self.ctx);
            }
            self.reap();
            self.ctx.inner.memory.send_changed(self.reported_send, self.ctx.outbox_bytes);
            self.reported_send = self.ctx.outbox_bytes;
        }
    }

    fn close_largest(&mut self) {
        let mut large: Vec<_> = self
            .connections
            .all()
            .filter(|connection| connection.receive_held > 0)
            .map(|connection| (connection.receive_held, connection.socket.slot()))
            .collect();
        large.sort_unstable_by(|a, b| b.cmp(a));
        for (_, slot) in large {
            if !self.ctx.inner.memory.receive_is_full() {
                return;
            }
            let Some(connection) = self.connections.at(slot) else { continue };
            tracing::warn!(socket = %connection.id(), bytes = connection.receive_held, "receive memory is used up: closing the largest message");
            connection.fail(&mut self.ctx, CloseCode::TRY_AGAIN);
            connection.count_receive(&mut self.ctx);
            self.reap();
            self.ctx.inner.memory.receive_changed(self.reported_receive, self.ctx.receive_bytes);
            self.reported_receive = self.ctx.receive_bytes;
        }
    }
}
