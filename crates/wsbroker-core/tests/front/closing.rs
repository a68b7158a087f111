//! The end of listeners and of brokers.

use std::{
    io::{ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
};

use wsbroker_core::{Accept, CloseCode, LateVerdict};

use crate::kit::*;

#[test]
fn closing_a_listener_ends_what_is_its_own_and_nothing_else() {
    let broker = broker();
    let (keeper, opens) = pondering(&broker);
    let first = serve(&broker, on(0, &["/first"]));
    let port = first.port();
    let _second = serve(&broker, on(port, &["/second"]));
    let begin = |path| {
        let mut stream = connect(port);
        stream.write_all(handshake(path, &[]).as_bytes()).unwrap();
        let (id, open) = opens.recv_timeout(DEADLINE).unwrap();
        (stream, id, open)
    };
    let (mut own, own_id, open) = begin("/first");
    open.reply.accept(Accept::default()).unwrap();
    assert_eq!(answer(&mut own).status, 101);
    let (mut other, other_id, open) = begin("/second");
    open.reply.accept(Accept::default()).unwrap();
    assert_eq!(answer(&mut other).status, 101);
    let (mut pending, pending_id, late) = begin("/first");

    std::thread::scope(|scope| {
        let closing = scope.spawn(|| close(&broker, &first));
        assert_eq!(answer(&mut pending).status, 503);
        assert_eq!(status(port, "/first"), 503, "no upgrade is admitted any more");
        expect_close(&mut own, 1001);
        // Closing does not wait for a handler that may never answer.
        closing.join().unwrap();
    });
    assert_eq!(late.reply.accept(Accept::default()), Err(LateVerdict.into()));
    close(&broker, &first);
    assert!(broker.is_open(other_id) && !broker.is_open(own_id));
    until("both ends are reported", || keeper.told().len() == 2);
    let told = keeper.told.lock().clone();
    assert!(told.contains(&(own_id, Told::Close(1001))) && told.contains(&(pending_id, Told::Close(1006))), "{told:?}");
    other.write_all(&frame(b"still here")).unwrap();
    until("the other goes on", || keeper.told().contains(&Told::Text(b"still here".to_vec())));
}

#[test]
fn a_listener_that_closes_among_many_upgrades_leaves_none_behind() {
    let broker = broker();
    let keeper = Keeper::open(&broker);
    for round in 0..20 {
        let listener = serve(&broker, loopback());
        let port = listener.port();
        std::thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(move || {
                    // The address may be released at any moment.
                    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return };
                    stream.set_read_timeout(Some(DEADLINE)).unwrap();
                    if stream.write_all(handshake("/", &[]).as_bytes()).is_ok() {
                        read_all(&mut stream);
                    }
                });
            }
            until("some are in", || broker.connection_count() >= round);
            close(&broker, &listener);
        });
        assert_eq!(broker.connection_count(), 0);
    }
    until("every connection that was let in, also too late, has an end", || {
        keeper.told().len() == keeper.requests.lock().len()
    });
    assert!(keeper.told().iter().all(|told| matches!(told, Told::Close(1001 | 1006))));
}

#[test]
fn after_a_shutdown_nothing_is_taken_any_more() {
    let broker = broker();
    let _keeper = Keeper::open(&broker);
    let listener = serve(&broker, loopback());
    let never_served = reserve(&broker, loopback()).unwrap();
    let (port, other) = (listener.port(), never_served.port());
    let mut stream = connect(port);
    stream.write_all(handshake("/", &[]).as_bytes()).unwrap();
    assert_eq!(answer(&mut stream).status, 101);
    let mut silent = connect(port);
    let runtime = broker.runtime().clone();
    let closing = std::thread::spawn({
        let broker = broker.clone();
        move || runtime.block_on(broker.shutdown(CloseCode::RESTART, DEADLINE))
    });
    expect_close(&mut stream, 1012);
    let report = closing.join().unwrap();
    assert_eq!((report.closed, report.terminated), (1, 0));
    let mut rest = Vec::new();
    let _ = silent.read_to_end(&mut rest);
    for port in [port, other] {
        assert_eq!(TcpStream::connect(("127.0.0.1", port)).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        TcpListener::bind(("127.0.0.1", port)).unwrap();
    }
    listener.serve();
    drop((listener, never_served));
}
