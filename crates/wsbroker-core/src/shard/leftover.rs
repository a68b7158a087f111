//! Bytes of a connection that were read but may not be parsed before there is room. Most
//! connections have none, and then this is a pointer.

/// What is kept.
#[derive(Debug, Default)]
#[expect(clippy::box_collection, reason = "a pointer is a third of a vector")]
pub(super) struct Leftover(Option<Box<Vec<u8>>>);

impl Leftover {
    pub(super) fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|bytes| bytes.is_empty())
    }

    /// Bytes that it holds.
    pub(super) fn capacity(&self) -> usize {
        self.0.as_ref().map_or(0, |bytes| bytes.capacity())
    }

    pub(super) fn extend(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.0.get_or_insert_default().extend_from_slice(bytes);
        }
    }

    pub(super) fn take(&mut self) -> Vec<u8> {
        self.0.take().map_or_else(Vec::new, |bytes| *bytes)
    }

    pub(super) fn clear(&mut self) {
        self.0 = None;
    }
}
