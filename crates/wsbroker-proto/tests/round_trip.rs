//! What one side writes, the other reads.

mod common;

use common::{Said, read};
use proptest::prelude::*;
use wsbroker_proto::{CloseCode, Limits, MAX_REASON, Opcode, Role, client, server_header, write_close, write_frame};

const LIMITS: Limits = Limits { max_message: 100_000, allow_rsv1: true };

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..300),
        1 => (65_500..65_600usize).prop_map(|len| vec![0xa5; len]),
    ]
}

proptest! {
    #[test]
    fn binary_from_client_to_server_and_back(payload in payload(), mask: [u8; 4]) {
        let mut bytes = Vec::new();
        client::write_frame(&mut bytes, true, Opcode::Binary, &payload, mask);
        let expected = [Said::Binary(payload.clone())];
        prop_assert_eq!(&read(Role::Server, &LIMITS, [&bytes[..]]).said, &expected);

        bytes.clear();
        write_frame(&mut bytes, Opcode::Binary, &payload);
        prop_assert_eq!(&read(Role::Client, &LIMITS, [&bytes[..]]).said, &expected);
    }

    #[test]
    fn text_from_client_to_server_and_back(text: String, mask: [u8; 4]) {
        let mut bytes = Vec::new();
        client::write_frame(&mut bytes, true, Opcode::Text, text.as_bytes(), mask);
        let expected = [Said::Text(text.clone().into_bytes())];
        prop_assert_eq!(&read(Role::Server, &LIMITS, [&bytes[..]]).said, &expected);

        // A shared payload behind its header is the same frame.
        let header = server_header(Opcode::Text, false, text.len());
        let framed = [header.as_ref(), text.as_bytes()].concat();
        bytes.clear();
        write_frame(&mut bytes, Opcode::Text, text.as_bytes());
        prop_assert_eq!(&bytes, &framed);
        prop_assert_eq!(&read(Role::Client, &LIMITS, [&framed[..]]).said, &expected);
    }

    #[test]
    fn a_close_frame_brings_its_code_and_as_much_of_the_reason_as_fits(
        code in prop_oneof![1000..=1003u16, 1007..=1014u16, 3000..=4999u16],
        reason in "\\PC{0,100}",
        mask: [u8; 4],
    ) {
        let code = CloseCode::new(code);
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        write_close(&mut ours, code, &reason);
        client::write_close(&mut theirs, code, &reason, mask);
        let outcome = read(Role::Client, &LIMITS, [&ours[..]]);
        prop_assert_eq!(&outcome, &read(Role::Server, &LIMITS, [&theirs[..]]));
        let [Said::Close(Some((read_code, read_reason)))] = &outcome.said[..] else {
            panic!("{outcome:?}");
        };
        prop_assert_eq!(Some(*read_code), code.map(CloseCode::get));
        prop_assert!(reason.starts_with(read_reason.as_str()));
        // Cut only where it had to be: the next character would not have fitted.
        let rest = &reason[read_reason.len()..];
        if let Some(next) = rest.chars().next() {
            prop_assert!(read_reason.len() + next.len_utf8() > MAX_REASON);
        }
    }

    #[test]
    fn a_compressed_message_arrives_as_it_was_sent(payload in payload()) {
        let bytes = [server_header(Opcode::Text, true, payload.len()).as_ref(), &payload[..]].concat();
        let expected = [Said::Compressed(wsbroker_proto::MessageKind::Text, payload)];
        prop_assert_eq!(&read(Role::Client, &LIMITS, [&bytes[..]]).said, &expected);
    }
}
