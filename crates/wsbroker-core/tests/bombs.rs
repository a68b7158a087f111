//! Messages that inflate to a thousand times their size, against the process's memory: alone in its
//! file, since tests of one file share a process.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod common;

use common::{Client, Got, listen_with, logging, until};
use wsbroker_core::{Broker, CloseCause, Config, DeflateConfig, Handlers};
use wsbroker_proto::{Deflaters, Opcode, WindowBits};

fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

#[test]
fn bombs_cost_no_more_than_the_limit() {
    const LIMIT: usize = 1 << 20;
    let broker = Broker::new(Config { io_threads: 2, ..Config::default() }).unwrap();
    let (_worker, log) = logging(&broker, Handlers::ALL);
    let (_listener, port) = listen_with(&broker, |config| config.deflate = Some(DeflateConfig::default()));
    // A megabyte of zeros takes a kilobyte, and so does each megabyte behind it: here, a gigabyte
    // in less than the limit on the wire.
    let mut megabyte = Vec::new();
    assert!(Deflaters::new().deflate(&vec![0; 1 << 20], WindowBits::MAX, 9, &mut megabyte));
    megabyte.extend_from_slice(&[0, 0, 0xff, 0xff]);
    let bomb = megabyte.repeat((LIMIT / megabyte.len()).min(1024));
    assert!(bomb.len() > LIMIT / 2);
    let mut clients: Vec<Client> = (0..32).map(|_| Client::deflating(port, "permessage-deflate")).collect();
    let before = peak();
    for client in &mut clients {
        // What comes behind the bytes that pass the limit may find the connection closed.
        client.send_rsv1(true, Opcode::Binary, &bomb);
    }
    for client in &mut clients {
        assert_eq!(client.next(), Got::Close(Some(1009), String::new()));
    }
    until("all ends are reported", || log.lock().len() == 32);
    until("the causes are counted", || broker.stats().closes.of(CloseCause::MaxPayload) == 32);
    // The compressed bytes of all, and what two shards inflate into.
    let grew = peak() - before;
    assert!(grew < 32 * bomb.len() * 2 + 4 * LIMIT + (16 << 20), "{grew} bytes");
}
