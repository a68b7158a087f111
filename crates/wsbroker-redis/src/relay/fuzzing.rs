//! What must hold for any bytes from Redis. The fuzz target calls this, and the tests call it with
//! the target's seeds.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::{Envelope, MessageType, OutgoingMessage};

/// A delivered message, with every value parsed.
type Delivered = (MessageType, String, Value, Option<Value>, Vec<String>);

#[derive(Debug, PartialEq)]
enum Outcome {
    Message(Delivered),
    Own,
    Ignored,
    Invalid,
}

/// Reads any bytes as an envelope. The result must be that of the plainest reading, and the frame
/// must say the same.
pub fn envelope(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let read = Envelope::read(&text, Some("own"));
    if serde_json::from_str::<serde::de::IgnoredAny>(&text).is_err() {
        assert!(matches!(read, Envelope::Invalid), "no JSON, but {read:?}");
    }
    if let Envelope::Message(message) = &read {
        let frame = message.frame();
        assert!(serde_json::from_str::<serde::de::IgnoredAny>(&frame).is_ok(), "{frame}");
        assert!(message.data.is_none_or(|data| frame.ends_with(&format!(",\"data\":{data}}}"))), "{frame}");
        assert_eq!(super::json::canonical(&message.event), message.event);
        check_again(&read);
    }
    // The checks above are all there is for values that Rust cannot hold: unpaired surrogates, huge
    // numbers, deep nesting.
    if let Ok(value) = serde_json::from_str::<Value>(&text) {
        assert_eq!(taken_apart(&read), plainly(&value));
    }
}

/// The same message, written by this crate, must be read as the same.
fn check_again(read: &Envelope<'_>) {
    let Envelope::Message(message) = read else { return };
    // The target was an empty array, which is truthy.
    if message.target.is_empty() && message.kind != MessageType::Broadcast {
        return;
    }
    let exclude: Vec<&str> = message.exclude.iter().map(|name| &**name).collect();
    let event = super::json::parse(&message.event);
    let outgoing = OutgoingMessage {
        server_id: "other",
        kind: message.kind,
        target: Some(&*message.target).filter(|target| !target.is_empty()),
        event: &event,
        data: message.data,
        exclude: Some(&exclude).filter(|exclude| !exclude.is_empty()).map(|exclude| &exclude[..]),
    };
    let text = outgoing.text();
    let Envelope::Message(again) = Envelope::read(&text, Some("own")) else { panic!("{text}") };
    assert_eq!((again.kind, again.target, again.data), (message.kind, message.target.clone(), message.data));
    assert_eq!(again.exclude, message.exclude);
    assert!(matches!(Envelope::read(&text, Some("other")), Envelope::Own));
}

fn taken_apart(read: &Envelope<'_>) -> Outcome {
    match read {
        Envelope::Message(message) => {
            let value = |text: &str| serde_json::from_str(text).expect("a value");
            let exclude = message.exclude.iter().cloned().map(Cow::into_owned).collect();
            let target = message.target.clone().into_owned();
            Outcome::Message((message.kind, target, value(&message.event), message.data.map(value), exclude))
        }
        Envelope::Own => Outcome::Own,
        Envelope::Ignored => Outcome::Ignored,
        Envelope::Invalid => Outcome::Invalid,
    }
}

/// The rules, spelt out.
fn plainly(value: &Value) -> Outcome {
    let none = Map::new();
    let object = value.as_object().unwrap_or(&none);
    let (Some(server), Some(event)) =
        (object.get("serverId").and_then(Value::as_str), object.get("event").filter(|event| event.is_string()))
    else {
        return Outcome::Invalid;
    };
    if server == "own" {
        return Outcome::Own;
    }
    let target = object.get("target").map(Value::to_string);
    let target = target.as_deref().and_then(super::json::truthy_text);
    let kind = match object.get("type").and_then(Value::as_str) {
        Some("client") => MessageType::Client,
        Some("user") => MessageType::User,
        Some("room") => MessageType::Room,
        Some("broadcast") => MessageType::Broadcast,
        _ => return Outcome::Ignored,
    };
    let (target, excludes) = match (kind, target) {
        (MessageType::Broadcast, _) => ("".into(), true),
        (_, None) => return Outcome::Ignored,
        (MessageType::Room, Some(target)) => (target, true),
        (MessageType::Client | MessageType::User, Some(target)) => (target, false),
    };
    let empty = json!([]);
    let list = object.get("exclude").filter(|_| excludes).unwrap_or(&empty).as_array().cloned().unwrap_or_default();
    let exclude = list.iter().filter_map(Value::as_str).map(Into::into).collect();
    Outcome::Message((kind, target.into(), event.clone(), object.get("data").cloned(), exclude))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_seeds_of_envelopes_hold() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/envelope");
        let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(!files.is_empty(), "no seeds in {}", folder.display());
        for file in files {
            let bytes = std::fs::read(&file).unwrap();
            eprintln!("with {}", file.display());
            envelope(&bytes);
        }
    }

    /// A text, a name that means something, or something odd.
    fn string() -> impl Strategy<Value = String> {
        const KNOWN: &[&str] = &["", "own", "emitter", "client", "user", "room", "broadcast", "é😀", "\"\\\n\u{0}"];
        prop_oneof![4 => proptest::sample::select(KNOWN).prop_map(Into::into), 1 => any::<String>()]
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            6 => string().prop_map(Value::String),
            1 => any::<i64>().prop_map(|number| json!(number)),
            1 => any::<bool>().prop_map(|value| json!(value)),
            1 => Just(Value::Null),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                proptest::collection::vec((string(), inner), 0..4).prop_map(|pairs| pairs.into_iter().collect()),
            ]
        })
    }

    /// The text of an object, member by member: with spaces, with escapes that need not be, with
    /// keys that are there twice.
    fn text() -> impl Strategy<Value = String> {
        const SPACES: &[&str] = &["", " ", "\t\r\n"];
        const KEYS: &[&str] = &["serverId", "type", "target", "event", "data", "exclude", "other"];
        let member = (proptest::sample::select(KEYS), value(), any::<bool>(), proptest::sample::select(SPACES));
        let needed = (string(), string(), string(), string()).prop_map(|(server, kind, target, event)| {
            let quoted = |text: &str| Value::String(text.into()).to_string();
            [("serverId", server), ("type", kind), ("target", target), ("event", event)]
                .map(|(key, text)| format!("\"{key}\":{}", quoted(&text)))
                .join(",")
        });
        (needed, proptest::collection::vec(member, 0..6)).prop_map(|(needed, members)| {
            let members = members.iter().map(|(key, value, escaped, space)| {
                let key: String = match escaped {
                    true => key.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect(),
                    false => (*key).into(),
                };
                format!(",{space}\"{key}\"{space}:{space}{value}{space}")
            });
            format!("{{{needed}{}}}", members.collect::<String>())
        })
    }

    proptest! {
        #[test]
        fn an_envelope_is_read_as_its_plainest_reading_has_it(text in text(), cut in any::<prop::sample::Index>(), byte in any::<u8>()) {
            envelope(text.as_bytes());
            let mut bytes = text.into_bytes();
            let at = cut.index(bytes.len());
            bytes[at] = byte;
            envelope(&bytes);
            bytes.truncate(at);
            envelope(&bytes);
        }

        #[test]
        fn whatever_comes_harms_nothing(bytes in any::<Vec<u8>>()) {
            envelope(&bytes);
        }
    }
}
