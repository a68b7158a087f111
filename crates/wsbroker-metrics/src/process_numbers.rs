//! What the operating system says of this process.

use std::{sync::OnceLock, time::SystemTime};

/// Memory, descriptors and times of this process. What the system does not tell is `None`; only
/// Linux tells all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProcessNumbers {
    /// Bytes in RAM.
    pub resident_memory: Option<u64>,
    /// Bytes of address space.
    pub virtual_memory: Option<u64>,
    /// Open file descriptors.
    pub open_fds: Option<u64>,
    /// The most of them that it may have: `ulimit -n`.
    pub max_fds: Option<u64>,
    /// Seconds of CPU time, of all threads, in user and system mode.
    pub cpu_seconds: Option<f64>,
    /// When it started, in seconds since 1970. Where the system does not tell: when this was asked
    /// first.
    pub start_time: f64,
}

impl ProcessNumbers {
    /// The numbers now.
    #[must_use]
    pub fn now() -> Self {
        #[cfg_attr(not(target_os = "linux"), expect(unused_mut))]
        let mut numbers = Self { start_time: start_time(), ..Self::default() };
        #[cfg(target_os = "linux")]
        numbers.read_proc();
        numbers
    }

    #[cfg(target_os = "linux")]
    fn read_proc(&mut self) {
        self.open_fds = open_fds();
        self.max_fds = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let Ok(stat) = procfs::process::Process::myself().and_then(|own| own.stat()) else { return };
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        self.resident_memory = Some(stat.rss * rustix::param::page_size() as u64);
        self.virtual_memory = Some(stat.vsize);
        self.cpu_seconds = Some((stat.utime + stat.stime) as f64 / ticks);
    }
}

/// Since Linux 6.2 the size of the folder is their number; before, it is 0. Counting a hundred
/// thousand entries would take longer than all the rest.
#[cfg(target_os = "linux")]
fn open_fds() -> Option<u64> {
    const OWN: &str = "/proc/self/fd";
    match std::fs::metadata(OWN).ok()?.len() {
        // Without the one of the listing.
        0 => Some((std::fs::read_dir(OWN).ok()?.count() as u64).saturating_sub(1)),
        count => Some(count),
    }
}

/// Looked up once: it does not change.
fn start_time() -> f64 {
    static START: OnceLock<f64> = OnceLock::new();
    *START.get_or_init(|| {
        #[cfg(target_os = "linux")]
        if let Some(start) = start_by_proc() {
            return start;
        }
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        now.map_or(0.0, |since| since.as_secs_f64())
    })
}

#[cfg(target_os = "linux")]
fn start_by_proc() -> Option<f64> {
    use procfs::CurrentSI;
    let boot = procfs::KernelStats::current().ok()?.btime;
    let stat = procfs::process::Process::myself().and_then(|own| own.stat()).ok()?;
    Some(boot as f64 + stat.starttime as f64 / rustix::param::clock_ticks_per_second() as f64)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::{fs::File, time::Duration};

    use super::*;

    #[test]
    fn open_descriptors_are_counted() {
        let before = ProcessNumbers::now().open_fds.expect("Linux tells");
        // Tests of one process run on threads that open files, too: so many that it shows.
        let open: Vec<File> = (0..100).map(|_| File::open("/dev/null").expect("there is one")).collect();
        let now = ProcessNumbers::now();
        let more = now.open_fds.expect("Linux tells") - before;
        assert!((80..120).contains(&more), "{more} more");
        drop(open);
        assert!(now.max_fds.expect("Linux tells") >= before);
    }

    #[test]
    fn memory_cpu_and_the_start_are_told() {
        let numbers = ProcessNumbers::now();
        let resident = numbers.resident_memory.expect("Linux tells");
        assert!((1 << 20..numbers.virtual_memory.expect("Linux tells")).contains(&resident), "{resident}");
        assert!(numbers.cpu_seconds.expect("Linux tells") < 3600.0);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
        let age = now.saturating_sub(Duration::from_secs_f64(numbers.start_time));
        assert!(age < Duration::from_secs(3600), "it has run for {age:?}");
    }
}
