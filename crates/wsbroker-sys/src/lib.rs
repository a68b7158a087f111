//! The two calls to the system that the broker needs and no safe library offers.
//!
//! The broker forbids unsafe code. One call tells how much of what was written to a socket the
//! other side has not taken yet; the standard library, rustix and socket2 do not wrap it. The other
//! reads into a part of the spare capacity of a vector or a buffer, where rustix would fill all of
//! it. Both live here, behind a safe interface.

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

/// Reads at most `most` bytes into the spare capacity of `memory`, behind what it holds, and what
/// comes after them into `beyond`, in one call. Nothing is allocated. Returns how many bytes were
/// read, in both. 0: the end, or there is no room.
///
/// # Errors
/// Those of `readv`; then `memory` is as before.
#[cfg(unix)]
pub fn read_behind(
    source: impl std::os::fd::AsFd,
    memory: &mut Vec<u8>,
    most: usize,
    beyond: &mut [u8],
) -> std::io::Result<usize> {
    use std::os::fd::AsRawFd;

    let length = memory.len();
    let spare = memory.spare_capacity_mut();
    let room = spare.len().min(most);
    let parts = [
        libc::iovec { iov_base: spare.as_mut_ptr().cast(), iov_len: room },
        libc::iovec { iov_base: beyond.as_mut_ptr().cast(), iov_len: beyond.len() },
    ];
    // SAFETY: the descriptor is open for as long as `source` is borrowed, and the call writes at
    // most `room` bytes to where `spare` has as many, and to `beyond` at most its length. Nothing
    // else refers to either.
    #[allow(unsafe_code)]
    let result = unsafe { libc::readv(source.as_fd().as_raw_fd(), parts.as_ptr(), 2) };
    let Ok(count) = usize::try_from(result) else { return Err(std::io::Error::last_os_error()) };
    // SAFETY: the first part is filled before the second, so that `count` bytes, or `room` if that
    // is less, have been written right behind the old length.
    #[allow(unsafe_code)]
    unsafe {
        memory.set_len(length + count.min(room));
    }
    Ok(count)
}

/// Reads at most `most` bytes into the spare capacity of `buffer`, behind what it holds. Nothing is
/// allocated. 0: the end, or there is no room.
///
/// # Errors
/// Those of `read`; then `buffer` is as before.
#[cfg(unix)]
pub fn read_into(source: impl std::os::fd::AsFd, buffer: &mut bytes::BytesMut, most: usize) -> std::io::Result<usize> {
    use std::os::fd::AsRawFd;

    let length = buffer.len();
    let spare = buffer.spare_capacity_mut();
    let room = spare.len().min(most);
    // SAFETY: the descriptor is open for as long as `source` is borrowed, and the call writes at
    // most `room` bytes to where `spare` has as many, to which nothing else refers.
    #[allow(unsafe_code)]
    let result = unsafe { libc::read(source.as_fd().as_raw_fd(), spare.as_mut_ptr().cast(), room) };
    let Ok(count) = usize::try_from(result) else { return Err(std::io::Error::last_os_error()) };
    // SAFETY: the call has written `count` bytes, at most `room`, right behind the old length.
    #[allow(unsafe_code)]
    unsafe {
        buffer.set_len(length + count.min(room));
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

    use bytes::BytesMut;

    use super::{read_behind, read_into, unacknowledged};

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
    fn bytes_are_read_behind_those_that_are_there_and_the_rest_beyond() {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        ours.write_all(b"hello, world").unwrap();
        let mut memory = Vec::with_capacity(8);
        memory.extend_from_slice(b"> ");
        let (address, capacity) = (memory.as_ptr(), memory.capacity());
        let mut beyond = [0; 2];
        assert_eq!(read_behind(&theirs, &mut memory, 5, &mut []).unwrap(), 5);
        assert_eq!(memory, b"> hello");
        assert_eq!(read_behind(&theirs, &mut memory, 100, &mut beyond).unwrap(), capacity - 7 + 2);
        assert_eq!((memory.as_slice(), &beyond), (b"> hello,".as_slice(), b" w"));
        assert_eq!((memory.as_ptr(), memory.capacity()), (address, capacity));
        assert_eq!(read_behind(&theirs, &mut memory, 100, &mut []).unwrap(), 0, "there is no room");
        memory.reserve(100);
        let before = memory.clone();
        assert!(read_behind(File::open("/").unwrap(), &mut memory, 100, &mut beyond).is_err());
        assert_eq!((&memory, &beyond), (&before, b" w"));
        assert_eq!(read_behind(&theirs, &mut memory, 100, &mut beyond).unwrap(), 4);
        assert_eq!((memory.as_slice(), &beyond), (b"> hello,orld".as_slice(), b" w"), "all found room");
        drop(ours);
        assert_eq!(read_behind(&theirs, &mut memory, 100, &mut beyond).unwrap(), 0, "the end");
        assert_eq!(memory, b"> hello,orld");
    }

    #[test]
    fn a_buffer_is_read_into_behind_what_it_holds_and_what_was_split_off_stays() {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        ours.write_all(b"hello, world").unwrap();
        let mut buffer = BytesMut::with_capacity(64);
        let address = buffer.as_ptr();
        assert_eq!(read_into(&theirs, &mut buffer, 5).unwrap(), 5);
        let hello = buffer.split();
        assert_eq!(read_into(&theirs, &mut buffer, 100).unwrap(), 7);
        assert_eq!((hello.as_ref(), buffer.as_ref()), (b"hello".as_slice(), b", world".as_slice()));
        assert_eq!((hello.as_ptr(), buffer.as_ptr()), (address, hello.as_ptr_range().end), "in the same memory");
        assert!(read_into(File::open("/").unwrap(), &mut buffer, 10).is_err());
        assert_eq!(buffer, b", world".as_slice());
        let mut full = buffer.split();
        assert_eq!(read_into(&theirs, &mut full, 10).unwrap(), 0, "there is no room");
    }

    #[test]
    fn what_is_no_socket_tells_nothing() {
        assert_eq!(unacknowledged(File::open("/dev/null").unwrap()), None);
    }
}
