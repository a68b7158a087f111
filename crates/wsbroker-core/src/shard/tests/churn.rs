//! Workers, sockets and questions that come and go in any order, while a shard has little room in
//! its turns.

use std::{collections::BTreeMap, sync::atomic::Ordering};

use futures_util::FutureExt;
use proptest::prelude::*;

use super::{
    manual_shard::{IdleWorker, ManualShard},
    *,
};
use crate::{
    SocketId, WorkerHandle,
    broker::stuck_watch,
    event::EventKind,
    front::{Reservation, Verdict},
    open::{Accept, OpenRequest, Reject},
    shard::budget::TurnBounds,
    stream::Stream,
};

/// What happens. Numbers are taken modulo of what there is.
#[derive(Clone, Debug)]
enum Step {
    /// A worker comes; with or without a handler for questions.
    Join(bool),
    /// A worker ends, before it has begun anything that waits for it.
    End(usize),
    /// A worker begins all that waits for it, and answers questions: yes, no, or not at all.
    Begin(usize, u8),
    /// A worker gives its questions back.
    Stuck(usize),
    /// Others take a worker's place.
    Supersede(usize),
    Connect,
    Ask,
    /// What the front does next: gives up, or waits for the verdict.
    Front(usize, bool),
    Say(usize),
    Subscribe(usize),
    Leave(usize),
    Terminate(usize),
    Publish,
    TurnBudget,
}

fn step() -> impl Strategy<Value = Step> {
    let number = 0_usize..16;
    prop_oneof![
        2 => any::<bool>().prop_map(Step::Join),
        2 => number.clone().prop_map(Step::End),
        3 => (number.clone(), 0..3_u8).prop_map(|(which, how)| Step::Begin(which, how)),
        1 => number.clone().prop_map(Step::Stuck),
        2 => number.clone().prop_map(Step::Supersede),
        3 => Just(Step::Connect),
        3 => Just(Step::Ask),
        3 => (number.clone(), any::<bool>()).prop_map(|(which, gives_up)| Step::Front(which, gives_up)),
        5 => number.clone().prop_map(Step::Say),
        2 => number.clone().prop_map(Step::Subscribe),
        2 => number.clone().prop_map(Step::Leave),
        1 => number.prop_map(Step::Terminate),
        1 => Just(Step::Publish),
        9 => Just(Step::TurnBudget),
    ]
}

struct Client {
    socket: Arc<Socket>,
    stream: TcpStream,
    said: usize,
}

#[derive(Default)]
struct World {
    workers: Vec<(Arc<IdleWorker>, WorkerHandle)>,
    asked: Vec<Reservation>,
    clients: Vec<Client>,
    /// What handlers were told, by socket.
    told: BTreeMap<SocketId, Vec<String>>,
    accepted: Vec<SocketId>,
    said: BTreeMap<SocketId, usize>,
}

fn pick<T>(all: &[T], number: usize) -> Option<usize> {
    (!all.is_empty()).then(|| number % all.len())
}

impl World {
    fn begin(&mut self, manual: &mut ManualShard, which: usize, how: u8) {
        let (events, handle) = &self.workers[which];
        let mut batches = std::mem::take(&mut *events.batches.lock());
        for Batch { events, data, .. } in &mut batches {
            for event in events {
                let id = event.socket.id();
                let what = match std::mem::replace(&mut event.kind, EventKind::Drain) {
                    EventKind::Open(open) => {
                        match how {
                            0 => {
                                // An acceptance that comes too late has its end, too.
                                let _ = open.reply.accept(Accept::default());
                                self.accepted.push(id);
                            }
                            1 => _ = open.reply.reject(Reject { status: 403, headers: Vec::new(), body: Bytes::new() }),
                            _ => drop(open),
                        }
                        "open".to_owned()
                    }
                    EventKind::Text(payload) => {
                        let text = String::from_utf8_lossy(payload.of(data)).into_owned();
                        event.kind = EventKind::Text(payload);
                        text
                    }
                    EventKind::Close { .. } => "close".to_owned(),
                    other => panic!("{other:?}"),
                };
                self.told.entry(id).or_default().push(what);
            }
        }
        handle.settle(batches.iter().flat_map(|batch| &batch.events), Some(&mut manual.cork));
    }

    fn end(&mut self, which: usize) {
        let (events, handle) = self.workers.swap_remove(which);
        let mut batches = events.batches.lock();
        events.is_gone.store(true, Ordering::SeqCst);
        let left = std::mem::take(&mut *batches);
        drop(batches);
        handle.remove(left);
    }

    fn front(&mut self, manual: &mut ManualShard, which: usize, gives_up: bool) {
        let mut reservation = self.asked.swap_remove(which);
        if gives_up {
            return drop(reservation);
        }
        let runtime = manual.broker.runtime().clone();
        match runtime.block_on(async { reservation.verdict(Duration::ZERO).await }) {
            Verdict::Accept(accept) => {
                reservation.apply(&accept);
                let (stream, client) = pair();
                let permit = manual.broker.state().front.permit().unwrap();
                let socket = Arc::clone(reservation.socket());
                reservation.attach(Stream::tcp(stream), b"101".to_vec(), Vec::new(), permit);
                self.clients.push(Client { socket, stream: client, said: 0 });
            }
            _ => drop(reservation),
        }
    }

    fn take(&mut self, manual: &mut ManualShard, endpoint: &Arc<Endpoint>, step: &Step) {
        match *step {
            Step::Join(asks) => {
                let events = Arc::<IdleWorker>::default();
                let mut handlers = Handlers::TEXT | Handlers::CLOSE;
                if asks {
                    handlers = handlers | Handlers::OPEN;
                }
                let handle = manual.broker.add_worker(Arc::clone(&events) as Arc<dyn Worker>, handlers);
                self.workers.push((events, handle));
            }
            Step::End(number) => {
                if let Some(which) = pick(&self.workers, number) {
                    self.end(which);
                }
            }
            Step::Begin(number, how) => {
                if let Some(which) = pick(&self.workers, number) {
                    self.begin(manual, which, how);
                }
            }
            Step::Stuck(number) => {
                if let Some(which) = pick(&self.workers, number) {
                    let entry = manual.broker.state().dispatch.find(self.workers[which].1.id()).unwrap();
                    entry.set_stuck(Some(std::time::Duration::ZERO));
                    stuck_watch::ask_others(manual.broker.state(), &entry);
                    entry.set_stuck(None);
                }
            }
            Step::Supersede(number) => {
                if let Some(which) = pick(&self.workers, number) {
                    self.workers[which].1.supersede();
                }
            }
            Step::Connect => {
                let (stream, client) = pair();
                let (socket, worker) = manual.broker.state().admit(endpoint).unwrap();
                let (key, permit) = (ConnectionKey::of(&socket), manual.broker.state().front.permit().unwrap());
                let reserve = Reserve {
                    socket: Arc::clone(&socket),
                    endpoint: Arc::clone(endpoint),
                    worker,
                    open: None,
                    deflate: None,
                    joins: false,
                };
                let attach = Attach { stream: Stream::tcp(stream), head: b"101".to_vec(), rest: Vec::new(), permit };
                manual.broker.state().shard(0).push(Command::Reserve(Box::new(reserve)));
                manual.broker.state().shard(0).push(Command::Attach(key, Box::new(attach)));
                self.clients.push(Client { socket, stream: client, said: 0 });
            }
            Step::Ask => {
                let asking = manual.broker.state().front.ask().unwrap();
                self.asked.extend(Reservation::new(
                    manual.broker.state(),
                    endpoint,
                    OpenRequest::default,
                    None,
                    asking,
                ));
            }
            Step::Front(number, gives_up) => {
                if let Some(which) = pick(&self.asked, number) {
                    self.front(manual, which, gives_up);
                }
            }
            Step::Say(number) => {
                if let Some(which) = pick(&self.clients, number) {
                    let client = &mut self.clients[which];
                    let mut frame = Vec::new();
                    client::write_frame(
                        &mut frame,
                        true,
                        Opcode::Text,
                        client.said.to_string().as_bytes(),
                        [1, 2, 3, 4],
                    );
                    if client.stream.write_all(&frame).is_ok() {
                        client.said += 1;
                    }
                }
            }
            Step::Subscribe(number) => {
                if let Some(which) = pick(&self.clients, number) {
                    let names: Vec<String> = (0..20).map(|number| format!("channel {number}")).collect();
                    manual.broker.subscribe_many(&mut manual.cork, self.clients[which].socket.id(), &names).unwrap();
                }
            }
            Step::Leave(number) => {
                if let Some(which) = pick(&self.clients, number) {
                    let client = self.clients.swap_remove(which);
                    self.said.insert(client.socket.id(), client.said);
                }
            }
            Step::Terminate(number) => {
                if let Some(which) = pick(&self.clients, number) {
                    manual.cork.terminate(self.clients[which].socket.id());
                    manual.cork.flush();
                }
            }
            Step::Publish => _ = manual.publish(b"channel 3", b"news"),
            Step::TurnBudget => manual.turn(),
        }
    }
}

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (stream, _) = listener.accept().unwrap();
    stream.set_nonblocking(true).unwrap();
    (stream, client)
}

fn run(steps: &[Step], bounds: TurnBounds) {
    let mut manual = ManualShard::new(bounds);
    let endpoint = Arc::new(Endpoint::new(1, SocketLimits::default(), None));
    let mut world = World::default();
    for step in steps {
        world.take(&mut manual, &endpoint, step);
    }
    world.take(&mut manual, &endpoint, &Step::Join(true));
    for client in world.clients.drain(..) {
        world.said.insert(client.socket.id(), client.said);
    }
    while let Some(reservation) = world.asked.pop() {
        drop(reservation);
    }
    let start = Instant::now();
    loop {
        manual.finish();
        for which in 0..world.workers.len() {
            world.begin(&mut manual, which, 0);
        }
        manual.finish();
        let dispatch = &manual.broker.state().dispatch;
        let counted: Vec<usize> = dispatch.workers().iter().map(|worker| worker.connections()).collect();
        let is_over = endpoint.emptied().now_or_never().is_some()
            && world.workers.iter().all(|(events, handle)| events.batches.lock().is_empty() && handle.is_at_rest())
            && counted.iter().all(|count| *count == 0)
            && manual.shard.connections.all().next().is_none();
        if is_over {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(10), "something stays; workers count {counted:?} connections");
    }
    assert_eq!(manual.broker.state().sockets.open(), 0);
    assert!(manual.shard.lists.is_empty());
    assert_eq!(manual.broker.channel_count(), 0);
    assert!(manual.shard.retiring.is_empty() && manual.shard.ctx.unassigned.is_empty());
    assert_eq!(manual.shard.ctx.outbox_bytes, 0);
    for (id, told) in &world.told {
        let texts: Vec<_> = told.iter().filter(|what| !matches!(what.as_str(), "open" | "close")).collect();
        assert!(texts.iter().enumerate().all(|(number, text)| **text == number.to_string()), "{id}: {told:?}");
        let opens = told.iter().filter(|what| *what == "open").count();
        assert!(opens <= 1 && told.iter().skip(1).all(|what| what != "open"), "{id}: {told:?}");
        let closes = told.iter().filter(|what| *what == "close").count();
        assert!(closes <= 1 && told.iter().rev().skip(1).all(|what| what != "close"), "{id}: {told:?}");
    }
    for id in world.said.keys().chain(&world.accepted) {
        let told = world.told.get(id).map(Vec::as_slice).unwrap_or_default();
        assert_eq!(told.last().map(String::as_str), Some("close"), "{id}: {told:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_time: 20_000, ..ProptestConfig::with_cases(200) })]
    #[test]
    fn nothing_is_lost_told_twice_or_left_behind(steps in prop::collection::vec(step(), 0..120)) {
        run(&steps, TurnBounds { steps: 20, at_once: 1, writes: 2, leaves: 8 });
    }
}
