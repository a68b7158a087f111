//! A message as Redis keeps it.
//!
//! | bytes | |
//! | --- | --- |
//! | varint | 1 for binary, plus 2 if the message must not be compressed, or 4 if it always is, plus 8 if sockets do not get it |
//! | 8, varint, varints | only then: the instance that these sockets are of, how many there are, their ids |
//! | rest | the payload |

use bytes::Bytes;
use wsbroker_core::{BusMessage, KeptMessage, MessageKind, SocketId};

use super::super::bus_envelope::{EnvelopeError, InstanceId, read_form, take_varint, write_form, write_varint};

const EXCLUDES: u64 = 8;

/// The message as `instance` writes it.
pub(super) fn write(instance: InstanceId, message: &BusMessage<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.payload.len() + 1);
    let excludes = if message.exclude.is_empty() { 0 } else { EXCLUDES };
    write_varint(write_form(message.form) | excludes, &mut out);
    if excludes != 0 {
        out.extend_from_slice(&instance.0.to_be_bytes());
        write_varint(message.exclude.len() as u64, &mut out);
        for id in message.exclude {
            write_varint(id.get(), &mut out);
        }
    }
    out.extend_from_slice(message.payload);
    out
}

/// The message as `instance` reads it. Anyone who can write to the Redis can write anything.
pub(super) fn read(instance: InstanceId, mut bytes: &[u8], age: u64) -> Result<KeptMessage, EnvelopeError> {
    let input = &mut bytes;
    let bits = take_varint(input)?;
    let form = read_form(bits & !EXCLUDES)?;
    let mut exclude = Vec::new();
    if bits & EXCLUDES != 0 {
        let (author, rest) = input.split_first_chunk().ok_or(EnvelopeError::Damaged)?;
        *input = rest;
        let ours = u64::from_be_bytes(*author) == instance.0;
        let count = take_varint(input)?;
        // Each takes a byte at least, so a forged count ends with the bytes.
        for _ in 0..count {
            let id = take_varint(input)?;
            if ours {
                exclude.extend(SocketId::new(id));
            }
        }
    }
    exclude.sort_unstable();
    if form.kind == MessageKind::Text && simdutf8::basic::from_utf8(input).is_err() {
        return Err(EnvelopeError::Damaged);
    }
    let payload = Bytes::copy_from_slice(input);
    Ok(KeptMessage { kind: form.kind, compress: form.compress, payload, exclude: exclude.into(), age })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wsbroker_core::{Compress, MessageForm};

    use super::*;

    proptest! {
        #[test]
        fn any_message_comes_back_and_only_its_author_excludes(
            text in "\\PC{0,20}", binary: bool, ids in proptest::collection::vec(1_u64..1 << 53, 0..4),
        ) {
            let kind = if binary { MessageKind::Binary } else { MessageKind::Text };
            let exclude: Vec<SocketId> = ids.iter().filter_map(|id| SocketId::new(*id)).collect();
            let form = MessageForm { kind, compress: Compress::Never };
            let message = BusMessage { channel: b"", form, payload: text.as_bytes(), exclude: &exclude, id: None };
            let bytes = write(InstanceId(7), &message);
            let ours = read(InstanceId(7), &bytes, 3).unwrap();
            prop_assert_eq!((ours.kind, ours.compress, &ours.payload[..], ours.age), (kind, Compress::Never, text.as_bytes(), 3));
            let mut sorted = exclude.clone();
            sorted.sort_unstable();
            prop_assert_eq!(&*ours.exclude, &sorted[..]);
            prop_assert!(read(InstanceId(8), &bytes, 0).unwrap().exclude.is_empty());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = read(InstanceId(7), &bytes, 0);
        }
    }
}
