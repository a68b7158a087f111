//! Whether a Redis is a primary. A replica accepts a publish without an error, and passes it on
//! only to its own listeners, so that it cannot serve as a bus.
//!
//! `HELLO` tells, which every user may send. Where a proxy does not know it, `ROLE` does. A server
//! that answers neither is taken for a primary.

use redis::{RedisError, Value, aio::MultiplexedConnection};

/// Why a replica is not used.
pub(crate) const REPLICA: &str = "this Redis is a replica: what is published there does not reach its primary";
/// The warning when the server does not say.
pub(crate) const UNKNOWN: &str = "Redis does not tell whether it is a primary, so it is taken for one: a replica would go unnoticed. Allow its user +role";

/// The command that asks for the role. An answer also shows that the server is alive.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum RoleQuery {
    Hello,
    Role,
    /// The server does not say what it is.
    Ping,
}

/// Why a server is not used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RoleError {
    #[error("{REPLICA}")]
    Replica,
    #[error(transparent)]
    Redis(#[from] RedisError),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ServerRole {
    /// Or something equally good, such as a node of a Cluster.
    Primary,
    Replica,
}

impl RoleQuery {
    pub(crate) const fn command(self) -> &'static str {
        match self {
            Self::Hello => "HELLO",
            Self::Role => "ROLE",
            Self::Ping => "PING",
        }
    }

    /// The next command to try when this one does not tell.
    pub(crate) const fn next(self) -> Self {
        match self {
            Self::Hello => Self::Role,
            Self::Role | Self::Ping => Self::Ping,
        }
    }

    /// The role in an answer. `None` if it does not tell.
    pub(crate) fn role(self, answer: &Value) -> Option<ServerRole> {
        match self {
            Self::Hello => {
                let role = field(answer, b"role")?;
                // A node of a Cluster passes everything on to all others, whatever its role.
                let is_replica =
                    [&b"replica"[..], b"slave"].contains(&role) && field(answer, b"mode") != Some(b"cluster");
                Some(if is_replica { ServerRole::Replica } else { ServerRole::Primary })
            }
            Self::Role => {
                let Value::Array(answer) = answer else { return None };
                let is_replica = [&b"replica"[..], b"slave"].contains(&text(answer.first()?)?);
                Some(if is_replica { ServerRole::Replica } else { ServerRole::Primary })
            }
            Self::Ping => Some(ServerRole::Primary),
        }
    }
}

/// Whether an error means that the command is unknown or forbidden, and not a passing failure.
pub(crate) fn is_refusal(error: &str) -> bool {
    error.starts_with("NOPERM") || error.starts_with("ERR")
}

/// Finds the command that this server answers. Fails at a replica.
pub(crate) async fn find(node: &mut MultiplexedConnection) -> Result<RoleQuery, RoleError> {
    let mut role_query = RoleQuery::Hello;
    loop {
        match ask(node, role_query).await? {
            Some(()) => return Ok(role_query),
            None => role_query = role_query.next(),
        }
    }
}

/// Asks for the role. `None` if the server does not say. Fails at a replica.
pub(crate) async fn ask(node: &mut MultiplexedConnection, role_query: RoleQuery) -> Result<Option<()>, RoleError> {
    let answer = match redis::cmd(role_query.command()).query_async::<Value>(node).await {
        Ok(answer) => answer,
        Err(error) if matches!(error.code(), Some("NOPERM" | "ERR")) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    match role_query.role(&answer) {
        Some(ServerRole::Primary) => Ok(Some(())),
        Some(ServerRole::Replica) => Err(RoleError::Replica),
        None => Ok(None),
    }
}

/// A field of a map, or of a list of names and values.
fn field<'a>(answer: &'a Value, name: &[u8]) -> Option<&'a [u8]> {
    let is_it = |key: &Value| text(key) == Some(name);
    match answer {
        Value::Map(pairs) => pairs.iter().find(|(key, _)| is_it(key)).and_then(|(_, value)| text(value)),
        Value::Array(list) => list.chunks_exact(2).find(|pair| is_it(&pair[0])).and_then(|pair| text(&pair[1])),
        _ => None,
    }
}

fn text(value: &Value) -> Option<&[u8]> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.as_bytes()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn hello(mode: &str, role: &str) -> [Value; 2] {
        let pairs =
            [("server", "redis"), ("mode", mode), ("role", role)].map(|(name, value)| (bulk(name), bulk(value)));
        let list = pairs.iter().flat_map(|(name, value)| [name.clone(), value.clone()]).collect();
        [Value::Map(pairs.to_vec()), Value::Array(list)]
    }

    #[test]
    fn a_hello_tells_the_role_in_either_protocol() {
        for (mode, said, role) in [
            ("standalone", "master", ServerRole::Primary),
            ("standalone", "replica", ServerRole::Replica),
            ("standalone", "slave", ServerRole::Replica),
            ("standalone", "active-replica", ServerRole::Primary),
            ("cluster", "replica", ServerRole::Primary),
        ] {
            for answer in hello(mode, said) {
                assert_eq!(RoleQuery::Hello.role(&answer), Some(role), "{mode} {said}");
            }
        }
        for other in [Value::Okay, Value::Array(vec![bulk("role")]), Value::Map(vec![(bulk("mode"), bulk("sentinel"))])]
        {
            assert_eq!(RoleQuery::Hello.role(&other), None);
        }
    }

    #[test]
    fn a_role_tells_itself() {
        let role = |said: &str| RoleQuery::Role.role(&Value::Array(vec![bulk(said), Value::Int(7)]));
        assert_eq!(role("master"), Some(ServerRole::Primary));
        assert_eq!(role("slave"), Some(ServerRole::Replica));
        assert_eq!(RoleQuery::Role.role(&Value::Array(Vec::new())), None);
        assert_eq!(RoleQuery::Role.role(&Value::Nil), None);
    }
}
