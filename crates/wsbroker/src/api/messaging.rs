//! The functions that are called for every message, registered raw: what napi-rs adds to a call costs more than most of them do.
//!
//! Each converts its arguments, calls the core and converts the result. Names and meanings are public: `src/index.cts` exports most of them as
//! they are. Wrong types throw; a socket that is gone, or no broker at all, never does.

use bytes::{Bytes, BytesMut};
use wsbroker_core::{AcceptError, Compress, Cork, EventKind, Handlers, SendOutcome};

use crate::{
    api::stats_object,
    js::{
        convert::{self, channel, channels, socket_id, stage},
        export::{Result, functions},
        failure::Failure,
        raw::{Env, Kept, Value},
    },
    worker::{
        inbox::bytes_of,
        runner,
        thread_cork::{self, Name},
    },
};

functions! {
    send(given) = "send(socketId: number, data: Data, options?: Pick<SendOptions, 'compress'>): SendResult";
    send_to_channel(given) = "sendToChannel(channel: Data, data: Data, options?: SendOptions): number";
    subscribe = "subscribe(socketId: number, channel: Data): boolean";
    unsubscribe = "unsubscribe(socketId: number, channel: Data): boolean";
    subscribe_many = "subscribeMany(socketId: number, channels: readonly Data[]): number";
    unsubscribe_many = "unsubscribeMany(socketId: number, channels: readonly Data[]): number";
    unsubscribe_all = "unsubscribeAll(socketId: number): number";
    copy_subscriptions = "copySubscriptions(from: Data, to: Data): void";
    set_token = "setToken(socketId: number, token: Data): void";
    get_token = "getToken(socketId: number): Buffer | undefined";
    /// 0 = no token, or no such socket any more.
    token_version = "tokenVersion(socketId: number): number";
    close = "close(socketId: number, code?: number, reason?: string): void";
    terminate = "terminate(socketId: number): void";
    close_channel = "closeChannel(channel: Data, code?: number, reason?: string): number";
    is_open = "isOpen(socketId: number): boolean";
    buffered_amount = "bufferedAmount(socketId: number): number";
    has_subscriptions = "hasSubscriptions(channel: Data): boolean";
    subscriber_count = "subscriberCount(channel: Data): number";
    is_subscribed = "isSubscribed(socketId: number, channel: Data): boolean";
    get_subscriptions = "getSubscriptions(socketId: number): (string | Buffer)[]";
    get_subscribers = "getSubscribers(channel: Data): number[]";
    connection_count = "connectionCount(): number";
    stats = "stats(): Stats";
    /// `isShared`, which tells a SharedArrayBuffer, is for Bun.
    init = "init(scheduleFlush: () => void, isShared?: (value: unknown) => boolean): void";
    attach_worker = "attachWorker(mask: number, dispatch: Dispatch, again: () => void, keepAlive: boolean, slots?: number): NativeAttached";
    detach_worker = "detachWorker(): void";
    keep_alive = "keepAlive(on: boolean): void";
    drain = "drain(): void";
    settle = "settle(): void";
    open_verdict = "openVerdict(slot: number, accepted: boolean, detail?: NativeAccept | NativeReject): boolean";
    slot_token = "slotToken(slot: number): Buffer | undefined";
    /// The bytes of a binary message that is waiting or being handed over, once more.
    slot_bytes = "slotBytes(slot: number): Buffer | undefined";
}

fn send<'s>(env: Env<'s>, [id, data, options]: [Value<'s>; 3], given: usize) -> Result<'s> {
    // First, since it may run JavaScript that sends.
    let compress = if given > 2 { convert::send_options(env, "send", options)? } else { Compress::Auto };
    let outcome = match socket_id(env, "send", "socketId", id)? {
        Some(id) => {
            let send = |cork: &mut Cork| {
                stage(env, cork, "send", "data", data).map(|staged| cork.send(id, staged.compress(compress)))
            };
            thread_cork::command(env, |_, cork| send(cork)).transpose()?
        }
        None => None,
    };
    let result = match outcome {
        Some(SendOutcome::Queued) => 1,
        Some(SendOutcome::OverLimit) => -1,
        Some(SendOutcome::Dropped) => 0,
        None => {
            must_be_data(env, "send", "data", data)?;
            0
        }
    };
    Ok(env.int(result)?)
}

fn send_to_channel<'s>(env: Env<'s>, [name, data, options]: [Value<'s>; 3], given: usize) -> Result<'s> {
    const CALL: &str = "sendToChannel";
    // First, since it may run JavaScript that sends.
    let options = if given > 2 { convert::publish_options(env, CALL, options)? } else { Default::default() };
    let name = channel(env, CALL, "channel", name)?;
    let count = thread_cork::command(env, |_, cork| {
        stage(env, cork, CALL, "data", data)
            .map(|staged| cork.publish(&name, staged.compress(options.compress), &options.exclude))
    });
    let count = match count.transpose()? {
        Some(count) => count,
        None => {
            must_be_data(env, CALL, "data", data)?;
            0
        }
    };
    Ok(env.count(count)?)
}

/// For when there is nobody to send to: a mistake is one all the same.
fn must_be_data(env: Env<'_>, call: &str, name: &str, value: Value<'_>) -> std::result::Result<(), Failure> {
    channel(env, call, name, value).map(|_: Name| ())
}

fn subscribe<'s>(env: Env<'s>, [id, name]: [Value<'s>; 2]) -> Result<'s> {
    let id = socket_id(env, "subscribe", "socketId", id)?;
    let name = channel(env, "subscribe", "channel", name)?;
    let added = id.and_then(|id| thread_cork::with(|broker, cork| broker.subscribe(cork, id, &name)));
    let added = added.transpose().map_err(|error| Failure::limit("subscribe", error))?;
    Ok(env.boolean(added.unwrap_or(false))?)
}

fn unsubscribe<'s>(env: Env<'s>, [id, name]: [Value<'s>; 2]) -> Result<'s> {
    let id = socket_id(env, "unsubscribe", "socketId", id)?;
    let name = channel(env, "unsubscribe", "channel", name)?;
    let removed = id.and_then(|id| thread_cork::with(|broker, cork| broker.unsubscribe(cork, id, &name)));
    Ok(env.boolean(removed.unwrap_or(false))?)
}

fn subscribe_many<'s>(env: Env<'s>, [id, names]: [Value<'s>; 2]) -> Result<'s> {
    let id = socket_id(env, "subscribeMany", "socketId", id)?;
    let names = channels(env, "subscribeMany", names)?;
    let added = id.and_then(|id| thread_cork::with(|broker, cork| broker.subscribe_many(cork, id, &names)));
    let added = added.transpose().map_err(|error| Failure::limit("subscribeMany", error))?;
    Ok(env.count(added.unwrap_or(0))?)
}

fn unsubscribe_many<'s>(env: Env<'s>, [id, names]: [Value<'s>; 2]) -> Result<'s> {
    let id = socket_id(env, "unsubscribeMany", "socketId", id)?;
    let names = channels(env, "unsubscribeMany", names)?;
    let removed = id.and_then(|id| {
        thread_cork::with(|broker, cork| names.iter().filter(|name| broker.unsubscribe(cork, id, name)).count())
    });
    Ok(env.count(removed.unwrap_or(0))?)
}

fn unsubscribe_all<'s>(env: Env<'s>, [id]: [Value<'s>; 1]) -> Result<'s> {
    let id = socket_id(env, "unsubscribeAll", "socketId", id)?;
    let removed = id.and_then(|id| thread_cork::with(|broker, cork| broker.unsubscribe_all(cork, id)));
    Ok(env.count(removed.unwrap_or(0))?)
}

fn copy_subscriptions<'s>(env: Env<'s>, [from, to]: [Value<'s>; 2]) -> Result<'s> {
    let from = channel(env, "copySubscriptions", "from", from)?;
    let to = channel(env, "copySubscriptions", "to", to)?;
    let added = thread_cork::with(|broker, cork| broker.copy_subscriptions(cork, &from, &to));
    added.transpose().map_err(|error| Failure::limit("copySubscriptions", error))?;
    Ok(env.undefined()?)
}

fn set_token<'s>(env: Env<'s>, [id, token]: [Value<'s>; 2]) -> Result<'s> {
    let id = socket_id(env, "setToken", "socketId", id)?;
    let mut bytes = BytesMut::new();
    convert::data(env, "setToken", "token", token, &mut bytes)?;
    if let Some(id) = id {
        // Copied to its size: a token stays for long.
        thread_cork::with(|broker, _| broker.set_token(id, Bytes::copy_from_slice(&bytes)));
    }
    Ok(env.undefined()?)
}

fn get_token<'s>(env: Env<'s>, [id]: [Value<'s>; 1]) -> Result<'s> {
    let id = socket_id(env, "getToken", "socketId", id)?;
    let token = id.and_then(|id| thread_cork::with(|broker, _| broker.token(id)).flatten());
    token_value(env, token)
}

fn token_value(env: Env<'_>, token: Option<wsbroker_core::Token>) -> Result<'_> {
    match token {
        Some(token) => Ok(env.buffer(&token.bytes)?),
        None => Ok(env.undefined()?),
    }
}

fn token_version<'s>(env: Env<'s>, [id]: [Value<'s>; 1]) -> Result<'s> {
    let id = socket_id(env, "tokenVersion", "socketId", id)?;
    let version =
        id.and_then(|id| thread_cork::with(|broker, _| broker.token(id)).flatten()).map_or(0, |token| token.version);
    Ok(env.double(f64::from(version))?)
}

fn close<'s>(env: Env<'s>, [id, code, reason]: [Value<'s>; 3]) -> Result<'s> {
    let id = socket_id(env, "close", "socketId", id)?;
    let (code, reason) = convert::close_reason(env, "close", code, reason)?;
    if let Some(id) = id {
        thread_cork::command(env, |_, cork| cork.close(id, code, &reason));
    }
    Ok(env.undefined()?)
}

fn terminate<'s>(env: Env<'s>, [id]: [Value<'s>; 1]) -> Result<'s> {
    if let Some(id) = socket_id(env, "terminate", "socketId", id)? {
        thread_cork::command(env, |_, cork| cork.terminate(id));
    }
    Ok(env.undefined()?)
}

fn close_channel<'s>(env: Env<'s>, [name, code, reason]: [Value<'s>; 3]) -> Result<'s> {
    let name = channel(env, "closeChannel", "channel", name)?;
    let (code, reason) = convert::close_reason(env, "closeChannel", code, reason)?;
    let count = thread_cork::command(env, |_, cork| cork.close_channel(&name, code, &reason));
    Ok(env.count(count.unwrap_or(0))?)
}

fn is_open<'s>(env: Env<'s>, [id]: [Value<'s>; 1]) -> Result<'s> {
    let id = socket_id(env, "isOpen", "socketId", id)?;
    let open = id.and_then(|id| thread_cork::with(|broker, _| broker.is_open(id)));
    Ok(env.boolean(open.unwrap_or(false))?)
}

fn buffered_amount<'s>(env: Env<'s>, [id]: [Value<'s>; 1]) -> Result<'s> {
    let id = socket_id(env, "bufferedAmount", "socketId", id)?;
    let amount = id.and_then(|id| thread_cork::with(|broker, _| broker.buffered_amount(id)));
    Ok(env.count(amount.unwrap_or(0))?)
}

fn has_subscriptions<'s>(env: Env<'s>, [name]: [Value<'s>; 1]) -> Result<'s> {
    let name = channel(env, "hasSubscriptions", "channel", name)?;
    let has = thread_cork::with(|broker, _| broker.subscriber_count(&name) > 0);
    Ok(env.boolean(has.unwrap_or(false))?)
}

fn subscriber_count<'s>(env: Env<'s>, [name]: [Value<'s>; 1]) -> Result<'s> {
    let name = channel(env, "subscriberCount", "channel", name)?;
    let count = thread_cork::with(|broker, _| broker.subscriber_count(&name));
    Ok(env.count(count.unwrap_or(0))?)
}

fn is_subscribed<'s>(env: Env<'s>, [id, name]: [Value<'s>; 2]) -> Result<'s> {
    let id = socket_id(env, "isSubscribed", "socketId", id)?;
    let name = channel(env, "isSubscribed", "channel", name)?;
    let is = id.and_then(|id| thread_cork::with(|broker, _| broker.is_subscribed(id, &name)));
    Ok(env.boolean(is.unwrap_or(false))?)
}

fn get_subscriptions<'s>(env: Env<'s>, [id]: [Value<'s>; 1]) -> Result<'s> {
    let id = socket_id(env, "getSubscriptions", "socketId", id)?;
    let names = id.and_then(|id| thread_cork::with(|broker, _| broker.subscriptions(id))).unwrap_or_default();
    let names = names.iter().map(|name| match std::str::from_utf8(name) {
        Ok(text) => env.text(text),
        Err(_) => env.buffer(name),
    });
    Ok(env.array(names)?)
}

fn get_subscribers<'s>(env: Env<'s>, [name]: [Value<'s>; 1]) -> Result<'s> {
    let name = channel(env, "getSubscribers", "channel", name)?;
    let ids = thread_cork::with(|broker, _| broker.subscribers(&name)).unwrap_or_default();
    Ok(env.array(ids.iter().map(|id| env.double(id.get() as f64)))?)
}

fn connection_count<'s>(env: Env<'s>, []: [Value<'s>; 0]) -> Result<'s> {
    Ok(env.count(thread_cork::with(|broker, _| broker.connection_count()).unwrap_or(0))?)
}

fn stats<'s>(env: Env<'s>, []: [Value<'s>; 0]) -> Result<'s> {
    Ok(stats_object::value(env)?)
}

/// The second function is needed on Bun, see [`Kept::IsShared`].
fn init<'s>(env: Env<'s>, [schedule, is_shared]: [Value<'s>; 2]) -> Result<'s> {
    env.keep(Kept::ScheduleFlush, function(env, "init", "scheduleFlush", schedule)?)?;
    if !env.is_undefined(is_shared) {
        env.keep(Kept::IsShared, function(env, "init", "isShared", is_shared)?)?;
    }
    thread_cork::schedule_changed();
    Ok(env.undefined()?)
}

fn function<'s>(env: Env<'s>, call: &str, name: &str, value: Value<'s>) -> Result<'s> {
    if env.is_function(value) { Ok(value) } else { Err(Failure::wrong_type(env, call, name, "a function", value)) }
}

fn number(env: Env<'_>, call: &str, name: &str, value: Value<'_>) -> std::result::Result<f64, Failure> {
    env.number(value).ok_or_else(|| Failure::wrong_type(env, call, name, "a number", value))
}

fn flag(env: Env<'_>, call: &str, name: &str, value: Value<'_>) -> std::result::Result<bool, Failure> {
    env.boolean_of(value).ok_or_else(|| Failure::wrong_type(env, call, name, "a boolean", value))
}

/// The last argument, how many events can be in hand at once, is for tests.
fn attach_worker<'s>(env: Env<'s>, [mask, dispatch, again, keep_alive, slots]: [Value<'s>; 5]) -> Result<'s> {
    const CALL: &str = "attachWorker";
    let handlers = Handlers::from_bits(number(env, CALL, "mask", mask)? as u32);
    let dispatch = function(env, CALL, "dispatch", dispatch)?;
    let again = function(env, CALL, "again", again)?;
    let keep_alive = flag(env, CALL, "keepAlive", keep_alive)?;
    let slots = if env.is_undefined(slots) { runner::SLOTS } else { number(env, CALL, "slots", slots)? as usize };
    let slots = slots.clamp(1, 1 << 24);
    let (worker, control) = runner::attach(env, handlers, dispatch, again, keep_alive, slots)?;
    let attached = env.object()?;
    env.set(attached, "workerId", env.count(worker)?)?;
    env.set(attached, "control", control)?;
    Ok(attached)
}

fn detach_worker<'s>(env: Env<'s>, []: [Value<'s>; 0]) -> Result<'s> {
    runner::detach(env);
    Ok(env.undefined()?)
}

fn keep_alive<'s>(env: Env<'s>, [on]: [Value<'s>; 1]) -> Result<'s> {
    runner::keep_alive(env, flag(env, "keepAlive", "on", on)?);
    Ok(env.undefined()?)
}

fn drain<'s>(env: Env<'s>, []: [Value<'s>; 0]) -> Result<'s> {
    runner::drain(env);
    Ok(env.undefined()?)
}

fn settle<'s>(env: Env<'s>, []: [Value<'s>; 0]) -> Result<'s> {
    runner::settle(env);
    Ok(env.undefined()?)
}

fn open_verdict<'s>(env: Env<'s>, [slot, accepted, detail]: [Value<'s>; 3]) -> Result<'s> {
    const CALL: &str = "openVerdict";
    let slot = number(env, CALL, "slot", slot)? as u32;
    // All is read before the reply is taken: after a mistake there can be another verdict.
    let in_time = if flag(env, CALL, "accepted", accepted)? {
        let accept = convert::acceptance(env, detail)?;
        match runner::take_reply(slot).map(|reply| reply.accept(accept)) {
            Some(Err(AcceptError::Channels(error))) => return Err(Failure::limit("handleOpen", error)),
            answered => answered.is_some_and(|answered| answered.is_ok()),
        }
    } else {
        let reject = convert::refusal(env, detail)?;
        runner::take_reply(slot).is_some_and(|reply| reply.reject(reject).is_ok())
    };
    Ok(env.boolean(in_time)?)
}

fn slot_token<'s>(env: Env<'s>, [slot]: [Value<'s>; 1]) -> Result<'s> {
    let slot = number(env, "slotToken", "slot", slot)? as u32;
    token_value(env, runner::with_event(slot, |event, _| event.socket.token()).flatten())
}

/// For when somebody has taken the first copy away.
fn slot_bytes<'s>(env: Env<'s>, [slot]: [Value<'s>; 1]) -> Result<'s> {
    let slot = number(env, "slotBytes", "slot", slot)? as u32;
    let bytes = runner::with_event(slot, |event, data| match &event.kind {
        EventKind::Binary(payload) => Some(Bytes::copy_from_slice(bytes_of(payload, data))),
        _ => None,
    });
    match bytes.flatten() {
        Some(bytes) => Ok(env.buffer(&bytes)?),
        None => Ok(env.undefined()?),
    }
}
