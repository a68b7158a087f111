//! What the tests and the fuzz targets share: reading a stream with our parser, with tungstenite,
//! and the rules by which the two must agree. No test framework is used here; a broken rule panics.
#![allow(dead_code, clippy::unwrap_used, missing_docs, unreachable_pub, reason = "test code, each user takes a part")]

use std::io::{self, Read, Write};

use tokio_tungstenite::tungstenite::Error as TheirError;
use tokio_tungstenite::tungstenite::protocol::{Message, Role as TheirRole, WebSocket, WebSocketConfig};
use wsbroker_proto::{Input, Item, Limits, MessageKind, Parser, ProtocolError, Role};

/// An item that owns its bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Said {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Compressed(MessageKind, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
}

impl From<Item<'_>> for Said {
    fn from(item: Item<'_>) -> Self {
        match item {
            Item::Message { kind, payload, compressed: true } => Self::Compressed(kind, payload.into_vec()),
            Item::Message { kind: MessageKind::Text, payload, .. } => Self::Text(payload.into_vec()),
            Item::Message { kind: MessageKind::Binary, payload, .. } => Self::Binary(payload.into_vec()),
            Item::Ping(payload) => Self::Ping(payload.into_vec()),
            Item::Pong(payload) => Self::Pong(payload.into_vec()),
            Item::Close(frame) => Self::Close(frame.map(|frame| (frame.code.get(), frame.reason.into_owned()))),
        }
    }
}

/// What became of a stream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outcome {
    pub said: Vec<Said>,
    /// `None`: the stream could go on, or a close frame ended it.
    pub error: Option<ProtocolError>,
    /// The part (counted from 0) whose bytes gave the error.
    pub failed_in: Option<usize>,
}

/// Reads `parts` one after the other, and checks on the way what holds for every input.
pub fn read<'a>(role: Role, limits: &Limits, parts: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut parser = Parser::new(role);
    let mut outcome = Outcome { said: Vec::new(), error: None, failed_in: None };
    let mut fed = 0;
    for (index, part) in parts.into_iter().enumerate() {
        fed += part.len();
        let mut buffer = part.to_vec();
        let mut input = Input::new(&mut buffer);
        loop {
            let before = input.remaining();
            match parser.next(&mut input, limits) {
                Ok(None) => {
                    assert!(input.is_empty(), "no item, yet bytes are left");
                    break;
                }
                Ok(Some(item)) => {
                    assert!(input.remaining() < before, "an item out of nothing");
                    outcome.said.push(item.into());
                }
                Err(error) => {
                    assert!(parser.is_done());
                    assert!(matches!(error.close_code().get(), 1002 | 1007 | 1009));
                    outcome.error = Some(error);
                    outcome.failed_in = Some(index);
                    return outcome;
                }
            }
            assert!(parser.buffered() <= 64 + 2 * fed, "{} bytes held of {fed}", parser.buffered());
        }
        if parser.is_done() {
            assert_eq!(parser.buffered(), 0);
        }
    }
    outcome
}

/// As [`read`], in memory that is lent, and straight into it where there is room.
pub fn read_straight<'a>(role: Role, limits: &Limits, parts: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut parser = Parser::new(role);
    let mut outcome = Outcome { said: Vec::new(), error: None, failed_in: None };
    for (index, mut part) in parts.into_iter().enumerate() {
        while !part.is_empty() {
            let (result, rest) = if let Some((memory, room)) = parser.room_for_payload(1) {
                let (now, rest) = part.split_at(room.min(part.len()));
                assert!(memory.capacity() - memory.len() >= now.len());
                memory.extend_from_slice(now);
                (parser.appended(now.len()).map(|item| item.map(Said::from)), rest)
            } else {
                // A little at a time, or whole frames would be seen.
                let (now, rest) = part.split_at(part.len().min(3));
                let mut buffer = now.to_vec();
                let mut input = Input::new(&mut buffer);
                let mut lend = |length: usize| Some(vec![0xa5; length]);
                let mut result = Ok(None);
                while !input.is_empty() && result.is_ok() {
                    outcome.said.extend(result.ok().flatten().map(Said::from));
                    result = parser.next_in(&mut input, limits, &mut lend);
                }
                (result.map(|item| item.map(Said::from)), rest)
            };
            part = rest;
            match result {
                Ok(said) => outcome.said.extend(said),
                Err(error) => {
                    assert!(parser.is_done());
                    (outcome.error, outcome.failed_in) = (Some(error), Some(index));
                    return outcome;
                }
            }
        }
    }
    outcome
}

/// The same items and the same error, whatever the split, and the error at the same byte.
///
/// `cuts` are turned into positions in the stream.
pub fn check_splits(role: Role, limits: &Limits, bytes: &[u8], cuts: &[usize]) -> Outcome {
    let whole = read(role, limits, [bytes]);
    let bytewise = read(role, limits, bytes.chunks(1));
    assert_eq!((&bytewise.said, bytewise.error), (&whole.said, whole.error), "byte by byte");

    let mut positions: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    positions.extend([0, bytes.len()]);
    positions.sort_unstable();
    let parts: Vec<&[u8]> = positions.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
    let straight = read_straight(role, limits, parts.iter().copied());
    let split = read(role, limits, parts);
    assert_eq!((&split.said, split.error), (&whole.said, whole.error), "cut at {positions:?}");
    assert_eq!(straight, split, "in memory that is lent");

    if let (Some(at), Some(part)) = (bytewise.failed_in, split.failed_in) {
        let range = positions[part]..positions[part + 1];
        assert!(range.contains(&at), "the bad byte is {at}, the error came with {range:?}");
    }
    whole
}

/// How tungstenite left the stream.
#[derive(Debug)]
pub enum TheirEnd {
    Open,
    Closed,
    Failed(TheirError),
}

/// A stream that gives the bytes, then blocks, and swallows what is written.
struct Peer<'a>(&'a [u8]);

impl Read for Peer<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.0.read(out)
    }
}

impl Write for Peer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub fn read_theirs(role: Role, max_message: usize, bytes: &[u8]) -> (Vec<Said>, TheirEnd) {
    let role = match role {
        Role::Server => TheirRole::Server,
        Role::Client => TheirRole::Client,
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(4096)
        .max_message_size(Some(max_message))
        .max_frame_size(Some(max_message));
    let mut socket = WebSocket::from_raw_socket(Peer(bytes), role, Some(config));
    let mut said = Vec::new();
    loop {
        said.push(match socket.read() {
            Ok(Message::Text(text)) => Said::Text(text.as_bytes().to_vec()),
            Ok(Message::Binary(bytes)) => Said::Binary(bytes.to_vec()),
            Ok(Message::Ping(bytes)) => Said::Ping(bytes.to_vec()),
            Ok(Message::Pong(bytes)) => Said::Pong(bytes.to_vec()),
            Ok(Message::Close(frame)) => {
                let frame = frame.map(|frame| (frame.code.into(), frame.reason.as_str().to_owned()));
                said.push(Said::Close(frame));
                return (said, TheirEnd::Closed);
            }
            Ok(Message::Frame(_)) => unreachable!("reading gives no raw frames"),
            Err(TheirError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                return (said, TheirEnd::Open);
            }
            Err(error) => return (said, TheirEnd::Failed(error)),
        });
    }
}

/// What tungstenite says instead of failing when a close frame has a code that must not be sent.
fn their_complaint() -> Said {
    Said::Close(Some((1002, "Protocol violation".to_owned())))
}

/// Both must give the same messages and the same verdict, but for these differences:
///
/// 1. tungstenite takes lengths that are not in their shortest form; section 5.2 says they must be.
///    In a control frame the longer forms are too long by themselves, so we do not wait for the
///    length there.
/// 2. It checks a frame when it has arrived whole; we fail at the first byte that no continuation
///    can mend. So it may be waiting where we have failed, and must fail when the frame is
///    completed.
/// 3. A close code that must not be sent is an error to us; tungstenite says that it was closed
///    with 1002.
/// 4. Code 1014 (Bad Gateway, in the IANA registry) is such a code to tungstenite, not to us.
/// 5. With several faults in one frame, it may name another one.
///
/// `max_message` is at least 125: tungstenite holds control frames to that limit as well.
pub fn check_against_tungstenite(role: Role, max_message: usize, bytes: &[u8]) -> Outcome {
    assert!(max_message >= 125);
    let ours = read(role, &Limits { max_message, allow_rsv1: false }, [bytes]);
    let (their_said, their_end) = read_theirs(role, max_message, bytes);
    let closed = matches!(ours.said.last(), Some(Said::Close(_)));

    match (ours.error, &their_end) {
        (Some(ProtocolError::LengthNotMinimal | ProtocolError::ControlTooLong), _) => {
            assert!(their_said.starts_with(&ours.said), "{their_said:?} does not start with {ours:?}");
        }
        (None, TheirEnd::Open) => {
            assert!(!closed, "{ours:?}");
            assert_eq!(their_said, ours.said);
        }
        (None, TheirEnd::Closed) => {
            let mut ours = ours.said.clone();
            match ours.last_mut() {
                Some(close @ Said::Close(Some((1014, _)))) => *close = their_complaint(),
                _ => assert!(closed),
            }
            assert_eq!(their_said, ours);
        }
        (Some(ProtocolError::InvalidCloseCode(_)), TheirEnd::Closed) => {
            let mut ours = ours.said.clone();
            ours.push(their_complaint());
            assert_eq!(their_said, ours);
        }
        (Some(ours_error), TheirEnd::Failed(their_error)) => {
            assert_eq!(their_said, ours.said);
            match (ours_error, their_error) {
                (ProtocolError::InvalidUtf8 | ProtocolError::InvalidCloseReason, TheirError::Utf8(_))
                | (ProtocolError::InvalidCloseCode(_), TheirError::Utf8(_))
                | (ProtocolError::MessageTooBig | ProtocolError::LengthOverflow, TheirError::Capacity(_)) => {}
                (ProtocolError::InvalidUtf8 | ProtocolError::InvalidCloseReason, _)
                | (ProtocolError::MessageTooBig | ProtocolError::LengthOverflow, _)
                | (_, TheirError::Utf8(_)) => panic!("{ours_error:?} and {their_error:?}"),
                // Difference 5: it sees the length before the other bits of the header.
                (_, TheirError::Capacity(_)) => {}
                (_, TheirError::Protocol(_)) => {}
                other => panic!("{other:?}"),
            }
        }
        (Some(error), TheirEnd::Open) => {
            // Difference 2. Zeros complete the frame, however much of it is missing.
            let completed = [bytes, &vec![0; max_message + 14]].concat();
            let (said, end) = read_theirs(role, max_message, &completed);
            assert!(matches!(end, TheirEnd::Failed(_)), "{error:?} and {end:?}");
            assert_eq!(said, ours.said);
        }
        (None | Some(_), end) => {
            panic!("{ours:?}, but tungstenite said {their_said:?} and is {end:?}")
        }
    }
    ours
}
