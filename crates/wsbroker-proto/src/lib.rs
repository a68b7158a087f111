//! The WebSocket protocol (RFC 6455), sans-IO: bytes in, messages out; messages in, bytes out.
//!
//! No sockets, no clocks, no threads, no `unsafe`. A caller that reads into a buffer shared by many
//! connections hands the bytes to each connection's [`Parser`], which unmasks them where they lie;
//! a message that is whole in the buffer is handed out as a slice of it, without a copy or an
//! allocation.
//!
//! * `parser`: [`Parser`], the reading side, for servers and clients.
//! * `item`: what it takes ([`Input`], [`Limits`]) and gives ([`Item`], [`Payload`]).
//! * `frame`: headers and the writing side; [`client`] holds what only a client needs.
//! * `close`, `close_payload`: [`CloseCode`], [`CloseFrame`], and how one is read.
//! * `extension`: agreeing on permessage-deflate ([`negotiate`], [`Offer`], [`Agreement`]).
//! * `deflate`: its two directions, [`Inflater`] and [`Deflaters`], each for any number of
//!   connections.
//! * [`mask`] and [`utf8`]: the two loops that touch every byte.
//! * `error`: [`ProtocolError`], with the close code each failure calls for.
//!
//! ```
//! use wsbroker_proto::{client, Input, Item, Limits, Opcode, Parser, Role};
//!
//! let mut wire = Vec::new();
//! client::write_frame(&mut wire, true, Opcode::Text, b"hello", [1, 2, 3, 4]);
//!
//! let limits = Limits { max_message: 1 << 20, allow_rsv1: false };
//! let mut parser = Parser::new(Role::Server);
//! let mut input = Input::new(&mut wire);
//! let item = parser.next(&mut input, &limits)?;
//! assert!(matches!(item, Some(Item::Message { payload, .. }) if payload.as_ref() == b"hello"));
//! assert!(parser.next(&mut input, &limits)?.is_none());
//! # Ok::<(), wsbroker_proto::ProtocolError>(())
//! ```
#![forbid(unsafe_code)]

mod close;
mod close_payload;
mod deflate;
mod error;
mod extension;
mod frame;
mod item;
pub mod mask;
mod parser;
pub mod utf8;

pub use close::{CloseCode, CloseFrame, MAX_REASON};
pub use deflate::{Deflaters, InflateError, Inflater, Slice, Sliced};
pub use error::ProtocolError;
pub use extension::{Agreement, ExtensionError, Offer, WindowBits, negotiate};
pub use frame::{
    Header, MAX_CONTROL, MAX_HEADER, MAX_SERVER_HEADER, Opcode, client, server_header, write_close, write_frame,
};
pub use item::{Input, Item, Limits, MessageKind, Payload, Role};
pub use parser::Parser;
