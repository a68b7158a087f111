//! Interim responses between the inner server and the client.

use std::{
    future::poll_fn,
    sync::{Mutex, PoisonError},
    task::Poll,
};

use hyper::{HeaderMap, StatusCode};

use crate::response::Output;

/// Interim responses that wait for the client.
const MAX_INTERIMS: usize = 4;

/// Interim responses (RFC 9110 §15.2) on their way to the client. They come while the connection to
/// the inner server is driven, by the task that takes them: nobody has to be woken.
#[derive(Debug, Default)]
pub(crate) struct Interims(Mutex<Vec<(StatusCode, HeaderMap)>>);

impl Interims {
    /// A client that does not take them gets fewer.
    pub(crate) fn put(&self, status: StatusCode, headers: &HeaderMap) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // 101 is a final response here.
        if waiting.len() < MAX_INTERIMS && status != StatusCode::SWITCHING_PROTOCOLS {
            waiting.push((status, headers.clone()));
        }
    }

    /// Ready while there are some. Wakes nobody.
    pub(crate) async fn come(&self) {
        poll_fn(|_| {
            let is_empty = self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
            if is_empty { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }

    pub(crate) fn take(&self, output: &mut Output) {
        let waiting = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for (status, headers) in waiting {
            output.interim(status, &headers);
        }
    }
}
