//! HTTP/1.1 beside WebSocket: what a request's head says, where its body ends, and how it reaches
//! the application's own HTTP server and comes back.
//!
//! One parser reads every head ([`RequestHead`]), and every head that leaves is written anew from
//! what it understood. So the two sides can never disagree about where a request ends, which is
//! what request smuggling lives on. Bodies stream through with back-pressure and are never whole in
//! memory.
//!
//! This crate knows no listener, no worker and no WebSocket frame. It works on any byte stream.
#![forbid(unsafe_code)]

mod chunked;
mod download;
mod exchange;
mod failure;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod head;
mod headers;
mod inner;
mod output;
mod pace;
mod response;
mod timer;
mod tunnel;
#[cfg(unix)]
mod unix_stream;
mod upload;

pub use exchange::{Exchange, Forwarding, Next, Outcome};
pub use failure::Failure;
pub use head::{BodyLength, HeadError, RequestHead};
pub use headers::Client;
pub use http::HeaderName;
pub use inner::{Inner, InnerAddress, InnerAddressError};
pub use pace::LeastRate;
pub use timer::Timer;

#[doc(hidden)]
pub use chunked::{ChunkError, Chunked, Decoded};
