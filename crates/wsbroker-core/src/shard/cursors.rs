//! Where a connection is in the channels with history in which it is behind. What follows from that
//! is in [`catching_up`](super::catching_up).

use std::{
    collections::{VecDeque, hash_map},
    sync::Arc,
};

use rustc_hash::FxHashMap;

use crate::{
    history::{HistoryEpoch, HistoryPosition},
    registry::{Channel, ChannelId},
};

/// The channels in which a connection is behind, or was until now.
#[derive(Debug, Default)]
pub(super) struct Cursors {
    pub(super) by_channel: FxHashMap<ChannelId, Cursor>,
    /// Those that are behind, in the order in which they have their turns. Some may have left.
    pub(super) behind: VecDeque<ChannelId>,
}

/// Where a connection is in a channel.
#[derive(Debug)]
pub(super) struct Cursor {
    pub(super) channel: Arc<Channel>,
    pub(super) epoch: HistoryEpoch,
    /// The offset of the message that it gets next.
    pub(super) next: u64,
    pub(super) state: CursorState,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum CursorState {
    /// It gets what is in the ring.
    Behind,
    /// It has got everything that was in the ring. Commands for some of that may still come.
    CaughtUp,
    /// What it had to get next is gone. It waits for the handler that was told.
    Lost,
}

impl Cursors {
    pub(super) fn put(&mut self, channel: &Arc<Channel>, since: HistoryPosition, state: CursorState) {
        let cursor = Cursor { channel: Arc::clone(channel), epoch: since.epoch, next: since.offset + 1, state };
        self.by_channel.insert(channel.id(), cursor);
        if state == CursorState::Behind {
            self.behind.push_back(channel.id());
        }
    }

    /// The next that is behind.
    pub(super) fn take_behind(&mut self) -> Option<&mut Cursor> {
        while let Some(id) = self.behind.pop_front() {
            if self.by_channel.get(&id).is_some_and(|cursor| cursor.state == CursorState::Behind) {
                return self.by_channel.get_mut(&id);
            }
        }
        None
    }

    /// From now on what follows this position comes out of the ring. True if that is new.
    pub(super) fn fall_behind(&mut self, channel: &Arc<Channel>, since: HistoryPosition) -> bool {
        let Some(cursor) = self.by_channel.get_mut(&channel.id()) else {
            self.put(channel, since, CursorState::Behind);
            return true;
        };
        if cursor.state != CursorState::CaughtUp || since.offset + 1 < cursor.next {
            return false;
        }
        cursor.state = CursorState::Behind;
        self.behind.push_back(channel.id());
        true
    }

    /// Whether a message that comes as a command is the one that the connection gets next.
    pub(super) fn admits(&mut self, channel: ChannelId, offset: u64) -> bool {
        let hash_map::Entry::Occupied(entry) = self.by_channel.entry(channel) else { return true };
        let cursor = entry.get();
        if cursor.state != CursorState::CaughtUp || offset < cursor.next {
            return false;
        }
        debug_assert_eq!(offset, cursor.next, "everything that is numbered comes as a command");
        entry.remove();
        true
    }
}
