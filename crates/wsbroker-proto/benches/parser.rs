//! Reading masked messages, beside tungstenite: `cargo bench -p wsbroker-proto --bench parser`.
//!
//! Both get the same bytes, 64 KiB at a time, as a socket would give them: the copy into the read
//! buffer is counted for both, and told apart for us. The best of many rounds is printed, for that
//! is the one that other processes disturbed least.
#![allow(clippy::print_stdout, reason = "printing is what a benchmark does")]

use std::hint::black_box;
use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use tokio_tungstenite::tungstenite::protocol::{Role as TheirRole, WebSocket, WebSocketConfig};
use wsbroker_proto::{Input, Item, Limits, Opcode, Parser, Role, client};

const READ: usize = 64 * 1024;
const ROUNDS: usize = 400;
const LIMITS: Limits = Limits { max_message: 1 << 24, allow_rsv1: false };

/// Whole messages of `size` bytes, as many as fit in about `READ` bytes, at least one.
fn stream(opcode: Opcode, payload: &[u8]) -> (Vec<u8>, usize) {
    let mut bytes = Vec::new();
    let mut count = 0;
    while count == 0 || bytes.len() + payload.len() + 14 <= READ {
        let key = (count as u32).wrapping_mul(0x9e37_79b9).to_ne_bytes();
        client::write_frame(&mut bytes, true, opcode, payload, key);
        count += 1;
    }
    (bytes, count)
}

fn best(mut round: impl FnMut() -> usize) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        black_box(round());
        best = best.min(start.elapsed());
    }
    best
}

/// Feeds the stream through a read buffer of `READ` bytes.
fn ours(parser: &mut Parser, wire: &[u8], buffer: &mut [u8]) -> usize {
    let mut bytes = 0;
    for part in wire.chunks(READ) {
        let buffer = &mut buffer[..part.len()];
        buffer.copy_from_slice(part);
        let mut input = Input::new(buffer);
        while let Ok(Some(item)) = parser.next(&mut input, &LIMITS) {
            if let Item::Message { payload, .. } = black_box(item) {
                bytes += payload.as_ref().len();
            }
        }
    }
    bytes
}

fn copy_only(wire: &[u8], buffer: &mut [u8]) -> usize {
    for part in wire.chunks(READ) {
        let buffer = &mut buffer[..part.len()];
        buffer.copy_from_slice(part);
        black_box(&buffer);
    }
    wire.len()
}

/// An endless peer: gives the stream, then blocks; swallows what is written.
struct Peer<'a>(&'a [u8]);

impl Read for Peer<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.0.read(out)
    }
}

impl Write for Peer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn theirs<'a>(socket: &mut WebSocket<Peer<'a>>, wire: &'a [u8]) -> usize {
    socket.get_mut().0 = wire;
    let mut bytes = 0;
    while let Ok(message) = socket.read() {
        bytes += black_box(message).len();
    }
    bytes
}

fn compare(name: &str, opcode: Opcode, payload: &[u8]) {
    let (wire, count) = stream(opcode, payload);
    let mut buffer = vec![0; READ];
    let mut parser = Parser::new(Role::Server);
    assert_eq!(ours(&mut parser, &wire, &mut buffer), count * payload.len());
    let our_time = best(|| ours(&mut parser, &wire, &mut buffer));
    let copy_time = best(|| copy_only(&wire, &mut buffer));

    let config = WebSocketConfig::default().read_buffer_size(READ);
    let mut socket = WebSocket::from_raw_socket(Peer(&[]), TheirRole::Server, Some(config));
    assert_eq!(theirs(&mut socket, &wire), count * payload.len());
    let their_time = best(|| theirs(&mut socket, &wire));

    let each = |time: Duration| time.as_nanos() as f64 / count as f64;
    println!(
        "{name:24} {:>10.1} {:>10.1} {:>12.1}",
        each(our_time.saturating_sub(copy_time)),
        each(our_time),
        each(their_time)
    );
}

/// A message in fragments of one byte, as Autobahn's cases 9.3 and 9.4 send them.
fn fragments() {
    let mut wire = Vec::new();
    let count = 200_000;
    for i in 0..count {
        let opcode = if i == 0 { Opcode::Text } else { Opcode::Continuation };
        client::write_frame(&mut wire, i + 1 == count, opcode, b"x", [7, 8, 9, 10]);
    }
    let mut buffer = vec![0; READ];
    let mut parser = Parser::new(Role::Server);
    let mut time = Duration::MAX;
    for _ in 0..10 {
        let start = Instant::now();
        assert_eq!(ours(&mut parser, &wire, &mut buffer), count);
        time = time.min(start.elapsed());
    }
    println!("{:24} {:>10} {:>10.1}", "1 B fragments (each)", "", time.as_nanos() as f64 / count as f64);
}

fn main() {
    println!("ns per message             parse only  with copy  tungstenite");
    let ascii = [b'a'; 64];
    compare("text 64 B", Opcode::Text, &ascii);
    compare("binary 64 B", Opcode::Binary, &ascii);
    compare("text 64 B, not ASCII", Opcode::Text, "grüße ".repeat(8).as_bytes());
    compare("text 5 B", Opcode::Text, b"hello");
    compare("text 125 B", Opcode::Text, &[b'a'; 125]);
    compare("text 1 KiB", Opcode::Text, &[b'a'; 1024]);
    compare("text 16 KiB", Opcode::Text, &[b'a'; 16 * 1024]);
    compare("text 1 MiB", Opcode::Text, &vec![b'a'; 1 << 20]);
    fragments();
}
