//! How to connect to a server: TLS, Unix domain sockets, PROXY headers, many source addresses.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::support::{Fault, Front, Server, run_to};

/// A file name that nothing else has. Dropping it removes the file.
struct Scratch(PathBuf);

impl Scratch {
    fn new(extension: &str) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(std::env::temp_dir().join(format!("wsbroker-load-{}-{number}.{extension}", std::process::id())))
    }

    fn with(extension: &str, content: &str) -> Self {
        let scratch = Self::new(extension);
        std::fs::write(&scratch.0, content).unwrap();
        scratch
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn url(scheme: &str, server: &Server) -> String {
    format!("{scheme}://localhost:{}/", server.port)
}

#[test]
fn all_is_verified_through_tls() {
    let server = Server::start_behind(Front::with_tls().0, Fault::None);
    for line in [
        "echo --connections 8 --depth 4 --messages 4000 --warmup 100",
        "echo --connections 3 --size 1000000 --binary --messages 30",
        "publish --connections 50 --publishers 4 --depth 2 --messages 200",
        "rooms --rooms 7 --members 5 --messages 700",
        "flood --connections 2 --messages 20000",
        "connect --connections 5 --messages 100",
        "connect --connections 5 --messages 100 --touch --abrupt",
    ] {
        let outcome = run_to(&url("wss", &server), line);
        outcome.assert_verified();
        assert!(outcome.json.contains("\"tls\":{\"TLSv1_3 TLS13_AES_"), "{}", outcome.json);
    }
    run_to(&url("ws", &server), "echo --tls --messages 100").assert_verified();
}

#[test]
fn what_a_server_does_wrong_behind_tls_is_noticed() {
    let (front, _) = Front::with_tls();
    let server = Server::start_behind(front, Fault::Damage(50));
    let outcome = run_to(&url("wss", &server), "echo --connections 1 --messages 200 --stall 1");
    outcome.assert_not_verified();
    assert_eq!(outcome.errors(), [1, 0, 1], "{}", outcome.json);
}

#[test]
fn a_server_without_tls_is_told() {
    let server = Server::start(Fault::None);
    let outcome = run_to(&url("wss", &server), "echo --connections 2 --messages 10 --stall 2");
    outcome.assert_not_verified();
    assert_eq!(outcome.count("refused"), 2, "{}", outcome.json);
}

#[test]
fn a_certificate_is_checked_against_a_ca() {
    let (front, ca) = Front::with_tls();
    let server = Server::start_behind(front, Fault::None);
    let right = Scratch::with("pem", &ca);
    let line = format!("echo --connections 2 --messages 100 --ca {}", right.0.display());
    run_to(&url("wss", &server), &line).assert_verified();
    // Right issuer, wrong name.
    let outcome = run_to(&format!("wss://127.0.0.1:{}/", server.port), &line);
    outcome.assert_not_verified();
    assert!(outcome.count("refused") == 2 && outcome.json.contains("certificate"), "{}", outcome.json);
    let wrong = Scratch::with("pem", &Front::with_tls().1);
    let line = format!("echo --connections 2 --messages 100 --ca {}", wrong.0.display());
    let outcome = run_to(&url("wss", &server), &line);
    outcome.assert_not_verified();
    assert!(outcome.count("refused") == 2 && outcome.json.contains("certificate"), "{}", outcome.json);
}

#[cfg(unix)]
#[test]
fn a_unix_domain_socket_is_as_good() {
    for tls in [false, true] {
        let file = Scratch::new("sock");
        let front = if tls { Front::with_tls().0 } else { Front::default() };
        let server = Server::start_behind(Front { unix: Some(file.0.clone()), ..front }, Fault::None);
        let scheme = if tls { "wss+unix" } else { "ws+unix" };
        // More at once than fit into the server's queue.
        let line = "publish --connections 200 --messages 5 --window 200";
        run_to(&format!("{scheme}:{}:/chat", file.0.display()), line).assert_verified();
        let line = format!("echo --messages 1000 --unix {}", file.0.display());
        run_to(&url(if tls { "wss" } else { "ws" }, &server), &line).assert_verified();
    }
}

#[cfg(unix)]
#[test]
fn no_unix_domain_socket_is_told() {
    let file = Scratch::new("sock");
    let outcome = run_to(&format!("ws+unix:{}", file.0.display()), "echo --connections 2");
    outcome.assert_not_verified();
    assert_eq!(outcome.count("refused"), 2, "{}", outcome.json);
}

#[test]
fn a_proxy_header_comes_first_and_tells_of_many_clients() {
    for tls in [false, true] {
        for (option, beginning) in [
            ("v1", &b"PROXY TCP4 198.18.0."[..]),
            ("v2", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc6\x12\0"),
            ("v1 --proxy-ipv6", b"PROXY TCP6 2001:db8:"),
            ("v2 --proxy-ipv6", b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24\x20\x01\x0d\xb8"),
        ] {
            let front = if tls { Front::with_tls().0 } else { Front::default() };
            let server = Server::start_behind(Front { proxy: true, ..front }, Fault::None);
            let line = format!("echo --connections 20 --messages 100 --proxy {option} --proxy-addresses 10");
            run_to(&url(if tls { "wss" } else { "ws" }, &server), &line).assert_verified();
            let headers = server.headers();
            assert_eq!(headers.len(), 20);
            assert!(headers.iter().all(|header| header.starts_with(beginning)), "{headers:?}");
            let different: HashSet<&Vec<u8>> = headers.iter().collect();
            assert_eq!(different.len(), 20, "an address that comes again has another port");
        }
    }
}
