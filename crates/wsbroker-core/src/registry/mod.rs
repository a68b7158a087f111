//! Process-wide state: sockets, channels and tokens. It decides at call time; the shards only carry out.
//!
//! Lock order: a namespace's directory, then a socket's membership, then a channel's members, then a shard's FIFO. A map guard is never held while another lock is taken.

mod channels;
mod namespace;
mod sockets;

pub(crate) use channels::{Channel, ChannelId, ChannelSet, Channels};
pub(crate) use namespace::NamespaceState;
pub(crate) use sockets::{Awaited, Membership, SocketState, Sockets};
pub use sockets::{Socket, Token};
