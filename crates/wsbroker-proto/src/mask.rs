//! Masking (RFC 6455, section 5.3): byte `i` of the payload is xored with byte `i mod 4` of the key.

/// Xors `data` with `key`, in place, and tells whether the result is all ASCII.
///
/// Masking and unmasking are the same operation. The ASCII answer comes from the same pass over the bytes,
/// so that text, nearly always ASCII, needs no second one.
///
/// ```
/// use wsbroker_proto::mask;
///
/// let mut data = *b"hello";
/// mask::apply(&mut data, [1, 2, 3, 4]);
/// assert_ne!(&data, b"hello");
/// assert!(mask::apply(&mut data, [1, 2, 3, 4]));
/// assert_eq!(&data, b"hello");
/// ```
#[inline]
pub fn apply(data: &mut [u8], key: [u8; 4]) -> bool {
    let [a, b, c, d] = key;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let mut seen = 0u64;
    let (words, tail) = data.as_chunks_mut::<8>();
    for word in words {
        let plain = u64::from_ne_bytes(*word) ^ wide;
        seen |= plain;
        *word = plain.to_ne_bytes();
    }
    // Words are a multiple of the key's length, so the tail begins at the key's first byte.
    let mut seen_tail = 0u8;
    for (byte, key) in tail.iter_mut().zip([a, b, c, d, a, b, c]) {
        *byte ^= key;
        seen_tail |= *byte;
    }
    (seen & 0x8080_8080_8080_8080 == 0) & (seen_tail < 0x80)
}

/// The key for the bytes that follow the first `consumed` ones.
///
/// ```
/// assert_eq!(wsbroker_proto::mask::advance([1, 2, 3, 4], 5), [2, 3, 4, 1]);
/// ```
#[inline]
pub fn advance(mut key: [u8; 4], consumed: usize) -> [u8; 4] {
    key.rotate_left(consumed % 4);
    key
}
