//! Wakes the poll at a time that is not a whole number of milliseconds away, which is all that a
//! poll's own timeout can do.

use std::io;
use std::time::{Duration, Instant};

use mio::{Registry, Token};

pub(super) const ALARM: Token = Token(usize::MAX - 1);

#[cfg(target_os = "linux")]
pub(super) struct Alarm {
    timer: std::os::fd::OwnedFd,
    set: Option<Instant>,
}

#[cfg(target_os = "linux")]
impl Alarm {
    pub(super) fn new(registry: &Registry) -> io::Result<Self> {
        use std::os::fd::AsRawFd;

        use rustix::time::{TimerfdClockId, TimerfdFlags, timerfd_create};

        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        registry.register(&mut mio::unix::SourceFd(&timer.as_raw_fd()), ALARM, mio::Interest::READABLE)?;
        Ok(Self { timer, set: None })
    }

    /// Lets the poll return at `at`, which is later than `now`. Returns how long the poll may wait
    /// by itself. The timer need not be read: to set it anew clears it.
    pub(super) fn set(&mut self, at: Instant, now: Instant) -> io::Result<Option<Duration>> {
        use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};

        if self.set != Some(at) {
            let left = at.saturating_duration_since(now).max(Duration::from_nanos(1));
            let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
            let value = Timespec { tv_sec: left.as_secs() as _, tv_nsec: left.subsec_nanos().into() };
            timerfd_settime(
                &self.timer,
                TimerfdTimerFlags::empty(),
                &Itimerspec { it_interval: zero, it_value: value },
            )?;
            self.set = Some(at);
        }
        Ok(None)
    }
}

/// Where there is no such timer, what is due waits for the poll's timeout, a millisecond at most.
#[cfg(not(target_os = "linux"))]
pub(super) struct Alarm;

#[cfg(not(target_os = "linux"))]
impl Alarm {
    pub(super) fn new(_registry: &Registry) -> io::Result<Self> {
        Ok(Self)
    }

    pub(super) fn set(&mut self, at: Instant, now: Instant) -> io::Result<Option<Duration>> {
        Ok(Some(at.saturating_duration_since(now)))
    }
}
