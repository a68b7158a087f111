//! Unix sockets and their files.
//!
//! A socket's file exists before its process listens, and stays when the process is killed. Whether
//! it is stale can be found out, but not before another process has come to the same result and put
//! its own in its place. So a process that binds, looks or removes holds a lock, for as long as it
//! listens: on a file beside it, which is never deleted, since a lock on a deleted file keeps no
//! process out.

use std::{
    ffi::OsString,
    io,
    os::{
        fd::OwnedFd,
        unix::fs::{FileTypeExt, MetadataExt},
    },
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, Mode, OFlags};
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::UnixListener;

/// The file of a listening socket, removed with it unless another has taken its name.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

/// The exclusive right to a socket's file, against all other processes and brokers, until dropped.
/// The system releases it when a process is killed.
#[derive(Debug)]
pub(super) struct Lock(#[allow(dead_code)] OwnedFd);

/// Listens on a socket file. A stale one is replaced; any other file is left alone.
pub(super) fn bind(path: &Path, backlog: i32) -> io::Result<(SocketFile, UnixListener, Lock)> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    let address = SockAddr::unix(path)?;
    refuse_others(path)?;
    let lock = Lock::take(path)?;
    if let Err(error) = socket.bind(&address) {
        if error.kind() != io::ErrorKind::AddrInUse || !is_stale(path, &address)? {
            return Err(error);
        }
        tracing::debug!(?path, "a socket file was left behind and is replaced");
        std::fs::remove_file(path)?;
        socket.bind(&address)?;
    }
    let file = SocketFile::of(path)?;
    socket.listen(backlog)?;
    socket.set_nonblocking(true)?;
    Ok((file, UnixListener::from_std(socket.into())?, lock))
}

/// Leaves no lock beside a file that is not ours to replace.
fn refuse_others(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.file_type().is_socket() => {
            Err(io::Error::new(io::ErrorKind::AlreadyExists, "the file in its place is not a socket"))
        }
        _ => Ok(()),
    }
}

impl Lock {
    fn take(path: &Path) -> io::Result<Self> {
        let mut name = OsString::from(path);
        name.push(".lock");
        let refused = |error: rustix::io::Errno, what| {
            let error = io::Error::from(error);
            io::Error::new(error.kind(), format!("{what} {}: {error}", name.display()))
        };
        // For its owner alone: any user that may open it could keep us out. No link is followed,
        // and nothing blocks.
        let flags = OFlags::RDONLY | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = rustix::fs::open(&name, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|error| refused(error, "cannot open the lock file"))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(io::Error::new(
                io::ErrorKind::AddrInUse,
                format!("another server holds {}: it listens on that socket, or is about to", name.display()),
            )),
            Err(error) => Err(refused(error, "cannot lock")),
        }
    }
}

/// Whether the file in the way is a socket on which no process listens. Ask only under the lock:
/// otherwise a process may be about to listen on it.
fn is_stale(path: &Path, address: &SockAddr) -> io::Result<bool> {
    refuse_others(path)?;
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    probe.set_nonblocking(true)?;
    // A full backlog and a socket of another kind refuse in other words: both are alive.
    Ok(probe.connect(address).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused))
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        let path = path.canonicalize()?;
        Ok(Self { identity: identity(&path)?, path })
    }

    /// Absolute, with no symbolic link on the way.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|now| now == self.identity)
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::warn!(path = ?self.path, %error, "the socket file cannot be removed");
        }
    }
}

/// What tells a file from another of the same name.
fn identity(path: &Path) -> io::Result<(u64, u64)> {
    path.symlink_metadata().map(|metadata| (metadata.dev(), metadata.ino()))
}
