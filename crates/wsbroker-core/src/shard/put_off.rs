//! What a turn of a shard's loop leaves for the next one.

use std::{sync::Arc, vec::IntoIter};

use wsbroker_proto::CloseCode;

use super::command::{Broadcast, Change, Command, ConnectionKey, FrameRange};
use crate::{
    dispatch::WorkerEntry,
    history::{HistoryEntry, HistoryPosition},
    ids::WorkerId,
    registry::{Channel, ChannelId},
};

/// What is left to do of a command.
#[derive(Debug)]
pub(super) enum LongCommand {
    /// A message for these slots, which were the channel's subscribers when its turn came.
    Publish(FrameRange, Option<Arc<Broadcast>>, IntoIter<u32>),
    /// The same, of a channel with history.
    Numbered(Arc<Channel>, Arc<HistoryEntry>, IntoIter<u32>),
    /// These take what follows from the channel's ring.
    FallBehind(Arc<Channel>, HistoryPosition, IntoIter<u32>),
    /// These are told that a new epoch has begun.
    EpochChanged(Arc<Channel>, HistoryPosition, IntoIter<u32>),
    /// From this slot on.
    SendToAll(FrameRange, Option<Arc<Broadcast>>, u32),
    Change(ConnectionKey, Change, IntoIter<ChannelId>),
    CloseMany(IntoIter<ConnectionKey>, Box<(CloseCode, Box<str>)>),
    /// From this slot on, as the following.
    CloseAll(Option<u32>, CloseCode, u32),
    TerminateOf(Option<WorkerId>, u32),
    WorkerJoined(u32),
    WorkerSuperseded(Arc<WorkerEntry>, u32),
    WorkerGone(Arc<WorkerEntry>, u32),
}

/// What a turn has left undone, so that others are read meanwhile. It comes first in the next,
/// before the queue is looked at again.
#[derive(Default)]
pub(super) struct PutOff {
    /// Of a command that was begun.
    pub(super) rest: Option<LongCommand>,
    pub(super) commands: IntoIter<Command>,
    /// Bytes of the queue that these commands came with.
    pub(super) counted: usize,
    /// Connections whose end comes behind these commands.
    pub(super) ending: Vec<ConnectionKey>,
}

impl PutOff {
    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_none() && self.commands.len() == 0
    }
}
