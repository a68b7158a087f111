//! Which sockets are in which channels: every change is made in the registry and told to the
//! socket's shard, under the lock of the socket's memberships.

use std::{collections::HashSet, sync::Arc};

use super::BrokerState;
use crate::{
    error::SubscribeError,
    registry::{Channel, ChannelId, Channels, Membership, Socket, SocketChannels},
    shard::{Change, Command, ConnectionKey},
};

impl BrokerState {
    /// Adds a socket to a channel. The membership lock is held until the command is pushed,
    /// otherwise two threads could be applied the other way round.
    pub(crate) fn subscribe_socket(&self, socket: &Socket, name: &[u8]) -> Result<bool, SubscribeError> {
        self.check_name(name)?;
        let mut membership = socket.membership();
        if membership.sealed || is_member(&self.channels, &membership, name) {
            return Ok(false);
        }
        if let Some(max) = self.config.max_channels_per_socket
            && membership.channels.len() >= max
        {
            return Err(SubscribeError::TooManyChannels { max });
        }
        let channel = join(&self.channels, &mut membership, socket, name);
        self.shard(socket.shard()).push(Command::Subscribe(ConnectionKey::of(socket), channel));
        Ok(true)
    }

    /// As [`subscribe_socket`](Self::subscribe_socket), to all of the channels or to none. Returns
    /// how many are new.
    pub(super) fn subscribe_to_all<N: AsRef<[u8]>>(
        &self,
        socket: &Socket,
        names: &[N],
    ) -> Result<usize, SubscribeError> {
        let mut membership = socket.membership();
        self.check_names(&membership, names)?;
        if membership.sealed {
            return Ok(0);
        }
        let mut channels = Vec::with_capacity(names.len());
        for name in names.iter().map(AsRef::as_ref) {
            if !is_member(&self.channels, &membership, name) {
                channels.push(join(&self.channels, &mut membership, socket, name).id());
            }
        }
        let added = channels.len();
        self.tell(socket, Change::Join, channels);
        Ok(added)
    }

    /// Whether a socket may be added to all these channels.
    pub(crate) fn may_subscribe<N: AsRef<[u8]>>(&self, socket: &Socket, names: &[N]) -> Result<(), SubscribeError> {
        self.check_names(&socket.membership(), names)
    }

    fn check_names<N: AsRef<[u8]>>(&self, membership: &Membership, names: &[N]) -> Result<(), SubscribeError> {
        names.iter().try_for_each(|name| self.check_name(name.as_ref()))?;
        let Some(max) = self.config.max_channels_per_socket else { return Ok(()) };
        let own = membership.channels.len();
        if own + names.len() <= max {
            return Ok(());
        }
        let new = names.iter().map(AsRef::as_ref).filter(|name| !is_member(&self.channels, membership, name));
        if own + new.collect::<HashSet<_>>().len() <= max {
            Ok(())
        } else {
            Err(SubscribeError::TooManyChannels { max })
        }
    }

    pub(super) fn check_name(&self, name: &[u8]) -> Result<(), SubscribeError> {
        match self.config.max_channel_name_length {
            Some(max) if name.len() > max => Err(SubscribeError::NameTooLong { max, length: name.len() }),
            _ => Ok(()),
        }
    }

    pub(super) fn unsubscribe_socket(&self, socket: &Socket, name: &[u8]) -> bool {
        self.unsubscribe_from(&self.channels, socket, name)
    }

    /// Adds a socket of a namespace to one of the namespace's channels. False when it was in it, or
    /// is gone.
    pub(crate) fn subscribe_to(&self, channels: &Channels, socket: &Socket, name: &[u8]) -> bool {
        let mut membership = socket.membership();
        if membership.sealed || is_member(channels, &membership, name) {
            return false;
        }
        let channel = join(channels, &mut membership, socket, name);
        self.shard(socket.shard()).push(Command::Subscribe(ConnectionKey::of(socket), channel));
        true
    }

    /// Takes a socket out of one of these channels. False when it was not in it.
    pub(crate) fn unsubscribe_from(&self, channels: &Channels, socket: &Socket, name: &[u8]) -> bool {
        let mut membership = socket.membership();
        let Some(channel) = channels.get(name) else { return false };
        if !membership.channels.remove(channel.id()) {
            return false;
        }
        channels.leave(&channel, socket.id(), socket.shard());
        self.shard(socket.shard()).push(Command::Unsubscribe(ConnectionKey::of(socket), channel));
        true
    }

    /// Takes a socket out of all its channels. Returns how many.
    pub(crate) fn unsubscribe_from_all(&self, socket: &Socket) -> usize {
        self.empty(&mut socket.membership(), socket)
    }

    fn empty(&self, membership: &mut Membership, socket: &Socket) -> usize {
        let channels = std::mem::take(&mut membership.channels);
        channels.iter().for_each(|channel| self.leave(socket, channel));
        let count = channels.len();
        self.tell(socket, Change::Leave, channels.into_iter().map(|(id, _)| id).collect());
        count
    }

    /// Tells a socket's shard of many changes. One command, so that the queue is locked no longer
    /// than for one.
    fn tell(&self, socket: &Socket, change: Change, channels: Vec<ChannelId>) {
        if !channels.is_empty() {
            self.shard(socket.shard()).push(Command::Change(ConnectionKey::of(socket), change, channels.into()));
        }
    }

    /// For a socket that has ended, or is in no channel any more until it does: it can join none,
    /// and leaves those that are returned, see [`leave`](Self::leave). Only its shard calls this,
    /// and must not wait: `None` while another thread changes the memberships.
    pub(crate) fn retire(&self, socket: &Socket) -> Option<SocketChannels> {
        let mut membership = socket.try_membership()?;
        membership.sealed = true;
        Some(std::mem::take(&mut membership.channels))
    }

    /// Takes a socket of a namespace out of all its channels, for good. It stays open.
    pub(crate) fn seal(&self, socket: &Socket) {
        let mut membership = socket.membership();
        membership.sealed = true;
        self.empty(&mut membership, socket);
    }

    /// Takes a socket out of a channel that is no longer one of its memberships. In the registry
    /// only; the caller tells its shard.
    pub(crate) fn leave(&self, socket: &Socket, channel: &Arc<Channel>) {
        self.channels_of(socket, channel).leave(channel, socket.id(), socket.shard());
    }

    /// The set that this channel of a socket is in.
    fn channels_of<'a>(&'a self, socket: &'a Socket, channel: &Channel) -> &'a Channels {
        socket.namespace().map_or(&self.channels, |namespace| namespace.channels(channel.set()))
    }
}

pub(super) fn is_member(channels: &Channels, membership: &Membership, name: &[u8]) -> bool {
    channels.get(name).is_some_and(|channel| membership.channels.contains(channel.id()))
}

/// In the registry only; the caller tells the socket's shard.
pub(super) fn join(channels: &Channels, membership: &mut Membership, socket: &Socket, name: &[u8]) -> Arc<Channel> {
    let channel = channels.join(name, socket.id(), socket.shard());
    membership.channels.insert(Arc::clone(&channel));
    channel
}
