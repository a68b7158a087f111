//! The two calls to the system that the broker needs and no safe library offers.
//!
//! The broker forbids unsafe code. One call tells how much of what was written to a socket the
//! other side has not taken yet; the standard library, rustix and socket2 do not wrap it. The other
//! reads into a part of a vector's spare capacity, where rustix would fill all of it. Both live
//! here, behind a safe interface.

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
