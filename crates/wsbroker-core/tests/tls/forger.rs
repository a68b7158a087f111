//! A client that has the keys of its connection and writes what it likes.

use std::{io::Write, net::TcpStream, sync::Arc};

use rustls::{
    ConnectionTrafficSecrets, ContentType, ProtocolVersion, StreamOwned, SupportedCipherSuite,
    crypto::{
        CryptoProvider,
        cipher::{MessageEncrypter, OutboundPlainMessage},
        ring::{self, cipher_suite::TLS13_CHACHA20_POLY1305_SHA256},
    },
};

use crate::kit::{ClientSetup, V13, World, tcp, upgrade};

pub(crate) struct Forger {
    socket: TcpStream,
    encrypter: Box<dyn MessageEncrypter>,
    sequence: u64,
}

impl Forger {
    /// Through TLS handshake and upgrade, honestly.
    pub(crate) fn connect(world: &World, port: u16) -> Self {
        let setup = ClientSetup { versions: V13, ..world.client() };
        let provider =
            CryptoProvider { cipher_suites: vec![TLS13_CHACHA20_POLY1305_SHA256], ..ring::default_provider() };
        let mut config = setup.config_with(Arc::new(provider));
        config.enable_secret_extraction = true;
        let session = rustls::ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
        let StreamOwned { conn, sock } = upgrade(StreamOwned::new(session, tcp(port))).stream;
        let (sequence, secrets) = conn.dangerous_extract_secrets().unwrap().tx;
        let ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } = secrets else { panic!("another cipher") };
        let SupportedCipherSuite::Tls13(suite) = TLS13_CHACHA20_POLY1305_SHA256 else { panic!("another version") };
        Self { socket: sock, encrypter: suite.aead_alg.encrypter(key, iv), sequence }
    }

    /// Sends a record with this content.
    pub(crate) fn send(&mut self, kind: u8, payload: &[u8]) {
        let record = self.seal(kind, payload);
        self.socket.write_all(&record).unwrap();
    }

    /// Sends several in one write.
    pub(crate) fn send_all(&mut self, records: &[(u8, &[u8])]) {
        let bytes: Vec<u8> = records.iter().flat_map(|(kind, payload)| self.seal(*kind, payload)).collect();
        self.socket.write_all(&bytes).unwrap();
    }

    /// As [`send`](Self::send), to a peer that may have gone.
    pub(crate) fn try_send(&mut self, kind: u8, payload: &[u8]) {
        let record = self.seal(kind, payload);
        let _ = self.socket.write_all(&record);
    }

    fn seal(&mut self, kind: u8, payload: &[u8]) -> Vec<u8> {
        let message = OutboundPlainMessage {
            typ: ContentType::from(kind),
            version: ProtocolVersion::TLSv1_2,
            payload: payload.into(),
        };
        let record = self.encrypter.encrypt(message, self.sequence).unwrap().encode();
        self.sequence += 1;
        record
    }
}
