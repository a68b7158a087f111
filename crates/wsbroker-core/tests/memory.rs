//! What the process really holds, by the kernel's account: alone in its file, since tests of one
//! file share a process.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod common;

use std::io::Read;

use common::{Client, fill, listen, logging, until};
use wsbroker_core::{Broker, Config, Handlers, MessageKind, SocketId, SocketLimits};

fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

/// A frame that waits for a blocked socket keeps its own bytes only, not those of others that were
/// sent with it.
#[test]
fn a_blocked_socket_holds_what_it_counts() {
    const ROUNDS: usize = 300;
    let broker = Broker::new(Config { io_threads: 1, ..Config::default() }).unwrap();
    let (_worker, _log) = logging(&broker, Handlers::CLOSE);
    let (_listener, port) = listen(&broker, SocketLimits { max_backpressure: 4 << 20, ..SocketLimits::default() });
    let (_slow, mut quick, mut neighbour) = (Client::connect(port), Client::connect(port), Client::connect(port));
    let (slow, quicker) = (SocketId::new(1).unwrap(), SocketId::new(2).unwrap());
    std::thread::spawn(move || {
        let mut bytes = vec![0; 1 << 20];
        while matches!(quick.stream.read(&mut bytes), Ok(1..)) {}
    });
    fill(&broker, slow, 100_000, &mut neighbour);
    let mut cork = broker.cork();
    let (before, counted) = (resident(), broker.buffered_amount(slow));
    let (held, passing) = (vec![b'x'; 5000], vec![b'y'; 4000]);
    for _ in 0..ROUNDS {
        for (id, bytes) in std::iter::once((slow, &held)).chain(std::iter::repeat_n((quicker, &passing), 60)) {
            let staged = cork.stage_slice(MessageKind::Binary, bytes);
            cork.send(id, staged);
        }
        cork.flush();
        until("the quick one has it", || broker.buffered_amount(quicker) < 500_000);
    }
    until("the quick one has all", || broker.buffered_amount(quicker) == 0);
    let (grew, counts) = (resident().saturating_sub(before), broker.buffered_amount(slow) - counted);
    assert!(counts >= ROUNDS * 5000);
    assert!(grew < counts + (24 << 20), "{grew} bytes for {counts}");
}
