//! What went wrong, and how connections ended: the part of a run that decides whether it counts as
//! verified.

use std::collections::BTreeMap;

use crate::connection::Ending;
use crate::json::Object;

/// Descriptions kept; the counts say how many there were.
const KEPT: usize = 10;

/// Counts over a whole run, warm-up and closing included.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Messages that had not arrived when a later one did, or when the run ended.
    pub(crate) missing: u64,
    /// Messages that arrived twice, or after a later one.
    pub(crate) duplicate: u64,
    /// Messages that are damaged, or that reached the wrong receiver.
    pub(crate) corrupt: u64,
    /// Connections that reached the end of the handshake.
    pub(crate) opened: u64,
    /// Connections that could not be made: no TCP connection, or no 101.
    pub(crate) refused: u64,
    /// Messages received compressed, and sent compressed.
    pub(crate) compressed_received: u64,
    pub(crate) compressed_sent: u64,
    /// Open connections that ended without our asking.
    pub(crate) lost: u64,
    /// Frames or answers that break the protocol.
    pub(crate) protocol: u64,
    /// Connections on which compression was agreed.
    deflating: u64,
    /// Connections by TLS version and cipher suite.
    tls: BTreeMap<String, u64>,
    endings: BTreeMap<String, u64>,
    notes: Vec<String>,
}

impl Tally {
    /// Counts a connection at the end of its handshake, with its TLS version and cipher suite.
    pub(crate) fn open(&mut self, tls: Option<String>, deflating: bool) {
        self.opened += 1;
        self.deflating += u64::from(deflating);
        if let Some(tls) = tls {
            *self.tls.entry(tls).or_default() += 1;
        }
    }

    /// Counts how a connection ended; `asked` when we began its end.
    pub(crate) fn end(&mut self, ending: &Ending, asked: bool) {
        let label = match ending {
            Ending::Close(code) => code.to_string(),
            Ending::Eof => "eof".to_owned(),
            Ending::Reset => "reset".to_owned(),
            Ending::Cut => "cut".to_owned(),
            Ending::Refused(status) => format!("http {status}"),
            Ending::Failed(reason) => {
                self.note(reason.clone());
                "failed".to_owned()
            }
            Ending::Protocol(what) => {
                self.protocol += 1;
                self.note(format!("protocol: {what}"));
                "protocol".to_owned()
            }
        };
        *self.endings.entry(label).or_default() += 1;
        match ending {
            Ending::Refused(_) | Ending::Failed(_) => self.refused += 1,
            Ending::Close(_) | Ending::Eof | Ending::Reset if !asked => self.lost += 1,
            _ => {}
        }
    }

    pub(crate) fn note(&mut self, note: String) {
        if self.notes.len() < KEPT {
            self.notes.push(note);
        }
    }

    /// Whether every message arrived once, in order and whole.
    pub(crate) fn messages_verified(&self) -> bool {
        self.missing == 0 && self.duplicate == 0 && self.corrupt == 0 && self.protocol == 0
    }

    /// Whether, in addition, no connection was refused or lost.
    pub(crate) fn all_verified(&self) -> bool {
        self.messages_verified() && self.refused == 0 && self.lost == 0
    }

    /// Adds `opened`, `tls` and `deflate` where there were any, `errors`, `endings` and `notes`.
    pub(crate) fn report(&self, report: Object) -> Object {
        let counts = |counts: &BTreeMap<String, u64>| {
            counts.iter().fold(Object::new(), |object, (label, &count)| object.count(label, count))
        };
        let mut report = report.count("opened", self.opened);
        if !self.tls.is_empty() {
            report = report.object("tls", counts(&self.tls));
        }
        if self.deflating > 0 {
            let deflate = Object::new()
                .count("agreed", self.deflating)
                .count("compressedReceived", self.compressed_received)
                .count("compressedSent", self.compressed_sent);
            report = report.object("deflate", deflate);
        }
        let errors = Object::new()
            .count("missing", self.missing)
            .count("duplicate", self.duplicate)
            .count("corrupt", self.corrupt)
            .count("refused", self.refused)
            .count("lost", self.lost)
            .count("protocol", self.protocol);
        report.object("errors", errors).object("endings", counts(&self.endings)).texts("notes", &self.notes)
    }
}
