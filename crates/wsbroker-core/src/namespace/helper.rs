//! A worker's side of its namespace: what it says of its clients, and what it asks for those of
//! others.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use wsbroker_proto::CloseCode;

use super::{LeftClient, Namespace};
use crate::{
    broker::BrokerState,
    cork::{Cork, SendOutcome, Staged},
    dispatch::WorkerEntry,
    ids::SocketId,
    operation::{Audience, OperationKind},
    registry::{ChannelSet, Socket},
    shard::Command,
};

/// One worker of a namespace. Clones are the same.
///
/// Ids of clients, rooms and users are UTF-8. What it says of a client of another helper is
/// ignored. Where a [`Cork`] is asked for it is the calling thread's: what it holds goes first, so
/// that calls take effect in their order.
#[derive(Clone, Debug)]
pub struct Helper {
    broker: Arc<BrokerState>,
    namespace: Arc<Namespace>,
    entry: Arc<WorkerEntry>,
}

impl Helper {
    pub(crate) fn new(broker: Arc<BrokerState>, namespace: Arc<Namespace>, entry: Arc<WorkerEntry>) -> Self {
        Self { broker, namespace, entry }
    }

    /// The namespace it belongs to.
    #[must_use]
    pub fn namespace(&self) -> &Arc<Namespace> {
        &self.namespace
    }

    /// Whether it gets new connections from now on. It does not before this is called.
    pub fn accept(&self, accepts: bool) {
        self.entry.set_accepts(accepts);
    }

    /// Waits until its connections have ended, at most this long, and cuts those that have not by
    /// then.
    pub async fn emptied(&self, timeout: Duration) {
        if tokio::time::timeout(timeout, self.namespace.emptied(&self.entry)).await.is_err() {
            let worker = Some(Arc::clone(&self.entry));
            self.broker.push_all(|| Command::TerminateOf(worker.clone()));
            // Shards react at once.
            let _ = tokio::time::timeout(Duration::from_secs(1), self.namespace.emptied(&self.entry)).await;
        }
    }

    // --- sockets ---------------------------------------------------------------------------------

    fn socket(&self, cork: &mut Cork, id: SocketId) -> Option<Arc<Socket>> {
        cork.socket_in(self.namespace.id(), id).cloned()
    }

    /// Sends a staged payload to one socket.
    pub fn send(&self, cork: &mut Cork, id: SocketId, staged: Staged) -> SendOutcome {
        match self.socket(cork, id) {
            Some(socket) => cork.send_to(&socket, staged),
            None => SendOutcome::Dropped,
        }
    }

    /// Starts the close handshake with one socket.
    pub fn close(&self, cork: &mut Cork, id: SocketId, code: CloseCode, reason: &str) {
        if let Some(socket) = self.socket(cork, id) {
            cork.close_socket(&socket, code, reason);
        }
    }

    /// Adds a socket to the channel of a room or of a client's id. False when it was in it, or is
    /// gone.
    pub fn subscribe(&self, cork: &mut Cork, id: SocketId, name: &[u8]) -> bool {
        let Some(socket) = self.socket(cork, id) else { return false };
        cork.flush();
        self.broker.subscribe_to(self.namespace.channels(ChannelSet::Primary), &socket, name)
    }

    /// The reverse.
    pub fn unsubscribe(&self, cork: &mut Cork, id: SocketId, name: &[u8]) -> bool {
        let Some(socket) = self.socket(cork, id) else { return false };
        cork.flush();
        self.broker.unsubscribe_from(self.namespace.channels(ChannelSet::Primary), &socket, name)
    }

    /// Whether it is in it.
    #[must_use]
    pub fn is_subscribed(&self, id: SocketId, name: &[u8]) -> bool {
        let Some(channel) = self.namespace.channels(ChannelSet::Primary).get(name) else { return false };
        let socket = self.broker.sockets.get_in(self.namespace.id(), id);
        socket.is_some_and(|socket| socket.membership().channels.contains(channel.id()))
    }

    // --- clients ---------------------------------------------------------------------------------

    /// Registers a client: one with this socket, or one whose socket the application has made.
    /// False when there is a client with that id already: it stays.
    pub fn add_client(&self, client: &[u8], socket: Option<SocketId>) -> bool {
        let socket = socket.and_then(|id| self.broker.sockets.get_in(self.namespace.id(), id));
        self.namespace.directory.write().add(client, &self.entry, socket)
    }

    /// The client is a member of [`Audience::Everybody`] from now on, and may send messages as
    /// large as its listener allows.
    pub fn finish_client(&self, cork: &mut Cork, client: &[u8]) {
        let mut directory = self.namespace.directory.write();
        self.count_held(directory.join(client, self.entry.id, Audience::Everybody));
        let socket = directory.socket_of(client, self.entry.id);
        drop(directory);
        if let Some(socket) = socket {
            cork.lift_payload(&socket);
        }
    }

    /// The client is held from now on, and leaves all its channels. This is one step, so that what
    /// another thread publishes meanwhile reaches it once, directly or through its owner. Returns
    /// the epoch that begins: operations with an earlier one have reached it directly. `None` when
    /// it was held before, or is not this helper's.
    ///
    /// Guards the namespace if it is not [guarded](Namespace::guard) yet. Then what lies in other
    /// threads' corks at this moment does not reach the client.
    pub fn hold_client(&self, cork: &mut Cork, client: &[u8]) -> Option<u64> {
        cork.flush();
        self.namespace.guard();
        let mut directory = self.namespace.directory.write();
        let (held, socket, epoch) = directory.hold(client, self.entry.id)?;
        self.namespace.held.fetch_add(held, Ordering::AcqRel);
        if let Some(socket) = socket {
            self.broker.unsubscribe_from_all(&socket);
        }
        Some(epoch)
    }

    /// The client is gone: it is a member of nothing any more, and its socket, if that is still
    /// open, is in no channel, for good.
    pub fn remove_client(&self, cork: &mut Cork, client: &[u8]) {
        let Some((socket, held)) = self.namespace.directory.write().remove(client, self.entry.id) else { return };
        self.namespace.held.fetch_sub(held, Ordering::AcqRel);
        if let Some(socket) = socket {
            cork.flush();
            self.broker.seal(&socket);
        }
    }

    /// Withdraws its clients from the directory: when it is removed, they are not reported to
    /// others.
    pub fn withdraw(&self) {
        self.namespace.forget(self.entry.id);
    }

    /// A client of a helper that ended without reporting it, for this one to deal with. Each is
    /// handed out once.
    #[must_use]
    pub fn take_left_client(&self) -> Option<LeftClient> {
        self.namespace.left.lock().pop_front()
    }

    /// Messages to its clients that were dropped on their way, since the clients read too slowly or
    /// memory was used up; those that [`send`](Self::send) and the like have told are not among
    /// them. With `again` it gets [`OperationKind::Dropped`] for the next one.
    #[must_use]
    pub fn dropped(&self, again: bool) -> u64 {
        self.entry.dropped(again)
    }

    /// The client is a member of a room, whose channel it joins by [`subscribe`](Self::subscribe),
    /// or of a user, whose channel it joins unless it is held.
    pub fn add_member(&self, cork: &mut Cork, client: &[u8], audience: Audience<'_>) {
        let mut directory = self.namespace.directory.write();
        let joined = directory.join(client, self.entry.id, audience);
        self.count_held(joined);
        let socket = directory.socket_of(client, self.entry.id);
        drop(directory);
        if let (Some(false), Audience::User(name), Some(socket)) = (joined, audience, socket) {
            cork.flush();
            self.broker.subscribe_to(self.namespace.channels(ChannelSet::Secondary), &socket, name);
        }
    }

    /// The reverse.
    pub fn remove_member(&self, cork: &mut Cork, client: &[u8], audience: Audience<'_>) {
        let mut directory = self.namespace.directory.write();
        let left = directory.leave(client, self.entry.id, audience);
        if left == Some(true) {
            self.namespace.held.fetch_sub(1, Ordering::AcqRel);
        }
        let socket = directory.socket_of(client, self.entry.id);
        drop(directory);
        if let (Some(false), Audience::User(name), Some(socket)) = (left, audience, socket) {
            cork.flush();
            self.broker.unsubscribe_from(self.namespace.channels(ChannelSet::Secondary), &socket, name);
        }
    }

    fn count_held(&self, joined: Option<bool>) {
        if joined == Some(true) {
            self.namespace.held.fetch_add(1, Ordering::AcqRel);
        }
    }

    // --- clients of all helpers ------------------------------------------------------------------

    /// Whether another helper has this client.
    #[must_use]
    pub fn is_elsewhere(&self, client: &[u8]) -> bool {
        self.namespace.directory.read().client(client).is_some_and(|client| client.owner.id != self.entry.id)
    }

    /// As [`Namespace::publish`], but its own held members are its own business.
    pub fn publish(&self, cork: &mut Cork, audience: Audience<'_>, staged: Staged, exclude: &[&[u8]]) -> usize {
        self.namespace.publish_from(Some(&self.entry), cork, audience, staged, exclude)
    }

    /// Has the owner of a client make it a member of a room, or take it out. False when too much
    /// was waiting there, or there is no such client.
    pub fn ask_member(&self, client: &[u8], room: &[u8], join: bool) -> bool {
        let owner = self.namespace.directory.read().client(client).map(|client| Arc::clone(&client.owner));
        let (client, room) = (client.into(), room.into());
        let operation = if join { OperationKind::Join { client, room } } else { OperationKind::Leave { client, room } };
        owner.is_some_and(|owner| owner.offer(operation).is_ok())
    }

    // --- the input -------------------------------------------------------------------------------

    /// Whether it takes what comes from other instances: the first that asks does, until it leaves.
    /// The next then gets [`OperationKind::TakeInput`].
    #[must_use]
    pub fn claim_input(&self) -> bool {
        self.namespace.claim_input(&self.entry)
    }

    /// That has come or gone. The other helpers are told. False when nothing has changed.
    pub fn set_input(&self, ready: bool) -> bool {
        self.namespace.set_input_ready(ready, Some(&self.entry))
    }
}
