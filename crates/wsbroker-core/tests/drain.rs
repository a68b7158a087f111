//! A drain: readiness goes, nothing is let in, connections are closed one by one, the rest is cut.

#![allow(clippy::unwrap_used)]

mod common;

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use common::{Client, DEADLINE, Got, Seen, listen, listen_with, logging, until};
use parking_lot::Mutex;
use wsbroker_core::{
    Bind, Broker, CloseCode, Config, DrainConfig, DrainObserver, DrainProgress, DrainReport, FixedAnswer, Handlers,
    HttpConfig, ListenError, ListenerConfig, MessageKind, SocketLimits,
};

const HOUR: Duration = Duration::from_secs(3600);

fn broker(io_threads: usize) -> Broker {
    Broker::new(Config { io_threads, ..Config::default() }).unwrap()
}

/// What an observer was told.
struct Observer {
    progress: Mutex<Vec<DrainProgress>>,
    ended: Mutex<mpsc::Sender<DrainReport>>,
}

impl DrainObserver for Observer {
    fn progress(&self, progress: DrainProgress) {
        self.progress.lock().push(progress);
    }

    fn ended(&self, report: DrainReport) {
        self.ended.lock().send(report).unwrap();
    }
}

struct Drain {
    observer: Arc<Observer>,
    ended: mpsc::Receiver<DrainReport>,
}

impl Drain {
    fn begin(broker: &Broker, config: DrainConfig) -> Self {
        let (sender, ended) = mpsc::channel();
        let observer = Arc::new(Observer { progress: Mutex::default(), ended: Mutex::new(sender) });
        broker.drain(config, Arc::clone(&observer) as Arc<dyn DrainObserver>);
        Self { observer, ended }
    }

    fn report(&self) -> (usize, usize) {
        let DrainReport { closed, cut } = self.ended.recv_timeout(DEADLINE).unwrap();
        assert!(self.ended.recv_timeout(Duration::ZERO).is_err(), "told once");
        (closed, cut)
    }

    fn is_closing(&self) -> bool {
        !self.observer.progress.lock().is_empty()
    }
}

/// Reads to the close frame, answers it, and returns the texts before it, the code and the reason.
fn leave(client: &mut Client) -> (Vec<String>, u16, String) {
    let mut texts = Vec::new();
    loop {
        match client.next() {
            Got::Text(text) => texts.push(String::from_utf8(text).unwrap()),
            Got::Close(Some(code), reason) => {
                client.close(code, "");
                assert_eq!(client.next(), Got::End);
                return (texts, code, reason);
            }
            other => panic!("{other:?}"),
        }
    }
}

fn get(port: u16, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer.rsplit("\r\n").next().unwrap().trim().to_owned())
}

fn probes(config: &mut ListenerConfig) {
    let answers = [("/health", FixedAnswer::Health), ("/ready", FixedAnswer::Ready)];
    let answers = answers.map(|(path, answer)| (path.to_owned(), answer)).into();
    config.http = Some(HttpConfig { answers, ..HttpConfig::default() });
    config.paths = vec!["/".into()];
}

#[test]
fn every_connection_is_noticed_and_closed_in_its_turn_and_reported() {
    let broker = broker(2);
    let (_worker, log) = logging(&broker, Handlers::ALL);
    let (_listener, port) = listen(&broker, SocketLimits::default());
    let clients: Vec<_> = (0..40).map(|_| Client::connect(port)).collect();
    let notice = Some((MessageKind::Text, "leaving".into()));
    let over = Duration::from_millis(800);
    let drain = Drain::begin(&broker, DrainConfig { over, notice, ..DrainConfig::default() });
    let order = Arc::new(Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for (index, mut client) in clients.into_iter().enumerate() {
            let order = Arc::clone(&order);
            scope.spawn(move || {
                let (texts, code, reason) = leave(&mut client);
                assert_eq!((texts, code, &*reason), (vec!["leaving".to_owned()], 1012, "retry-after=1"));
                order.lock().push(index);
            });
        }
    });
    assert_eq!(drain.report(), (40, 0));
    let ends = log.lock().iter().filter(|(_, seen)| matches!(seen, Seen::Close(1012, _))).count();
    assert_eq!(ends, 40, "every handler was told before the drain was over");
    let progress = drain.observer.progress.lock();
    assert_eq!(progress.first().map(|first| (first.open, first.cut)), Some((40, 0)));
    assert_eq!(progress.last(), Some(&DrainProgress { open: 0, closed: 40, cut: 0 }));
    assert!(progress.len() > 3, "closed in more than one go: {progress:?}");
    assert!(progress.is_sorted_by_key(|at| at.closed) && progress.iter().all(|at| at.open + at.closed <= 40));
}

#[test]
fn readiness_goes_at_once_and_after_the_delay_only_answers_are_given() {
    let broker = broker(1);
    let (_worker, _log) = logging(&broker, Handlers::ALL);
    let (_probed, port) = listen_with(&broker, probes);
    let (bare, other) = listen(&broker, SocketLimits::default());
    assert_eq!(get(port, "/ready").0, 200);
    let first = Drain::begin(&broker, DrainConfig { delay: HOUR, deadline: HOUR * 3, ..DrainConfig::default() });
    assert_eq!(get(port, "/ready"), (503, r#"{"ready":false,"reasons":["draining"]}"#.into()));
    broker.set_ready(true);
    assert_eq!((get(port, "/ready").0, get(port, "/health").0), (503, 200));
    let (mut one, two) = (Client::connect(port), Client::connect(other));
    // Shorter: the delay is over.
    let second = Drain::begin(&broker, DrainConfig { over: HOUR, deadline: HOUR * 2, ..DrainConfig::default() });
    until("connections are closed", || first.is_closing() && second.is_closing());
    drop(Client::request(port).expect("HTTP/1.1 503"));
    assert_eq!((get(port, "/health"), get(port, "/ready").0), ((200, "ok".into()), 503));
    until("an address without answers is free again", || TcpListener::bind(("127.0.0.1", other)).is_ok());
    one.send(b"still here");
    assert_eq!(broker.connection_count(), 2);
    let refused =
        broker.runtime().block_on(broker.listen(ListenerConfig::new(Bind::Tcp { host: "127.0.0.1".into(), port: 0 })));
    assert!(matches!(refused, Err(ListenError::Draining)), "{refused:?}");
    // Shorter again: both are over, with the same report.
    let third = Drain::begin(&broker, DrainConfig { over: Duration::ZERO, ..DrainConfig::default() });
    assert_eq!(leave(&mut one), (Vec::new(), 1012, "retry-after=1".into()));
    drop(two);
    let reports = [first.report(), second.report(), third.report()];
    assert_eq!(reports, [(2, 0); 3]);
    assert_eq!(get(port, "/health").0, 200, "to the end");
    let late = Drain::begin(&broker, DrainConfig::default());
    assert_eq!(late.report(), (2, 0));
    drop(bare);
}

#[test]
fn a_later_call_never_makes_a_drain_longer() {
    let broker = broker(1);
    let (_worker, _log) = logging(&broker, Handlers::ALL);
    let (_listener, port) = listen(&broker, SocketLimits::default());
    let mut client = Client::connect(port);
    let short = DrainConfig { over: Duration::ZERO, code: CloseCode::new(4001).unwrap(), ..DrainConfig::default() };
    let first = Drain::begin(&broker, short);
    let second =
        Drain::begin(&broker, DrainConfig { delay: HOUR, over: HOUR, deadline: HOUR, ..DrainConfig::default() });
    assert_eq!(leave(&mut client), (Vec::new(), 4001, "retry-after=1".into()));
    assert_eq!((first.report(), second.report()), ((1, 0), (1, 0)));
}

#[test]
fn what_is_open_at_the_deadline_is_cut_and_what_does_not_answer_too() {
    let broker = broker(1);
    let (_worker, log) = logging(&broker, Handlers::ALL);
    let (_listener, port) = listen(&broker, SocketLimits { close_timeout: HOUR, ..SocketLimits::default() });
    let (hasty, patient) =
        listen(&broker, SocketLimits { close_timeout: Duration::from_millis(50), ..SocketLimits::default() });
    let mut clients = [Client::connect(port), Client::connect(port), Client::connect(patient)];
    let retry_after = Duration::from_millis(29_001);
    let config = DrainConfig {
        over: Duration::ZERO,
        deadline: Duration::from_millis(900),
        retry_after,
        ..DrainConfig::default()
    };
    let drain = Drain::begin(&broker, config);
    assert_eq!(leave(&mut clients[0]), (Vec::new(), 1012, "retry-after=30".into()));
    for client in &mut clients[1..] {
        assert!(matches!(client.next(), Got::Close(Some(1012), _)));
        assert_eq!(client.next(), Got::End, "it does not answer");
    }
    assert_eq!(drain.report(), (1, 2));
    assert_eq!(log.lock().len(), 3);
    drop(hasty);
}

#[test]
fn a_connection_whose_verdict_is_awaited_is_refused() {
    let broker = broker(1);
    // Its worker never answers.
    let queue = Arc::new(common::Queue::default());
    let _worker = broker.add_worker(Arc::clone(&queue) as Arc<dyn wsbroker_core::Worker>, Handlers::ALL);
    let (_listener, port) = listen(&broker, SocketLimits::default());
    let client = Client::request(port);
    until("the worker is asked", || queue.waiting() > 0);
    // The question stays, and with it the drain.
    let deadline = Duration::from_millis(300);
    let drain = Drain::begin(&broker, DrainConfig { over: Duration::ZERO, deadline, ..DrainConfig::default() });
    drop(client.expect("HTTP/1.1 503"));
    drop(queue.end());
    assert_eq!(drain.report(), (0, 0));
}

#[test]
fn a_shutdown_ends_a_drain() {
    for delay in [HOUR, Duration::ZERO] {
        let broker = broker(1);
        let (_worker, _log) = logging(&broker, Handlers::ALL);
        let (_listener, port) = listen(&broker, SocketLimits::default());
        let (mut leaves, _stays) = (Client::connect(port), Client::connect(port));
        let drain =
            Drain::begin(&broker, DrainConfig { delay, over: HOUR, deadline: HOUR * 2, ..DrainConfig::default() });
        until("it has begun", || drain.is_closing() || !delay.is_zero());
        let ending = broker.clone();
        let shutdown = thread::spawn(move || {
            let runtime = ending.runtime().clone();
            runtime.block_on(ending.shutdown(CloseCode::GOING_AWAY, Duration::from_millis(600)))
        });
        assert_eq!(leave(&mut leaves).1, 1001);
        let report = shutdown.join().unwrap();
        assert_eq!((report.closed, report.terminated), (1, 1));
        assert_eq!(drain.report(), (1, 1));
    }
}

#[test]
fn a_drain_without_connections_is_over_with_its_delay() {
    let broker = broker(2);
    let (_listener, _) = listen(&broker, SocketLimits::default());
    let drain = Drain::begin(&broker, DrainConfig { over: HOUR, deadline: HOUR * 2, ..DrainConfig::default() });
    assert_eq!(drain.report(), (0, 0));
}
