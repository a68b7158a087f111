//! What the peer takes of what we write to it.
//!
//! Bytes that our kernel takes are no sign of life: its buffers hold megabytes. What counts is that
//! the peer's kernel acknowledges them. Asking for that is a system call, so it is done when a
//! timer is due, and never for a message or a write. See docs/design/silence.md.

use std::time::Duration;

use super::wheel::{Tick, ticks};

/// What the last look at a connection has found.
#[derive(Debug, Default)]
pub(super) struct WriteProgress {
    /// When the peer last took something, as far as is known: not before that.
    pub(super) at: Tick,
    /// Bytes that had been given to the kernel.
    given: u64,
    /// Those of them that the peer's kernel had acknowledged. Below zero while it has not
    /// acknowledged what was written before we counted.
    acked: i64,
    /// How many of the bytes that are not acknowledged belong to our pings, at most. A question
    /// that the peer's kernel takes is not yet an answer.
    pings: u32,
    /// Something was not acknowledged.
    waiting: bool,
    /// The kernel accepted no more.
    full: bool,
    /// It is among the slow sockets.
    pub(super) slow: bool,
}

/// What there is to see.
#[derive(Clone, Copy, Debug)]
pub(super) struct WriteView {
    pub(super) now: Tick,
    /// Bytes that the kernel was given.
    pub(super) given: u64,
    /// When it was given some for the last time.
    pub(super) written: Tick,
    /// It takes no more.
    pub(super) full: bool,
    /// Bytes that the peer's kernel has not acknowledged; `None` where the system does not say.
    pub(super) unacknowledged: Option<u64>,
}

impl WriteProgress {
    pub(super) fn new(now: Tick) -> Self {
        Self { at: now, ..Self::default() }
    }

    /// The 101 goes out. What was queued before may be too much already.
    pub(super) fn begin(&mut self, now: Tick) {
        *self = Self { slow: self.slow, ..Self::new(now) };
    }

    /// Whether, at the last look, the peer's kernel had not taken everything.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting
    }

    /// Bytes that the peer's kernel has taken, from a beginning of its own.
    pub(super) fn taken(&self) -> i64 {
        self.acked
    }

    /// A ping of this many bytes goes out.
    pub(super) fn add_ping(&mut self, bytes: usize) {
        self.pings = self.pings.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
    }

    /// Whether a look can find anything new.
    pub(super) fn is_open(&self, given: u64) -> bool {
        self.waiting || given != self.given
    }

    pub(super) fn look(&mut self, view: WriteView) {
        let WriteView { now, given, written, full, unacknowledged } = view;
        // Below zero only by what was written before we counted.
        let acked = unacknowledged.map_or(given as i64, |bytes| (given as i64).saturating_sub_unsigned(bytes));
        // A kernel that was full takes more only when the peer has made room. Elsewhere than on
        // Linux that is all there is to see.
        let made_room = self.full && given > self.given;
        let moved = made_room || unacknowledged.is_some() && acked > self.acked.saturating_add(self.pings.into());
        let had_waited = std::mem::replace(&mut self.waiting, unacknowledged.map_or(full, |bytes| bytes > 0));
        if moved {
            // If everything was taken between two looks, it was taken at about the time when it was
            // written.
            let at = if self.waiting || had_waited { now } else { written };
            self.at = self.at.max(at);
        }
        // Less than before: a unix socket counts what it holds besides the bytes.
        if moved || !self.waiting || acked < self.acked {
            self.acked = acked;
        }
        if !self.waiting {
            self.pings = 0;
        }
        self.given = given;
        self.full = full;
    }
}

/// The least that a peer must take on average over a [`WINDOW`], in bytes a second.
const LEAST_RATE: u64 = 1 << 10;
/// Over which the average is taken.
pub(super) const WINDOW: Duration = Duration::from_secs(30);
/// The progress of a closing.
#[derive(Debug, Default)]
pub(super) struct ClosingProgress {
    /// What was sent before goes out first. Otherwise the whole closing has one close timeout.
    pub(super) flushes: bool,
    /// Nothing has moved since.
    pub(super) since: Tick,
    /// When the average was begun, and what the peer had taken then. Few closings get that far.
    pub(super) window: Option<Box<(Tick, i64)>>,
}

impl ClosingProgress {
    /// Whether the peer, which has taken so many bytes by now, takes enough.
    pub(super) fn is_fast_enough(&mut self, now: Tick, taken: i64) -> bool {
        let (start, before) = **self.window.get_or_insert_with(|| Box::new((now, taken)));
        if now < start + ticks(WINDOW) {
            return true;
        }
        self.window = Some(Box::new((now, taken)));
        u64::try_from(taken - before).unwrap_or(0) >= LEAST_RATE * WINDOW.as_secs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(now: Tick, given: u64, unacknowledged: u64) -> WriteView {
        WriteView { now, given, written: now - 1, full: unacknowledged > 0, unacknowledged: Some(unacknowledged) }
    }

    #[test]
    fn what_is_acknowledged_is_progress_and_what_is_written_is_not() {
        let mut progress = WriteProgress::new(1);
        progress.look(view(10, 1000, 1000));
        assert_eq!((progress.at, progress.is_waiting()), (1, true));
        progress.look(view(20, 1000, 999));
        assert_eq!(progress.at, 20);
        progress.look(view(30, 1000, 999));
        assert_eq!((progress.at, progress.taken()), (20, 1));
        progress.look(view(40, 1000, 0));
        assert_eq!((progress.at, progress.is_waiting()), (40, false));
        assert!(!progress.is_open(1000), "there is nothing left to ask for");
    }

    #[test]
    fn what_was_taken_between_two_looks_was_taken_when_it_was_written() {
        let mut progress = WriteProgress::new(1);
        progress.look(WriteView { written: 3, ..view(20, 100, 0) });
        assert_eq!(progress.at, 3);
        progress.look(WriteView { written: 22, ..view(40, 200, 0) });
        assert_eq!(progress.at, 22);
    }

    #[test]
    fn a_ping_that_is_acknowledged_is_no_sign_of_life() {
        let mut progress = WriteProgress::new(1);
        for (now, given) in [(10, 31), (20, 62)] {
            progress.add_ping(31);
            assert!(progress.is_open(given));
            progress.look(view(now, given, 0));
            assert_eq!(progress.at, 1);
        }
        progress.add_ping(31);
        progress.look(WriteView { written: 29, ..view(30, 62 + 31 + 1, 0) });
        assert_eq!(progress.at, 29);
        // With the rest of it on the way, it still may be no more than the ping.
        progress.add_ping(31);
        progress.look(view(40, 1000, 1000 - 94 - 31));
        assert_eq!(progress.at, 29);
        progress.look(view(50, 1000, 1000 - 94 - 32));
        assert_eq!(progress.at, 50);
    }

    /// A unix socket counts some hundred bytes more for each write.
    #[test]
    fn what_the_kernel_holds_besides_the_bytes_hides_no_progress() {
        let mut progress = WriteProgress::new(1);
        progress.look(WriteView { full: false, ..view(10, 1000, 9000) });
        progress.look(WriteView { full: false, ..view(20, 2000, 18_000) });
        assert_eq!(progress.at, 1);
        progress.look(view(30, 2000, 17_100));
        assert_eq!(progress.at, 30);
        progress.look(view(40, 2100, 17_500));
        assert_eq!(progress.at, 40, "it was full, and took more");
    }

    /// As on Windows.
    #[test]
    fn where_the_system_does_not_say_room_is_progress() {
        let mut progress = WriteProgress::new(1);
        let view = |now, given, full| WriteView { now, given, written: now - 1, full, unacknowledged: None };
        progress.look(view(10, 1000, false));
        progress.look(view(20, 2000, true));
        assert_eq!((progress.at, progress.is_waiting()), (1, true), "that it was taken means nothing");
        progress.look(view(30, 2000, true));
        assert_eq!(progress.at, 1);
        progress.look(view(40, 2500, true));
        assert_eq!((progress.at, progress.taken()), (40, 2500));
    }

    #[test]
    fn a_peer_that_drips_is_found_out() {
        let (mut closing, step, window) = (ClosingProgress::default(), 20, ticks(WINDOW));
        assert!(closing.is_fast_enough(1, 0));
        // A little more than it must, then a little less.
        for (rate, fast) in [(1030, true), (1010, false)] {
            let start = **closing.window.as_ref().unwrap();
            for at in (step..=window).step_by(step as usize) {
                let taken = start.1 + i64::from(at / step) * rate;
                assert_eq!(closing.is_fast_enough(start.0 + at, taken), fast || at < window, "{rate} at {at}");
            }
        }
    }
}
