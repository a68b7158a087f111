//! A shard whose turns the test takes itself, with as much room in each as it says.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::{SendOutcome, SocketId, WorkerHandle, cork::Cork, event::EventKind, shard::budget::TurnBounds};

/// Takes events and begins none, until it is gone.
#[derive(Default)]
pub(super) struct IdleWorker {
    pub(super) batches: Mutex<Vec<Batch>>,
    pub(super) is_gone: AtomicBool,
}

impl Worker for IdleWorker {
    fn deliver(&self, batch: Batch) -> Result<(), DeliverError> {
        if self.is_gone.load(Ordering::SeqCst) {
            return Err(DeliverError::Gone(batch));
        }
        self.batches.lock().push(batch);
        Ok(())
    }
}

/// A shard without a thread.
pub(super) struct ManualShard {
    pub(super) broker: Broker,
    pub(super) shard: Shard,
    pub(super) scratch: TurnScratch,
    pub(super) cork: Cork,
}

impl ManualShard {
    pub(super) fn new(bounds: TurnBounds) -> Self {
        Self::with(Config::default(), bounds)
    }

    pub(super) fn with(config: Config, bounds: TurnBounds) -> Self {
        let (broker, mut polls) = Broker::without_shards(Config { io_threads: 1, ..config }).unwrap();
        let mut shard = Shard::new(Arc::clone(broker.state()), 0, polls.pop().unwrap());
        shard.ctx.turn.bounds = bounds;
        let cork = broker.cork();
        Self { broker, shard, scratch: TurnScratch::default(), cork }
    }

    pub(super) fn worker(&self) -> (Arc<IdleWorker>, WorkerHandle) {
        let events = Arc::<IdleWorker>::default();
        let worker = self.broker.add_worker(Arc::clone(&events) as Arc<dyn Worker>, Handlers::TEXT | Handlers::CLOSE);
        (events, worker)
    }

    /// Takes a turn that does not sleep.
    pub(super) fn turn(&mut self) {
        self.broker.state().shard(0).push(Command::Relieve);
        self.shard.turn(&mut self.scratch);
    }

    pub(super) fn has_work(&self) -> bool {
        self.broker.state().shard(0).commands() > 0
            || !self.shard.put_off.is_empty()
            || !self.shard.late.is_empty()
            || !self.shard.retiring.is_empty()
            || !self.shard.ctx.dirty.is_empty()
            || !self.shard.ctx.ready.is_empty()
    }

    /// Takes turns until everything that was asked is done.
    pub(super) fn finish(&mut self) {
        self.cork.flush();
        self.turn_until("all is done", |manual| !manual.has_work());
    }

    pub(super) fn turn_until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !holds(self) {
            assert!(start.elapsed() < Duration::from_secs(20), "waited in vain until {what}");
            self.turn();
        }
    }

    pub(super) fn connect(&mut self) -> Peer {
        self.connect_within(&SocketLimits::default())
    }

    pub(super) fn connect_within(&mut self, limits: &SocketLimits) -> Peer {
        let (socket, stream) = connect_to(self.broker.state(), limits, None, |_| {});
        self.finish();
        Peer { socket, stream, received: Vec::new() }
    }

    pub(super) fn publish(&mut self, channel: &[u8], text: &[u8]) -> usize {
        let staged = self.cork.stage_slice(MessageKind::Text, text);
        let count = self.cork.publish(channel, staged, &[]);
        self.cork.flush();
        count
    }

    pub(super) fn send(&mut self, to: SocketId, text: &[u8]) -> SendOutcome {
        let staged = self.cork.stage_slice(MessageKind::Text, text);
        let outcome = self.cork.send(to, staged);
        self.cork.flush();
        outcome
    }

    pub(super) fn flow(&self) -> crate::counters::Flow {
        self.broker.state().shard(0).counters.flow()
    }
}

/// A client, and its socket.
pub(super) struct Peer {
    pub(super) socket: Arc<Socket>,
    pub(super) stream: TcpStream,
    pub(super) received: Vec<u8>,
}

impl Peer {
    pub(super) fn id(&self) -> SocketId {
        self.socket.id()
    }

    /// Everything up to this text, or up to a close frame: what its frames say.
    pub(super) fn texts_until(&mut self, last: &str) -> Vec<String> {
        loop {
            let mut texts = Vec::new();
            let mut rest = self.received.get(b"101".len()..).unwrap_or_default();
            while let [first, length, behind @ ..] = rest
                && let Some((payload, behind)) = behind.split_at_checked(usize::from(*length))
            {
                texts.push(if *first == 0x88 { "close".into() } else { String::from_utf8_lossy(payload).into_owned() });
                if texts.last().is_some_and(|text| text == last || text == "close") {
                    return texts;
                }
                rest = behind;
            }
            let mut buffer = [0; 4096];
            let count = self.stream.read(&mut buffer).expect("more comes");
            assert!(count > 0, "ended after {texts:?}");
            self.received.extend_from_slice(&buffer[..count]);
        }
    }
}

/// What a worker was told of a socket: its texts, and `close`.
pub(super) fn told(events: &IdleWorker, id: SocketId) -> Vec<String> {
    let batches = events.batches.lock();
    let events = batches.iter().flat_map(|batch| batch.events.iter().map(|event| (event, &batch.data)));
    let of_it = events.filter(|(event, _)| event.socket.id() == id);
    let say = |kind: &EventKind, data: &Bytes| match kind {
        EventKind::Text(payload) => String::from_utf8_lossy(payload.of(data)).into_owned(),
        EventKind::Close { .. } => "close".into(),
        other => panic!("{other:?}"),
    };
    of_it.map(|(event, data)| say(&event.kind, data)).collect()
}
