//! Runs the script of the histories.

use std::{sync::Arc, time::Duration};

use futures_util::future::try_join_all;
use redis::{
    Cmd, Pipeline, RedisError, Value,
    cluster_routing::{MultipleNodeRoutingInfo, ResponsePolicy, RoutingInfo},
};
use rustc_hash::FxHashMap;

use super::{link_error::LinkError, redis_connection::RedisConnection};
use crate::bus::publish_queue::ChannelKey;

/// The script that stores and publishes.
pub(in crate::bus) const SCRIPT: &str = include_str!("../history/history.lua");

/// Runs the script of the histories.
#[derive(Clone)]
pub(in crate::bus) struct ScriptLink {
    connection: RedisConnection,
    sha: Arc<str>,
}

impl ScriptLink {
    /// Gives Redis the script, and runs it on this connection.
    pub(super) async fn open(connection: RedisConnection, limit: Duration) -> Result<Self, LinkError> {
        let sha = load_script(&connection, limit).await?.into();
        Ok(Self { connection, sha })
    }

    /// Gives Redis the script again, where it was flushed.
    pub(in crate::bus) async fn load(&self, limit: Duration) -> Result<(), LinkError> {
        load_script(&self.connection, limit).await.map(drop)
    }

    /// A call of the script.
    pub(in crate::bus) fn call<'a>(&self, keys: &[Vec<u8>], arguments: impl IntoIterator<Item = &'a [u8]>) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        command.arg(&*self.sha).arg(keys.len());
        for key in keys {
            command.arg(&key[..]);
        }
        for argument in arguments {
            command.arg(argument);
        }
        command
    }

    /// The command that publishes to a channel.
    pub(in crate::bus) fn publish_command(&self) -> &'static str {
        match self.connection {
            RedisConnection::Server(..) => "PUBLISH",
            RedisConnection::Cluster(..) => "SPUBLISH",
        }
    }

    /// The answer to one command, within this time or as long as something moves.
    pub(in crate::bus) async fn run(&self, command: &Cmd, limit: Duration) -> Result<Value, LinkError> {
        let running = async {
            Ok(match self.connection.clone() {
                RedisConnection::Server(mut node, _) => command.query_async::<Value>(&mut node.redis).await?,
                RedisConnection::Cluster(mut cluster, _) => command.query_async::<Value>(&mut cluster).await?,
            })
        };
        self.connection.movement().within(limit, running).await
    }

    /// The answers to these commands. Those of one channel are executed in their order; what Redis
    /// refuses is an answer, too.
    pub(in crate::bus) async fn run_all(
        &self,
        commands: Vec<(ChannelKey, Cmd)>,
        limit: Duration,
    ) -> Result<Vec<Result<Value, RedisError>>, LinkError> {
        let running = async {
            match self.connection.clone() {
                RedisConnection::Server(mut node, _) => {
                    let mut pipeline = Pipeline::with_capacity(commands.len());
                    let count = commands.len();
                    for (_, command) in commands {
                        pipeline.add_command(command);
                    }
                    let answers = node.redis.send_packed_commands(&pipeline, 0, count).await?;
                    Ok(answers.into_iter().map(Value::extract_error).collect())
                }
                RedisConnection::Cluster(cluster, _) => {
                    let mut channels: FxHashMap<ChannelKey, Vec<(usize, Cmd)>> = FxHashMap::default();
                    let count = commands.len();
                    for (index, (channel, command)) in commands.into_iter().enumerate() {
                        channels.entry(channel).or_default().push((index, command));
                    }
                    let each = channels.into_values().map(|commands| {
                        let mut cluster = cluster.clone();
                        async move {
                            let mut answers = Vec::with_capacity(commands.len());
                            for (index, command) in commands {
                                match command.query_async::<Value>(&mut cluster).await {
                                    Err(error) if error.is_unrecoverable_error() || error.is_io_error() => {
                                        return Err(LinkError::from(error));
                                    }
                                    answer => answers.push((index, answer)),
                                }
                            }
                            Ok(answers)
                        }
                    });
                    let mut answers: Vec<_> = try_join_all(each).await?.into_iter().flatten().collect();
                    answers.sort_unstable_by_key(|(index, _)| *index);
                    debug_assert_eq!(answers.len(), count);
                    Ok(answers.into_iter().map(|(_, answer)| answer).collect())
                }
            }
        };
        self.connection.movement().within(limit, running).await
    }
}

/// Gives every primary the script. Returns its digest.
async fn load_script(connection: &RedisConnection, limit: Duration) -> Result<String, LinkError> {
    let mut load = redis::cmd("SCRIPT");
    load.arg("LOAD").arg(SCRIPT);
    let loading = async {
        Ok(match connection.clone() {
            RedisConnection::Server(mut node, _) => load.query_async::<String>(&mut node.redis).await?,
            RedisConnection::Cluster(mut cluster, _) => {
                let everywhere = (MultipleNodeRoutingInfo::AllMasters, Some(ResponsePolicy::AllSucceeded));
                let value = cluster.route_command(load, RoutingInfo::MultiNode(everywhere)).await?;
                redis::from_redis_value::<String>(value).map_err(RedisError::from)?
            }
        })
    };
    connection.movement().within(limit, loading).await
}
