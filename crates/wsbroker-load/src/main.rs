//! A WebSocket load generator: opens connections, drives them, checks every message that comes
//! back, and prints one JSON report.
//!
//! It is one thread around one poll, so that on a machine shared with the server it takes as little
//! of the processor as it can, and so that the order in which it serves its connections is the same
//! in every run. `wsbroker-load --help` tells the scenarios; `bench/README.md` tells how the
//! benchmark uses them.
//!
//! Modules, from the outside in: [`cli`] reads the arguments, [`scenario`] holds what can be
//! driven, [`engine`] turns the event loop, [`connection`] is one WebSocket in it, [`target`] where
//! it goes ([`url`], [`proxy`]), [`wire`] how its bytes get there ([`socket`], [`tls`]), [`frame`]
//! what they are ([`extension`], [`deflate`]); [`dialect`] is how a server is spoken to, [`redis`]
//! what stands between two of them; [`content`] makes and checks payloads ([`sample`]), [`tally`],
//! [`histogram`], [`cpu`] and [`json`] count and tell.

#![forbid(unsafe_code)]

mod cli;
mod connection;
mod content;
mod cpu;
mod deflate;
mod dialect;
mod engine;
mod extension;
mod frame;
mod histogram;
mod json;
mod proxy;
mod redis;
mod sample;
mod scenario;
mod socket;
mod tally;
mod target;
mod tls;
mod url;
mod wire;

use std::io::Write;
use std::process::ExitCode;

/// The report says that something was lost, duplicated, corrupted, refused or cut.
const NOT_VERIFIED: u8 = 1;
/// The run could not be made at all: wrong arguments, or no server there.
const NOT_RUN: u8 = 2;

fn main() -> ExitCode {
    let options = match cli::parse(std::env::args().skip(1)) {
        Ok(cli::Invocation::Run(options)) => options,
        Ok(cli::Invocation::Help) => return tell(&mut std::io::stdout().lock(), cli::USAGE, 0),
        Err(error) => {
            return tell(&mut std::io::stderr().lock(), &format!("wsbroker-load: {error}\n"), NOT_RUN);
        }
    };
    match scenario::run(&options) {
        Ok(report) => {
            let code = if report.verified { 0 } else { NOT_VERIFIED };
            tell(&mut std::io::stdout().lock(), &format!("{}\n", report.json), code)
        }
        Err(error) => tell(&mut std::io::stderr().lock(), &format!("wsbroker-load: {error}\n"), NOT_RUN),
    }
}

/// Writes `text` and makes `code` the exit code; a reader that has gone away is not worth a panic.
fn tell(to: &mut dyn Write, text: &str, code: u8) -> ExitCode {
    let written = to.write_all(text.as_bytes()).and_then(|()| to.flush());
    ExitCode::from(if written.is_err() { NOT_RUN } else { code })
}
