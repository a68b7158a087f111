//! Channels with history: where they are, what they keep, and sockets that recover what they have
//! missed.

use std::sync::Arc;

use bytes::Bytes;
use wsbroker_proto::MessageKind;

use super::{
    Broker, BrokerState,
    membership::{is_member, join},
};
use crate::{
    cork::Cork,
    error::{HistoryError, SubscribeError},
    history::{ChannelHistory, HistoryEntry, HistoryPage, HistoryPosition, HistoryRing, HistoryTotals, Since},
    ids::SocketId,
    registry::{Membership, Socket},
    shard::{Command, ConnectionKey, Recover},
};

/// What became of a [recovery](Broker::recover).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Recovery {
    /// Nothing that the socket has to get is missing.
    pub recovered: bool,
    /// The head of the channel: what comes behind it is new.
    pub position: HistoryPosition,
    /// Messages up to there that the socket gets first.
    pub replayed: u64,
}

impl Recovery {
    /// Of a socket that is gone.
    #[must_use]
    pub fn none(position: HistoryPosition) -> Self {
        Self { recovered: false, position, replayed: 0 }
    }
}

/// A part of a channel's history.
#[derive(Clone, Debug)]
pub struct HistorySlice {
    /// The head of the channel.
    pub position: HistoryPosition,
    /// Every message since the place that was asked for is still kept.
    pub complete: bool,
    /// The messages, in the order that was asked for.
    pub messages: Vec<HistoryMessage>,
}

/// A message that a channel keeps.
#[derive(Clone, Debug)]
pub struct HistoryMessage(Arc<HistoryEntry>);

impl HistorySlice {
    pub(super) fn new(page: HistoryPage) -> Self {
        let messages = page.entries.into_iter().map(HistoryMessage).collect();
        Self { position: page.position, complete: page.complete, messages }
    }
}

impl HistoryMessage {
    /// Its place in the channel.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.0.offset
    }

    /// Whether it is text.
    #[must_use]
    pub fn kind(&self) -> MessageKind {
        self.0.kind
    }

    /// The payload as it was published.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.0.payload()
    }
}

impl Broker {
    /// Where the head of a channel is; offset 0 before the first publish.
    ///
    /// # Errors
    /// [`HistoryError::NoHistory`].
    pub fn position(&self, cork: &mut Cork, channel: &[u8]) -> Result<HistoryPosition, HistoryError> {
        cork.flush();
        Ok(self.state().histories.position(&self.state().history_of(channel)?))
    }

    /// At most `limit` of the messages that a channel keeps, behind `since`, the oldest or
    /// (`reverse`) the newest first. Without `since`: from before the first on. If `since` is
    /// unknown, of all there are, and not complete.
    ///
    /// # Errors
    /// [`HistoryError::NoHistory`].
    pub fn history(
        &self,
        cork: &mut Cork,
        channel: &[u8],
        since: Option<HistoryPosition>,
        limit: usize,
        reverse: bool,
    ) -> Result<HistorySlice, HistoryError> {
        cork.flush();
        Ok(HistorySlice::new(self.state().histories.page(&self.state().history_of(channel)?, since, limit, reverse)))
    }

    /// Subscribes a socket, and has it get what it has missed since a position before anything
    /// newer: in one step, without hole or duplicate. If something of it is gone, or there is more
    /// than the rule's `max_replay`, nothing is replayed: the socket is subscribed from now on or,
    /// with `or_reject`, not at all. A socket that is gone recovers nothing.
    ///
    /// # Errors
    /// [`HistoryError`]: the channel has no history, the socket is in it already, or may not be.
    pub fn recover(
        &self,
        cork: &mut Cork,
        id: SocketId,
        channel: &[u8],
        since: Since,
        or_reject: bool,
    ) -> Result<Recovery, HistoryError> {
        let history = self.state().history_of(channel)?;
        self.state().check_name(channel)?;
        cork.flush();
        let Some(socket) = self.state().sockets.get(id) else {
            let position = self.state().histories.position(&history);
            return Ok(Recovery::none(position));
        };
        self.state().recover_socket(&socket, &history, since, u64::MAX, or_reject, |_, _, _| Ok(()), |_, _| None)
    }

    /// Deletes the messages of a channel below this offset, or all. If none is left a new epoch
    /// begins: its subscribers are told, see [`EventKind::Lost`](crate::EventKind::Lost), or
    /// closed. What is on its way to a socket already is not taken back.
    ///
    /// # Errors
    /// [`HistoryError::NoHistory`].
    pub fn delete_history(&self, cork: &mut Cork, channel: &[u8], before: Option<u64>) -> Result<(), HistoryError> {
        let inner = self.state();
        let history = inner.history_of(channel)?;
        cork.flush();
        let mut ring = history.lock();
        if inner.histories.delete(&history, &mut ring, before)
            && let Some(channel) = inner.channels.get(channel)
        {
            // With the ring locked: behind what was numbered in the old epoch, and before the new.
            let position = ring.position();
            inner.push_all(|| Command::EpochChanged(Arc::clone(&channel), position));
        }
        Ok(())
    }
}

impl BrokerState {
    pub(super) fn history_of(&self, channel: &[u8]) -> Result<Arc<ChannelHistory>, HistoryError> {
        self.histories.of(channel).ok_or(HistoryError::NoHistory)
    }

    /// `check` has the last word, with the socket's memberships, the ring and about how many bytes
    /// would be replayed. `announce` makes a frame that comes before every one of the channel,
    /// which goes on behind that position.
    #[expect(clippy::too_many_arguments, reason = "one step, under two locks")]
    pub(super) fn recover_socket<E: From<HistoryError>>(
        &self,
        socket: &Socket,
        history: &Arc<ChannelHistory>,
        since: Since,
        max_replay: u64,
        or_reject: bool,
        check: impl FnOnce(&Membership, &HistoryRing, u64) -> Result<(), E>,
        announce: impl FnOnce(&Recovery, HistoryPosition) -> Option<Bytes>,
    ) -> Result<Recovery, E> {
        let totals = &self.histories.totals;
        let mut membership = socket.membership();
        if is_member(&self.channels, &membership, history.name()) {
            return Err(HistoryError::Subscribed.into());
        }
        if let Some(max) = self.config.max_channels_per_socket
            && membership.channels.len() >= max
        {
            return Err(HistoryError::from(SubscribeError::TooManyChannels { max }).into());
        }
        // From here to the end nothing is numbered: what was has been given to the shards before
        // the command, and what comes is given to them behind it.
        let mut ring = history.lock();
        let next = self.histories.next_after(history, &mut ring, since, max_replay);
        let position = ring.position();
        let replayed = next.map_or(0, |next| position.offset + 1 - next);
        check(&membership, &ring, ring.bytes_of(replayed))?;
        if membership.sealed || (next.is_none() && or_reject) {
            HistoryTotals::count(&totals.not_recovered, 1);
            return Ok(Recovery::none(position));
        }
        let recovery = Recovery { recovered: next.is_some(), position, replayed };
        let channel = join(&self.channels, &mut membership, socket, history.name());
        let since = HistoryPosition { offset: position.offset - replayed, ..position };
        let announcement = announce(&recovery, since);
        self.shard(socket.shard()).push(if replayed > 0 || announcement.is_some() {
            Command::Recover(ConnectionKey::of(socket), Box::new(Recover { channel, since, announcement }))
        } else {
            Command::Subscribe(ConnectionKey::of(socket), channel)
        });
        HistoryTotals::count(if recovery.recovered { &totals.recovered } else { &totals.not_recovered }, 1);
        HistoryTotals::count(&totals.replayed, replayed);
        Ok(recovery)
    }
}
