//! What `src/channels` calls for clients that speak `wsbroker.v1`.

use wsbroker_core::{BusAsked, ClientSubscription, NotSubscribed};

use super::history_functions::since_of;
use crate::{
    js::{
        convert::{channel, socket_id},
        export::{JsResult, functions},
        raw::{Env, Value},
    },
    worker::thread_cork,
};

functions! {
    /// Subscribes a client, which is told so ahead of every frame of the channel. `kind` as in
    /// `recoverSocket`. `jsonName`: the name as a JSON string. `revocations`: what they were before
    /// the application was asked. The rates are in bytes of replays a second. `asked`: whether the
    /// channel was followed for it: 0: no, 1: yes, 2: the bus is lost. Returns why the client is
    /// not subscribed, or after how many milliseconds it is worth trying again.
    subscribe_client = "subscribeClient(socketId: number, channel: string, kind: number, offset: number, epoch: string, jsonName: string, maxReplay: number, revocations: number, socketRate: number, addressRate: number, asked: number): 'done' | 'noHistory' | 'subscribed' | 'limit' | 'gone' | 'revoked' | 'notHere' | number";
    /// -1: the socket is gone, or does not speak the subprotocol.
    revocations = "revocations(socketId: number): number";
    /// Takes a client out of a channel. If the application is being asked whether it may subscribe,
    /// it is asked again. True if it was in it.
    revoke_channel = "revokeChannel(socketId: number, channel: string): boolean";
    has_framed_history = "hasFramedHistory(channel: string): boolean";
    is_name_allowed = "isNameAllowed(channel: string): boolean";
    speaks_channels = "speaksChannels(socketId: number): boolean";
}

fn subscribe_client<'s>(
    env: Env<'s>,
    [id, name, kind, offset, epoch, json, max_replay, revocations, socket_rate, address_rate, asked]: [Value<'s>; 11],
) -> JsResult<'s> {
    const CALL: &str = "subscribeClient";
    let id = socket_id(env, CALL, "socketId", id)?;
    let name = channel(env, CALL, "channel", name)?;
    let json = channel(env, CALL, "jsonName", json)?;
    let number = |value: Value<'_>| env.number(value).unwrap_or(0.0) as u64;
    let wanted = ClientSubscription {
        since: since_of(env, kind, offset, epoch),
        max_replay: number(max_replay),
        // What JavaScript makes is UTF-8.
        json_name: std::str::from_utf8(&json).unwrap_or("null"),
        revocations: number(revocations) as u32,
        socket_rate: number(socket_rate),
        address_rate: number(address_rate),
        asked: match number(asked) {
            0 => BusAsked::NotYet,
            1 => BusAsked::Answered,
            _ => BusAsked::Lost,
        },
    };
    let outcome = id.and_then(|id| thread_cork::with(|broker, cork| broker.subscribe_client(cork, id, &name, &wanted)));
    Ok(match outcome.unwrap_or(Err(NotSubscribed::Gone)) {
        Ok(()) => env.text("done")?,
        Err(NotSubscribed::NoHistory) => env.text("noHistory")?,
        Err(NotSubscribed::Subscribed) => env.text("subscribed")?,
        Err(NotSubscribed::Limit) => env.text("limit")?,
        Err(NotSubscribed::Gone) => env.text("gone")?,
        Err(NotSubscribed::NotHere) => env.text("notHere")?,
        Err(NotSubscribed::Revoked) => env.text("revoked")?,
        Err(NotSubscribed::Wait(wait)) => env.double(wait.as_millis() as f64)?,
    })
}

fn revocations<'s>(env: Env<'s>, [id]: [Value<'s>; 1]) -> JsResult<'s> {
    let id = socket_id(env, "revocations", "socketId", id)?;
    let found = id.and_then(|id| thread_cork::with(|broker, _| broker.revocations(id)).flatten());
    Ok(env.double(found.map_or(-1.0, f64::from))?)
}

fn revoke_channel<'s>(env: Env<'s>, [id, name]: [Value<'s>; 2]) -> JsResult<'s> {
    let id = socket_id(env, "revoke", "socketId", id)?;
    let name = channel(env, "revoke", "channel", name)?;
    let revoked = id.and_then(|id| thread_cork::with(|broker, cork| broker.revoke(cork, id, &name)));
    Ok(env.boolean(revoked.unwrap_or(false))?)
}

fn has_framed_history<'s>(env: Env<'s>, [name]: [Value<'s>; 1]) -> JsResult<'s> {
    let name = channel(env, "hasFramedHistory", "channel", name)?;
    Ok(env.boolean(thread_cork::with(|broker, _| broker.has_framed_history(&name)).unwrap_or(false))?)
}

fn is_name_allowed<'s>(env: Env<'s>, [name]: [Value<'s>; 1]) -> JsResult<'s> {
    let name = channel(env, "isNameAllowed", "channel", name)?;
    Ok(env.boolean(thread_cork::with(|broker, _| broker.is_name_allowed(&name)).unwrap_or(false))?)
}

fn speaks_channels<'s>(env: Env<'s>, [id]: [Value<'s>; 1]) -> JsResult<'s> {
    let id = socket_id(env, "sendMessage", "socketId", id)?;
    let speaks = id.and_then(|id| thread_cork::with(|broker, _| broker.speaks_channels(id)));
    Ok(env.boolean(speaks.unwrap_or(false))?)
}
