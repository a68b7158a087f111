//! A coarse timer wheel: cheap to set, cheap to forget, exact to a tick.

use std::time::{Duration, Instant};

/// Length of a tick. Deadlines are rounded up to it: limits of seconds do not need more, and an
/// idle shard wakes 20 times a second at most.
pub(super) const TICK: Duration = Duration::from_millis(50);
const SLOTS: usize = 1024;
const WORDS: usize = SLOTS / u64::BITS as usize;

/// A point in time of one shard: ticks since it started.
pub(super) type Tick = u32;

/// How many ticks a duration takes, rounded up, at least one.
pub(super) fn ticks(duration: Duration) -> Tick {
    let ticks = duration.as_nanos().div_ceil(TICK.as_nanos());
    Tick::try_from(ticks).unwrap_or(Tick::MAX / 4).clamp(1, Tick::MAX / 4)
}

/// What is due, and when.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct TimerEntry {
    pub(super) slot: u32,
    pub(super) due: Tick,
}

/// The timers of a shard. Nothing is ever removed: a connection ignores timers that it no longer
/// wants.
#[derive(Debug)]
pub(super) struct Wheel {
    slots: Vec<Vec<TimerEntry>>,
    /// A bit for each slot that holds something: [`sleep`](Self::sleep) is asked every turn.
    occupied: [u64; WORDS],
    now: Tick,
    start: Instant,
}

impl Wheel {
    pub(super) fn new(start: Instant) -> Self {
        Self { slots: (0..SLOTS).map(|_| Vec::new()).collect(), occupied: [0; WORDS], now: 0, start }
    }

    pub(super) fn now(&self) -> Tick {
        self.now
    }

    pub(super) fn set(&mut self, entry: TimerEntry) {
        // What is due already comes with the next tick.
        let at = entry.due.max(self.now + 1);
        let index = at as usize % SLOTS;
        if let Some(slot) = self.slots.get_mut(index) {
            slot.push(entry);
            self.mark(index, true);
        }
    }

    /// Moves on to this time and collects what has become due.
    pub(super) fn advance(&mut self, time: Instant, due: &mut Vec<TimerEntry>) {
        let target = Tick::try_from(time.saturating_duration_since(self.start).as_nanos() / TICK.as_nanos())
            .unwrap_or(Tick::MAX);
        if target <= self.now {
            return;
        }
        // After a long sleep one round visits every slot.
        let steps = (target - self.now).min(SLOTS as u32);
        for step in 0..steps {
            let index = (target - step) as usize % SLOTS;
            let Some(slot) = self.slots.get_mut(index) else { continue };
            slot.retain(|entry| {
                let keep = entry.due > target;
                if !keep {
                    due.push(*entry);
                }
                keep
            });
            if slot.is_empty() {
                if slot.capacity() > 64 {
                    slot.shrink_to(0);
                }
                self.mark(index, false);
            }
        }
        self.now = target;
    }

    /// How long the shard may sleep: until the next slot that holds anything.
    pub(super) fn sleep(&self, time: Instant) -> Option<Duration> {
        let ahead = self.next_occupied((self.now as usize + 1) % SLOTS)? as u32 + 1;
        let wake = self.start + TICK * (self.now + ahead);
        Some(wake.saturating_duration_since(time))
    }

    /// How many slots behind this one the next is that holds something, all around.
    fn next_occupied(&self, from: usize) -> Option<usize> {
        let (first, bit) = (from / 64, from % 64);
        // The first word comes again at the end, for the slots before `from`.
        (0..=WORDS).find_map(|step| {
            let word = *self.occupied.get((first + step) % WORDS)?;
            let word = if step == 0 { word & (u64::MAX << bit) } else { word };
            (word != 0).then(|| step * 64 + word.trailing_zeros() as usize - bit)
        })
    }

    fn mark(&mut self, slot: usize, occupied: bool) {
        if let Some(word) = self.occupied.get_mut(slot / 64) {
            let bit = 1 << (slot % 64);
            if occupied { *word |= bit } else { *word &= !bit }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fired(wheel: &mut Wheel, time: Instant) -> Vec<u32> {
        let mut due = Vec::new();
        wheel.advance(time, &mut due);
        let mut slots: Vec<_> = due.iter().map(|entry| entry.slot).collect();
        slots.sort_unstable();
        slots
    }

    #[test]
    fn a_timer_fires_at_its_tick_and_not_before() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        wheel.set(TimerEntry { slot: 1, due: 2 });
        wheel.set(TimerEntry { slot: 2, due: 2 + SLOTS as u32 });
        assert_eq!(wheel.sleep(start), Some(TICK * 2));
        assert_eq!(fired(&mut wheel, start + TICK), [0_u32; 0]);
        assert_eq!(fired(&mut wheel, start + TICK * 2), [1]);
        assert_eq!(fired(&mut wheel, start + TICK * (1 + SLOTS as u32)), [0_u32; 0]);
        assert_eq!(fired(&mut wheel, start + TICK * (2 + SLOTS as u32)), [2]);
        assert_eq!(wheel.sleep(start), None);
    }

    #[test]
    fn it_sleeps_until_the_next_timer_wherever_that_lies() {
        let start = Instant::now();
        for now in (0..2 * SLOTS as u32).step_by(37) {
            for ahead in [1, 2, 27, 28, 63, 64, 65, 511, 1023, 1024] {
                let mut wheel = Wheel::new(start);
                let time = start + TICK * now;
                assert_eq!(fired(&mut wheel, time), [0_u32; 0]);
                wheel.set(TimerEntry { slot: 1, due: now + ahead });
                assert_eq!(wheel.sleep(time), Some(TICK * ahead), "{ahead} behind {now}");
                wheel.set(TimerEntry { slot: 2, due: now + 1 });
                assert_eq!(wheel.sleep(time), Some(TICK), "the earlier of two");
            }
        }
    }

    #[test]
    fn a_long_sleep_loses_nothing() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        for slot in 0..3000 {
            wheel.set(TimerEntry { slot, due: slot + 1 });
        }
        assert_eq!(fired(&mut wheel, start + TICK * 2000).len(), 2000);
        wheel.set(TimerEntry { slot: 9000, due: 5 });
        assert!(
            fired(&mut wheel, start + TICK * 2001).contains(&9000),
            "what was due already comes with the next tick"
        );
        assert_eq!(fired(&mut wheel, start + TICK * 100_000).len(), 999);
    }
}
