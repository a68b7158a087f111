//! What the caller of [`Broker::listen`](crate::Broker::listen) holds.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, atomic::Ordering},
};

use tokio::runtime::Handle;
use wsbroker_proto::CloseCode;

use super::{
    accept,
    address::{BoundAddress, PathService, ResolvedBind},
    listener_config::ListenerConfig,
    socket::Local,
};
use crate::{
    broker::BrokerState,
    error::{ListenError, TlsError},
    shard::Command,
    tls::TlsConfig,
};

/// Some paths on one address. Several listeners may share an address with different paths.
///
/// Its paths are its own from the start, but answer 503 until [`serve`](Self::serve), and again
/// after its end for as long as other listeners keep the address open. Dropping it ends it as
/// [`close`](Self::close) does, only that nothing waits.
pub struct Listener {
    broker: Arc<BrokerState>,
    address: Arc<BoundAddress>,
    service: Arc<PathService>,
    /// The address as it is shown: without symbolic links resolved.
    shown: String,
    runtime: Handle,
}

/// A path of an address that a namespace is about to serve. Until this is dropped the path answers
/// 503, also where another listener serves all paths.
#[derive(Debug)]
pub struct AwaitedPath {
    address: Arc<BoundAddress>,
    path: String,
}

impl Drop for AwaitedPath {
    fn drop(&mut self) {
        self.address.forget_path(&self.path);
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("url", &self.url()).finish_non_exhaustive()
    }
}

impl Listener {
    /// Binds and reserves. Must be called in the front's runtime.
    ///
    /// `beside` names a listener whose address this one shares, if that is still open; then `bind`
    /// is not looked at.
    pub(crate) async fn bind(
        broker: Arc<BrokerState>,
        config: ListenerConfig,
        beside: Option<&Self>,
    ) -> Result<Self, ListenError> {
        let resolved = ResolvedBind::of(&config.bind)
            .await
            .map_err(|source| ListenError::Bind { address: config.bind.to_string(), source })?;
        if let Some(deflate) = config.deflate {
            broker.compress_from.fetch_min(deflate.threshold, Ordering::Relaxed);
        }
        let (address, service) =
            broker.front.open(broker.next_endpoint(), &resolved, beside.map(|other| &other.address), &config)?;
        let shown = match (&address.local, resolved) {
            (Local::Tcp(local), _) => local.ip().to_string(),
            (Local::Unix(_), ResolvedBind::Unix(path, _)) => path.display().to_string(),
            (Local::Unix(path), ResolvedBind::Tcp(_)) => path.display().to_string(),
        };
        let listener = Self { broker, address, service, shown, runtime: Handle::current() };
        if config.http.is_some() {
            // Health checks are answered while the workers load.
            listener.accept();
        }
        Ok(listener)
    }

    fn accept(&self) {
        if self.address.begin_accepting() {
            self.runtime.spawn(accept::run(Arc::clone(&self.broker), Arc::clone(&self.address)));
        }
    }

    /// Takes connections from now on. Does nothing after [`close`](Self::close).
    pub fn serve(&self) {
        self.service.endpoint.serve();
        self.accept();
    }

    /// Keeps a path of its address for a namespace that is about to
    /// [listen](crate::Broker::listen_beside) there.
    #[must_use]
    pub fn await_path(&self, path: &str) -> AwaitedPath {
        self.address.await_path(path);
        AwaitedPath { address: Arc::clone(&self.address), path: path.to_owned() }
    }

    /// The address it listens on, with the port that the system chose; `None` for a unix socket.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match self.address.local {
            Local::Tcp(address) => Some(address),
            Local::Unix(_) => None,
        }
    }

    /// The IP address it listens on, without brackets and port, or the path of the unix socket.
    #[must_use]
    pub fn address(&self) -> String {
        self.shown.clone()
    }

    /// The port it listens on; 0 for a unix socket.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.local_addr().map_or(0, |address| address.port())
    }

    /// Where clients on this machine reach it: `ws://127.0.0.1:9000`, `wss://[::1]:9000`,
    /// `ws+unix:/run/chat.sock`, `wss+unix:/run/chat.sock`. An unspecified address is shown as the
    /// loopback.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.address.is_encrypted() { "wss" } else { "ws" };
        match self.address.local {
            // No client can connect to "all addresses", but one on this machine can connect to its
            // loopback.
            Local::Tcp(address) if address.ip().is_unspecified() => {
                let loopback: IpAddr =
                    if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
                format!("{scheme}://{}", SocketAddr::new(loopback, address.port()))
            }
            Local::Tcp(address) => format!("{scheme}://{address}"),
            Local::Unix(_) => format!("{scheme}+unix:{}", self.shown),
        }
    }

    /// Takes no connections any more, closes those that were made here with 1001, and resolves when
    /// they and the upgrades under way are gone. The last listener of an address releases it, at
    /// once, and removes the file of a unix socket. Closing twice is closing once.
    pub async fn close(&self) {
        self.stop();
        self.service.endpoint.emptied().await;
    }

    /// Replaces certificates, keys and what is asked of clients, for the whole address. Handshakes
    /// that begin from now on use the new ones; connections stay as they are.
    ///
    /// # Errors
    /// [`TlsError::Plain`] when the address is not encrypted.
    pub fn reload_tls(&self, tls: TlsConfig) -> Result<(), TlsError> {
        if self.address.reload_tls(tls) { Ok(()) } else { Err(TlsError::Plain) }
    }

    /// As [`close`](Self::close), without waiting.
    pub fn stop(&self) {
        self.stop_with(CloseCode::GOING_AWAY);
    }

    /// As [`stop`](Self::stop), with another close code.
    pub fn stop_with(&self, code: CloseCode) {
        if self.broker.front.retire(&self.address, &self.service) {
            close_connections(&self.broker, self.service.endpoint.id, code);
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Closes what was accepted by one listener.
fn close_connections(broker: &BrokerState, endpoint: u32, code: CloseCode) {
    for index in 0..broker.shard_count() {
        broker.shard(index).push(Command::CloseAll(Some(endpoint), code));
    }
}
