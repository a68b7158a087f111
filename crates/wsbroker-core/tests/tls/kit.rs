//! Certificates, listeners that use them, and clients that speak TLS.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
};

use bytes::Bytes;
use parking_lot::Mutex;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
    client::Resumption,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    version::{TLS12, TLS13},
};
use wsbroker_core::{
    Accept, Batch, Bind, Broker, Config, DeliverError, Event, EventKind, Handlers, Listener, ListenerConfig,
    MessageKind, OpenRequest, Reject, RejectCause, SocketLimits, TlsConfig, TlsPem, TlsVersion, Worker, WorkerHandle,
};

use crate::common::{Client, DEADLINE, REQUEST, Seen, TestWorker};

pub(crate) type Versions = &'static [&'static SupportedProtocolVersion];
pub(crate) const BOTH: Versions = &[&TLS13, &TLS12];
pub(crate) const V12: Versions = &[&TLS12];
pub(crate) const V13: Versions = &[&TLS13];

pub(crate) type TlsStream = StreamOwned<ClientConnection, TcpStream>;
pub(crate) type TlsClient = Client<TlsStream>;

/// A certificate with what belongs to it, as PEM.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) cert: String,
    pub(crate) key: String,
}

impl Pair {
    pub(crate) fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.cert.as_bytes()).unwrap()
    }

    pub(crate) fn bytes(&self) -> (Vec<u8>, Vec<u8>) {
        (self.cert.clone().into_bytes(), self.key.clone().into_bytes())
    }
}

/// An authority of our own.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate with these names.
    pub(crate) fn issue(&self, names: &[&str]) -> Pair {
        self.issue_with(names, |_| {})
    }

    pub(crate) fn issue_with(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Pair {
        let mut params =
            CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.0).unwrap();
        Pair { cert: cert.pem(), key: key.serialize_pem() }
    }
}

/// An authority, a server with a certificate by it, and what clients trust.
pub(crate) struct World {
    pub(crate) authority: Authority,
    pub(crate) pair: Pair,
}

impl World {
    pub(crate) fn new() -> Self {
        let authority = Authority::new("wsbroker test");
        let pair = authority.issue(&["localhost"]);
        Self { authority, pair }
    }

    pub(crate) fn pem(&self) -> TlsPem {
        TlsPem { pairs: vec![self.pair.bytes()], ..TlsPem::default() }
    }

    pub(crate) fn config(&self) -> TlsConfig {
        TlsConfig::from_pem(&self.pem()).unwrap()
    }

    pub(crate) fn client(&self) -> ClientSetup {
        ClientSetup { roots: self.authority.pem(), versions: BOTH, alpn: &["http/1.1"], name: "localhost", pair: None }
    }
}

/// How a client goes about it.
#[derive(Clone)]
pub(crate) struct ClientSetup {
    pub(crate) roots: String,
    pub(crate) versions: Versions,
    pub(crate) alpn: &'static [&'static str],
    pub(crate) name: &'static str,
    pub(crate) pair: Option<Pair>,
}

impl ClientSetup {
    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        Arc::new(self.config_with(Arc::new(ring::default_provider())))
    }

    pub(crate) fn config_with(&self, provider: Arc<CryptoProvider>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.roots.as_bytes()).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(self.versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match &self.pair {
            None => builder.with_no_client_auth(),
            Some(pair) => builder
                .with_client_auth_cert(vec![pair.der()], PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap())
                .unwrap(),
        };
        config.alpn_protocols = self.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config.resumption = Resumption::disabled();
        config
    }

    pub(crate) fn session(&self) -> ClientConnection {
        ClientConnection::new(self.config(), self.name.try_into().unwrap()).unwrap()
    }

    /// A stream before its handshake, which its first use does.
    pub(crate) fn stream(&self, port: u16) -> TlsStream {
        StreamOwned::new(self.session(), tcp(port))
    }

    /// Through TLS handshake and upgrade.
    pub(crate) fn connect(&self, port: u16) -> TlsClient {
        upgrade(self.stream(port))
    }

    /// What becomes of the TLS handshake: sends the request, reads one byte of the answer.
    pub(crate) fn attempt(&self, port: u16) -> std::io::Result<TlsStream> {
        let mut stream = self.stream(port);
        stream.write_all(REQUEST)?;
        stream.read_exact(&mut [0])?;
        Ok(stream)
    }
}

pub(crate) fn upgrade<S: Read + Write>(stream: S) -> Client<S> {
    let mut client = Client::over(stream);
    client.stream.write_all(REQUEST).unwrap();
    client.expect("HTTP/1.1 101")
}

pub(crate) fn tcp(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

pub(crate) fn broker() -> Broker {
    Broker::new(Config { io_threads: 1, ..Config::default() }).unwrap()
}

pub(crate) fn loopback(tls: TlsConfig) -> ListenerConfig {
    ListenerConfig { tls: Some(tls), ..ListenerConfig::new(Bind::Tcp { host: "127.0.0.1".into(), port: 0 }) }
}

pub(crate) fn serve(broker: &Broker, config: ListenerConfig) -> (Listener, u16) {
    let listener = broker.runtime().block_on(broker.listen(config)).unwrap();
    listener.serve();
    let port = listener.port();
    (listener, port)
}

/// Serves with these limits.
pub(crate) fn limited(broker: &Broker, tls: TlsConfig, limits: SocketLimits) -> (Listener, u16) {
    serve(broker, ListenerConfig { limits, ..loopback(tls) })
}

/// A worker that lets every client in at once, and the requests it saw.
pub(crate) fn asking(broker: &Broker) -> (Arc<Porter>, Arc<Mutex<Vec<OpenRequest>>>) {
    let porter = Arc::new(Porter::default());
    let handle = broker.add_worker(Arc::clone(&porter) as Arc<dyn Worker>, Handlers::OPEN);
    *porter.handle.lock() = Some(handle);
    let requests = Arc::clone(&porter.requests);
    (porter, requests)
}

#[derive(Default)]
pub(crate) struct Porter {
    handle: Mutex<Option<WorkerHandle>>,
    /// The answer to every client from now on.
    pub(crate) refusal: Mutex<Option<Bytes>>,
    requests: Arc<Mutex<Vec<OpenRequest>>>,
}

impl Worker for Porter {
    fn deliver(&self, batch: Batch) -> Result<(), DeliverError> {
        let handle = self.handle.lock();
        for Event { socket, kind } in batch.events {
            let EventKind::Open(open) = kind else { continue };
            self.requests.lock().push(open.request);
            // Too late for a client that has gone.
            let _ = match &*self.refusal.lock() {
                Some(body) => {
                    open.reply.reject(Reject { status: 403, headers: Vec::new(), body: body.clone() }).is_ok()
                }
                None => open.reply.accept(Accept::default()).is_ok(),
            };
            handle.as_ref().unwrap().settle([Event { socket, kind: EventKind::Drain }].iter(), None);
        }
        Ok(())
    }
}

/// A worker that sends back what it gets.
pub(crate) fn echo(broker: &Broker) -> TestWorker {
    TestWorker::new(
        broker,
        Handlers::TEXT | Handlers::BINARY,
        Box::new(|scope, id, seen| {
            let (kind, bytes) = match seen {
                Seen::Text(bytes) => (MessageKind::Text, bytes),
                Seen::Binary(bytes) => (MessageKind::Binary, bytes),
                _ => return,
            };
            let staged = scope.cork.stage_slice(kind, bytes);
            scope.cork.send(id, staged);
        }),
    )
}

pub(crate) fn rejected(broker: &Broker, cause: RejectCause) -> u64 {
    broker.stats().rejected.of(cause)
}

pub(crate) fn only_13(pem: TlsPem) -> TlsPem {
    TlsPem { min_version: TlsVersion::Tls13, ..pem }
}
