//! Certificates and keys for the core, and what is wrong with them, in terms of the arguments.

// napi-rs wants what it exports to be public, though nothing can reach it from Rust.
#![allow(unreachable_pub)]

use napi_derive::napi;
use wsbroker_core::{TlsConfig, TlsError, TlsPem, TlsVersion};

use crate::{
    api::option_values::one_of,
    js::{js_error::JsError, raw::Copied},
};

/// PEM, and where it comes from.
#[napi(object)]
pub struct NativePem {
    /// For error messages: `"tls.key" (/etc/key.pem)`.
    pub name: String,
    /// The text.
    #[napi(ts_type = "Buffer")]
    pub pem: Copied,
}

/// A certificate chain and its key.
#[napi(object)]
pub struct NativePair {
    /// The chain.
    pub cert: NativePem,
    /// The key.
    pub key: NativePem,
}

/// What a listener encrypts with.
#[napi(object)]
pub struct NativeTls {
    /// At least one.
    pub pairs: Vec<NativePair>,
    /// The authorities that sign certificates of clients.
    pub ca: Vec<NativePem>,
    /// Whether clients are asked for a certificate.
    pub request_cert: bool,
    /// Whether clients must have one.
    pub reject_unauthorized: bool,
    /// The oldest version.
    #[napi(ts_type = "'TLSv1.2' | 'TLSv1.3'")]
    pub min_version: String,
}

/// The core's configuration of TLS.
///
/// # Errors
/// ERR_WSBROKER_TLS, which names the argument and the file.
pub(crate) fn config(call: &str, tls: &NativeTls) -> Result<TlsConfig, JsError> {
    let mut ca = Vec::new();
    for one in &tls.ca {
        ca.extend_from_slice(&one.pem);
        // A file may end without a line break, and the next must begin a line.
        ca.push(b'\n');
    }
    let pem = TlsPem {
        pairs: tls.pairs.iter().map(|pair| (pair.cert.pem.to_vec(), pair.key.pem.to_vec())).collect(),
        ca: (!tls.ca.is_empty()).then_some(ca),
        request_cert: tls.request_cert,
        reject_unauthorized: tls.reject_unauthorized,
        min_version: one_of(
            "tls.minVersion",
            &tls.min_version,
            &[("TLSv1.2", TlsVersion::Tls12), ("TLSv1.3", TlsVersion::Tls13)],
        )?,
    };
    let authorities: Vec<&str> = tls.ca.iter().map(|one| one.name.as_str()).collect();
    let pairs: Vec<_> = tls.pairs.iter().map(|pair| [pair.cert.name.as_str(), pair.key.name.as_str()]).collect();
    TlsConfig::from_pem(&pem).map_err(|error| failure(call, &error, &pairs, &authorities.join(", ")))
}

/// The core's error, with the names of the arguments.
fn failure(call: &str, error: &TlsError, pairs: &[[&str; 2]], ca: &str) -> JsError {
    let cert = |pair: &usize| pairs.get(*pair).map_or("\"tls.cert\"", |[cert, _]| cert);
    let key = |pair: &usize| pairs.get(*pair).map_or("\"tls.key\"", |[_, key]| key);
    JsError::tls(match error {
        TlsError::NoCertificate { pair } => format!("{call}: {} contains no certificate", cert(pair)),
        TlsError::BadCertificate { pair, reason } => {
            format!("{call}: the certificate in {} cannot be read: {reason}", cert(pair))
        }
        TlsError::NoKey { pair } => format!("{call}: {} contains no private key", key(pair)),
        TlsError::EncryptedKey { pair } => format!(
            "{call}: the private key in {} is encrypted, which is not supported; decrypt it first, for example with `openssl pkey`",
            key(pair)
        ),
        TlsError::BadKey { pair, reason } => {
            format!("{call}: the private key in {} cannot be used: {reason}", key(pair))
        }
        TlsError::KeyMismatch { pair } => format!("{call}: {} does not belong to {}", key(pair), cert(pair)),
        TlsError::BadCa { reason } => format!("{call}: {ca}: {reason}"),
        other => format!("{call}: {other}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_key_is_named_by_its_argument_and_its_file() {
        let pairs = [["\"tls.cert[0]\"", "\"tls.key[0]\""], ["\"tls.cert[1]\" (/a.pem)", "\"tls.key[1]\" (/b.pem)"]];
        let failure = |error| super::failure("start", &error, &pairs, "\"tls.ca\" (/ca.pem)");
        let mismatch = failure(TlsError::KeyMismatch { pair: 1 });
        assert_eq!(mismatch.code(), "ERR_WSBROKER_TLS");
        let message = "start: \"tls.key[1]\" (/b.pem) does not belong to \"tls.cert[1]\" (/a.pem)";
        assert_eq!(mismatch.message(), message);
        let bad = failure(TlsError::BadCa { reason: "odd".into() });
        assert_eq!(bad.message(), "start: \"tls.ca\" (/ca.pem): odd");
    }
}
