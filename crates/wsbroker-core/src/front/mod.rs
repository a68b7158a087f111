//! From accept to the 101: async code, where waiting is the job.
//!
//! [`listener`] is what the caller holds: some paths on one address. [`address`] is a bound
//! [`socket`] with the paths of all its listeners; [`addresses`] are all of a broker. [`accept`]
//! takes connections there and makes a [`new_connection`] of each [`accepted_stream`].
//! [`first_steps`] leads it through [`proxy`] and TLS to its [`request`], and [`upgrade`] from
//! there through [`forwarded`], [`websocket_handshake`], [`origin`] and [`pending_open`] (the wait
//! for the worker's verdict) to its [`response`]. [`answering`] tells those that are not let in.
//! [`plain`] serves what is no upgrade. [`admission`](crate::admission) counts the connections,
//! also of each listener.
//!
//! These have bounds: connections from accept to their end, in all and from one address;
//! connections before their verdict (`max_pending_upgrades`; more get a canned 503); open questions
//! to workers (four times as many, and 256 at least); refusals that are being written (as many as
//! pending upgrades, and 256 at least; more connections are cut) and what they hold
//! ([`rejection`]); and of each connection the bytes and the time until its request is complete.

mod accept;
mod accepted_stream;
mod address;
mod addresses;
mod answering;
mod first_steps;
mod forwarded;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod host;
mod listener;
mod listener_config;
mod new_connection;
mod origin;
mod peer;
mod pending_open;
mod plain;
mod plain_service;
mod proxy;
mod rejection;
mod request;
mod response;
mod socket;
#[cfg(unix)]
mod unix;
mod upgrade;
mod websocket_handshake;

pub(crate) use self::addresses::Front;
#[cfg(test)]
pub(crate) use self::pending_open::{Reservation, Verdict};
pub use self::{
    listener::{AwaitedPath, Listener},
    listener_config::ListenerConfig,
    plain_service::{FixedAnswer, ForwardUpgrades, HttpConfig, MetricsAnswer, MetricsText},
};
