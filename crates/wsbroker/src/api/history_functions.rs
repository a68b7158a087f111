//! What JavaScript calls for channels with history. `src/api` checks the options and makes
//! promises of the results.

use wsbroker_core::{HistoryEpoch, HistoryError, HistoryPosition, MessageKind, Since};

use crate::{
    api::bus_history_functions,
    js::{
        convert::{self, channel, socket_id, stage},
        export::{JsResult, functions},
        js_error::JsError,
        raw::{Env, Failed, StringScratch, Value},
    },
    worker::thread_cork,
};

functions! {
    publish_with_receipt = "publishWithReceipt(channel: Data, data: Data, options?: PublishOptions): PublishReceipt & { ticket?: number }";
    history_position = "historyPosition(channel: Data): Position";
    /// At most `limit` messages. An offset below 0: as seen from before the first.
    read_history = "readHistory(channel: Data, offset: number, epoch: string, limit: number, reverse: boolean): HistorySlice";
    /// `kind`: 0 for a position, 1 for the latest message, 2 for now.
    recover_socket = "recoverSocket(socketId: number, channel: Data, kind: number, offset: number, epoch: string, orReject: boolean): Recovery";
    /// An offset below 0: all messages.
    delete_history = "deleteHistory(channel: Data, before: number): void";
    /// The socket has been told what it has lost of the channel, and goes on.
    continue_channel = "continueChannel(socketId: number, channel: Data): void";
}

pub(crate) fn failed(call: &str) -> impl Fn(HistoryError) -> JsError {
    move |error| match error {
        HistoryError::Subscribed => JsError::conflict(format!("{call}: {error}")),
        HistoryError::Subscribe(error) => JsError::limit(call, error),
        HistoryError::Bus(failure) => JsError::bus_lost(call, &failure),
        error => JsError::invalid_value(call, "channel", &error),
    }
}

/// Without a broker no channel has a history.
fn of<T>(call: &str, outcome: Option<Result<T, HistoryError>>) -> Result<T, JsError> {
    outcome.unwrap_or(Err(HistoryError::NoHistory)).map_err(failed(call))
}

pub(crate) fn position_value<'s>(env: Env<'s>, position: HistoryPosition) -> Result<Value<'s>, Failed> {
    let object = env.object()?;
    set_position(env, object, position)?;
    Ok(object)
}

fn set_position(env: Env<'_>, object: Value<'_>, position: HistoryPosition) -> Result<(), Failed> {
    env.set(object, "offset", env.double(position.offset as f64)?)?;
    env.set(object, "epoch", env.text(&position.epoch.to_string())?)
}

fn publish_with_receipt<'s>(env: Env<'s>, [name, data, options]: [Value<'s>; 3]) -> JsResult<'s> {
    const CALL: &str = "publish";
    // First, since it may run JavaScript that sends.
    let (options, id) = convert::numbered_options(env, CALL, options)?;
    let name = channel(env, CALL, "channel", name)?;
    let receipt = thread_cork::command(env, |_, cork| {
        let staged = stage(env, cork, CALL, "data", data)?.compress(options.compress);
        cork.publish_with_receipt(&name, staged, &options.exclude, id.as_deref()).map_err(|error| match error {
            HistoryError::NoHistory => JsError::wrong_value(
                CALL,
                "id",
                "absent for a channel without history (see the option \"history\" of start)",
                "an id",
            ),
            error => failed(CALL)(error),
        })
    });
    let object = env.object()?;
    let Some(receipt) = receipt.transpose()? else {
        // There is nothing to publish to. A mistake is one all the same.
        channel(env, CALL, "data", data)?;
        env.set(object, "subscribers", env.int(0)?)?;
        return Ok(object);
    };
    if let Some(pending) = receipt.pending {
        env.set(object, "ticket", env.double(bus_history_functions::keep(pending) as f64)?)?;
    }
    if let Some(position) = receipt.position {
        set_position(env, object, position)?;
    }
    env.set(object, "subscribers", env.count(receipt.subscribers)?)?;
    if receipt.duplicate {
        env.set(object, "duplicate", env.boolean(true)?)?;
    }
    Ok(object)
}

fn history_position<'s>(env: Env<'s>, [name]: [Value<'s>; 1]) -> JsResult<'s> {
    const CALL: &str = "position";
    let name = channel(env, CALL, "channel", name)?;
    let position = of(CALL, thread_cork::with(|broker, cork| broker.position(cork, &name)))?;
    Ok(position_value(env, position)?)
}

/// A position, as JavaScript has checked it. `None`: the offset is below 0.
fn given(env: Env<'_>, offset: Value<'_>, epoch: Value<'_>) -> Option<HistoryPosition> {
    let offset = env.number(offset).filter(|offset| *offset >= 0.0)?;
    let mut text = bytes::BytesMut::new();
    // What is no epoch is an unknown one.
    let read = env.append_text(epoch, &mut text).ok().and_then(|()| std::str::from_utf8(&text).ok());
    Some(HistoryPosition { offset: offset as u64, epoch: read.map_or(HistoryEpoch::UNKNOWN, HistoryEpoch::parse) })
}

/// Where a recovery begins, as JavaScript has checked it.
pub(super) fn since_of(env: Env<'_>, kind: Value<'_>, offset: Value<'_>, epoch: Value<'_>) -> Since {
    match (env.number(kind).unwrap_or(0.0) as u32, given(env, offset, epoch)) {
        (0, Some(position)) => Since::Position(position),
        (1, _) => Since::Latest,
        _ => Since::Now,
    }
}

fn read_history<'s>(env: Env<'s>, [name, offset, epoch, limit, reverse]: [Value<'s>; 5]) -> JsResult<'s> {
    const CALL: &str = "history";
    let name = channel(env, CALL, "channel", name)?;
    let since = given(env, offset, epoch);
    let limit = env.number(limit).unwrap_or(0.0) as usize;
    let reverse = env.boolean_of(reverse).unwrap_or(false);
    let slice = of(CALL, thread_cork::with(|broker, cork| broker.history(cork, &name, since, limit, reverse)))?;
    let object = env.object()?;
    env.set(object, "position", position_value(env, slice.position)?)?;
    env.set(object, "complete", env.boolean(slice.complete)?)?;
    let mut scratch = StringScratch::default();
    let messages = slice.messages.iter().map(|message| {
        let value = env.object()?;
        env.set(value, "offset", env.double(message.offset() as f64)?)?;
        let data = match message.kind() {
            MessageKind::Text => env.string(message.payload(), &mut scratch)?,
            MessageKind::Binary => env.buffer(message.payload())?,
        };
        env.set(value, "data", data)?;
        Ok(value)
    });
    let messages = messages.collect::<Result<Vec<_>, Failed>>()?;
    env.set(object, "messages", env.array(messages.into_iter().map(Ok))?)?;
    Ok(object)
}

fn recover_socket<'s>(env: Env<'s>, [id, name, kind, offset, epoch, or_reject]: [Value<'s>; 6]) -> JsResult<'s> {
    const CALL: &str = "recover";
    let id = socket_id(env, CALL, "socketId", id)?;
    let name = channel(env, CALL, "channel", name)?;
    let since = since_of(env, kind, offset, epoch);
    let or_reject = env.boolean_of(or_reject).unwrap_or(false);
    let outcome = thread_cork::with(|broker, cork| match id {
        Some(id) => broker.recover(cork, id, &name, since, or_reject),
        // No socket has this number.
        None => broker.position(cork, &name).map(wsbroker_core::Recovery::none),
    });
    let recovery = of(CALL, outcome)?;
    let object = env.object()?;
    env.set(object, "recovered", env.boolean(recovery.recovered)?)?;
    env.set(object, "position", position_value(env, recovery.position)?)?;
    env.set(object, "replayed", env.double(recovery.replayed as f64)?)?;
    Ok(object)
}

fn delete_history<'s>(env: Env<'s>, [name, before]: [Value<'s>; 2]) -> JsResult<'s> {
    const CALL: &str = "deleteHistory";
    let name = channel(env, CALL, "channel", name)?;
    let before = env.number(before).filter(|offset| *offset >= 0.0).map(|offset| offset as u64);
    of(CALL, thread_cork::with(|broker, cork| broker.delete_history(cork, &name, before)))?;
    Ok(env.undefined()?)
}

fn continue_channel<'s>(env: Env<'s>, [id, name]: [Value<'s>; 2]) -> JsResult<'s> {
    const CALL: &str = "continueChannel";
    let id = socket_id(env, CALL, "socketId", id)?;
    let name = channel(env, CALL, "channel", name)?;
    if let Some(id) = id {
        thread_cork::command(env, |_, cork| cork.continue_channel(id, &name));
    }
    Ok(env.undefined()?)
}
