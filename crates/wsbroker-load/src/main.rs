//! A WebSocket load generator: opens connections, drives them, checks every message that comes
//! back, and prints one JSON report.
//!
//! It is one thread around one poll, so that on a machine shared with the server it uses as little
//! processor time as possible and serves its connections in the same order in every run.
//! `wsbroker-load --help` lists the scenarios; `bench/README.md` says how the benchmark uses them.
//!
//! Modules, from the outside in: [`cli`] reads the arguments, [`scenario`] has the scenarios,
//! [`engine`] runs the event loop, [`connection`] is one WebSocket in it, [`target`] is the server
//! it goes to ([`url`], [`proxy`]), [`wire`] carries its bytes ([`socket`], [`tls`]), and [`frame`]
//! reads and writes frames ([`extension`], [`deflate`]). [`dialect`] is what the server speaks,
//! [`redis`] reads the counters of the Redis between two of them, [`content`] makes and checks
//! payloads ([`sample`]), and [`tally`], [`histogram`], [`cpu`] and [`json`] count and report.

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

/// Something was lost, duplicated, damaged, refused or cut.
const NOT_VERIFIED: u8 = 1;
/// The run was not possible: wrong arguments, or no server.
const NOT_RUN: u8 = 2;

fn main() -> ExitCode {
    let options = match cli::parse(std::env::args().skip(1)) {
        Ok(cli::Invocation::Run(options)) => options,
        Ok(cli::Invocation::Help) => return print(&mut std::io::stdout().lock(), cli::USAGE, 0),
        Err(error) => {
            return print(&mut std::io::stderr().lock(), &format!("wsbroker-load: {error}\n"), NOT_RUN);
        }
    };
    match scenario::run(&options) {
        Ok(report) => {
            let code = if report.verified { 0 } else { NOT_VERIFIED };
            print(&mut std::io::stdout().lock(), &format!("{}\n", report.json), code)
        }
        Err(error) => print(&mut std::io::stderr().lock(), &format!("wsbroker-load: {error}\n"), NOT_RUN),
    }
}

/// Writes `text` and makes `code` the exit code; a reader that has gone away is no reason to panic.
fn print(to: &mut dyn Write, text: &str, code: u8) -> ExitCode {
    let written = to.write_all(text.as_bytes()).and_then(|()| to.flush());
    ExitCode::from(if written.is_err() { NOT_RUN } else { code })
}
