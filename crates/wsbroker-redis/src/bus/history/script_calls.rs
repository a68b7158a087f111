//! Calls of the script: what it is given, and what it answers.

use redis::{Cmd, Value};
use wsbroker_core::{BusFailure, HistoryEpoch, HistoryPosition, HistoryRule};

use super::{LIMIT, NumberedChannel, failure, keys::HistoryKeys};
use crate::bus::{
    RedisBus,
    bus_envelope::{self, InstanceId},
    link::{LinkError, ScriptLink},
};

/// How long the head of a channel that nobody uses is known at least, in milliseconds: a day.
const KEEP: u64 = 24 * 60 * 60 * 1000;

/// What is particular to a call of the script.
pub(super) struct Call<'a> {
    pub(super) name: &'a str,
    /// Of a publish.
    pub(super) id: Option<&'a [u8]>,
    /// Behind those that every call has.
    pub(super) arguments: &'a [&'a [u8]],
}

/// A call of the script, without the arguments of its own.
pub(super) struct HistoryCall {
    /// All are in one slot.
    pub(super) keys: Vec<Vec<u8>>,
    pub(super) arguments: Vec<Vec<u8>>,
}

/// Whose call it is, and of which channel.
pub(super) struct ScriptCaller<'a> {
    pub(super) instance: InstanceId,
    /// Of all names on the bus.
    pub(super) prefix: &'a str,
    pub(super) channel: &'a [u8],
    pub(super) rule: &'a HistoryRule,
    /// The newest position that is known.
    pub(super) known: Option<HistoryPosition>,
    pub(super) publish_command: &'a str,
}

impl ScriptCaller<'_> {
    pub(super) fn call(&self, Call { name, id, .. }: &Call<'_>) -> HistoryCall {
        let name = *name;
        let rule = self.rule;
        let on_bus = [self.prefix.as_bytes(), b":", self.channel].concat();
        let names = HistoryKeys::new(self.prefix, self.channel, &on_bus);
        let mut keys = vec![names.head(), names.stream()];
        keys.extend(id.map(|id| names.id(id)));
        let known = self.known.map(|known| (known.epoch.to_string(), known.offset));
        let (epoch, offset) = known.unwrap_or_default();
        let ttl = rule.ttl.as_millis();
        let kept_head = bus_envelope::kept_head(self.instance, name == "delete");
        let mut arguments: Vec<Vec<u8>> = [
            name.to_owned(),
            HistoryEpoch::random().to_string(),
            epoch,
            offset.to_string(),
            ttl.to_string(),
            rule.size.to_string(),
            rule.max_bytes.to_string(),
            u128::from(KEEP).max(2 * ttl).to_string(),
            self.publish_command.to_owned(),
        ]
        .map(String::into_bytes)
        .into();
        arguments.extend([on_bus, [bus_envelope::mark(self.prefix), kept_head].concat()]);
        HistoryCall { keys, arguments }
    }
}

pub(super) fn texts(value: &Value) -> Option<Vec<&[u8]>> {
    let Value::Array(values) = value else { return None };
    values
        .iter()
        .map(|value| match value {
            Value::BulkString(bytes) => Some(&bytes[..]),
            Value::SimpleString(text) => Some(text.as_bytes()),
            _ => None,
        })
        .collect()
}

pub(super) fn read_position(texts: &[&[u8]]) -> Option<HistoryPosition> {
    let [epoch, offset, ..] = texts else { return None };
    bus_envelope::position(epoch, bus_envelope::number(offset)?)
}

impl RedisBus {
    /// A call of the script for a channel.
    pub(super) fn script(&self, link: &ScriptLink, channel: &[u8], numbered: &NumberedChannel, call: Call<'_>) -> Cmd {
        let caller = ScriptCaller {
            instance: self.instance,
            prefix: &self.config.prefix,
            channel,
            rule: numbered.rule(),
            known: numbered.known(),
            publish_command: link.publish_command(),
        };
        let HistoryCall { keys, arguments } = caller.call(&call);
        link.call(&keys, arguments.iter().map(Vec::as_slice).chain(call.arguments.iter().copied()))
    }

    pub(super) async fn ask(
        &self,
        channel: &[u8],
        numbered: &NumberedChannel,
        call: &str,
        own: &[&[u8]],
    ) -> Result<Value, BusFailure> {
        let link = self.script_link()?;
        let command = self.script(&link, channel, numbered, Call { name: call, id: None, arguments: own });
        match link.run(&command, LIMIT).await {
            Err(LinkError::Redis(error)) if error.code() == Some("NOSCRIPT") => {
                link.load(LIMIT).await.map_err(|error| failure(&error))?;
                link.run(&command, LIMIT).await.map_err(|error| failure(&error))
            }
            answer => answer.map_err(|error| failure(&error)),
        }
    }
}
