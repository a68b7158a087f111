//! From accept to the 101: async code, where waiting is the job.

mod endpoint;
mod gate;
mod listener;

pub(crate) use endpoint::Endpoint;
pub(crate) use gate::{Gate, Reservation, Verdict};
pub(crate) use listener::Front;
pub use listener::Listener;
