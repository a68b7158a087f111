//! The broker for an instance of helpers: the one there is, or one that begins with the instance.

use wsbroker_core::Broker;

use super::{
    PROCESS, ProcessOptions,
    current_broker::begin,
    generation, next_generation,
    process_options::{config_difference, differs},
};
use crate::js::js_error::JsError;

/// The broker that an instance of helpers uses. It stays until [`leave`](Self::leave), unless it is
/// shut down.
pub(crate) struct InstanceBroker {
    pub(crate) broker: Broker,
    generation: u64,
}

/// The broker for an instance of helpers: the one there is, or a new one with these options.
///
/// # Errors
/// As for [`open`](super::open).
pub(crate) fn instance_broker(call: &str, options: ProcessOptions) -> Result<InstanceBroker, JsError> {
    let mut guard = PROCESS.state.lock();
    let state = &mut *guard;
    let current = match &mut state.current {
        Some(current) => {
            if let Some(name) = config_difference(&current.options.config, &options.config) {
                return Err(differs(call, name));
            }
            current
        }
        none => none.insert(begin(options, state.last_id, state.cluster.as_ref(), state.ready)?),
    };
    current.instances += 1;
    Ok(InstanceBroker { broker: current.broker.clone(), generation: generation() })
}

impl InstanceBroker {
    /// Whether it is still the broker of the process.
    pub(crate) fn is_current(&self) -> bool {
        self.generation == generation()
    }

    /// Checks that these options are those of the broker.
    ///
    /// # Errors
    /// An option differs.
    pub(crate) fn agree(&self, call: &str, options: &ProcessOptions) -> Result<(), JsError> {
        let state = PROCESS.state.lock();
        let current = state.current.as_ref().filter(|_| self.is_current());
        let difference = current.and_then(|current| config_difference(&current.options.config, &options.config));
        difference.map_or(Ok(()), |name| Err(differs(call, name)))
    }

    /// The instance has ended and has no connections. If nobody else uses the broker, the process
    /// lets go of it and the caller is to shut it down.
    pub(crate) fn leave(&self) -> Option<Broker> {
        let mut guard = PROCESS.state.lock();
        let state = &mut *guard;
        let current = state.current.as_mut().filter(|_| self.is_current())?;
        current.instances -= 1;
        if !current.is_unused() {
            return None;
        }
        state.free_workers();
        let gone = state.current.take()?;
        state.last_id = gone.broker.last_id();
        next_generation();
        Some(gone.broker)
    }
}
