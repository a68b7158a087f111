//! Requests through an exchange, with a client and a server of which every byte is scripted.
#![allow(clippy::unwrap_used)]

mod bodies;
mod failures;
mod heads;
mod hostile;
mod kit;
mod tunnels;
