//! Unix sockets and their files.

use std::{
    io::{ErrorKind, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
};

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
fn a_file_that_nobody_listens_on_is_replaced() {
    let folder = Folder::new("stale");
    let path = folder.0.join("ws.sock");
    drop(UnixListener::bind(&path).unwrap());
    let broker = broker();
    let _keeper = Keeper::open(&broker);
    let listener = serve(&broker, at(&path));
    assert_eq!(status(&path, "/"), 101);
    // Somebody puts their own in its place: it is not ours to remove.
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
