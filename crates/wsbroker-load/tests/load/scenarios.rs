//! Every scenario against a server that does everything right, and against one that does a single
//! thing wrong.

use std::io::{BufRead, BufReader, Read};
use std::process::Command;

use crate::support::{Fault, Outcome, PAUSE, Server, run, run_to, spawn};

#[test]
fn echoes_are_counted_and_verified() {
    let outcome = run(Fault::None, "echo --connections 8 --depth 4 --messages 4000 --warmup 100");
    outcome.assert_verified();
    assert_eq!((outcome.count("sent"), outcome.count("received")), (4000, 4000));
    assert_eq!(outcome.count("opened"), 8);
    assert_eq!(outcome.count("1000"), 8);
    assert!(outcome.count("p50") > 0);
}

#[test]
fn echoes_that_come_in_pieces_are_put_together() {
    run(Fault::None, "echo --connections 3 --size 1000000 --binary --messages 30").assert_verified();
    run(Fault::Fragment, "echo --connections 3 --depth 3 --messages 300").assert_verified();
}

#[test]
fn a_phase_can_be_bounded_by_time() {
    let outcome = run(Fault::None, "echo --connections 2 --seconds 0.2 --warmup-seconds 0.1");
    outcome.assert_verified();
    assert!(outcome.count("received") > 0);
}

#[test]
fn a_lost_echo_is_missing() {
    for depth in [1, 4] {
        let line = format!("echo --connections 2 --depth {depth} --messages 200 --stall 1");
        let outcome = run(Fault::Drop(50), &line);
        outcome.assert_not_verified();
        assert_eq!(outcome.errors(), [1, 0, 0], "{}", outcome.json);
    }
}

#[test]
fn the_last_echo_is_missed_too() {
    let outcome = run(Fault::Drop(199), "echo --connections 1 --depth 4 --messages 200 --stall 1");
    outcome.assert_not_verified();
    assert_eq!(outcome.errors(), [1, 0, 0], "{}", outcome.json);
}

#[test]
fn a_doubled_echo_is_noticed_even_when_it_is_the_last() {
    for number in [50, 199] {
        let outcome = run(Fault::Duplicate(number), "echo --connections 1 --messages 200");
        outcome.assert_not_verified();
        assert_eq!(outcome.errors(), [0, 1, 0], "{}", outcome.json);
    }
}

#[test]
fn a_damaged_echo_is_corrupt_and_missing() {
    let outcome = run(Fault::Damage(50), "echo --connections 1 --depth 2 --messages 200 --stall 1");
    outcome.assert_not_verified();
    assert_eq!(outcome.errors(), [1, 0, 1], "{}", outcome.json);
}

#[test]
fn two_echoes_that_change_places_are_noticed() {
    let outcome = run(Fault::Swap(50), "echo --connections 1 --depth 4 --messages 200");
    outcome.assert_not_verified();
    assert_eq!(outcome.errors(), [1, 1, 0], "{}", outcome.json);
}

#[test]
fn a_connection_that_the_server_closes_is_lost() {
    let outcome = run(Fault::Close(50), "echo --connections 2 --messages 200");
    outcome.assert_not_verified();
    assert_eq!((outcome.count("lost"), outcome.count("1011")), (1, 1), "{}", outcome.json);
}

#[test]
fn refusals_are_told_by_status() {
    let outcome = run(Fault::Refuse, "echo --connections 3 --messages 10");
    outcome.assert_not_verified();
    assert_eq!((outcome.count("refused"), outcome.count("http 503")), (3, 3), "{}", outcome.json);
}

#[test]
fn publishes_reach_every_subscriber() {
    let line = "publish --connections 50 --publishers 4 --depth 2 --messages 400 --warmup 20";
    let outcome = run(Fault::None, line);
    outcome.assert_verified();
    assert_eq!((outcome.count("sent"), outcome.count("received")), (400, 20_000));
    assert_eq!(outcome.count("opened"), 54);
}

#[test]
fn rooms_are_kept_apart_and_complete() {
    let outcome = run(Fault::None, "rooms --rooms 7 --members 5 --messages 3500");
    outcome.assert_verified();
    assert_eq!((outcome.count("sent"), outcome.count("received")), (3500, 17_500));
}

#[test]
fn what_was_due_while_a_server_paused_counts_from_when_it_was_due() {
    let outcome = run(Fault::Pause(100), "echo --connections 2 --rate 1000 --messages 1000");
    outcome.assert_verified();
    assert_eq!((outcome.count("sent"), outcome.count("received")), (1000, 1000));
    // Three of ten were due in the pause, those of the first third of it with most of it before
    // them.
    assert!(u128::from(outcome.count("p90")) >= PAUSE.as_micros() / 3, "{}", outcome.json);
    // Without a rate only what is under way is late.
    let closed = run(Fault::Pause(100), "echo --connections 2 --messages 1000");
    closed.assert_verified();
    assert!(u128::from(closed.count("max")) >= PAUSE.as_micros(), "{}", closed.json);
}

#[test]
fn publishes_and_rooms_come_at_a_rate() {
    for line in ["publish --connections 20 --publishers 2", "rooms --rooms 4 --members 5"] {
        let outcome = run(Fault::None, &format!("{line} --rate 2000 --messages 100 --warmup 10"));
        outcome.assert_verified();
        let each = if line.starts_with("rooms") { 5 } else { 20 };
        assert_eq!((outcome.count("sent"), outcome.count("received")), (100, 100 * each), "{}", outcome.json);
        assert!(outcome.json.contains("\"lateMicros\""), "{}", outcome.json);
    }
}

/// Publishers and subscribers are on one server here, so nothing crosses. The generator does not
/// know.
#[test]
fn what_crosses_is_complete_at_any_rate() {
    let across = |fault, line: &str| {
        let server = Server::start(fault);
        let url = format!("ws://127.0.0.1:{}/", server.port);
        run_to(&url, &format!("across --from {url} --rooms 7 --members 5 {line}"))
    };
    let deep = across(Fault::None, "--depth 4 --messages 700");
    deep.assert_verified();
    assert_eq!((deep.count("sent"), deep.count("received")), (700, 3500));
    let paced = across(Fault::None, "--rate 2000 --local 4 --messages 400");
    paced.assert_verified();
    assert_eq!((paced.count("sent"), paced.count("received")), (400, 2000));
    assert!(paced.json.contains("\"localLatencyMicros\""), "{}", paced.json);
    across(Fault::Drop(2000), "--depth 4 --messages 700 --stall 1").assert_not_verified();
}

#[test]
fn a_delivery_that_is_lost_or_doubled_is_noticed() {
    let line = "publish --connections 10 --publishers 2 --messages 100 --stall 1";
    let lost = run(Fault::Drop(300), line);
    lost.assert_not_verified();
    // The publish can never complete, so everything else under way has arrived.
    assert_eq!(lost.errors(), [1, 0, 0], "{}", lost.json);
    let doubled = run(Fault::Duplicate(300), line);
    doubled.assert_not_verified();
    assert_eq!(doubled.errors(), [0, 1, 0], "{}", doubled.json);
    let doubled = run(Fault::Duplicate(300), "rooms --rooms 2 --members 5 --messages 100");
    doubled.assert_not_verified();
    assert_eq!(doubled.errors(), [0, 1, 0], "{}", doubled.json);
}

#[test]
fn idle_connections_are_held_until_stdin_ends() {
    let server = Server::start(Fault::None);
    let mut child = spawn(&server, "idle --connections 40 --touch --sources 3");
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert_eq!(line, "{\"event\":\"holding\",\"connections\":40}\n");
    drop(child.stdin.take());
    let mut json = String::new();
    stdout.read_to_string(&mut json).unwrap();
    let outcome = Outcome { json, code: child.wait().unwrap().code().unwrap() };
    outcome.assert_verified();
    assert_eq!(outcome.count("1000"), 40);
}

#[test]
fn a_slow_connection_reads_at_last_what_was_published() {
    let server = Server::start(Fault::None);
    let mut slow = spawn(&server, "slow --connections 3 --receive-buffer 4096");
    let mut stdout = BufReader::new(slow.stdout.take().unwrap());
    stdout.read_line(&mut String::new()).unwrap();
    // A room of the same name with one more member.
    let publishing = spawn(&server, "publish --connections 1 --messages 100 --size 1000");
    let published = publishing.wait_with_output().unwrap();
    assert!(published.status.success(), "{}", String::from_utf8_lossy(&published.stdout));
    drop(slow.stdin.take());
    let mut json = String::new();
    stdout.read_to_string(&mut json).unwrap();
    let outcome = Outcome { json, code: slow.wait().unwrap().code().unwrap() };
    outcome.assert_verified();
    assert_eq!((outcome.count("received"), outcome.count("cut")), (300, 3), "{}", outcome.json);
}

#[test]
fn a_flood_has_all_its_echoes() {
    let outcome = run(Fault::None, "flood --connections 2 --messages 20000");
    outcome.assert_verified();
    assert_eq!((outcome.count("sent"), outcome.count("received")), (20_000, 20_000));
}

#[test]
fn a_flood_that_reads_nothing_ends_in_time() {
    let outcome = run(Fault::None, "flood --connections 1 --seconds 0.3 --no-read");
    outcome.assert_verified();
    assert!(outcome.count("sent") > 0);
    assert_eq!(outcome.count("received"), 0);
}

#[test]
fn connections_come_and_go() {
    for how in ["", "--touch", "--abrupt", "--touch --abrupt"] {
        let line = format!("connect --connections 5 --messages 100 --pid {} {how}", std::process::id());
        let outcome = run(Fault::None, &line);
        outcome.assert_verified();
        assert!(!cfg!(target_os = "linux") || outcome.json.contains("\"serverCpu\""), "{}", outcome.json);
        assert_eq!((outcome.count("opened"), outcome.count("finished")), (100, 100), "{}", outcome.json);
    }
}

#[test]
fn no_server_is_told() {
    let server = Server::start(Fault::None);
    let port = server.port;
    drop(server);
    let output = Command::new(env!("CARGO_BIN_EXE_wsbroker-load"))
        .args(["echo", "--connections", "2", "--url", &format!("ws://127.0.0.1:{port}/")])
        .output()
        .unwrap();
    let outcome = Outcome { json: String::from_utf8(output.stdout).unwrap(), code: output.status.code().unwrap() };
    outcome.assert_not_verified();
    assert_eq!(outcome.count("refused"), 2);
}
