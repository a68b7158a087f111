//! What JavaScript calls for channels with history where a bus numbers their messages: the same as
//! in `history_functions`, with promises.

// napi-rs wants what it exports to be public, though nothing can reach it from Rust.
#![allow(unreachable_pub)]

use std::{
    collections::HashMap,
    future::Future,
    sync::atomic::{AtomicU64, Ordering},
};

use napi::{
    Env,
    bindgen_prelude::{Buffer, Either, Object, ToNapiValue},
};
use napi_derive::napi;
use parking_lot::Mutex;
use wsbroker_core::{
    Broker, BusFailure, HistoryEpoch, HistoryError, HistoryPosition, MessageKind, PendingReceipt, Recovery, Since,
    SocketId,
};

use crate::{
    api::history_functions::failed,
    js::{
        js_error::{JsError, Result},
        promise::{promise, settled},
        raw::Copied,
    },
    process,
    worker::thread_cork,
};

/// What became of a message that Redis was to store.
#[napi(object)]
pub struct NativeBusReceipt {
    /// Where it is. Absent if it failed.
    pub position: Option<NativePosition>,
    /// It was published before.
    pub duplicate: bool,
    /// Why it failed.
    pub reason: Option<String>,
    /// Whether it may be stored although it failed.
    pub unknown: bool,
}

impl NativeBusReceipt {
    pub(crate) fn stored(position: HistoryPosition, duplicate: bool) -> Self {
        Self { position: Some(position.into()), duplicate, reason: None, unknown: false }
    }

    pub(crate) fn failed(failure: BusFailure) -> Self {
        Self { position: None, duplicate: false, reason: Some(failure.reason), unknown: failure.unknown }
    }
}

/// A place in a channel's history.
#[napi(object)]
pub struct NativePosition {
    /// Counts from 1; 0 before the first message.
    pub offset: f64,
    /// 16 characters.
    pub epoch: String,
}

/// What became of a recovery.
#[napi(object)]
pub struct NativeRecovery {
    /// Nothing is missing.
    pub recovered: bool,
    /// The head of the channel.
    pub position: NativePosition,
    /// Messages that the socket gets first.
    pub replayed: f64,
}

/// A message that a channel keeps.
#[napi(object)]
pub struct NativeHistoryMessage {
    /// Its place.
    pub offset: f64,
    /// As it was published.
    pub data: Either<String, Buffer>,
}

/// A part of what a channel keeps.
#[napi(object)]
pub struct NativeHistorySlice {
    /// The head of the channel.
    pub position: NativePosition,
    /// Nothing since the place that was asked for is gone.
    pub complete: bool,
    /// In the order that was asked for.
    pub messages: Vec<NativeHistoryMessage>,
}

impl From<HistoryPosition> for NativePosition {
    fn from(position: HistoryPosition) -> Self {
        Self { offset: position.offset as f64, epoch: position.epoch.to_string() }
    }
}

/// Receipts that JavaScript has not asked for yet. It does so at once, with the number.
static RECEIPTS: Mutex<Option<HashMap<u64, PendingReceipt>>> = Mutex::new(None);
static LAST: AtomicU64 = AtomicU64::new(0);

/// Keeps a receipt until it is asked for by this number.
pub(crate) fn keep(receipt: PendingReceipt) -> u64 {
    let ticket = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    RECEIPTS.lock().get_or_insert_default().insert(ticket, receipt);
    ticket
}

/// A promise for the outcome of a future with the process's broker. What this thread has sent
/// before comes first.
fn ask<'env, T, F>(
    env: &'env Env,
    call: &'static str,
    ended: fn() -> std::result::Result<T, JsError>,
    task: impl FnOnce(Broker) -> F,
) -> Result<Object<'env>>
where
    T: ToNapiValue + Send + 'static,
    F: Future<Output = std::result::Result<T, HistoryError>> + Send + 'static,
{
    thread_cork::flush();
    match process::broker().1 {
        Some(broker) => {
            let future = task(broker.clone());
            promise(env, &broker, ended, async move { future.await.map_err(failed(call)) })
        }
        None => settled::<T>(env, Err(failed(call)(HistoryError::NoHistory))),
    }
}

fn at(offset: f64, epoch: &str) -> Option<HistoryPosition> {
    (offset >= 0.0).then(|| HistoryPosition { offset: offset as u64, epoch: HistoryEpoch::parse(epoch) })
}

/// Whether a bus numbers the messages of channels with history.
#[napi]
pub fn has_history_bus() -> bool {
    thread_cork::with(|broker, _| broker.has_history_bus()).unwrap_or(false)
}

/// What becomes of a publish that returned this ticket. Each is asked for once.
#[napi(ts_return_type = "Promise<NativeBusReceipt>")]
pub fn bus_receipt(env: &Env, ticket: f64) -> Result<Object<'_>> {
    let gone = || {
        let reason = Some("the broker was shut down before Redis answered".to_owned());
        Ok(NativeBusReceipt { position: None, duplicate: false, reason, unknown: true })
    };
    let pending = RECEIPTS.lock().as_mut().and_then(|receipts| receipts.remove(&(ticket as u64)));
    let (Some(pending), Some(broker)) = (pending, process::broker().1) else { return settled(env, gone()) };
    promise(env, &broker, gone, async move {
        Ok(match pending.wait().await {
            Ok(receipt) => NativeBusReceipt::stored(receipt.position, receipt.duplicate),
            Err(failure) => NativeBusReceipt::failed(failure),
        })
    })
}

/// As `historyPosition`.
#[napi(ts_return_type = "Promise<NativePosition>")]
pub fn position_elsewhere(env: &Env, #[napi(ts_arg_type = "Buffer")] channel: Copied) -> Result<Object<'_>> {
    let channel = channel.to_vec();
    ask(
        env,
        "position",
        || Err(JsError::shut_down("position")),
        |broker| async move { broker.position_elsewhere(&channel).await.map(NativePosition::from) },
    )
}

/// As `readHistory`.
#[napi(ts_return_type = "Promise<NativeHistorySlice>")]
pub fn history_elsewhere(
    env: &Env,
    #[napi(ts_arg_type = "Buffer")] channel: Copied,
    offset: f64,
    epoch: String,
    limit: u32,
    reverse: bool,
) -> Result<Object<'_>> {
    let channel = channel.to_vec();
    ask(
        env,
        "history",
        || Err(JsError::shut_down("history")),
        move |broker| async move {
            let slice = broker.history_elsewhere(&channel, at(offset, &epoch), limit as usize, reverse).await?;
            let messages = slice.messages.iter().map(|message| NativeHistoryMessage {
                offset: message.offset() as f64,
                data: match message.kind() {
                    MessageKind::Text => Either::A(String::from_utf8_lossy(message.payload()).into_owned()),
                    MessageKind::Binary => Either::B(message.payload().to_vec().into()),
                },
            });
            let messages = messages.collect();
            Ok(NativeHistorySlice { position: slice.position.into(), complete: slice.complete, messages })
        },
    )
}

/// As `recoverSocket`.
#[napi(ts_return_type = "Promise<NativeRecovery>")]
pub fn recover_elsewhere(
    env: &Env,
    socket_id: f64,
    #[napi(ts_arg_type = "Buffer")] channel: Copied,
    kind: u32,
    offset: f64,
    epoch: String,
    or_reject: bool,
) -> Result<Object<'_>> {
    let channel = channel.to_vec();
    let since = match (kind, at(offset, &epoch)) {
        (0, Some(position)) => Since::Position(position),
        (1, _) => Since::Latest,
        _ => Since::Now,
    };
    let id = if socket_id.fract() == 0.0 && socket_id > 0.0 { SocketId::new(socket_id as u64) } else { None };
    ask(
        env,
        "recover",
        || Err(JsError::shut_down("recover")),
        move |broker| async move {
            let recovery = match id {
                Some(id) => broker.recover_elsewhere(id, &channel, since, or_reject).await?,
                // No socket has this number.
                None => Recovery::none(broker.position_elsewhere(&channel).await?),
            };
            Ok(NativeRecovery {
                recovered: recovery.recovered,
                position: recovery.position.into(),
                replayed: recovery.replayed as f64,
            })
        },
    )
}

/// As `deleteHistory`.
#[napi(ts_return_type = "Promise<void>")]
pub fn delete_history_elsewhere(
    env: &Env,
    #[napi(ts_arg_type = "Buffer")] channel: Copied,
    before: f64,
) -> Result<Object<'_>> {
    let channel = channel.to_vec();
    let before = (before >= 0.0).then_some(before as u64);
    ask(
        env,
        "deleteHistory",
        || Err(JsError::shut_down("deleteHistory")),
        move |broker| async move { broker.delete_history_elsewhere(&channel, before).await },
    )
}

/// Brings a channel up to date, so that what follows at once can be asked of this process.
#[napi(ts_return_type = "Promise<void>")]
pub fn follow_channel(env: &Env, channel: String) -> Result<Object<'_>> {
    ask(
        env,
        "subscribe",
        || Err(JsError::shut_down("subscribe")),
        |broker| async move { broker.follow(channel.as_bytes()).await },
    )
}
