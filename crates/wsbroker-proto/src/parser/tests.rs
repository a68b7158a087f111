//! The rules of RFC 6455, one by one. `tests/` has what is generated: splits, round trips,
//! tungstenite.

use super::*;
use crate::{CloseCode, CloseFrame, client, write_close, write_frame};

const LIMITS: Limits = Limits { max_message: 1000, allow_rsv1: false };
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Feeds `bytes` to a server's parser: what it says, as text, and how it ended.
fn feed(parser: &mut Parser, bytes: &[u8], limits: &Limits) -> (Vec<String>, Option<ProtocolError>) {
    let mut bytes = bytes.to_vec();
    let mut input = Input::new(&mut bytes);
    let mut said = Vec::new();
    loop {
        match parser.next(&mut input, limits) {
            Ok(None) => return (said, None),
            Ok(Some(item)) => said.push(match item {
                Item::Message { kind, payload, compressed } => {
                    let compressed = if compressed { " compressed" } else { "" };
                    format!("{kind:?}{compressed} {}", payload.as_ref().escape_ascii())
                }
                Item::Ping(payload) => format!("Ping {}", payload.as_ref().escape_ascii()),
                Item::Pong(payload) => format!("Pong {}", payload.as_ref().escape_ascii()),
                Item::Close(None) => "Close".to_owned(),
                Item::Close(Some(CloseFrame { code, reason })) => format!("Close {code} {reason}"),
            }),
            Err(error) => return (said, Some(error)),
        }
    }
}

fn server(bytes: &[u8]) -> (Vec<String>, Option<ProtocolError>) {
    feed(&mut Parser::new(Role::Server), bytes, &LIMITS)
}

/// The error that these bytes end with; nothing may be said before it.
fn error(bytes: &[u8]) -> ProtocolError {
    let (said, error) = server(bytes);
    assert_eq!(said, [""; 0]);
    error.expect("these bytes are wrong")
}

fn frame(fin: bool, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    client::write_frame(&mut out, fin, opcode, payload, KEY);
    out
}

/// A masked header by hand, for what the writer refuses to write.
fn raw(first: u8, second: u8, more: &[u8]) -> Vec<u8> {
    [&[first, second | 0x80], more, &[0; 4]].concat()
}

#[test]
fn an_idle_parser_is_small_and_owns_nothing() {
    assert!(size_of::<Parser>() <= 64);
    let mut parser = Parser::new(Role::Server);
    assert_eq!(parser.buffered(), 0);
    feed(&mut parser, &frame(true, Opcode::Text, b"hello"), &LIMITS);
    assert_eq!(parser.buffered(), 0);
}

#[test]
fn the_examples_of_the_rfc_are_read() {
    // Section 5.7.
    let masked = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    assert_eq!(server(&masked), (vec!["Text Hello".to_owned()], None));
    let mut client = Parser::new(Role::Client);
    let stream = b"\x81\x05Hello\x01\x03Hel\x80\x02lo\x89\x05Hello";
    let (said, end) = feed(&mut client, stream, &LIMITS);
    assert_eq!((said.as_slice(), end), (&["Text Hello", "Text Hello", "Ping Hello"].map(str::to_owned)[..], None));
}

#[test]
fn a_whole_message_is_handed_out_where_it_lies() {
    let mut bytes = [frame(true, Opcode::Binary, b"first"), frame(true, Opcode::Text, b"second")].concat();
    let range = bytes.as_ptr_range();
    let mut input = Input::new(&mut bytes);
    let mut parser = Parser::new(Role::Server);
    for expected in [&b"first"[..], b"second"] {
        match parser.next(&mut input, &LIMITS) {
            Ok(Some(Item::Message { payload: Payload::Borrowed(payload), .. })) => {
                assert_eq!(payload, expected);
                assert!(range.contains(&payload.as_ptr()));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_caller_that_stops_between_items_finds_the_rest_untouched() {
    let second = frame(true, Opcode::Text, b"second");
    let mut bytes = [frame(true, Opcode::Text, b"first"), second.clone()].concat();
    let mut input = Input::new(&mut bytes);
    let mut parser = Parser::new(Role::Server);
    assert!(parser.next(&mut input, &LIMITS).unwrap().is_some());
    assert_eq!(input.remaining(), second.len());
    let rest = input.into_rest().to_vec();
    assert_eq!(rest, second);
    assert_eq!(feed(&mut parser, &rest, &LIMITS).0, ["Text second"]);
}

#[test]
fn lengths_at_the_edges_of_their_encodings_are_read() {
    let limits = Limits { max_message: 1 << 20, ..LIMITS };
    for len in [0, 1, 125, 126, 127, 65_535, 65_536, 65_537] {
        let payload = vec![b'x'; len];
        let (said, end) = feed(&mut Parser::new(Role::Server), &frame(true, Opcode::Text, &payload), &limits);
        assert_eq!(end, None);
        assert_eq!(said.concat().len(), "Text ".len() + len);
    }
}

#[test]
fn lengths_must_be_minimal_and_below_63_bits() {
    assert_eq!(error(&raw(0x82, 126, &[0, 125])), ProtocolError::LengthNotMinimal);
    assert_eq!(error(&raw(0x82, 126, &[0, 0])), ProtocolError::LengthNotMinimal);
    assert_eq!(error(&raw(0x82, 127, &[0, 0, 0, 0, 0, 0, 0xff, 0xff])), ProtocolError::LengthNotMinimal);
    assert_eq!(error(&raw(0x82, 127, &[0x80, 0, 0, 0, 0, 0, 0, 0])), ProtocolError::LengthOverflow);
    assert_eq!(error(&raw(0x82, 127, &[0xff; 8])), ProtocolError::LengthOverflow);
    assert_eq!(error(&raw(0x82, 127, &[0x7f, 255, 255, 255, 255, 255, 255, 255])), ProtocolError::MessageTooBig);
}

#[test]
fn reserved_bits_and_opcodes_are_refused_at_the_first_byte() {
    for first in 0..=255u8 {
        let (opcode, reserved) = (first & 0x0f, first & 0x70);
        let expected = match opcode {
            _ if reserved & 0x30 != 0 => ProtocolError::ReservedBits,
            3..=7 | 11..=15 => ProtocolError::ReservedOpcode(opcode),
            _ if reserved != 0 => ProtocolError::ReservedBits,
            8..=10 if first < 0x80 => ProtocolError::FragmentedControl,
            0 => ProtocolError::UnexpectedContinuation,
            _ => continue,
        };
        assert_eq!(error(&[first]), expected, "{first:#x}");
        assert_eq!(expected.close_code(), CloseCode::PROTOCOL);
    }
}

#[test]
fn the_mask_must_be_as_the_role_says() {
    assert_eq!(error(&[0x81, 0x05]), ProtocolError::MaskMissing);
    let mut client = Parser::new(Role::Client);
    assert_eq!(feed(&mut client, &[0x81, 0x85], &LIMITS).1, Some(ProtocolError::MaskUnexpected));
}

#[test]
fn control_frames_have_at_most_125_bytes() {
    let longest = frame(true, Opcode::Ping, &[b'p'; 125]);
    assert_eq!(server(&longest).0, [format!("Ping {}", "p".repeat(125))]);
    for opcode in [0x88, 0x89, 0x8a] {
        assert_eq!(error(&[opcode, 0x80 | 126]), ProtocolError::ControlTooLong);
        assert_eq!(error(&[opcode, 0x80 | 127]), ProtocolError::ControlTooLong);
    }
}

#[test]
fn the_message_limit_does_not_concern_control_frames() {
    let limits = Limits { max_message: 3, ..LIMITS };
    let (said, end) = feed(&mut Parser::new(Role::Server), &frame(true, Opcode::Ping, b"longer"), &limits);
    assert_eq!((said, end), (vec!["Ping longer".to_owned()], None));
}

#[test]
fn fragments_are_joined_and_control_frames_pass_between_them() {
    let stream = [
        frame(false, Opcode::Text, b"a"),
        frame(true, Opcode::Ping, b"1"),
        frame(false, Opcode::Continuation, b""),
        frame(true, Opcode::Pong, b"2"),
        frame(true, Opcode::Continuation, b"b"),
        frame(false, Opcode::Binary, b""),
        frame(true, Opcode::Continuation, b"whole"),
        frame(false, Opcode::Binary, b"x"),
        frame(true, Opcode::Continuation, b""),
        frame(true, Opcode::Text, b""),
        frame(false, Opcode::Text, b""),
        frame(true, Opcode::Continuation, b""),
    ];
    let expected = ["Ping 1", "Pong 2", "Text ab", "Binary whole", "Binary x", "Text ", "Text "];
    assert_eq!(server(&stream.concat()), (expected.map(str::to_owned).to_vec(), None));
}

#[test]
fn messages_do_not_interleave() {
    assert_eq!(error(&frame(true, Opcode::Continuation, b"x")), ProtocolError::UnexpectedContinuation);
    let start = frame(false, Opcode::Text, b"a");
    for opcode in [Opcode::Text, Opcode::Binary] {
        let stream = [start.clone(), frame(true, opcode, b"b")].concat();
        assert_eq!(error(&stream), ProtocolError::ExpectedContinuation);
    }
    // And a message that is over does not go on.
    let stream = [frame(true, Opcode::Text, b"a"), frame(true, Opcode::Continuation, b"b")].concat();
    assert_eq!(server(&stream).1, Some(ProtocolError::UnexpectedContinuation));
}

#[test]
fn a_control_frame_in_pieces_inside_a_message_in_pieces_disturbs_nothing() {
    let stream = [
        frame(false, Opcode::Text, "gr\u{fc}".as_bytes().split_at(3).0),
        frame(true, Opcode::Ping, b"ping\xff"),
        frame(true, Opcode::Continuation, b"\xbc\xc3\x9fe"),
    ];
    let mut parser = Parser::new(Role::Server);
    let said: Vec<String> = stream
        .concat()
        .iter()
        .flat_map(|byte| {
            let (said, end) = feed(&mut parser, &[*byte], &LIMITS);
            assert_eq!(end, None);
            said
        })
        .collect();
    assert_eq!(said, ["Ping ping\\xff", "Text gr\\xc3\\xbc\\xc3\\x9fe"]);
    assert_eq!(parser.buffered(), 0);
}

#[test]
fn bad_text_fails_at_its_first_bad_byte() {
    // "κόσμε", a byte that begins no character, and much that never comes.
    let text = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80edited";
    let bad = 12;
    let frame = frame(true, Opcode::Text, text);
    let mut parser = Parser::new(Role::Server);
    let header = frame.len() - text.len();
    for (i, byte) in frame.iter().enumerate() {
        let (_, end) = feed(&mut parser, &[*byte], &LIMITS);
        if i == header + bad {
            assert_eq!(end, Some(ProtocolError::InvalidUtf8));
            break;
        }
        assert_eq!(end, None, "byte {i}");
    }
    assert!(parser.is_done());
    assert_eq!(parser.buffered(), 0);
    assert_eq!(error(&frame[..header + bad + 1]), ProtocolError::InvalidUtf8);
    assert_eq!(error(&frame).close_code(), CloseCode::INVALID_PAYLOAD);
}

#[test]
fn a_character_may_be_cut_by_fragments_but_not_by_the_end_of_the_message() {
    let whole = [frame(false, Opcode::Text, b"\xf0\x9f"), frame(true, Opcode::Continuation, b"\x98\x80")].concat();
    assert_eq!(server(&whole).0, ["Text \\xf0\\x9f\\x98\\x80"]);
    assert_eq!(error(&frame(true, Opcode::Text, b"\xf0\x9f\x98")), ProtocolError::InvalidUtf8);
    let cut = [frame(false, Opcode::Text, b"\xf0\x9f"), frame(true, Opcode::Continuation, b"")].concat();
    assert_eq!(error(&cut), ProtocolError::InvalidUtf8);
    let ascii = [frame(false, Opcode::Text, b"\xf0\x9f"), frame(true, Opcode::Continuation, b"a")].concat();
    assert_eq!(error(&ascii), ProtocolError::InvalidUtf8);
    // What one message left open does not spoil the next.
    let mut parser = Parser::new(Role::Server);
    let binary = [frame(false, Opcode::Binary, b"\xf0"), frame(true, Opcode::Continuation, b"")].concat();
    assert_eq!(feed(&mut parser, &binary, &LIMITS).1, None);
    assert_eq!(feed(&mut parser, &whole, &LIMITS).1, None);
}

#[test]
fn the_limit_counts_all_fragments_and_strikes_at_the_header() {
    let limits = Limits { max_message: 10, ..LIMITS };
    let start = frame(false, Opcode::Binary, b"123456");
    let fits = [start.clone(), frame(true, Opcode::Continuation, b"7890")].concat();
    assert_eq!(feed(&mut Parser::new(Role::Server), &fits, &limits).0, ["Binary 1234567890"]);

    let mut header = frame(true, Opcode::Continuation, b"78901");
    header.truncate(6);
    let mut parser = Parser::new(Role::Server);
    let (_, end) = feed(&mut parser, &[start, header].concat(), &limits);
    assert_eq!(end, Some(ProtocolError::MessageTooBig));
    assert_eq!(end.map(|error| error.close_code()), Some(CloseCode::TOO_BIG));
    assert_eq!(parser.buffered(), 0);
}

#[test]
fn rsv1_means_compression_where_it_was_agreed_on() {
    let limits = Limits { allow_rsv1: true, ..LIMITS };
    let with = |fin, opcode, payload: &[u8]| {
        let mut out = client::header(fin, true, opcode, payload.len(), [0; 4]).as_ref().to_vec();
        out.extend_from_slice(payload);
        out
    };
    let read = |bytes: &[u8]| feed(&mut Parser::new(Role::Server), bytes, &limits);
    // Not checked as text: that is for the inflater's output.
    assert_eq!(read(&with(true, Opcode::Text, b"\xff")).0, ["Text compressed \\xff"]);
    let parts = [with(false, Opcode::Text, b"\xff"), frame(true, Opcode::Continuation, b"\xfe")].concat();
    assert_eq!(read(&parts).0, ["Text compressed \\xff\\xfe"]);
    assert_eq!(read(&frame(true, Opcode::Text, b"\xff")).1, Some(ProtocolError::InvalidUtf8));

    let again = [with(false, Opcode::Text, b""), with(true, Opcode::Continuation, b"")].concat();
    assert_eq!(read(&again).1, Some(ProtocolError::ReservedBits));
    assert_eq!(read(&with(true, Opcode::Ping, b"")).1, Some(ProtocolError::ReservedBits));
    assert_eq!(error(&with(true, Opcode::Text, b"")), ProtocolError::ReservedBits);
}

#[test]
fn compressed_bytes_may_pass_the_limit_a_little() {
    let limits = Limits { max_message: 800, allow_rsv1: true };
    for (len, compressed, fits) in [(800, false, true), (801, false, false), (964, true, true), (965, true, false)] {
        let header = client::header(true, compressed, Opcode::Binary, len, KEY);
        let (_, end) = feed(&mut Parser::new(Role::Server), header.as_ref(), &limits);
        assert_eq!(end.is_none(), fits, "{len}");

        let mut parser = Parser::new(Role::Server);
        let first = client::header(false, compressed, Opcode::Binary, 0, KEY);
        feed(&mut parser, first.as_ref(), &limits);
        let header = client::header(true, false, Opcode::Continuation, len, KEY);
        let (_, end) = feed(&mut parser, header.as_ref(), &limits);
        assert_eq!(end.is_none(), fits, "{len} in a continuation");
    }
}

#[test]
fn nothing_follows_a_close_frame() {
    let mut stream = Vec::new();
    client::write_close(&mut stream, Some(CloseCode::GOING_AWAY), "bye", KEY);
    stream.extend_from_slice(&[0xff; 50]);
    let mut parser = Parser::new(Role::Server);
    assert_eq!(feed(&mut parser, &stream, &LIMITS), (vec!["Close 1001 bye".to_owned()], None));
    assert!(parser.is_done());
    let mut more = [0xff; 10];
    let mut input = Input::new(&mut more);
    assert_eq!(parser.next(&mut input, &LIMITS), Ok(None));
    assert!(input.is_empty());
}

#[test]
fn close_frames_with_one_byte_a_bad_code_or_a_bad_reason_are_refused() {
    assert_eq!(server(&frame(true, Opcode::Close, b"")).0, ["Close"]);
    assert_eq!(error(&[0x88, 0x81]), ProtocolError::CloseTooShort);
    assert_eq!(error(&frame(true, Opcode::Close, b"\x03")), ProtocolError::CloseTooShort);
    assert_eq!(error(&frame(true, Opcode::Close, b"\x03\xed")), ProtocolError::InvalidCloseCode(1005));
    assert_eq!(error(&frame(true, Opcode::Close, b"\x03\xe8\xff")), ProtocolError::InvalidCloseReason);
    // Inside a message, too.
    let stream = [frame(false, Opcode::Text, b"a"), frame(true, Opcode::Close, b"\x03\xe8")].concat();
    assert_eq!(server(&stream).0, ["Close 1000 "]);
}

#[test]
fn after_an_error_everything_is_discarded() {
    let mut parser = Parser::new(Role::Server);
    assert!(feed(&mut parser, &[0x83], &LIMITS).1.is_some());
    assert_eq!(feed(&mut parser, &frame(true, Opcode::Text, b"x"), &LIMITS), (Vec::new(), None));
}

#[test]
fn memory_grows_with_what_arrives_and_ends_with_the_message() {
    let limits = Limits { max_message: 1 << 30, ..LIMITS };
    let mut parser = Parser::new(Role::Server);
    let header = client::header(true, false, Opcode::Binary, 1 << 30, KEY);
    feed(&mut parser, header.as_ref(), &limits);
    assert_eq!(parser.buffered(), 0);
    for received in 1..3000 {
        feed(&mut parser, b"x", &limits);
        assert!((received..=2 * received).contains(&parser.buffered()));
    }

    // The declared length of a final frame is where it ends.
    let mut parser = Parser::new(Role::Server);
    let message = frame(true, Opcode::Binary, &[0; 900]);
    feed(&mut parser, &message[..message.len() - 1], &LIMITS);
    assert_eq!(parser.buffered(), 900);
    feed(&mut parser, &message[message.len() - 1..], &LIMITS);
    assert_eq!(parser.buffered(), 0);
}

#[test]
fn memory_is_lent_once_an_eighth_of_a_message_has_come() {
    let limits = Limits { max_message: 1 << 20, ..LIMITS };
    let mut parser = Parser::new(Role::Server);
    let mut message = frame(true, Opcode::Binary, &[7; 8000]);
    let (start, rest) = message.split_at_mut(8 + 999);
    let mut asked = Vec::new();
    let mut lent = Some(vec![1; 9000]);
    let address = lent.as_ref().map(|memory| memory.as_ptr());
    for byte in start.chunks_mut(1) {
        let item = parser.next_in(&mut Input::new(byte), &limits, &mut |length| {
            asked.push(length);
            None
        });
        assert_eq!(item, Ok(None));
    }
    assert_eq!(asked, [0; 0], "a peer must not hold more than eight times what it has sent");
    assert!(parser.buffered() < 2000);
    let (next, rest) = rest.split_at_mut(1025);
    let item = parser.next_in(&mut Input::new(next), &limits, &mut |length| {
        asked.push(length);
        lent.take()
    });
    assert_eq!((item, asked.as_slice(), parser.buffered()), (Ok(None), &[8000][..], 9000));
    let item = parser.next(&mut Input::new(rest), &limits);
    let Ok(Some(Item::Message { payload: Payload::Owned(payload), .. })) = item else { panic!("{item:?}") };
    assert_eq!(payload, [7; 8000], "what the memory held before is gone");
    assert_eq!((Some(payload.as_ptr()), parser.buffered()), (address, 0));
}

#[test]
fn memory_that_is_too_small_is_not_taken() {
    let mut parser = Parser::new(Role::Server);
    let mut message = frame(true, Opcode::Binary, &[7; 800]);
    let (start, rest) = message.split_at_mut(500);
    let item = parser.next_in(&mut Input::new(start), &LIMITS, &mut |length| Some(Vec::with_capacity(length - 1)));
    assert_eq!((item, parser.buffered()), (Ok(None), 800));
    let item = parser.next(&mut Input::new(rest), &LIMITS);
    assert!(matches!(item, Ok(Some(Item::Message { payload, .. })) if payload.as_ref() == [7; 800]));
}

/// Autobahn 9.3 and 9.4 send such; each fragment must cost the same, however many came before.
#[test]
fn many_tiny_fragments_with_pings_in_pieces_between_them_reallocate_seldom() {
    let limits = Limits { max_message: 1 << 20, ..LIMITS };
    let mut parser = Parser::new(Role::Server);
    let mut growths = 0;
    let mut capacity = 0;
    for i in 0..20_000 {
        let opcode = if i == 0 { Opcode::Text } else { Opcode::Continuation };
        feed(&mut parser, &frame(false, opcode, b"x"), &limits);
        // Empty ones take no memory at all.
        feed(&mut parser, &frame(false, Opcode::Continuation, b""), &limits);
        let ping = frame(true, Opcode::Ping, &[b'p'; 125]);
        let (a, b) = ping.split_at(100);
        feed(&mut parser, a, &limits);
        assert_eq!(feed(&mut parser, b, &limits).0.len(), 1);
        growths += u32::from(parser.buffered() != capacity);
        capacity = parser.buffered();
        assert!(capacity <= 2 * (i + 1 + 125));
    }
    assert!(growths < 20, "{growths} reallocations");
}

#[test]
fn the_limit_is_where_the_buffer_stops_growing() {
    let limits = Limits { max_message: 100, allow_rsv1: false };
    let mut parser = Parser::new(Role::Server);
    for i in 0..100 {
        let opcode = if i == 0 { Opcode::Binary } else { Opcode::Continuation };
        feed(&mut parser, &frame(false, opcode, b"x"), &limits);
    }
    assert_eq!(parser.buffered(), 100);
}

#[test]
fn what_the_server_writes_a_client_reads() {
    let mut bytes = Vec::new();
    write_frame(&mut bytes, Opcode::Text, b"hi");
    write_frame(&mut bytes, Opcode::Pong, b"1");
    write_close(&mut bytes, None, "left out");
    let (said, end) = feed(&mut Parser::new(Role::Client), &bytes, &LIMITS);
    assert_eq!((said, end), (["Text hi", "Pong 1", "Close"].map(str::to_owned).to_vec(), None));
}

#[test]
fn debug_output_keeps_payloads_out() {
    let mut parser = Parser::new(Role::Server);
    feed(&mut parser, &frame(false, Opcode::Text, b"secret"), &LIMITS);
    assert_eq!(format!("{parser:?}"), "Parser { role: Server, phase: Header, buffered: 64, .. }");
}

#[test]
fn the_frame_ahead_is_known_wherever_the_parser_stands() {
    let mut parser = Parser::new(Role::Client);
    let ahead = |parser: &Parser, bytes: &[u8]| parser.opcode_ahead(&Input::new(&mut bytes.to_vec()));
    assert_eq!(ahead(&parser, b""), None);
    assert_eq!(ahead(&parser, b"\x88"), Some(Opcode::Close));
    assert_eq!(ahead(&parser, b"\x83"), None, "reserved");
    for (bytes, next) in
        [(&b"\x01"[..], Opcode::Text), (b"\x02a", Opcode::Text), (b"b", Opcode::Ping), (b"\x89\x01", Opcode::Ping)]
    {
        assert_eq!(parser.next(&mut Input::new(&mut bytes.to_vec()), &LIMITS), Ok(None));
        assert_eq!(ahead(&parser, b"\x89"), Some(next), "behind {bytes:?}");
    }
    assert!(parser.next(&mut Input::new(&mut b"p\x88\x00".to_vec()), &LIMITS).is_ok_and(|item| item.is_some()));
    assert_eq!(ahead(&parser, b"\x88"), Some(Opcode::Close));
    assert!(parser.next(&mut Input::new(&mut b"\x88\x00".to_vec()), &LIMITS).is_ok_and(|item| item.is_some()));
    assert_eq!(ahead(&parser, b"\x81"), None, "the end");
}

#[test]
fn a_whole_message_ahead_is_told_by_its_header() {
    let deflate = Limits { allow_rsv1: true, ..LIMITS };
    let frame = |fin, opcode, length: usize| {
        let mut frame = Vec::new();
        client::write_frame(&mut frame, fin, opcode, &vec![b'x'; length], KEY);
        frame
    };
    let ahead = |bytes: &[u8], limits: &Limits| Parser::new(Role::Server).whole_message_ahead(bytes, 200, limits);
    for opcode in [Opcode::Text, Opcode::Binary] {
        let mut bytes = frame(true, opcode, 300);
        let size = bytes.len();
        assert_eq!(ahead(&bytes, &LIMITS), Some(size));
        assert_eq!(ahead(&bytes[..size - 1], &LIMITS), None, "it is not whole");
        assert_eq!(ahead(&bytes[..3], &LIMITS), None);
        bytes.extend(frame(true, opcode, 10));
        assert_eq!(ahead(&bytes, &LIMITS), Some(size), "whatever is behind it");
        bytes[0] |= 0x40;
        assert_eq!(ahead(&bytes, &deflate), None, "it is compressed");
        assert_eq!(ahead(&frame(false, opcode, 300), &LIMITS), None, "it is a fragment");
        assert_eq!(ahead(&frame(true, opcode, 199), &LIMITS), None, "it is short");
        assert_eq!(ahead(&frame(true, opcode, 200), &LIMITS), Some(208));
        assert_eq!(ahead(&frame(true, opcode, 1001), &LIMITS), None, "it is too long");
    }
    assert_eq!(ahead(&[], &LIMITS), None);
    assert_eq!(Parser::new(Role::Server).whole_message_ahead(&frame(true, Opcode::Ping, 5), 0, &LIMITS), None);
    let whole = frame(true, Opcode::Text, 300);
    // Inside of a header, of a payload, of a message, and behind the end.
    for before in [&whole[..1], &whole[..50], &frame(false, Opcode::Text, 5), &frame(true, Opcode::Close, 0)] {
        let mut parser = Parser::new(Role::Server);
        feed(&mut parser, before, &LIMITS);
        assert_eq!(parser.whole_message_ahead(&whole, 200, &LIMITS), None);
    }
}
