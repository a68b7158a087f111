//! DEFLATE (RFC 1951) as plainly as it can be read, to hold the library against: what is inflated,
//! and how far back it refers.

use super::TAIL;

const LENGTHS: [(usize, u32); 29] = extra(3, 4, [0; 29], true);
const DISTANCES: [(usize, u32); 30] = extra(1, 2, [0; 30], false);
/// The order in which the lengths of the code length code are sent (section 3.2.7).
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// Base values and extra bits (section 3.2.5): `group` codes for each number of extra bits, after
/// as many without.
const fn extra<const N: usize>(first: usize, group: u32, _: [u8; N], lengths: bool) -> [(usize, u32); N] {
    let mut table = [(0, 0); N];
    let (mut base, mut code) = (first, 0);
    while code < N {
        let bits = (code as u32 / group).saturating_sub(1);
        table[code] = (base, bits);
        base += 1 << bits;
        code += 1;
    }
    if lengths {
        // The longest match has a code of its own.
        table[N - 1] = (258, 0);
    }
    table
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: u32) -> Option<usize> {
        let mut value = 0;
        for i in 0..count {
            let byte = *self.bytes.get(self.at / 8)?;
            value |= usize::from(byte >> (self.at % 8) & 1) << i;
            self.at += 1;
        }
        Some(value)
    }

    /// One symbol (section 3.2.2).
    fn symbol(&mut self, code: &Code) -> Option<usize> {
        let (mut bits, mut first, mut index) = (0, 0, 0);
        for count in &code.counts[1..] {
            bits = bits << 1 | self.take(1)?;
            first <<= 1;
            if bits - first < *count {
                return code.symbols.get(index + bits - first).copied();
            }
            first += count;
            index += count;
        }
        None
    }
}

/// A canonical code: how many symbols have each length, and all symbols in the order of their
/// codes.
struct Code {
    counts: [usize; 16],
    symbols: Vec<usize>,
}

impl Code {
    fn new(lengths: &[u8]) -> Self {
        let mut counts = [0; 16];
        lengths.iter().for_each(|len| counts[usize::from(*len)] += 1);
        let mut symbols: Vec<usize> = (0..lengths.len()).filter(|symbol| lengths[*symbol] > 0).collect();
        symbols.sort_by_key(|symbol| lengths[*symbol]);
        Self { counts, symbols }
    }
}

/// The message, and the largest distance in it. `None`: it is corrupt, or not made by the plain
/// flush of section 7.2.1.
pub(super) fn inflate(compressed: &[u8]) -> Option<(Vec<u8>, usize)> {
    let bytes = [compressed, &TAIL].concat();
    let mut bits = Bits { bytes: &bytes, at: 0 };
    let (mut out, mut farthest) = (Vec::new(), 0);
    while bits.at < bytes.len() * 8 {
        if bits.take(1)? == 1 {
            return None;
        }
        let (literals, distances) = match bits.take(2)? {
            0 => {
                bits.at = bits.at.next_multiple_of(8);
                let len = bits.take(16)?;
                if bits.take(16)? != len ^ 0xffff {
                    return None;
                }
                for _ in 0..len {
                    out.push(bits.take(8)? as u8);
                }
                continue;
            }
            1 => {
                let lengths = [vec![8; 144], vec![9; 112], vec![7; 24], vec![8; 8]].concat();
                (Code::new(&lengths), Code::new(&[5; 30]))
            }
            2 => {
                let (literals, distances) = (bits.take(5)? + 257, bits.take(5)? + 1);
                let mut order = [0; 19];
                for i in 0..bits.take(4)? + 4 {
                    order[ORDER[i]] = bits.take(3)? as u8;
                }
                let order = Code::new(&order);
                let mut lengths: Vec<u8> = Vec::new();
                while lengths.len() < literals + distances {
                    let (times, length) = match bits.symbol(&order)? {
                        16 => (bits.take(2)? + 3, *lengths.last()?),
                        17 => (bits.take(3)? + 3, 0),
                        18 => (bits.take(7)? + 11, 0),
                        length => (1, length as u8),
                    };
                    lengths.extend(std::iter::repeat_n(length, times));
                }
                let (literals, distances) = lengths.split_at_checked(literals)?;
                (Code::new(literals), Code::new(distances))
            }
            _ => return None,
        };
        loop {
            match bits.symbol(&literals)? {
                literal @ 0..256 => out.push(literal as u8),
                256 => break,
                length => {
                    let (base, more) = *LENGTHS.get(length - 257)?;
                    let length = base + bits.take(more)?;
                    let (base, more) = *DISTANCES.get(bits.symbol(&distances)?)?;
                    let distance = base + bits.take(more)?;
                    farthest = farthest.max(distance);
                    for _ in 0..length {
                        out.push(*out.get(out.len().checked_sub(distance)?)?);
                    }
                }
            }
        }
    }
    Some((out, farthest))
}
