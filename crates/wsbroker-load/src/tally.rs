//! What went wrong, and how connections ended: the part of a run that decides whether it counts as verified.

use std::collections::BTreeMap;

use crate::connection::Ending;
use crate::json::Object;

/// Descriptions kept; the counts say how many there were.
const KEPT: usize = 10;

/// Counts over a whole run, warm-up and closing included.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Messages that never came though later ones did, or that the run ended without.
    pub(crate) missing: u64,
    /// Messages that came again, or after a later one.
    pub(crate) duplicate: u64,
    /// Messages that are not what anybody sent: damaged, or at the wrong receiver.
    pub(crate) corrupt: u64,
    /// Connections that reached the end of the handshake.
    pub(crate) opened: u64,
    /// Connections that could not be made: no TCP connection, or no 101.
    pub(crate) refused: u64,
    /// Open connections that ended though nobody here asked for it.
    pub(crate) lost: u64,
    /// Frames or answers that break the protocol.
    pub(crate) protocol: u64,
    endings: BTreeMap<String, u64>,
    notes: Vec<String>,
}

impl Tally {
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

    /// Whether, on top of that, no connection was refused or lost.
    pub(crate) fn all_verified(&self) -> bool {
        self.messages_verified() && self.refused == 0 && self.lost == 0
    }

    /// Adds `opened`, `errors`, `endings` and `notes`.
    pub(crate) fn report(&self, report: Object) -> Object {
        let errors = Object::new()
            .count("missing", self.missing)
            .count("duplicate", self.duplicate)
            .count("corrupt", self.corrupt)
            .count("refused", self.refused)
            .count("lost", self.lost)
            .count("protocol", self.protocol);
        let endings = self.endings.iter().fold(Object::new(), |object, (label, &count)| object.count(label, count));
        report
            .count("opened", self.opened)
            .object("errors", errors)
            .object("endings", endings)
            .texts("notes", &self.notes)
    }
}
