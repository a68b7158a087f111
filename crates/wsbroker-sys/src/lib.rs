//! The three calls to the system that the broker needs and no safe library offers.
//!
//! The broker forbids unsafe code. One call tells how much of what was written to a socket the
//! other side has not taken yet; the standard library, rustix and socket2 do not wrap it. One reads
//! into a part of a vector's spare capacity, where rustix would fill all of it. And one tells the C
//! library how much freed memory to keep. All live here, behind a safe interface.

#![deny(unsafe_code)]

/// Bytes that were written to a connected stream socket and that the peer's kernel has not
/// acknowledged. For a unix socket: what the peer has not read, as the kernel counts it, which is
/// more than the bytes of it.
///
/// `None` where the system does not tell: on systems other than Linux, Android and Apple's, or for
/// a socket that has no such queue.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[must_use]
pub fn unacknowledged(socket: impl std::os::fd::AsFd) -> Option<usize> {
    use std::os::fd::AsRawFd;

    let mut bytes: libc::c_int = 0;
    // SAFETY: the descriptor is open for as long as `socket` is borrowed. On a socket this request
    // (SIOCOUTQ by its other name) writes one `int` to where the third argument points, on anything
    // else one `int` or nothing; `bytes` is such an `int`, and nothing else refers to it.
    #[allow(unsafe_code)]
    let result = unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if result == 0 { usize::try_from(bytes).ok() } else { None }
}

/// Bytes that were written to a connected stream socket and that the peer's kernel has not
/// acknowledged.
///
/// `None` for a socket that has no such queue.
#[cfg(target_vendor = "apple")]
#[must_use]
pub fn unacknowledged(socket: impl std::os::fd::AsFd) -> Option<usize> {
    use std::os::fd::AsRawFd;

    let mut bytes: libc::c_int = 0;
    let mut length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the descriptor is open for as long as `socket` is borrowed. The call writes at most
    // `length` bytes to `bytes`, which has as many, and how many they were to `length`; nothing
    // else refers to either.
    #[allow(unsafe_code)]
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NWRITE,
            (&raw mut bytes).cast(),
            &raw mut length,
        )
    };
    if result == 0 { usize::try_from(bytes).ok() } else { None }
}

/// `None`: this system does not tell.
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
#[must_use]
pub fn unacknowledged<T>(_: T) -> Option<usize> {
    None
}

/// Reads at most `most` bytes into the spare capacity of `memory`, behind what it holds. Nothing is
/// allocated. 0: the end, or there is no room.
///
/// # Errors
/// Those of `read`; then `memory` is as before.
#[cfg(unix)]
pub fn read_behind(source: impl std::os::fd::AsFd, memory: &mut Vec<u8>, most: usize) -> std::io::Result<usize> {
    use std::os::fd::AsRawFd;

    let length = memory.len();
    let spare = memory.spare_capacity_mut();
    let room = spare.len().min(most);
    // SAFETY: the descriptor is open for as long as `source` is borrowed, and the call writes at
    // most `room` bytes to where `spare` has as many, to which nothing else refers.
    #[allow(unsafe_code)]
    let result = unsafe { libc::read(source.as_fd().as_raw_fd(), spare.as_mut_ptr().cast(), room) };
    let Ok(count) = usize::try_from(result) else { return Err(std::io::Error::last_os_error()) };
    // SAFETY: the call has written `count` bytes, at most `room`, right behind the old length.
    #[allow(unsafe_code)]
    unsafe {
        memory.set_len(length + count.min(room));
    }
    Ok(count.min(room))
}

/// What glibc keeps of freed memory at the end of each of its heaps, in bytes. Engines free the
/// buffers that JavaScript has let go of when they collect garbage, 32 MiB and more at a time.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEEP: libc::c_int = 64 << 20;
/// The largest threshold that glibc takes, in bytes. Larger allocations are mapped one by one.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MAPPED: libc::c_int = 32 << 20;

/// Has the C library keep freed memory for the next large allocations of the process. Only the
/// first call does something, and only with glibc.
///
/// By default glibc returns memory to the system as soon as 2 MiB or so are free at the end of a
/// heap. A buffer for a large message is then made of pages that the system has to find and clear,
/// which takes several times longer than to fill them.
///
/// It leaves everything as it is if the environment has settings for this:
/// `MALLOC_TRIM_THRESHOLD_`, `MALLOC_MMAP_THRESHOLD_`, or `GLIBC_TUNABLES` with one of
/// `glibc.malloc`.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn keep_freed_memory() {
    use std::{env, sync::Once};

    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let is_set =
            ["MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"].iter().any(|name| env::var_os(name).is_some());
        let tunables = env::var("GLIBC_TUNABLES").unwrap_or_default();
        if is_set || tunables.contains("glibc.malloc") {
            return;
        }
        // SAFETY: the call may be made at any time and from any thread, since it takes the locks
        // that it needs. It changes two numbers, within their bounds.
        #[allow(unsafe_code)]
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED);
            libc::mallopt(libc::M_TRIM_THRESHOLD, KEEP);
        }
    });
}

/// Nothing: only glibc has such settings.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn keep_freed_memory() {}

#[cfg(all(test, any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
mod tests {
    use std::{
        fs::File,
        io::{Read, Write},
        net::{TcpListener, TcpStream},
        os::unix::net::UnixStream,
        time::{Duration, Instant},
    };

    use super::{read_behind, unacknowledged};

    /// Fills a socket whose peer does not read. Returns how much it took.
    fn fill(stream: &mut impl Write) -> usize {
        let mut written = 0;
        while let Ok(count) = stream.write(&[0; 16 << 10]) {
            written += count;
        }
        written
    }

    fn until(what: &str, holds: impl Fn() -> bool) {
        let start = Instant::now();
        while !holds() {
            assert!(start.elapsed() < Duration::from_secs(10), "waited in vain until {what}");
            std::thread::yield_now();
        }
    }

    #[test]
    fn tcp_tells_what_the_peers_kernel_has_not_taken() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut theirs, _) = listener.accept().unwrap();
        ours.set_nonblocking(true).unwrap();
        assert_eq!(unacknowledged(&ours), Some(0));
        ours.write_all(b"hello").unwrap();
        until("the peer's kernel has it, though nobody reads", || unacknowledged(&ours) == Some(0));
        let written = fill(&mut ours);
        let waiting = unacknowledged(&ours).unwrap();
        assert!(0 < waiting && waiting <= written, "{waiting} of {written}");
        theirs.read_exact(&mut vec![0; written + 5]).unwrap();
        until("all is taken", || unacknowledged(&ours) == Some(0));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_unix_socket_tells_what_the_peer_has_not_read() {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        assert_eq!(unacknowledged(&ours), Some(0));
        let written = fill(&mut ours);
        assert!(unacknowledged(&ours).unwrap() >= written);
        theirs.read_exact(&mut vec![0; written]).unwrap();
        assert_eq!(unacknowledged(&ours), Some(0));
    }

    #[test]
    fn bytes_are_read_behind_those_that_are_there_and_no_more_than_asked_for() {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        ours.write_all(b"hello, world").unwrap();
        let mut memory = Vec::with_capacity(8);
        memory.extend_from_slice(b"> ");
        let (address, capacity) = (memory.as_ptr(), memory.capacity());
        assert_eq!(read_behind(&theirs, &mut memory, 5).unwrap(), 5);
        assert_eq!(memory, b"> hello");
        assert_eq!(read_behind(&theirs, &mut memory, 100).unwrap(), capacity - 7);
        assert_eq!(memory.get(..8), Some(b"> hello,".as_slice()));
        assert_eq!((memory.as_ptr(), memory.capacity()), (address, capacity));
        assert_eq!(read_behind(&theirs, &mut memory, 100).unwrap(), 0, "there is no room");
        let before = memory.clone();
        memory.reserve(100);
        assert!(read_behind(File::open("/").unwrap(), &mut memory, 100).is_err());
        assert_eq!(memory, before);
        drop(ours);
        while read_behind(&theirs, &mut memory, 100).unwrap() > 0 {}
        assert_eq!(memory, b"> hello, world");
    }

    #[test]
    fn what_is_no_socket_tells_nothing() {
        assert_eq!(unacknowledged(File::open("/dev/null").unwrap()), None);
    }
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
// Not all of it is in test functions, so clippy.toml does not see that this is a test.
#[allow(clippy::unwrap_used)]
mod memory_tests {
    use std::{env, fs, hint::black_box, process::Command};

    use super::keep_freed_memory;

    const MIB: usize = 1 << 20;

    /// Pages that the system had to find for this thread so far.
    fn faults() -> usize {
        let stat = fs::read_to_string("/proc/thread-self/stat").unwrap();
        let behind_the_name = stat.rsplit(')').next().unwrap();
        behind_the_name.split_whitespace().nth(7).unwrap().parse().unwrap()
    }

    /// Pages for each MiB that is allocated, filled and freed, 20 MiB at a time.
    fn faults_of_a_mib() -> usize {
        let round = || drop(black_box((0..20).map(|_| vec![1u8; MIB]).collect::<Vec<_>>()));
        round();
        let before = faults();
        (0..10).for_each(|_| round());
        (faults() - before) / 200
    }

    /// Runs a test that is otherwise ignored in a process of its own, since settings are for all of
    /// it. Returns what it printed.
    fn alone(name: &str, environment: &[(&str, &str)]) -> String {
        let mut command = Command::new(env::current_exe().unwrap());
        for name in ["MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES"] {
            command.env_remove(name);
        }
        let name = format!("memory_tests::{name}");
        command.args(["--exact", &name, "--ignored", "--nocapture"]).envs(environment.iter().copied());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn freed_memory_is_used_again() {
        assert!(alone("measure", &[]).contains("before: many, after: few"));
    }

    #[test]
    fn the_settings_of_the_environment_stay() {
        let set = [("MALLOC_TRIM_THRESHOLD_", "1000000"), ("GLIBC_TUNABLES", "glibc.malloc.trim_threshold=1000000")];
        for variable in set {
            assert!(alone("measure", &[variable]).contains("before: many, after: many"), "{variable:?}");
        }
    }

    #[test]
    #[ignore = "run by the others, in a process of its own"]
    fn measure() {
        let amount = |faults| if faults > 100 { "many" } else { "few" };
        let before = faults_of_a_mib();
        keep_freed_memory();
        let after = faults_of_a_mib();
        println!("before: {}, after: {} ({before}, {after})", amount(before), amount(after));
    }
}
