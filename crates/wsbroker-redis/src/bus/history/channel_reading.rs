//! A channel is read, whole or what is new, and merged.

use std::time::Duration;

use redis::Value;
use tokio::time::timeout;
use wsbroker_core::{BusFailure, BusHistory, HistoryPosition, KeptMessage};

use super::{
    NumberedChannel, body, lost,
    script_calls::{read_position, texts},
    unreadable,
};
use crate::bus::{RedisBus, bus_envelope, publish_queue::ChannelKey};

/// How long a channel may take to be followed.
const FOLLOW: Duration = Duration::from_secs(5);
/// How long messages may take that Redis had sent before it answered over another connection.
const OVERTAKEN: Duration = Duration::from_millis(500);
/// Bytes that one reply has of a channel's messages, about.
const PAGE: usize = 1 << 20;
/// How often what was read may be outdated when it comes.
const ATTEMPTS: usize = 8;

/// What one call has read.
struct Page {
    position: HistoryPosition,
    first: Option<u64>,
    next: Option<u64>,
    messages: Vec<KeptMessage>,
}

impl RedisBus {
    /// Brings a channel up to date, soon.
    pub(in crate::bus) fn follow_up(&self, channel: &[u8]) {
        let (Ok(me), Some(runtime)) = (self.me(), self.runtime()) else { return };
        let channel: ChannelKey = channel.into();
        runtime.spawn(async move {
            // Otherwise it is read when the bus is back.
            if let Err(failure) = me.bring_up(&channel, false).await {
                tracing::debug!(%failure, "a channel could not be read");
            }
        });
    }

    /// Reads what the ring has not, or everything.
    pub(super) async fn bring_up(&self, channel: &[u8], whole: bool) -> Result<(), BusFailure> {
        self.history.flights.share(channel, whole, || self.fly(channel, whole)).await
    }

    async fn fly(&self, channel: &[u8], whole: bool) -> Result<(), BusFailure> {
        let followed = self.followed(channel).ok_or_else(lost)?;
        let numbered = NumberedChannel::Followed(followed.clone());
        let confirmed = self.interest.await_confirmation(channel);
        let ready = async { confirmed.await.map_err(|_| lost()) };
        timeout(FOLLOW, ready).await.map_err(|_| lost())??;
        let mut waited = false;
        for _ in 0..ATTEMPTS {
            let Ok(permit) = self.history.reads.acquire().await else { return Err(lost()) };
            let state = followed.state();
            let from = match state.here {
                _ if whole => 0,
                Some(here) => here.offset + 1,
                // Nobody has to get what was before.
                None => u64::MAX >> 11,
            };
            let read = self.read_from(channel, &numbered, from).await?;
            if !waited && let Some(arrival) = followed.overtaken(read.position) {
                // Others read meanwhile, and what was read does not wait in memory.
                drop((read, permit));
                // If they do not come, what is read next tells what is missing.
                let _ = timeout(OVERTAKEN, arrival).await;
                waited = true;
                continue;
            }
            if followed.merge(state.changes, read) {
                return Ok(());
            }
        }
        Err(BusFailure { reason: "the epoch of the channel keeps changing".into(), unknown: false })
    }

    pub(super) async fn read_from(
        &self,
        channel: &[u8],
        numbered: &NumberedChannel,
        from: u64,
    ) -> Result<BusHistory, BusFailure> {
        let (mut messages, mut first, mut next) = (Vec::new(), None, from);
        loop {
            let answer = self
                .ask(channel, numbered, "read", &[next.to_string().as_bytes(), PAGE.to_string().as_bytes()])
                .await?;
            let page = self.page(&answer).ok_or_else(unreadable)?;
            let position = page.position;
            let follows = match (first, page.first) {
                (Some(begun), Some(here)) => begun + messages.len() as u64 == here,
                _ => true,
            };
            if !follows {
                // The first part was deleted, or is of another epoch.
                (messages, first) = (Vec::new(), None);
            }
            first = first.or(page.first);
            messages.extend(page.messages);
            match page.next.filter(|to| *to <= position.offset) {
                Some(to) => next = to,
                None => {
                    let first = first.unwrap_or(position.offset + 1);
                    if first + messages.len() as u64 != position.offset + 1 {
                        return Err(unreadable());
                    }
                    return Ok(BusHistory { position, first, messages, whole: from == 0 });
                }
            }
        }
    }

    fn page(&self, answer: &Value) -> Option<Page> {
        let texts = texts(answer)?;
        let position = read_position(&texts)?;
        let [_, _, first, next, mut bytes] = texts[..] else { return None };
        let input = &mut bytes;
        let mut messages = Vec::new();
        while !input.is_empty() {
            let age = bus_envelope::take_number(input).ok()?;
            let length = usize::try_from(bus_envelope::take_number(input).ok()?).ok()?;
            let (message, rest) = input.split_at_checked(length)?;
            *input = rest;
            messages.push(body::read(self.instance, message, age).ok()?);
        }
        Some(Page { position, first: bus_envelope::number(first), next: bus_envelope::number(next), messages })
    }
}
