//! What a server speaks: the benchmark's own plain texts, or the protocol of Socket.IO, which has
//! no plain mode.
//!
//! Socket.IO 4 over its WebSocket transport: a text message has the Engine.IO type in its first
//! character (0 open, 2 ping, 3 pong, 4 message), and a message the Socket.IO type in its second (0
//! connect, 2 event), followed by JSON.

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Dialect {
    Plain,
    SocketIo,
}

/// What a message from the server means.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum ServerMessage<'a> {
    /// A publish has arrived.
    Payload(&'a [u8]),
    /// Send this as the answer.
    Reply(&'static str),
    /// The server is ready for messages.
    Joined,
    Nothing,
    Unknown,
}

impl Dialect {
    /// The text that subscribes to a room.
    pub(crate) fn subscribe(self, room: &str) -> String {
        match self {
            Self::Plain => format!("S:{room}"),
            Self::SocketIo => format!("42[\"S\",\"{room}\"]"),
        }
    }

    /// What precedes a payload to publish: `verb` is `P`, or `L` for this instance only.
    pub(crate) fn publish(self, verb: &str, room: &str) -> Vec<u8> {
        match self {
            Self::Plain => format!("{verb}:{room}:"),
            Self::SocketIo => format!("42[\"{verb}\",\"{room}\",\""),
        }
        .into_bytes()
    }

    /// What follows it.
    pub(crate) fn end(self) -> &'static [u8] {
        match self {
            Self::Plain => b"",
            Self::SocketIo => b"\"]",
        }
    }

    pub(crate) fn hear(self, message: &[u8]) -> ServerMessage<'_> {
        if self == Self::Plain {
            return ServerMessage::Payload(message);
        }
        match message {
            [b'0', ..] => ServerMessage::Reply("40"),
            b"2" => ServerMessage::Reply("3"),
            [b'4', b'0', ..] => ServerMessage::Joined,
            [b'4', b'2', event @ ..] => {
                match event.strip_prefix(b"[\"m\",\"").and_then(|rest| rest.strip_suffix(b"\"]")) {
                    Some(payload) => ServerMessage::Payload(payload),
                    None => ServerMessage::Unknown,
                }
            }
            b"6" => ServerMessage::Nothing,
            _ => ServerMessage::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn socket_io_is_understood() {
        let dialect = Dialect::SocketIo;
        assert_eq!(dialect.hear(b"0{\"sid\":\"x\"}"), ServerMessage::Reply("40"));
        assert_eq!(dialect.hear(b"40{\"sid\":\"y\"}"), ServerMessage::Joined);
        assert_eq!(dialect.hear(b"2"), ServerMessage::Reply("3"));
        assert_eq!(dialect.hear(b"42[\"m\",\"hello\"]"), ServerMessage::Payload(b"hello"));
        assert_eq!(dialect.hear(b"42[\"other\"]"), ServerMessage::Unknown);
        assert_eq!(dialect.hear(b"44{}"), ServerMessage::Unknown);
        let mut sent = dialect.publish("P", "room");
        sent.extend_from_slice(dialect.end());
        assert_eq!(sent, b"42[\"P\",\"room\",\"\"]");
    }
}
