//! What JavaScript calls to send, to subscribe and to ask about sockets and channels.
//!
//! Names and meanings are public: `src/api` exports most of these functions as they are.
//! Wrong types throw. A socket that is gone, or a process without a broker, never does.

use bytes::{Bytes, BytesMut};
use wsbroker_core::{Compress, Cork, SendOutcome, Token};
use wsbroker_metrics::Format;

use crate::{
    api::{metrics_text, stats_object},
    js::{
        convert::{self, channel, channels, socket_id, stage},
        export::{JsResult, functions},
        js_error::JsError,
        raw::{Env, Value},
    },
    worker::thread_cork,
};

functions! {
    send(given) = "send(socketId: number, data: Data, options?: Pick<SendOptions, 'compress'>): SendResult";
    send_to_channel(given) = "sendToChannel(channel: Data, data: Data, options?: SendOptions): number";
    send_to_all(given) = "sendToAll(data: Data, options?: SendOptions): number";
    subscribe = "subscribe(socketId: number, channel: Data): boolean";
    unsubscribe = "unsubscribe(socketId: number, channel: Data): boolean";
    subscribe_many = "subscribeMany(socketId: number, channels: readonly Data[]): number";
    unsubscribe_many = "unsubscribeMany(socketId: number, channels: readonly Data[]): number";
    unsubscribe_all = "unsubscribeAll(socketId: number): number";
    copy_subscriptions = "copySubscriptions(from: Data, to: Data): void";
    set_token = "setToken(socketId: number, token: Data): void";
    get_token = "getToken(socketId: number): Buffer | undefined";
    /// 0: the socket has no token, or is gone.
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
    /// The numbers as text: OpenMetrics, or else Prometheus' own format.
    metrics = "metrics(openMetrics: boolean): string";
}

fn send<'s>(env: Env<'s>, [id, data, options]: [Value<'s>; 3], given: usize) -> JsResult<'s> {
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

fn send_to_channel<'s>(env: Env<'s>, [name, data, options]: [Value<'s>; 3], given: usize) -> JsResult<'s> {
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

fn send_to_all<'s>(env: Env<'s>, [data, options]: [Value<'s>; 2], given: usize) -> JsResult<'s> {
    const CALL: &str = "sendToAll";
    // First, since it may run JavaScript that sends.
    let options = if given > 1 { convert::publish_options(env, CALL, options)? } else { Default::default() };
    let count = thread_cork::command(env, |_, cork| {
        stage(env, cork, CALL, "data", data)
            .map(|staged| cork.send_to_all(staged.compress(options.compress), &options.exclude))
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

/// Checks the argument where there is nothing to send to: a mistake is one all the same.
fn must_be_data(env: Env<'_>, call: &str, name: &str, value: Value<'_>) -> std::result::Result<(), JsError> {
    channel(env, call, name, value).map(drop)
}

fn subscribe<'s>(env: Env<'s>, [id, name]: [Value<'s>; 2]) -> JsResult<'s> {
    let id = socket_id(env, "subscribe", "socketId", id)?;
    let name = channel(env, "subscribe", "channel", name)?;
    let added = id.and_then(|id| thread_cork::with(|broker, cork| broker.subscribe(cork, id, &name)));
    let added = added.transpose().map_err(|error| JsError::limit("subscribe", error))?;
    Ok(env.boolean(added.unwrap_or(false))?)
}

fn unsubscribe<'s>(env: Env<'s>, [id, name]: [Value<'s>; 2]) -> JsResult<'s> {
    let id = socket_id(env, "unsubscribe", "socketId", id)?;
    let name = channel(env, "unsubscribe", "channel", name)?;
    let removed = id.and_then(|id| thread_cork::with(|broker, cork| broker.unsubscribe(cork, id, &name)));
    Ok(env.boolean(removed.unwrap_or(false))?)
}

fn subscribe_many<'s>(env: Env<'s>, [id, names]: [Value<'s>; 2]) -> JsResult<'s> {
    let id = socket_id(env, "subscribeMany", "socketId", id)?;
    let names = channels(env, "subscribeMany", names)?;
    let added = id.and_then(|id| thread_cork::with(|broker, cork| broker.subscribe_many(cork, id, &names)));
    let added = added.transpose().map_err(|error| JsError::limit("subscribeMany", error))?;
    Ok(env.count(added.unwrap_or(0))?)
}

fn unsubscribe_many<'s>(env: Env<'s>, [id, names]: [Value<'s>; 2]) -> JsResult<'s> {
    let id = socket_id(env, "unsubscribeMany", "socketId", id)?;
    let names = channels(env, "unsubscribeMany", names)?;
    let removed = id.and_then(|id| {
        thread_cork::with(|broker, cork| names.iter().filter(|name| broker.unsubscribe(cork, id, name)).count())
    });
    Ok(env.count(removed.unwrap_or(0))?)
}

fn unsubscribe_all<'s>(env: Env<'s>, [id]: [Value<'s>; 1]) -> JsResult<'s> {
    let id = socket_id(env, "unsubscribeAll", "socketId", id)?;
    let removed = id.and_then(|id| thread_cork::with(|broker, cork| broker.unsubscribe_all(cork, id)));
    Ok(env.count(removed.unwrap_or(0))?)
}

fn copy_subscriptions<'s>(env: Env<'s>, [from, to]: [Value<'s>; 2]) -> JsResult<'s> {
    let from = channel(env, "copySubscriptions", "from", from)?;
    let to = channel(env, "copySubscriptions", "to", to)?;
    let added = thread_cork::with(|broker, cork| broker.copy_subscriptions(cork, &from, &to));
    added.transpose().map_err(|error| JsError::limit("copySubscriptions", error))?;
    Ok(env.undefined()?)
}

fn set_token<'s>(env: Env<'s>, [id, token]: [Value<'s>; 2]) -> JsResult<'s> {
    let id = socket_id(env, "setToken", "socketId", id)?;
    let mut bytes = BytesMut::new();
    convert::data(env, "setToken", "token", token, &mut bytes)?;
    if let Some(id) = id {
        // In a buffer of its size, since a token stays for long.
        thread_cork::with(|broker, _| broker.set_token(id, Bytes::copy_from_slice(&bytes)));
    }
    Ok(env.undefined()?)
}

fn get_token<'s>(env: Env<'s>, [id]: [Value<'s>; 1]) -> JsResult<'s> {
    let id = socket_id(env, "getToken", "socketId", id)?;
    let token = id.and_then(|id| thread_cork::with(|broker, _| broker.token(id)).flatten());
    token_value(env, token)
}

pub(super) fn token_value(env: Env<'_>, token: Option<Token>) -> JsResult<'_> {
    match token {
        Some(token) => Ok(env.buffer(&token.bytes)?),
        None => Ok(env.undefined()?),
    }
}

fn token_version<'s>(env: Env<'s>, [id]: [Value<'s>; 1]) -> JsResult<'s> {
    let id = socket_id(env, "tokenVersion", "socketId", id)?;
    let version =
        id.and_then(|id| thread_cork::with(|broker, _| broker.token(id)).flatten()).map_or(0, |token| token.version);
    Ok(env.double(f64::from(version))?)
}

fn close<'s>(env: Env<'s>, [id, code, reason]: [Value<'s>; 3]) -> JsResult<'s> {
    let id = socket_id(env, "close", "socketId", id)?;
    let (code, reason) = convert::close_reason(env, "close", code, reason)?;
    if let Some(id) = id {
        thread_cork::command(env, |_, cork| cork.close(id, code, &reason));
    }
    Ok(env.undefined()?)
}

fn terminate<'s>(env: Env<'s>, [id]: [Value<'s>; 1]) -> JsResult<'s> {
    if let Some(id) = socket_id(env, "terminate", "socketId", id)? {
        thread_cork::command(env, |_, cork| cork.terminate(id));
    }
    Ok(env.undefined()?)
}

fn close_channel<'s>(env: Env<'s>, [name, code, reason]: [Value<'s>; 3]) -> JsResult<'s> {
    let name = channel(env, "closeChannel", "channel", name)?;
    let (code, reason) = convert::close_reason(env, "closeChannel", code, reason)?;
    let count = thread_cork::command(env, |_, cork| cork.close_channel(&name, code, &reason));
    Ok(env.count(count.unwrap_or(0))?)
}

fn is_open<'s>(env: Env<'s>, [id]: [Value<'s>; 1]) -> JsResult<'s> {
    let id = socket_id(env, "isOpen", "socketId", id)?;
    let open = id.and_then(|id| thread_cork::with(|broker, _| broker.is_open(id)));
    Ok(env.boolean(open.unwrap_or(false))?)
}

fn buffered_amount<'s>(env: Env<'s>, [id]: [Value<'s>; 1]) -> JsResult<'s> {
    let id = socket_id(env, "bufferedAmount", "socketId", id)?;
    let amount = id.and_then(|id| thread_cork::with(|broker, _| broker.buffered_amount(id)));
    Ok(env.count(amount.unwrap_or(0))?)
}

fn has_subscriptions<'s>(env: Env<'s>, [name]: [Value<'s>; 1]) -> JsResult<'s> {
    let name = channel(env, "hasSubscriptions", "channel", name)?;
    let has = thread_cork::with(|broker, _| broker.subscriber_count(&name) > 0);
    Ok(env.boolean(has.unwrap_or(false))?)
}

fn subscriber_count<'s>(env: Env<'s>, [name]: [Value<'s>; 1]) -> JsResult<'s> {
    let name = channel(env, "subscriberCount", "channel", name)?;
    let count = thread_cork::with(|broker, _| broker.subscriber_count(&name));
    Ok(env.count(count.unwrap_or(0))?)
}

fn is_subscribed<'s>(env: Env<'s>, [id, name]: [Value<'s>; 2]) -> JsResult<'s> {
    let id = socket_id(env, "isSubscribed", "socketId", id)?;
    let name = channel(env, "isSubscribed", "channel", name)?;
    let is = id.and_then(|id| thread_cork::with(|broker, _| broker.is_subscribed(id, &name)));
    Ok(env.boolean(is.unwrap_or(false))?)
}

fn get_subscriptions<'s>(env: Env<'s>, [id]: [Value<'s>; 1]) -> JsResult<'s> {
    let id = socket_id(env, "getSubscriptions", "socketId", id)?;
    let names = id.and_then(|id| thread_cork::with(|broker, _| broker.subscriptions(id))).unwrap_or_default();
    let names = names.iter().map(|name| match std::str::from_utf8(name) {
        Ok(text) => env.text(text),
        Err(_) => env.buffer(name),
    });
    Ok(env.array(names)?)
}

fn get_subscribers<'s>(env: Env<'s>, [name]: [Value<'s>; 1]) -> JsResult<'s> {
    let name = channel(env, "getSubscribers", "channel", name)?;
    let ids = thread_cork::with(|broker, _| broker.subscribers(&name)).unwrap_or_default();
    Ok(env.array(ids.iter().map(|id| env.double(id.get() as f64)))?)
}

fn connection_count<'s>(env: Env<'s>, []: [Value<'s>; 0]) -> JsResult<'s> {
    Ok(env.count(thread_cork::with(|broker, _| broker.connection_count()).unwrap_or(0))?)
}

fn metrics<'s>(env: Env<'s>, [open]: [Value<'s>; 1]) -> JsResult<'s> {
    let format = if env.boolean_of(open) == Some(true) { Format::OpenMetrics } else { Format::Prometheus };
    Ok(env.text(&metrics_text::current(format))?)
}

fn stats<'s>(env: Env<'s>, []: [Value<'s>; 0]) -> JsResult<'s> {
    Ok(stats_object::value(env)?)
}
