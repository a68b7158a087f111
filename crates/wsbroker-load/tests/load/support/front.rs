//! What comes before HTTP on a connection: a PROXY header, and TLS.

use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio_rustls::TlsAcceptor;

use super::{Shared, connection};

pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

#[derive(Default)]
pub(crate) struct Front {
    /// It also listens there.
    pub(crate) unix: Option<PathBuf>,
    /// A PROXY header must come first.
    pub(crate) proxy: bool,
    pub(crate) tls: Option<Arc<ServerConfig>>,
}

impl Front {
    /// With a certificate for `localhost`; returns the authority's certificate in PEM.
    pub(crate) fn with_tls() -> (Self, String) {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer_key = KeyPair::generate().unwrap();
        let issuer = params.self_signed(&issuer_key).unwrap();
        let key = KeyPair::generate().unwrap();
        let named = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = named.signed_by(&key, &Issuer::new(params, issuer_key)).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
            .unwrap();
        (Self { tls: Some(Arc::new(config)), ..Self::default() }, issuer.pem())
    }
}

pub(super) async fn pass(shared: Arc<Shared>, mut stream: Box<dyn Stream>) {
    if shared.front.proxy {
        let Some(header) = read_header(&mut stream).await else { return };
        shared.headers.lock().unwrap().push(header);
    }
    if let Some(config) = &shared.front.tls {
        let Ok(secured) = TlsAcceptor::from(Arc::clone(config)).accept(stream).await else { return };
        stream = Box::new(secured);
    }
    connection(shared, stream).await;
}

/// Reads a header of either version, byte by byte up to its end.
async fn read_header(stream: &mut Box<dyn Stream>) -> Option<Vec<u8>> {
    let mut header = Vec::new();
    loop {
        header.push(stream.read_u8().await.ok()?);
        let length = match header.get(14..16) {
            Some(length) if header.starts_with(b"\r\n\r\n") => {
                16 + usize::from(u16::from_be_bytes([length[0], length[1]]))
            }
            _ if header.starts_with(b"\r\n") => continue,
            _ if header.ends_with(b"\r\n") => header.len(),
            _ => continue,
        };
        if header.len() == length {
            return Some(header);
        }
    }
}
