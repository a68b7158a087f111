//! A part of a broker with sockets and channels of its own, which raw calls do not see, and with
//! workers that get only these.
//!
//! The server helpers of one application, one in each worker thread of a process, share a
//! *namespace*. Connections come from a listener that names it
//! ([`ListenerConfig::namespace`](crate::ListenerConfig::namespace)). Its sockets live in the same
//! shards and count towards the same limits. What differs:
//!
//! * No worker is asked about a connection. The worker is told that there is one
//!   ([`EventKind::Joined`](crate::EventKind::Joined)).
//! * A worker knows more about its clients than the broker could hand on. So when a worker ends,
//!   its connections are closed (1012) instead of moved.
//! * It has channels of its own, in two sets that share no name: one for rooms, one for users. The
//!   bus does not hear of them.
//! * A *directory* knows which helper has which client, and how many members a room has. Members
//!   that are *held* are in no channel: the helper that owns such a client makes each frame for it.
//!   A publish reaches these helpers as an [`Operation`](crate::Operation).
//!
//! [`Helper`] is a worker's side of this. [`Namespace`] has what needs no worker, for the helper's
//! relay.

mod directory;
mod helper;
mod publish;
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

use self::directory::Directory;
pub use self::{directory::LeftClient, helper::Helper};
use crate::{
    config::NamespaceConfig,
    dispatch::WorkerEntry,
    ids::{NamespaceId, WorkerId},
    operation::{Audience, OperationKind},
    registry::{ChannelSet, Channels, NamespaceState},
};

/// How many clients of ended helpers may wait for the others. Any more are not reported, but
/// counted.
const MAX_LEFT: usize = 1 << 20;

/// Clients of a helper that has ended which are taken out before others have the directory.
const AT_ONCE: usize = 64;

/// Sockets, channels and workers of a broker that are apart from all others. See the module's
/// documentation.
pub struct Namespace {
    state: Arc<NamespaceState>,
    directory: RwLock<Directory>,
    /// Clients may become held: what is sent lies in the shards' queues before the directory is let
    /// go of.
    guarded: AtomicBool,
    /// Memberships that are held, of all clients: while there are none, a publish need not look.
    held: AtomicUsize,
    /// Clients that helpers left unreported when they ended, until another helper takes them.
    left: Mutex<VecDeque<LeftClient>>,
    input: Mutex<HelperInput>,
}

/// Which helper takes what comes from other instances.
#[derive(Debug, Default)]
struct HelperInput {
    /// All there are.
    helpers: Vec<Arc<WorkerEntry>>,
    /// Those that would, the first of which does.
    claims: Vec<Arc<WorkerEntry>>,
    ready: bool,
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Namespace")
            .field("id", &self.state.id)
            .field("open", &self.connections())
            .finish_non_exhaustive()
    }
}

impl Namespace {
    pub(crate) fn new(id: NamespaceId, config: NamespaceConfig, raw: &Channels) -> Self {
        Self {
            state: Arc::new(NamespaceState::new(id, config, raw)),
            directory: RwLock::default(),
            guarded: AtomicBool::new(false),
            held: AtomicUsize::new(0),
            left: Mutex::default(),
            input: Mutex::default(),
        }
    }

    pub(crate) fn id(&self) -> NamespaceId {
        self.state.id
    }

    pub(crate) fn state(&self) -> &Arc<NamespaceState> {
        &self.state
    }

    pub(crate) fn channels(&self, set: ChannelSet) -> &Channels {
        self.state.channels(set)
    }

    /// Its connections between their 101 and their end.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.state.connections()
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

    /// Clients may become held from now on. Call it before any of them does: then everything
    /// reaches each of them exactly once, in the order of a sender's calls, and nothing directly
    /// after something that came through its owner.
    pub fn guard(&self) {
        self.guarded.store(true, Ordering::Release);
    }

    // --- which helper takes the input ------------------------------------------------------------

    pub(crate) fn enter(&self, helper: &Arc<WorkerEntry>) {
        self.input.lock().helpers.push(Arc::clone(helper));
    }

    /// Takes the clients of a helper out. If there are very many, it releases the directory after
    /// each few, since nothing is published without it.
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

    /// A helper has ended: its clients have no owner any more, and the others are told of them.
    /// Returns how many cannot be reported, since there is no other.
    pub(crate) fn leave(&self, helper: &WorkerEntry) -> usize {
        let own = self.forget(helper.id);
        let is_it = |other: &Arc<WorkerEntry>| other.id == helper.id;
        let mut input = self.input.lock();
        input.helpers.retain(|other| !is_it(other));
        let led = input.claims.first().is_some_and(is_it);
        input.claims.retain(|other| !is_it(other));
        if led {
            input.set_ready(false, None);
            if let Some(successor) = input.claims.first() {
                successor.tell(OperationKind::TakeInput);
            }
        }
        let unreported = self.pass_on(own, &input.helpers);
        drop(input);
        self.state.emptied.notify_waiters();
        unreported
    }

    /// Clients of a helper that has ended are for the others, whichever of them comes first: one
    /// that hangs, or ends as well, keeps none back.
    fn pass_on(&self, own: Vec<LeftClient>, others: &[Arc<WorkerEntry>]) -> usize {
        let mut left = self.left.lock();
        left.extend(own);
        let kept = if others.is_empty() { 0 } else { left.len().min(MAX_LEFT) };
        let unreported = left.len() - kept;
        left.truncate(kept);
        if kept > 0 {
            others.iter().for_each(|other| other.tell(OperationKind::ClientsLeft));
        }
        if unreported > 0 {
            tracing::warn!(clients = unreported, "a worker has ended, and no helper is left to be told of its clients");
        }
        unreported
    }

    /// Whether the helper takes the input: the first that asks does, until it leaves. The next then
    /// gets [`OperationKind::TakeInput`].
    fn claim_input(&self, helper: &Arc<WorkerEntry>) -> bool {
        let mut input = self.input.lock();
        if !input.claims.iter().any(|other| other.id == helper.id) {
            input.claims.push(Arc::clone(helper));
        }
        input.claims.first().is_some_and(|first| first.id == helper.id)
    }

    /// The input has come or gone. Every helper is told of a change, once, by
    /// [`OperationKind::InputState`], but for the one that says it.
    fn set_input_ready(&self, ready: bool, from: Option<&WorkerEntry>) -> bool {
        self.input.lock().set_ready(ready, from)
    }

    /// For a bus that is the namespace's own: whether messages of other instances come in. Every
    /// helper is told of a change.
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
            let changed = self.state.emptied.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if helper.connections() == 0 {
                return;
            }
            changed.await;
        }
    }
}

impl HelperInput {
    fn set_ready(&mut self, ready: bool, from: Option<&WorkerEntry>) -> bool {
        if std::mem::replace(&mut self.ready, ready) == ready {
            return false;
        }
        for helper in self.helpers.iter().filter(|helper| from.is_none_or(|from| from.id != helper.id)) {
            helper.tell(OperationKind::InputState { ready });
        }
        true
    }
}
