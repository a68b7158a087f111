//! What a process can have only one value of, and whether two callers agree on it.

use wsbroker_core::Config;

use crate::js::js_error::JsError;

/// Options that a process can have only one value of.
#[derive(Clone, Debug)]
pub(crate) struct ProcessOptions {
    /// The core's options.
    pub(crate) config: Config,
    /// Whether the handlers of a socket run at the same time. Workers find it in their control
    /// block.
    pub(crate) concurrent: bool,
    /// In milliseconds, 0 is off. Workers find it in their control block.
    pub(crate) handler_timeout: u32,
}

impl ProcessOptions {
    /// The first option in which two differ.
    pub(super) fn difference(&self, other: &Self) -> Option<&'static str> {
        let handling = [
            ("handlers", self.concurrent != other.concurrent),
            ("handlerTimeout", self.handler_timeout != other.handler_timeout),
        ];
        let differs = || handling.into_iter().find_map(|(name, differs)| differs.then_some(name));
        config_difference(&self.config, &other.config).or_else(differs)
    }
}

/// The first option of the core in which two differ.
pub(super) fn config_difference(a: &Config, b: &Config) -> Option<&'static str> {
    let differs = [
        ("ioThreads", a.io_threads != b.io_threads),
        ("maxSendMemory", a.max_send_memory != b.max_send_memory),
        ("maxReceiveMemory", a.max_receive_memory != b.max_receive_memory),
        ("maxInFlight.messages", a.in_flight.messages != b.in_flight.messages),
        ("maxInFlight.bytes", a.in_flight.bytes != b.in_flight.bytes),
        ("maxInFlight.workerBytes", a.in_flight.worker_bytes != b.in_flight.worker_bytes),
        ("maxPendingUpgrades", a.max_pending_upgrades != b.max_pending_upgrades),
        ("maxConnections", a.max_connections != b.max_connections),
        ("maxConnectionsPerIp", a.max_connections_per_ip != b.max_connections_per_ip),
        ("maxChannelsPerSocket", a.max_channels_per_socket != b.max_channels_per_socket),
        ("maxChannelNameLength", a.max_channel_name_length != b.max_channel_name_length),
        ("history", a.history != b.history),
        ("maxHistoryMemory", a.max_history_memory != b.max_history_memory),
        ("watchdog.after", a.stuck_after != b.stuck_after),
    ];
    differs.into_iter().find_map(|(name, differs)| differs.then_some(name))
}

pub(super) fn differs(call: &str, name: &str) -> JsError {
    JsError::conflict(format!(
        "{call}: \"{name}\" differs from an earlier call; all servers of a process must use the same value"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_that_differs_is_named() {
        let options = ProcessOptions { config: Config::default(), concurrent: false, handler_timeout: 30_000 };
        assert_eq!(options.difference(&options.clone()), None);
        let mut other = options.clone();
        other.config.in_flight.bytes += 1;
        assert_eq!(options.difference(&other), Some("maxInFlight.bytes"));
        let mut other = options.clone();
        other.config.max_connections_per_ip = Some(1);
        assert_eq!(options.difference(&other), Some("maxConnectionsPerIp"));
        let other = ProcessOptions { concurrent: true, ..options.clone() };
        assert_eq!(options.difference(&other), Some("handlers"));
    }
}
