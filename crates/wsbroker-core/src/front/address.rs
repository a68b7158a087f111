//! One address with everything that is served there.

use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use tokio::sync::watch;

use super::{
    listener_config::ListenerConfig,
    origin::Origins,
    peer::Peer,
    plain_service::PlainService,
    socket::{Accepted, Acceptor, Local, REUSE_PORT},
};
use crate::{
    admission::Endpoint,
    config::{Bind, TrustProxy},
    error::ListenError,
    tls::TlsConfig,
};

/// The path of a listener that serves every path no other listener owns.
const ANY: &str = "*";

/// Where a listener wants to be, with names resolved.
#[derive(Debug)]
pub(super) enum ResolvedBind {
    /// Best first; never empty.
    Tcp(Vec<SocketAddr>),
    /// As it was given, and as [`Local`] would name it.
    Unix(PathBuf, Option<PathBuf>),
}

/// An address that is bound, with the settings that hold for all of it.
#[derive(Debug)]
pub(super) struct BoundAddress {
    pub(super) local: Local,
    /// From accept to the end of the request; also what writing an answer may take.
    pub(super) handshake_timeout: Duration,
    pub(super) max_header_size: usize,
    /// What handshakes use from now on; `None` for an address that is not encrypted.
    tls: Option<Mutex<TlsConfig>>,
    pub(super) proxy_protocol: bool,
    reuse_port: bool,
    trust_proxy: Option<TrustProxy>,
    /// What happens to plain requests; set by the listener that has bound the address.
    plain: OnceLock<Arc<PlainService>>,
    /// `None` once released.
    acceptor: Mutex<Option<Acceptor>>,
    /// The accept loop runs.
    accepting: AtomicBool,
    released: watch::Sender<bool>,
    /// Services that have closed stay, so that their paths are known to be unavailable rather than
    /// unknown.
    routes: Mutex<FxHashMap<String, Arc<PathService>>>,
    /// Paths that namespaces are about to serve, each with their number. Locked after the routes.
    awaited: Mutex<FxHashMap<String, usize>>,
}

/// What is served on a listener's paths.
#[derive(Debug)]
pub(super) struct PathService {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) protocols: Vec<String>,
    pub(super) open_timeout: Duration,
    /// `None` lets all in.
    pub(super) origins: Option<Origins>,
}

/// What a path leads to.
#[derive(Debug)]
pub(super) enum Route {
    Serving(Arc<PathService>),
    /// Not served yet, or not any more. The service, unless nobody has taken the path yet.
    Unavailable(Option<Arc<PathService>>),
    Unknown,
}

impl ResolvedBind {
    pub(super) async fn of(bind: &Bind) -> io::Result<Self> {
        match bind {
            Bind::Tcp { host, port } => {
                let addresses: Vec<_> = tokio::net::lookup_host((host.as_str(), *port)).await?.collect();
                if addresses.is_empty() {
                    return Err(io::Error::new(io::ErrorKind::NotFound, "the name does not resolve to an address"));
                }
                Ok(Self::Tcp(addresses))
            }
            Bind::Unix(path) => {
                let path = std::path::absolute(path)?;
                let folder = path.parent().and_then(|folder| folder.canonicalize().ok());
                let local = folder.zip(path.file_name()).map(|(folder, name)| folder.join(name));
                Ok(Self::Unix(path, local))
            }
        }
    }

    /// Whether this means that address. Port 0 never does: it asks for a new one.
    pub(super) fn means(&self, local: &Local) -> bool {
        match (self, local) {
            (Self::Tcp(addresses), Local::Tcp(local)) => addresses.contains(local),
            (Self::Unix(_, Some(path)), Local::Unix(local)) => path == local,
            _ => false,
        }
    }
}

impl PathService {
    /// # Errors
    /// [`ListenError::Origin`].
    pub(super) fn new(id: u32, config: &ListenerConfig) -> Result<Self, ListenError> {
        let origins = config.origins.as_deref().map(Origins::parse).transpose();
        Ok(Self {
            endpoint: Arc::new(
                Endpoint::new(id, config.limits.clone(), config.deflate)
                    .in_namespace(config.namespace.as_ref().map(|namespace| Arc::clone(namespace.state())))
                    .without_paths(config.paths.is_empty()),
            ),
            protocols: config.protocols.clone(),
            open_timeout: config.open_timeout,
            origins: origins.map_err(|(entry, why)| ListenError::Origin { entry: entry.to_owned(), why })?,
        })
    }
}

impl BoundAddress {
    /// Binds. Must be called in the front's runtime.
    pub(super) fn bind(resolved: &ResolvedBind, config: &ListenerConfig) -> Result<Self, ListenError> {
        let unsupported = |what| Err(ListenError::Unsupported { address: config.bind.to_string(), what });
        let acceptor = match resolved {
            ResolvedBind::Tcp(_) if config.reuse_port && !REUSE_PORT => return unsupported("shared ports"),
            ResolvedBind::Unix(..) if config.reuse_port => return unsupported("shared unix sockets"),
            ResolvedBind::Tcp(addresses) => Acceptor::tcp(addresses, config.reuse_port),
            #[cfg(unix)]
            ResolvedBind::Unix(path, _) => Acceptor::unix(path),
            #[cfg(not(unix))]
            ResolvedBind::Unix(..) => return unsupported("unix sockets"),
        };
        let acceptor = acceptor.map_err(|source| ListenError::Bind { address: config.bind.to_string(), source })?;
        Ok(Self {
            local: acceptor.local().clone(),
            handshake_timeout: config.handshake_timeout,
            max_header_size: config.max_header_size,
            tls: config.tls.clone().map(Mutex::new),
            proxy_protocol: config.proxy_protocol,
            reuse_port: config.reuse_port,
            trust_proxy: config.trust_proxy.clone(),
            plain: OnceLock::new(),
            acceptor: Mutex::new(Some(acceptor)),
            accepting: AtomicBool::new(false),
            released: watch::Sender::new(false),
            routes: Mutex::default(),
            awaited: Mutex::default(),
        })
    }

    /// Takes all of a listener's paths, or none.
    ///
    /// # Errors
    /// [`ListenError::Conflict`] and [`ListenError::PathTaken`].
    pub(super) fn reserve(&self, config: &ListenerConfig, service: &Arc<PathService>) -> Result<(), ListenError> {
        let mut routes = self.routes.lock();
        if let Some(path) =
            config.paths.iter().find(|path| routes.get(*path).is_some_and(|owner| !owner.endpoint.is_closed()))
        {
            return Err(ListenError::PathTaken { address: config.bind.to_string(), path: path.clone() });
        }
        let counts = |name: &&str| config.given.as_ref().is_none_or(|given| given.contains(name));
        let differs = [
            ("handshake_timeout", config.handshake_timeout != self.handshake_timeout),
            ("max_header_size", config.max_header_size != self.max_header_size),
            ("proxy_protocol", config.proxy_protocol != self.proxy_protocol),
            ("reuse_port", config.reuse_port != self.reuse_port),
            ("tls", config.tls != self.tls()),
            ("trust_proxy", config.trust_proxy != self.trust_proxy),
        ];
        if let Some((option, _)) = differs.into_iter().find(|(name, differs)| *differs && counts(name)) {
            return Err(ListenError::Conflict { address: config.bind.to_string(), option });
        }
        for path in &config.paths {
            routes.insert(path.clone(), Arc::clone(service));
        }
        Ok(())
    }

    /// Serves plain requests, too. For the listener that has bound the address.
    pub(super) fn serve_plain(&self, service: PlainService) {
        let _ = self.plain.set(Arc::new(service));
    }

    /// What happens to plain requests. `None`: they are refused.
    pub(super) fn plain(&self) -> Option<&Arc<PlainService>> {
        self.plain.get()
    }

    /// Whether a connection may get a fixed answer here.
    pub(super) fn has_answers(&self) -> bool {
        self.plain.get().is_some_and(|plain| plain.has_answers())
    }

    /// Whether it stays open while its broker drains. Of a port that others listen on, too, the
    /// system would give connections to us that we can only refuse.
    pub(super) fn answers_while_draining(&self) -> bool {
        self.has_answers() && !self.reuse_port
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }

    /// What a handshake that begins now uses.
    pub(super) fn tls(&self) -> Option<TlsConfig> {
        self.tls.as_ref().map(|tls| tls.lock().clone())
    }

    /// False when the address is not encrypted.
    pub(super) fn reload_tls(&self, tls: TlsConfig) -> bool {
        self.tls.as_ref().map(|old| *old.lock() = tls).is_some()
    }

    /// What this peer is believed about its clients, if it is a trusted proxy.
    pub(super) fn trusted(&self, peer: Peer) -> Option<&TrustProxy> {
        self.trust_proxy.as_ref().filter(|trusted| trusted.trusts(peer.ip))
    }

    /// Whether a PROXY header is taken from this peer: from any peer, unless there is a list of
    /// proxies. The permissions of a unix socket's file decide about its peers.
    pub(super) fn takes_proxy_header(&self, peer: Peer) -> bool {
        let listed = self.trust_proxy.as_ref().filter(|trusted| !trusted.from.is_empty());
        peer.ip.is_none() || listed.is_none_or(|trusted| trusted.trusts(peer.ip))
    }

    /// Looks a request's path up: exactly, then under `*`.
    pub(super) fn route(&self, path: &str) -> Route {
        let routes = self.routes.lock();
        // A target may read `*`, and must not be taken for a listener's name of everything.
        let exact = if path == ANY { None } else { routes.get(path) };
        if exact.is_none() && self.awaited.lock().contains_key(path) {
            return Route::Unavailable(None);
        }
        match exact.or_else(|| routes.get(ANY)) {
            None => Route::Unknown,
            Some(service) if service.endpoint.is_serving() => Route::Serving(Arc::clone(service)),
            Some(service) => Route::Unavailable(Some(Arc::clone(service))),
        }
    }

    /// Whether a namespace has, or had, a path here, or is about to.
    pub(super) fn has_namespaces(&self) -> bool {
        self.routes.lock().values().any(|service| service.endpoint.namespace.is_some())
            || !self.awaited.lock().is_empty()
    }

    pub(super) fn await_path(&self, path: &str) {
        *self.awaited.lock().entry(path.to_owned()).or_default() += 1;
    }

    pub(super) fn forget_path(&self, path: &str) {
        let mut awaited = self.awaited.lock();
        let Some(count) = awaited.get_mut(path) else { return };
        *count -= 1;
        if *count == 0 {
            awaited.remove(path);
        }
    }

    /// Whether every service here has closed.
    pub(super) fn is_unused(&self) -> bool {
        // A listener without paths may have nothing but the plain requests.
        self.plain().is_none_or(|plain| plain.endpoint.is_closed())
            && self.routes.lock().values().all(|service| service.endpoint.is_closed())
    }

    /// True once: that caller runs the accept loop.
    pub(super) fn begin_accepting(&self) -> bool {
        !self.accepting.swap(true, Ordering::AcqRel)
    }

    /// Never ready again after [`release`](Self::release).
    pub(super) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        self.acceptor.lock().as_ref().map_or(Poll::Pending, |acceptor| acceptor.poll_accept(cx))
    }

    /// Gives the address back to the system, at once: when this returns it can be bound again.
    pub(super) fn release(&self) {
        let acceptor = self.acceptor.lock().take();
        drop(acceptor);
        self.released.send_replace(true);
    }

    /// Resolves when the address has been released.
    pub(super) async fn released(&self) {
        // Fails only when the sender is gone, and we hold it.
        let _ = self.released.subscribe().wait_for(|released| *released).await;
    }
}
