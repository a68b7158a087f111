//! What a thread calls as a raw worker: to be attached, to run and settle events, and to answer
//! open events.

use std::time::Duration;

use bytes::Bytes;
use wsbroker_core::{AcceptError, EventKind, HandlerKind, Handlers};

use super::messaging::token_value;
use crate::{
    js::{
        convert,
        export::{JsResult, functions},
        js_error::JsError,
        raw::{Env, KeptFunction, Value},
    },
    worker::{inbox::bytes_of, runner, shared_numbers::event_kind, thread_cork},
};

functions! {
    /// Gives a function that has `settle` called at the end of the turn. `isShared` is for Bun: it
    /// says whether its argument is a `SharedArrayBuffer`.
    init = "init(scheduleFlush: () => void, isShared?: (value: unknown) => boolean): void";
    /// Makes this thread a raw worker with the handlers in `mask`; with the bit 32 its connections
    /// are closed when it ends. `again` has `drain` called after
    /// other work of the event loop. `slots`, for tests, is how many events can be unsettled.
    attach_worker = "attachWorker(mask: number, dispatch: Dispatch, again: () => void, keepAlive: boolean, slots?: number): NativeAttached";
    /// Events whose handlers have not been called go to other workers.
    detach_worker = "detachWorker(): void";
    /// Sets whether the worker keeps its thread's event loop alive.
    keep_alive = "keepAlive(on: boolean): void";
    /// Runs what has come.
    drain = "drain(): void";
    /// Settles events whose handlers have settled, and flushes what was sent.
    settle = "settle(): void";
    /// Returns whether the verdict has come in time.
    open_verdict = "openVerdict(slot: number, accepted: boolean, detail?: NativeAccept | NativeReject): boolean";
    /// The handler of an event of this `EventKind` took so long, its promise included.
    handler_ran = "handlerRan(kind: number, milliseconds: number): void";
    /// Copies the token of the socket whose event is in that slot to the beginning of `into`, if
    /// there is room for all of it. Returns its length, or -1 if the socket has no token.
    copy_token = "copyToken(slot: number, into: Uint8Array): number";
    /// The token of the socket whose event is in that slot.
    slot_token = "slotToken(slot: number): Buffer | undefined";
    /// The bytes of the binary message in that slot, once more.
    slot_bytes = "slotBytes(slot: number): Buffer | undefined";
}

/// The bit of a worker's mask behind those of [`Handlers`]: its connections are closed when it
/// ends.
const PINNED: u32 = 32;

fn init<'s>(env: Env<'s>, [schedule, is_shared]: [Value<'s>; 2]) -> JsResult<'s> {
    env.keep(KeptFunction::ScheduleFlush, function(env, "init", "scheduleFlush", schedule)?)?;
    if !env.is_undefined(is_shared) {
        env.keep(KeptFunction::IsShared, function(env, "init", "isShared", is_shared)?)?;
    }
    thread_cork::schedule_changed();
    Ok(env.undefined()?)
}

fn handler_ran<'s>(env: Env<'s>, [kind, milliseconds]: [Value<'s>; 2]) -> JsResult<'s> {
    let kind = match number(env, "handlerRan", "kind", kind)? as i32 {
        event_kind::OPEN => Some(HandlerKind::Open),
        event_kind::TEXT => Some(HandlerKind::Text),
        event_kind::BYTES => Some(HandlerKind::Binary),
        event_kind::CLOSE => Some(HandlerKind::Close),
        event_kind::DRAIN => Some(HandlerKind::Drain),
        event_kind::HELPER_MESSAGE => Some(HandlerKind::HelperMessage),
        _ => None,
    };
    let took = Duration::try_from_secs_f64(number(env, "handlerRan", "milliseconds", milliseconds)? / 1000.0);
    if let (Some(kind), Ok(took)) = (kind, took) {
        thread_cork::with(|_, cork| cork.handler_ran(kind, took));
    }
    Ok(env.undefined()?)
}

fn function<'s>(env: Env<'s>, call: &str, name: &str, value: Value<'s>) -> JsResult<'s> {
    if env.is_function(value) { Ok(value) } else { Err(JsError::wrong_type(env, call, name, "a function", value)) }
}

fn number(env: Env<'_>, call: &str, name: &str, value: Value<'_>) -> std::result::Result<f64, JsError> {
    env.number(value).ok_or_else(|| JsError::wrong_type(env, call, name, "a number", value))
}

fn flag(env: Env<'_>, call: &str, name: &str, value: Value<'_>) -> std::result::Result<bool, JsError> {
    env.boolean_of(value).ok_or_else(|| JsError::wrong_type(env, call, name, "a boolean", value))
}

fn attach_worker<'s>(env: Env<'s>, [mask, dispatch, again, keep_alive, slots]: [Value<'s>; 5]) -> JsResult<'s> {
    const CALL: &str = "attachWorker";
    let mask = number(env, CALL, "mask", mask)? as u32;
    let handlers = Handlers::from_bits(mask);
    let pinned = mask & PINNED != 0;
    let dispatch = function(env, CALL, "dispatch", dispatch)?;
    let again = function(env, CALL, "again", again)?;
    let keep_alive = flag(env, CALL, "keepAlive", keep_alive)?;
    let slots = if env.is_undefined(slots) { runner::SLOTS } else { number(env, CALL, "slots", slots)? as usize };
    let slots = slots.clamp(1, 1 << 24);
    let (worker, control) = runner::attach(env, handlers, pinned, dispatch, again, keep_alive, slots)?;
    let attached = env.object()?;
    env.set(attached, "workerId", env.count(worker)?)?;
    env.set(attached, "control", control)?;
    Ok(attached)
}

fn detach_worker<'s>(env: Env<'s>, []: [Value<'s>; 0]) -> JsResult<'s> {
    runner::detach(env);
    Ok(env.undefined()?)
}

fn keep_alive<'s>(env: Env<'s>, [on]: [Value<'s>; 1]) -> JsResult<'s> {
    runner::keep_alive(env, flag(env, "keepAlive", "on", on)?);
    Ok(env.undefined()?)
}

fn drain<'s>(env: Env<'s>, []: [Value<'s>; 0]) -> JsResult<'s> {
    runner::drain(env);
    Ok(env.undefined()?)
}

fn settle<'s>(env: Env<'s>, []: [Value<'s>; 0]) -> JsResult<'s> {
    runner::settle(env);
    Ok(env.undefined()?)
}

fn open_verdict<'s>(env: Env<'s>, [slot, accepted, detail]: [Value<'s>; 3]) -> JsResult<'s> {
    const CALL: &str = "openVerdict";
    let slot = number(env, CALL, "slot", slot)? as u32;
    // All arguments are read before the reply is taken: after a mistake there can be another
    // verdict.
    let in_time = if flag(env, CALL, "accepted", accepted)? {
        let accept = convert::acceptance(env, detail)?;
        match runner::take_reply(slot).map(|reply| reply.accept(accept)) {
            Some(Err(AcceptError::Channels(error))) => return Err(JsError::limit("handleOpen", error)),
            answered => answered.is_some_and(|answered| answered.is_ok()),
        }
    } else {
        let reject = convert::rejection(env, detail)?;
        runner::take_reply(slot).is_some_and(|reply| reply.reject(reject).is_ok())
    };
    Ok(env.boolean(in_time)?)
}

fn copy_token<'s>(env: Env<'s>, [slot, into]: [Value<'s>; 2]) -> JsResult<'s> {
    let slot = number(env, "copyToken", "slot", slot)? as u32;
    let Some(token) = runner::with_event(slot, |event, _| event.socket.token()).flatten() else {
        return Ok(env.int(-1)?);
    };
    if !env.copy_to_bytes(into, &token.bytes) {
        return Err(JsError::wrong_type(env, "copyToken", "into", "a Uint8Array", into));
    }
    Ok(env.count(token.bytes.len())?)
}

fn slot_token<'s>(env: Env<'s>, [slot]: [Value<'s>; 1]) -> JsResult<'s> {
    let slot = number(env, "slotToken", "slot", slot)? as u32;
    token_value(env, runner::with_event(slot, |event, _| event.socket.token()).flatten())
}

/// For a dispatcher that finds that the first copy was transferred away.
fn slot_bytes<'s>(env: Env<'s>, [slot]: [Value<'s>; 1]) -> JsResult<'s> {
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
