//! A broker with histories, clients of it, and what they get.

use std::sync::Arc;

use parking_lot::Mutex;
use wsbroker_core::{
    Accept, Broker, Config, Cork, Handlers, HistoryPosition, HistoryRule, Listener, MessageKind, PublishReceipt,
    Recovery, Since, SocketId, SocketLimits,
};

use crate::common::{Client, Got, Scope, Seen, TestWorker, listen, until};

pub(crate) struct World {
    pub(crate) broker: Broker,
    pub(crate) port: u16,
    pub(crate) cork: Cork,
    opened: Arc<Mutex<Vec<SocketId>>>,
    pub(crate) log: crate::common::Log,
    worker: Option<TestWorker>,
    _listener: Listener,
}

pub(crate) fn rule() -> HistoryRule {
    HistoryRule::new([&b"h:*"[..]])
}

impl World {
    pub(crate) fn new(rule: HistoryRule, limits: SocketLimits) -> Self {
        Self::with(rule, limits, Handlers::CLOSE | Handlers::OPEN, |_, _, _| {})
    }

    /// With a handler for what else happens to sockets.
    pub(crate) fn with(
        rule: HistoryRule,
        limits: SocketLimits,
        handlers: Handlers,
        handler: impl FnMut(&mut Scope<'_>, SocketId, &Seen) + Send + 'static,
    ) -> Self {
        let config = Config { io_threads: 2, history: vec![rule], ..Config::default() };
        Self::on(config, limits, handlers, handler)
    }

    pub(crate) fn on(
        config: Config,
        limits: SocketLimits,
        handlers: Handlers,
        mut handler: impl FnMut(&mut Scope<'_>, SocketId, &Seen) + Send + 'static,
    ) -> Self {
        let broker = Broker::new(config).unwrap();
        let (listener, port) = listen(&broker, limits);
        let opened = Arc::<Mutex<Vec<SocketId>>>::default();
        let log = crate::common::Log::default();
        let (own, seen_log) = (Arc::clone(&opened), Arc::clone(&log));
        let open = move |_: &mut Scope<'_>, id: SocketId| {
            own.lock().push(id);
            Some(Accept::default())
        };
        let worker = TestWorker::opening(
            &broker,
            handlers,
            Box::new(open),
            Box::new(move |scope, id, seen| {
                seen_log.lock().push((id.get(), seen.clone()));
                handler(scope, id, seen);
            }),
        );
        let cork = broker.cork();
        Self { broker, port, cork, opened, log, worker: Some(worker), _listener: listener }
    }

    /// A client that reads, and its socket.
    pub(crate) fn connect(&self) -> (Client, SocketId) {
        let client = Client::connect(self.port);
        (client, *self.opened.lock().last().unwrap())
    }

    pub(crate) fn publish(&mut self, channel: &str, text: &str) -> HistoryPosition {
        self.publish_with(channel, text, &[], None).position.unwrap()
    }

    pub(crate) fn publish_with(
        &mut self,
        channel: &str,
        text: &str,
        exclude: &[SocketId],
        id: Option<&str>,
    ) -> PublishReceipt {
        let staged = self.cork.stage_slice(MessageKind::Text, text.as_bytes());
        let id = id.map(str::as_bytes);
        let receipt = self.cork.publish_with_receipt(channel.as_bytes(), staged, exclude, id).unwrap();
        self.cork.flush();
        receipt
    }

    pub(crate) fn recover(&mut self, id: SocketId, channel: &str, since: Since) -> Recovery {
        self.broker.recover(&mut self.cork, id, channel.as_bytes(), since, false).unwrap()
    }

    pub(crate) fn position(&mut self, channel: &str) -> HistoryPosition {
        self.broker.position(&mut self.cork, channel.as_bytes()).unwrap()
    }

    pub(crate) fn closed(&self, id: SocketId) -> Option<(u16, String)> {
        let log = self.log.lock();
        log.iter().find_map(|(of, seen)| match seen {
            Seen::Close(code, reason) if *of == id.get() => Some((*code, reason.clone())),
            _ => None,
        })
    }

    /// Ends the worker between two events.
    pub(crate) fn kill_worker(&mut self) {
        self.worker.take().unwrap().kill();
    }

    pub(crate) fn wait_for_close(&self, id: SocketId) -> (u16, String) {
        until("the socket has closed", || self.closed(id).is_some());
        self.closed(id).unwrap()
    }
}

/// Splits a frame of a channel with history: its offset, the channel and the payload.
pub(crate) fn split(message: &[u8]) -> (u64, &str, &[u8]) {
    let line = message.iter().position(|byte| *byte == b'\n').unwrap();
    let (line, payload) = (std::str::from_utf8(&message[..line]).unwrap(), &message[line + 1..]);
    let (offset, channel) = line.split_once(' ').unwrap();
    (offset.parse().unwrap(), channel, payload)
}

pub(crate) fn next(client: &mut Client) -> (u64, String) {
    match client.next() {
        Got::Text(message) => {
            let (offset, _, payload) = split(&message);
            (offset, String::from_utf8(payload.to_vec()).unwrap())
        }
        other => panic!("expected a message, got {other:?}"),
    }
}
