//! The times at which something happens to a connection, and the one entry in the wheel that tells
//! of the first of them.

use super::wheel::Tick;

/// When something happens to a connection unless it is called off; 0 = not.
#[derive(Debug, Default)]
pub(super) struct ConnectionTimers {
    /// Is it silent?
    pub(super) idle: Tick,
    /// The close handshake is given up, or the wait for handlers before it or before the end of the
    /// stream.
    pub(super) deadline: Tick,
    /// It has lived long enough.
    pub(super) lifetime: Tick,
    /// It may send again.
    pub(super) tokens: Tick,
    /// The entry in the wheel that counts: that of the first. Others are stale.
    pub(super) armed: Tick,
    /// An entry that is still in the wheel and counted before something came first. It is not set
    /// again: a connection that is paused over and over for sending too much would fill the wheel.
    pub(super) parked: Tick,
}

impl ConnectionTimers {
    fn first(&self) -> Option<Tick> {
        [self.idle, self.deadline, self.lifetime, self.tokens].into_iter().filter(|due| *due != 0).min()
    }

    /// The entry that has to be set now, so that the wheel tells of what comes first.
    pub(super) fn arm(&mut self) -> Option<Tick> {
        let first = self.first()?;
        if self.armed != 0 {
            if first >= self.armed {
                return None;
            }
            self.parked = self.armed;
        }
        self.armed = first;
        (first != self.parked).then_some(first)
    }

    /// Whether it is the entry that counts which has fired.
    pub(super) fn has_fired(&mut self, due: Tick) -> bool {
        if due == self.parked {
            self.parked = 0;
        }
        let counts = due == self.armed;
        if counts {
            self.armed = 0;
        }
        counts
    }
}

/// Whether this is due; it is then over.
pub(super) fn take_due(due: &mut Tick, now: Tick) -> bool {
    let is = *due != 0 && *due <= now;
    if is {
        *due = 0;
    }
    is
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client that sends too much is paused some ten times a second.
    #[test]
    fn pauses_leave_nothing_in_the_wheel() {
        let (mut timers, mut in_wheel) =
            (ConnectionTimers { idle: 10_000, lifetime: 20_000, ..ConnectionTimers::default() }, Vec::new());
        in_wheel.extend(timers.arm());
        let mut idle_checks = 0;
        for now in 1..15_000 {
            if timers.tokens == 0 {
                timers.tokens = now + 1;
                in_wheel.extend(timers.arm());
            }
            let due: Vec<_> = in_wheel.extract_if(.., |due| *due == now).collect();
            for due in due {
                if timers.has_fired(due) {
                    take_due(&mut timers.tokens, now);
                    if take_due(&mut timers.idle, now) {
                        idle_checks += 1;
                        timers.idle = now + 10_000;
                    }
                    in_wheel.extend(timers.arm());
                }
            }
            assert!(in_wheel.len() <= 2, "{in_wheel:?}");
            assert!(timers.first().is_none_or(|first| in_wheel.contains(&first)), "{timers:?} in {in_wheel:?}");
        }
        assert_eq!(idle_checks, 1);
    }
}
