//! Which helper has which client, and which helpers have members that are held.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crate::{
    dispatch::WorkerEntry,
    ids::WorkerId,
    operation::{Audience, Group},
    registry::Socket,
};

/// A client, as all helpers see it.
#[derive(Debug)]
pub(super) struct DirectoryEntry {
    pub(super) owner: Arc<WorkerEntry>,
    /// `None` when the application has made it, and only its owner reaches it.
    pub(super) socket: Option<Arc<Socket>>,
    held: bool,
    /// What it is a member of.
    groups: HashSet<Group>,
}

/// A client whose helper ended without reporting it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LeftClient {
    /// Its id.
    pub client: Box<[u8]>,
    /// Its user, if it had one.
    pub user: Option<Arc<[u8]>>,
}

impl DirectoryEntry {
    /// Its socket, if others may send to it.
    pub(super) fn reachable(&self) -> Option<&Arc<Socket>> {
        self.socket.as_ref().filter(|_| !self.held)
    }

    fn user(&self) -> Option<Arc<[u8]>> {
        self.groups.iter().find_map(|group| match group {
            Group::User(name) => Some(Arc::clone(name)),
            Group::Room(_) | Group::Everybody => None,
        })
    }
}

/// How many members a group has, and at which helpers how many of them are held.
#[derive(Debug, Default)]
struct Members {
    all: usize,
    held: Vec<(Arc<WorkerEntry>, usize)>,
}

/// The clients of a namespace and what they are members of. Names are chosen by clients, so the
/// tables are keyed in each process anew.
#[derive(Debug, Default)]
pub(super) struct Directory {
    clients: HashMap<Box<[u8]>, DirectoryEntry>,
    rooms: HashMap<Arc<[u8]>, Members>,
    users: HashMap<Arc<[u8]>, Members>,
    everybody: Members,
    /// How many times a client has become held.
    epoch: u64,
}

impl Directory {
    pub(super) fn client(&self, id: &[u8]) -> Option<&DirectoryEntry> {
        self.clients.get(id)
    }

    pub(super) fn client_count(&self) -> usize {
        self.clients.len()
    }

    pub(super) fn count(&self, audience: Audience<'_>) -> usize {
        self.members(audience).map_or(0, |members| members.all)
    }

    /// The helpers that have held members there.
    pub(super) fn holders(&self, audience: Audience<'_>) -> impl Iterator<Item = &Arc<WorkerEntry>> {
        self.members(audience).into_iter().flat_map(|members| &members.held).map(|(owner, _)| owner)
    }

    fn members(&self, audience: Audience<'_>) -> Option<&Members> {
        match audience {
            Audience::Room(name) => self.rooms.get(name),
            Audience::User(name) => self.users.get(name),
            Audience::Everybody => Some(&self.everybody),
        }
    }

    /// False when there is a client with that id already: it stays.
    pub(super) fn add(&mut self, id: &[u8], owner: &Arc<WorkerEntry>, socket: Option<Arc<Socket>>) -> bool {
        if self.clients.contains_key(id) {
            return false;
        }
        let client = DirectoryEntry { owner: Arc::clone(owner), socket, held: false, groups: HashSet::new() };
        self.clients.insert(id.into(), client);
        true
    }

    /// A client of that helper.
    fn own(&mut self, id: &[u8], owner: WorkerId) -> Option<&mut DirectoryEntry> {
        self.clients.get_mut(id).filter(|client| client.owner.id == owner)
    }

    /// The socket of a client of that helper.
    pub(super) fn socket_of(&self, id: &[u8], owner: WorkerId) -> Option<Arc<Socket>> {
        self.clients.get(id).filter(|client| client.owner.id == owner)?.socket.clone()
    }

    /// Makes a client a member. `None` when it is one, or not that helper's. True when it is held.
    pub(super) fn join(&mut self, id: &[u8], owner: WorkerId, audience: Audience<'_>) -> Option<bool> {
        let group = self.group(audience);
        let client = self.own(id, owner)?;
        if !client.groups.insert(group.clone()) {
            return None;
        }
        let (held, owner) = (client.held, Arc::clone(&client.owner));
        let members = match group {
            Group::Everybody => &mut self.everybody,
            Group::Room(name) => self.rooms.entry(name).or_default(),
            Group::User(name) => self.users.entry(name).or_default(),
        };
        members.all += 1;
        if held {
            members.hold(&owner);
        }
        Some(held)
    }

    /// The reverse.
    pub(super) fn leave(&mut self, id: &[u8], owner: WorkerId, audience: Audience<'_>) -> Option<bool> {
        let group = self.group(audience);
        let client = self.own(id, owner)?;
        if !client.groups.remove(&group) {
            return None;
        }
        let held = client.held;
        self.drop_member(&group, owner, held);
        Some(held)
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// From now on the client is held. Returns how many memberships that concerns, its socket, and
    /// the epoch that begins.
    pub(super) fn hold(&mut self, id: &[u8], owner: WorkerId) -> Option<(usize, Option<Arc<Socket>>, u64)> {
        let client = self.own(id, owner)?;
        if std::mem::replace(&mut client.held, true) {
            return None;
        }
        let (entry, socket) = (Arc::clone(&client.owner), client.socket.clone());
        let groups: Vec<Group> = client.groups.iter().cloned().collect();
        for group in &groups {
            if let Some(members) = self.members_mut(group) {
                members.hold(&entry);
            }
        }
        self.epoch += 1;
        Some((groups.len(), socket, self.epoch))
    }

    /// Takes a client out. Returns its socket, and how many of its memberships were held.
    pub(super) fn remove(&mut self, id: &[u8], owner: WorkerId) -> Option<(Option<Arc<Socket>>, usize)> {
        self.own(id, owner)?;
        let client = self.clients.remove(id)?;
        for group in &client.groups {
            self.drop_member(group, owner, client.held);
        }
        Some((client.socket, if client.held { client.groups.len() } else { 0 }))
    }

    /// The clients of a helper.
    pub(super) fn clients_of(&self, owner: WorkerId) -> Vec<LeftClient> {
        let own = self.clients.iter().filter(|(_, client)| client.owner.id == owner);
        own.map(|(id, client)| LeftClient { client: id.clone(), user: client.user() }).collect()
    }

    /// The group of that name. All its members share the memory of the name.
    fn group(&self, audience: Audience<'_>) -> Group {
        let shared = |table: &HashMap<Arc<[u8]>, Members>, name: &[u8]| {
            table.get_key_value(name).map_or_else(|| Arc::from(name), |(name, _)| Arc::clone(name))
        };
        match audience {
            Audience::Room(name) => Group::Room(shared(&self.rooms, name)),
            Audience::User(name) => Group::User(shared(&self.users, name)),
            Audience::Everybody => Group::Everybody,
        }
    }

    fn members_mut(&mut self, group: &Group) -> Option<&mut Members> {
        match group {
            Group::Room(name) => self.rooms.get_mut(name),
            Group::User(name) => self.users.get_mut(name),
            Group::Everybody => Some(&mut self.everybody),
        }
    }

    fn drop_member(&mut self, group: &Group, owner: WorkerId, held: bool) {
        let Some(members) = self.members_mut(group) else { return };
        members.all = members.all.saturating_sub(1);
        if held {
            members.release(owner);
        }
        if members.all == 0 {
            match group {
                Group::Room(name) => _ = self.rooms.remove(name),
                Group::User(name) => _ = self.users.remove(name),
                Group::Everybody => {}
            }
        }
    }
}

impl Members {
    fn hold(&mut self, owner: &Arc<WorkerEntry>) {
        match self.held.iter_mut().find(|(other, _)| other.id == owner.id) {
            Some((_, count)) => *count += 1,
            None => self.held.push((Arc::clone(owner), 1)),
        }
    }

    fn release(&mut self, owner: WorkerId) {
        if let Some((_, count)) = self.held.iter_mut().find(|(other, _)| other.id == owner) {
            *count -= 1;
        }
        self.held.retain(|(_, count)| *count > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::namespace::tests::{UnusedWorker, broker};

    /// A directory, and two helpers that may have clients in it.
    fn directory() -> (Directory, [Arc<WorkerEntry>; 2]) {
        let broker = broker();
        let namespace = broker.namespace(crate::NamespaceConfig::default());
        let helper = || broker.state().dispatch.add_to(namespace.state(), Arc::new(UnusedWorker));
        (Directory::default(), [helper(), helper()])
    }

    const ROOM: Audience<'static> = Audience::Room(b"r");
    const USER: Audience<'static> = Audience::User(b"u");
    const ALL: Audience<'static> = Audience::Everybody;

    fn holders(directory: &Directory, audience: Audience<'_>) -> Vec<WorkerId> {
        directory.holders(audience).map(|owner| owner.id).collect()
    }

    #[test]
    fn a_client_is_not_taken_over() {
        let (mut directory, [own, other]) = directory();
        assert!(directory.add(b"a", &own, None));
        directory.join(b"a", own.id, ROOM);
        assert!(!directory.add(b"a", &other, None) && !directory.add(b"a", &own, None));
        assert_eq!(directory.client(b"a").unwrap().owner.id, own.id);
        assert_eq!((directory.client_count(), directory.count(ROOM)), (1, 1), "it is still what it was");
        assert_eq!(directory.leave(b"a", own.id, ROOM), Some(false));
    }

    #[test]
    fn only_its_owner_says_anything_of_a_client() {
        let (mut directory, [own, other]) = directory();
        assert!(directory.add(b"a", &own, None));
        assert_eq!(directory.join(b"a", own.id, ROOM), Some(false));
        assert_eq!(directory.join(b"a", other.id, USER), None);
        assert_eq!(directory.leave(b"a", other.id, ROOM), None);
        assert!(directory.hold(b"a", other.id).is_none() && directory.remove(b"a", other.id).is_none());
        assert_eq!(directory.clients_of(other.id), []);
        assert!(directory.socket_of(b"a", other.id).is_none());
        assert_eq!((directory.client_count(), directory.count(ROOM), directory.count(USER)), (1, 1, 0));
        assert_eq!((directory.epoch(), holders(&directory, ROOM)), (0, vec![]));
    }

    #[test]
    fn the_socket_of_a_client_is_for_its_owner_only() {
        let (mut directory, [own, other]) = directory();
        let endpoint = crate::admission::Endpoint::new(1, crate::SocketLimits::default(), None);
        let socket = broker().state().admit(&endpoint).unwrap().0;
        directory.add(b"a", &own, Some(Arc::clone(&socket)));
        assert_eq!(directory.socket_of(b"a", own.id).map(|own| own.id()), Some(socket.id()));
        assert!(directory.socket_of(b"a", other.id).is_none());
        assert!(directory.client(b"a").unwrap().reachable().is_some());
        directory.hold(b"a", own.id);
        assert!(directory.client(b"a").unwrap().reachable().is_none());
    }

    #[test]
    fn rooms_and_users_without_members_go() {
        let (mut directory, [own, other]) = directory();
        for (name, owner) in [(b"a", &own), (b"b", &other)] {
            directory.add(name, owner, None);
            directory.join(name, owner.id, ROOM);
            directory.join(name, owner.id, USER);
        }
        directory.leave(b"a", own.id, ROOM);
        directory.leave(b"a", own.id, USER);
        assert_eq!((directory.rooms.len(), directory.users.len()), (1, 1), "the other is there yet");
        assert_eq!((directory.count(ROOM), directory.count(USER)), (1, 1));
        directory.remove(b"b", other.id);
        assert_eq!((directory.rooms.len(), directory.users.len()), (0, 0));
        assert_eq!(directory.leave(b"a", own.id, ROOM), None, "it has left");
    }

    #[test]
    fn holders_are_known_as_long_as_they_hold_a_client() {
        let (mut directory, [own, other]) = directory();
        for (name, owner) in [(b"a", &own), (b"b", &own), (b"c", &other)] {
            directory.add(name, owner, None);
            directory.join(name, owner.id, ROOM);
            directory.join(name, owner.id, ALL);
            assert!(directory.hold(name, owner.id).is_some());
        }
        assert_eq!(
            (holders(&directory, ROOM), holders(&directory, ALL)),
            (vec![own.id, other.id], vec![own.id, other.id])
        );
        assert_eq!(directory.leave(b"a", own.id, ROOM), Some(true));
        assert_eq!(holders(&directory, ROOM), [own.id, other.id], "the other client of that helper is held there");
        assert_eq!(directory.remove(b"b", own.id).map(|(_, held)| held), Some(2));
        assert_eq!((holders(&directory, ROOM), holders(&directory, ALL)), (vec![other.id], vec![own.id, other.id]));
        assert_eq!(directory.remove(b"a", own.id).map(|(_, held)| held), Some(1));
        assert_eq!(holders(&directory, ALL), [other.id]);
        assert_eq!(directory.everybody.held.len(), 1, "and no more is kept");
    }

    #[test]
    fn forgetting_a_helper_tells_its_clients_and_what_was_held() {
        let (mut directory, [own, other]) = directory();
        for (name, owner) in [(b"a", &own), (b"b", &own), (b"c", &other)] {
            directory.add(name, owner, None);
            directory.join(name, owner.id, ROOM);
        }
        directory.join(b"a", own.id, USER);
        directory.hold(b"a", own.id);
        directory.hold(b"c", other.id);
        let mut left = directory.clients_of(own.id);
        let removed = left.iter().filter_map(|left| directory.remove(&left.client, own.id));
        let held: usize = removed.map(|(_, held)| held).sum();
        left.sort_unstable_by(|a, b| a.client.cmp(&b.client));
        let names: Vec<_> = left.iter().map(|left| (&*left.client, left.user.as_deref())).collect();
        assert_eq!(names, [(&b"a"[..], Some(&b"u"[..])), (b"b", None)]);
        assert_eq!(held, 2, "the room and the user of the one that was held");
        assert_eq!((directory.client_count(), directory.count(ROOM), directory.count(USER)), (1, 1, 0));
        assert_eq!(holders(&directory, ROOM), [other.id]);
    }
}
