//! A shutdown is over at its timeout, and every worker that can be told is told of every end.

#![allow(clippy::unwrap_used)]

mod common;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use common::{Client, Queue, Seen, listen, logging, until};
use parking_lot::Mutex;
use wsbroker_core::{
    Backlog, Batch, Broker, CloseCode, Config, DeliverError, Handlers, ShutdownReport, SocketLimits, Worker,
    WorkerHandle,
};

fn broker() -> Broker {
    Broker::new(Config { io_threads: 1, ..Config::default() }).unwrap()
}

fn shut_down(broker: &Broker, timeout: Duration) -> ShutdownReport {
    broker.runtime().clone().block_on(broker.shutdown(CloseCode::GOING_AWAY, timeout))
}

/// A worker that hangs: it fetches nothing, and says so.
#[derive(Default)]
struct Hung {
    queue: Queue,
    handle: Mutex<Option<WorkerHandle>>,
}

impl Hung {
    fn join(broker: &Broker) -> Arc<Self> {
        let hung = Arc::<Self>::default();
        *hung.handle.lock() = Some(broker.add_worker(Arc::clone(&hung) as Arc<dyn Worker>, Handlers::ALL));
        hung
    }
}

impl Worker for Hung {
    fn deliver(&self, batch: Batch) -> Result<(), DeliverError> {
        self.queue.deliver(batch)
    }

    fn backlog(&self) -> Backlog {
        Backlog { waiting: self.queue.waiting(), fetches: Some(7) }
    }

    fn give_up(&self) {
        if let Some(handle) = self.handle.lock().take() {
            handle.remove(self.queue.end());
        }
    }
}

#[test]
fn a_shutdown_is_over_at_its_timeout_though_a_worker_hangs() {
    let broker = broker();
    let hung = Hung::join(&broker);
    let (_listener, port) = listen(&broker, SocketLimits::default());
    let _asking = Client::request(port);
    until("the worker is asked", || hung.queue.waiting() == 1);
    let (start, timeout) = (Instant::now(), Duration::from_secs(1));
    shut_down(&broker, timeout);
    assert!(start.elapsed() < timeout + Duration::from_millis(600), "{:?}", start.elapsed());
    assert!(hung.handle.lock().is_some(), "without another worker nobody is given up");
}

#[test]
fn the_ends_of_a_hung_worker_s_connections_are_told_by_another() {
    let broker = broker();
    let (_listener, port) = listen(&broker, SocketLimits::default());
    let quiet = Arc::<Queue>::default();
    let first = broker.add_worker(Arc::clone(&quiet) as Arc<dyn Worker>, Handlers::CLOSE);
    let clients: Vec<_> = (0..3).map(|_| Client::connect(port)).collect();
    until("they are there", || broker.connection_count() == 3);
    // Theirs was never asked, so the three move to the one that hangs.
    let hung = Hung::join(&broker);
    first.remove(quiet.end());
    until("they have moved", || broker.stats().workers.iter().map(|worker| worker.connections).sum::<usize>() == 3);
    let (_worker, log) = logging(&broker, Handlers::CLOSE);
    let (start, timeout) = (Instant::now(), Duration::from_secs(1));
    let report = shut_down(&broker, timeout);
    assert!(start.elapsed() < timeout + Duration::from_millis(600), "{:?}", start.elapsed());
    assert_eq!(report, ShutdownReport { closed: 0, terminated: 3 });
    let mut told = log.lock().clone();
    told.sort_unstable_by_key(|(id, _)| *id);
    assert_eq!(told, [1, 2, 3].map(|id| (id, Seen::Close(1006, String::new()))));
    assert_eq!(hung.queue.waiting(), 0);
    drop(clients);
}
