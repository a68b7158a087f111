//! Any bytes as `Sec-WebSocket-Extensions`: a verdict, an answer that is well formed, and the same
//! for a list as for its elements in headers of their own.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wsbroker_proto::{Offer, WindowBits, negotiate};

fuzz_target!(|input: &[u8]| {
    let Some(([flags], header)) = input.split_first_chunk::<1>() else {
        return;
    };
    let window = |bits: u8| WindowBits::new(8 + (bits & 7));
    let offer = Offer { server_window: window(*flags), client_window: window(flags >> 3) };

    let agreed = negotiate([header]);
    // Quotes cannot hold a comma, so a list can be taken apart at any.
    assert_eq!(negotiate(header.split(|byte| *byte == b',')), agreed);
    if let Ok(Some(agreed)) = agreed {
        let answer = agreed.to_string();
        assert_eq!(negotiate([answer.as_bytes()]), Ok(Some(agreed)));
        assert!(header.windows(18).any(|part| part == b"permessage-deflate"));
        let _ = offer.agree([answer.as_bytes()]);
    }

    // As a server's answer: never more than was offered.
    if let Ok(Some(agreed)) = offer.agree([header]) {
        assert!(offer.server_window.is_none_or(|most| agreed.server_window() <= most));
        assert!(offer.client_window.is_none_or(|most| agreed.client_window() <= most));
        assert!(negotiate([header]).is_ok_and(|answer| answer.is_some()));
    }
    let answer = negotiate([offer.to_string().as_bytes()]).expect("well formed").expect("acceptable");
    assert!(offer.agree([answer.to_string().as_bytes()]).is_ok_and(|agreed| agreed.is_some()));
});
