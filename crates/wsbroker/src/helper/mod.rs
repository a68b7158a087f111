//! What JavaScript calls for the server helper: `src/helper` only.
//!
//! An `instance` is what the helpers of one identifier share. `helper_functions` are called for
//! every message and client. `native_relay` is a helper's Redis. Clients, rooms and users are the
//! core's.

pub(crate) mod helper_functions;
pub(crate) mod instance;
pub(crate) mod native_relay;
