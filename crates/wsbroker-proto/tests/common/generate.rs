//! Streams of frames for proptest: valid conversations, and ways to damage them.
#![allow(unreachable_pub, reason = "test code")]

use proptest::prelude::*;
use proptest::sample::Index;
use wsbroker_proto::{Opcode, client};

use super::Said;

/// One message in its fragments, each with the control frames sent before it, or a damaged stand-in
/// for it.
#[derive(Clone, Debug)]
pub struct Sent {
    pub opcode: Opcode,
    pub payload: Vec<u8>,
    /// Where the fragments end; none is a single frame.
    pub cuts: Vec<Index>,
    /// For each fragment in turn, if there is one.
    pub controls: Vec<Option<(Opcode, Vec<u8>)>>,
}

/// A stream and what it says.
#[derive(Clone, Debug)]
pub struct Stream {
    pub bytes: Vec<u8>,
    pub said: Vec<Said>,
    /// Where each frame begins: damage there says most.
    pub frames: Vec<usize>,
}

/// Text and binary payloads, of lengths around the edges of the length encodings as well.
fn message() -> impl Strategy<Value = Sent> {
    let text = prop_oneof![
        6 => "[a-z ]{0,80}".prop_map(String::into_bytes),
        6 => "\\PC{0,40}".prop_map(String::into_bytes),
        2 => (120..130usize).prop_map(|len| vec![b'x'; len]),
        1 => (65_530..65_540usize).prop_map(|len| vec![b'x'; len]),
        2 => (0..2000usize).prop_map(|len| "é€😀".bytes().cycle().take(len / 9 * 9).collect()),
    ];
    let binary = prop::collection::vec(any::<u8>(), 0..200);
    let content = prop_oneof![
        2 => text.prop_map(|payload| (Opcode::Text, payload)),
        1 => binary.prop_map(|payload| (Opcode::Binary, payload)),
    ];
    let control = (
        prop_oneof![Just(Opcode::Ping), Just(Opcode::Pong)],
        prop_oneof![
            3 => prop::collection::vec(any::<u8>(), 0..10),
            1 => prop::collection::vec(any::<u8>(), 120..=125),
        ],
    );
    (
        content,
        prop_oneof![2 => Just(Vec::new()), 1 => prop::collection::vec(any::<Index>(), 0..5)],
        prop::collection::vec(prop::option::weighted(0.3, control), 0..6),
    )
        .prop_map(|((opcode, payload), cuts, controls)| Sent { opcode, payload, cuts, controls })
}

fn close() -> impl Strategy<Value = Option<(u16, String)>> {
    let code = prop_oneof![1000..=1003u16, 1007..=1014u16, 3000..=4999u16];
    prop::option::of((code, "\\PC{0,30}"))
}

/// A valid conversation of one side, as a client (masked) or a server (not) sends it.
pub fn stream(masked: bool) -> impl Strategy<Value = Stream> {
    (prop::collection::vec(message(), 0..6), prop::option::weighted(0.3, close()), any::<u32>()).prop_map(
        move |(messages, close, seed)| {
            let mut writer = Writer { masked, seed, stream: Stream { bytes: vec![], said: vec![], frames: vec![] } };
            for message in messages {
                writer.message(message);
            }
            if let Some(close) = close {
                writer.close(close);
            }
            writer.stream
        },
    )
}

struct Writer {
    masked: bool,
    seed: u32,
    stream: Stream,
}

impl Writer {
    fn frame(&mut self, fin: bool, opcode: Opcode, payload: &[u8]) {
        self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let out = &mut self.stream.bytes;
        let start = out.len();
        self.stream.frames.push(start);
        if self.masked {
            client::write_frame(out, fin, opcode, payload, self.seed.to_be_bytes());
        } else {
            // A server's fragments: a masked frame with a zero key, without its key and mask bit.
            let mut frame = Vec::new();
            client::write_frame(&mut frame, fin, opcode, payload, [0; 4]);
            frame[1] &= 0x7f;
            let header = frame.len() - payload.len() - 4;
            frame.drain(header..header + 4);
            out.extend_from_slice(&frame);
        }
    }

    fn message(&mut self, message: Sent) {
        let Sent { opcode, payload, cuts, controls } = message;
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(payload.len() + 1)).collect();
        ends.sort_unstable();
        ends.push(payload.len());
        let mut controls = controls.into_iter();
        let mut start = 0;
        for (i, end) in ends.iter().copied().enumerate() {
            if let Some(Some((control, payload))) = controls.next() {
                self.frame(true, control, &payload);
                self.stream.said.push(match control {
                    Opcode::Ping => Said::Ping(payload),
                    _ => Said::Pong(payload),
                });
            }
            let opcode = if i == 0 { opcode } else { Opcode::Continuation };
            self.frame(i + 1 == ends.len(), opcode, &payload[start..end]);
            start = end;
        }
        self.stream.said.push(match opcode {
            Opcode::Text => Said::Text(payload),
            _ => Said::Binary(payload),
        });
    }

    fn close(&mut self, close: Option<(u16, String)>) {
        let mut payload = Vec::new();
        if let Some((code, reason)) = &close {
            payload.extend_from_slice(&code.to_be_bytes());
            payload.extend_from_slice(reason.as_bytes());
        }
        if payload.len() > 125 {
            return;
        }
        self.frame(true, Opcode::Close, &payload);
        self.stream.said.push(Said::Close(close));
    }
}

/// One thing that goes wrong on the way.
#[derive(Clone, Debug)]
pub enum Damage {
    /// A byte near the start of some frame is xored: header bits, lengths, keys, close codes.
    Header(Index, usize, u8),
    /// A byte anywhere is replaced.
    Byte(Index, u8),
    Remove(Index),
    Insert(Index, u8),
    /// Another frame, whole, in the middle of nowhere.
    Frame(Index, u8, Vec<u8>),
    Cut(Index),
}

pub fn damage() -> impl Strategy<Value = Vec<Damage>> {
    let one = prop_oneof![
        6 => (any::<Index>(), 0..18usize, prop_oneof![any::<u8>(), (0..8u32).prop_map(|bit| 1 << bit)])
            .prop_map(|(frame, at, bits)| Damage::Header(frame, at, bits)),
        2 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        1 => any::<Index>().prop_map(Damage::Remove),
        1 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        3 => (any::<Index>(), any::<u8>(), prop::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(at, first, payload)| Damage::Frame(at, first, payload)),
        1 => any::<Index>().prop_map(Damage::Cut),
    ];
    prop::collection::vec(one, 1..3)
}

/// Applies `damage` to the stream's bytes.
pub fn damaged(stream: &Stream, masked: bool, damage: &[Damage]) -> Vec<u8> {
    let mut bytes = stream.bytes.clone();
    for damage in damage {
        match damage {
            Damage::Header(frame, at, bits) if !stream.frames.is_empty() => {
                let at = stream.frames[frame.index(stream.frames.len())] + at;
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= bits;
                }
            }
            Damage::Byte(at, byte) if !bytes.is_empty() => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Damage::Remove(at) if !bytes.is_empty() => {
                bytes.remove(at.index(bytes.len()));
            }
            Damage::Insert(at, byte) => bytes.insert(at.index(bytes.len() + 1), *byte),
            Damage::Frame(frame, first, payload) => {
                let mut at = bytes.len();
                if let Some(start) = frame.index(stream.frames.len() + 1).checked_sub(1) {
                    at = at.min(stream.frames[start]);
                }
                let mask: &[u8] = if masked { &[0; 4] } else { &[] };
                let second = payload.len() as u8 | if masked { 0x80 } else { 0 };
                let frame = [&[*first, second], mask, payload].concat();
                bytes.splice(at..at, frame);
            }
            Damage::Cut(at) => bytes.truncate(at.index(bytes.len() + 1)),
            _ => {}
        }
    }
    bytes
}
