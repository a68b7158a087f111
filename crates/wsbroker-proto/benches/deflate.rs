//! Compressing and inflating messages as chats send them: `cargo bench -p wsbroker-proto --bench
//! deflate`.
//!
//! The best of many rounds is printed, for that is the one that other processes disturbed least.
#![allow(clippy::print_stdout, reason = "printing is what a benchmark does")]

use std::fmt::Write;
use std::hint::black_box;
use std::time::{Duration, Instant};

use wsbroker_proto::{Deflaters, InflateError, Inflater, WindowBits};

const WORDS: &str = "the of and to in a is that for it as was with be by on not we its but at are this have from or had \
    an they which one you were her all she there would their we her been has when who will more no if out so said what \
    up its about into than them can only other new some could time these two may then do first any my now such like our \
    over man me even most made after also did many before must through back years where much your way well down should \
    because each just those people how too little state good very make world still own see men work long here get both";

/// A deterministic stream of numbers (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end
    }
}

/// One chat message as JSON, of about 200 bytes.
fn entry(out: &mut String, numbers: &mut Numbers, words: &[&str]) {
    let (id, user, time) = (numbers.below(1 << 40), numbers.below(5000), 1_790_000_000_000 + numbers.below(1 << 32));
    write!(
        out,
        "{{\"id\":\"{id:010x}\",\"type\":\"message\",\"room\":\"general\",\"user\":{{\"id\":{user},\"name\":\""
    )
    .expect("a string takes everything");
    write!(out, "user{user}\"}},\"sentAt\":{time},\"text\":\"").expect("a string takes everything");
    for i in 0..8 + numbers.below(16) {
        out.push_str(if i == 0 { "" } else { " " });
        // Few words are said often.
        let at = numbers.below(words.len()).min(numbers.below(words.len()));
        out.push_str(words[at]);
    }
    out.push_str("\"}");
}

/// `count` different payloads of just `len` bytes: one entry, or a page of history.
fn payloads(len: usize, count: usize) -> Vec<Vec<u8>> {
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    std::iter::repeat_with(|| {
        let mut out = String::from(if len > 300 { "{\"type\":\"history\",\"messages\":[" } else { "" });
        while out.len() < len {
            entry(&mut out, &mut numbers, &words);
            out.push(',');
        }
        out.truncate(len);
        out.into_bytes()
    })
    .take(count)
    .collect()
}

/// The best time of one payload, in nanoseconds.
fn best(count: usize, mut round: impl FnMut()) -> f64 {
    let mut best = Duration::MAX;
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(250) {
        let start = Instant::now();
        round();
        best = best.min(start.elapsed());
    }
    best.as_nanos() as f64 / count as f64
}

/// As many empty blocks with codes of their own as `len` bytes hold: tables to build, and nothing
/// said with them.
fn dynamic_blocks(len: usize) -> Vec<u8> {
    let mut bits: Vec<bool> = Vec::new();
    let put = |bits: &mut Vec<bool>, value: u32, count: u32| bits.extend((0..count).map(|i| value >> i & 1 == 1));
    // Not final, dynamic; 257 literals, 1 distance, 18 lengths of the code for lengths (RFC 1951,
    // section 3.2.7).
    put(&mut bits, 0b100, 3);
    put(&mut bits, 0, 10);
    put(&mut bits, 14, 4);
    for symbol in [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1] {
        put(&mut bits, u32::from(matches!(symbol, 18 | 1)), 3);
    }
    // 138 zeros and 118 zeros; then the end of the block and the distance, of one bit each; and the
    // end.
    put(&mut bits, 1 | 127 << 1, 8);
    put(&mut bits, 1 | 107 << 1, 8);
    put(&mut bits, 0b000, 3);
    let mut stream: Vec<bool> = bits.repeat(len * 8 / bits.len() - 1);
    // An empty stored block begins, which the tail completes.
    stream.extend([false; 3]);
    stream.resize(stream.len().next_multiple_of(8), false);
    stream.chunks(8).map(|byte| byte.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit))).collect()
}

fn main() {
    if !std::env::args().any(|arg| arg == "hostile") {
        chat();
    }
    hostile();
}

fn chat() {
    let (mut deflaters, mut inflater) = (Deflaters::new(), Inflater::new());
    let mut out = Vec::new();
    println!(
        "{:>7} {:>5} {:>12} {:>9} {:>9} {:>12}",
        "bytes", "level", "deflate ns", "ns/byte", "of size", "inflate ns"
    );
    for len in [200, 512, 1024, 2048, 4096, 16_384, 65_536] {
        let payloads = payloads(len, (200_000 / len).clamp(4, 64));
        for level in 1..=9 {
            let mut compressed = Vec::new();
            for payload in &payloads {
                let shorter = deflaters.deflate(payload, WindowBits::MAX, level, &mut out);
                compressed.push(if shorter { out.clone() } else { payload.clone() });
            }
            let size: usize = compressed.iter().map(Vec::len).sum();
            let deflate = best(payloads.len(), || {
                for payload in &payloads {
                    black_box(deflaters.deflate(payload, WindowBits::MAX, level, &mut out));
                }
            });
            let inflate = best(payloads.len(), || {
                for message in &compressed {
                    black_box(inflater.inflate(message, 1 << 20, &mut out).is_ok());
                }
            });
            let ratio = size as f64 / (len * payloads.len()) as f64;
            println!("{len:>7} {level:>5} {deflate:>12.0} {:>9.2} {ratio:>9.3} {inflate:>12.0}", deflate / len as f64);
        }
    }
    println!();
}

/// What a hostile peer may cost: the most time for its bytes.
fn hostile() {
    let (mut deflaters, mut inflater) = (Deflaters::new(), Inflater::new());
    let mut out = Vec::new();
    println!("hostile, {:>32} {:>10} {:>12} {:>9}", "", "bytes", "inflate us", "ns/byte");
    let limit = 1 << 20;
    let zeros = {
        let mut part = Vec::new();
        deflaters.deflate(&vec![0; 1 << 20], WindowBits::MAX, 9, &mut part);
        part.truncate(part.len() - 1);
        part
    };
    for (name, message) in [
        ("a bomb that passes the limit", zeros.repeat(2)),
        ("empty final blocks", b"\x03\x00".repeat(limit / 2)),
        ("empty stored blocks", [b"\x00\x00\x00\xff\xff".repeat(limit / 5), vec![0]].concat()),
        ("stored blocks of one byte", [b"\x00\x01\x00\xfe\xffx".repeat(limit / 6), vec![0]].concat()),
        ("empty blocks with codes of their own", dynamic_blocks(limit)),
    ] {
        let mut inflated = Ok(());
        let time = best(1, || inflated = black_box(inflater.inflate(&message, limit, &mut out)));
        assert_ne!(inflated, Err(InflateError::Corrupt), "{name}");
        println!("{name:>41} {:>10} {:>12.0} {:>9.2}", message.len(), time / 1000.0, time / message.len() as f64);
    }
}
