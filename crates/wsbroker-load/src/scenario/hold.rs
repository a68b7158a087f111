//! Connections that stay open: `idle` ones answer pings and may receive messages, `slow` ones read
//! nothing.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Report, RunError, content_of, describe};
use crate::cli::{Options, ScenarioName};
use crate::content::Content;
use crate::engine::{Engine, Io, Limit, Scenario};
use crate::frame::MessageKind;
use crate::json::Object;

/// When a slow connection reads at last, it is done once nothing has come for this long.
const QUIET: Duration = Duration::from_millis(500);

struct Hold {
    content: Content,
    /// Echoes received.
    touched: usize,
    /// Other messages: publishes.
    received: u64,
}

impl Scenario for Hold {
    fn message(&mut self, _io: &mut Io, connection: usize, kind: MessageKind, payload: &[u8]) {
        if self.content.read(kind, payload) == Some((connection, 0)) {
            self.touched += 1;
        } else {
            self.received += 1;
        }
    }
}

pub(super) fn run(options: &Options) -> Result<Report, RunError> {
    let slow = options.name == ScenarioName::Slow;
    let mut hold = Hold { content: content_of(options), touched: 0, received: 0 };
    let mut engine = Engine::new(&options.target, options.connections)?;
    engine.open_all(&mut hold, options.window, options.stall)?;
    let open: Vec<usize> = (0..options.connections).filter(|&connection| engine.io.is_open(connection)).collect();
    let mut prepared = true;
    if slow || options.touch {
        prepared = touch(&mut engine, &mut hold, &open, options)?;
    }
    for &connection in &open {
        engine.io.set_reading(connection, !slow);
    }
    wait(&mut engine, &mut hold, open.len(), options)?;

    let closed = if slow {
        open.iter().for_each(|&connection| engine.io.set_reading(connection, true));
        engine.run(&mut hold, Limit::Stall(QUIET), |_, io| io.is_empty())?;
        open.iter().for_each(|&connection| engine.io.cut(connection));
        true
    } else if options.abrupt {
        open.iter().for_each(|&connection| engine.io.cut(connection));
        true
    } else {
        engine.close_all(&mut hold, options.stall)?
    };
    if !prepared || !closed {
        engine.io.tally.note("not every connection answered".to_owned());
    }
    let tally = &engine.io.tally;
    let kept = slow || tally.lost == 0;
    let verified = prepared && closed && kept && tally.refused == 0 && tally.messages_verified();
    let report = describe(options)
        .count("connections", options.connections as u64)
        .count("received", hold.received)
        .count("bytesReceived", engine.io.bytes_received);
    Ok(Report { verified, json: tally.report(report).flag("verified", verified).finish() })
}

/// Subscribes if the options say so, and waits for an echo on each connection.
fn touch(engine: &mut Engine, hold: &mut Hold, open: &[usize], options: &Options) -> Result<bool, RunError> {
    for &connection in open {
        if options.name == ScenarioName::Slow {
            engine.io.send_text(connection, &format!("S:{}", options.room));
        }
        engine.io.send(connection, b"", &hold.content, connection, 0);
    }
    Ok(engine.run(hold, Limit::Stall(options.stall), |hold, _| hold.touched == open.len())?)
}

/// Reports that all are open, and holds them for the given time, or until stdin ends.
fn wait(engine: &mut Engine, hold: &mut Hold, connections: usize, options: &Options) -> Result<(), RunError> {
    let line = Object::new().text("event", "holding").count("connections", connections as u64).finish();
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()?;
    let until = options.hold.map(|hold| Instant::now() + hold);
    // Kept to the end: dropping the last handle would lose a wake that was not noticed yet.
    let waker = engine.waker()?;
    if until.is_none() {
        let waker = Arc::clone(&waker);
        std::thread::spawn(move || {
            // An error ends the wait like the end of the stream. Without an engine nothing waits.
            let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
            let _ = waker.wake();
        });
    }
    engine.run(hold, Limit::Until(until), |_, io| io.is_empty())?;
    Ok(())
}
