//! Publishing without sockets.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    io,
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{runtime::Handle, time::timeout};
use wsbroker_proto::MessageKind;

use super::{Bus, BusListener, BusStats, outgoing::Queued};
use crate::config::ClusterConfig;

/// Publishes to channels from a process that serves no sockets. Clones are the same emitter.
///
/// It connects in the background, and again without end. Dropping the last clone publishes what waits, for at most a second, and ends it.
#[derive(Clone, Debug)]
pub struct Emitter(Arc<Ending>);

/// Ends the bus with the last emitter.
struct Ending(Arc<Bus>);

/// The message did not get to Redis, or it is not known whether it did.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the bus is lost, or too much waits for it")]
pub struct EmitError;

impl Emitter {
    /// Starts its thread.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub fn new(config: ClusterConfig, listener: BusListener) -> io::Result<Self> {
        let instance = RandomState::new().hash_one(std::process::id());
        let bus = Arc::new(Bus::new(Weak::new(), config, instance, listener));
        bus.start()?;
        Ok(Self(Arc::new(Ending(bus))))
    }

    /// Its thread's runtime, for whoever awaits its futures without one.
    #[must_use]
    pub fn runtime(&self) -> Option<Handle> {
        self.0.0.runtime()
    }

    /// Publishes to every subscriber on every instance. Resolves when Redis has it. Waits for the bus at most that long, if it is not ready.
    ///
    /// # Errors
    /// [`EmitError`].
    pub async fn publish(
        &self,
        channel: &[u8],
        kind: MessageKind,
        payload: &[u8],
        limit: Duration,
    ) -> Result<(), EmitError> {
        let bus = &self.0.0;
        if !matches!(timeout(limit, bus.ready()).await, Ok(true)) {
            return Err(EmitError);
        }
        if bus.publish(channel, kind, payload) == Queued::Dropped {
            return Err(EmitError);
        }
        if bus.answered().await { Ok(()) } else { Err(EmitError) }
    }

    /// Resolves when the bus is ready; at once if it is.
    pub async fn ready(&self) -> bool {
        self.0.0.ready().await
    }

    /// Numbers of its bus.
    #[must_use]
    pub fn stats(&self) -> BusStats {
        self.0.0.stats()
    }
}

impl fmt::Debug for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.stop();
    }
}
