//! Room for the messages of one connection while what it has sent is being parsed.
//!
//! Handlers on other threads only make room, so what was there stays until this shard takes it. So
//! the windows of the socket and of its worker are looked at once for many messages, and the
//! socket's is entered once for all of them: before any of these events is handed over, and before
//! anything else looks at it.

use crate::{event::OVERHEAD, registry::WindowUse};

/// See above.
#[derive(Debug, Default)]
pub(super) struct FoundRoom {
    /// What still fits.
    left: WindowUse,
    /// What has been taken, and has not entered the socket's window.
    taken: WindowUse,
    /// Bytes are being parsed. Otherwise each message looks for itself.
    is_kept: bool,
}

impl FoundRoom {
    /// Bytes of a connection are parsed from now on.
    pub(super) fn keep(&mut self) {
        debug_assert_eq!(self.taken, WindowUse::default());
        *self = Self { is_kept: true, ..Self::default() };
    }

    /// They have been. What this returns must enter the window.
    pub(super) fn end(&mut self) -> Option<WindowUse> {
        self.is_kept = false;
        self.left = WindowUse::default();
        self.take_taken()
    }

    /// What must enter the window before anything looks at it.
    #[inline]
    pub(super) fn take_taken(&mut self) -> Option<WindowUse> {
        let taken = std::mem::take(&mut self.taken);
        (taken.messages > 0).then_some(taken)
    }

    /// Whether a message of that many bytes of payload is known to fit.
    #[inline]
    pub(super) fn fits(&self, payload: usize) -> bool {
        self.left.messages > 0 && self.left.bytes >= payload + OVERHEAD
    }

    /// The windows have been looked at.
    pub(super) fn found(&mut self, room: WindowUse) {
        if self.is_kept {
            self.left = room;
        }
    }

    /// Takes the room of a message for which there is some. False: it must enter the window by
    /// itself.
    #[inline]
    pub(super) fn take(&mut self, payload: usize) -> bool {
        if !self.is_kept {
            return false;
        }
        let cost = payload + OVERHEAD;
        self.left.messages = self.left.messages.saturating_sub(1);
        self.left.bytes = self.left.bytes.saturating_sub(cost);
        self.taken.add(cost);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_that_was_found_is_taken_message_by_message_and_entered_at_once() {
        let mut room = FoundRoom::default();
        room.keep();
        assert!(!room.fits(0), "nothing was looked up");
        room.found(WindowUse { messages: 3, bytes: 2 * OVERHEAD + 10 });
        assert!(room.fits(10 + OVERHEAD) && !room.fits(11 + OVERHEAD));
        assert!(room.take(10));
        assert!(room.fits(0) && !room.fits(1));
        assert!(room.take(0));
        assert!(!room.fits(0), "the bytes are used up");
        assert_eq!(room.take_taken(), Some(WindowUse { messages: 2, bytes: 2 * OVERHEAD + 10 }));
        assert_eq!(room.end(), None, "entered once");
    }

    #[test]
    fn between_reads_no_room_is_kept() {
        let mut room = FoundRoom::default();
        room.found(WindowUse { messages: 8, bytes: 8_000 });
        assert!(!room.fits(0) && !room.take(0));
        room.keep();
        room.found(WindowUse { messages: 8, bytes: 8_000 });
        assert!(room.take(5_000_000), "a message larger than the window joins an empty one");
        assert!(!room.fits(0));
        assert_eq!(room.end().map(|taken| taken.messages), Some(1));
        assert!(!room.fits(0) && !room.take(0));
    }
}
