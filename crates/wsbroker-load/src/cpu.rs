//! How much processor time a process has used, all its threads together.

use std::ops::{Add, Sub};
use std::time::Instant;

use crate::json::Object;
use crate::redis::Traffic;
use crate::tally::Tally;

/// Ticks per second in `/proc/PID/stat`: `USER_HZ`, 100 on every current Linux, whatever the
/// kernel's own rate.
const TICKS: f64 = 100.0;

/// Processor time in seconds, to 10 ms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct CpuTime {
    pub(crate) user: f64,
    pub(crate) system: f64,
}

impl CpuTime {
    /// What process `pid` has used since it started; `None` without `/proc`, or without such a
    /// process.
    pub(crate) fn of(pid: &str) -> Option<Self> {
        parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    pub(crate) fn total(self) -> f64 {
        self.user + self.system
    }
}

impl Add for CpuTime {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { user: self.user + other.user, system: self.system + other.system }
    }
}

impl Sub for CpuTime {
    type Output = Self;
    fn sub(self, earlier: Self) -> Self {
        Self { user: self.user - earlier.user, system: self.system - earlier.system }
    }
}

/// Measures from its creation on: the time, and the processor time of servers and of this process.
pub(crate) struct Meter {
    begun: Instant,
    pids: Vec<String>,
    redis: Option<String>,
    servers: Vec<Option<CpuTime>>,
    own: Option<CpuTime>,
    traffic: Option<Traffic>,
}

/// What a [`Meter`] has measured.
#[derive(Default)]
pub(crate) struct Measured {
    pub(crate) seconds: f64,
    /// For each process that the options name.
    servers: Vec<Option<CpuTime>>,
    own: Option<CpuTime>,
    traffic: Option<Traffic>,
}

impl Meter {
    /// `pids` are those of the servers, `redis` is the `HOST:PORT` of the Redis between them. Both
    /// are optional.
    pub(crate) fn start(pids: &[u32], redis: Option<&str>) -> Self {
        let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
        let servers = pids.iter().map(|pid| CpuTime::of(pid)).collect();
        let traffic = redis.and_then(|redis| Traffic::of(redis).ok());
        let redis = redis.map(str::to_owned);
        Self { own: CpuTime::of("self"), servers, pids, redis, traffic, begun: Instant::now() }
    }

    pub(crate) fn stop(self, tally: &mut Tally) -> Measured {
        let seconds = self.begun.elapsed().as_secs_f64();
        let used = |before: Option<CpuTime>, after: Option<CpuTime>| Some(after? - before?);
        let now = self.pids.iter().map(|pid| CpuTime::of(pid));
        let servers: Vec<_> = self.servers.iter().zip(now).map(|(before, after)| used(*before, after)).collect();
        if servers.contains(&None) {
            tally.note("--pid: the processor time of that process could not be read".to_owned());
        }
        let own = used(self.own, CpuTime::of("self"));
        let traffic = self.redis.as_deref().map(|redis| Some(Traffic::of(redis).ok()? - self.traffic?));
        if traffic == Some(None) {
            tally.note("--redis: it did not tell what it carries".to_owned());
        }
        Measured { seconds, servers, own, traffic: traffic.flatten() }
    }
}

impl Measured {
    /// Adds `serverCpu`, `ownCpu` and `bus` if they are known, divided by this many messages or
    /// handshakes.
    pub(crate) fn report(&self, mut report: Object, over: u64) -> Object {
        let all = self.servers.iter().copied().collect::<Option<Vec<_>>>();
        let server = all.and_then(|all| all.into_iter().reduce(|a, b| a + b));
        for (name, time) in [("serverCpu", server), ("ownCpu", self.own)] {
            if let Some(time) = time {
                let object = Object::new()
                    .number("userSeconds", time.user)
                    .number("systemSeconds", time.system)
                    .number("seconds", time.total())
                    .number("secondsPerMillion", time.total() / over as f64 * 1e6);
                report = report.object(name, object);
            }
        }
        if self.servers.len() > 1 {
            let each = |object: Object, (i, time): (usize, &Option<CpuTime>)| {
                object.number(&(i + 1).to_string(), time.map_or(f64::NAN, CpuTime::total))
            };
            report = report.object("secondsOfEach", self.servers.iter().enumerate().fold(Object::new(), each));
        }
        if let Some(Traffic { bytes_in, bytes_out, commands }) = self.traffic {
            let bus = Object::new().count("bytesIn", bytes_in).count("bytesOut", bytes_out).count("commands", commands);
            report = report.object("bus", bus);
        }
        report
    }
}

/// Fields 14 and 15; the command's name, field 2, may itself contain spaces and brackets.
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
