//! What the registry knows of a namespace: its channels, and how many of its sockets are open.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

use super::channels::{ChannelSet, Channels};
use crate::{config::NamespaceConfig, ids::NamespaceId};

/// The part of a [`Namespace`](crate::Namespace) that its sockets, its listeners and its workers
/// refer to.
#[derive(Debug)]
pub(crate) struct NamespaceState {
    pub(crate) id: NamespaceId,
    pub(crate) config: NamespaceConfig,
    primary: Channels,
    secondary: Channels,
    /// Connections between their 101 and their end.
    open: AtomicUsize,
    /// Told when one of its workers has no connection left, or has ended.
    pub(crate) emptied: Notify,
}

impl NamespaceState {
    pub(crate) fn new(id: NamespaceId, config: NamespaceConfig, raw: &Channels) -> Self {
        Self {
            id,
            config,
            primary: raw.beside(ChannelSet::Primary),
            secondary: raw.beside(ChannelSet::Secondary),
            open: AtomicUsize::new(0),
            emptied: Notify::new(),
        }
    }

    pub(crate) fn channels(&self, set: ChannelSet) -> &Channels {
        match set {
            ChannelSet::Primary => &self.primary,
            ChannelSet::Secondary => &self.secondary,
        }
    }

    pub(super) fn opened(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn closed(&self) {
        self.open.fetch_sub(1, Ordering::AcqRel);
    }

    /// Its connections between their 101 and their end.
    pub(crate) fn connections(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }
}
