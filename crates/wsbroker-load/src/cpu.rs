//! How much processor time a process has used, all its threads together.

use std::ops::Sub;
use std::time::Instant;

use crate::json::Object;
use crate::tally::Tally;

/// Ticks per second in `/proc/PID/stat`: `USER_HZ`, 100 on every Linux of today whatever the kernel's own rate.
const TICKS: f64 = 100.0;

/// Processor time in seconds, to 10 ms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct CpuTime {
    pub(crate) user: f64,
    pub(crate) system: f64,
}

impl CpuTime {
    /// What process `pid` has used since it began; `None` where there is no `/proc`, or no such process.
    pub(crate) fn of(pid: &str) -> Option<Self> {
        parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    pub(crate) fn total(self) -> f64 {
        self.user + self.system
    }
}

impl Sub for CpuTime {
    type Output = Self;
    fn sub(self, earlier: Self) -> Self {
        Self { user: self.user - earlier.user, system: self.system - earlier.system }
    }
}

/// Counts from when it was made: time, and what the server and this process use of the processor.
pub(crate) struct Meter {
    begun: Instant,
    pid: Option<String>,
    server: Option<CpuTime>,
    own: Option<CpuTime>,
}

/// What a [`Meter`] has counted.
#[derive(Default)]
pub(crate) struct Measured {
    pub(crate) seconds: f64,
    server: Option<CpuTime>,
    own: Option<CpuTime>,
}

impl Meter {
    /// `pid` is that of the server, if it was told.
    pub(crate) fn start(pid: Option<u32>) -> Self {
        let pid = pid.map(|pid| pid.to_string());
        let server = pid.as_deref().and_then(CpuTime::of);
        Self { own: CpuTime::of("self"), server, pid, begun: Instant::now() }
    }

    pub(crate) fn stop(self, tally: &mut Tally) -> Measured {
        let seconds = self.begun.elapsed().as_secs_f64();
        let (server, own) = (self.pid.as_deref().and_then(CpuTime::of), CpuTime::of("self"));
        if self.pid.is_some() && server.is_none() {
            tally.note("--pid: the processor time of that process could not be read".to_owned());
        }
        let used = |before: Option<CpuTime>, after: Option<CpuTime>| Some(after? - before?);
        Measured { seconds, server: used(self.server, server), own: used(self.own, own) }
    }
}

impl Measured {
    /// Adds `serverCpu` and `ownCpu` where they are known, over that many messages or handshakes.
    pub(crate) fn report(&self, mut report: Object, over: u64) -> Object {
        for (name, time) in [("serverCpu", self.server), ("ownCpu", self.own)] {
            if let Some(time) = time {
                let object = Object::new()
                    .number("userSeconds", time.user)
                    .number("systemSeconds", time.system)
                    .number("seconds", time.total())
                    .number("secondsPerMillion", time.total() / over as f64 * 1e6);
                report = report.object(name, object);
            }
        }
        report
    }
}

/// Fields 14 and 15; the command's name, field 2, may itself hold spaces and brackets.
fn parse(stat: &str) -> Option<CpuTime> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11).map(|field| field.parse::<f64>().ok());
    Some(CpuTime { user: fields.next()?? / TICKS, system: fields.next()?? / TICKS })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_may_look_like_fields() {
        let stat = "42 (a ) R 1 2) S 1 42 42 0 -1 4194560 100 0 0 0 250 75 0 0 20 0 1 0 5 0 0";
        assert_eq!(parse(stat), Some(CpuTime { user: 2.5, system: 0.75 }));
        assert_eq!(parse("nothing"), None);
    }
}
