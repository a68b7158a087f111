//! Unix sockets and their files.

use std::{
    io::{ErrorKind, Write},
    os::unix::{
        fs::MetadataExt,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::Barrier,
};

use rustix::fs::{FlockOperation, flock};
use socket2::{Domain, SockAddr, Socket, Type};

use wsbroker_core::{Bind, CloseCode, ListenError, ListenerConfig};

use crate::kit::*;

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("wsbroker-front-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn at(path: &Path) -> ListenerConfig {
    ListenerConfig::new(Bind::Unix(path.into()))
}

fn status(path: &Path, target: &str) -> u16 {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(handshake(target, &[]).as_bytes()).unwrap();
    answer(&mut stream).status
}

#[test]
fn a_unix_socket_is_served_and_its_file_removed() {
    let folder = Folder::new("served");
    let path = folder.0.join("ws.sock");
    let broker = broker();
    let keeper = Keeper::open(&broker);
    let listener = serve(&broker, ListenerConfig { paths: vec!["/a".into()], ..at(&path) });
    assert_eq!((listener.address(), listener.port()), (path.display().to_string(), 0));
    assert_eq!(listener.url(), format!("ws+unix:{}", path.display()));
    assert_eq!(status(&path, "/a"), 101);
    assert_eq!(status(&path, "/b"), 404);
    let request = keeper.requests.lock()[0].clone();
    assert_eq!((request.ip.as_str(), request.remote_port), ("", 0));
    // The same file by another name.
    let link = folder.0.join("link");
    std::os::unix::fs::symlink(&folder.0, &link).unwrap();
    let second = serve(&broker, ListenerConfig { paths: vec!["/b".into()], ..at(&link.join("ws.sock")) });
    assert_eq!(status(&path, "/b"), 101);
    close(&broker, &listener);
    assert!(path.exists());
    close(&broker, &second);
    assert!(!path.exists());
}

#[test]
fn a_file_that_no_process_listens_on_is_replaced() {
    let folder = Folder::new("stale");
    let path = folder.0.join("ws.sock");
    drop(UnixListener::bind(&path).unwrap());
    let broker = broker();
    let _keeper = Keeper::open(&broker);
    let listener = serve(&broker, at(&path));
    assert_eq!(status(&path, "/"), 101);
    // Another process puts its own in its place: it is not ours to remove.
    std::fs::remove_file(&path).unwrap();
    let _other = UnixListener::bind(&path).unwrap();
    close(&broker, &listener);
    assert!(path.exists());
}

#[test]
fn a_file_in_use_and_any_other_file_are_left_alone() {
    let folder = Folder::new("taken");
    let path = folder.0.join("ws.sock");
    let live = UnixListener::bind(&path).unwrap();
    let broker = broker();
    let error = reserve(&broker, at(&path)).unwrap_err();
    assert!(matches!(&error, ListenError::Bind { source, .. } if source.kind() == ErrorKind::AddrInUse), "{error:?}");
    live.set_nonblocking(false).unwrap();
    UnixStream::connect(&path).unwrap();

    let file = folder.0.join("notes.txt");
    std::fs::write(&file, "keep me").unwrap();
    let error = reserve(&broker, at(&file)).unwrap_err();
    assert!(matches!(error, ListenError::Bind { .. }), "{error:?}");
    assert!(!folder.0.join("notes.txt.lock").exists());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "keep me");
    let link = folder.0.join("dangling");
    std::os::unix::fs::symlink(folder.0.join("nowhere"), &link).unwrap();
    assert!(reserve(&broker, at(&link)).is_err());
    assert!(link.symlink_metadata().is_ok());
    assert!(reserve(&broker, at(&folder.0.join("no/such/folder.sock"))).is_err());
}

#[test]
fn a_broker_that_ends_removes_its_file() {
    let folder = Folder::new("ended");
    let path = folder.0.join("ws.sock");
    let broker = broker();
    let listener = serve(&broker, at(&path));
    broker.runtime().clone().block_on(broker.shutdown(CloseCode::GOING_AWAY, DEADLINE));
    assert!(!path.exists());
    drop(listener);
}

fn lock_of(path: &Path) -> PathBuf {
    let mut lock = path.as_os_str().to_owned();
    lock.push(".lock");
    lock.into()
}

/// Another process has bound and does not listen yet: nothing answers there, but it is not stale.
#[test]
fn a_socket_that_a_process_is_about_to_listen_on_is_left_alone() {
    let folder = Folder::new("about");
    let path = folder.0.join("ws.sock");
    let held = std::fs::File::create(lock_of(&path)).unwrap();
    flock(&held, FlockOperation::NonBlockingLockExclusive).unwrap();
    let other = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    other.bind(&SockAddr::unix(&path).unwrap()).unwrap();
    let before = path.metadata().unwrap().ino();
    let broker = broker();
    let error = reserve(&broker, at(&path)).unwrap_err();
    assert!(matches!(&error, ListenError::Bind { source, .. } if source.kind() == ErrorKind::AddrInUse), "{error:?}");
    assert!(error.to_string().contains("ws.sock.lock"), "{error}");
    assert_eq!(path.metadata().unwrap().ino(), before);
    // Its process is killed: both are the system's again.
    drop((other, held));
    drop(reserve(&broker, at(&path)).unwrap());
}

#[test]
fn of_many_that_find_a_stale_file_at_once_one_listens() {
    const ROUNDS: usize = 200;
    let folder = Folder::new("race");
    let path = folder.0.join("ws.sock");
    let brokers: Vec<_> = (0..3).map(|_| broker()).collect();
    let start = Barrier::new(brokers.len());
    for round in 0..ROUNDS {
        drop(UnixListener::bind(&path).unwrap());
        let listeners: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = brokers
                .iter()
                .map(|broker| {
                    scope.spawn(|| {
                        start.wait();
                        reserve(broker, at(&path))
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let winners = listeners.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(winners, 1, "round {round}: {listeners:?}");
        UnixStream::connect(&path).unwrap();
        drop(listeners);
        assert!(!path.exists(), "it is the winner's to remove");
    }
}

#[test]
fn the_lock_stays_and_belongs_to_one_broker_at_a_time() {
    let folder = Folder::new("lock");
    let path = folder.0.join("ws.sock");
    let (first, second) = (broker(), broker());
    let _keeper = Keeper::open(&first);
    let listener = serve(&first, ListenerConfig { paths: vec!["/a".into()], ..at(&path) });
    let lock = lock_of(&path).metadata().unwrap();
    assert_eq!((lock.len(), lock.mode() & 0o777), (0, 0o600));
    // Another path on it is the same broker's.
    let beside = serve(&first, ListenerConfig { paths: vec!["/b".into()], ..at(&path) });
    assert_eq!((status(&path, "/a"), status(&path, "/b")), (101, 101));
    assert!(reserve(&second, at(&path)).is_err());
    close(&first, &listener);
    assert!(reserve(&second, at(&path)).is_err(), "one is left");
    close(&first, &beside);
    let taken_over = serve(&second, at(&path));
    assert_eq!(lock_of(&path).metadata().unwrap().ino(), lock.ino());
    close(&second, &taken_over);
    assert!(lock_of(&path).exists() && !path.exists());
}

#[test]
fn a_lock_that_is_a_link_is_not_followed() {
    let folder = Folder::new("link");
    let (path, elsewhere) = (folder.0.join("ws.sock"), folder.0.join("elsewhere"));
    std::os::unix::fs::symlink(&elsewhere, lock_of(&path)).unwrap();
    let error = reserve(&broker(), at(&path)).unwrap_err();
    assert!(error.to_string().contains("cannot open the lock file"), "{error}");
    assert!(!elsewhere.exists() && !path.exists());
}
