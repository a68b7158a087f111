//! Text that compresses about as well as real messages do.

use std::io::Write;

const NAMES: [&str; 8] = ["maria", "li wei", "john", "fatima", "pavel", "aiko", "chidi", "lucia"];
const WORDS: [&str; 16] = [
    "the", "order", "has", "been", "sent", "to", "your", "address", "please", "wait", "for", "an", "answer", "from",
    "our", "team",
];

/// `length` bytes of records like those of a chat or a ticker, the same in every run. Their keys
/// repeat; their ids, times and amounts do not.
pub(crate) fn json(length: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(length + 512);
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    while out.len() < length {
        let mut text = String::new();
        for _ in 0..random.below(12) + 3 {
            text.push_str(WORDS[random.below(16) as usize]);
            text.push(' ');
        }
        // Writing to a Vec cannot fail.
        let _ = write!(
            out,
            "{{\"id\":{},\"from\":\"{}\",\"at\":\"2025-06-{:02}T{:02}:{:02}:{:02}.{:03}Z\",\"text\":\"{}\",\
             \"amount\":{}.{:02},\"read\":{}}},",
            random.below(1 << 40),
            NAMES[random.below(8) as usize],
            random.below(30) + 1,
            random.below(24),
            random.below(60),
            random.below(60),
            random.below(1000),
            text.trim_end(),
            random.below(10_000),
            random.below(100),
            random.below(2) == 1,
        );
    }
    out.truncate(length);
    out
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deflate::Deflater;

    #[test]
    fn it_compresses_to_a_third_or_so() {
        let sample = json(4096);
        assert_eq!(sample.len(), 4096);
        assert!(sample.is_ascii());
        let compressed = Deflater::new().deflate(&sample, 15).unwrap();
        assert!((1000..1700).contains(&compressed.len()), "{}", compressed.len());
    }
}
