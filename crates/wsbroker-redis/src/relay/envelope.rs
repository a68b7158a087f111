//! The JSON envelope that instances, emitters and other implementations exchange.
//!
//! Reading takes what routing needs, and leaves `data` as it is: a slice of the text, which goes
//! into the frame byte by byte. It accepts what JavaScript's `JSON.parse` accepts, with the same
//! result: the last of equal keys counts, and numbers and nesting have no limit.

use std::{borrow::Cow, fmt};

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::json;

/// The kind of recipient.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum MessageType {
    /// One client, by its id.
    Client,
    /// All clients of a user, by the user's id.
    User,
    /// The members of a room.
    Room,
    /// Every authenticated client.
    Broadcast,
}

impl MessageType {
    /// Its name in envelopes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::User => "user",
            Self::Room => "room",
            Self::Broadcast => "broadcast",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Client, Self::User, Self::Room, Self::Broadcast].into_iter().find(|kind| kind.name() == name)
    }
}

/// A message from elsewhere. Its parts are slices of the envelope where they can be.
#[derive(Clone, Debug)]
pub struct IncomingMessage<'a> {
    /// The kind of recipient.
    pub kind: MessageType,
    /// The id or the room; empty for a broadcast. Unpaired surrogates have become U+FFFD, as in
    /// every string from JavaScript.
    pub target: Cow<'a, str>,
    /// `event` as JSON text, as `JSON.stringify` writes it.
    pub event: Cow<'a, str>,
    /// `data` as JSON text, byte by byte as it was sent, if there is any.
    pub data: Option<&'a str>,
    /// The ids of clients that do not get it; for rooms and broadcasts.
    pub exclude: Vec<Cow<'a, str>>,
    /// The whole envelope.
    pub text: &'a str,
}

impl IncomingMessage<'_> {
    /// The text that clients get: `{"event":…,"data":…}`, without `data` if there is none.
    #[must_use]
    pub fn frame(&self) -> String {
        frame(&self.event, self.data)
    }
}

/// A text from Redis, read.
#[derive(Clone, Debug)]
pub enum Envelope<'a> {
    /// A message to deliver.
    Message(IncomingMessage<'a>),
    /// A message of this instance itself.
    Own,
    /// An envelope of an unknown type or without a target, which is not to be delivered.
    Ignored,
    /// No envelope: not a JSON object, or `serverId` or `event` is not a string.
    Invalid,
}

impl<'a> Envelope<'a> {
    /// Reads a text. `own` is the id of this instance.
    #[must_use]
    pub fn read(text: &'a str, own: Option<&str>) -> Self {
        let Some(fields) = Fields::read(text) else { return Self::Invalid };
        let (Some(server), Some(event)) = (string(fields.server_id), string(fields.event)) else {
            return Self::Invalid;
        };
        if own.is_some_and(|own| json::parse(server) == own) {
            return Self::Own;
        }
        let kind = string(fields.kind).and_then(|name| MessageType::named(&json::parse(name)));
        let Some(kind) = kind else { return Self::Ignored };
        let target = match kind {
            MessageType::Broadcast => "".into(),
            _ => match fields.target.and_then(json::truthy_text) {
                Some(target) => target,
                None => return Self::Ignored,
            },
        };
        let exclude = match (kind, fields.exclude) {
            (MessageType::Room | MessageType::Broadcast, Some(list)) => strings(list),
            _ => Vec::new(),
        };
        Self::Message(IncomingMessage { kind, target, event: json::canonical(event), data: fields.data, exclude, text })
    }
}

/// A message to others.
#[derive(Clone, Copy, Debug)]
pub struct OutgoingMessage<'a> {
    /// The id of this instance, or `emitter`.
    pub server_id: &'a str,
    /// The kind of recipient.
    pub kind: MessageType,
    /// The id or the room. `None` for a broadcast.
    pub target: Option<&'a str>,
    /// The event's name.
    pub event: &'a str,
    /// The data as JSON text, if there is any.
    pub data: Option<&'a str>,
    /// The ids of clients that do not get it. `None` leaves the key out.
    pub exclude: Option<&'a [&'a str]>,
}

impl OutgoingMessage<'_> {
    /// The channel to publish it on.
    #[must_use]
    pub fn channel(&self) -> String {
        let target = self.target.unwrap_or_default();
        match self.kind {
            MessageType::Client => format!("ws:client:{target}"),
            MessageType::User => format!("ws:user:{target}"),
            MessageType::Room => format!("ws:room:{target}"),
            MessageType::Broadcast => "ws:broadcast".into(),
        }
    }

    /// The envelope, as `JSON.stringify` would write it.
    #[must_use]
    pub fn text(&self) -> String {
        let names: usize = self.exclude.iter().flat_map(|exclude| exclude.iter()).map(|name| name.len() + 3).sum();
        let size = self.target.map_or(0, str::len) + self.event.len() + self.data.map_or(0, str::len) + names;
        let mut text = String::with_capacity(size + self.server_id.len() + 96);
        text.push_str("{\"serverId\":");
        json::write(&mut text, self.server_id);
        text.push_str(",\"type\":\"");
        text.push_str(self.kind.name());
        text.push('"');
        if let Some(target) = self.target {
            text.push_str(",\"target\":");
            json::write(&mut text, target);
        }
        text.push_str(",\"event\":");
        json::write(&mut text, self.event);
        if let Some(data) = self.data {
            text.push_str(",\"data\":");
            text.push_str(data);
        }
        if let Some(exclude) = self.exclude {
            text.push_str(",\"exclude\":");
            for (number, name) in exclude.iter().enumerate() {
                text.push(if number == 0 { '[' } else { ',' });
                json::write(&mut text, name);
            }
            text.push_str(if exclude.is_empty() { "[]" } else { "]" });
        }
        text.push('}');
        text
    }
}

/// The text that clients get, made of JSON texts.
fn frame(event: &str, data: Option<&str>) -> String {
    let mut frame = String::with_capacity(event.len() + data.map_or(0, str::len) + 20);
    frame.push_str("{\"event\":");
    frame.push_str(event);
    if let Some(data) = data {
        frame.push_str(",\"data\":");
        frame.push_str(data);
    }
    frame.push('}');
    frame
}

/// The texts of the values that routing needs. Of equal keys, the last.
#[derive(Default)]
struct Fields<'a> {
    server_id: Option<&'a str>,
    kind: Option<&'a str>,
    target: Option<&'a str>,
    event: Option<&'a str>,
    data: Option<&'a str>,
    exclude: Option<&'a str>,
}

impl<'a> Fields<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let fields = reader.deserialize_map(FieldsVisitor).ok()?;
        reader.end().ok()?;
        Some(fields)
    }
}

struct FieldsVisitor;

impl<'a> Visitor<'a> for FieldsVisitor {
    type Value = Fields<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an envelope")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Fields::default();
        // Keys are taken raw: an unpaired surrogate is valid in them, and a Rust string cannot hold
        // it.
        while let Some((key, value)) = map.next_entry::<&RawValue, &RawValue>()? {
            let field = match &*json::parse(key.get()) {
                "serverId" => &mut fields.server_id,
                "type" => &mut fields.kind,
                "target" => &mut fields.target,
                "event" => &mut fields.event,
                "data" => &mut fields.data,
                "exclude" => &mut fields.exclude,
                _ => continue,
            };
            *field = Some(value.get());
        }
        Ok(fields)
    }
}

fn string(value: Option<&str>) -> Option<&str> {
    value.filter(|value| value.starts_with('"'))
}

/// The strings in an array. None, if the value is not an array.
fn strings(value: &str) -> Vec<Cow<'_, str>> {
    let members: Vec<&RawValue> = serde_json::from_str(value).unwrap_or_default();
    members.into_iter().filter_map(|member| string(Some(member.get()))).map(json::parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> IncomingMessage<'_> {
        match Envelope::read(text, Some("own")) {
            Envelope::Message(message) => message,
            other => panic!("{text} is {other:?}"),
        }
    }

    fn kind(text: &str) -> &'static str {
        match Envelope::read(text, Some("own")) {
            Envelope::Message(_) => "message",
            Envelope::Own => "own",
            Envelope::Ignored => "ignored",
            Envelope::Invalid => "invalid",
        }
    }

    #[test]
    fn data_keeps_its_text_byte_by_byte() {
        let data = r#"{ "a" : [1.0, 1e400, -0,  12345678901234567890123], "\ud800":"\u0041\/" }"#;
        let text = format!(r#"{{"serverId":"x","type":"room","target":"r","event":"e","data":{data} ,"more":1}}"#);
        let message = message(&text);
        assert_eq!(message.data, Some(data));
        assert_eq!(message.frame(), format!(r#"{{"event":"e","data":{data}}}"#));
    }

    #[test]
    fn a_frame_is_what_javascript_would_make_of_it() {
        let cases = [
            (r#"{"serverId":"x","type":"broadcast","event":"e"}"#, r#"{"event":"e"}"#),
            (r#"{"serverId":"x","type":"broadcast","event":"","data":null}"#, r#"{"event":"","data":null}"#),
            (
                r#"{"serverId":"x","type":"broadcast","event":"\u0041\ud800\/","data":1}"#,
                r#"{"event":"A\ud800/","data":1}"#,
            ),
        ];
        for (text, frame) in cases {
            assert_eq!(message(text).frame(), frame);
        }
    }

    #[test]
    fn what_is_no_envelope_is_told_from_what_is_not_for_us() {
        for text in [
            "",
            "null",
            "[]",
            "\"text\"",
            "{}",
            "{",
            "\u{feff}{}",
            r#"{"serverId":1,"event":"e","type":"broadcast"}"#,
            r#"{"serverId":"x","event":null,"type":"broadcast"}"#,
            r#"{"serverId":"x","event":"e","type":"broadcast"} x"#,
            r#"{"serverId":"own","event":5,"type":"broadcast"}"#,
            r#"{"serverId":"x","event":"e","event":5,"type":"broadcast"}"#,
        ] {
            assert_eq!(kind(text), "invalid", "{text}");
        }
        for text in [
            r#"{"serverId":"x","event":"e"}"#,
            r#"{"serverId":"x","event":"e","type":"Room","target":"r"}"#,
            r#"{"serverId":"x","event":"e","type":1,"target":"r"}"#,
            r#"{"serverId":"x","event":"e","type":"room"}"#,
            r#"{"serverId":"x","event":"e","type":"user","target":""}"#,
            r#"{"serverId":"x","event":"e","type":"client","target":0}"#,
            r#"{"serverId":"x","event":"e","type":"client","target":false}"#,
            r#"{"serverId":"x","event":"e","type":"client","target":null}"#,
        ] {
            assert_eq!(kind(text), "ignored", "{text}");
        }
        assert_eq!(kind(r#"{"serverId":"\u006fwn","event":"e"}"#), "own");
        assert_eq!(message(r#"{"serverId":"x","event":"e","type":"user","target":7}"#).target, "7");
        assert_eq!(kind(r#"{"serverId":"own","serverId":"x","event":"e","type":"broadcast"}"#), "message");
    }

    #[test]
    fn the_last_of_a_key_counts_however_it_is_written() {
        let text =
            r#"{"serverId":"x","event":"a","type":"client","target":"1","\u0065vent":"b","target":"2","type":"room"}"#;
        let message = message(text);
        assert_eq!((message.kind, &*message.target, &*message.event), (MessageType::Room, "2", "\"b\""));
    }

    #[test]
    fn only_strings_of_an_array_are_excluded_and_only_from_rooms_and_broadcasts() {
        let with = |kind: &str, exclude: &str| {
            let text = format!(r#"{{"serverId":"x","event":"e","type":"{kind}","target":"t","exclude":{exclude}}}"#);
            message(&text).exclude.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(with("room", r#"["a", 1, null, ["b"], "\u0063"]"#), ["a", "c"]);
        assert_eq!(with("broadcast", r#"["a"]"#), ["a"]);
        for (kind, exclude) in
            [("room", "\"a\""), ("room", r#"{"0":"a","length":1}"#), ("client", r#"["a"]"#), ("user", r#"["a"]"#)]
        {
            assert!(with(kind, exclude).is_empty(), "{kind} {exclude}");
        }
    }

    #[test]
    fn nesting_may_be_of_any_depth() {
        let depth = 100_000;
        let data = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let text = format!(r#"{{"serverId":"x","type":"broadcast","event":"e","data":{data},"exclude":{data}}}"#);
        assert_eq!(message(&text).data.unwrap().len(), 2 * depth);
    }

    #[test]
    fn an_envelope_is_written_as_javascript_writes_it() {
        let outgoing = OutgoingMessage {
            server_id: "s\"",
            kind: MessageType::Room,
            target: Some("é\n"),
            event: "e",
            data: Some("{ }"),
            exclude: Some(&["a", "b"]),
        };
        let expected = r#"{"serverId":"s\"","type":"room","target":"é\n","event":"e","data":{ },"exclude":["a","b"]}"#;
        assert_eq!(outgoing.text(), expected);
        assert_eq!(outgoing.channel(), "ws:room:é\n");
        let least =
            OutgoingMessage { kind: MessageType::Broadcast, target: None, data: None, exclude: Some(&[]), ..outgoing };
        assert_eq!(least.text(), r#"{"serverId":"s\"","type":"broadcast","event":"e","exclude":[]}"#);
        assert_eq!(least.channel(), "ws:broadcast");
    }
}
