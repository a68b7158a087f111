//! What other threads ask of a shard, and the queue it comes through.

use std::{io, sync::Arc, time::Instant};

use bytes::Bytes;
use wsbroker_proto::{CloseCode, WindowBits};

use super::codec::{Compress, Compressed};
use crate::{
    admission::{ConnectionPermit, Endpoint},
    dispatch::{Flush, WorkerEntry},
    event::Event,
    history::{HistoryEntry, HistoryPosition},
    ids::SocketId,
    open::Open,
    registry::{Channel, ChannelId, Socket},
    stream::Stream,
    sync::Mutex,
};

/// Identifies a connection in its shard: by its slot, and by the id that must be found there, since
/// slots are used again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionKey {
    pub(crate) slot: u32,
    pub(crate) id: SocketId,
}

impl ConnectionKey {
    pub(crate) fn of(socket: &Socket) -> Self {
        Self { slot: socket.slot(), id: socket.id() }
    }
}

/// A frame in the arena that the last [`Command::Arena`] named.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameRange {
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) compress: Compress,
}

impl FrameRange {
    pub(crate) fn len(self) -> usize {
        (self.end - self.start) as usize
    }
}

/// What the shards share of a message for many that is not simply one frame for every subscriber.
#[derive(Debug)]
pub(crate) struct Broadcast {
    /// In order.
    pub(crate) exclude: Box<[SocketId]>,
    /// `None` when no subscriber gets it compressed.
    pub(crate) compressed: Option<Box<Compressed>>,
    /// Send memory was full: it is for those that have little waiting.
    pub(crate) scarce: bool,
}

/// What becomes of a socket in many channels at once.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    Join,
    Leave,
}

/// How the connections of all shards are closed.
#[derive(Debug)]
pub(crate) struct DrainOrder {
    pub(crate) code: CloseCode,
    pub(crate) reason: Box<str>,
    /// When the last one is closed.
    pub(crate) end: Instant,
    /// As a fraction of the interval between two.
    pub(crate) jitter: f64,
}

/// What is asked of a shard.
#[derive(Debug)]
pub(crate) enum Command {
    /// The frames of the commands that follow lie in here.
    Arena(Bytes),
    Send(ConnectionKey, FrameRange),
    Publish(Arc<Channel>, FrameRange, Option<Arc<Broadcast>>),
    /// A message of a channel with history, pushed while the channel's ring was locked.
    Numbered(Arc<Channel>, Arc<HistoryEntry>),
    /// A message for every raw connection.
    SendToAll(FrameRange, Option<Arc<Broadcast>>),
    Subscribe(ConnectionKey, Arc<Channel>),
    /// Send memory is full: subscribers of that channel take what follows this position from its
    /// ring. Pushed while that was locked.
    FallBehind(Arc<Channel>, HistoryPosition),
    /// Subscribes, and replays what follows a position. Pushed while the channel's ring was locked.
    Recover(ConnectionKey, Box<Recover>),
    Unsubscribe(ConnectionKey, Arc<Channel>),
    /// A new epoch has begun in the history of a channel. Pushed while its ring was locked.
    EpochChanged(Arc<Channel>, HistoryPosition),
    /// The socket was told what it has lost of a channel, and goes on.
    Continue(ConnectionKey, ChannelId),
    /// Adds a socket to channels, or takes it out.
    Change(ConnectionKey, Change, Box<[ChannelId]>),
    Close(ConnectionKey, Box<(CloseCode, Box<str>)>),
    /// What it sends may be as large as its listener says, from now on.
    LiftPayload(ConnectionKey),
    Terminate(ConnectionKey),
    CloseMany(Box<[ConnectionKey]>, Box<(CloseCode, Box<str>)>),
    /// A connection asks to be let in: keep a slot for it, and ask its worker unless it is let in
    /// at once.
    Reserve(Box<Reserve>),
    /// It is in: here is its stream.
    Attach(ConnectionKey, Box<Attach>),
    /// It was refused or lost: undo what was done for it.
    Abandon(ConnectionKey),
    /// It was let in after the client had gone: it gets a close event.
    AcceptedLate(ConnectionKey),
    /// Its client has gone, and the worker may never answer: it no longer counts among the
    /// connections of its listener and its worker.
    Unanswered(ConnectionKey),
    /// The socket's window has room again.
    Resume(ConnectionKey),
    /// A worker's window has room again.
    WorkerRoom(Arc<WorkerEntry>),
    /// What a worker's handlers have sent is in the queues, where a shard waited for it.
    WorkerFlushed(Arc<WorkerEntry>, Flush),
    /// There is a worker where there was none.
    WorkerJoined,
    /// A worker's connections move to others, each between two of its events.
    WorkerSuperseded(Arc<WorkerEntry>),
    /// A worker has ended; these events it had not begun.
    WorkerGone(Arc<WorkerEntry>, Vec<(Event, Bytes)>),
    /// A worker is stuck; these open events it has given back.
    AskAnother(Arc<WorkerEntry>, Vec<Event>),
    /// Closes what was accepted by that listener (`Some`) or everything.
    CloseAll(Option<u32>, CloseCode),
    /// Closes everything, one by one; given again, sooner.
    Drain(Arc<DrainOrder>),
    /// Cuts everything, or what belongs to that worker.
    TerminateOf(Option<Arc<WorkerEntry>>),
    /// Memory is used up, and this shard holds more than its part of it.
    Relieve,
    /// Ends the thread.
    Stop,
}

// Every message is one, in a queue of its shard.
const _: () = assert!(size_of::<Command>() <= 40);

/// What a shard needs to keep a slot.
#[derive(Debug)]
pub(crate) struct Reserve {
    pub(crate) socket: Arc<Socket>,
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) worker: Option<Arc<WorkerEntry>>,
    /// `None` when no handler is to be asked.
    pub(crate) open: Option<Box<Open>>,
    /// The window to compress for; `None` when compression was not agreed on.
    pub(crate) deflate: Option<WindowBits>,
    /// It is a namespace's: its worker is told of it with the 101.
    pub(crate) joins: bool,
}

/// How a socket becomes a reader of a channel with history.
#[derive(Debug)]
pub(crate) struct Recover {
    pub(crate) channel: Arc<Channel>,
    /// What follows it is replayed.
    pub(crate) since: HistoryPosition,
    /// A frame that comes before every one of the channel.
    pub(crate) announcement: Option<Bytes>,
}

/// What turns a reserved slot into an open connection.
#[derive(Debug)]
pub(crate) struct Attach {
    pub(crate) stream: Stream,
    /// The 101, written before anything that waits.
    pub(crate) head: Vec<u8>,
    /// Bytes that came right behind the request.
    pub(crate) rest: Vec<u8>,
    /// Its permit, to be dropped with it.
    pub(crate) permit: ConnectionPermit,
}

/// Ends the sleep of a shard, or the next one if it does not sleep yet.
pub(crate) trait Waker {
    fn wake(&self) -> io::Result<()>;
}

impl Waker for mio::Waker {
    fn wake(&self) -> io::Result<()> {
        Self::wake(self)
    }
}

/// The way into a shard, from any thread.
#[derive(Debug)]
pub(crate) struct Fifo<W = mio::Waker> {
    inner: Mutex<FifoQueue>,
    waker: W,
}

#[derive(Debug, Default)]
struct FifoQueue {
    commands: Vec<Command>,
    parked: bool,
    stopped: bool,
}

impl<W: Waker> Fifo<W> {
    pub(crate) fn new(waker: W) -> Self {
        Self { inner: Mutex::default(), waker }
    }

    /// Puts a command at the end.
    pub(crate) fn push(&self, command: Command) {
        self.push_with(|commands| commands.push(command));
    }

    /// Puts several at the end, together: nothing of another thread comes in between.
    pub(crate) fn push_with(&self, fill: impl FnOnce(&mut Vec<Command>)) {
        self.put(true, fill);
    }

    /// The same, but lets the shard sleep on until the next push or [`nudge`](Self::nudge).
    pub(crate) fn push_asleep(&self, fill: impl FnOnce(&mut Vec<Command>)) {
        self.put(false, fill);
    }

    fn put(&self, wakes: bool, fill: impl FnOnce(&mut Vec<Command>)) {
        let mut inner = self.inner.lock();
        if inner.stopped {
            // Dropped after the lock: a command may own a reply whose drop pushes here again.
            let mut late = Vec::new();
            fill(&mut late);
            drop(inner);
            drop(late);
            return;
        }
        fill(&mut inner.commands);
        let parked = wakes && std::mem::take(&mut inner.parked);
        drop(inner);
        if parked {
            self.wake();
        }
    }

    /// Wakes the shard if something was placed that it does not know of.
    pub(crate) fn nudge(&self) {
        let mut inner = self.inner.lock();
        let parked = !inner.commands.is_empty() && std::mem::take(&mut inner.parked);
        drop(inner);
        if parked {
            self.wake();
        }
    }

    fn wake(&self) {
        // A failure here means the poll handle is gone, and with it the shard.
        if let Err(error) = self.waker.wake() {
            tracing::error!(%error, "cannot wake a shard");
        }
    }

    /// Swaps the whole queue with an empty one.
    pub(crate) fn take(&self, into: &mut Vec<Command>) {
        debug_assert!(into.is_empty());
        std::mem::swap(&mut self.inner.lock().commands, into);
    }

    /// Commands that wait.
    pub(crate) fn len(&self) -> usize {
        self.inner.lock().commands.len()
    }

    /// True when the queue is empty, and then the next push wakes the shard.
    pub(crate) fn park(&self) -> bool {
        let mut inner = self.inner.lock();
        inner.parked = inner.commands.is_empty();
        inner.parked
    }

    /// From now on commands are dropped. Returns what was still waiting.
    pub(crate) fn stop(&self) -> Vec<Command> {
        let mut inner = self.inner.lock();
        inner.stopped = true;
        std::mem::take(&mut inner.commands)
    }
}
