//! Clients that subscribe to a channel whose messages a bus numbers: what is here serves them, and
//! the bus is asked only for what is not.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use parking_lot::Mutex;
use wsbroker_core::{
    Accept, Broker, Bus, BusAsked, BusFailure, BusHistory, BusMessage, BusStats, ClientSubscription, CloseCode,
    ClusterCount, Compress, Config, Cork, FollowHold, Handlers, HistoryBus, HistoryEpoch, HistoryPosition, KeptMessage,
    Listener, MessageForm, MessageKind, NotSubscribed, ReceiptSender, Since, SocketId, SocketLimits, WeakBroker,
};

use crate::{
    common::{Client, Got, TestWorker, listen, until},
    kit::{rule, split},
};

const CHANNEL: &[u8] = b"h:a";

/// Keeps the messages of one channel, and counts how often it is asked.
#[derive(Debug)]
struct KeepingBus {
    broker: WeakBroker,
    epoch: HistoryEpoch,
    head: Mutex<u64>,
    refreshes: AtomicUsize,
    lost: AtomicBool,
}

fn message(offset: u64) -> KeptMessage {
    KeptMessage {
        kind: MessageKind::Text,
        compress: Compress::Never,
        payload: Bytes::from(format!("message {offset}")),
        exclude: Box::default(),
        age: 0,
    }
}

impl KeepingBus {
    fn at(&self, offset: u64) -> HistoryPosition {
        HistoryPosition { offset, epoch: self.epoch }
    }

    /// Numbers a message, which arrives.
    fn publish(&self) {
        let mut head = self.head.lock();
        *head += 1;
        let followed = self.broker.followed(CHANNEL).unwrap();
        assert!(followed.arrived(self.at(*head), message(*head)), "it follows");
    }

    fn read_all(&self) -> BusHistory {
        let head = *self.head.lock();
        let messages = (1..=head).map(message).collect();
        BusHistory { position: self.at(head), first: 1, messages, whole: true }
    }
}

impl HistoryBus for KeepingBus {
    fn publish(&self, _message: BusMessage<'_>, _receipt: Option<ReceiptSender>) {}

    fn close_channel(&self, _channel: &[u8], _code: CloseCode, _reason: &str, _everywhere: bool) -> bool {
        true
    }

    fn head<'a>(&'a self, _channel: &'a [u8]) -> BoxFuture<'a, Result<HistoryPosition, BusFailure>> {
        async { Ok(self.at(*self.head.lock())) }.boxed()
    }

    fn refresh<'a>(&'a self, channel: &'a [u8], _whole: bool) -> BoxFuture<'a, Result<FollowHold, BusFailure>> {
        self.refreshes.fetch_add(1, Ordering::SeqCst);
        async move {
            if self.lost.load(Ordering::SeqCst) {
                return Err(BusFailure { reason: "lost".into(), unknown: false });
            }
            let followed = self.broker.followed(channel).unwrap();
            let changes = followed.state().changes;
            assert!(followed.merge(changes, self.read_all()));
            Ok(FollowHold::new(|| {}))
        }
        .boxed()
    }

    fn read<'a>(&'a self, _channel: &'a [u8]) -> BoxFuture<'a, Result<BusHistory, BusFailure>> {
        async { Ok(self.read_all()) }.boxed()
    }

    fn delete<'a>(&'a self, _channel: &'a [u8], _before: Option<u64>) -> BoxFuture<'a, Result<(), BusFailure>> {
        async { Ok(()) }.boxed()
    }
}

impl Bus for KeepingBus {
    fn subscribers_changed(&self, _channel: &[u8]) {}

    fn listening<'a>(&'a self, _channel: &'a [u8]) -> BoxFuture<'a, bool> {
        async { true }.boxed()
    }

    fn publish(&self, _channel: &[u8], _form: MessageForm, _payload: &[u8]) {}

    fn close_channel(&self, _channel: &[u8], _code: CloseCode, _reason: &str) {}

    fn send(&self) {}

    fn count<'a>(&'a self, _channel: &'a [u8], _limit: std::time::Duration) -> BoxFuture<'a, ClusterCount> {
        async { ClusterCount::default() }.boxed()
    }

    fn ready(&self) -> BoxFuture<'_, bool> {
        async { true }.boxed()
    }

    fn histories(&self) -> Option<&dyn HistoryBus> {
        Some(self)
    }

    fn stats(&self) -> BusStats {
        BusStats::default()
    }

    fn stop(&self) {}
}

struct Joined {
    broker: Broker,
    bus: Arc<KeepingBus>,
    cork: Cork,
    port: u16,
    opened: Arc<Mutex<Vec<SocketId>>>,
    _worker: TestWorker,
    _listener: Listener,
}

impl Joined {
    fn new() -> Self {
        let broker = Broker::new(Config { io_threads: 2, history: vec![rule()], ..Config::default() }).unwrap();
        let bus = Arc::new(KeepingBus {
            broker: broker.downgrade(),
            epoch: HistoryEpoch::random(),
            head: Mutex::default(),
            refreshes: AtomicUsize::new(0),
            lost: AtomicBool::new(false),
        });
        broker.join_bus(Arc::<KeepingBus>::clone(&bus)).unwrap();
        let (listener, port) = listen(&broker, SocketLimits::default());
        let opened = Arc::<Mutex<Vec<SocketId>>>::default();
        let own = Arc::clone(&opened);
        let worker = TestWorker::opening(
            &broker,
            Handlers::OPEN,
            Box::new(move |_, id| {
                own.lock().push(id);
                Some(Accept { protocol: Some("wsbroker.v1".into()), ..Accept::default() })
            }),
            Box::new(|_, _, _| {}),
        );
        let cork = broker.cork();
        Self { broker, bus, cork, port, opened, _worker: worker, _listener: listener }
    }

    fn connect(&self) -> (Client, SocketId) {
        let client = Client::request_with(self.port, "Sec-WebSocket-Protocol: wsbroker.v1\r\n").expect("HTTP/1.1 101");
        (client, *self.opened.lock().last().unwrap())
    }

    fn subscribe(&mut self, id: SocketId, since: Since, asked: BusAsked) -> Result<(), NotSubscribed> {
        let wanted = ClientSubscription {
            since,
            max_replay: 1000,
            json_name: "\"h:a\"",
            revocations: 0,
            socket_rate: u64::MAX,
            address_rate: u64::MAX,
            asked,
        };
        self.broker.subscribe_client(&mut self.cork, id, CHANNEL, &wanted)
    }

    /// As the server's end of the subprotocol does it.
    fn subscribe_asking(&mut self, id: SocketId, since: Since) {
        match self.subscribe(id, since, BusAsked::NotYet) {
            Err(NotSubscribed::NotHere) => {
                self.broker.follow(CHANNEL).now_or_never().unwrap().unwrap();
                self.subscribe(id, since, BusAsked::Answered).unwrap();
            }
            outcome => outcome.unwrap(),
        }
    }

    fn refreshes(&self) -> usize {
        self.bus.refreshes.load(Ordering::SeqCst)
    }
}

/// The frame that says that it is subscribed, and the offsets of so many messages.
fn hear(client: &mut Client, count: usize) -> (String, Vec<u64>) {
    let announcement = client.text();
    assert!(announcement.contains("\"subscribed\""), "{announcement}");
    let offsets = (0..count).map(|_| match client.next() {
        Got::Text(message) => {
            let (offset, _, payload) = split(&message);
            assert_eq!(payload, format!("message {offset}").as_bytes());
            offset
        }
        other => panic!("expected a message, got {other:?}"),
    });
    (announcement, offsets.collect())
}

#[test]
fn a_herd_that_comes_back_has_the_bus_asked_once() {
    let mut joined = Joined::new();
    let (bus, epoch) = (Arc::clone(&joined.bus), joined.bus.epoch);
    *bus.head.lock() = 20;
    let mut herd = Vec::new();
    for at in 0..20 {
        let (client, id) = joined.connect();
        joined.subscribe_asking(id, Since::Position(HistoryPosition { offset: at, epoch }));
        herd.push((client, at));
    }
    for since in [Since::Now, Since::Latest] {
        let (client, id) = joined.connect();
        joined.subscribe_asking(id, since);
        herd.push((client, if since == Since::Now { 20 } else { 19 }));
    }
    bus.publish();
    for (client, at) in &mut herd {
        let (announcement, offsets) = hear(client, 21 - *at as usize);
        assert!(announcement.contains("\"recovered\":true"), "{announcement}");
        assert_eq!(offsets, (*at + 1..=21).collect::<Vec<_>>());
    }
    assert_eq!(joined.refreshes(), 1);
}

#[test]
fn what_another_instance_has_shown_already_is_not_taken_for_lost() {
    let mut joined = Joined::new();
    let (bus, epoch) = (Arc::clone(&joined.bus), joined.bus.epoch);
    let (mut first, id) = joined.connect();
    joined.subscribe_asking(id, Since::Now);
    // The bus is ahead of what has arrived here.
    *bus.head.lock() = 3;
    let (mut client, id) = joined.connect();
    let since = Since::Position(HistoryPosition { offset: 3, epoch });
    assert_eq!(joined.subscribe(id, since, BusAsked::NotYet), Err(NotSubscribed::NotHere));
    joined.subscribe_asking(id, since);
    bus.publish();
    let (announcement, offsets) = hear(&mut client, 1);
    assert!(announcement.contains("\"recovered\":true"), "{announcement}");
    assert_eq!(offsets, [4]);
    assert_eq!(hear(&mut first, 4).1, [1, 2, 3, 4]);
}

#[test]
fn what_cannot_be_known_here_is_asked_and_what_is_over_is_not() {
    let mut joined = Joined::new();
    let (bus, epoch) = (Arc::clone(&joined.bus), joined.bus.epoch);
    *bus.head.lock() = 5;
    let (_client, id) = joined.connect();
    for since in [Since::Now, Since::Latest, Since::Position(HistoryPosition { offset: 5, epoch })] {
        assert_eq!(joined.subscribe(id, since, BusAsked::NotYet), Err(NotSubscribed::NotHere), "nothing is followed");
    }
    joined.subscribe_asking(id, Since::Now);
    let asked = joined.refreshes();
    let (mut other, id) = joined.connect();
    let strange = Since::Position(HistoryPosition { offset: 2, epoch: HistoryEpoch::random() });
    assert_eq!(joined.subscribe(id, strange, BusAsked::NotYet), Err(NotSubscribed::NotHere));
    joined.subscribe_asking(id, strange);
    assert!(hear(&mut other, 0).0.contains("\"recovered\":false"));
    assert_eq!(joined.refreshes(), asked + 1);
    // A position that nobody has ever given out.
    let (mut other, id) = joined.connect();
    joined.subscribe_asking(id, Since::Position(HistoryPosition { offset: 0, epoch: HistoryEpoch::UNKNOWN }));
    assert!(hear(&mut other, 0).0.contains("\"recovered\":false"));
    assert_eq!(joined.refreshes(), asked + 1);
}

#[test]
fn while_the_bus_is_lost_what_is_here_serves_and_the_rest_comes_when_it_is_back() {
    let mut joined = Joined::new();
    let (bus, epoch) = (Arc::clone(&joined.bus), joined.bus.epoch);
    *bus.head.lock() = 3;
    let (_first, id) = joined.connect();
    joined.subscribe_asking(id, Since::Now);
    bus.lost.store(true, Ordering::SeqCst);
    joined.broker.downgrade().bus_is_lost();
    *bus.head.lock() = 5;
    let (mut client, id) = joined.connect();
    let at = |offset| Since::Position(HistoryPosition { offset, epoch });
    assert_eq!(joined.subscribe(id, at(1), BusAsked::NotYet), Err(NotSubscribed::NotHere));
    joined.broker.follow(CHANNEL).now_or_never().unwrap().unwrap_err();
    // It may be that nothing has come; then it is not lost.
    for since in [Since::Now, Since::Latest, at(4)] {
        assert_eq!(joined.subscribe(id, since, BusAsked::Lost), Err(NotSubscribed::NotHere), "{since:?}");
    }
    joined.subscribe(id, at(1), BusAsked::Lost).unwrap();
    bus.lost.store(false, Ordering::SeqCst);
    joined.broker.follow(CHANNEL).now_or_never().unwrap().unwrap();
    bus.publish();
    let (announcement, offsets) = hear(&mut client, 5);
    assert!(announcement.contains("\"recovered\":true"), "{announcement}");
    assert_eq!(offsets, [2, 3, 4, 5, 6]);
}

#[test]
fn clients_that_come_while_the_bus_brings_messages_get_each_once_and_in_order() {
    const MESSAGES: u64 = 400;
    let mut joined = Joined::new();
    let (bus, epoch) = (Arc::clone(&joined.bus), joined.bus.epoch);
    let (mut first, id) = joined.connect();
    joined.subscribe_asking(id, Since::Now);
    let publisher = {
        let bus = Arc::clone(&bus);
        std::thread::spawn(move || {
            for _ in 0..MESSAGES {
                bus.publish();
                std::thread::yield_now();
            }
        })
    };
    let mut clients = Vec::new();
    for number in 0..40 {
        until("some more have come", || *bus.head.lock() >= number * MESSAGES / 40);
        let (client, id) = joined.connect();
        // What any instance may have shown by now.
        let offset = bus.head.lock().saturating_sub(number % 3);
        joined.subscribe_asking(id, Since::Position(HistoryPosition { offset, epoch }));
        clients.push((client, offset));
    }
    publisher.join().unwrap();
    assert_eq!(hear(&mut first, MESSAGES as usize).1, (1..=MESSAGES).collect::<Vec<_>>());
    for (client, at) in &mut clients {
        let (announcement, offsets) = hear(client, (MESSAGES - *at) as usize);
        assert!(announcement.contains("\"recovered\":true"), "{announcement}");
        assert_eq!(offsets, (*at + 1..=MESSAGES).collect::<Vec<_>>());
    }
    assert_eq!(joined.refreshes(), 1);
}
