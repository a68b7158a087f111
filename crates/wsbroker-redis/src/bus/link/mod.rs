//! Redis as the bus needs it: one connection to publish and one to listen. On a Cluster the client
//! keeps one of each per primary.
//!
//! [`connecting`] makes them. [`publisher`] is the one that publishes, and [`bus_handler`] is told
//! what the other one receives. [`script_link`] runs the script of the histories.

use std::{sync::Arc, time::Duration};

use futures_util::future::try_join_all;
use redis::cluster_routing::{MultipleNodeRoutingInfo, ResponsePolicy, RoutingInfo};

mod bus_handler;
mod connecting;
mod link_error;
mod publisher;
mod redis_connection;
mod script_link;
mod subscription_count;

pub(super) use self::{
    bus_handler::BusHandler,
    link_error::LinkError,
    script_link::{SCRIPT, ScriptLink},
};
use self::{publisher::Publisher, redis_connection::RedisConnection, subscription_count::subscriptions};
use super::{
    pipeline::PublishPipeline,
    publish_queue::{AddressedEnvelope, Refused},
};
use crate::server::{cluster_node::NodeSettings, sentinels::ServerAddress};

/// The connections of the bus.
pub(super) struct Link {
    publisher: Publisher,
    listener: RedisConnection,
    /// Runs the script of the histories, if there are some.
    scripts: Option<RedisConnection>,
    /// The primary that the Sentinels have named.
    address: Option<ServerAddress>,
    /// For the nodes of a Cluster that are still to come.
    _settings: Option<NodeSettings>,
}

/// Whether channels are subscribed to or unsubscribed from.
#[derive(Clone, Copy)]
pub(super) enum Listen {
    Begin,
    End,
}

impl Link {
    /// The primary that the Sentinels have named.
    pub(super) const fn address(&self) -> Option<&ServerAddress> {
        self.address.as_ref()
    }

    /// The pipeline, if that publishes: any thread may use it.
    pub(super) fn pipeline(&self) -> Option<&Arc<PublishPipeline>> {
        match &self.publisher {
            Publisher::Pipeline(pipeline) => Some(pipeline),
            Publisher::Client(_) => None,
        }
    }

    /// What runs the script of the histories, once Redis has it. `None` where there are none.
    pub(super) async fn scripts(&self, limit: Duration) -> Result<Option<ScriptLink>, LinkError> {
        let Some(connection) = &self.scripts else { return Ok(None) };
        Ok(Some(ScriptLink::open(connection.clone(), limit).await?))
    }

    /// Publishes all of them, each channel's in order. No channel waits for the answer to
    /// another's. Returns what Redis refused. On a Cluster this fails when nothing has moved for
    /// `limit`, since its client can lose an answer and still answer pings. Elsewhere a ping is
    /// answered after all that was published.
    pub(super) fn publish(
        &self,
        prefix: &[u8],
        envelopes: Vec<AddressedEnvelope>,
        limit: Duration,
    ) -> impl Future<Output = Result<Refused, LinkError>> + Send + use<> {
        let publisher = self.publisher.clone();
        let on_bus = |envelope: &AddressedEnvelope| {
            if envelope.is_instance_message { envelope.channel.to_vec() } else { [prefix, &envelope.channel].concat() }
        };
        let envelopes: Vec<(Vec<u8>, AddressedEnvelope)> =
            envelopes.into_iter().map(|envelope| (on_bus(&envelope), envelope)).collect();
        publisher.publish(envelopes, limit)
    }

    /// How many calls of [`publish`](Self::publish) may be under way at once without one overtaking
    /// the other.
    pub(super) const fn under_way(&self) -> usize {
        self.publisher.under_way()
    }

    /// Whether this is a Cluster, where only [`BusHandler::subscribed`] confirms a channel. Its
    /// client may take one answer for another: when a channel moves to another primary, the server
    /// sends the answer to an unsubscription that nobody asked for.
    pub(super) fn is_cluster(&self) -> bool {
        matches!(self.listener, RedisConnection::Cluster(..))
    }

    /// Subscribes to these channels, or unsubscribes from them. When it resolves, what is published
    /// there arrives, or does no longer.
    pub(super) fn listen(
        &self,
        change: Listen,
        channels: Vec<Vec<u8>>,
        limit: Duration,
    ) -> impl Future<Output = Result<(), LinkError>> + Send + use<> {
        let (listener, movement) = (self.listener.clone(), self.listener.movement());
        let changing = async move {
            match listener {
                RedisConnection::Server(mut node, _) => match change {
                    Listen::Begin => node.redis.subscribe(&channels).await?,
                    Listen::End => node.redis.unsubscribe(&channels).await?,
                },
                RedisConnection::Cluster(cluster, _) => {
                    // A command goes to one primary, and these may belong to several. None waits
                    // for the one before.
                    let one = |channel| {
                        let mut cluster = cluster.clone();
                        async move {
                            match change {
                                Listen::Begin => cluster.ssubscribe(channel).await,
                                Listen::End => cluster.sunsubscribe(channel).await,
                            }
                        }
                    };
                    try_join_all(channels.iter().map(one)).await?;
                }
            }
            Ok(())
        };
        async move { movement.within(limit, changing).await }
    }

    /// How many channels the primaries of a Cluster say we are subscribed to: its client can lose a
    /// connection or an answer without saying so. `None` where they cannot be asked: a single
    /// server, a Redis before 7.0.3, or a user without the right to ask.
    pub(super) fn count(
        &self,
        limit: Duration,
    ) -> impl Future<Output = Result<Option<usize>, LinkError>> + Send + use<> {
        let listener = self.listener.clone();
        async move {
            let RedisConnection::Cluster(mut cluster, traffic) = listener else { return Ok(None) };
            let mut command = redis::cmd("CLIENT");
            command.arg("INFO");
            let everywhere =
                RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, Some(ResponsePolicy::Special)));
            subscriptions(traffic.within(limit, cluster.route_command(command, everywhere)).await??)
        }
    }

    /// Whether the publishing connection is known to lead to a primary.
    pub(super) fn knows_role(&self) -> bool {
        self.publisher.knows_role()
    }

    /// Resolves when both connections have answered. Fails when a server says that it is a replica.
    pub(super) fn ping(&self, limit: Duration) -> impl Future<Output = Result<(), LinkError>> + Send + use<> {
        let (publisher, listener) = (self.publisher.clone(), self.listener.clone());
        async move { tokio::try_join!(publisher.ping(limit), listener.ping(limit)).map(drop) }
    }
}
