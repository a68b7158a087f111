//! What travels on the bus: one envelope holds one or more messages of one instance to one channel.
//!
//! | bytes | |
//! | --- | --- |
//! | 1 | version in the upper four bits (1), kind in the lower: 0 messages, 1 close, 2 hello, 3 leave, 4 question, 5 answer, 6 numbered, 7 deleted, 9 close of a channel with history, 10 settings |
//! | 8 | the instance that sent it, big-endian |
//!
//! The first two kinds are of a channel. They go on with
//!
//! | bytes | |
//! | --- | --- |
//! | varint | epoch of the sender's counter for this channel |
//! | varint | number of the first message |
//!
//! After that, each message has a varint and the payload. The varint is the payload's length times
//! eight, plus 1 for binary, plus 2 if the message must not be compressed, or 4 if it is compressed
//! whatever its length. A close has the code (2 bytes, big-endian) and the reason instead. A varint
//! is the number in groups of seven bits, the lowest first, with the top bit set on all but the
//! last (LEB128).
//!
//! What Redis has numbered goes on with the epoch (16 characters), the offset in decimal, a space,
//! and what was stored. What was deleted has the offset before which it was instead, or nothing.
//!
//! A channel's name on the bus is the prefix, a colon and the channel's own name. A prefix with a
//! colon makes this ambiguous: `app:live` and `news` give the same name as `app` and `live:news`.
//! So envelopes to channels of such a prefix begin with a [`mark`]: the byte `0x18` and a varint of
//! the prefix's length. An envelope without a mark belongs to a prefix without a colon.

use wsbroker_core::{CloseCode, Compress, HistoryEpoch, HistoryPosition, MessageForm, MessageKind};

const VERSION: u8 = 1;
const MESSAGES: u8 = 0;
const CLOSE: u8 = 1;

/// Bytes of the longest head of an envelope.
pub(super) const MAX_HEAD: usize = 1 + 8 + 10 + 10;
/// Bytes in front of a message's payload, at most.
pub(super) const MAX_PREFIX: usize = 10;

const HELLO: u8 = 2;
const LEAVE: u8 = 3;
const QUESTION: u8 = 4;
const ANSWER: u8 = 5;
/// Of a channel with history: Redis has numbered a message, or has deleted some.
const NUMBERED: u8 = 6;
const DELETED: u8 = 7;
/// The same as a close, without a number: it comes in the order of the messages around it.
const CLOSE_NUMBERED: u8 = 9;
const SETTINGS: u8 = 10;

/// One run of a broker or an emitter on the bus. Random, so that a restarted one is another.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct InstanceId(pub(crate) u64);

/// The first byte of a mark, where an envelope has its version and kind.
const MARK: u8 = VERSION << 4 | 8;

/// The mark of this prefix; empty for one without a colon.
pub(super) fn mark(prefix: &str) -> Vec<u8> {
    let mut mark = Vec::new();
    if prefix.contains(':') {
        mark.push(MARK);
        write_varint(prefix.len() as u64, &mut mark);
    }
    mark
}

/// The envelope after the mark. `None` when it belongs to another prefix. Bytes that are no
/// envelope at all are returned as they are.
pub(super) fn unmarked<'a>(mark: &[u8], bytes: &'a [u8]) -> Option<&'a [u8]> {
    let is_envelope = |byte: &u8| [MESSAGES, CLOSE, NUMBERED, DELETED, CLOSE_NUMBERED].contains(&(byte ^ VERSION << 4));
    match (bytes.strip_prefix(mark), bytes.first()) {
        (Some(envelope), Some(_)) if !mark.is_empty() => Some(envelope),
        (_, Some(&MARK)) => None,
        (_, Some(byte)) if !mark.is_empty() && is_envelope(byte) => None,
        _ => Some(bytes),
    }
}

/// Which instance sent an envelope, and which of its messages to this channel it holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct EnvelopeHead {
    pub(super) instance: InstanceId,
    pub(super) epoch: u64,
    pub(super) first: u64,
}

/// An envelope that has been read.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum BusEnvelope<'a> {
    Messages(EnvelopeHead, Messages<'a>),
    Close(EnvelopeHead, CloseCode, &'a str),
    /// A message of a channel with history.
    Numbered(HistoryPosition, &'a [u8]),
    /// Messages of a channel with history before this offset are gone or, in a new epoch, all.
    Deleted(HistoryPosition, u64),
    /// To the subscribers of a channel with history.
    CloseNumbered(InstanceId, CloseCode, &'a str),
    InstanceMessage(InstanceId, InstanceMessage<'a>),
}

/// What instances tell each other about themselves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum InstanceMessage<'a> {
    /// The sender is there, and this is its name.
    Hello(&'a str),
    /// The sender ends.
    Leave,
    /// How many subscribers does this channel have on the receiver? The answer repeats the number.
    Question(u64, &'a [u8]),
    /// The number of the question, and the number of subscribers.
    Answer(u64, u64),
    /// What the settings of the sender's histories come to. Who has none says nothing.
    Settings(u64),
}

/// Why bytes cannot be read as an envelope.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum EnvelopeError {
    /// It is from a newer or older instance, or from some other program.
    #[error("an envelope of an unknown version or kind")]
    Unknown,
    /// It is cut off or damaged.
    #[error("a damaged envelope")]
    Damaged,
}

/// The messages of an envelope. Their lengths have been checked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Messages<'a>(&'a [u8]);

impl EnvelopeHead {
    /// Writes the head of an envelope of messages.
    pub(super) fn write(self, out: &mut Vec<u8>) {
        self.write_kind(MESSAGES, out);
    }

    fn write_kind(self, kind: u8, out: &mut Vec<u8>) {
        out.push(VERSION << 4 | kind);
        out.extend_from_slice(&self.instance.0.to_be_bytes());
        write_varint(self.epoch, out);
        write_varint(self.first, out);
    }

    /// Writes a whole envelope that asks every instance to close the channel's subscribers.
    pub(super) fn write_close(self, code: CloseCode, reason: &str, out: &mut Vec<u8>) {
        self.write_kind(CLOSE, out);
        out.extend_from_slice(&code.get().to_be_bytes());
        out.extend_from_slice(reason.as_bytes());
    }
}

impl InstanceMessage<'_> {
    /// Writes a whole envelope.
    pub(super) fn write(self, instance: InstanceId, out: &mut Vec<u8>) {
        let kind = match self {
            Self::Hello(_) => HELLO,
            Self::Leave => LEAVE,
            Self::Question(..) => QUESTION,
            Self::Answer(..) => ANSWER,
            Self::Settings(_) => SETTINGS,
        };
        out.push(VERSION << 4 | kind);
        out.extend_from_slice(&instance.0.to_be_bytes());
        match self {
            Self::Hello(name) => out.extend_from_slice(name.as_bytes()),
            Self::Leave => {}
            Self::Settings(digest) => out.extend_from_slice(&digest.to_be_bytes()),
            Self::Question(number, channel) => {
                write_varint(number, out);
                out.extend_from_slice(channel);
            }
            Self::Answer(number, count) => {
                write_varint(number, out);
                write_varint(count, out);
            }
        }
    }
}

/// The low bits of a message's varint, below its length: its form.
const FORM_BITS: u32 = 3;

pub(super) fn write_form(form: MessageForm) -> u64 {
    let compress = match form.compress {
        Compress::Auto => 0,
        Compress::Never => 2,
        Compress::Always => 4,
    };
    compress | u64::from(form.kind == MessageKind::Binary)
}

pub(super) fn read_form(bits: u64) -> Result<MessageForm, EnvelopeError> {
    let compress = match bits & 6 {
        0 => Compress::Auto,
        2 => Compress::Never,
        4 => Compress::Always,
        _ => return Err(EnvelopeError::Damaged),
    };
    let kind = if bits & 1 == 1 { MessageKind::Binary } else { MessageKind::Text };
    Ok(MessageForm { kind, compress })
}

/// Appends a message to an envelope.
pub(super) fn write_message(form: MessageForm, payload: &[u8], out: &mut Vec<u8>) {
    write_varint((payload.len() as u64) << FORM_BITS | write_form(form), out);
    out.extend_from_slice(payload);
}

impl<'a> BusEnvelope<'a> {
    /// Reads an envelope. Anyone who can publish on the Redis can send anything.
    pub(super) fn read(mut bytes: &'a [u8]) -> Result<Self, EnvelopeError> {
        let input = &mut bytes;
        let kind = match take_byte(input)? {
            byte if byte >> 4 == VERSION => byte & 0x0f,
            _ => return Err(EnvelopeError::Unknown),
        };
        let (instance, rest) = input.split_first_chunk().ok_or(EnvelopeError::Damaged)?;
        *input = rest;
        let instance = InstanceId(u64::from_be_bytes(*instance));
        let note = match kind {
            HELLO => InstanceMessage::Hello(std::str::from_utf8(input).map_err(|_| EnvelopeError::Damaged)?),
            LEAVE => InstanceMessage::Leave,
            QUESTION => InstanceMessage::Question(take_varint(input)?, input),
            ANSWER => InstanceMessage::Answer(take_varint(input)?, take_varint(input)?),
            SETTINGS => {
                let digest = <[u8; 8]>::try_from(*input).map_err(|_| EnvelopeError::Damaged)?;
                InstanceMessage::Settings(u64::from_be_bytes(digest))
            }
            NUMBERED | DELETED => return Self::read_kept(kind, input),
            CLOSE_NUMBERED => {
                let (code, reason) = take_close(input)?;
                return Ok(Self::CloseNumbered(instance, code, reason));
            }
            _ => return Self::read_numbered(kind, instance, input),
        };
        Ok(Self::InstanceMessage(instance, note))
    }

    fn read_numbered(kind: u8, instance: InstanceId, input: &mut &'a [u8]) -> Result<Self, EnvelopeError> {
        if kind != MESSAGES && kind != CLOSE {
            return Err(EnvelopeError::Unknown);
        }
        let head = EnvelopeHead { instance, epoch: take_varint(input)?, first: take_varint(input)? };
        match kind {
            MESSAGES => {
                let messages = Messages(input);
                let mut left = *input;
                while !left.is_empty() {
                    take_message(&mut left)?;
                }
                Ok(Self::Messages(head, messages))
            }
            _ => {
                let (code, reason) = take_close(input)?;
                Ok(Self::Close(head, code, reason))
            }
        }
    }

    /// What the script of Redis has written: 16 characters for the epoch, the offset, a space.
    fn read_kept(kind: u8, input: &mut &'a [u8]) -> Result<Self, EnvelopeError> {
        let (epoch, rest) = input.split_first_chunk::<16>().ok_or(EnvelopeError::Damaged)?;
        *input = rest;
        let offset = take_number(input)?;
        let position = position(epoch, offset).ok_or(EnvelopeError::Damaged)?;
        match kind {
            NUMBERED if offset > 0 => Ok(Self::Numbered(position, input)),
            NUMBERED => Err(EnvelopeError::Damaged),
            _ if input.is_empty() => Ok(Self::Deleted(position, 0)),
            _ => Ok(Self::Deleted(position, number(input).ok_or(EnvelopeError::Damaged)?)),
        }
    }
}

/// The first byte and the instance, before what the script writes.
pub(super) fn kept_head(instance: InstanceId, deleted: bool) -> Vec<u8> {
    let mut head = vec![VERSION << 4 | if deleted { DELETED } else { NUMBERED }];
    head.extend_from_slice(&instance.0.to_be_bytes());
    head
}

/// A whole envelope that asks every instance to close the subscribers of a channel with history.
pub(super) fn close_numbered(instance: InstanceId, code: CloseCode, reason: &str) -> Vec<u8> {
    let mut out = vec![VERSION << 4 | CLOSE_NUMBERED];
    out.extend_from_slice(&instance.0.to_be_bytes());
    out.extend_from_slice(&code.get().to_be_bytes());
    out.extend_from_slice(reason.as_bytes());
    out
}

/// A position as Redis writes it.
pub(super) fn position(epoch: &[u8], offset: u64) -> Option<HistoryPosition> {
    let epoch = HistoryEpoch::parse(std::str::from_utf8(epoch).ok()?);
    (epoch != HistoryEpoch::UNKNOWN).then_some(HistoryPosition { offset, epoch })
}

/// A decimal number, as JavaScript can have it.
pub(super) fn number(text: &[u8]) -> Option<u64> {
    let number: u64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (number < 1 << 53).then_some(number)
}

/// A decimal number up to a space.
pub(super) fn take_number(input: &mut &[u8]) -> Result<u64, EnvelopeError> {
    let end = input.iter().take(20).position(|byte| *byte == b' ').ok_or(EnvelopeError::Damaged)?;
    let (text, rest) = input.split_at(end);
    *input = rest.get(1..).unwrap_or_default();
    number(text).ok_or(EnvelopeError::Damaged)
}

fn take_close<'a>(input: &mut &'a [u8]) -> Result<(CloseCode, &'a str), EnvelopeError> {
    let (code, reason) = input.split_first_chunk().ok_or(EnvelopeError::Damaged)?;
    let code = CloseCode::new(u16::from_be_bytes(*code)).ok_or(EnvelopeError::Damaged)?;
    let reason = std::str::from_utf8(reason).map_err(|_| EnvelopeError::Damaged)?;
    Ok((code, reason))
}

impl<'a> Iterator for Messages<'a> {
    type Item = (MessageForm, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        take_message(&mut self.0).ok()
    }
}

fn take_message<'a>(input: &mut &'a [u8]) -> Result<(MessageForm, &'a [u8]), EnvelopeError> {
    let prefix = take_varint(input)?;
    let form = read_form(prefix)?;
    let length = usize::try_from(prefix >> FORM_BITS).map_err(|_| EnvelopeError::Damaged)?;
    let (payload, rest) = input.split_at_checked(length).ok_or(EnvelopeError::Damaged)?;
    if form.kind == MessageKind::Text && simdutf8::basic::from_utf8(payload).is_err() {
        return Err(EnvelopeError::Damaged);
    }
    *input = rest;
    Ok((form, payload))
}

fn take_byte(input: &mut &[u8]) -> Result<u8, EnvelopeError> {
    let (byte, rest) = input.split_first().ok_or(EnvelopeError::Damaged)?;
    *input = rest;
    Ok(*byte)
}

pub(super) fn write_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

pub(super) fn take_varint(input: &mut &[u8]) -> Result<u64, EnvelopeError> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = take_byte(input)?;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            break;
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(EnvelopeError::Damaged)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: EnvelopeHead = EnvelopeHead { instance: InstanceId(0x0102_0304_0506_0708), epoch: 3, first: 300 };

    #[test]
    fn an_envelope_costs_few_bytes() {
        let mut out = Vec::new();
        HEAD.write(&mut out);
        let text = MessageForm { kind: MessageKind::Text, compress: Compress::Auto };
        let secret = MessageForm { kind: MessageKind::Binary, compress: Compress::Never };
        write_message(text, b"hi", &mut out);
        write_message(secret, b"", &mut out);
        assert_eq!(out, b"\x10\x01\x02\x03\x04\x05\x06\x07\x08\x03\xac\x02\x10hi\x03");
        let Ok(BusEnvelope::Messages(head, messages)) = BusEnvelope::read(&out) else { panic!("{out:?}") };
        assert_eq!(head, HEAD);
        assert_eq!(messages.collect::<Vec<_>>(), [(text, &b"hi"[..]), (secret, b"")]);
    }

    #[test]
    fn a_close_is_read_as_it_was_written() {
        let mut out = Vec::new();
        HEAD.write_close(CloseCode::RESTART, "moved", &mut out);
        assert_eq!(BusEnvelope::read(&out), Ok(BusEnvelope::Close(HEAD, CloseCode::RESTART, "moved")));
    }

    #[test]
    fn notes_are_read_as_they_were_written() {
        for note in [
            InstanceMessage::Hello("north"),
            InstanceMessage::Leave,
            InstanceMessage::Question(7, b"room"),
            InstanceMessage::Answer(7, 1 << 40),
            InstanceMessage::Settings(u64::MAX - 1),
        ] {
            let mut out = Vec::new();
            note.write(HEAD.instance, &mut out);
            assert_eq!(BusEnvelope::read(&out), Ok(BusEnvelope::InstanceMessage(HEAD.instance, note)));
        }
    }

    #[test]
    fn what_the_script_writes_is_read_and_nothing_else() {
        let at = |offset| HistoryPosition { offset, epoch: HistoryEpoch::parse("00ff123456789abc") };
        let envelope = |deleted, rest: &str| [&kept_head(InstanceId(7), deleted)[..], rest.as_bytes()].concat();
        let numbered = envelope(false, "00ff123456789abc17 \0hi there");
        assert_eq!(BusEnvelope::read(&numbered), Ok(BusEnvelope::Numbered(at(17), b"\0hi there")));
        assert_eq!(BusEnvelope::read(&envelope(true, "00ff123456789abc17 5")), Ok(BusEnvelope::Deleted(at(17), 5)));
        assert_eq!(BusEnvelope::read(&envelope(true, "00ff123456789abc0 ")), Ok(BusEnvelope::Deleted(at(0), 0)));
        for rest in [
            "",
            "00ff123456789abc",
            "00FF123456789abc1 x",
            "00ff123456789abc0 x",
            "00ff123456789abc-1 x",
            "00ff123456789abc9007199254740992 x",
            "00ff123456789abc111111111111111111111111 x",
        ] {
            assert_eq!(BusEnvelope::read(&envelope(false, rest)), Err(EnvelopeError::Damaged), "{rest}");
        }
        let close = close_numbered(InstanceId(7), CloseCode::RESTART, "moved");
        assert_eq!(
            BusEnvelope::read(&close),
            Ok(BusEnvelope::CloseNumbered(InstanceId(7), CloseCode::RESTART, "moved"))
        );
    }

    #[test]
    fn what_is_no_envelope_is_refused() {
        let mut good = Vec::new();
        HEAD.write(&mut good);
        let text = |payload: &[u8]| [&good[..], payload].concat();
        for (bytes, expected) in [
            (vec![], EnvelopeError::Damaged),
            (vec![0x20; 30], EnvelopeError::Unknown),
            (vec![0x1f; 30], EnvelopeError::Unknown),
            (good[..5].to_vec(), EnvelopeError::Damaged),
            (text(b"\x18hi"), EnvelopeError::Damaged),
            (text(b"\x16hi"), EnvelopeError::Damaged),
            (text(b"\x08\xff"), EnvelopeError::Damaged),
            (text(&[0xff; 11]), EnvelopeError::Damaged),
        ] {
            assert_eq!(BusEnvelope::read(&bytes), Err(expected), "{bytes:?}");
        }
    }

    #[test]
    fn envelopes_of_another_prefix_are_known_by_their_mark() {
        let (plain, short, long) = (mark("app"), mark("app:live"), mark(&"a:".repeat(128)));
        assert_eq!((plain.len(), short.len(), long.len()), (0, 2, 3));
        let envelope = [VERSION << 4, 1, 2];
        let sent = |mark: &[u8]| [mark, &envelope].concat();
        for own in [&plain, &short, &long] {
            for theirs in [&plain, &short, &long] {
                let expected = (own == theirs).then_some(&envelope[..]);
                assert_eq!(unmarked(own, &sent(theirs)), expected);
            }
            assert_eq!(unmarked(own, b"junk"), Some(&b"junk"[..]), "to be counted");
            assert_eq!(unmarked(own, b""), Some(&b""[..]), "to be counted");
        }
    }

    proptest! {
        #[test]
        fn any_messages_come_back(
            instance: u64, epoch: u64, first: u64,
            messages in proptest::collection::vec((any::<bool>(), "\\PC{0,40}"), 0..20),
        ) {
            let head = EnvelopeHead { instance: InstanceId(instance), epoch, first };
            let mut out = Vec::new();
            head.write(&mut out);
            prop_assert!(out.len() <= MAX_HEAD);
            for (binary, payload) in &messages {
                let kind = if *binary { MessageKind::Binary } else { MessageKind::Text };
                write_message(MessageForm { kind, compress: Compress::Always }, payload.as_bytes(), &mut out);
            }
            let Ok(BusEnvelope::Messages(read, iterator)) = BusEnvelope::read(&out) else { panic!("not read") };
            prop_assert_eq!(read, head);
            let read: Vec<_> = iterator.map(|(form, bytes)| (form.kind == MessageKind::Binary, bytes)).collect();
            let written: Vec<_> = messages.iter().map(|(binary, text)| (*binary, text.as_bytes())).collect();
            prop_assert_eq!(read, written);
        }


    #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(BusEnvelope::Messages(_, messages)) = BusEnvelope::read(&bytes) {
                prop_assert!(messages.map(|(_, payload)| payload.len()).sum::<usize>() <= bytes.len());
            }
        }
    }
}
