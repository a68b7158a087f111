//! What Sentinels say about a new primary. After an orderly failover they leave the old one as it
//! is for some ten seconds. Meanwhile it accepts what is published, and passes it on only to
//! clients that have stayed there.

use std::{
    io,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use redis::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use super::{
    RedisConfig, RedisServers,
    backoff::Backoff,
    resp::{self, write_command},
};

/// Why a connection to the old primary is given up.
pub(crate) const LEFT: &str = "the Sentinels have named another primary";
/// How often a Sentinel gets a ping. After twice as long without an answer, the connection is made
/// anew.
const PING: Duration = Duration::from_secs(5);
/// For this long the old primary is not used, even if another Sentinel still names it. After that
/// it says itself that it is a replica.
const REMEMBERED: Duration = Duration::from_secs(15);

/// A host, as Sentinels name it, and a port.
pub(crate) type ServerAddress = (String, u16);

/// The last failover that Sentinels have reported.
#[derive(Debug)]
pub(crate) struct SentinelWatch(watch::Sender<Option<Failover>>);

#[derive(Debug)]
struct Failover {
    from: ServerAddress,
    at: Instant,
}

impl SentinelWatch {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(None))
    }

    /// Listens to all Sentinels of these settings, without end. Without Sentinels it does nothing.
    pub(crate) async fn follow(&self, config: &RedisConfig) {
        if let RedisServers::Sentinel(sentinels, name) = &config.servers {
            let limit = config.connect_timeout;
            join_all(sentinels.iter().map(|sentinel| self.follow_one(sentinel, name, limit))).await;
        }
        std::future::pending().await
    }

    async fn follow_one(&self, (host, port): &ServerAddress, name: &str, limit: Duration) {
        let mut backoff = Backoff::new();
        loop {
            let begun = Instant::now();
            let error = self.listen(host, *port, name, limit).await.err();
            tracing::debug!(host, port, ?error, "no Sentinel there");
            backoff.lasted_since(begun);
            sleep(backoff.next()).await;
        }
    }

    async fn listen(&self, host: &str, port: u16, name: &str, limit: Duration) -> io::Result<()> {
        let mut stream = timeout(limit, TcpStream::connect((host, port))).await??;
        let (mut subscribe, mut ask) = (Vec::new(), Vec::new());
        write_command(&[b"SUBSCRIBE", b"+switch-master"], &mut subscribe);
        write_command(&[b"PING"], &mut ask);
        stream.write_all(&subscribe).await?;
        let (mut inbox, mut heard) = (Vec::new(), Instant::now());
        let mut ping = interval(PING);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                read = stream.read_buf(&mut inbox) => {
                    if read? == 0 {
                        return Ok(());
                    }
                    heard = Instant::now();
                    while let Some((answer, length)) = resp::take(&inbox)? {
                        self.take(name, &answer.map_err(io::Error::other)?);
                        inbox.drain(..length);
                    }
                }
                _ = ping.tick() => {
                    if heard.elapsed() > 2 * PING {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                    stream.write_all(&ask).await?;
                }
            }
        }
    }

    fn take(&self, name: &str, answer: &Value) {
        let Value::Array(parts) = answer else { return };
        let [Value::BulkString(kind), _, Value::BulkString(text)] = &parts[..] else { return };
        if kind == b"message"
            && let Some(from) = std::str::from_utf8(text).ok().and_then(|text| old_primary(name, text))
        {
            tracing::info!(name, ?from, "the Sentinels have named another primary");
            self.0.send_replace(Some(Failover { from, at: Instant::now() }));
        }
    }

    /// Whether this was the primary until recently, and is no longer.
    pub(crate) fn has_left(&self, address: &ServerAddress) -> bool {
        self.0.borrow().as_ref().is_some_and(|failover| failover.from == *address && failover.at.elapsed() < REMEMBERED)
    }

    /// Resolves when this address is no longer the primary. Never for `None`.
    pub(crate) async fn leaves(&self, address: Option<&ServerAddress>) {
        let Some(address) = address else { return std::future::pending().await };
        let mut failovers = self.0.subscribe();
        while !self.has_left(address) {
            // It cannot fail: we own the sender.
            let _ = failovers.changed().await;
        }
    }
}

/// The old address in `<name> <old host> <old port> <new host> <new port>`.
fn old_primary(name: &str, text: &str) -> Option<ServerAddress> {
    let mut words = text.strip_prefix(name)?.strip_prefix(' ')?.split(' ');
    let old = (words.next()?.to_owned(), words.next()?.parse().ok()?);
    (words.count() == 2).then_some(old)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> Value {
        Value::Array(["message", "+switch-master", text].map(|text| Value::BulkString(text.into())).into())
    }

    #[test]
    fn the_old_primary_is_known_from_what_sentinels_tell_of_ours() {
        let sentinels = SentinelWatch::new();
        let (old, new) = (("10.0.0.1".to_owned(), 1), ("10.0.0.2".to_owned(), 2));
        sentinels.take("chat", &message("other 10.0.0.1 1 10.0.0.2 2"));
        sentinels.take("chat", &message("chatter 10.0.0.1 1 10.0.0.2 2"));
        sentinels.take("chat", &message("chat 10.0.0.1 x 10.0.0.2 2"));
        sentinels.take("chat", &Value::Array(vec![Value::BulkString("pong".into()), Value::BulkString("".into())]));
        assert!(!sentinels.has_left(&old));
        sentinels.take("chat", &message("chat 10.0.0.1 1 10.0.0.2 2"));
        assert!(sentinels.has_left(&old) && !sentinels.has_left(&new));
        sentinels.take("chat", &message("chat 10.0.0.2 2 10.0.0.1 1"));
        assert!(sentinels.has_left(&new) && !sentinels.has_left(&old), "it is the primary again");
    }
}
