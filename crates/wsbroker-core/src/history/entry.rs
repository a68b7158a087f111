//! A message that a channel keeps, as the frame that subscribers get.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use wsbroker_proto::{MessageKind, Opcode, server_header};

use super::{
    account::ChannelAccount,
    position::{HistoryEpoch, HistoryPosition},
};
use crate::{
    ids::SocketId,
    shard::{Compress, Compressed},
};

/// Set in [`HistoryEntry::compressed_bytes`] once the channel no longer keeps the entry.
const GONE: usize = 1 << (usize::BITS - 1);

/// A message that a channel keeps or kept.
#[derive(Debug)]
pub(crate) struct HistoryEntry {
    pub(crate) offset: u64,
    pub(crate) epoch: HistoryEpoch,
    /// When it was published, in milliseconds of the broker.
    pub(crate) at: u64,
    /// The whole frame, not compressed, in memory of its size.
    pub(crate) frame: Bytes,
    /// Where the payload begins as it was published.
    payload: usize,
    pub(crate) kind: MessageKind,
    pub(crate) compress: Compress,
    /// In order.
    exclude: Box<[SocketId]>,
    /// `None` if nobody gets it compressed.
    pub(crate) compressed: Option<Box<Compressed>>,
    /// What the compressed forms take, and whether that is counted.
    compressed_bytes: AtomicUsize,
    account: Arc<ChannelAccount>,
}

/// What is published, before it has an offset.
#[derive(Clone, Debug)]
pub(crate) struct Unnumbered<'a> {
    pub(crate) kind: MessageKind,
    pub(crate) payload: &'a [u8],
    pub(crate) compress: Compress,
    /// Whether some subscriber may get it compressed.
    pub(crate) may_compress: bool,
    /// In order.
    pub(crate) exclude: Box<[SocketId]>,
}

impl HistoryEntry {
    /// `name`: what comes behind the offset in front of the payload; empty where nothing does.
    pub(super) fn new(
        position: HistoryPosition,
        at: u64,
        name: &[u8],
        message: Unnumbered<'_>,
        account: &Arc<ChannelAccount>,
    ) -> Self {
        let HistoryPosition { offset, epoch } = position;
        let Unnumbered { kind, payload, compress, may_compress, exclude } = message;
        let number = if name.is_empty() { String::new() } else { offset.to_string() };
        let opcode = match kind {
            MessageKind::Text => Opcode::Text,
            MessageKind::Binary => Opcode::Binary,
        };
        let length = number.len() + name.len() + payload.len();
        let header = server_header(opcode, false, length);
        let mut frame = Vec::with_capacity(header.len() + length);
        for part in [header.as_ref(), number.as_bytes(), name, payload] {
            frame.extend_from_slice(part);
        }
        Self {
            offset,
            epoch,
            at,
            payload: frame.len() - payload.len(),
            frame: frame.into(),
            kind,
            compress,
            exclude,
            compressed: may_compress.then(Box::default),
            compressed_bytes: AtomicUsize::new(0),
            account: Arc::clone(account),
        }
    }

    /// Where a reader is that gets this next.
    pub(crate) fn before(&self) -> HistoryPosition {
        HistoryPosition { offset: self.offset - 1, epoch: self.epoch }
    }

    /// The payload as it was published.
    pub(crate) fn payload(&self) -> &[u8] {
        self.frame.get(self.payload..).unwrap_or_default()
    }

    /// Whether this socket does not get it.
    #[inline]
    pub(crate) fn excludes(&self, id: SocketId) -> bool {
        !self.exclude.is_empty() && self.exclude.binary_search(&id).is_ok()
    }

    /// Bytes that it takes, compressed forms not counted.
    pub(super) fn size(&self) -> usize {
        let compressed = if self.compressed.is_some() { size_of::<Compressed>() } else { 0 };
        OVERHEAD + self.frame.len() + size_of_val(&*self.exclude) + compressed
    }

    /// A compressed form of so many bytes is kept with it from now on.
    pub(crate) fn count_compressed(&self, bytes: usize) {
        // Before it shows, so that what is taken off has been added.
        self.account.add(bytes);
        let add = |counted: usize| (counted & GONE == 0).then_some(counted + bytes);
        if self.compressed_bytes.fetch_update(Ordering::AcqRel, Ordering::Acquire, add).is_err() {
            self.account.sub(bytes);
        }
    }

    /// The channel no longer keeps it. Returns what its compressed forms have counted.
    pub(super) fn let_go(&self) -> usize {
        self.compressed_bytes.swap(GONE, Ordering::AcqRel) & !GONE
    }
}

/// What an entry takes besides its bytes: itself, its counts of references, its place in the ring,
/// and what shares the frame.
const OVERHEAD: usize =
    size_of::<HistoryEntry>() + 2 * size_of::<usize>() + size_of::<usize>() + 3 * size_of::<usize>();
