//! Compressed messages against a server that compresses correctly, and against some that do not.

use crate::support::deflating::{Deflating, Manner};
use crate::support::run_to;

const LINE: &str = "echo --connections 3 --depth 2 --messages 300 --size 2000 --json";

#[test]
fn compressed_echoes_are_verified() {
    for manner in [Manner::BY_ITSELF, Manner::IN_CONTEXT, Manner { fragment: 100, ..Manner::IN_CONTEXT }] {
        let server = Deflating::start(manner);
        let outcome = run_to(&server.url, &format!("{LINE} --deflate"));
        outcome.assert_verified();
        assert!(server.was_offered());
        assert_eq!((outcome.count("agreed"), outcome.count("compressedReceived")), (3, 300), "{}", outcome.json);
        assert_eq!((outcome.count("compressedSent"), server.compressed()), (0, 0));
        assert!(outcome.count("bytesReceived") < outcome.count("bytesSent"), "{}", outcome.json);
    }
}

#[test]
fn messages_are_sent_compressed_when_that_is_asked_for() {
    let server = Deflating::start(Manner::BY_ITSELF);
    let outcome = run_to(&server.url, &format!("{LINE} --compress"));
    outcome.assert_verified();
    assert_eq!((outcome.count("compressedSent"), server.compressed()), (300, 300));
    assert!(outcome.count("bytesSent") < 300 * 1500, "{}", outcome.json);
}

#[test]
fn a_server_need_not_agree() {
    let server = Deflating::start(Manner { answer: Some(""), ..Manner::PLAIN });
    assert_eq!(run_to(&server.url, LINE).code, 1, "an empty extension was not offered");
    let plain = crate::support::Server::start(crate::support::Fault::None);
    let outcome = run_to(&format!("ws://127.0.0.1:{}/", plain.port), &format!("{LINE} --compress"));
    outcome.assert_verified();
    assert!(!outcome.json.contains("\"deflate\""), "{}", outcome.json);
}

#[test]
fn what_is_not_agreed_is_no_compression() {
    // It compresses although it did not agree to.
    let silent = Deflating::start(Manner::PLAIN);
    let outcome = run_to(&silent.url, &format!("{LINE} --deflate --stall 1"));
    outcome.assert_not_verified();
    assert!(outcome.count("protocol") > 0, "{}", outcome.json);
    // It answers what was not offered.
    let unasked = Deflating::start(Manner::BY_ITSELF);
    let outcome = run_to(&unasked.url, LINE);
    outcome.assert_not_verified();
    assert!(!unasked.was_offered());
    assert_eq!((outcome.count("protocol"), outcome.count("opened")), (3, 0), "{}", outcome.json);
}

#[test]
fn compression_that_is_wrong_is_noticed() {
    for (what, manner) in [
        ("a damaged byte", Manner { damage: true, ..Manner::BY_ITSELF }),
        ("a reference to a message that it promised not to refer to", Manner { context: true, ..Manner::BY_ITSELF }),
        ("every fragment marked", Manner { fragment: 100, mark_all: true, ..Manner::BY_ITSELF }),
    ] {
        let server = Deflating::start(manner);
        let outcome = run_to(&server.url, &format!("{LINE} --deflate --stall 1"));
        outcome.assert_not_verified();
        assert!(outcome.count("protocol") + outcome.count("corrupt") > 0, "{what}: {}", outcome.json);
    }
}
