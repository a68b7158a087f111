//! The connection that publishes.

use std::{sync::Arc, time::Duration};

use futures_util::future::try_join_all;
use redis::{Cmd, Pipeline, RedisError, Value, cluster_async::ClusterConnection};
use rustc_hash::FxHashMap;

use super::{link_error::LinkError, redis_connection::RedisConnection};
use crate::{
    bus::{
        pipeline::PublishPipeline,
        publish_queue::{AddressedEnvelope, Refused},
    },
    server::{cluster_node::ClusterNode, printable::clean, role::RoleQuery},
};

/// The connection that publishes.
#[derive(Clone)]
pub(super) enum Publisher {
    Pipeline(Arc<PublishPipeline>),
    Client(RedisConnection),
}

impl Publisher {
    /// Publishes all of them under the names that they have on the bus. Returns what Redis refused.
    pub(super) async fn publish(
        self,
        envelopes: Vec<(Vec<u8>, AddressedEnvelope)>,
        limit: Duration,
    ) -> Result<Refused, LinkError> {
        match self {
            // The pipeline takes what waits by itself.
            Self::Pipeline(_) => Ok(Refused::default()),
            Self::Client(RedisConnection::Server(mut node, _)) => {
                let mut pipeline = Pipeline::with_capacity(envelopes.len());
                for (name, envelope) in &envelopes {
                    pipeline.cmd("PUBLISH").arg(name).arg(&envelope.bytes[..]);
                }
                let answers = node.redis.send_packed_commands(&pipeline, 0, envelopes.len()).await?;
                let mut refused = Refused::default();
                for (answer, (_, envelope)) in answers.into_iter().zip(envelopes) {
                    refused.add(settle(envelope, answer.extract_error()));
                }
                Ok(refused)
            }
            Self::Client(RedisConnection::Cluster(cluster, traffic)) => {
                let mut channels: FxHashMap<Vec<u8>, Vec<AddressedEnvelope>> = FxHashMap::default();
                for (name, envelope) in envelopes {
                    channels.entry(name).or_default().push(envelope);
                }
                let channels = channels.into_iter();
                let refused =
                    try_join_all(channels.map(|(name, envelopes)| spublish(cluster.clone(), name, envelopes)));
                let refused = traffic.within(limit, refused).await??;
                Ok(refused.into_iter().fold(Refused::default(), |mut all, one| {
                    all.add(one);
                    all
                }))
            }
        }
    }

    /// How many calls of [`publish`](Self::publish) may be under way at once without one overtaking
    /// the other.
    pub(super) const fn under_way(&self) -> usize {
        match self {
            // On one connection, what is written first arrives first. While one call is answered,
            // the next one gathers.
            Self::Pipeline(_) | Self::Client(RedisConnection::Server(..)) => 2,
            // A command may be sent again, to another primary.
            Self::Client(RedisConnection::Cluster(..)) => 1,
        }
    }

    /// Whether it is known to lead to a primary.
    pub(super) fn knows_role(&self) -> bool {
        let role_query = match self {
            Self::Pipeline(pipeline) => pipeline.role_query(),
            Self::Client(RedisConnection::Server(_, role_query)) => *role_query,
            // Any node of a Cluster passes a publish on to all listeners.
            Self::Client(RedisConnection::Cluster(..)) => return true,
        };
        role_query != RoleQuery::Ping
    }

    /// Resolves when Redis has answered. Fails when a server says that it is a replica.
    pub(super) async fn ping(self, limit: Duration) -> Result<(), LinkError> {
        match self {
            Self::Pipeline(pipeline) => {
                let ping = pipeline.ping();
                Ok(pipeline.liveness().within(limit, ping).await?)
            }
            Self::Client(connection) => connection.ping(limit).await,
        }
    }
}

/// Publishes the envelopes of one channel one after the other, so that they keep their order.
/// Returns what Redis refused.
async fn spublish(
    mut cluster: ClusterConnection<ClusterNode>,
    name: Vec<u8>,
    envelopes: Vec<AddressedEnvelope>,
) -> Result<Refused, RedisError> {
    let mut refused = Refused::default();
    for envelope in envelopes {
        let mut command = Cmd::new();
        command.arg("SPUBLISH").arg(&name).arg(&envelope.bytes[..]);
        match command.query_async::<Value>(&mut cluster).await {
            Err(error) if error.is_unrecoverable_error() || error.is_io_error() => return Err(error),
            answer => refused.add(settle(envelope, answer)),
        }
    }
    Ok(refused)
}

/// Reports the outcome to the waiters. Returns what was refused.
fn settle(envelope: AddressedEnvelope, answer: Result<Value, RedisError>) -> Refused {
    let reason = answer.err().map(|error| clean(&error.to_string()));
    for waiter in envelope.waiters {
        // The waiter may have given up.
        let _ = waiter.send(reason.clone().map_or(Ok(()), Err));
    }
    Refused { messages: if reason.is_some() { envelope.messages } else { 0 }, reason }
}
