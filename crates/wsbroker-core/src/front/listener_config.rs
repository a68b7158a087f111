//! What can be set for a listener, and beside each default the reason for its value.

use std::{sync::Arc, time::Duration};

use super::plain_service::HttpConfig;
use crate::{
    config::{Bind, DeflateConfig, SocketLimits, TrustProxy},
    namespace::Namespace,
    tls::TlsConfig,
};

/// Settings of one address and the paths served there.
#[derive(Clone, Debug)]
pub struct ListenerConfig {
    /// Where to listen.
    pub bind: Bind,
    /// Exact request paths that are served, case-sensitive, query not counted; `*` serves every
    /// path no other listener owns. Default `*`.
    pub paths: Vec<String>,
    /// Subprotocols (RFC 6455 §1.9), best first; the first that the client offers too is chosen
    /// unless the worker chooses. A client that offers none of them is let in without one, and
    /// browsers then fail the connection themselves. Default none.
    pub protocols: Vec<String>,
    /// From accept to the end of the request, in all; then cut. Taking an answer that is no 101 may
    /// last as long. Default 10 s.
    pub handshake_timeout: Duration,
    /// How long a worker may take to answer. Default 10 s, then 503.
    pub open_timeout: Duration,
    /// Bytes of request line and headers together, at most 100 headers; above 431. Default 16 KiB.
    pub max_header_size: usize,
    /// Pages that may open connections, by the `Origin` that browsers send; others get 403. A
    /// request without that header is let in: it comes from no browser. `https://a.example`,
    /// `http://localhost:3000`; `https://*.a.example` is everything below that name at any depth,
    /// but not the name itself; `null` is a page without an origin, as a local file; `*` is all.
    /// Case does not matter. Default `None`: all.
    pub origins: Option<Vec<String>>,
    /// Proxies whose word about a client's address is taken. The same for all listeners of an
    /// address. Default `None`.
    pub trust_proxy: Option<TrustProxy>,
    /// Every connection begins with a PROXY protocol header, version 1 or 2; a connection without
    /// one is cut. Any peer is taken for a proxy, so only proxies must be able to reach the port;
    /// when [`TrustProxy::from`] names some, TCP connections from elsewhere are cut. Default false.
    pub proxy_protocol: bool,
    /// Encryption, of the whole address. Default `None`: off.
    pub tls: Option<TlsConfig>,
    /// Lets other processes listen on the same TCP port too, if all of them say so
    /// (`SO_REUSEPORT`): Linux shares new connections out among them, macOS and the BSDs may give
    /// all to one. Not on Windows, nor for unix sockets. Default false.
    pub reuse_port: bool,
    /// Compression of messages (RFC 7692). Default `None`: off.
    pub deflate: Option<DeflateConfig>,
    /// Limits of each connection made here.
    pub limits: SocketLimits,
    /// The namespace of the connections. Default `None`: they belong to the raw workers.
    pub namespace: Option<Arc<Namespace>>,
    /// What happens to requests that are not upgrades. Of the address: only the listener that opens
    /// it can say so, and it ends with that listener. Default `None`: each is refused, and its
    /// connection ends.
    pub http: Option<HttpConfig>,
    /// Those of the options of the whole address that count, by the names in
    /// [`ListenError::Conflict`](crate::ListenError::Conflict), if the address is open already; the
    /// others are as they are there. Default `None`: all.
    pub given: Option<Vec<&'static str>>,
}

impl ListenerConfig {
    /// The defaults, on this address.
    #[must_use]
    pub fn new(bind: Bind) -> Self {
        Self {
            bind,
            paths: vec!["*".into()],
            protocols: Vec::new(),
            handshake_timeout: Duration::from_secs(10),
            open_timeout: Duration::from_secs(10),
            max_header_size: 16 << 10,
            origins: None,
            trust_proxy: None,
            proxy_protocol: false,
            tls: None,
            reuse_port: false,
            deflate: None,
            limits: SocketLimits::default(),
            namespace: None,
            http: None,
            given: None,
        }
    }
}
