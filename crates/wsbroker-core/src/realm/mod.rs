//! A part of a broker that is apart from all else in it: sockets and channels that raw calls do not see, and workers that get only these.
//!
//! It is what helpers of one application share in a process: one for each worker thread, all of one *realm*. Its front is a listener's
//! ([`ListenerConfig::realm`](crate::ListenerConfig::realm)), its sockets live in the same shards and count into the same limits. What differs:
//!
//! * Nobody is asked about a connection. Its worker hears that it is there ([`EventKind::Joined`](crate::EventKind::Joined)).
//! * A worker knows more of its clients than the broker could hand on. So when one ends, its connections do not move but close (1012).
//! * Channels are the realm's own, in two sets that share no name: rooms and users. Other instances are not told of them.
//! * A *directory* says who has which client, and how many members a room has. Members that are *held* are in no channel: their frames are made for each of them
//!   by their owner. A publish tells it to the owners, as a [`Post`].
//!
//! [`Helper`] is a worker's side of this; [`Realm`] has what somebody without a worker can do, such as the helper's relay.

mod directory;
mod helper;
mod post;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use parking_lot::{Mutex, RwLock, RwLockWriteGuard};
use tokio::sync::Notify;

use self::directory::Directory;
pub(crate) use self::post::tell;
pub use self::{
    directory::{Audience, Group, LeftClient},
    helper::Helper,
    post::{Operation, Post},
};
use crate::{
    cork::{Cork, SendOutcome, Staged},
    dispatch::WorkerEntry,
    ids::{SocketId, WorkerId},
    registry::{Channels, Kind},
};

/// How many clients of ended helpers may wait for the others. Any more are not reported, but counted.
const MAX_LEFT: usize = 1 << 20;

/// Whose a socket is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct RealmId(u32);

impl RealmId {
    /// Nobody's realm: raw sockets.
    pub(crate) const RAW: Self = Self(0);

    /// The one with this number, which is not 0.
    pub(crate) fn new(number: u32) -> Self {
        Self(number)
    }
}

/// Clients of a helper that has ended which are taken out before others have the directory.
const AT_ONCE: usize = 64;

/// Sockets, channels and workers of a broker that are apart from all others. See the module's documentation.
pub struct Realm {
    id: RealmId,
    rooms: Channels,
    users: Channels,
    directory: RwLock<Directory>,
    /// Clients may become held: what is sent lies in the shards' queues before the directory is let go of.
    guarded: AtomicBool,
    /// Memberships that are held, of all clients: while there are none, a publish need not look.
    held: AtomicUsize,
    /// Clients that helpers left unreported when they ended, until another helper takes them.
    left: Mutex<VecDeque<LeftClient>>,
    open: AtomicUsize,
    changed: Notify,
    input: Mutex<Input>,
}

/// Who of the helpers takes what comes from other instances.
#[derive(Debug, Default)]
struct Input {
    /// All there are.
    helpers: Vec<Arc<WorkerEntry>>,
    /// Those that would, the first of which does.
    claims: Vec<Arc<WorkerEntry>>,
    ready: bool,
}

impl fmt::Debug for Realm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Realm").field("id", &self.id).field("open", &self.connections()).finish_non_exhaustive()
    }
}

impl Realm {
    pub(crate) fn new(id: RealmId, raw: &Channels) -> Self {
        Self {
            id,
            rooms: raw.beside(Kind::Room),
            users: raw.beside(Kind::User),
            directory: RwLock::default(),
            guarded: AtomicBool::new(false),
            held: AtomicUsize::new(0),
            left: Mutex::default(),
            open: AtomicUsize::new(0),
            changed: Notify::new(),
            input: Mutex::default(),
        }
    }

    pub(crate) fn id(&self) -> RealmId {
        self.id
    }

    pub(crate) fn channels(&self, kind: Kind) -> &Channels {
        match kind {
            Kind::Room => &self.rooms,
            Kind::User => &self.users,
        }
    }

    pub(crate) fn opened(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn closed(&self) {
        self.open.fetch_sub(1, Ordering::AcqRel);
    }

    /// A helper has let go of its last connection. Told behind that: whoever is woken earlier counts it once more, and sleeps on.
    pub(crate) fn helper_emptied(&self) {
        self.changed.notify_waiters();
    }

    /// Its connections between their 101 and their end.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// Clients of all helpers.
    #[must_use]
    pub fn client_count(&self) -> usize {
        self.directory.read().client_count()
    }

    /// Members of a room at all helpers, held ones too.
    #[must_use]
    pub fn room_count(&self, room: &[u8]) -> usize {
        self.directory.read().count(Audience::Room(room))
    }

    /// Whether some helper has this client.
    #[must_use]
    pub fn has_client(&self, client: &[u8]) -> bool {
        self.directory.read().client(client).is_some()
    }

    /// Clients may become held from now on. Call it before any of them does: then everything reaches each of them exactly once, in the order of a sender's
    /// calls, and nothing directly after something that came through its owner.
    pub fn guard(&self) {
        self.guarded.store(true, Ordering::Release);
    }

    /// Sends a staged text to every subscriber of an audience but the excluded clients, and posts it to every helper that has held members there. Returns to how
    /// many of these it could not be posted, since too much was waiting there.
    pub fn publish(&self, cork: &mut Cork, audience: Audience<'_>, staged: Staged, exclude: &[&[u8]]) -> usize {
        self.publish_from(None, cork, audience, staged, exclude)
    }

    /// Sends a staged text to one client: by itself, or if it is held through its owner. [`SendOutcome::Dropped`] also when too much was waiting there.
    pub fn send(&self, cork: &mut Cork, client: &[u8], staged: Staged) -> SendOutcome {
        let directory = self.directory.read();
        let Some(entry) = directory.client(client) else { return SendOutcome::Dropped };
        if let Some(socket) = entry.reachable() {
            let outcome = cork.send_to(socket, staged);
            self.place(cork);
            return outcome;
        }
        let owner = Arc::clone(&entry.owner);
        drop(directory);
        let frame = cork.payload(&staged).into();
        match post::post(&owner, Operation::Send { client: client.into(), frame }) {
            Ok(()) => SendOutcome::Queued,
            Err(post::Full) => SendOutcome::Dropped,
        }
    }

    fn publish_from(
        &self,
        from: Option<&Arc<WorkerEntry>>,
        cork: &mut Cork,
        audience: Audience<'_>,
        staged: Staged,
        exclude: &[&[u8]],
    ) -> usize {
        // The lock is held to the end, so that no client becomes held between the look at who is held and the look at who is in the channel, nor before what is for the others lies where
        // what their owners send can no longer overtake it.
        let directory = self.directory.read();
        let reachable = |id: &&[u8]| directory.client(id)?.reachable().map(|socket| socket.id());
        let excluded: Vec<SocketId> = exclude.iter().filter_map(reachable).collect();
        let mut owners: Vec<Arc<WorkerEntry>> = Vec::new();
        if self.held.load(Ordering::Acquire) > 0 {
            let others = directory.holders(audience).filter(|owner| from.is_none_or(|from| from.id != owner.id));
            owners.extend(others.cloned());
        }
        let frame: Option<Arc<[u8]>> = (!owners.is_empty()).then(|| cork.payload(&staged).into());
        let (kind, name) = audience.channel();
        let channel = self.channels(kind).get(name);
        let sent = cork.publish_to(channel.as_ref(), staged, &excluded).is_some();
        self.place(cork);
        let epoch = directory.epoch();
        drop(directory);
        if !sent && let Some(channel) = channel {
            self.drop_frames(from, channel.count());
        }
        let Some(frame) = frame else { return 0 };
        let exclude: Arc<[Box<[u8]>]> = exclude.iter().map(|id| Box::from(*id)).collect();
        let publish = |owner: &&Arc<WorkerEntry>| {
            let (frame, exclude) = (Arc::clone(&frame), Arc::clone(&exclude));
            post::post(owner, Operation::Publish { audience: audience.into(), frame, exclude, epoch }).is_err()
        };
        owners.iter().filter(publish).count()
    }

    /// Under the lock of the directory.
    fn place(&self, cork: &mut Cork) {
        if self.guarded.load(Ordering::Acquire) {
            cork.place();
        }
    }

    /// What is no helper's in particular, the first of them is told.
    fn drop_frames(&self, of: Option<&Arc<WorkerEntry>>, count: usize) {
        let first = || self.input.lock().helpers.first().cloned();
        if let Some(helper) = of.cloned().or_else(first) {
            helper.drop_frames(count as u64);
        }
    }

    /// As [`publish`](Self::publish), for a message of another instance: where it cannot be posted it is counted at the first helper, since none here has sent it.
    pub fn relay(&self, cork: &mut Cork, audience: Audience<'_>, staged: Staged, exclude: &[&[u8]]) {
        let refused = self.publish(cork, audience, staged, exclude);
        if refused > 0 {
            self.drop_frames(None, refused);
        }
    }

    /// As [`send`](Self::send), for a message of another instance: what is dropped is counted at the client's helper. Nothing is said of a client that nobody has.
    pub fn relay_to_client(&self, cork: &mut Cork, client: &[u8], staged: Staged) {
        if self.send(cork, client, staged) != SendOutcome::Dropped {
            return;
        }
        let owner = self.directory.read().client(client).map(|client| Arc::clone(&client.owner));
        if let Some(owner) = owner {
            owner.drop_frames(1);
        }
    }

    // --- who takes the input --------------------------------------------------------------------------------------------------------

    pub(crate) fn enter(&self, helper: &Arc<WorkerEntry>) {
        self.input.lock().helpers.push(Arc::clone(helper));
    }

    /// Takes the clients of a helper out. If there are very many, it releases the directory after each few, since nothing is published without it.
    fn forget(&self, helper: WorkerId) -> Vec<LeftClient> {
        let mut own = self.directory.read().clients_of(helper);
        let (mut number, mut released) = (0, 0);
        let mut directory = self.directory.write();
        own.retain(|left| {
            number += 1;
            if number % AT_ONCE == 0 {
                RwLockWriteGuard::bump(&mut directory);
            }
            // Meanwhile the helper may have taken it out itself.
            let removed = directory.remove(&left.client, helper);
            released += removed.as_ref().map_or(0, |(_, held)| *held);
            removed.is_some()
        });
        drop(directory);
        self.held.fetch_sub(released, Ordering::AcqRel);
        own
    }

    /// A helper has ended: its clients have no owner any more, and the others are told of them. Returns how many cannot be reported, since there is no other.
    pub(crate) fn leave(&self, helper: &WorkerEntry) -> usize {
        let own = self.forget(helper.id);
        let is_it = |other: &Arc<WorkerEntry>| other.id == helper.id;
        let mut input = self.input.lock();
        input.helpers.retain(|other| !is_it(other));
        let led = input.claims.first().is_some_and(is_it);
        input.claims.retain(|other| !is_it(other));
        if led {
            input.set_ready(false, None);
            if let Some(heir) = input.claims.first() {
                post::tell(heir, Operation::TakeInput);
            }
        }
        let untold = self.pass_on(own, &input.helpers);
        drop(input);
        self.changed.notify_waiters();
        untold
    }

    /// Clients of a helper that has ended are for the others, whichever of them comes first: one that hangs, or ends as well, keeps none back.
    fn pass_on(&self, own: Vec<LeftClient>, others: &[Arc<WorkerEntry>]) -> usize {
        let mut left = self.left.lock();
        left.extend(own);
        let kept = if others.is_empty() { 0 } else { left.len().min(MAX_LEFT) };
        let untold = left.len() - kept;
        left.truncate(kept);
        if kept > 0 {
            others.iter().for_each(|other| post::tell(other, Operation::ClientsLeft));
        }
        if untold > 0 {
            tracing::warn!(clients = untold, "a worker has ended, and no helper is left to be told of its clients");
        }
        untold
    }

    /// Whether the helper takes the input: the first that asks does, until it leaves. The next then gets [`Operation::TakeInput`].
    fn claim_input(&self, helper: &Arc<WorkerEntry>) -> bool {
        let mut input = self.input.lock();
        if !input.claims.iter().any(|other| other.id == helper.id) {
            input.claims.push(Arc::clone(helper));
        }
        input.claims.first().is_some_and(|first| first.id == helper.id)
    }

    /// The input has come or gone. Every helper is told of a change, once, by [`Operation::InputState`], but for the one that says it.
    fn set_input_ready(&self, ready: bool, from: Option<&WorkerEntry>) -> bool {
        self.input.lock().set_ready(ready, from)
    }

    /// For a bus that is the realm's own: whether messages of other instances come in. Every helper is told of a change.
    pub fn set_input(&self, ready: bool) {
        self.set_input_ready(ready, None);
    }

    /// Whether messages of other instances come in.
    #[must_use]
    pub fn input_is_ready(&self) -> bool {
        self.input.lock().ready
    }

    /// Resolves when a helper has no connections left.
    async fn emptied(&self, helper: &WorkerEntry) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if helper.connections() == 0 {
                return;
            }
            changed.await;
        }
    }
}

impl Input {
    fn set_ready(&mut self, ready: bool, from: Option<&WorkerEntry>) -> bool {
        if std::mem::replace(&mut self.ready, ready) == ready {
            return false;
        }
        for helper in self.helpers.iter().filter(|helper| from.is_none_or(|from| from.id != helper.id)) {
            post::tell(helper, Operation::InputState { ready });
        }
        true
    }
}
