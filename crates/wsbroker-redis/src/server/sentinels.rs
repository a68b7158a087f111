//! What Sentinels say about a new master. After an orderly failover they leave the old one as it is for some ten seconds, in which it accepts what is published and hands it
//! only to those that have stayed there.

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

/// Why a connection to the old master is left.
pub(crate) const LEFT: &str = "the Sentinels have named another master";
/// How often a Sentinel is asked whether it lives; after twice as long without a word it is connected to anew.
const PING: Duration = Duration::from_secs(5);
/// For this long the old master is not used, even if another Sentinel still names it. After that it says itself that it is a replica.
const REMEMBERED: Duration = Duration::from_secs(15);

/// A host, as the Sentinels name it, and a port.
pub(crate) type Address = (String, u16);

/// The master, as far as Sentinels have told of a change.
#[derive(Debug)]
pub(crate) struct Masters(watch::Sender<Option<Switch>>);

#[derive(Debug)]
struct Switch {
    from: Address,
    at: Instant,
}

impl Masters {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(None))
    }

    /// Listens to all Sentinels of these settings, without end; does nothing if there are none.
    pub(crate) async fn follow(&self, config: &RedisConfig) {
        if let RedisServers::Sentinel(sentinels, name) = &config.servers {
            let limit = config.connect_timeout;
            join_all(sentinels.iter().map(|sentinel| self.follow_one(sentinel, name, limit))).await;
        }
        std::future::pending().await
    }

    async fn follow_one(&self, (host, port): &Address, name: &str, limit: Duration) {
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

    fn take(&self, name: &str, told: &Value) {
        let Value::Array(parts) = told else { return };
        let [Value::BulkString(kind), _, Value::BulkString(text)] = &parts[..] else { return };
        if kind == b"message"
            && let Some(from) = std::str::from_utf8(text).ok().and_then(|text| old_master(name, text))
        {
            tracing::info!(name, ?from, "the Sentinels have named another master");
            self.0.send_replace(Some(Switch { from, at: Instant::now() }));
        }
    }

    /// Whether this was the master until recently, and no longer is.
    pub(crate) fn has_left(&self, address: &Address) -> bool {
        self.0.borrow().as_ref().is_some_and(|switch| switch.from == *address && switch.at.elapsed() < REMEMBERED)
    }

    /// Resolves when this, if it is known, is no longer the master.
    pub(crate) async fn leaves(&self, address: Option<&Address>) {
        let Some(address) = address else { return std::future::pending().await };
        let mut told = self.0.subscribe();
        while !self.has_left(address) {
            // The sender is ours.
            let _ = told.changed().await;
        }
    }
}

/// Of `<name> <old host> <old port> <new host> <new port>`.
fn old_master(name: &str, text: &str) -> Option<Address> {
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
    fn the_old_master_is_known_from_what_sentinels_tell_of_ours() {
        let masters = Masters::new();
        let (old, new) = (("10.0.0.1".to_owned(), 1), ("10.0.0.2".to_owned(), 2));
        masters.take("chat", &message("other 10.0.0.1 1 10.0.0.2 2"));
        masters.take("chat", &message("chatter 10.0.0.1 1 10.0.0.2 2"));
        masters.take("chat", &message("chat 10.0.0.1 x 10.0.0.2 2"));
        masters.take("chat", &Value::Array(vec![Value::BulkString("pong".into()), Value::BulkString("".into())]));
        assert!(!masters.has_left(&old));
        masters.take("chat", &message("chat 10.0.0.1 1 10.0.0.2 2"));
        assert!(masters.has_left(&old) && !masters.has_left(&new));
        masters.take("chat", &message("chat 10.0.0.2 2 10.0.0.1 1"));
        assert!(masters.has_left(&new) && !masters.has_left(&old), "it is the master again");
    }
}
