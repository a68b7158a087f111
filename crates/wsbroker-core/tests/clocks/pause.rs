//! A client over its rate is not read. That it has gone is noticed all the same.

use std::{net::Shutdown, time::Duration};

use wsbroker_core::{CloseCause, Handlers, RateAction, RateLimit, SocketLimits};

use crate::{
    common::{Client, Got, Log, Seen, listen, logging, until},
    kit::broker,
};

fn limited(messages: u32) -> SocketLimits {
    let rate_limit = RateLimit { messages: Some(messages), burst: Some(5), action: RateAction::Pause, bytes: None };
    SocketLimits { rate_limit: Some(rate_limit), close_timeout: Duration::from_millis(500), ..SocketLimits::default() }
}

/// Each of them is paused some ten times in that time, and it begins with the first.
#[test]
fn a_client_that_ends_its_side_while_it_is_not_read_does_not_stay() {
    const CLIENTS: usize = 20;
    let broker = broker();
    let (_worker, log) = logging(&broker, Handlers::TEXT | Handlers::CLOSE);
    let (_listener, port) = listen(&broker, limited(20));
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| Client::connect(port)).collect();
    for client in &mut clients {
        (0..1000).for_each(|_| client.send(b"x"));
        client.stream.shutdown(Shutdown::Write).unwrap();
    }
    let closed = |log: &Log| log.lock().iter().filter(|(_, seen)| matches!(seen, Seen::Close(1006, _))).count();
    until("all are reported", || closed(&log) == CLIENTS);
    assert_eq!(broker.connection_count(), 0);
    assert_eq!(broker.stats().closes.of(CloseCause::Lost), CLIENTS as u64);
    assert!(clients.iter_mut().all(|client| client.next() == Got::End));
    assert!(log.lock().len() < CLIENTS * 200, "what would have taken longer was dropped");
}

/// What is within its rate is heard to the end.
#[test]
fn a_client_that_ends_its_side_is_heard_as_far_as_the_time_goes() {
    let broker = broker();
    let (_worker, log) = logging(&broker, Handlers::TEXT | Handlers::CLOSE);
    let (_listener, port) = listen(&broker, limited(1000));
    let mut client = Client::connect(port);
    (0..100).for_each(|_| client.send(b"x"));
    client.close(1000, "done");
    client.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.next(), Got::Close(Some(1000), String::new()));
    until("its end is reported", || log.lock().len() == 101);
    assert_eq!(log.lock()[100], (1, Seen::Close(1000, "done".into())));
}
