use proptest::prelude::*;

use super::*;

#[path = "oracle.rs"]
mod oracle;

const MAX: usize = 1 << 20;

fn inflate(compressed: &[u8]) -> Result<Vec<u8>, InflateError> {
    let mut out = Vec::new();
    Inflater::new().inflate(compressed, MAX, &mut out).map(|()| out)
}

/// The same in slices, each of which is bounded.
fn inflate_sliced(compressed: &[u8], slice: Slice) -> Result<Vec<u8>, InflateError> {
    let (mut inflater, mut out, mut message) = (Inflater::new(), Vec::new(), Vec::new());
    let mut rest = compressed;
    // What another message has left behind.
    let _ = inflater.slice(&mut &bomb(1 << 16)[..], Slice { input: 10, output: 10 }, &mut out);
    inflater.begin();
    loop {
        let before = rest.len();
        let sliced = inflater.slice(&mut rest, slice, &mut out)?;
        let taken = before - rest.len();
        assert!(taken <= slice.input.max(1) && out.capacity() <= slice.output.max(11) + 1, "{taken} and {}", out.len());
        message.extend_from_slice(&out);
        match sliced {
            Sliced::Whole => {
                assert!(out.len() <= slice.output.max(11) && rest.is_empty());
                return Ok(message);
            }
            Sliced::More => assert!(taken > 0 || !out.is_empty(), "it goes on"),
        }
        if message.len() > MAX {
            return Err(InflateError::TooBig);
        }
    }
}

fn slices() -> impl Iterator<Item = Slice> {
    [1, 2, 7, 100, 65_536, usize::MAX >> 1]
        .into_iter()
        .flat_map(|input| [0, 1, 5, 100, 65_536, MAX].map(|output| Slice { input, output }))
}

fn deflate(payload: &[u8], window: WindowBits, level: u8) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    Deflaters::new().deflate(payload, window, level, &mut out).then_some(out)
}

/// Compressed zeros: about a thousandth of what they inflate to, which is a multiple of 64 KiB.
fn bomb(len: usize) -> Vec<u8> {
    let mut part = Vec::with_capacity(1000);
    let mut state = Compress::new(Compression::best(), false);
    state.compress_vec(&[0; 1 << 16], &mut part, FlushCompress::Sync).unwrap();
    assert!(part.len() < 100);
    part.repeat(len >> 16)
}

fn windows() -> impl Iterator<Item = WindowBits> {
    (0..=255).filter_map(WindowBits::new)
}

#[test]
fn the_examples_of_the_rfc_are_inflated() {
    // Section 7.2.3.1: one block.
    assert_eq!(inflate(b"\xf2\x48\xcd\xc9\xc9\x07\x00").unwrap(), b"Hello");
    // 7.2.3.3: a stored block.
    assert_eq!(inflate(b"\x00\x05\x00\xfa\xffHello\x00").unwrap(), b"Hello");
    // 7.2.3.4: a final block, and the beginning of an empty one.
    assert_eq!(inflate(b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00").unwrap(), b"Hello");
    // 7.2.3.5: two blocks.
    assert_eq!(inflate(b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00").unwrap(), b"Hello");
    // 7.2.3.6: nothing.
    assert_eq!(inflate(b"\x00").unwrap(), b"");
}

#[test]
fn a_message_cannot_refer_to_the_one_before() {
    let mut inflater = Inflater::new();
    let mut out = Vec::new();
    inflater.inflate(b"\xf2\x48\xcd\xc9\xc9\x07\x00", MAX, &mut out).unwrap();
    // Section 7.2.3.2: "Hello" once more, out of the window that context takeover would keep.
    assert_eq!(inflater.inflate(b"\xf2\x00\x11\x00\x00", MAX, &mut out), Err(InflateError::Corrupt));
    // Nor does a failure reach the next message.
    inflater.inflate(b"\xf2\x48\xcd\xc9\xc9\x07\x00", MAX, &mut out).unwrap();
    assert_eq!(out, b"Hello");
}

#[test]
fn final_blocks_may_end_a_message_or_stand_within_it() {
    let fixed = b"\xf3\x48\xcd\xc9\xc9\x07\x00";
    let stored = b"\x01\x05\x00\xfa\xffHello";
    assert_eq!(inflate(fixed).unwrap(), b"Hello");
    assert_eq!(inflate(stored).unwrap(), b"Hello");
    assert_eq!(inflate(&[&stored[..], b"\x00"].concat()).unwrap(), b"Hello");
    assert_eq!(inflate(&[&stored[..], fixed, stored, b"\x00"].concat()).unwrap(), b"HelloHelloHello");
    // What follows a final block has to be blocks, too.
    assert_eq!(inflate(&[&stored[..], b"garbage"].concat()), Err(InflateError::Corrupt));
    assert_eq!(inflate(&[&stored[..], b"\x00\x00"].concat()), Err(InflateError::Corrupt));
    // And refers to nothing before it.
    assert_eq!(inflate(&[&stored[..], b"\xf2\x00\x11\x00\x00"].concat()), Err(InflateError::Corrupt));
}

#[test]
fn an_empty_message_may_be_written_in_several_ways() {
    for compressed in
        [&b""[..], b"\x00", b"\x02\x00", b"\x03\x00", b"\x01\x00\x00\xff\xff", b"\x00\x00\x00\xff\xff\x00"]
    {
        assert_eq!(inflate(compressed).unwrap(), b"", "{compressed:02x?}");
    }
}

#[test]
fn data_that_is_none_is_corrupt() {
    for compressed in [
        // A reserved block type, lengths that do not match, and one that is not there.
        &b"\x06"[..],
        b"\x00\x05\x00\x05\x00Hello\x00",
        b"\x00\x05\x00\xfa\xffHell",
        // The tail must not be sent; a byte too many; a stored block that swallows the tail.
        b"\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff",
        b"\xf2\x48\xcd\xc9\xc9\x07\x00\x00",
        b"\x00\x05\x00\xfa\xff",
        b"\x00\x09\x00\xf6\xff",
        // Back-references to what is not there, and lengths of codes that do not fit together.
        b"\x4b\x04\x11\x00\x00",
        b"\x04\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"plain text",
        b"{\"plain\":1}",
    ] {
        assert_eq!(inflate(compressed), Err(InflateError::Corrupt), "{compressed:02x?}");
    }
    assert_eq!(InflateError::Corrupt.close_code(), CloseCode::INVALID_PAYLOAD);
    // To a stored block of just its length the tail is data, by the letter of section 7.2.2.
    assert_eq!(inflate(b"\x00\x04\x00\xfb\xff").unwrap(), TAIL);
}

#[test]
fn every_message_that_is_cut_short_is_corrupt() {
    let payload: Vec<u8> = (0..3000u32).flat_map(|i| (i * i % 251).to_le_bytes()).collect();
    let compressed = deflate(&payload, WindowBits::MAX, 6).unwrap();
    for end in 1..compressed.len() {
        assert_eq!(inflate(&compressed[..end]), Err(InflateError::Corrupt), "{end} of {}", compressed.len());
    }
}

#[test]
fn the_limit_is_for_the_inflated_length_and_exact() {
    for len in [0, 1, 63, 64, 65, 1000, 70_000] {
        let payload = vec![b'x'; len];
        let mut compressed = vec![0];
        if len > 20 {
            compressed = deflate(&payload, WindowBits::MAX, 1).unwrap();
        } else if len == 1 {
            compressed = b"\x00\x01\x00\xfe\xffx\x00".to_vec();
        }
        let mut inflater = Inflater::new();
        let mut out = Vec::new();
        inflater.inflate(&compressed, len, &mut out).unwrap();
        assert_eq!(out, payload);
        inflater.inflate(&compressed, usize::MAX, &mut out).unwrap();
        assert_eq!(out, payload);
        if len > 0 {
            assert_eq!(inflater.inflate(&compressed, len - 1, &mut out), Err(InflateError::TooBig));
        }
        // A buffer with more room than the limit makes no difference.
        let mut roomy = Vec::with_capacity(200_000);
        inflater.inflate(&compressed, len, &mut roomy).unwrap();
        assert_eq!(roomy, payload);
        if len > 0 {
            assert_eq!(inflater.inflate(&compressed, len - 1, &mut roomy), Err(InflateError::TooBig));
        }
    }
    assert_eq!(InflateError::TooBig.close_code(), CloseCode::TOO_BIG);
}

#[test]
fn a_bomb_takes_no_more_memory_than_the_limit() {
    let bomb = bomb(1 << 30);
    assert!(bomb.len() < 2 << 20);
    let mut inflater = Inflater::new();
    for max in [0, 1, 1000, MAX, MAX + 12_345] {
        let mut out = Vec::new();
        assert_eq!(inflater.inflate(&bomb, max, &mut out), Err(InflateError::TooBig));
        assert!(out.capacity() <= max + 1, "{} bytes for {max}", out.capacity());
    }
    // The first few kilobytes of it are enough to pass the limit.
    let mut out = Vec::new();
    assert_eq!(inflater.inflate(&bomb[..4096], MAX, &mut out), Err(InflateError::TooBig));
    // A great many empty blocks are nothing at all.
    for block in [&b"\x00\x00\x00\xff\xff"[..], b"\x03\x00", b"\x01\x00\x00\xff\xff"] {
        let mut blocks = block.repeat(10_000);
        blocks.push(0);
        inflater.inflate(&blocks, 0, &mut out).unwrap();
        assert!(out.is_empty());
    }
}

#[test]
fn what_does_not_shrink_is_not_compressed() {
    let mut deflaters = Deflaters::new();
    let mut out = Vec::new();
    // A generator of nothing that repeats.
    let mut state = 1u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    })
    .take(100_000)
    .collect();
    for window in windows() {
        for level in 0..=10 {
            for len in [0, 1, 4, 5, 500, 5_000, 100_000] {
                assert!(!deflaters.deflate(&noise[..len], window, level, &mut out), "{len} bytes at {level}");
                assert!(out.capacity() <= 100_000 * 9 / 8 + 128);
            }
        }
    }
    // The deflater works on as before.
    assert!(deflaters.deflate(&[b'a'; 500], WindowBits::MIN, 5, &mut out));
    assert_eq!(inflate(&out).unwrap(), [b'a'; 500]);
}

#[test]
fn a_window_is_never_left() {
    // What repeats does so at just this distance.
    for distance in [300usize, 1000, 5000, 30_000] {
        let mut state = 7u32;
        let part: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8 & 0x3f
        })
        .take(distance)
        .collect();
        let payload = part.repeat(3);
        let largest = deflate(&payload, WindowBits::MAX, 6).unwrap();
        for window in windows() {
            for level in 1..=9 {
                if let Some(compressed) = deflate(&payload, window, level) {
                    let (inflated, farthest) = oracle::inflate(&compressed).unwrap();
                    assert!(farthest <= 1 << window.get(), "{farthest} in {window:?} at {level}");
                    assert_eq!(inflated, payload);
                }
            }
            // This proves that the check above can find something.
            assert!(oracle::inflate(&largest).unwrap().1 >= distance);
            // What fits into a window is the same for all that are as large.
            let fits = payload.len() <= 1 << window.get();
            assert_eq!(window.for_message(payload.len()), if fits { WindowBits::MAX } else { window });
            let shared = deflate(&part, window.for_message(part.len()), 6).unwrap();
            assert!(oracle::inflate(&shared).unwrap().1 <= 1 << window.get());
        }
    }
}

#[test]
fn the_level_is_taken_and_makes_a_difference() {
    let payload: Vec<u8> =
        (0..4000u32).flat_map(|i| format!("{{\"id\":{},\"x\":{}}}", i * 7919 % 4099, i).into_bytes()).collect();
    let mut deflaters = Deflaters::new();
    let mut out = Vec::new();
    let mut lens = Vec::new();
    for level in [1, 9, 1, 6, 9] {
        assert!(deflaters.deflate(&payload, WindowBits::MAX, level, &mut out));
        assert_eq!(Some(&out), deflate(&payload, WindowBits::MAX, level).as_ref(), "level {level}");
        lens.push(out.len());
    }
    assert!(lens[0] > lens[3] && lens[3] > lens[1], "{lens:?}");
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        prop::collection::vec(prop::sample::select(&b"abc{}\":,1"[..]), 0..3000),
        (prop::collection::vec(any::<u8>(), 1..2000), 1..40usize).prop_map(|(part, times)| part.repeat(times)),
        "\\PC{0,500}".prop_map(String::into_bytes),
    ]
}

#[test]
fn slices_come_to_the_same_as_one_go() {
    let text: Vec<u8> = (0..6000u32).flat_map(|i| format!("{{\"id\":{}}}", i * 7919 % 4099).into_bytes()).collect();
    let long = deflate(&text, WindowBits::MAX, 6).unwrap();
    let (fixed, stored) = (b"\xf3\x48\xcd\xc9\xc9\x07\x00", b"\x01\x05\x00\xfa\xffHello");
    let blocks = [&b"\x03\x00"[..], b"\x01\x00\x00\xff\xff", b"\x00\x00\x00\xff\xff"].map(|block| block.repeat(50));
    let bomb = bomb(1 << 17);
    for compressed in [
        &b""[..],
        b"\x00",
        b"\x03\x00",
        b"\xf2\x48\xcd\xc9\xc9\x07\x00",
        b"\x00\x05\x00\xfa\xffHello\x00",
        b"\x00\x05\x00\xfa\xffHell",
        b"\x00\x04\x00\xfb\xff",
        fixed,
        stored,
        &[&stored[..], fixed, stored, b"\x00"].concat(),
        &[&stored[..], b"garbage"].concat(),
        &[&stored[..], b"\xf2\x00\x11\x00\x00"].concat(),
        &[&long[..long.len() - 1], fixed, &long].concat(),
        &long,
        &long[..long.len() / 2],
        &blocks.concat(),
        &[&blocks.concat()[..], b"\x00"].concat(),
        &bomb,
    ] {
        let whole = inflate(compressed);
        for slice in slices() {
            let small = slice.input < 7 && compressed.len() > 10_000 || slice.output < 5 && compressed.len() > 100;
            if !small {
                assert!(inflate_sliced(compressed, slice) == whole, "{slice:?} of {} bytes", compressed.len());
            }
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_come_to_the_same_in_slices(bytes: Vec<u8>, input in 1..50usize, output in 0..50usize) {
        prop_assert_eq!(inflate_sliced(&bytes, Slice { input, output }), inflate(&bytes));
    }

    #[test]
    fn what_is_deflated_inflates_to_the_same_in_slices(
        payload in payload(),
        level in 1..=9u8,
        input in 1..300usize,
        output in 0..300usize,
    ) {
        if let Some(compressed) = deflate(&payload, WindowBits::MAX, level) {
            prop_assert_eq!(inflate_sliced(&compressed, Slice { input, output }).unwrap(), payload);
        }
    }

    #[test]
    fn what_is_deflated_inflates_to_the_same_whatever_came_before(
        payloads in prop::collection::vec((payload(), 9..=15u8, 0..=10u8), 1..4),
    ) {
        let (mut deflaters, mut inflater) = (Deflaters::new(), Inflater::new());
        let (mut compressed, mut out) = (Vec::new(), Vec::new());
        for (payload, window, level) in payloads {
            let window = WindowBits::new(window).unwrap();
            let alone = deflate(&payload, window, level);
            let shorter = deflaters.deflate(&payload, window, level, &mut compressed);
            prop_assert_eq!(shorter.then_some(&compressed), alone.as_ref());
            if shorter {
                prop_assert!(compressed.len() < payload.len());
                prop_assert!(!compressed.ends_with(&TAIL));
                inflater.inflate(&compressed, payload.len(), &mut out).unwrap();
                prop_assert_eq!(&out, &payload);
                let (inflated, farthest) = oracle::inflate(&compressed).unwrap();
                prop_assert_eq!(inflated, payload);
                prop_assert!(farthest <= 1 << window.get());
            }
        }
    }

    #[test]
    fn any_bytes_are_inflated_within_the_limit_or_refused(bytes: Vec<u8>, max in 0..2000usize) {
        let (mut small, mut roomy) = (Vec::new(), Vec::with_capacity(1 << 16));
        let mut inflater = Inflater::new();
        let verdict = inflater.inflate(&bytes, max, &mut small);
        prop_assert!(small.capacity() <= max + 1);
        // However much room there is.
        prop_assert_eq!(inflater.inflate(&bytes, max, &mut roomy).is_ok(), verdict.is_ok());
        if verdict.is_ok() {
            prop_assert_eq!(small, roomy);
        }
    }

    #[test]
    fn a_flipped_bit_never_gives_more_than_the_limit(
        payload in payload(),
        at in any::<prop::sample::Index>(),
        bit in 0..8u8,
    ) {
        if let Some(mut compressed) = deflate(&payload, WindowBits::MAX, 6) {
            let at = at.index(compressed.len());
            compressed[at] ^= 1u8 << bit;
            let mut out = Vec::new();
            if Inflater::new().inflate(&compressed, payload.len(), &mut out).is_ok() {
                prop_assert!(out.len() <= payload.len());
            }
        }
    }
}
