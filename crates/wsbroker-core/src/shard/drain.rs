//! Closes a shard's connections one by one, evenly over a time.
//!
//! Each has its place in an even row, and is closed there or a little before or after it. The
//! shards' rows lie between each other's. Slots are walked in order, so that nothing is kept for a
//! connection; one that has gone leaves no gap in what is closed.

use std::{
    hash::BuildHasher,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Shard, budget::VISIT, command::DrainOrder, connection_state::ConnectionPhase};
use crate::counters::CloseCause;

/// What a shard does of it.
pub(super) struct ShardDrain {
    order: Arc<DrainOrder>,
    row: Row,
    /// The slot to go on with.
    slot: u32,
}

/// The times at which connections are closed.
#[derive(Debug)]
struct Row {
    start: Instant,
    length: Duration,
    /// How many connections there are.
    count: usize,
    /// How many of them have been closed.
    closed: usize,
    /// Where in its interval each lies, from 0 to 1.
    offset: f64,
    jitter: f64,
}

impl Row {
    /// When the next one is due. `chance` is from 0 to 1.
    fn next(&self, chance: f64) -> Instant {
        let place = self.closed as f64 + self.offset + self.jitter * (chance - 0.5);
        let part = (place / self.count.max(1) as f64).clamp(0.0, 1.0);
        self.start + self.length.mul_f64(part)
    }

    /// Puts those that are left into a row of their own.
    fn restart(&mut self, now: Instant, end: Instant) {
        self.count = self.count.saturating_sub(self.closed);
        self.closed = 0;
        self.start = now;
        self.length = end.saturating_duration_since(now);
    }
}

impl Shard {
    /// Begins to close connections, or closes them sooner than it was to.
    pub(super) fn drain(&mut self, order: Arc<DrainOrder>) {
        let now = self.ctx.time;
        if let Some(drain) = &mut self.drain {
            drain.row.restart(now, order.end);
            drain.order = order;
            return;
        }
        let row = Row {
            start: now,
            length: order.end.saturating_duration_since(now),
            count: self.ctx.tally.open_connections(),
            closed: 0,
            offset: (self.index as f64 + 0.5) / self.ctx.broker.shard_count() as f64,
            jitter: order.jitter,
        };
        self.drain = Some(ShardDrain { order, row, slot: 0 });
    }

    /// When the next connection is to be closed.
    pub(super) fn drain_due(&self) -> Option<Instant> {
        let drain = self.drain.as_ref()?;
        ((drain.slot as usize) < self.connections.0.len()).then(|| {
            let chance = self.ctx.seed.hash_one((drain.slot, drain.row.closed));
            drain.row.next(chance as f64 / u64::MAX as f64)
        })
    }

    /// Closes what is due, as far as the turn has steps for it.
    pub(super) fn go_on_draining(&mut self) {
        while self.drain_due().is_some_and(|due| due <= self.ctx.time) && !self.is_spent() {
            let Some(drain) = &mut self.drain else { return };
            let slot = drain.slot;
            drain.slot += 1;
            self.ctx.turn.spend(VISIT);
            let Some(connection) = self.connections.at(slot) else { continue };
            if connection.is_attached() && connection.phase == ConnectionPhase::Active {
                drain.row.closed += 1;
                connection.begin_close(&mut self.ctx, CloseCause::Shutdown, drain.order.code, &drain.order.reason);
            }
        }
    }

    /// A connection is in, though nothing is let in any more: it was on its way.
    pub(super) fn close_late(&mut self, slot: u32) {
        if let Some(drain) = &self.drain
            && let Some(connection) = self.connections.at(slot)
        {
            connection.begin_close(&mut self.ctx, CloseCause::Shutdown, drain.order.code, &drain.order.reason);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// The times of a whole row, each moved by chance.
    fn times(row: &mut Row) -> Vec<Duration> {
        let start = row.start;
        let mut times = Vec::new();
        while row.closed < row.count {
            let chance = (row.closed * 7919 % 1000) as f64 / 1000.0;
            times.push(row.next(chance) - start);
            row.closed += 1;
        }
        times
    }

    fn row(count: usize, seconds: u32, offset: f64, jitter: f64) -> Row {
        Row { start: Instant::now(), length: SECOND * seconds, count, closed: 0, offset, jitter }
    }

    #[test]
    fn connections_are_closed_at_an_even_rate_on_all_shards_together() {
        for jitter in [0.0, 0.1, 1.0] {
            let mut all = Vec::new();
            for shard in 0..4 {
                all.extend(times(&mut row(2500, 10, (f64::from(shard) + 0.5) / 4.0, jitter)));
            }
            for tenth in 0..100 {
                let (from, to) = (SECOND * tenth / 10, SECOND * (tenth + 1) / 10);
                let count = all.iter().filter(|at| (from..to).contains(at)).count();
                assert!((95..=105).contains(&count), "{count} of 100 in tenth {tenth}, jitter {jitter}");
            }
        }
    }

    #[test]
    fn a_row_is_in_order_whatever_chance_says() {
        let times = times(&mut row(1000, 10, 0.5, 1.0));
        assert!(times.is_sorted() && times.last().is_some_and(|last| *last <= SECOND * 10));
        let even = self::times(&mut row(4, 8, 0.5, 0.0));
        assert_eq!(even, [SECOND, SECOND * 3, SECOND * 5, SECOND * 7]);
    }

    #[test]
    fn what_is_left_of_a_row_is_spread_over_what_is_left_of_the_time() {
        let mut long = row(100, 100, 0.5, 0.0);
        long.closed = 60;
        let now = long.start + SECOND * 60;
        long.restart(now, now + SECOND * 4);
        let times = times(&mut long);
        assert_eq!(times.len(), 40);
        assert_eq!((times[0], times[39]), (SECOND / 20, SECOND * 79 / 20));
        // At once.
        let mut none = row(3, 0, 0.5, 0.1);
        assert_eq!(self::times(&mut none), [Duration::ZERO; 3]);
    }
}
