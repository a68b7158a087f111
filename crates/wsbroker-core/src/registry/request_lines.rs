//! The paths and subprotocols of connections, each kept once however many have it: most servers
//! have a handful, and an idle connection is to cost little.

use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashSet;

/// Bytes of a path that are kept. A client chooses it, and may choose another each time.
const KEPT: usize = 256;
/// As many may be there before those that nobody has are looked for.
const MIN_SWEEP: usize = 64;

/// What a connection asked for.
#[derive(Debug, Eq, Hash, PartialEq)]
pub(crate) struct RequestLine {
    pub(crate) path: Box<str>,
    /// The subprotocol that was agreed on.
    pub(crate) protocol: Option<Box<str>>,
}

/// Those that connections have, and at most as many that none has any more.
#[derive(Debug, Default)]
pub(crate) struct RequestLines(Mutex<Lines>);

#[derive(Debug, Default)]
struct Lines {
    all: FxHashSet<Arc<RequestLine>>,
    sweep_at: usize,
}

impl RequestLines {
    /// The one copy. Longer paths are cut to 256 bytes.
    pub(crate) fn of(&self, path: &str, protocol: Option<&str>) -> Arc<RequestLine> {
        let end = (0..=path.len().min(KEPT)).rev().find(|end| path.is_char_boundary(*end)).unwrap_or(0);
        let line = RequestLine { path: path.get(..end).unwrap_or_default().into(), protocol: protocol.map(Into::into) };
        let mut lines = self.0.lock();
        if let Some(known) = lines.all.get(&line) {
            return Arc::clone(known);
        }
        if lines.all.len() >= lines.sweep_at.max(MIN_SWEEP) {
            lines.all.retain(|line| Arc::strong_count(line) > 1);
            let room = lines.all.len() * 2;
            lines.sweep_at = room;
            lines.all.shrink_to(room);
        }
        let line = Arc::new(line);
        lines.all.insert(Arc::clone(&line));
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_kept_once_and_no_longer_than_somebody_has_it() {
        let lines = RequestLines::default();
        let one = lines.of("/ws", Some("chat"));
        assert!(Arc::ptr_eq(&one, &lines.of("/ws", Some("chat"))));
        assert!(!Arc::ptr_eq(&one, &lines.of("/ws", None)));
        for number in 0..10_000 {
            lines.of(&format!("/{number}"), None);
        }
        assert!(lines.0.lock().all.len() <= 2 * MIN_SWEEP);
        assert!(Arc::ptr_eq(&one, &lines.of("/ws", Some("chat"))));
        let kept: Vec<_> = (0..1000).map(|number| lines.of(&format!("/{number}"), None)).collect();
        assert!(lines.0.lock().all.len() >= kept.len());
    }

    #[test]
    fn a_long_path_is_cut_at_a_character() {
        let lines = RequestLines::default();
        let line = lines.of(&format!("/{}", "é".repeat(1000)), None);
        assert_eq!(&*line.path, format!("/{}", "é".repeat(127)));
    }
}
