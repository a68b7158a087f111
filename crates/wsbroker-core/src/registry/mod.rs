//! The state of a broker that every thread sees: sockets, channels and tokens. A call decides here
//! at once; shards only execute the decision.
//!
//! Lock order: a namespace's directory, then a socket's membership, then one of: a channel's
//! subscribers, a shard's FIFO, the bus's own locks. Three more orders have nothing to do with
//! these:
//!
//! * a namespace's input, the list of its left clients, a worker's mailbox;
//! * the list of workers, a worker's mailbox;
//! * the front's list of addresses, then of one address its routes, then one of: its awaited paths,
//!   its certificates.
//!
//! A guard of a map is held for one look-up, and no other lock is taken meanwhile.

mod channels;
mod namespace_state;
mod request_lines;
mod slow_sockets;
mod socket_channels;
mod sockets;

pub(crate) use channels::{Channel, ChannelId, ChannelSet, Channels};
pub(crate) use namespace_state::NamespaceState;
pub(crate) use request_lines::RequestLines;
pub(crate) use slow_sockets::{SlowEntry, SlowSockets, Slowest};
pub(crate) use socket_channels::{LeavingChannels, SocketChannels};
pub(crate) use sockets::{Awaited, Membership, SocketOrigin, SocketState, Sockets, WindowUse};
pub use sockets::{Socket, Token};
