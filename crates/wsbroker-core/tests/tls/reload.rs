//! New certificates for a listener that is in use.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use wsbroker_core::{RejectCause, TlsConfig, TlsPem};

use crate::{
    common::{Got, until},
    kit::{TlsClient, World, broker, echo, loopback, rejected, serve},
};

fn answers(client: &mut TlsClient) {
    client.send(b"hi");
    assert_eq!(client.next(), Got::Text(b"hi".to_vec()));
}

fn certificate(client: &TlsClient) -> Vec<u8> {
    client.stream.conn.peer_certificates().unwrap()[0].to_vec()
}

#[test]
fn new_handshakes_get_the_new_certificate_and_connections_stay() {
    let (broker, world) = (broker(), World::new());
    let _worker = echo(&broker);
    let (listener, port) = serve(&broker, loopback(world.config()));
    let mut old = world.client().connect(port);
    assert_eq!(certificate(&old), world.pair.der().to_vec());

    let renewed = world.authority.issue(&["localhost"]);
    // What is bad is known before it is used.
    let mixed = vec![(renewed.bytes().0, world.pair.bytes().1)];
    TlsConfig::from_pem(&TlsPem { pairs: mixed, ..TlsPem::default() }).unwrap_err();
    assert_eq!(certificate(&world.client().connect(port)), world.pair.der().to_vec());

    let pem = TlsPem { pairs: vec![renewed.bytes()], ..TlsPem::default() };
    listener.reload_tls(TlsConfig::from_pem(&pem).unwrap()).unwrap();
    assert_eq!(certificate(&world.client().connect(port)), renewed.der().to_vec());
    answers(&mut old);
    // Also what clients need is new.
    let ca = Some(world.authority.pem().into_bytes());
    listener.reload_tls(TlsConfig::from_pem(&TlsPem { ca, request_cert: true, ..pem }).unwrap()).unwrap();
    world.client().attempt(port).unwrap_err();
    until("it is counted", || rejected(&broker, RejectCause::Tls) == 1);
    answers(&mut old);
}

#[test]
fn handshakes_that_run_meanwhile_all_end_well() {
    const RELOADS: usize = 100;
    let (broker, world) = (broker(), World::new());
    let _worker = echo(&broker);
    let (listener, port) = serve(&broker, loopback(world.config()));
    let pairs: Vec<_> = (0..4).map(|_| world.authority.issue(&["localhost"])).collect();
    let known: Vec<Vec<u8>> = pairs.iter().chain([&world.pair]).map(|pair| pair.der().to_vec()).collect();
    let (done, handshakes) = (AtomicBool::new(false), AtomicUsize::new(0));
    let setup = world.client();
    let kept: Vec<TlsClient> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut kept = Vec::new();
                    while !done.load(Ordering::Relaxed) {
                        let client = setup.connect(port);
                        assert!(known.contains(&certificate(&client)));
                        if handshakes.fetch_add(1, Ordering::Relaxed) % 10 == 0 {
                            kept.push(client);
                        }
                    }
                    kept
                })
            })
            .collect();
        for round in 0..RELOADS {
            let pem = TlsPem { pairs: vec![pairs[round % pairs.len()].bytes()], ..TlsPem::default() };
            listener.reload_tls(TlsConfig::from_pem(&pem).unwrap()).unwrap();
            let before = handshakes.load(Ordering::Relaxed);
            until("some have been led in", || handshakes.load(Ordering::Relaxed) > before + 2);
        }
        done.store(true, Ordering::Relaxed);
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(rejected(&broker, RejectCause::Tls), 0);
    assert!(kept.len() >= RELOADS / 5, "{}", kept.len());
    until("the others have left", || broker.connection_count() == kept.len());
    assert_eq!(certificate(&setup.connect(port)), pairs[(RELOADS - 1) % pairs.len()].der().to_vec());
    for mut client in kept {
        answers(&mut client);
    }
}
