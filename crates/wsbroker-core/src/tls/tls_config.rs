//! From PEM to what handshakes use.

use std::{fmt, sync::Arc};

use rustls::{
    InconsistentKeys, RootCertStore, ServerConfig, SupportedProtocolVersion,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem, pem::PemObject},
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};

use super::{
    certificates::CertificatesByName,
    client_certificate::{ClientCertificate, Lenient},
    tls_session::Session,
};
use crate::error::TlsError;

/// What a listener encrypts with: certificates, keys, and which clients are let in. Clones are
/// cheap and the same.
///
/// Two are equal when they have the same certificates, authorities and settings.
#[derive(Clone)]
pub struct TlsConfig(Arc<TlsParts>);

struct TlsParts {
    server: Arc<ServerConfig>,
    /// Asks clients for a certificate.
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    public: PublicSettings,
}

/// What is no secret: by this configurations are compared.
#[derive(Debug, Eq, PartialEq)]
struct PublicSettings {
    chains: Vec<Vec<CertificateDer<'static>>>,
    authorities: Vec<CertificateDer<'static>>,
    request_cert: bool,
    reject_unauthorized: bool,
    min_version: TlsVersion,
}

/// The oldest version of TLS that is spoken.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum TlsVersion {
    /// 1.2 (RFC 5246) and 1.3.
    #[default]
    Tls12,
    /// 1.3 (RFC 8446) only.
    Tls13,
}

/// What a [`TlsConfig`] is made of.
#[derive(Clone)]
pub struct TlsPem {
    /// Certificate chains, each with the certificate itself first, and their private keys: PKCS#8,
    /// PKCS#1 or SEC1, not encrypted. A client gets the first certificate with the name that it
    /// asks for, wildcards included. If none has that name, or the client asks for none, it gets
    /// the first of all.
    pub pairs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Certificates of the authorities that clients' certificates must come from. Default `None`.
    pub ca: Option<Vec<u8>>,
    /// Whether clients are asked for a certificate; needs `ca`. Default false.
    pub request_cert: bool,
    /// Whether a client without a certificate, or with one that is not by `ca`, is refused. If not,
    /// it is let in, and
    /// [`OpenRequest::client_certificate_authorized`](crate::OpenRequest::client_certificate_authorized)
    /// tells the difference. Default true.
    pub reject_unauthorized: bool,
    /// The oldest version that is spoken. Default TLS 1.2.
    pub min_version: TlsVersion,
}

impl Default for TlsPem {
    fn default() -> Self {
        Self {
            pairs: Vec::new(),
            ca: None,
            request_cert: false,
            reject_unauthorized: true,
            min_version: TlsVersion::default(),
        }
    }
}

impl fmt::Debug for TlsPem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsPem").field("pairs", &self.pairs.len()).finish_non_exhaustive()
    }
}

impl TlsConfig {
    /// Reads it. Every pair is checked, so that a mistake shows now and not in a handshake.
    ///
    /// # Errors
    /// [`TlsError`] tells what is wrong, and where.
    pub fn from_pem(pem: &TlsPem) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let mut keys = Vec::with_capacity(pem.pairs.len());
        for (pair, (cert, key)) in pem.pairs.iter().enumerate() {
            keys.push(Arc::new(certified_key(pair, cert, key, &provider)?));
        }
        let authorities = pem.ca.as_deref().map_or(Ok(Vec::new()), authorities)?;
        let verifier = if pem.request_cert { Some(verifier(pem, &authorities, &provider)?) } else { None };
        let public = PublicSettings {
            chains: keys.iter().map(|key| key.cert.clone()).collect(),
            authorities,
            request_cert: pem.request_cert,
            reject_unauthorized: pem.reject_unauthorized,
            min_version: pem.min_version,
        };

        let versions: &[&SupportedProtocolVersion] = match pem.min_version {
            TlsVersion::Tls12 => &[&TLS13, &TLS12],
            TlsVersion::Tls13 => &[&TLS13],
        };
        let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(versions).map_err(system)?;
        let builder = match &verifier {
            None => builder.with_no_client_auth(),
            Some(verifier) if pem.reject_unauthorized => builder.with_client_cert_verifier(Arc::clone(verifier)),
            Some(verifier) => builder.with_client_cert_verifier(Arc::new(Lenient::new(Arc::clone(verifier)))),
        };
        let mut server = builder.with_cert_resolver(Arc::new(CertificatesByName::new(keys).ok_or(TlsError::NoPair)?));
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        // Tickets are kept by the client, so that a flood of handshakes leaves nothing here. Early
        // data stays off: it could be replayed.
        server.ticketer = ring::Ticketer::new().map_err(system)?;
        server.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Self(Arc::new(TlsParts { server: Arc::new(server), verifier, public })))
    }
}

impl TlsConfig {
    pub(super) fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.server)
    }

    /// Whether handshakes let in only those clients whose certificate is authorized.
    fn is_strict(&self) -> bool {
        self.0.verifier.is_some() && self.0.public.reject_unauthorized
    }

    /// What is known of the client once the handshake is done.
    ///
    /// # Errors
    /// A session was taken up again whose certificate is not valid any more.
    pub(crate) fn client(&self, session: &Session) -> Result<ClientCertificate, rustls::Error> {
        let Some(verifier) = &self.0.verifier else { return Ok(ClientCertificate::default()) };
        let Some((leaf, others)) = session.client_certificates().split_first() else {
            return Ok(ClientCertificate::default());
        };
        let certificate = Some(leaf.to_vec());
        if self.is_strict() && !session.is_resumed() {
            return Ok(ClientCertificate { certificate, authorized: true });
        }
        match verifier.verify_client_cert(leaf, others, UnixTime::now()) {
            Err(error) if self.is_strict() => Err(error),
            verified => Ok(ClientCertificate { certificate, authorized: verified.is_ok() }),
        }
    }
}

impl PartialEq for TlsConfig {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.public == other.0.public
    }
}

impl Eq for TlsConfig {}

impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConfig").field("pairs", &self.0.public.chains.len()).finish_non_exhaustive()
    }
}

fn system(error: rustls::Error) -> TlsError {
    TlsError::System(error.to_string())
}

fn certified_key(pair: usize, cert: &[u8], key: &[u8], provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let unreadable = |error: &dyn fmt::Display| TlsError::BadCertificate { pair, reason: error.to_string() };
    let chain = certificates(cert).map_err(|error| unreadable(&error))?;
    let leaf = chain.first().ok_or(TlsError::NoCertificate { pair })?;
    webpki::EndEntityCert::try_from(leaf).map_err(|error| unreadable(&error))?;
    let key = private_key(pair, key)?;
    let key = provider
        .key_provider
        .load_private_key(key)
        .map_err(|error| TlsError::BadKey { pair, reason: error.to_string() })?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        // Unknown is a key that cannot name its public half; those of our provider can.
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
        Err(rustls::Error::InconsistentKeys(_)) => Err(TlsError::KeyMismatch { pair }),
        Err(error) => Err(unreadable(&error)),
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, pem::Error> {
    CertificateDer::pem_slice_iter(pem).collect()
}

fn private_key(pair: usize, pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    // The first kind has a label of its own (RFC 7468 §11), the second a header that only says so
    // (RFC 1421 §4.6.1.1).
    if contains(pem, b"-----BEGIN ENCRYPTED PRIVATE KEY-----") || contains(pem, b"Proc-Type: 4,ENCRYPTED") {
        return Err(TlsError::EncryptedKey { pair });
    }
    match PrivateKeyDer::from_pem_slice(pem) {
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) => Err(TlsError::NoKey { pair }),
        Err(error) => Err(TlsError::BadKey { pair, reason: error.to_string() }),
    }
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

fn authorities(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let authorities = certificates(pem).map_err(|error| TlsError::BadCa { reason: error.to_string() })?;
    if authorities.is_empty() {
        return Err(TlsError::BadCa { reason: "there is no certificate in it".into() });
    }
    Ok(authorities)
}

fn verifier(
    pem: &TlsPem,
    authorities: &[CertificateDer<'static>],
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let bad = |error: &dyn fmt::Display| TlsError::BadCa { reason: error.to_string() };
    if pem.ca.is_none() {
        return Err(TlsError::RequestCertWithoutCa);
    }
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority.clone()).map_err(|error| bad(&error))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|error| bad(&error))
}
