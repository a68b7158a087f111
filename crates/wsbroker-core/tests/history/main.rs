//! Channels with history: what a socket that comes back gets, in which order, and what it is told.
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod crowds;
mod followed;
mod ids;
mod kit;
mod losing;
mod recovering;
mod slow;
