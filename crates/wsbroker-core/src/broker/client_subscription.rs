//! Subscriptions that a client asks for in the subprotocol `wsbroker.v1`, and how they are revoked.

use std::time::Duration;

use super::{Broker, Recovery};
use crate::{
    channel_protocol,
    cork::Cork,
    error::HistoryError,
    history::{ReplayOwner, Since},
    ids::SocketId,
};

/// What a client asked for, and was granted.
#[derive(Clone, Copy, Debug)]
pub struct ClientSubscription<'a> {
    /// Where it begins.
    pub since: Since,
    /// Messages that are replayed at most, if the rule of the channel does not allow fewer.
    pub max_replay: u64,
    /// The channel's name as a JSON string, for the message that says that it is subscribed.
    pub json_name: &'a str,
    /// What [`Broker::revocations`] was before the application was asked.
    pub revocations: u32,
    /// Bytes a second that are replayed to this socket. It may ask for more at once, and then waits
    /// longer.
    pub socket_rate: u64,
    /// The same for all sockets of its address.
    pub address_rate: u64,
    /// Whether the bus was asked, where one numbers the channel's messages.
    pub asked: BusAsked,
}

/// What is known of a channel that the bus numbers, apart from what is here.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum BusAsked {
    /// Nothing: what is here has to be enough.
    #[default]
    NotYet,
    /// The channel was [brought up to date](Broker::follow) just now: what is not here is gone.
    Answered,
    /// The bus is lost: what was here before serves, if nothing of it is missing.
    Lost,
}

/// Why a client is not subscribed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NotSubscribed {
    /// The channel has no history, or its frames do not say where they belong.
    NoHistory,
    /// The socket is in it already.
    Subscribed,
    /// It is in too many channels, or the name is too long.
    Limit,
    /// The socket is gone, or does not speak the subprotocol.
    Gone,
    /// What it asks for is not here, or may not be: [`follow`](Broker::follow) the channel, and try
    /// again.
    NotHere,
    /// Something was revoked since the application was asked: ask it again.
    Revoked,
    /// Too much was replayed to it just now: try again after this time.
    Wait(Duration),
}

impl From<HistoryError> for NotSubscribed {
    fn from(error: HistoryError) -> Self {
        match error {
            HistoryError::Subscribed => Self::Subscribed,
            HistoryError::Subscribe(_) => Self::Limit,
            _ => Self::NoHistory,
        }
    }
}

impl Broker {
    /// Subscribes a client that speaks `wsbroker.v1` as [`recover`](Self::recover) does. Its shard
    /// writes the announcement in the same step: it comes before every frame of the channel.
    ///
    /// # Errors
    /// [`NotSubscribed`]; then nothing is written.
    pub fn subscribe_client(
        &self,
        cork: &mut Cork,
        id: SocketId,
        channel: &[u8],
        wanted: &ClientSubscription<'_>,
    ) -> Result<(), NotSubscribed> {
        let inner = self.state();
        let history = inner.history_of(channel)?;
        if !history.is_framed() {
            return Err(NotSubscribed::NoHistory);
        }
        inner.check_name(channel).map_err(HistoryError::from)?;
        let socket = inner.sockets.get(id).filter(|socket| socket.speaks_channels() && socket.takes_sends());
        let socket = socket.ok_or(NotSubscribed::Gone)?;
        cork.flush();
        let owners = [
            Some((ReplayOwner::Socket(id), wanted.socket_rate)),
            socket.origin().and_then(|origin| origin.ip).map(|ip| (ReplayOwner::of(ip), wanted.address_rate)),
        ];
        let owners: Vec<_> = owners.into_iter().flatten().collect();
        let recovery = inner.recover_socket(
            &socket,
            &history,
            wanted.since,
            wanted.max_replay,
            false,
            |membership, ring, bytes| {
                if membership.sealed {
                    return Err(NotSubscribed::Gone);
                }
                if membership.revocations != wanted.revocations {
                    return Err(NotSubscribed::Revoked);
                }
                if !inner.may_recover(ring, wanted.since, wanted.asked) {
                    return Err(NotSubscribed::NotHere);
                }
                if bytes == 0 {
                    return Ok(());
                }
                inner.replay_budgets.take(inner.histories.now(), &owners, bytes).map_err(NotSubscribed::Wait)
            },
            |recovery, since| {
                let Recovery { recovered, replayed, .. } = recovery;
                Some(channel_protocol::subscribed(wanted.json_name, *recovered, *replayed, since))
            },
        );
        recovery.map(|_| ())
    }

    /// Whether clients can subscribe to the channel by themselves: it has a history, and its frames
    /// say where they belong.
    pub fn has_framed_history(&self, channel: &[u8]) -> bool {
        self.state().histories.is_framed(channel)
    }

    /// Whether the name is as long as a channel's may be.
    pub fn is_name_allowed(&self, channel: &[u8]) -> bool {
        self.state().check_name(channel).is_ok()
    }

    /// How often something was [revoked](Self::revoke) from a socket. `None` if it is gone, or does
    /// not speak the subprotocol.
    pub fn revocations(&self, id: SocketId) -> Option<u32> {
        let socket = self.state().sockets.get(id).filter(|socket| socket.speaks_channels())?;
        let revocations = socket.membership().revocations;
        Some(revocations)
    }

    /// Takes a client out of a channel, and makes it be asked again whether it may subscribe, if
    /// that has been asked and not been done yet. True if it was in it.
    pub fn revoke(&self, cork: &mut Cork, id: SocketId, channel: &[u8]) -> bool {
        let Some(socket) = self.state().sockets.get(id) else { return false };
        cork.flush();
        {
            let mut membership = socket.membership();
            membership.revocations = membership.revocations.wrapping_add(1);
        }
        self.state().unsubscribe_socket(&socket, channel)
    }

    /// Whether the socket has agreed on the subprotocol `wsbroker.v1`.
    pub fn speaks_channels(&self, id: SocketId) -> bool {
        self.state().sockets.get(id).is_some_and(|socket| socket.speaks_channels())
    }
}
