//! A connection's beginning in its shard: it takes a slot, its worker is asked, and it gets its
//! stream.

use std::sync::Arc;

use bytes::Bytes;
use mio::Token;
use wsbroker_proto::CloseCode;

use super::{
    Shard,
    command::{Attach, ConnectionKey, Reserve},
    connection::Connection,
    connection_state::WithThe101,
};
use crate::{
    counters::CloseCause, dispatch::WorkerEntry, event::EventKind, open::Open, registry::Socket, worker::Handlers,
};

impl Shard {
    /// A connection asks to be let in: puts it into its slot, and asks its worker.
    pub(super) fn reserve(&mut self, reserve: Reserve) {
        let Reserve { socket, endpoint, worker, open, deflate, joins } = reserve;
        let namespace = socket.namespace_id();
        // Chosen before this command: by now the worker may have ended or been superseded, and that
        // may have been dealt with here already.
        let worker = match worker {
            Some(worker) if worker.is_gone() || worker.is_superseded() => {
                worker.release();
                self.ctx.broker.dispatch.assign(namespace)
            }
            // There was no worker when it was admitted, and one that has joined since knows nothing
            // of it.
            None => self.ctx.broker.dispatch.assign(namespace),
            other => other,
        };
        socket.set_worker(worker.as_ref().map_or(0, |worker| worker.id.get()));
        let mut connection = Connection::new(Arc::clone(&socket), endpoint, worker.clone(), deflate);
        if joins {
            connection.with_the_101 = WithThe101::TellWorker;
        }
        self.connections.put(socket.slot(), connection);
        if let Some(open) = open {
            self.ask(worker, &socket, open);
        }
    }

    /// Asks a worker. It may be another than the one that was chosen, without a handler for that;
    /// and while there is no worker, the question waits.
    fn ask(&mut self, worker: Option<Arc<WorkerEntry>>, socket: &Arc<Socket>, open: Box<Open>) {
        match worker {
            Some(worker) if worker.handlers.contains(Handlers::OPEN) => {
                socket.enter_other();
                self.ctx.batches.push(&worker, socket, EventKind::Open(open));
            }
            Some(_) => open.reply.accept_unasked(),
            None => {
                socket.enter_other();
                self.ctx.keep(socket, EventKind::Open(open), Bytes::new());
            }
        }
    }

    /// A connection is in: gives it its stream.
    pub(super) fn attach(&mut self, key: ConnectionKey, attach: Attach) {
        let Some(connection) = self.connections.find(key) else { return };
        let Attach { mut stream, head, rest, permit } = attach;
        let registered = stream.register(self.poll.registry(), Token(key.slot as usize));
        connection.attach(&mut self.ctx, stream, head, rest, permit);
        if let Err(error) = registered {
            tracing::warn!(%error, "cannot watch a connection");
            connection.cut(&mut self.ctx, CloseCause::Lost);
        } else if let Some(code) = self.closing {
            connection.begin_close(&mut self.ctx, CloseCause::Shutdown, code, "");
        } else if connection.endpoint.is_closed() {
            connection.begin_close(&mut self.ctx, CloseCause::Shutdown, CloseCode::GOING_AWAY, "");
        } else {
            connection.move_on(&mut self.ctx);
            self.close_late(key.slot);
        }
    }
}
