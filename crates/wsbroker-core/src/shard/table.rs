//! The connections of a shard, each at its slot.

use super::{command::ConnectionKey, connection::Connection};

/// The connections of a shard by slot.
#[derive(Default)]
pub(super) struct ConnectionTable(pub(super) Vec<Option<Box<Connection>>>);

impl ConnectionTable {
    pub(super) fn at(&mut self, slot: u32) -> Option<&mut Connection> {
        self.0.get_mut(slot as usize)?.as_deref_mut()
    }

    /// The connection that a command means, unless it has ended and its slot may be another's.
    pub(super) fn find(&mut self, key: ConnectionKey) -> Option<&mut Connection> {
        self.at(key.slot).filter(|connection| connection.id() == key.id)
    }

    pub(super) fn put(&mut self, slot: u32, connection: Connection) {
        let at = slot as usize;
        if self.0.len() <= at {
            self.0.resize_with(at + 1, || None);
        }
        self.0[at] = Some(Box::new(connection));
    }

    pub(super) fn take(&mut self, slot: u32) -> Option<Box<Connection>> {
        self.0.get_mut(slot as usize)?.take()
    }

    pub(super) fn all(&mut self) -> impl Iterator<Item = &mut Connection> {
        self.0.iter_mut().filter_map(|slot| slot.as_deref_mut())
    }
}
