//! Any bytes as a compressed message: within the limit or refused, the same from an inflater that
//! has failed before as from a new one, and nothing else than miniz_oxide makes of them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};
use wsbroker_proto::{Deflaters, InflateError, Inflater, Slice, Sliced, WindowBits};

const ROOM: usize = 1 << 16;
const TAIL_AND_END: [u8; 9] = [0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff];

fuzz_target!(|input: &[u8]| {
    let Some(([high, low, flags], message)) = input.split_first_chunk::<3>() else {
        return;
    };
    let max = usize::from(u16::from_be_bytes([*high, *low]));

    let mut out = Vec::new();
    let verdict = Inflater::new().inflate(message, max, &mut out);
    assert!(out.capacity() <= max + 1);
    let mut used = Inflater::new();
    // Whatever state this leaves behind.
    let _ = used.inflate(&message[..message.len() / 2], max / 2, &mut Vec::new());
    let mut roomy = Vec::with_capacity(2 * ROOM);
    let again = used.inflate(message, max, &mut roomy);
    assert_eq!(again.is_ok(), verdict.is_ok());
    if verdict.is_ok() {
        assert_eq!(roomy, out);
    }

    // In slices it comes to the same.
    let (mut rest, mut part, mut message_in_slices) = (message, Vec::new(), Vec::new());
    let slice = Slice { input: 1 + usize::from(*flags), output: usize::from(*low) };
    used.begin();
    let sliced = loop {
        match used.slice(&mut rest, slice, &mut part) {
            Err(error) => break Err(error),
            Ok(more) => {
                assert!(part.capacity() <= slice.output + 1);
                message_in_slices.extend_from_slice(&part);
                if message_in_slices.len() > max {
                    break Err(InflateError::TooBig);
                }
                if more == Sliced::Whole {
                    break Ok(());
                }
            }
        }
    };
    // What is corrupt behind the limit may be found first.
    assert_eq!(sliced.is_ok(), verdict.is_ok());
    if sliced.is_ok() {
        assert_eq!(message_in_slices, out);
    }

    // The other knows one stream only: nothing behind a final block.
    let stream = [message, &TAIL_AND_END].concat();
    let mut theirs = vec![0; ROOM];
    let (status, read, written) = decompress(
        &mut DecompressorOxide::new(),
        &stream,
        &mut theirs,
        0,
        inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
    );
    if status == TINFLStatus::Done && (read == stream.len() || read == message.len()) {
        match verdict {
            Ok(()) => assert_eq!(out, theirs[..written]),
            Err(error) => assert_eq!((error, written > max), (InflateError::TooBig, true)),
        }
    } else if status == TINFLStatus::Failed && verdict.is_ok() && !message.is_empty() {
        panic!("they refuse what we take: {} bytes", out.len());
    }

    // What came out goes in again.
    if verdict.is_ok() {
        let window = WindowBits::new(9 + flags % 7).expect("9 to 15");
        let mut compressed = Vec::new();
        if Deflaters::new().deflate(&out, window, 1 + flags / 7 % 9, &mut compressed) {
            assert!(compressed.len() < out.len());
            assert_eq!(used.inflate(&compressed, out.len(), &mut roomy), Ok(()));
            assert_eq!(roomy, out);
        }
    }
});
