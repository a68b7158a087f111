//! What waits is stored, in order.

use std::sync::{Arc, atomic::Ordering};

use futures_util::future::join_all;
use redis::{Cmd, RedisError, Value};
use rustc_hash::FxHashSet;
use tokio::time::timeout;
use wsbroker_core::{BusReceipt, CloseCode, ReceiptSender};

use super::{
    LIMIT, NumberedChannel,
    queue::HistoryOperation,
    refusal,
    script_calls::{Call, read_position, texts},
    unreadable,
};
use crate::{
    bus::{
        RedisBus, bus_envelope,
        link::{LinkError, ScriptLink},
        publish_queue::{ChannelKey, Refused},
    },
    server::printable::clean,
};

/// What has to be done when the answers are there.
enum Pending {
    Publish(PendingPublish),
    Told(ChannelKey),
    Close(ChannelKey, CloseCode, String),
}

/// A message that Redis has not answered.
struct PendingPublish {
    channel: ChannelKey,
    numbered: NumberedChannel,
    message: Vec<u8>,
    id: Option<Box<[u8]>>,
    receipt: Option<ReceiptSender>,
}

impl RedisBus {
    /// Runs what waits, until the link ends.
    pub(in crate::bus) async fn run_histories(&self, link: &ScriptLink) -> LinkError {
        loop {
            let operations = self.history.queue.take();
            if operations.is_empty() {
                self.history.idle.notify_one();
                self.history.wake.notified().await;
                continue;
            }
            if let Err(error) = self.run_operations(link, operations).await {
                return error;
            }
            self.history.queue.answered();
        }
    }

    async fn run_operations(&self, link: &ScriptLink, operations: Vec<HistoryOperation>) -> Result<(), LinkError> {
        // Who has subscribed before something was published gets it, also if Redis does not know
        // yet that this instance listens.
        let mut first: Vec<&ChannelKey> = operations
            .iter()
            .map(HistoryOperation::channel)
            .filter(|channel| self.followed(channel).is_some_and(|followed| followed.is_to_be_followed()))
            .collect();
        first.sort_unstable();
        first.dedup();
        // If that fails, they learn what they have missed when the channel is followed.
        let _ = timeout(LIMIT, join_all(first.into_iter().map(|channel| self.bring_up(channel, false)))).await;
        let mut commands = Vec::with_capacity(operations.len());
        let mut pending = Vec::with_capacity(operations.len());
        for operation in operations {
            let channel = Arc::clone(operation.channel());
            match operation {
                HistoryOperation::Publish { message, id, receipt, .. } => {
                    let Some(numbered) = self.numbered(&channel) else { continue };
                    let publish = PendingPublish { channel, numbered, message, id, receipt };
                    commands.push(self.publish_command(link, &publish));
                    pending.push(Pending::Publish(publish));
                }
                HistoryOperation::Close { code, reason, everywhere, .. } => {
                    if everywhere {
                        let close = bus_envelope::close_numbered(self.instance, code, &reason);
                        let mut command = redis::cmd(link.publish_command());
                        command.arg(self.on_bus(&channel)).arg([&*self.mark, &close].concat());
                        commands.push((Arc::clone(&channel), command));
                        pending.push(Pending::Told(Arc::clone(&channel)));
                    }
                    pending.push(Pending::Close(channel, code, reason));
                }
            }
        }
        let mut answers = link.run_all(commands, LIMIT).await?;
        if answers.iter().any(is_scriptless) {
            self.run_again(link, &pending, &mut answers).await?;
        }
        let mut answers = answers.into_iter();
        for operation in pending {
            match operation {
                Pending::Publish(publish) => self.published(publish, answers.next().unwrap_or(Ok(Value::Nil))),
                Pending::Told(_) => {
                    if let Some(Err(error)) = answers.next() {
                        self.refused(&Refused { messages: 1, reason: Some(clean(&error.to_string())) });
                    }
                }
                Pending::Close(channel, code, reason) => self.close_behind(channel, code, reason),
            }
        }
        Ok(())
    }

    fn publish_command(&self, link: &ScriptLink, publish: &PendingPublish) -> (ChannelKey, Cmd) {
        let PendingPublish { channel, numbered, message, id, .. } = publish;
        let call = Call { name: "publish", id: id.as_deref(), arguments: &[message] };
        (Arc::clone(channel), self.script(link, channel, numbered, call))
    }

    /// A Redis that has lost the script gets it again, and then what it could not do without.
    async fn run_again(
        &self,
        link: &ScriptLink,
        pending: &[Pending],
        answers: &mut [Result<Value, RedisError>],
    ) -> Result<(), LinkError> {
        let asked: Vec<(&ChannelKey, Option<&PendingPublish>)> = pending
            .iter()
            .filter_map(|pending| match pending {
                Pending::Publish(publish) => Some((&publish.channel, Some(publish))),
                Pending::Told(channel) => Some((channel, None)),
                Pending::Close(..) => None,
            })
            .collect();
        let channels: Vec<_> =
            asked.iter().map(|(channel, _)| *channel).zip(answers.iter().map(is_scriptless)).collect();
        let again = to_repeat(&channels);
        link.load(LIMIT).await?;
        let publishes = again.iter().filter_map(|index| asked.get(*index)?.1);
        let commands = publishes.map(|publish| self.publish_command(link, publish)).collect();
        for (index, answer) in again.iter().zip(link.run_all(commands, LIMIT).await?) {
            if let Some(place) = answers.get_mut(*index) {
                *place = answer;
            }
        }
        Ok(())
    }

    /// Redis has answered.
    fn published(&self, publish: PendingPublish, answer: Result<Value, RedisError>) {
        let PendingPublish { channel, numbered, receipt, .. } = publish;
        let outcome = match &answer {
            Err(error) => Err(refusal(error)),
            Ok(value) => {
                let texts = texts(value);
                let duplicate = texts.as_ref().and_then(|texts| texts.get(2)).is_some_and(|text| *text == b"1");
                texts
                    .and_then(|texts| read_position(&texts))
                    .map(|position| BusReceipt { position, duplicate })
                    .ok_or_else(unreadable)
            }
        };
        match &outcome {
            Ok(receipt) => {
                self.published.fetch_add(u64::from(!receipt.duplicate), Ordering::Relaxed);
                if !receipt.duplicate {
                    match &numbered {
                        NumberedChannel::Followed(followed) => followed.note(receipt.position),
                        NumberedChannel::Emitted(..) => self.history.remember(&channel, receipt.position),
                    }
                }
            }
            Err(failure) => self.refused(&Refused { messages: 1, reason: Some(failure.reason.clone()) }),
        }
        if let Some(receipt) = receipt {
            // The publisher may have given up.
            let _ = receipt.send(outcome);
        }
    }

    /// Closes the subscribers here, behind what this instance has published before.
    fn close_behind(&self, channel: ChannelKey, code: CloseCode, reason: String) {
        let (Ok(me), Some(followed)) = (self.me(), self.followed(&channel)) else { return };
        let known = followed.state().known;
        tokio::spawn(async move {
            if let Some(known) = known {
                followed.arrive(known).await;
            }
            if let Some(cork) = me.cork.lock().as_mut() {
                cork.close_channel_now(&channel, code, &reason);
                cork.flush();
            }
        });
    }
}

fn is_scriptless(answer: &Result<Value, RedisError>) -> bool {
    answer.as_ref().is_err_and(|error| error.code() == Some("NOSCRIPT"))
}

/// The places of those that failed for want of the script, unless a later one of the channel has
/// not: they would come behind it.
fn to_repeat(answers: &[(&ChannelKey, bool)]) -> Vec<usize> {
    let mut done: FxHashSet<&ChannelKey> = FxHashSet::default();
    let mut again = Vec::new();
    for (index, (channel, is_scriptless)) in answers.iter().enumerate().rev() {
        if !is_scriptless {
            done.insert(channel);
        } else if !done.contains(channel) {
            again.push(index);
        }
    }
    again.reverse();
    again
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_redis_without_the_script_refused_is_repeated_unless_something_newer_was_stored() {
        let channels: [ChannelKey; 2] = [b"a".as_slice().into(), b"b".as_slice().into()];
        let places = |all: &[(usize, bool)]| {
            to_repeat(&all.iter().map(|(channel, lost)| (&channels[*channel], *lost)).collect::<Vec<_>>())
        };
        assert!(places(&[(0, false), (1, false)]).is_empty());
        assert_eq!(places(&[(0, true), (1, true), (0, true)]), [0, 1, 2]);
        assert_eq!(places(&[(0, false), (0, true), (1, true)]), [1, 2], "lost in between");
        assert_eq!(places(&[(0, true), (0, false), (1, true), (0, true)]), [2, 3], "back in between");
    }
}
