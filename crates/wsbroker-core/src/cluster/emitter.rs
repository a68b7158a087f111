//! Publishing without sockets.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    io,
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::{Mutex, oneshot},
    time::{Instant, timeout_at},
};
use wsbroker_proto::MessageKind;

use super::{Bus, BusListener, BusStats, Form, outgoing::Queued};
use crate::{config::ClusterConfig, shard::Compress};

/// Publishes to channels from a process that serves no sockets. Clones are the same emitter.
///
/// It connects in the background, and again without end. Dropping the last clone publishes what waits, for at most a second, and ends it.
#[derive(Clone, Debug)]
pub struct Emitter {
    ending: Arc<Ending>,
    /// Who waits for the bus keeps those behind it waiting, so that all keep their order.
    turn: Arc<Mutex<()>>,
}

/// Ends the bus with the last emitter.
struct Ending(Arc<Bus>);

/// The message did not get to Redis, or it is not known whether it did.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EmitError {
    /// Redis is not there, or was lost before it answered, or too much waits for it.
    #[error("the bus is lost, or too much waits for it")]
    Lost,
    /// Redis has answered that it does not take it, and why.
    #[error("Redis refused the message: {0}")]
    Refused(String),
}

impl Emitter {
    /// Starts its thread.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub fn new(config: ClusterConfig, listener: BusListener) -> io::Result<Self> {
        let instance = RandomState::new().hash_one(std::process::id());
        let bus = Arc::new(Bus::new(Weak::new(), config, instance, listener));
        bus.start()?;
        Ok(Self { ending: Arc::new(Ending(bus)), turn: Arc::default() })
    }

    /// Its thread's runtime, for whoever awaits its futures without one.
    #[must_use]
    pub fn runtime(&self) -> Option<Handle> {
        self.ending.0.runtime()
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
        let bus = &self.ending.0;
        let deadline = Instant::now() + limit;
        let Ok(turn) = timeout_at(deadline, self.turn.lock()).await else {
            return Err(EmitError::Lost);
        };
        if !matches!(timeout_at(deadline, bus.ready()).await, Ok(true)) {
            return Err(EmitError::Lost);
        }
        let (waiter, answer) = oneshot::channel();
        let form = Form { kind, compress: Compress::Auto };
        if bus.outgoing.publish(channel, form, payload, Some(waiter)) == Queued::Dropped {
            return Err(EmitError::Lost);
        }
        bus.send();
        drop(turn);
        match answer.await {
            Ok(answer) => answer.map_err(EmitError::Refused),
            Err(_) => Err(EmitError::Lost),
        }
    }

    /// Resolves when the bus is ready; at once if it is.
    pub async fn ready(&self) -> bool {
        self.ending.0.ready().await
    }

    /// Numbers of its bus.
    #[must_use]
    pub fn stats(&self) -> BusStats {
        self.ending.0.stats()
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
