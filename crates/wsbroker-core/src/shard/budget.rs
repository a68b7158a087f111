//! What a turn of the loop may cost before the other connections have theirs.
//!
//! It is counted in steps, not in time: the cost of a step is known well enough, and a count is the
//! same on every run. What does not fit is put off to the next turn, in which connections are read,
//! written and handed over first. See `docs/design/shards.md`.

/// To add a connection to a list of subscribers, or to take it out.
pub(super) const CHANGE: usize = 8;
/// To close a connection, or to move it to another worker.
pub(super) const VISIT: usize = 16;
/// Bytes whose copy costs as much as a step.
const COPIED: usize = 512;
/// Bytes that the kernel takes, or TLS encrypts, in the time of a small write.
const WRITTEN: u64 = 4 << 10;

/// Outgoing bytes that may pile up before connections are written.
pub(super) const UNFLUSHED_MAX: usize = 4 << 20;

/// The bounds of a turn. Together they are some 10 ms of a common core, a third of them for each.
#[derive(Clone, Copy, Debug)]
pub(super) struct TurnBounds {
    /// Steps of commands. One is a message that is queued for one connection, some 60 ns.
    pub(super) steps: usize,
    /// Subscribers that a publish serves in one go. Beyond, its list is copied, so that it can be
    /// interrupted.
    pub(super) at_once: usize,
    /// Small writes to sockets, 1.3 µs each.
    pub(super) writes: usize,
    /// Channels that sockets which have ended leave, 1 µs each. Those that leave many get a quarter
    /// of it at least.
    pub(super) leaves: usize,
}

impl Default for TurnBounds {
    fn default() -> Self {
        Self { steps: 64 << 10, at_once: 8 << 10, writes: 2 << 10, leaves: 2 << 10 }
    }
}

/// What is left of a turn.
#[derive(Debug, Default)]
pub(super) struct TurnBudget {
    pub(super) bounds: TurnBounds,
    steps: usize,
    leaves: usize,
}

impl TurnBudget {
    /// The next turn begins.
    pub(super) fn begin(&mut self) {
        self.steps = self.bounds.steps;
        self.leaves = self.bounds.leaves;
    }

    #[inline]
    pub(super) fn spend(&mut self, steps: usize) {
        self.steps = self.steps.saturating_sub(steps);
    }

    /// Whether commands have had their part.
    #[inline]
    pub(super) fn is_spent(&self) -> bool {
        self.steps == 0
    }

    /// Whether a socket may leave this many channels at once. Counts them if so.
    pub(super) fn take_leaves(&mut self, channels: usize) -> bool {
        let fits = channels <= self.leaves.min(self.bounds.leaves / 8);
        if fits {
            self.leaves -= channels;
        }
        fits
    }

    /// Channels that sockets in many channels may leave in this turn.
    pub(super) fn remaining_leaves(&self) -> usize {
        self.leaves.max(self.bounds.leaves / 4).max(1)
    }
}

/// The steps of a message for one connection.
#[inline]
pub(super) fn delivery(copied: usize) -> usize {
    1 + copied / COPIED
}

/// A write of this many bytes, in small writes.
pub(super) fn write(bytes: u64) -> usize {
    1 + (bytes / WRITTEN) as usize
}
