//! From accept to the 101: async code, where waiting is the job.
//!
//! [`listener`] is what the caller holds: some paths on one address. [`address`] is a bound [`socket`] with the paths of all its listeners,
//! [`accept`] takes connections there, makes an [`connection`] of each, and [`upgrade`] leads it through [`proxy`], [`request`], [`forwarded`], [`handshake`], [`origin`], [`gate`] (where it waits for
//! the worker's verdict) and [`response`]. The counts that tell when a listener is empty are in [`endpoint`].
//!
//! Bounded are: connections from accept to their end, in all and from one address ([`admission`]); connections before their verdict (`max_pending_upgrades`; more get a canned 503), connections that are being told no (as many
//! again, and 256 at least; more are cut) and what their answers hold ([`held`]), and of each connection the bytes and the time until its request is complete.

mod accept;
mod address;
mod addresses;
mod config;
mod forwarded;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod handshake;
mod host;
mod listener;
mod new_connection;
mod origin;
mod peer;
mod pending_open;
mod proxy;
mod rejection;
mod request;
mod response;
mod socket;
#[cfg(unix)]
mod unix;
mod upgrade;

pub(crate) use self::addresses::Front;
#[cfg(test)]
pub(crate) use self::pending_open::{Reservation, Verdict};
pub use self::{
    config::ListenerConfig,
    listener::{AwaitedPath, Listener},
};
