//! What the broker asks of its bus for channels with history.

use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt};
use wsbroker_core::{
    Bus, BusFailure, BusHistory, BusMessage, BusState, CloseCode, FollowHold, HistoryBus, HistoryPosition,
    ReceiptSender,
};

use super::{
    NumberedChannel, body, lost,
    queue::HistoryOperation,
    script_calls::{read_position, texts},
    unreadable,
};
use crate::bus::{RedisBus, publish_queue::ChannelKey};

impl HistoryBus for RedisBus {
    fn publish(&self, message: BusMessage<'_>, receipt: Option<ReceiptSender>) {
        let operation = HistoryOperation::Publish {
            channel: message.channel.into(),
            message: body::write(self.instance, &message),
            id: message.id.map(Into::into),
            receipt,
        };
        if let Err((HistoryOperation::Publish { receipt: Some(receipt), .. }, failure)) =
            self.history.queue.add(operation)
        {
            // The publisher may have given up.
            let _ = receipt.send(Err(failure));
        }
    }

    fn close_channel(&self, channel: &[u8], code: CloseCode, reason: &str, everywhere: bool) -> bool {
        let reason = reason.to_owned();
        self.history.queue.add(HistoryOperation::Close { channel: channel.into(), code, reason, everywhere }).is_ok()
    }

    fn head<'a>(&'a self, channel: &'a [u8]) -> BoxFuture<'a, Result<HistoryPosition, BusFailure>> {
        let channel: ChannelKey = channel.into();
        let head = async move {
            let me = self.me()?;
            self.on_bus_thread(async move {
                let numbered = me.numbered(&channel).ok_or_else(lost)?;
                let answer = me.ask(&channel, &numbered, "head", &[]).await?;
                texts(&answer).and_then(|texts| read_position(&texts)).ok_or_else(unreadable)
            })
            .await
        };
        head.boxed()
    }

    fn refresh<'a>(&'a self, channel: &'a [u8], whole: bool) -> BoxFuture<'a, Result<FollowHold, BusFailure>> {
        let channel: ChannelKey = channel.into();
        let refresh = async move {
            if *self.state.borrow() != BusState::Ready {
                return Err(lost());
            }
            let me = self.me()?;
            let hold = hold(&me, &channel);
            self.on_bus_thread(async move { me.bring_up(&channel, whole).await }).await?;
            Ok(hold)
        };
        refresh.boxed()
    }

    fn read<'a>(&'a self, channel: &'a [u8]) -> BoxFuture<'a, Result<BusHistory, BusFailure>> {
        let channel: ChannelKey = channel.into();
        let read = async move {
            let me = self.me()?;
            self.on_bus_thread(async move {
                let numbered = me.numbered(&channel).ok_or_else(lost)?;
                me.read_from(&channel, &numbered, 0).await
            })
            .await
        };
        read.boxed()
    }

    fn delete<'a>(&'a self, channel: &'a [u8], before: Option<u64>) -> BoxFuture<'a, Result<(), BusFailure>> {
        let channel: ChannelKey = channel.into();
        let delete = async move {
            let me = self.me()?;
            self.on_bus_thread(async move {
                let followed = me.followed(&channel).ok_or_else(lost)?;
                let text = before.map_or_else(String::new, |offset| offset.to_string());
                let numbered = NumberedChannel::Followed(followed.clone());
                let answer = me.ask(&channel, &numbered, "delete", &[text.as_bytes()]).await?;
                let position = texts(&answer).and_then(|texts| read_position(&texts)).ok_or_else(unreadable)?;
                // What is published comes a moment later.
                if !followed.deleted(position, before.unwrap_or(0)) {
                    me.follow_up(&channel);
                }
                Ok(())
            })
            .await
        };
        delete.boxed()
    }
}

/// Has the channel followed until what it returns is dropped.
fn hold(bus: &Arc<RedisBus>, channel: &ChannelKey) -> FollowHold {
    *bus.history.holds.lock().entry(Arc::clone(channel)).or_default() += 1;
    bus.subscribers_changed(channel);
    let (bus, channel) = (Arc::clone(bus), Arc::clone(channel));
    FollowHold::new(move || {
        {
            let mut holds = bus.history.holds.lock();
            if let Some(count) = holds.get_mut(&channel) {
                *count -= 1;
                if *count == 0 {
                    holds.remove(&channel);
                }
            }
        }
        bus.subscribers_changed(&channel);
    })
}
