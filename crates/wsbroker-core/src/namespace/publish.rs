//! Publishes and sends inside a namespace: straight to the sockets, and for the clients that are
//! held through their helpers.

use std::sync::{Arc, atomic::Ordering};

use super::Namespace;
use crate::{
    cork::{Cork, SendOutcome, Staged},
    dispatch::{OperationsFull, WorkerEntry},
    ids::SocketId,
    operation::{Audience, OperationKind},
    registry::ChannelSet,
};

impl Namespace {
    /// Sends a staged text to every subscriber of an audience but the excluded clients, and hands
    /// it to every helper that has held members there. Returns how many of these helpers refused it
    /// because too much was waiting.
    pub fn publish(&self, cork: &mut Cork, audience: Audience<'_>, staged: Staged, exclude: &[&[u8]]) -> usize {
        self.publish_from(None, cork, audience, staged, exclude)
    }

    /// Sends a staged text to one client: directly, or through its owner if it is held.
    /// [`SendOutcome::Dropped`] also when too much was waiting there.
    pub fn send(&self, cork: &mut Cork, client: &[u8], staged: Staged) -> SendOutcome {
        let directory = self.directory.read();
        let Some(entry) = directory.client(client) else { return SendOutcome::Dropped };
        if let Some(socket) = entry.reachable() {
            let outcome = cork.send_to(socket, staged);
            self.enqueue(cork);
            return outcome;
        }
        let owner = Arc::clone(&entry.owner);
        drop(directory);
        let frame = cork.payload(&staged).into();
        match owner.offer(OperationKind::Send { client: client.into(), frame }) {
            Ok(()) => SendOutcome::Queued,
            Err(OperationsFull) => SendOutcome::Dropped,
        }
    }

    pub(super) fn publish_from(
        &self,
        from: Option<&Arc<WorkerEntry>>,
        cork: &mut Cork,
        audience: Audience<'_>,
        staged: Staged,
        exclude: &[&[u8]],
    ) -> usize {
        // The lock is held until the frame lies in the shards' queues. So no client becomes held
        // between the two look-ups (of held members and of subscribers), and what an owner sends
        // later cannot overtake the frame.
        let directory = self.directory.read();
        let reachable = |id: &&[u8]| directory.client(id)?.reachable().map(|socket| socket.id());
        let excluded: Vec<SocketId> = exclude.iter().filter_map(reachable).collect();
        let mut owners: Vec<Arc<WorkerEntry>> = Vec::new();
        if self.held.load(Ordering::Acquire) > 0 {
            let others = directory.holders(audience).filter(|owner| from.is_none_or(|from| from.id != owner.id));
            owners.extend(others.cloned());
        }
        let frame: Option<Arc<[u8]>> = (!owners.is_empty()).then(|| cork.payload(&staged).into());
        let (set, name) = match audience {
            Audience::Room(name) => (ChannelSet::Primary, name),
            Audience::User(name) => (ChannelSet::Secondary, name),
            Audience::Everybody => (ChannelSet::Primary, &*self.state.config.broadcast_channel),
        };
        let channel = self.channels(set).get(name);
        let sent = cork.publish_to(channel.as_ref(), staged, &excluded).is_some();
        self.enqueue(cork);
        let epoch = directory.epoch();
        drop(directory);
        if !sent && let Some(channel) = channel {
            self.drop_frames(from, channel.count());
        }
        let Some(frame) = frame else { return 0 };
        let exclude: Arc<[Box<[u8]>]> = exclude.iter().map(|id| Box::from(*id)).collect();
        let publish = |owner: &&Arc<WorkerEntry>| {
            let (frame, exclude) = (Arc::clone(&frame), Arc::clone(&exclude));
            owner.offer(OperationKind::Publish { audience: audience.into(), frame, exclude, epoch }).is_err()
        };
        owners.iter().filter(publish).count()
    }

    /// Under the lock of the directory.
    fn enqueue(&self, cork: &mut Cork) {
        if self.guarded.load(Ordering::Acquire) {
            cork.enqueue();
        }
    }

    /// What belongs to no helper is counted at the first.
    fn drop_frames(&self, of: Option<&Arc<WorkerEntry>>, count: usize) {
        let first = || self.input.lock().helpers.first().cloned();
        if let Some(helper) = of.cloned().or_else(first) {
            helper.drop_frames(count as u64);
        }
    }

    /// As [`publish`](Self::publish), for a message of another instance: what helpers refuse is
    /// counted at the first helper, since none here has sent it.
    pub fn relay(&self, cork: &mut Cork, audience: Audience<'_>, staged: Staged, exclude: &[&[u8]]) {
        let refused = self.publish(cork, audience, staged, exclude);
        if refused > 0 {
            self.drop_frames(None, refused);
        }
    }

    /// As [`send`](Self::send), for a message of another instance: a dropped message is counted at
    /// the client's helper. Without such a client nothing is counted.
    pub fn relay_to_client(&self, cork: &mut Cork, client: &[u8], staged: Staged) {
        if self.send(cork, client, staged) != SendOutcome::Dropped {
            return;
        }
        let owner = self.directory.read().client(client).map(|client| Arc::clone(&client.owner));
        if let Some(owner) = owner {
            owner.drop_frames(1);
        }
    }
}
