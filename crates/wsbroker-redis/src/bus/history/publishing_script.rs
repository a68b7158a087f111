//! The script for those who have a Redis client of their own.

use std::hash::{BuildHasher, RandomState};

use wsbroker_core::{BusMessage, HistoryPosition, HistoryRule};

use super::{
    body,
    script_calls::{Call, HistoryCall, ScriptCaller},
};
use crate::bus::{bus_envelope::InstanceId, link::SCRIPT};

/// Publishes to channels with history through a Redis client of the application.
#[derive(Clone, Debug)]
pub struct PublishingScript {
    instance: InstanceId,
    prefix: String,
    rules: Vec<HistoryRule>,
}

/// What such a client has to run: `EVALSHA`, and where that fails with `NOSCRIPT`, `EVAL`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ScriptCall {
    /// The keys. All are in one slot of a Cluster.
    pub keys: Vec<Vec<u8>>,
    /// The arguments. The last one is the message.
    pub arguments: Vec<Vec<u8>>,
}

impl PublishingScript {
    /// The script itself. It answers with the epoch, the offset, and `1` for a duplicate.
    pub const TEXT: &str = SCRIPT;

    /// `prefix` and `rules` as the instances have them.
    #[must_use]
    pub fn new(prefix: String, rules: Vec<HistoryRule>) -> Self {
        Self { instance: InstanceId(RandomState::new().hash_one(std::process::id())), prefix, rules }
    }

    /// Whether the channel has a history.
    #[must_use]
    pub fn has_history(&self, channel: &[u8]) -> bool {
        self.rule(channel).is_some()
    }

    /// The call that publishes a message; `known`: the newest position of its channel that the
    /// caller was told. `None` if the channel has no history.
    #[must_use]
    pub fn publish(
        &self,
        message: &BusMessage<'_>,
        known: Option<HistoryPosition>,
        cluster: bool,
    ) -> Option<ScriptCall> {
        let caller = ScriptCaller {
            instance: self.instance,
            prefix: &self.prefix,
            channel: message.channel,
            rule: self.rule(message.channel)?,
            known,
            publish_command: if cluster { "SPUBLISH" } else { "PUBLISH" },
        };
        let HistoryCall { keys, mut arguments } =
            caller.call(&Call { name: "publish", id: message.id, arguments: &[] });
        arguments.push(body::write(self.instance, message));
        Some(ScriptCall { keys, arguments })
    }

    fn rule(&self, channel: &[u8]) -> Option<&HistoryRule> {
        self.rules.iter().find(|rule| rule.matches(channel))
    }
}
