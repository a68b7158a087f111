//! Arguments and results of the exported functions: JavaScript values to core types and back.

use bytes::{Bytes, BytesMut};
use wsbroker_core::{Accept, CloseCode, Compress, Cork, MessageKind, OpenRequest, Reject, SocketId, Staged};

use crate::js::{
    js_error::JsError,
    name_buffer::NameBuffer,
    raw::{Env, Failed, NotAppended, Value},
};

/// A socket's id. `None`: no socket has or will have this number, so that it counts as gone.
///
/// # Errors
/// It is not a number.
pub(crate) fn socket_id(env: Env<'_>, call: &str, name: &str, value: Value<'_>) -> Result<Option<SocketId>, JsError> {
    let number = env.number(value).ok_or_else(|| JsError::wrong_type(env, call, name, "a number", value))?;
    Ok(exact_id(number))
}

fn exact_id(number: f64) -> Option<SocketId> {
    // A cast saturates and makes NaN 0, so what is not an integer differs when it is cast back.
    // Signed, because processors convert that in one step.
    let integer = number as i64;
    if integer as f64 == number { u64::try_from(integer).ok().and_then(SocketId::new) } else { None }
}

/// Appends the bytes of a `Data` argument, text as UTF-8.
///
/// # Errors
/// It is not `Data`.
pub(crate) fn data(env: Env<'_>, call: &str, name: &str, value: Value<'_>, into: &mut BytesMut) -> Result<(), JsError> {
    env.append_data(value, into).map_err(|error| JsError::no_data(env, call, name, error, value))
}

/// A channel's name.
///
/// # Errors
/// It is not `Data`.
pub(crate) fn channel(env: Env<'_>, call: &str, name: &str, value: Value<'_>) -> Result<NameBuffer, JsError> {
    let mut channel = NameBuffer::new();
    data(env, call, name, value, channel.buffer())?;
    Ok(channel)
}

/// Stages a `Data` argument: a string as text, bytes as binary.
///
/// # Errors
/// It is not `Data`. Then nothing is staged.
#[inline]
pub(crate) fn stage(
    env: Env<'_>,
    cork: &mut Cork,
    call: &str,
    name: &str,
    value: Value<'_>,
) -> Result<Staged, JsError> {
    match cork.stage(MessageKind::Text, |arena| env.fit_text(value, arena)) {
        Ok(staged) => Ok(staged),
        Err(error) => {
            stage_other(env, cork, value, error).map_err(|error| JsError::no_data(env, call, name, error, value))
        }
    }
}

/// Stages what the first attempt has found not to be a short string.
#[inline(never)]
fn stage_other(env: Env<'_>, cork: &mut Cork, value: Value<'_>, error: NotAppended) -> Result<Staged, NotAppended> {
    let bytes = |arena: &mut BytesMut| env.fit_bytes(value, arena);
    match error {
        NotAppended::NeedsRoom(length) => {
            cork.make_room(length);
            cork.stage(MessageKind::Text, |arena| env.fit_text(value, arena))
        }
        NotAppended::WrongType => match cork.stage(MessageKind::Binary, bytes) {
            Err(NotAppended::NeedsRoom(length)) => {
                cork.make_room(length);
                cork.stage(MessageKind::Binary, bytes)
            }
            done => done,
        },
        NotAppended::Detached => Err(error),
    }
}

/// `code` and `reason` of a close. By default 1000 and no reason.
///
/// # Errors
/// One is of the wrong type; a close frame may not have the code; the reason has over 123 bytes.
pub(crate) fn close_reason(
    env: Env<'_>,
    call: &str,
    code: Value<'_>,
    reason: Value<'_>,
) -> Result<(CloseCode, String), JsError> {
    let code = if env.is_undefined(code) {
        CloseCode::NORMAL
    } else {
        let number = env.number(code).ok_or_else(|| JsError::wrong_type(env, call, "code", "a number", code))?;
        let exact = (number as u16 as f64 == number).then_some(number as u16);
        exact.and_then(CloseCode::new).ok_or_else(|| {
            JsError::wrong_value(
                call,
                "code",
                "a close code that may be sent (1000 to 1003, 1007 to 1014, 3000 to 4999)",
                number,
            )
        })?
    };
    let mut text = BytesMut::new();
    if !env.is_undefined(reason) {
        if env.append_text(reason, &mut text).is_err() {
            return Err(JsError::wrong_type(env, call, "reason", "a string", reason));
        }
        if text.len() > MAX_REASON {
            return Err(JsError::wrong_value(
                call,
                "reason",
                "at most 123 bytes long in UTF-8",
                format_args!("{} bytes", text.len()),
            ));
        }
    }
    Ok((code, String::from_utf8_lossy(&text).into_owned()))
}

/// RFC 6455, section 5.5: the 125 bytes of a control frame, less two for the code.
const MAX_REASON: usize = 123;

/// The options of `sendToChannel`.
#[derive(Debug, Default)]
pub(crate) struct PublishOptions {
    /// Sockets that do not get the message.
    pub(crate) exclude: Vec<SocketId>,
    /// Whether the message is compressed.
    pub(crate) compress: Compress,
}

/// The options of `sendToChannel`.
///
/// # Errors
/// `options`, or something in it, is of the wrong type; an option is unknown.
pub(crate) fn publish_options(env: Env<'_>, call: &str, options: Value<'_>) -> Result<PublishOptions, JsError> {
    // Unknown options are not ignored: with `exclude` misspelled, a message would reach the sockets
    // that were to be left out.
    if !has_options(env, call, options, &["exclude", "compress"])? {
        return Ok(PublishOptions::default());
    }
    let compress = compress(env, call, options)?;
    Ok(PublishOptions { exclude: exclude(env, call, options)?, compress })
}

/// The options of `publish`, with `id`.
///
/// # Errors
/// As [`publish_options`]; the id has no bytes, or too many.
pub(crate) fn numbered_options(
    env: Env<'_>,
    call: &str,
    options: Value<'_>,
) -> Result<(PublishOptions, Option<Bytes>), JsError> {
    if !has_options(env, call, options, &["id", "exclude", "compress"])? {
        return Ok(Default::default());
    }
    let id = env.property(options, c"id")?.map(|value| {
        let mut bytes = BytesMut::new();
        data(env, call, "options.id", value, &mut bytes)?;
        if bytes.is_empty() || bytes.len() > MAX_ID {
            let got = format_args!("{} bytes", bytes.len());
            return Err(JsError::wrong_value(call, "options.id", "1 to 128 bytes long", got));
        }
        Ok(bytes.freeze())
    });
    let id = id.transpose()?;
    let compress = compress(env, call, options)?;
    Ok((PublishOptions { exclude: exclude(env, call, options)?, compress }, id))
}

/// Bytes of an id that makes a repeated publish a duplicate.
const MAX_ID: usize = 128;

/// `compress` in the options of `send`.
///
/// # Errors
/// As [`publish_options`].
pub(crate) fn send_options(env: Env<'_>, call: &str, options: Value<'_>) -> Result<Compress, JsError> {
    if has_options(env, call, options, &["compress"])? { compress(env, call, options) } else { Ok(Compress::Auto) }
}

/// Whether there are options at all. Their names are checked.
fn has_options(env: Env<'_>, call: &str, options: Value<'_>, known: &[&str]) -> Result<bool, JsError> {
    if env.is_undefined(options) {
        return Ok(false);
    }
    if !env.is_object(options) || env.is_array(options) {
        return Err(JsError::wrong_type(env, call, "options", "an object", options));
    }
    match env.own_names(options)?.iter().find(|name| !known.contains(&name.as_str())) {
        Some(odd) => Err(JsError::unknown_option(call, odd, known)),
        None => Ok(true),
    }
}

fn compress(env: Env<'_>, call: &str, options: Value<'_>) -> Result<Compress, JsError> {
    let Some(value) = env.property(options, c"compress")? else { return Ok(Compress::Auto) };
    match env.boolean_of(value) {
        Some(true) => Ok(Compress::Always),
        Some(false) => Ok(Compress::Never),
        None => Err(JsError::wrong_type(env, call, "options.compress", "a boolean", value)),
    }
}

fn exclude(env: Env<'_>, call: &str, options: Value<'_>) -> Result<Vec<SocketId>, JsError> {
    let Some(exclude) = env.property(options, c"exclude")? else { return Ok(Vec::new()) };
    if let Some(number) = env.number(exclude) {
        return Ok(exact_id(number).into_iter().collect());
    }
    let mut ids = Vec::new();
    let is_array = env.each_element(exclude, |env, index, element| {
        let number = env
            .number(element)
            .ok_or_else(|| JsError::wrong_type(env, call, &format!("options.exclude[{index}]"), "a number", element))?;
        ids.extend(exact_id(number));
        Ok::<_, JsError>(())
    })?;
    if is_array {
        return Ok(ids);
    }
    Err(JsError::wrong_type(env, call, "options.exclude", "a number or an array of numbers", exclude))
}

/// Names of channels.
///
/// # Errors
/// It is not an array, or something in it is not `Data`.
pub(crate) fn channels(env: Env<'_>, call: &str, value: Value<'_>) -> Result<Vec<Bytes>, JsError> {
    let mut channels = Vec::new();
    let is_array = env.each_element(value, |env, index, element| {
        let mut bytes = BytesMut::new();
        env.append_data(element, &mut bytes)
            .map_err(|error| JsError::no_data(env, call, &format!("channels[{index}]"), error, element))?;
        channels.push(bytes.freeze());
        Ok::<_, JsError>(())
    })?;
    if is_array {
        return Ok(channels);
    }
    Err(JsError::wrong_type(env, call, "channels", "an array of strings, ArrayBuffers or Uint8Arrays", value))
}

/// The request of an open event: the fourth argument of `handleOpen`, from which the dispatcher
/// takes the others.
pub(crate) fn open_request<'s>(env: Env<'s>, request: &OpenRequest) -> Result<Value<'s>, Failed> {
    let headers = env.object()?;
    for (name, value) in &request.headers {
        env.set(headers, name, env.text(value)?)?;
    }
    let object = env.object()?;
    env.set(object, "ip", env.text(&request.ip)?)?;
    env.set(object, "headers", headers)?;
    env.set(object, "url", env.text(&request.url)?)?;
    env.set(object, "path", env.text(&request.path)?)?;
    env.set(object, "query", env.text(&request.query)?)?;
    env.set(object, "method", env.text(&request.method)?)?;
    env.set(object, "protocols", env.array(request.protocols.iter().map(|protocol| env.text(protocol)))?)?;
    env.set(object, "secure", env.boolean(request.secure)?)?;
    env.set(object, "remotePort", env.int(i32::from(request.remote_port))?)?;
    if let Some(certificate) = &request.client_certificate {
        // JavaScript adds the fingerprint.
        let value = env.object()?;
        env.set(value, "raw", env.buffer(certificate)?)?;
        env.set(value, "authorized", env.boolean(request.client_certificate_authorized)?)?;
        env.set(object, "clientCertificate", value)?;
    }
    Ok(object)
}

const VERDICT: &str = "openVerdict";

/// What goes with the acceptance of a connection.
///
/// # Errors
/// Something in it is of the wrong type.
pub(crate) fn acceptance(env: Env<'_>, detail: Value<'_>) -> Result<Accept, JsError> {
    let protocol = env.property(detail, c"protocol")?.map(|value| text(env, "protocol", value)).transpose()?;
    let token = env.property(detail, c"token")?.map(|value| bytes(env, "token", value)).transpose()?;
    let channels = env.property(detail, c"channels")?.map(|value| channels(env, VERDICT, value)).transpose()?;
    Ok(Accept { protocol, headers: headers(env, detail)?, token, channels: channels.unwrap_or_default() })
}

/// What goes with the rejection of a connection.
///
/// # Errors
/// Something in it is of the wrong type; the status is not one of HTTP's.
pub(crate) fn rejection(env: Env<'_>, detail: Value<'_>) -> Result<Reject, JsError> {
    let status = match env.property(detail, c"status")? {
        Some(value) => {
            env.number(value).ok_or_else(|| JsError::wrong_type(env, VERDICT, "status", "a number", value))?
        }
        None => 403.0,
    };
    if !(200.0..600.0).contains(&status) {
        return Err(JsError::wrong_value(VERDICT, "status", "an HTTP status from 200 to 599", status));
    }
    let body = env.property(detail, c"body")?.map(|value| bytes(env, "body", value)).transpose()?;
    Ok(Reject { status: status as u16, headers: headers(env, detail)?, body: body.unwrap_or_default() })
}

fn text(env: Env<'_>, name: &str, value: Value<'_>) -> Result<String, JsError> {
    let mut text = BytesMut::new();
    if env.append_text(value, &mut text).is_err() {
        return Err(JsError::wrong_type(env, VERDICT, name, "a string", value));
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn bytes(env: Env<'_>, name: &str, value: Value<'_>) -> Result<Bytes, JsError> {
    let mut bytes = BytesMut::new();
    data(env, VERDICT, name, value, &mut bytes)?;
    Ok(bytes.freeze())
}

fn headers(env: Env<'_>, detail: Value<'_>) -> Result<Vec<(String, String)>, JsError> {
    let Some(value) = env.property(detail, c"headers")? else { return Ok(Vec::new()) };
    let wrong = |value: Value<'_>| JsError::wrong_type(env, VERDICT, "headers", "an array of pairs of strings", value);
    let mut headers = Vec::new();
    let is_array = env.each_element(value, |env, _, pair| {
        let [name, value] = env.pair(pair)?.ok_or_else(|| wrong(pair))?;
        headers.push((text(env, "headers", name)?, text(env, "headers", value)?));
        Ok::<_, JsError>(())
    })?;
    if is_array { Ok(headers) } else { Err(wrong(value)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_integers_from_1_to_2_53_are_ids() {
        for number in [0.0, -1.0, 1.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 9_007_199_254_740_992.0, 1e300] {
            assert_eq!(exact_id(number), None, "{number}");
        }
        assert_eq!(exact_id(1.0).map(SocketId::get), Some(1));
        assert_eq!(exact_id(9_007_199_254_740_991.0).map(SocketId::get), Some(9_007_199_254_740_991));
    }
}
