//! What configurations are made of, and which certificate a client gets.

use rcgen::{KeyPair, date_time_ymd};
use wsbroker_core::{ListenError, ListenerConfig, TlsConfig, TlsError, TlsPem};

use crate::kit::{Authority, BOTH, ClientSetup, V12, V13, World, asking, broker, loopback, serve};

fn error(pem: &TlsPem) -> TlsError {
    TlsConfig::from_pem(pem).unwrap_err()
}

#[test]
fn a_bad_configuration_says_what_is_wrong_with_which_pair() {
    let world = World::new();
    let good = world.pair.bytes();
    let other = world.authority.issue(&["other"]).bytes();
    let second = |pair: (Vec<u8>, Vec<u8>)| error(&TlsPem { pairs: vec![good.clone(), pair], ..TlsPem::default() });

    assert_eq!(error(&TlsPem::default()), TlsError::NoPair);
    assert_eq!(second((b"nothing".to_vec(), good.1.clone())), TlsError::NoCertificate { pair: 1 });
    assert_eq!(second((good.1.clone(), good.1.clone())), TlsError::NoCertificate { pair: 1 });
    assert_eq!(second((good.0.clone(), good.0.clone())), TlsError::NoKey { pair: 1 });
    assert_eq!(second((good.0.clone(), Vec::new())), TlsError::NoKey { pair: 1 });
    assert_eq!(second((good.0.clone(), other.1.clone())), TlsError::KeyMismatch { pair: 1 });
    assert!(second((good.0.clone(), other.1)).to_string().contains("key[1] does not belong to cert[1]"));

    let encrypted = b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n".to_vec();
    assert_eq!(second((good.0.clone(), encrypted)), TlsError::EncryptedKey { pair: 1 });
    let old = b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nMAA=\n-----END RSA PRIVATE KEY-----\n";
    assert_eq!(second((good.0.clone(), old.to_vec())), TlsError::EncryptedKey { pair: 1 });

    let empty = |label: &str| format!("-----BEGIN {label}-----\nMAA=\n-----END {label}-----\n").into_bytes();
    assert!(matches!(second((empty("CERTIFICATE"), good.1.clone())), TlsError::BadCertificate { pair: 1, .. }));
    assert!(matches!(second((good.0.clone(), empty("PRIVATE KEY"))), TlsError::BadKey { pair: 1, .. }));
    let torn = b"-----BEGIN CERTIFICATE-----\nM\xff\n-----END CERTIFICATE-----\n".to_vec();
    assert!(matches!(second((torn, good.1.clone())), TlsError::BadCertificate { pair: 1, .. }));
    let torn = b"-----BEGIN PRIVATE KEY-----\nMAA=\n".to_vec();
    assert!(matches!(second((good.0.clone(), torn)), TlsError::BadKey { pair: 1, .. }));
}

#[test]
fn clients_are_asked_for_certificates_only_with_an_authority() {
    let world = World::new();
    assert_eq!(error(&TlsPem { request_cert: true, ..world.pem() }), TlsError::RequestCertWithoutCa);
    for ca in [&b""[..], b"nothing", world.pair.key.as_bytes()] {
        let pem = TlsPem { request_cert: true, ca: Some(ca.to_vec()), ..world.pem() };
        assert!(matches!(error(&pem), TlsError::BadCa { .. }), "{:?}", error(&pem));
    }
}

#[test]
fn keys_of_all_common_forms_are_read() {
    let world = World::new();
    let mut pem = world.pem();
    // Also beside other things in one file, as servers of other makes like it.
    pem.pairs[0].1 = format!("{}\n{}", world.pair.cert, world.pair.key).into_bytes();
    pem.pairs[0].0 = format!("{}\n{}\n{}", world.pair.key, world.pair.cert, world.authority.pem()).into_bytes();
    TlsConfig::from_pem(&pem).unwrap();
    for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let cert = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        let pairs = vec![(cert.pem().into_bytes(), key.serialize_pem().into_bytes())];
        TlsConfig::from_pem(&TlsPem { pairs, ..TlsPem::default() }).unwrap();
    }
}

#[test]
fn configurations_are_equal_when_what_they_show_is() {
    let world = World::new();
    assert_eq!(world.config(), world.config());
    assert_ne!(world.config(), World::new().config());
    let strict = TlsPem { min_version: wsbroker_core::TlsVersion::Tls13, ..world.pem() };
    assert_ne!(world.config(), TlsConfig::from_pem(&strict).unwrap());
    assert!(!format!("{:?} {:?}", world.pem(), world.config()).contains("PRIVATE"));
}

#[test]
fn listeners_that_share_an_address_agree_about_encryption() {
    let (broker, world) = (broker(), World::new());
    let on = |port: u16, path: &str, tls| {
        let mut config = ListenerConfig { paths: vec![path.into()], tls, ..loopback(world.config()) };
        config.bind = wsbroker_core::Bind::Tcp { host: "127.0.0.1".into(), port };
        broker.runtime().block_on(broker.listen(config))
    };
    let first = on(0, "/a", Some(world.config())).unwrap();
    assert_eq!(first.url(), format!("wss://127.0.0.1:{}", first.port()));
    let second = on(first.port(), "/b", Some(world.config())).unwrap();
    for other in [None, Some(World::new().config())] {
        let refused = on(first.port(), "/c", other);
        assert!(matches!(refused, Err(ListenError::Conflict { option: "tls", .. })), "{refused:?}");
    }
    let plain = on(0, "/a", None).unwrap();
    assert!(plain.url().starts_with("ws://"));
    assert!(matches!(on(plain.port(), "/b", Some(world.config())), Err(ListenError::Conflict { option: "tls", .. })));
    assert_eq!(plain.reload_tls(world.config()), Err(TlsError::Plain));
    drop((first, second));
}

/// The certificate that a client with this name gets; any is fine with it.
fn shown(port: u16, name: &'static str) -> Vec<u8> {
    use std::sync::Arc;

    use rustls::{
        ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme,
        client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        crypto::ring,
        pki_types::{CertificateDer, ServerName, UnixTime},
    };

    #[derive(Debug)]
    struct Anything;
    impl ServerCertVerifier for Anything {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }
        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }
        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }
        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            ring::default_provider().signature_verification_algorithms.supported_schemes()
        }
    }

    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(BOTH)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anything))
        .with_no_client_auth();
    let session = ClientConnection::new(Arc::new(config), name.try_into().unwrap()).unwrap();
    let mut stream = rustls::StreamOwned::new(session, crate::kit::tcp(port));
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).unwrap();
    }
    stream.conn.peer_certificates().unwrap()[0].to_vec()
}

#[test]
fn a_client_gets_the_certificate_with_the_name_it_asks_for() {
    let (broker, world) = (broker(), World::new());
    let issue = |names: &[&str]| world.authority.issue(names);
    let pairs = [
        issue(&["first.test"]),
        issue(&["second.test", "Third.Test"]),
        issue(&["*.wild.test", "wild.test"]),
        issue(&["special.wild.test"]),
        issue(&["second.test"]),
    ];
    let pem = TlsPem { pairs: pairs.iter().map(|pair| pair.bytes()).collect(), ..TlsPem::default() };
    let (_listener, port) = serve(&broker, loopback(TlsConfig::from_pem(&pem).unwrap()));
    for (name, index) in [
        ("first.test", 0),
        ("second.test", 1),
        ("third.test", 1),
        ("THIRD.TEST", 1),
        ("wild.test", 2),
        ("any.wild.test", 2),
        ("special.wild.test", 3),
        // A wildcard matches one label.
        ("one.two.wild.test", 0),
        ("unknown.test", 0),
        ("test", 0),
        // Addresses are no names: no name is asked for.
        ("127.0.0.1", 0),
    ] {
        assert_eq!(shown(port, name), pairs[index].der().to_vec(), "{name}");
    }
}

#[test]
fn a_certificate_without_names_serves_every_client() {
    let (broker, world) = (broker(), World::new());
    let pair = world.authority.issue(&[]);
    let pem = TlsPem { pairs: vec![pair.bytes()], ..TlsPem::default() };
    let (_listener, port) = serve(&broker, loopback(TlsConfig::from_pem(&pem).unwrap()));
    assert_eq!(shown(port, "localhost"), pair.der().to_vec());
}

/// Which certificates let a client in.
fn let_in(pem: &TlsPem, setups: &[(&str, &ClientSetup, bool)]) {
    let broker = broker();
    let (_keeper, requests) = asking(&broker);
    let (_listener, port) = serve(&broker, loopback(TlsConfig::from_pem(pem).unwrap()));
    for (what, setup, expected) in setups {
        for versions in [V12, V13] {
            let setup = ClientSetup { versions, ..(*setup).clone() };
            assert_eq!(setup.attempt(port).is_ok(), *expected, "{what}");
            let Some(request) = requests.lock().pop() else {
                assert!(!expected, "{what}: not asked");
                continue;
            };
            assert!(*expected && request.secure, "{what}");
            let shown = if pem.request_cert { setup.pair.as_ref().map(|pair| pair.der().to_vec()) } else { None };
            assert_eq!(request.client_certificate, shown, "{what}");
            assert_eq!(request.client_certificate_authorized, shown.is_some() && *what == "ours", "{what}");
        }
    }
}

#[test]
fn client_certificates_are_asked_for_and_verified_as_configured() {
    let world = World::new();
    let none = world.client();
    let by = |pair| ClientSetup { pair: Some(pair), ..none.clone() };
    let ours = by(world.authority.issue(&["client"]));
    let strange = by(Authority::new("somebody else").issue(&["client"]));
    let expired = by(world.authority.issue_with(&["client"], |params| {
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(2001, 1, 1);
    }));
    for request_cert in [false, true] {
        for reject_unauthorized in [false, true] {
            let ca = Some(world.authority.pem().into_bytes());
            let pem = TlsPem { ca, request_cert, reject_unauthorized, ..world.pem() };
            let open = !request_cert || !reject_unauthorized;
            let_in(
                &pem,
                &[
                    ("none", &none, open),
                    ("ours", &ours, true),
                    ("strange", &strange, open),
                    ("expired", &expired, open),
                ],
            );
        }
    }
}
