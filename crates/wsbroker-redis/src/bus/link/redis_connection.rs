//! A connection to one server or to a Cluster, and how long its answers are waited for.

use std::{sync::Arc, time::Duration};

use redis::cluster_async::ClusterConnection;

use super::link_error::LinkError;
use crate::server::{
    cluster_node::ClusterNode,
    dial::ServerConnection,
    liveness::Liveness,
    node_traffic::NodeTraffic,
    role::{self, RoleQuery},
};

#[derive(Clone)]
pub(super) enum RedisConnection {
    /// With the question that tells whether it is a primary.
    Server(ServerConnection, RoleQuery),
    Cluster(ClusterConnection<ClusterNode>, Arc<NodeTraffic>),
}

impl RedisConnection {
    pub(super) fn movement(&self) -> Movement {
        match self {
            Self::Server(node, _) => Movement::Server(Arc::clone(&node.liveness)),
            Self::Cluster(_, traffic) => Movement::Cluster(Arc::clone(traffic)),
        }
    }

    /// Resolves when every server has answered. Fails when one says that it is a replica.
    pub(super) async fn ping(self, limit: Duration) -> Result<(), LinkError> {
        let movement = self.movement();
        let ping = async {
            match self {
                Self::Server(mut node, role_query) => Ok(role::ask(&mut node.redis, role_query).await.map(drop)?),
                // It goes to every primary.
                Self::Cluster(mut cluster, _) => Ok(redis::cmd("PING").query_async(&mut cluster).await?),
            }
        };
        movement.within(limit, ping).await
    }
}

/// What puts the deadline of an answer off.
pub(super) enum Movement {
    Server(Arc<Liveness>),
    Cluster(Arc<NodeTraffic>),
}

impl Movement {
    /// The outcome of `task`. Fails when nothing that it waits for moves for this long.
    pub(super) async fn within<T>(
        &self,
        limit: Duration,
        task: impl Future<Output = Result<T, LinkError>>,
    ) -> Result<T, LinkError> {
        match self {
            Self::Server(liveness) => liveness.within(limit, task).await?,
            Self::Cluster(traffic) => traffic.within(limit, task).await?,
        }
    }
}
