//! Everything that knows Redis: the bus that joins brokers to each other, and the relay of the
//! server helper.
//!
//! `server` reaches a Redis, whichever kind it is, and notices when it is gone. The other two use
//! it and not each other: `bus` is a [`Bus`](wsbroker_core::Bus) of the core, and `relay`
//! speaks the helper's protocol. The core knows none of this; this crate uses its public interface.
#![forbid(unsafe_code)]

mod bus;
mod relay;
mod server;

pub use bus::{ClusterConfig, EmitError, Emitter, PublishingScript, RedisBus, ReloadError, ScriptCall};
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub use relay::fuzzing as relay_fuzzing;
pub use relay::{
    Envelope, IncomingMessage, InvalidEnvelope, MessageType, NamespaceSink, OutgoingMessage, PublishCallback,
    PublishError, QueueError, Relay, RelayConfig, RelayError, RelayEvent, RelayPart, RelaySink, RelayStats,
    RequestError, WeakRelay,
};
pub use server::{RedisConfig, RedisServers, RedisTls, RedisUrlError};
