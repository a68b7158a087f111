//! The event loop: one poll over all connections. What a scenario may ask of them is in [`io`].
//!
//! Readiness is edge-triggered. A read that does not fill the buffer has emptied the socket, so
//! no second read has to find that out. The exception is an event that also reports the end of the
//! stream, since no other event would. A connection that fills the buffer many times over waits for
//! the next turn.

mod alarm;
mod io;

use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token, Waker};

use self::alarm::{ALARM, Alarm};
pub(crate) use self::io::Io;
use crate::connection::Ending;
use crate::frame::MessageKind;
use crate::target::Target;

const WAKE: Token = Token(usize::MAX);
const READ_BUFFER: usize = 256 * 1024;
/// How long a turn waits at most, so that deadlines are checked.
const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// When to connect again to a server whose queue was full.
const EARLY_AGAIN: Duration = Duration::from_millis(1);

/// What drives the connections. Every method may send; what it sends is flushed when it returns.
pub(crate) trait Scenario {
    /// The handshake of `connection` is done; it took `took` from the first SYN.
    fn opened(&mut self, _io: &mut Io, _connection: usize, _took: Duration) {}
    /// A whole message arrived.
    fn message(&mut self, io: &mut Io, connection: usize, kind: MessageKind, payload: &[u8]);
    /// The connection has ended. The tally has counted it already.
    fn ended(&mut self, _io: &mut Io, _connection: usize, _ending: &Ending) {}
    /// Called once a turn; returns `true` if there is more to do without waiting for an event.
    fn turn(&mut self, _io: &mut Io) -> bool {
        false
    }
    /// When [`Self::turn`] has something to do next, whatever happens until then.
    fn due(&self) -> Option<Instant> {
        None
    }
    /// How long a turn may wait although nothing happens.
    fn longest_wait(&self) -> Option<Duration> {
        None
    }
}

/// When [`Engine::run`] gives up waiting.
#[derive(Clone, Copy)]
pub(crate) enum Limit {
    /// When nothing has moved in either direction for this long.
    Stall(Duration),
    /// At this time, or when [`Engine::waker`] is used. Silence is normal.
    Until(Option<Instant>),
}

/// The loop itself. It owns the poll; everything that a scenario may use is in [`Io`].
pub(crate) struct Engine {
    poll: Poll,
    events: Events,
    buffer: Box<[u8]>,
    /// Made when something is due.
    alarm: Option<Alarm>,
    pub(crate) io: Io,
}

impl Engine {
    /// An engine with `slots` connections, none of them opened yet.
    pub(crate) fn new(target: &Target, slots: usize) -> std::io::Result<Self> {
        let poll = Poll::new()?;
        let registry = poll.registry().try_clone()?;
        Ok(Self {
            poll,
            events: Events::with_capacity(4096),
            buffer: vec![0; READ_BUFFER].into(),
            alarm: None,
            io: Io::new(registry, target.clone(), slots),
        })
    }

    /// Ends a [`Limit::Until`] from another thread. Keep a handle: without one it does nothing.
    pub(crate) fn waker(&self) -> std::io::Result<Arc<Waker>> {
        Ok(Arc::new(Waker::new(self.poll.registry(), WAKE)?))
    }

    /// Runs turns until `done`. Returns `false` if the limit came first.
    pub(crate) fn run<S: Scenario>(
        &mut self,
        scenario: &mut S,
        limit: Limit,
        mut done: impl FnMut(&mut S, &mut Io) -> bool,
    ) -> std::io::Result<bool> {
        self.io.now = Instant::now();
        self.io.moved = self.io.now;
        loop {
            if done(scenario, &mut self.io) {
                self.io.flush();
                return Ok(true);
            }
            self.io.now = Instant::now();
            let left = match limit {
                Limit::Stall(longest) => longest.saturating_sub(self.io.now - self.io.moved),
                Limit::Until(_) if self.io.woken => Duration::ZERO,
                Limit::Until(Some(end)) => end.saturating_duration_since(self.io.now),
                Limit::Until(None) => LONGEST_WAIT,
            };
            if left.is_zero() {
                return Ok(false);
            }
            let longest = scenario.longest_wait().unwrap_or(LONGEST_WAIT);
            self.turn(scenario, left.min(longest))?;
        }
    }

    /// Opens every slot, no more than `window` at a time. The scenario learns of each. Returns
    /// `false` if it stalled.
    pub(crate) fn open_all<S: Scenario>(
        &mut self,
        scenario: &mut S,
        window: usize,
        stall: Duration,
    ) -> std::io::Result<bool> {
        let mut next = 0;
        self.run(scenario, Limit::Stall(stall), |_, io| {
            while next < io.connections.len() && io.pending < window {
                io.open(next);
                next += 1;
            }
            next == io.connections.len() && io.pending == 0
        })
    }

    /// Closes every open connection with 1000 and waits for the server's answers. What a server
    /// sent before its close frame arrives before it, so a duplicate still under way is seen.
    pub(crate) fn close_all<S: Scenario>(&mut self, scenario: &mut S, stall: Duration) -> std::io::Result<bool> {
        for connection in 0..self.io.connections.len() {
            self.io.set_reading(connection, true);
            self.io.close(connection, 1000);
        }
        self.io.flush();
        self.run(scenario, Limit::Stall(stall), |_, io| io.alive == 0)
    }

    fn turn<S: Scenario>(&mut self, scenario: &mut S, wait: Duration) -> std::io::Result<()> {
        let Self { poll, events, buffer, alarm, io } = self;
        let more = scenario.turn(io);
        io.flush();
        for connection in std::mem::take(&mut io.to_retry) {
            io.connect_again(connection);
        }
        for (connection, reason) in std::mem::take(&mut io.failed) {
            io.end(connection, Ending::Failed(reason), scenario);
        }
        let again = std::mem::take(&mut io.again);
        let wait = match (more || !again.is_empty(), io.to_retry.is_empty()) {
            (true, _) => Duration::ZERO,
            (false, true) => wait,
            (false, false) => wait.min(EARLY_AGAIN),
        };
        let wait = match scenario.due() {
            Some(at) if !wait.is_zero() => {
                let now = Instant::now();
                if at <= now {
                    Duration::ZERO
                } else {
                    wait_until(at, now, alarm, poll)?.map_or(wait, |left| wait.min(left))
                }
            }
            _ => wait,
        };
        match poll.poll(events, Some(wait)) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => events.clear(),
            Err(error) => return Err(error),
        }
        for event in events.iter() {
            io.now = Instant::now();
            let Token(connection) = event.token();
            if event.token() == ALARM {
                continue;
            }
            if event.token() == WAKE {
                io.woken = true;
                continue;
            }
            if event.is_writable() {
                io.writable(connection, scenario);
            }
            let ended = event.is_read_closed() || event.is_error();
            if event.is_readable() || ended {
                io.readable(connection, ended, buffer, scenario);
            }
            io.flush();
        }
        for connection in again {
            io.now = Instant::now();
            io.readable(connection, true, buffer, scenario);
            io.flush();
        }
        Ok(())
    }
}

/// Sets the alarm. Returns how long the poll may wait at most, if it is not the alarm that wakes
/// it.
fn wait_until(at: Instant, now: Instant, alarm: &mut Option<Alarm>, poll: &Poll) -> std::io::Result<Option<Duration>> {
    if alarm.is_none() {
        *alarm = Some(Alarm::new(poll.registry())?);
    }
    alarm.as_mut().map_or(Ok(None), |alarm| alarm.set(at, now))
}
