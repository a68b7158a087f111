//! Whether a Redis is a primary. A replica accepts what is published and gives it only to its own listeners, silently: it cannot be a bus.
//!
//! `HELLO` says so, which every user may send; where something in between does not know it, `ROLE` does. If neither may be sent, it is taken for a primary.

use redis::{RedisError, Value, aio::MultiplexedConnection};

/// Why a replica is left.
pub(crate) const REPLICA: &str = "this Redis is a replica: what is published there does not reach its primary";
/// The warning given if it cannot be asked.
pub(crate) const UNKNOWN: &str = "Redis does not tell whether it is a primary, so it is taken for one: a replica would go unnoticed. Allow its user +role";

/// How a server is asked, which also shows that it lives.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Asking {
    Hello,
    Role,
    /// It does not say.
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
pub(crate) enum Role {
    /// Or something that is as good.
    Primary,
    Replica,
}

impl Asking {
    pub(crate) const fn command(self) -> &'static str {
        match self {
            Self::Hello => "HELLO",
            Self::Role => "ROLE",
            Self::Ping => "PING",
        }
    }

    /// How to ask when this has told nothing.
    pub(crate) const fn next(self) -> Self {
        match self {
            Self::Hello => Self::Role,
            Self::Role | Self::Ping => Self::Ping,
        }
    }

    /// What an answer tells; `None`: nothing.
    pub(crate) fn role(self, answer: &Value) -> Option<Role> {
        match self {
            Self::Hello => {
                let role = field(answer, b"role")?;
                // A node of a Cluster hands everything to all others, whatever it is.
                let is_replica =
                    [&b"replica"[..], b"slave"].contains(&role) && field(answer, b"mode") != Some(b"cluster");
                Some(if is_replica { Role::Replica } else { Role::Primary })
            }
            Self::Role => {
                let Value::Array(answer) = answer else { return None };
                let is_replica = [&b"replica"[..], b"slave"].contains(&text(answer.first()?)?);
                Some(if is_replica { Role::Replica } else { Role::Primary })
            }
            Self::Ping => Some(Role::Primary),
        }
    }
}

/// Whether an error means that the command is not known or not allowed, and not that something is wrong for now.
pub(crate) fn is_refusal(error: &str) -> bool {
    error.starts_with("NOPERM") || error.starts_with("ERR")
}

/// How this server can be asked. Fails when it is a replica.
pub(crate) async fn find(node: &mut MultiplexedConnection) -> Result<Asking, RoleError> {
    let mut asking = Asking::Hello;
    loop {
        match ask(node, asking).await? {
            Some(()) => return Ok(asking),
            None => asking = asking.next(),
        }
    }
}

/// Whether it has told that it is a primary. Fails when it is a replica.
pub(crate) async fn ask(node: &mut MultiplexedConnection, asking: Asking) -> Result<Option<()>, RoleError> {
    let answer = match redis::cmd(asking.command()).query_async::<Value>(node).await {
        Ok(answer) => answer,
        Err(error) if matches!(error.code(), Some("NOPERM" | "ERR")) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    match asking.role(&answer) {
        Some(Role::Primary) => Ok(Some(())),
        Some(Role::Replica) => Err(RoleError::Replica),
        None => Ok(None),
    }
}

/// Of a map, or of a list of names and values.
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
            ("standalone", "master", Role::Primary),
            ("standalone", "replica", Role::Replica),
            ("standalone", "slave", Role::Replica),
            ("standalone", "active-replica", Role::Primary),
            ("cluster", "replica", Role::Primary),
        ] {
            for answer in hello(mode, said) {
                assert_eq!(Asking::Hello.role(&answer), Some(role), "{mode} {said}");
            }
        }
        for other in [Value::Okay, Value::Array(vec![bulk("role")]), Value::Map(vec![(bulk("mode"), bulk("sentinel"))])]
        {
            assert_eq!(Asking::Hello.role(&other), None);
        }
    }

    #[test]
    fn a_role_tells_itself() {
        let role = |said: &str| Asking::Role.role(&Value::Array(vec![bulk(said), Value::Int(7)]));
        assert_eq!(role("master"), Some(Role::Primary));
        assert_eq!(role("slave"), Some(Role::Replica));
        assert_eq!(Asking::Role.role(&Value::Array(Vec::new())), None);
        assert_eq!(Asking::Role.role(&Value::Nil), None);
    }
}
