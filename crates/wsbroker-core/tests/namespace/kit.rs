//! A worker of a namespace on the test's own thread, and addresses for it.

use std::sync::Arc;

use wsbroker_core::{
    Audience, Broker, Config, Cork, Event, Group, Helper, Listener, MessageKind, Namespace, NamespaceConfig,
    OperationKind, SendOutcome, SocketId, SocketLimits, Worker, WorkerHandle,
};

use crate::common::{Client, Queue, Seen, listen_with, until};

/// As those of the server helper.
pub(crate) fn settings() -> NamespaceConfig {
    NamespaceConfig {
        broadcast_channel: b"ws:internal:broadcast"[..].into(),
        too_big_reason: "Received too big message".into(),
    }
}

/// A worker of a namespace that runs on the test's own thread: whenever it is asked what has come.
pub(crate) struct HelperThread {
    pub(crate) queue: Arc<Queue>,
    pub(crate) handle: Option<WorkerHandle>,
    pub(crate) helper: Helper,
    pub(crate) cork: Cork,
    pub(crate) log: Vec<(SocketId, Seen)>,
}

impl HelperThread {
    pub(crate) fn new(broker: &Broker, namespace: &Arc<Namespace>) -> Self {
        let queue = Arc::<Queue>::default();
        let (handle, helper) = broker.add_helper(namespace, Arc::clone(&queue) as Arc<dyn Worker>);
        helper.accept(true);
        Self { queue, handle: Some(handle), helper, cork: broker.cork(), log: Vec::new() }
    }

    /// Takes what has come.
    pub(crate) fn pump(&mut self) {
        for batch in self.queue.take() {
            for event in &batch.events {
                if let Some(seen) = seen(&batch, event) {
                    self.log.push((event.socket.id(), seen));
                }
            }
            if let Some(handle) = &self.handle {
                handle.settle(batch.events.iter(), None);
            }
        }
    }

    pub(crate) fn joined(&self) -> Vec<SocketId> {
        self.log.iter().filter(|(_, seen)| matches!(seen, Seen::Joined(_))).map(|(id, _)| *id).collect()
    }

    pub(crate) fn of(&self, id: SocketId) -> Vec<Seen> {
        self.log.iter().filter(|(other, _)| *other == id).map(|(_, seen)| seen.clone()).collect()
    }

    /// Waits for an event of this socket.
    pub(crate) fn await_seen(&mut self, id: SocketId, what: &Seen) {
        until("it is reported", || {
            self.pump();
            self.of(id).contains(what)
        });
    }

    /// Makes a client of that name of the next connection.
    pub(crate) fn client(&mut self, port: u16, name: &str) -> (Client, SocketId) {
        let before = self.joined().len();
        let client = Client::request_to(port, "/ws", "").expect("HTTP/1.1 101");
        until("it is told of the socket", || {
            self.pump();
            self.joined().len() > before
        });
        let id = *self.joined().last().unwrap();
        assert!(self.helper.add_client(name.as_bytes(), Some(id)));
        (client, id)
    }

    pub(crate) fn send(&mut self, id: SocketId, text: &str) -> SendOutcome {
        let staged = self.cork.stage_slice(MessageKind::Text, text.as_bytes());
        let outcome = self.helper.send(&mut self.cork, id, staged);
        self.cork.flush();
        outcome
    }

    pub(crate) fn publish(&mut self, audience: Audience<'_>, text: &str, exclude: &[&str]) -> usize {
        let exclude: Vec<&[u8]> = exclude.iter().map(|id| id.as_bytes()).collect();
        let staged = self.cork.stage_slice(MessageKind::Text, text.as_bytes());
        let refused = self.helper.publish(&mut self.cork, audience, staged, &exclude);
        self.cork.flush();
        refused
    }

    /// Returns how many of its clients could not be reported.
    pub(crate) fn die(&mut self) -> usize {
        let unstarted = self.queue.end();
        self.handle.take().unwrap().remove(unstarted)
    }
}

pub(crate) fn seen(batch: &wsbroker_core::Batch, event: &Event) -> Option<Seen> {
    use wsbroker_core::EventKind as Kind;
    Some(match &event.kind {
        Kind::Joined(ip) => Seen::Joined(ip.to_string()),
        Kind::Text(payload) => Seen::Text(batch.bytes(payload).to_vec()),
        Kind::Binary(payload) => Seen::Binary(batch.bytes(payload).to_vec()),
        Kind::Close { code, reason } => Seen::Close(*code, reason.to_string()),
        Kind::Drain => Seen::Drain,
        Kind::Open(_) | Kind::Lost(_) => return None,
    })
}

pub(crate) fn broker(io_threads: usize) -> Broker {
    Broker::new(Config { io_threads, ..Config::default() }).unwrap()
}

/// An address of a namespace alone, at `/ws`.
pub(crate) fn listen(broker: &Broker, namespace: &Arc<Namespace>, limits: SocketLimits) -> (Listener, u16) {
    listen_with(broker, |config| {
        config.namespace = Some(Arc::clone(namespace));
        config.paths = vec!["/ws".into()];
        config.limits = limits;
    })
}

/// Another path on the address of a listener.
pub(crate) fn beside(
    broker: &Broker,
    other: &Arc<Listener>,
    path: &str,
    namespace: Option<&Arc<Namespace>>,
) -> Listener {
    let mut config = wsbroker_core::ListenerConfig::new("127.0.0.1:0".parse().unwrap());
    config.paths = vec![path.into()];
    config.namespace = namespace.cloned();
    let listener = broker.runtime().block_on(broker.listen_beside(Arc::clone(other), config)).unwrap();
    listener.serve();
    listener
}

pub(crate) fn status(port: u16, path: &str) -> String {
    let client = Client::request_to(port, path, "").expect("HTTP/1.1 ");
    client.head.split(' ').nth(1).unwrap().to_owned()
}

pub(crate) fn published(operations: &[wsbroker_core::Operation]) -> Vec<(Group, String, Vec<String>)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let one = |operation: &wsbroker_core::Operation| match &operation.kind {
        OperationKind::Publish { audience, frame, exclude, .. } => {
            Some((audience.clone(), text(frame), exclude.iter().map(|id| text(id)).collect()))
        }
        _ => None,
    };
    operations.iter().filter_map(one).collect()
}
