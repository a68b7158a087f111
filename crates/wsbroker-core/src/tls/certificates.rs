//! Which certificate a client gets, by the name it asks for.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

/// Certificates by the DNS names in them.
#[derive(Debug)]
pub(super) struct CertificatesByName {
    first: Arc<CertifiedKey>,
    /// Lower-case; `*.` and the rest for a wildcard.
    by_name: FxHashMap<String, Arc<CertifiedKey>>,
}

impl CertificatesByName {
    /// `None` without any.
    pub(super) fn new(keys: Vec<Arc<CertifiedKey>>) -> Option<Self> {
        let first = Arc::clone(keys.first()?);
        let mut by_name = FxHashMap::default();
        for key in keys {
            let Some(Ok(leaf)) = key.cert.first().map(webpki::EndEntityCert::try_from) else { continue };
            for name in leaf.valid_dns_names() {
                by_name.entry(name.to_ascii_lowercase()).or_insert_with(|| Arc::clone(&key));
            }
        }
        Some(Self { first, by_name })
    }

    /// The one with this name, else the one with a wildcard for its first label (RFC 6125 §6.4.3).
    fn find(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        self.by_name.get(&name).or_else(|| {
            let (_, parent) = name.split_once('.')?;
            self.by_name.get(&format!("*.{parent}"))
        })
    }
}

impl ResolvesServerCert for CertificatesByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let found = hello.server_name().and_then(|name| self.find(name));
        Some(Arc::clone(found.unwrap_or(&self.first)))
    }
}
