//! What a helper calls for every message and every client.
//!
//! The first argument of all functions but `flushSends` is the helper's number. Clients, rooms and
//! users are strings. If this thread has no helper of that number, it has been shut down: nothing
//! happens.

use wsbroker_core::{Audience, Compress, Cork, Helper, SendOutcome, SocketId};

use crate::{
    helper::instance,
    js::{
        convert::{self, channel, socket_id, stage},
        export::{JsResult, functions},
        js_error::JsError,
        name_buffer::NameBuffer,
        raw::{Env, Value},
    },
    worker::{
        runner::{self, HelperFunctions},
        shared_numbers::audience_kind,
        thread_cork,
    },
};

functions! {
    /// Makes this thread a worker of the helper. Returns its control block.
    attach = "attachHelper(helper: number, dispatch: Dispatch, again: () => void, receive: Receive): ArrayBuffer";
    /// Runs what has come for the helper.
    drain = "drainHelper(helper: number): void";
    /// Sets whether the helper keeps its thread's event loop alive.
    keep_alive = "keepHelperAlive(helper: number, on: boolean): void";
    /// Sends to the shards what this thread has sent.
    flush = "flushSends(): void";
    /// Sets whether the helper gets connections.
    accept = "helperAccept(helper: number, accepts: boolean): void";
    /// Returns the bytes of the payload, -1 if the socket is now over its limit, or 0 if the
    /// message was dropped.
    send = "helperSend(helper: number, socketId: number, data: Data, compress?: boolean): number";
    close = "helperClose(helper: number, socketId: number, code?: number, reason?: string): void";
    /// Returns whether it was not subscribed before.
    subscribe = "helperSubscribe(helper: number, socketId: number, topic: string): boolean";
    /// Returns whether it was subscribed before.
    unsubscribe = "helperUnsubscribe(helper: number, socketId: number, topic: string): boolean";
    is_subscribed = "helperIsSubscribed(helper: number, socketId: number, topic: string): boolean";
    /// `socketId` is 0 for a socket that the application has made. False: another helper has a
    /// client of that id.
    add_client = "helperAddClient(helper: number, clientId: string, socketId: number): boolean";
    /// What is published to everybody reaches the client from now on, and it may send messages of
    /// up to `maxPayload`.
    finish_client = "helperFinishClient(helper: number, clientId: string): void";
    /// Publishes to the client go through its helper from now on. Returns since which epoch, or 0
    /// if they did before or it is not a client of this helper.
    hold_client = "helperHoldClient(helper: number, clientId: string): number";
    remove_client = "helperRemoveClient(helper: number, clientId: string): void";
    /// Adds a client to a room or a user, an `AudienceKind`.
    add_member = "helperAddMember(helper: number, clientId: string, kind: number, name: string): void";
    remove_member = "helperRemoveMember(helper: number, clientId: string, kind: number, name: string): void";
    /// Whether another helper of the instance has the client.
    is_elsewhere = "helperIsElsewhere(helper: number, clientId: string): boolean";
    /// Counts the instance's clients.
    client_count = "helperClientCount(helper: number): number";
    /// Counts the instance's clients in a room.
    room_count = "helperRoomCount(helper: number, room: string): number";
    /// Returns how many helpers could not be asked to send it to their clients.
    publish = "helperPublish(helper: number, kind: number, name: string, frame: string, exclude?: readonly string[]): number";
    /// Sends to a client of another helper. Returns what `helperSend` does.
    send_elsewhere = "helperSendElsewhere(helper: number, clientId: string, frame: string): number";
    /// Asks the helper of a client to have it join or leave a room. False: it cannot be asked.
    ask_member = "helperAskMember(helper: number, clientId: string, room: string, join: boolean): boolean";
    /// Whether this helper takes the messages from Redis: the first that asks does, until it
    /// leaves.
    claim_input = "helperClaimInput(helper: number): boolean";
    /// Sets whether the input from Redis is ready. Returns whether that is a change.
    set_input = "helperSetInput(helper: number, ready: boolean): boolean";
    input_is_ready = "helperInputIsReady(helper: number): boolean";
    /// Counts messages to its clients that were dropped on their way. `again`: `Receive` is called
    /// for the next one.
    dropped = "helperDropped(helper: number, again: boolean): number";
    /// The id and the user of a client whose helper has ended without reporting it. Each is
    /// returned once.
    take_left = "helperTakeLeftClient(helper: number): [clientId: string, userId?: string] | undefined";
}

fn number(env: Env<'_>, value: Value<'_>) -> usize {
    // 0 is not the number of any helper.
    env.number(value).map_or(0, |number| number as usize)
}

fn flag(env: Env<'_>, value: Value<'_>) -> bool {
    env.boolean_of(value).unwrap_or(false)
}

fn name(env: Env<'_>, call: &str, value: Value<'_>) -> std::result::Result<NameBuffer, JsError> {
    channel(env, call, "name", value)
}

/// Runs `body` with the helper and this thread's cork.
fn with<R>(helper: usize, body: impl FnOnce(&Helper, &mut Cork) -> R) -> Option<R> {
    runner::with_helper(helper, |helper| thread_cork::with(|_, cork| body(helper, cork))).flatten()
}

/// Like [`with`], where something is left in the cork: asks for a flush.
fn command<R>(env: Env<'_>, helper: usize, body: impl FnOnce(&Helper, &mut Cork) -> R) -> Option<R> {
    // A clone, since asking for a flush may run JavaScript.
    let helper = runner::helper(helper)?;
    thread_cork::command(env, |_, cork| body(&helper, cork))
}

fn attach<'s>(env: Env<'s>, [helper, dispatch, again, receive]: [Value<'s>; 4]) -> JsResult<'s> {
    for (name, value) in [("dispatch", dispatch), ("again", again), ("receive", receive)] {
        if !env.is_function(value) {
            return Err(JsError::wrong_type(env, "attachHelper", name, "a function", value));
        }
    }
    instance::attach(env, number(env, helper), HelperFunctions { dispatch, again, receive })
}

fn drain<'s>(env: Env<'s>, [helper]: [Value<'s>; 1]) -> JsResult<'s> {
    runner::drain_helper(env, number(env, helper));
    Ok(env.undefined()?)
}

fn keep_alive<'s>(env: Env<'s>, [helper, on]: [Value<'s>; 2]) -> JsResult<'s> {
    runner::keep_helper_alive(env, number(env, helper), flag(env, on));
    Ok(env.undefined()?)
}

fn flush<'s>(env: Env<'s>, []: [Value<'s>; 0]) -> JsResult<'s> {
    thread_cork::flush();
    Ok(env.undefined()?)
}

fn accept<'s>(env: Env<'s>, [helper, accepts]: [Value<'s>; 2]) -> JsResult<'s> {
    let accepts = flag(env, accepts);
    runner::with_helper(number(env, helper), |helper| helper.accept(accepts));
    Ok(env.undefined()?)
}

/// Stages `data` and has `body` send it. Returns the bytes of its payload, -1 if the socket is now
/// over its limit, or 0 if the message was dropped.
fn sending<'s>(
    env: Env<'s>,
    call: &str,
    helper: Value<'s>,
    data: Value<'s>,
    compress: Compress,
    body: impl FnOnce(&Helper, &mut Cork, wsbroker_core::Staged) -> SendOutcome,
) -> JsResult<'s> {
    let sent = command(env, number(env, helper), |helper, cork| {
        stage(env, cork, call, "data", data).map(|staged| {
            let length = cork.payload(&staged).len();
            (length, body(helper, cork, staged.compress(compress)))
        })
    });
    Ok(match sent.transpose()? {
        Some((length, SendOutcome::Queued)) => env.count(length)?,
        Some((_, SendOutcome::OverLimit)) => env.int(-1)?,
        Some((_, SendOutcome::Dropped)) | None => env.int(0)?,
    })
}

fn send<'s>(env: Env<'s>, [helper, id, data, compress]: [Value<'s>; 4]) -> JsResult<'s> {
    const CALL: &str = "send";
    let compress = match env.boolean_of(compress) {
        Some(true) => Compress::Always,
        Some(false) => Compress::Never,
        None => Compress::Auto,
    };
    let Some(id) = socket_id(env, CALL, "socketId", id)? else { return Ok(env.int(0)?) };
    sending(env, CALL, helper, data, compress, |helper, cork, staged| helper.send(cork, id, staged))
}

fn close<'s>(env: Env<'s>, [helper, id, code, reason]: [Value<'s>; 4]) -> JsResult<'s> {
    let (code, reason) = convert::close_reason(env, "close", code, reason)?;
    if let Some(id) = socket_id(env, "close", "socketId", id)? {
        command(env, number(env, helper), |helper, cork| helper.close(cork, id, code, &reason));
    }
    Ok(env.undefined()?)
}

fn subscribe<'s>(env: Env<'s>, arguments: [Value<'s>; 3]) -> JsResult<'s> {
    subscription(env, "subscribe", arguments, |helper, cork, id, topic| helper.subscribe(cork, id, topic))
}

fn unsubscribe<'s>(env: Env<'s>, arguments: [Value<'s>; 3]) -> JsResult<'s> {
    subscription(env, "unsubscribe", arguments, |helper, cork, id, topic| helper.unsubscribe(cork, id, topic))
}

fn is_subscribed<'s>(env: Env<'s>, arguments: [Value<'s>; 3]) -> JsResult<'s> {
    subscription(env, "isSubscribed", arguments, |helper, _, id, topic| helper.is_subscribed(id, topic))
}

fn subscription<'s>(
    env: Env<'s>,
    call: &str,
    [helper, id, topic]: [Value<'s>; 3],
    body: impl FnOnce(&Helper, &mut Cork, SocketId, &[u8]) -> bool,
) -> JsResult<'s> {
    let topic = channel(env, call, "topic", topic)?;
    let done = match socket_id(env, call, "socketId", id)? {
        Some(id) => with(number(env, helper), |helper, cork| body(helper, cork, id, &topic)),
        None => None,
    };
    Ok(env.boolean(done.unwrap_or(false))?)
}

fn add_client<'s>(env: Env<'s>, [helper, client, id]: [Value<'s>; 3]) -> JsResult<'s> {
    let client = name(env, "addClient", client)?;
    let id = socket_id(env, "addClient", "socketId", id)?;
    let added = runner::with_helper(number(env, helper), |helper| helper.add_client(&client, id));
    Ok(env.boolean(added.unwrap_or(false))?)
}

fn finish_client<'s>(env: Env<'s>, [helper, client]: [Value<'s>; 2]) -> JsResult<'s> {
    let client = name(env, "finishClient", client)?;
    command(env, number(env, helper), |helper, cork| helper.finish_client(cork, &client));
    Ok(env.undefined()?)
}

fn hold_client<'s>(env: Env<'s>, [helper, client]: [Value<'s>; 2]) -> JsResult<'s> {
    let client = name(env, "holdClient", client)?;
    let since = with(number(env, helper), |helper, cork| helper.hold_client(cork, &client)).flatten();
    Ok(env.double(since.unwrap_or(0) as f64)?)
}

fn remove_client<'s>(env: Env<'s>, [helper, client]: [Value<'s>; 2]) -> JsResult<'s> {
    let client = name(env, "removeClient", client)?;
    with(number(env, helper), |helper, cork| helper.remove_client(cork, &client));
    Ok(env.undefined()?)
}

/// The audience of an `audience_kind` and a name.
fn audience<'a>(env: Env<'_>, kind: Value<'_>, name: &'a [u8]) -> Audience<'a> {
    match i32::try_from(number(env, kind)) {
        Ok(audience_kind::ROOM) => Audience::Room(name),
        Ok(audience_kind::USER) => Audience::User(name),
        _ => Audience::Everybody,
    }
}

fn add_member<'s>(env: Env<'s>, arguments: [Value<'s>; 4]) -> JsResult<'s> {
    member(env, arguments, |helper, cork, client, audience| helper.add_member(cork, client, audience))
}

fn remove_member<'s>(env: Env<'s>, arguments: [Value<'s>; 4]) -> JsResult<'s> {
    member(env, arguments, |helper, cork, client, audience| helper.remove_member(cork, client, audience))
}

fn member<'s>(
    env: Env<'s>,
    [helper, client, kind, of]: [Value<'s>; 4],
    body: impl FnOnce(&Helper, &mut Cork, &[u8], Audience<'_>),
) -> JsResult<'s> {
    let (client, of) = (name(env, "member", client)?, name(env, "member", of)?);
    with(number(env, helper), |helper, cork| body(helper, cork, &client, audience(env, kind, &of)));
    Ok(env.undefined()?)
}

fn is_elsewhere<'s>(env: Env<'s>, [helper, client]: [Value<'s>; 2]) -> JsResult<'s> {
    let client = name(env, "isElsewhere", client)?;
    let is = runner::with_helper(number(env, helper), |helper| helper.is_elsewhere(&client));
    Ok(env.boolean(is.unwrap_or(false))?)
}

fn client_count<'s>(env: Env<'s>, [helper]: [Value<'s>; 1]) -> JsResult<'s> {
    let count = runner::with_helper(number(env, helper), |helper| helper.namespace().client_count());
    Ok(env.count(count.unwrap_or(0))?)
}

fn room_count<'s>(env: Env<'s>, [helper, room]: [Value<'s>; 2]) -> JsResult<'s> {
    let room = name(env, "roomCount", room)?;
    let count = runner::with_helper(number(env, helper), |helper| helper.namespace().room_count(&room));
    Ok(env.count(count.unwrap_or(0))?)
}

fn publish<'s>(env: Env<'s>, [helper, kind, of, frame, exclude]: [Value<'s>; 5]) -> JsResult<'s> {
    const CALL: &str = "publish";
    let of = name(env, CALL, of)?;
    let mut excluded = Vec::new();
    if !env.is_undefined(exclude) {
        env.each_element(exclude, |env, _, one| {
            // What is not a string excludes no client.
            excluded.extend(name(env, CALL, one).ok());
            Ok::<_, JsError>(())
        })?;
    }
    let audience = audience(env, kind, &of);
    let refused = command(env, number(env, helper), |helper, cork| {
        let ids: Vec<&[u8]> = excluded.iter().map(|id| &**id).collect();
        stage(env, cork, CALL, "frame", frame).map(|staged| helper.publish(cork, audience, staged, &ids))
    });
    Ok(env.count(refused.transpose()?.unwrap_or(0))?)
}

fn send_elsewhere<'s>(env: Env<'s>, [helper, client, frame]: [Value<'s>; 3]) -> JsResult<'s> {
    let client = name(env, "sendElsewhere", client)?;
    sending(env, "sendElsewhere", helper, frame, Compress::Auto, |helper, cork, staged| {
        helper.namespace().send(cork, &client, staged)
    })
}

fn ask_member<'s>(env: Env<'s>, [helper, client, room, join]: [Value<'s>; 4]) -> JsResult<'s> {
    let (client, room, join) = (name(env, "ask", client)?, name(env, "ask", room)?, flag(env, join));
    let asked = runner::with_helper(number(env, helper), |helper| helper.ask_member(&client, &room, join));
    Ok(env.boolean(asked.unwrap_or(false))?)
}

fn claim_input<'s>(env: Env<'s>, [helper]: [Value<'s>; 1]) -> JsResult<'s> {
    let claimed = runner::with_helper(number(env, helper), Helper::claim_input);
    Ok(env.boolean(claimed.unwrap_or(false))?)
}

fn set_input<'s>(env: Env<'s>, [helper, ready]: [Value<'s>; 2]) -> JsResult<'s> {
    let ready = flag(env, ready);
    let changed = runner::with_helper(number(env, helper), |helper| helper.set_input(ready));
    Ok(env.boolean(changed.unwrap_or(false))?)
}

fn dropped<'s>(env: Env<'s>, [helper, again]: [Value<'s>; 2]) -> JsResult<'s> {
    let again = flag(env, again);
    let dropped = runner::with_helper(number(env, helper), |helper| helper.dropped(again));
    Ok(env.double(dropped.unwrap_or(0) as f64)?)
}

fn take_left<'s>(env: Env<'s>, [helper]: [Value<'s>; 1]) -> JsResult<'s> {
    let left = runner::with_helper(number(env, helper), Helper::take_left_client).flatten();
    let Some(left) = left else { return Ok(env.undefined()?) };
    let mut names = vec![&*left.client];
    names.extend(left.user.as_deref());
    Ok(env.array(names.into_iter().map(|name| env.text(&String::from_utf8_lossy(name))))?)
}

fn input_is_ready<'s>(env: Env<'s>, [helper]: [Value<'s>; 1]) -> JsResult<'s> {
    let ready = runner::with_helper(number(env, helper), |helper| helper.namespace().input_is_ready());
    Ok(env.boolean(ready.unwrap_or(false))?)
}
