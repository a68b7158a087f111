use proptest::prelude::*;

use super::*;

const PLAIN: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// The answer to these headers, without what is in every answer; `None`: no compression.
fn answer(headers: &[&str]) -> Option<String> {
    let agreed = negotiate(headers.iter().map(|header| header.as_bytes())).unwrap()?;
    Some(agreed.to_string().strip_prefix(PLAIN).unwrap().to_owned())
}

fn malformed(header: &str) -> bool {
    let server = negotiate([header.as_bytes()]);
    assert!(server.is_ok() || Offer::default().agree([header.as_bytes()]).is_err(), "{header}");
    server.is_err()
}

fn offer(params: &str) -> Option<String> {
    answer(&[&format!("permessage-deflate{params}")])
}

#[test]
fn window_bits_take_one_byte_and_are_9_to_15() {
    assert_eq!(size_of::<Option<WindowBits>>(), 1);
    let all: Vec<u8> = (0..=255).filter(|bits| WindowBits::new(*bits).is_some()).collect();
    assert_eq!(all, [9, 10, 11, 12, 13, 14, 15]);
    for (index, bits) in all.into_iter().enumerate() {
        assert_eq!(WindowBits::new(bits).unwrap().index(), index);
        assert_eq!(WindowBits::parse(bits.to_string().as_bytes()).unwrap().get(), bits);
        assert!(index < WindowBits::COUNT);
    }
}

#[test]
fn no_offer_means_no_answer() {
    assert_eq!(answer(&[]), None);
    for header in ["", " ", ",", ", ,", "x-webkit-deflate-frame", "permessage-bzip2; a=1", "Permessage-Deflate-2"] {
        assert_eq!(answer(&[header]), None, "{header}");
    }
}

#[test]
fn a_plain_offer_is_answered_without_context_takeover() {
    assert_eq!(negotiate([&b"permessage-deflate"[..]]).unwrap().unwrap().to_string(), PLAIN);
    for params in [
        "",
        ";server_no_context_takeover",
        " ; client_no_context_takeover",
        "\t;\tclient_no_context_takeover\t;\tserver_no_context_takeover ",
    ] {
        assert_eq!(offer(params).as_deref(), Some(""), "{params}");
    }
    // What browsers send.
    assert_eq!(offer("; client_max_window_bits").as_deref(), Some(""));
}

#[test]
fn windows_from_9_to_15_are_taken_over_and_8_is_declined() {
    for bits in 0..=20 {
        let valid = (9..=15).contains(&bits);
        for (param, quote) in [
            ("server_max_window_bits", ""),
            ("server_max_window_bits", "\""),
            ("client_max_window_bits", ""),
            ("client_max_window_bits", "\""),
        ] {
            let expected = valid.then(|| format!("; {param}={bits}"));
            assert_eq!(offer(&format!("; {param}={quote}{bits}{quote}")), expected, "{param} {bits}");
        }
    }
    assert_eq!(
        offer("; client_max_window_bits=12; server_max_window_bits=11").as_deref(),
        Some("; server_max_window_bits=11; client_max_window_bits=12")
    );
    let agreed = negotiate([&b"permessage-deflate; server_max_window_bits=10"[..]]).unwrap().unwrap();
    assert_eq!((agreed.server_window().get(), agreed.client_window().get()), (10, 15));
    let agreed = negotiate([&b"permessage-deflate; client_max_window_bits=9"[..]]).unwrap().unwrap();
    assert_eq!((agreed.server_window().get(), agreed.client_window().get()), (15, 9));
}

#[test]
fn offers_with_bad_parameters_are_declined() {
    for params in [
        // Unknown, repeated.
        "; unknown",
        "; unknown=1",
        "; Server_no_context_takeover",
        "; server_no_context_takeover; server_no_context_takeover",
        "; client_no_context_takeover; client_no_context_takeover",
        "; server_max_window_bits=10; server_max_window_bits=10",
        "; client_max_window_bits=10; client_max_window_bits=10",
        "; client_max_window_bits; client_max_window_bits=10",
        "; client_max_window_bits; client_max_window_bits",
        // With a value, and without one.
        "; server_no_context_takeover=1",
        "; client_no_context_takeover=true",
        "; server_max_window_bits",
        // No such window.
        "; server_max_window_bits=09",
        "; server_max_window_bits=010",
        "; server_max_window_bits=+9",
        "; server_max_window_bits=-9",
        "; server_max_window_bits=9.0",
        "; server_max_window_bits=0x9",
        "; server_max_window_bits=115",
        "; server_max_window_bits=99999999999999999999",
        "; client_max_window_bits=09",
        "; client_max_window_bits=true",
        "; client_max_window_bits=1a",
    ] {
        assert_eq!(offer(params), None, "{params}");
        // The next one is tried, in the same header and in another.
        let declined = format!("permessage-deflate{params}");
        let next = "permessage-deflate; server_max_window_bits=12";
        let expected = Some("; server_max_window_bits=12");
        assert_eq!(answer(&[&format!("{declined}, {next}")]).as_deref(), expected, "{params}");
        assert_eq!(answer(&[&declined, next]).as_deref(), expected, "{params}");
    }
}

#[test]
fn the_first_acceptable_offer_is_taken_among_other_extensions() {
    let header = "foo; a=\"b\", permessage-deflate; server_max_window_bits=8, ,bar,\
        permessage-deflate;client_max_window_bits=10 , permessage-deflate";
    assert_eq!(answer(&[header]).as_deref(), Some("; client_max_window_bits=10"));
    assert_eq!(answer(&["foo", header]).as_deref(), Some("; client_max_window_bits=10"));
    assert_eq!(answer(&["permessage-deflate", header]).as_deref(), Some(""));
}

#[test]
fn a_quoted_value_is_what_its_quotes_hold() {
    assert_eq!(offer(r#"; server_max_window_bits="1\0""#).as_deref(), Some("; server_max_window_bits=10"));
    assert_eq!(
        offer(r#"; server_max_window_bits="\1\0" ;client_max_window_bits"#).as_deref(),
        Some("; server_max_window_bits=10")
    );
    assert_eq!(offer(r#"; server_max_window_bits="\12""#).as_deref(), Some("; server_max_window_bits=12"));
    // Section 9.1: a token without its quotes, so no spaces, separators, nor nothing.
    for value in
        [r#"" 10""#, r#""10 ""#, r#""1,0""#, r#""""#, r#""10"#, r#"""#, r#""10\""#, r#""1\"0""#, r#""1"0"#, "\"1\x7f\""]
    {
        assert!(malformed(&format!("permessage-deflate; server_max_window_bits={value}")), "{value}");
    }
}

#[test]
fn what_is_no_list_of_extensions_is_malformed() {
    for header in [
        ";",
        "=",
        "; permessage-deflate",
        "permessage-deflate;",
        "permessage-deflate; ",
        "permessage-deflate;;server_no_context_takeover",
        "permessage-deflate; =10",
        "permessage-deflate=10",
        "permessage-deflate server_no_context_takeover",
        "permessage-deflate; server_max_window_bits=",
        "permessage-deflate; server_max_window_bits==10",
        "permessage-deflate; server_max_window_bits 10",
        "permessage-deflate; server_max_window_bits=10 11",
        "permessage-deflate; server_max_window_bits=1/0",
        "permessage-deflate, (foo)",
        "\"permessage-deflate\"",
        "permessage-deflate, foo; a=\"",
        "permessage-déflate",
        "permessage-deflate\0",
        "permessage-deflate;\u{c}server_no_context_takeover",
    ] {
        assert!(malformed(header), "{header:?}");
        // At any position.
        let other = ["permessage-deflate", header];
        assert!(negotiate(other.map(str::as_bytes)).is_err(), "{header:?}");
    }
}

#[test]
fn a_client_takes_answers_to_its_own_offer_only() {
    let bits = WindowBits::new;
    let agree = |offer: Offer, answer: &str| offer.agree([answer.as_bytes()]);
    let windows = |agreed: Result<Option<Agreement>, ExtensionError>| {
        agreed.map(|agreed| agreed.map(|agreed| (agreed.server_window().get(), agreed.client_window().get())))
    };
    let plain = Offer::default();
    let limited = Offer { server_window: bits(12), client_window: bits(14) };
    assert_eq!(plain.to_string(), PLAIN);
    assert_eq!(limited.to_string(), format!("{PLAIN}; server_max_window_bits=12; client_max_window_bits=14"));
    let bare = Offer { server_window: None, client_window: Some(WindowBits::MAX) };
    assert_eq!(bare.to_string(), format!("{PLAIN}; client_max_window_bits"));

    assert_eq!(plain.agree([]), Ok(None));
    assert_eq!(windows(agree(plain, PLAIN)), Ok(Some((15, 15))));
    assert_eq!(windows(agree(plain, "permessage-deflate; server_no_context_takeover")), Ok(Some((15, 15))));
    // The server may limit itself unasked.
    assert_eq!(windows(agree(plain, &format!("{PLAIN}; server_max_window_bits=9"))), Ok(Some((9, 15))));
    assert_eq!(windows(agree(bare, &format!("{PLAIN}; client_max_window_bits=9"))), Ok(Some((15, 9))));
    assert_eq!(windows(agree(limited, &format!("{PLAIN}; server_max_window_bits=11"))), Ok(Some((11, 14))));
    let both = format!("{PLAIN}; server_max_window_bits=12; client_max_window_bits=15");
    assert_eq!(windows(agree(limited, &both)), Ok(Some((12, 14))));

    for (offer, answer) in [
        (plain, "foo"),
        (plain, "permessage-deflate"),
        (plain, "permessage-deflate; client_no_context_takeover"),
        (plain, "permessage-deflate; server_no_context_takeover=1"),
        (plain, "permessage-deflate; server_no_context_takeover; foo"),
        (plain, "permessage-deflate; server_no_context_takeover; client_max_window_bits=10"),
        (bare, "permessage-deflate; server_no_context_takeover; client_max_window_bits"),
        (bare, "permessage-deflate; server_no_context_takeover; client_max_window_bits=8"),
        (limited, "permessage-deflate; server_no_context_takeover"),
        (limited, "permessage-deflate; server_no_context_takeover; server_max_window_bits=13"),
        (plain, "permessage-deflate; server_no_context_takeover, permessage-deflate; server_no_context_takeover"),
    ] {
        assert_eq!(agree(offer, answer), Err(ExtensionError::Mismatch), "{answer}");
    }
    assert_eq!(plain.agree([PLAIN.as_bytes(), b"foo"]), Err(ExtensionError::Mismatch));
}

proptest! {
    #[test]
    fn server_and_client_agree_on_every_offer(server in 8..=15u8, client in 8..=15u8) {
        // 8 means none.
        let offer = Offer { server_window: WindowBits::new(server), client_window: WindowBits::new(client) };
        let theirs = negotiate([offer.to_string().as_bytes()]).unwrap().unwrap();
        let ours = offer.agree([theirs.to_string().as_bytes()]).unwrap().unwrap();
        prop_assert_eq!(ours.server_window(), theirs.server_window());
        prop_assert_eq!(ours.client_window(), theirs.client_window());
    }

    #[test]
    fn any_bytes_get_a_verdict_and_answers_are_well_formed(
        headers in prop::collection::vec(
            prop::collection::vec(prop::sample::select(vec![
                "permessage-deflate", "server_max_window_bits", "client_max_window_bits", "=", ";", ";", ",", " ", "\"",
                "\\", "10", "8", "server_no_context_takeover", "client_no_context_takeover", "é", "\0",
            ]), 0..12),
            0..3,
        ),
    ) {
        let headers: Vec<String> = headers.into_iter().map(|header| header.concat()).collect();
        if let Ok(Some(agreed)) = negotiate(headers.iter().map(|header| header.as_bytes())) {
            let again = negotiate([agreed.to_string().as_bytes()]).unwrap();
            prop_assert_eq!(again, Some(agreed));
        }
    }
}
