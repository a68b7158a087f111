//! The state of a broker that every thread sees: sockets, channels and tokens. A call decides here
//! at once; shards only carry the decision out.
//!
//! Lock order: a namespace's directory, then a socket's membership, then one of: a channel's
//! subscribers, a shard's FIFO, the bus's own locks. Apart from these: a namespace's input, then
//! the list of its left clients, then a worker's mailbox; the list of workers, then a worker's
//! mailbox; the front's list of addresses, then one address's routes, then its awaited paths. A map
//! guard is held for one look-up only, and no other lock is taken meanwhile.

mod channels;
mod namespace_state;
mod sockets;

pub(crate) use channels::{Channel, ChannelId, ChannelSet, Channels};
pub(crate) use namespace_state::NamespaceState;
pub(crate) use sockets::{Awaited, Membership, SocketState, Sockets};
pub use sockets::{Socket, Token};
