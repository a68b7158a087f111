//! What the broker itself says and understands of the subprotocol `wsbroker.v1`, in which a client
//! subscribes to channels with history by itself: its pings, and the message that comes before the
//! frames of a channel. Everything else of it is in `src/channels`; docs/protocol.md has all of it.

use bytes::Bytes;
use wsbroker_proto::{Opcode, write_frame};

use crate::history::HistoryPosition;

/// As it is agreed on in the handshake.
pub(crate) const SUBPROTOCOL: &str = "wsbroker.v1";
/// A client asks whether the connection lives. Exactly these bytes.
pub(crate) const PING: &[u8] = br#"{"type":"ping"}"#;
const PONG: &[u8] = br#"{"type":"pong"}"#;

/// The frame that answers a ping.
pub(crate) fn pong() -> Vec<u8> {
    let mut frame = Vec::with_capacity(PONG.len() + 2);
    write_frame(&mut frame, Opcode::Text, PONG);
    frame
}

/// The frame that tells a client that it is subscribed. `name` is the channel's, as a JSON string.
/// The frames of the channel go on behind the position.
pub(crate) fn subscribed(name: &str, recovered: bool, replayed: u64, position: HistoryPosition) -> Bytes {
    let HistoryPosition { offset, epoch } = position;
    let text = format!(
        r#"{{"type":"subscribed","channel":{name},"recovered":{recovered},"replayed":{replayed},"position":{{"offset":{offset},"epoch":"{epoch}"}}}}"#,
    );
    let mut frame = Vec::with_capacity(text.len() + 10);
    write_frame(&mut frame, Opcode::Text, text.as_bytes());
    frame.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::HistoryEpoch;

    #[test]
    fn the_announcement_is_json_with_the_name_as_it_was_given() {
        let position = HistoryPosition { offset: 17, epoch: HistoryEpoch::parse("0123456789abcdef") };
        let frame = subscribed(r#""a\n""#, true, 3, position);
        let json = r#"{"type":"subscribed","channel":"a\n","recovered":true,"replayed":3,"position":{"offset":17,"epoch":"0123456789abcdef"}}"#;
        assert!(frame.ends_with(json.as_bytes()), "{frame:?}");
    }
}
