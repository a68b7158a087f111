//! Stub until the listener lands.
use std::sync::Arc;

use crate::{broker::Inner, config::ListenerConfig, error::ListenError};

/// Every listener of a broker.
#[derive(Debug)]
pub(crate) struct Front;
impl Front {
    pub(crate) fn new(_: usize) -> Self {
        Self
    }
    pub(crate) fn close_all(&self) {}
    pub(crate) async fn emptied(&self) {}
}
/// An address that is listened on.
#[derive(Debug)]
pub struct Listener;
impl Listener {
    pub(crate) async fn bind(_: Arc<Inner>, _: ListenerConfig) -> Result<Self, ListenError> {
        Err(ListenError::ShuttingDown)
    }
}
