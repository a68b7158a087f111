//! What JavaScript calls for servers, sockets and the cluster: the functions behind `src/api`.
//!
//! Each converts its arguments, calls the core and converts the result. Decisions belong to the
//! core, and what the process has to `process`. What only helpers call is in `helper`.

pub(crate) mod available_memory;
pub(crate) mod bus_history_functions;
pub(crate) mod channels_functions;
pub(crate) mod cluster_functions;
pub(crate) mod drain;
pub(crate) mod history_functions;
pub(crate) mod http_options;
pub(crate) mod inspection;
pub(crate) mod lifecycle;
pub(crate) mod messaging;
pub(crate) mod metrics_text;
pub(crate) mod option_values;
pub(crate) mod options;
pub(crate) mod pool_functions;
pub(crate) mod stats_object;
pub(crate) mod tls_options;
pub(crate) mod worker_functions;
