//! A server of raw frames that echoes with compression, rightly or wrongly.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use miniz_oxide::DataFormat;
use miniz_oxide::deflate::core::{CompressionStrategy, CompressorOxide, TDEFLFlush, compress};
use miniz_oxide::inflate::decompress_to_vec;

const RSV1: u8 = 0x40;
const CONTINUATION: u8 = 0;
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// How it compresses.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Manner {
    /// What it answers to the offer.
    pub(crate) answer: Option<&'static str>,
    /// Each message may refer to earlier ones.
    pub(crate) context: bool,
    /// The largest frame that it sends.
    pub(crate) fragment: usize,
    /// It changes a byte of the first compressed message.
    pub(crate) damage: bool,
    /// It marks every frame of a message as compressed.
    pub(crate) mark_all: bool,
}

impl Manner {
    pub(crate) const PLAIN: Self =
        Self { answer: None, context: false, fragment: usize::MAX, damage: false, mark_all: false };
    pub(crate) const BY_ITSELF: Self = Self {
        answer: Some("permessage-deflate; server_no_context_takeover; client_no_context_takeover"),
        ..Self::PLAIN
    };
    pub(crate) const IN_CONTEXT: Self = Self { answer: Some("permessage-deflate"), context: true, ..Self::PLAIN };
}

/// Its threads end with their connections, or with the test.
pub(crate) struct Deflating {
    pub(crate) url: String,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    offered: AtomicBool,
    /// Messages that came compressed.
    compressed: AtomicU64,
}

impl Deflating {
    pub(crate) fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ws://{}/", listener.local_addr().unwrap());
        let counts = Arc::new(Counts::default());
        let served = Arc::clone(&counts);
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let counts = Arc::clone(&served);
                // An error ends the connection.
                std::thread::spawn(move || serve(stream, manner, &counts).ok());
            }
        });
        Self { url, counts }
    }

    pub(crate) fn was_offered(&self) -> bool {
        self.counts.offered.load(Ordering::Relaxed)
    }

    pub(crate) fn compressed(&self) -> u64 {
        self.counts.compressed.load(Ordering::Relaxed)
    }
}

fn serve(mut stream: TcpStream, manner: Manner, counts: &Counts) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head);
    counts.offered.fetch_or(head.contains("Sec-WebSocket-Extensions: permessage-deflate"), Ordering::Relaxed);
    // For the nonce that the generator always sends (RFC 6455, section 1.3).
    let accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    let extension = manner.answer.map(|answer| format!("Sec-WebSocket-Extensions: {answer}\r\n")).unwrap_or_default();
    write!(stream, "HTTP/1.1 101 Switching Protocols\r\n{accept}\r\n{extension}\r\n")?;
    let mut compressor = CompressorOxide::with_params(DataFormat::Raw, 6, CompressionStrategy::Default, 15);
    let mut damage = manner.damage;
    loop {
        let (first, payload) = read_frame(&mut stream)?;
        if first & 0x0f == 8 {
            return stream.write_all(&[&[first, payload.len() as u8], &payload[..]].concat());
        }
        let message = if first & RSV1 == 0 {
            payload
        } else {
            counts.compressed.fetch_add(1, Ordering::Relaxed);
            // An empty last block after the one that the flush ends.
            decompress_to_vec(&[&payload[..], &TAIL, &[1, 0, 0, 0xff, 0xff]].concat()).unwrap()
        };
        let mut compressed = deflate(&mut compressor, &message);
        if !manner.context {
            compressor.reset();
        }
        if std::mem::take(&mut damage) {
            let middle = compressed.len() / 2;
            compressed[middle] ^= 0x10;
        }
        write_fragments(&mut stream, first & 0x0f, &compressed, manner)?;
    }
}

fn deflate(compressor: &mut CompressorOxide, message: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 2 * message.len() + 256];
    let (_, read, written) = compress(compressor, message, &mut out, TDEFLFlush::Sync);
    assert_eq!(read, message.len());
    out.truncate(written - TAIL.len());
    out
}

fn write_fragments(stream: &mut TcpStream, opcode: u8, payload: &[u8], manner: Manner) -> std::io::Result<()> {
    let last = payload.chunks(manner.fragment).count() - 1;
    for (i, part) in payload.chunks(manner.fragment).enumerate() {
        let fin = if i == last { 0x80 } else { 0 };
        let mark = if i == 0 || manner.mark_all { RSV1 } else { 0 };
        let mut frame = vec![fin | mark | if i == 0 { opcode } else { CONTINUATION }];
        match part.len() {
            short @ ..126 => frame.push(short as u8),
            long => {
                frame.push(126);
                frame.extend_from_slice(&u16::try_from(long).unwrap().to_be_bytes());
            }
        }
        frame.extend_from_slice(part);
        stream.write_all(&frame)?;
    }
    Ok(())
}

/// The first byte of a frame, and what it carries.
fn read_frame(stream: &mut TcpStream) -> std::io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 2];
    stream.read_exact(&mut head)?;
    let length = match head[1] & 0x7f {
        126 => {
            let mut long = [0; 2];
            stream.read_exact(&mut long)?;
            usize::from(u16::from_be_bytes(long))
        }
        short => usize::from(short),
    };
    let mut mask = [0; 4];
    stream.read_exact(&mut mask)?;
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload)?;
    payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
    Ok((head[0], payload))
}
