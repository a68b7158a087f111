//! What is in an outbox goes out whole and in order, whatever is dropped and however much the
//! kernel takes.

use proptest::prelude::*;
use wsbroker_proto::{Input, Item, Limits, Parser, Role};

use super::*;

/// A publish to thousands takes no memory that the one before did not take.
#[test]
fn chunks_are_used_again_and_bounded() {
    let mut spare = Spare::default();
    for _ in 0..2 {
        let taken: Vec<_> = (0..2000).map(|_| spare.take(10)).collect();
        let held: usize = taken.iter().map(Vec::capacity).sum();
        taken.into_iter().for_each(|chunk| spare.give(chunk));
        assert_eq!((spare.chunks.len(), spare.bytes), (2000, held), "all are kept, and none is new");
    }
    for _ in 0..2 * SPARE_BYTES / SPARE_MAX {
        spare.give(Vec::with_capacity(SPARE_MAX));
    }
    assert!(spare.bytes <= SPARE_BYTES, "{}", spare.bytes);
    let before = spare.chunks.len();
    spare.give(Vec::with_capacity(SPARE_MAX + 1));
    (0..2 * SPARE_COUNT).for_each(|_| spare.give(Vec::with_capacity(1)));
    assert!(before <= SPARE_COUNT && spare.chunks.len() <= SPARE_COUNT);
    while spare.bytes > 0 {
        spare.take(SPARE_MAX);
    }
}

#[test]
fn a_frame_that_was_begun_is_finished() {
    let mut spare = Spare::default();
    let mut outbox = Outbox::default();
    let mut frames = Vec::new();
    write_frame(&mut frames, Opcode::Text, &[b'a'; 10]);
    write_frame(&mut frames, Opcode::Text, &[b'b'; 300]);
    write_frame(&mut frames, Opcode::Text, &[b'c'; 10]);
    outbox.push_copy(&frames, &mut spare);
    outbox.advance(20, &mut spare);
    assert_eq!(outbox.discard_unsent(), 12);
    assert_eq!(outbox.len(), 12 + 304 - 20);
    assert_eq!(outbox.discard_unsent(), 0, "it is still begun");
}

#[test]
fn nothing_begun_means_nothing_kept() {
    let mut spare = Spare::default();
    let mut outbox = Outbox::default();
    outbox.push_copy(b"\x81\x01a\x81\x01b", &mut spare);
    outbox.advance(3, &mut spare);
    assert_eq!(outbox.discard_unsent(), 3, "a boundary is not inside a frame");
    assert!(outbox.is_empty());
}

#[test]
fn frames_are_found_by_every_length_form() {
    let mut chunk = Vec::new();
    let mut frames = Vec::new();
    for length in [0, 125, 126, 65_535, 65_536] {
        let start = chunk.len();
        write_frame(&mut chunk, Opcode::Binary, &vec![0; length]);
        frames.push((start, (chunk.len() - length, chunk.len())));
    }
    for (start, expected) in frames {
        assert_eq!(frame_at(&chunk, start), expected);
    }
}

/// What the kernel takes.
fn take(outbox: &mut Outbox, most: usize, spare: &mut Spare) -> Vec<u8> {
    let mut taken = Vec::new();
    for piece in &outbox.pieces {
        let rest = piece.rest();
        taken.extend_from_slice(&rest[..rest.len().min(most - taken.len())]);
    }
    outbox.advance(taken.len(), spare);
    taken
}

#[test]
fn a_head_that_was_not_taken_whole_is_finished() {
    let head = b"HTTP/1.1 101 Switching Protocols\r\n\r\n";
    for taken in [0, 1, 30, head.len()] {
        let (mut outbox, mut spare) = (Outbox::default(), Spare::default());
        outbox.push_copy(b"\x81\x01a", &mut spare);
        outbox.push_front(head.to_vec());
        outbox.push_copy(b"\x81\x01b", &mut spare);
        let mut written = take(&mut outbox, taken, &mut spare);
        assert_eq!(outbox.discard_unsent(), 6, "both frames, after {taken} bytes");
        outbox.push_close(Some(CloseCode::TRY_AGAIN), "");
        written.extend(take(&mut outbox, usize::MAX, &mut spare));
        assert_eq!(written, [&head[..], b"\x88\x02\x03\xf5"].concat());
    }
}

#[test]
fn a_close_frame_is_never_discarded() {
    let (mut outbox, mut spare) = (Outbox::default(), Spare::default());
    outbox.push_copy(b"\x81\x01a\x81\x01b", &mut spare);
    outbox.push_close(Some(CloseCode::NORMAL), "");
    take(&mut outbox, 2, &mut spare);
    assert_eq!(outbox.discard_unsent(), 3);
    assert_eq!(take(&mut outbox, 3, &mut spare), b"a\x88\x02");
    assert_eq!(outbox.discard_unsent(), 0, "it is begun");
    assert_eq!(take(&mut outbox, 9, &mut spare), b"\x03\xe8");
    assert!(outbox.is_empty());
}

#[test]
fn the_oldest_go_first_and_none_that_was_begun() {
    let (mut outbox, mut spare) = (Outbox::default(), Spare::default());
    outbox.push_copy(b"\x81\x01a\x81\x01b\x81\x01c\x81\x01d", &mut spare);
    take(&mut outbox, 1, &mut spare);
    assert_eq!(outbox.drop_oldest(12, &mut spare), 0, "it is under the limit");
    assert_eq!(outbox.drop_oldest(11, &mut spare), 1);
    outbox.push_copy(b"\x81\x01e", &mut spare);
    assert_eq!((outbox.drop_oldest(11, &mut spare), outbox.len()), (1, 8));
    assert_eq!(take(&mut outbox, 99, &mut spare), b"\x01a\x81\x01d\x81\x01e");
    assert_eq!(outbox.drop_oldest(0, &mut spare), 0);
}

#[test]
fn a_frame_of_any_size_is_dropped_whole() {
    let (mut outbox, mut spare) = (Outbox::default(), Spare::default());
    let mut arena = Vec::new();
    write_frame(&mut arena, Opcode::Binary, &[1; 100_000]);
    let arena = Bytes::from(arena);
    outbox.push(&arena, 0, arena.len(), false, &mut spare);
    outbox.push(&arena, 0, arena.len(), false, &mut spare);
    take(&mut outbox, 5, &mut spare);
    outbox.push_copy(b"\x81\x01a", &mut spare);
    assert_eq!(outbox.drop_oldest(100_009, &mut spare), 1);
    assert_eq!(outbox.len(), arena.len() - 5 + 3);
    assert_eq!(outbox.drop_oldest(1, &mut spare), 1, "the rest of the first must go");
    assert_eq!(take(&mut outbox, usize::MAX, &mut spare), arena[5..]);
}

#[test]
fn what_waits_of_an_arena_does_not_keep_it_and_entries_of_a_history_are_not_copied() {
    let (mut outbox, mut spare) = (Outbox::default(), Spare::default());
    let mut frame = Vec::new();
    write_frame(&mut frame, Opcode::Binary, &[1; COPY_MAX]);
    let frame = Bytes::from(frame);
    outbox.push(&frame, 0, frame.len(), true, &mut spare);
    assert!(frame.is_unique(), "it is copied");
    outbox.begin_entry(false);
    outbox.push(&frame, 0, frame.len(), true, &mut spare);
    outbox.end_entry();
    assert!(!frame.is_unique(), "it is shared");
    assert_eq!(take(&mut outbox, usize::MAX, &mut spare), [&frame[..], &frame[..]].concat());
}

#[test]
fn pings_and_the_newest_pong_stay() {
    let (mut outbox, mut spare) = (Outbox::default(), Spare::default());
    outbox.push_pong(b"1", &mut spare);
    outbox.push_copy(b"\x81\x01a", &mut spare);
    outbox.push_ping();
    outbox.push_pong(b"2", &mut spare);
    assert_eq!(outbox.drop_oldest(1, &mut spare), 1);
    assert_eq!(outbox.pong.as_deref(), Some(&b"2"[..]));
    assert_eq!(take(&mut outbox, 99, &mut spare), b"\x89\0");
    outbox.push_pong(b"3", &mut spare);
    outbox.set_pong(b"4");
    assert_eq!(outbox.drop_oldest(1, &mut spare), 0);
    assert_eq!((outbox.pong.as_deref(), outbox.len()), (Some(&b"4"[..]), 0));
}

#[test]
fn a_ping_goes_before_what_was_not_begun_and_waits_once() {
    let mut frames = Vec::new();
    write_frame(&mut frames, Opcode::Text, &[b'a'; 10]);
    write_frame(&mut frames, Opcode::Text, &[b'b'; 10]);
    for (written, before) in [(0, 0), (5, 12), (12, 12), (13, 24), (24, 24)] {
        let (mut outbox, mut spare) = (Outbox::default(), Spare::default());
        outbox.push_copy(&frames, &mut spare);
        take(&mut outbox, written, &mut spare);
        assert_eq!((outbox.push_ping(), outbox.push_ping()), (2, 0));
        let expected = [&frames[written..before], b"\x89\0", &frames[before..]].concat();
        assert_eq!(outbox.len(), expected.len());
        assert_eq!(take(&mut outbox, usize::MAX, &mut spare), expected, "after {written} bytes");
        assert_eq!(outbox.push_ping(), 2, "the last one has gone");
    }
}

/// Both ends of a connection. The kernel takes no more on ours.
fn full() -> (Stream, std::net::TcpStream) {
    use std::io::Write;

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let theirs = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut ours, _) = listener.accept().unwrap();
    ours.set_nonblocking(true).unwrap();
    // The kernel moves bytes on for a moment.
    let mut refused = 0;
    while refused < 100 {
        if ours.write(&[0; 1 << 16]).is_ok_and(|taken| taken > 0) {
            refused = 0;
        } else {
            refused += 1;
            std::thread::yield_now();
        }
    }
    (Stream::tcp(ours), theirs)
}

/// Both ends of a connection.
fn pair() -> (Stream, std::net::TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let theirs = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (ours, _) = listener.accept().unwrap();
    ours.set_nonblocking(true).unwrap();
    (Stream::tcp(ours), theirs)
}

#[test]
fn buffers_are_used_again_unless_they_are_large_or_too_many() {
    let mut spare = Spare::default();
    spare.give(b"of another connection".to_vec());
    let again = spare.take(10);
    assert!(again.is_empty() && again.capacity() > 20, "the same, and nothing in it");
    spare.give(Vec::with_capacity(SPARE_MAX + 1));
    assert!(spare.chunks.is_empty());
    (0..SPARE_COUNT + 1).for_each(|_| spare.give(Vec::with_capacity(SPARE_MAX)));
    assert_eq!(spare.chunks.len(), SPARE_BYTES / SPARE_MAX);
}

#[test]
fn small_frames_gather_in_chunks() {
    let (mut outbox, mut spare) = (Outbox::default(), Spare::default());
    let frame = [7; 1 << 10];
    (0..CHUNK / frame.len()).for_each(|_| outbox.push_copy(&frame, &mut spare));
    assert_eq!(outbox.pieces.len(), 1);
    outbox.push_copy(&frame, &mut spare);
    assert_eq!((outbox.pieces.len(), outbox.len()), (2, (32 << 10) + frame.len()));
}

#[test]
fn a_write_ends_when_all_is_written_or_others_have_their_turn() {
    let (mut outbox, mut spare) = (Outbox::default(), Spare::default());
    let mut frame = Vec::new();
    write_frame(&mut frame, Opcode::Binary, &[7; COPY_MAX]);
    let frame = Bytes::from(frame);
    // More pieces than one call of the kernel takes.
    for _ in 0..2 * SLICES + 10 {
        outbox.push(&frame, 0, frame.len(), false, &mut spare);
    }
    let all = outbox.len();
    let (mut stream, mut theirs) = pair();
    let reader = std::thread::spawn(move || {
        let mut read = Vec::new();
        std::io::Read::read_to_end(&mut theirs, &mut read).unwrap();
        read.len()
    });
    spare.write_max = frame.len();
    let mut taken = 0;
    assert_eq!(outbox.write(&mut stream, &mut spare, &mut taken), Written::Enough);
    assert!(taken >= frame.len() as u64 && outbox.len() == all - taken as usize);
    spare.write_max = Spare::default().write_max;
    let start = std::time::Instant::now();
    loop {
        match outbox.write(&mut stream, &mut spare, &mut taken) {
            Written::All => break,
            Written::Blocked => assert!(start.elapsed().as_secs() < 10, "it is read"),
            other => panic!("{other:?} with {} bytes left", outbox.len()),
        }
    }
    assert_eq!((taken as usize, outbox.len()), (all, 0));
    drop(stream);
    assert_eq!(reader.join().unwrap(), all);
}

#[test]
fn a_connection_that_was_reset_is_lost() {
    let (mut stream, theirs) = pair();
    socket2::SockRef::from(&theirs).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    drop(theirs);
    let (mut outbox, mut spare) = (Outbox::default(), Spare::default());
    let start = std::time::Instant::now();
    loop {
        outbox.push_copy(b"\x81\x01a", &mut spare);
        match outbox.write(&mut stream, &mut spare, &mut 0) {
            Written::Lost => break,
            Written::All => assert!(start.elapsed().as_secs() < 10, "the kernel has not heard of it"),
            other => panic!("{other:?}"),
        }
    }
}

/// Says whether it is still there.
struct Owner {
    bytes: Vec<u8>,
    _alive: std::sync::Arc<()>,
}

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[test]
fn what_has_to_wait_keeps_no_arena() {
    let (mut stream, _theirs) = full();
    let (mut outbox, mut spare) = (Outbox::default(), Spare::default());
    let alive = std::sync::Arc::new(());
    let mut frames = Vec::new();
    write_frame(&mut frames, Opcode::Binary, &[b'a'; COPY_MAX + 1]);
    let length = frames.len();
    frames.resize(1 << 20, 0);
    let arena = Bytes::from_owner(Owner { bytes: frames, _alive: std::sync::Arc::clone(&alive) });
    // When it is queued nothing waits yet.
    outbox.push(&arena, 0, length, false, &mut spare);
    drop(arena);
    assert_eq!(std::sync::Arc::strong_count(&alive), 2, "it is shared");
    assert_eq!(outbox.write(&mut stream, &mut spare, &mut 0), Written::Blocked);
    assert_eq!(std::sync::Arc::strong_count(&alive), 1, "a copy waits in its place");
    assert_eq!(outbox.len(), length);
}

#[test]
fn a_pong_that_waits_is_discarded_with_the_rest() {
    let (mut outbox, mut spare) = (Outbox::default(), Spare::default());
    outbox.push_copy(b"\x81\x01a", &mut spare);
    outbox.set_pong(b"1");
    outbox.discard_unsent();
    outbox.push_close(Some(CloseCode::TRY_AGAIN), "");
    assert_eq!(written(outbox, &mut spare), b"\x88\x02\x03\xf5");
}

/// Behind a close frame nothing goes out (RFC 6455 §5.5.1), and behind everything else a pong comes
/// too late.
#[test]
fn a_pong_that_waits_goes_before_what_was_not_begun() {
    let (mut outbox, mut spare) = (Outbox::default(), Spare::default());
    outbox.push_copy(b"\x81\x01a\x81\x01b", &mut spare);
    take(&mut outbox, 1, &mut spare);
    outbox.set_pong(b"1");
    outbox.set_pong(b"2");
    outbox.push_close(Some(CloseCode::NORMAL), "");
    assert_eq!(written(outbox, &mut spare), b"\x01a\x8a\x012\x81\x01b\x88\x02\x03\xe8");
}

#[test]
fn the_answer_to_a_ping_in_text_goes_once_before_what_was_not_begun() {
    let pong = b"\x81\x0f{\"type\":\"pong\"}";
    let (mut outbox, mut spare) = (Outbox::default(), Spare::default());
    outbox.push_copy(b"\x81\x01a\x81\x01b", &mut spare);
    take(&mut outbox, 1, &mut spare);
    outbox.set_text_pong();
    outbox.set_text_pong();
    assert_eq!(written(outbox, &mut spare), [&b"\x01a"[..], pong, b"\x81\x01b"].concat());

    let mut outbox = Outbox::default();
    outbox.set_text_pong();
    assert_eq!(written(outbox, &mut spare), pong, "nothing else waits");

    let mut outbox = Outbox::default();
    outbox.set_text_pong();
    outbox.discard_unsent();
    outbox.push_close(Some(CloseCode::TRY_AGAIN), "");
    assert_eq!(written(outbox, &mut spare), b"\x88\x02\x03\xf5", "nothing comes behind a close");
}

/// What goes out when the kernel takes all.
fn written(mut outbox: Outbox, spare: &mut Spare) -> Vec<u8> {
    use std::io::Read;

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut theirs = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (ours, _) = listener.accept().unwrap();
    ours.set_nonblocking(true).unwrap();
    let mut stream = Stream::tcp(ours);
    assert_eq!(outbox.write(&mut stream, spare, &mut 0), Written::All);
    drop(stream);
    let mut written = Vec::new();
    theirs.read_to_end(&mut written).unwrap();
    written
}

/// What is done to an outbox.
#[derive(Clone, Debug)]
enum Step {
    /// A message with this many more bytes than its number takes.
    Push(usize),
    Pong,
    Ping,
    Write(usize),
    Drop(usize),
    Discard,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => prop_oneof![8 => 0..300_usize, 1 => 4000..5000_usize, 1 => 65_000..70_000_usize].prop_map(Step::Push),
        1 => Just(Step::Pong),
        1 => Just(Step::Ping),
        6 => (0..3000_usize).prop_map(Step::Write),
        3 => (0..5000_usize).prop_map(Step::Drop),
        1 => Just(Step::Discard),
    ]
}

proptest! {
    /// Whatever is dropped, what goes out is the head and whole frames: the messages in order, none
    /// twice, the newest if it was not discarded, and as many as were not dropped.
    #[test]
    fn what_goes_out_is_whole(steps in proptest::collection::vec(step(), 0..120), head in 1..50_usize) {
        let (mut outbox, mut spare, mut written) = (Outbox::default(), Spare::default(), Vec::new());
        let head = vec![b'H'; head];
        outbox.push_front(head.clone());
        let (mut pushed, mut dropped, mut discarded) = (0_u64, 0, false);
        for step in steps {
            match step {
                Step::Push(more) => {
                    let mut frame = Vec::new();
                    let payload = [&pushed.to_be_bytes()[..], &vec![b'x'; more]].concat();
                    write_frame(&mut frame, Opcode::Binary, &payload);
                    let frame = Bytes::from(frame);
                    outbox.push(&frame, 0, frame.len(), more % 2 == 0, &mut spare);
                    pushed += 1;
                }
                Step::Pong => outbox.push_pong(b"pong", &mut spare),
                Step::Ping => _ = outbox.push_ping(),
                Step::Write(most) => written.extend(take(&mut outbox, most, &mut spare)),
                Step::Drop(limit) => {
                    let newest = outbox.len();
                    dropped += outbox.drop_oldest(limit, &mut spare);
                    prop_assert!(outbox.len() <= newest);
                }
                Step::Discard => {
                    outbox.discard_unsent();
                    discarded = true;
                }
            }
            prop_assert_eq!(outbox.len(), outbox.pieces.iter().map(|piece| piece.rest().len()).sum::<usize>());
        }
        written.extend(take(&mut outbox, usize::MAX, &mut spare));
        prop_assert_eq!(outbox.len(), 0);
        prop_assert_eq!(written.get(..head.len()), Some(&head[..]));
        let mut frames = written.split_off(head.len());
        let (mut parser, mut input) = (Parser::new(Role::Client), Input::new(&mut frames));
        let limits = Limits { max_message: 1 << 20, allow_rsv1: false };
        let mut numbers: Vec<u64> = Vec::new();
        while !input.is_empty() {
            match parser.next(&mut input, &limits) {
                Ok(Some(Item::Message { payload, .. })) => {
                    numbers.push(payload.as_ref().iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte)));
                }
                other => prop_assert!(matches!(other, Ok(Some(Item::Ping(_) | Item::Pong(_)))), "{:?}", other),
            }
        }
        prop_assert!(numbers.is_sorted_by(|a, b| a < b), "{:?}", numbers);
        if !discarded {
            prop_assert_eq!(numbers.len() as u64 + dropped, pushed);
        }
    }
}
