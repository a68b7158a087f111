//! Errors as JavaScript sees them: a class of `Error`, a `code` and a message.

use wsbroker_core::{BindError, JoinError, ListenError, StartError, SubscribeError};

/// What a function that napi-rs calls returns; the status of an error is its code. Its macro knows
/// results by this name only.
pub(crate) type Result<T> = std::result::Result<T, napi::Error<&'static str>>;

/// An error that JavaScript is to see.
///
/// It is one pointer: functions that hardly ever fail return it, and a large one would be copied
/// with every result.
#[derive(Debug)]
pub(crate) struct JsError(Box<Details>);

#[derive(Debug)]
struct Details {
    class: ErrorClass,
    code: &'static str,
    message: String,
    system: Option<String>,
}

/// The class that it gets in JavaScript.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ErrorClass {
    /// `Error`.
    Plain,
    /// `TypeError`.
    Type,
    /// `RangeError`.
    Range,
    /// An exception is pending already, which is the error.
    Pending,
}

const TYPE: &str = "ERR_WSBROKER_INVALID_ARG_TYPE";
const VALUE: &str = "ERR_WSBROKER_INVALID_ARG_VALUE";

impl JsError {
    #[cold]
    fn new(class: ErrorClass, code: &'static str, message: String) -> Self {
        Self(Box::new(Details { class, code, message, system: None }))
    }

    /// An argument of the wrong type. The message quotes its name: `send: "data" must be …, got
    /// number`.
    #[cold]
    pub(super) fn not_of_type(call: &str, name: &str, expected: &str, got: &str) -> Self {
        Self::new(ErrorClass::Type, TYPE, format!("{call}: \"{name}\" must be {expected}, got {got}"))
    }

    /// An argument of the right type with a value that is not allowed.
    pub(crate) fn wrong_value(call: &str, name: &str, expected: &str, got: impl std::fmt::Display) -> Self {
        Self::new(ErrorClass::Range, VALUE, format!("{call}: \"{name}\" must be {expected}, got {got}"))
    }

    /// An argument of the right type whose value cannot be read. `why` says what was expected.
    pub(crate) fn invalid_value(call: &str, name: &str, why: &dyn std::error::Error) -> Self {
        Self::new(ErrorClass::Range, VALUE, format!("{call}: \"{name}\": {why}"))
    }

    /// An unknown option. The message names the one that is spelled most like it.
    pub(crate) fn unknown_option(call: &str, name: &str, known: &[&str]) -> Self {
        let near = known.iter().map(|candidate| (distance(name, candidate), candidate)).min();
        let hint = match near {
            Some((distance, candidate)) if distance <= 2 => format!("did you mean \"{candidate}\"?"),
            _ => format!("known options: {}", known.join(", ")),
        };
        let message = format!("{call}: unknown option \"{name}\"; {hint}");
        Self::new(ErrorClass::Plain, "ERR_WSBROKER_UNKNOWN_OPTION", message)
    }

    /// Another value has been used earlier in the process.
    pub(crate) fn conflict(message: String) -> Self {
        Self::new(ErrorClass::Plain, "ERR_WSBROKER_CONFLICT", message)
    }

    /// What is in the memory of the process cannot become what Redis has.
    pub(crate) fn history_before_cluster(call: &str) -> Self {
        let why = "the process has channels with history already, which Redis did not number; call joinCluster \
                   before start, or pass \"cluster\" to start";
        Self::new(ErrorClass::Plain, "ERR_WSBROKER_UNSUPPORTED", format!("{call}: {why}"))
    }

    /// This thread has no such helper, or no longer.
    pub(crate) fn no_helper(call: &str) -> Self {
        Self::new(ErrorClass::Plain, "ERR_WSBROKER_SHUT_DOWN", format!("{call}: the helper has been shut down"))
    }

    /// A socket would be in too many channels, or a channel's name is too long.
    pub(crate) fn limit(call: &str, error: SubscribeError) -> Self {
        let option = match error {
            SubscribeError::TooManyChannels { .. } => "maxChannelsPerSocket",
            SubscribeError::NameTooLong { .. } => "maxChannelNameLength",
            _ => "a limit",
        };
        Self::new(ErrorClass::Plain, "ERR_WSBROKER_LIMIT", format!("{call}: {error} ({option})"))
    }

    /// A certificate or a key that cannot be used.
    pub(crate) fn tls(message: String) -> Self {
        Self::new(ErrorClass::Plain, "ERR_WSBROKER_TLS", message)
    }

    /// There is no such listener, or no broker.
    pub(crate) fn no_listener(call: &str) -> Self {
        Self::new(ErrorClass::Plain, VALUE, format!("{call}: there is no such listener"))
    }

    /// A Redis URL that cannot be parsed. The message leaves it out, since it may have a password
    /// in it.
    pub(crate) fn unreadable_url(call: &str) -> Self {
        let message = format!(
            "{call}: \"redis\" must be a URL such as redis://user:password@host:6379/0; the port is at most 65535, \
             the path is the number of a database"
        );
        Self::new(ErrorClass::Range, VALUE, message)
    }

    /// The object that was called has been closed.
    pub(crate) fn shut_down(call: &str) -> Self {
        Self::new(ErrorClass::Plain, "ERR_WSBROKER_SHUT_DOWN", format!("{call}: it has been closed"))
    }

    /// Redis cannot be reached.
    pub(crate) fn bus_lost(call: &str, why: &dyn std::error::Error) -> Self {
        Self::new(ErrorClass::Plain, "ERR_WSBROKER_BUS_LOST", format!("{call}: {why}"))
    }

    /// The process has no bus.
    pub(crate) fn not_joined(call: &str) -> Self {
        let why = "this process has not joined a cluster; give start the option \"cluster\"";
        Self::new(ErrorClass::Plain, "ERR_WSBROKER_BUS_LOST", format!("{call}: {why}"))
    }

    /// Redis has answered with an error.
    pub(crate) fn redis(call: &str, why: &dyn std::error::Error) -> Self {
        Self::new(ErrorClass::Plain, "ERR_WSBROKER_REDIS", format!("{call}: {why}"))
    }

    /// A Node-API call has failed. If an exception is pending, that is the error.
    #[cold]
    pub(super) fn pending() -> Self {
        Self::new(ErrorClass::Pending, "ERR_WSBROKER_INTERNAL", "a Node-API call has failed".into())
    }

    /// A mistake of ours.
    pub(crate) fn internal(call: &str, what: &str) -> Self {
        Self::new(ErrorClass::Plain, "ERR_WSBROKER_INTERNAL", format!("{call}: {what}"))
    }

    pub(crate) fn class(&self) -> ErrorClass {
        self.0.class
    }

    pub(crate) fn code(&self) -> &'static str {
        self.0.code
    }

    pub(crate) fn message(&self) -> &str {
        &self.0.message
    }

    /// The operating system's name for the error, such as `EADDRINUSE`.
    pub(crate) fn system_code(&self) -> Option<&str> {
        self.0.system.as_deref()
    }
}

/// How many letters must be added, removed or changed to make one name the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().flat_map(char::to_lowercase).collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.chars().flat_map(char::to_lowercase).enumerate() {
        let mut next = vec![line + 1];
        for (column, candidate) in other.iter().enumerate() {
            let changed = row[column] + usize::from(letter != *candidate);
            next.push(changed.min(row[column + 1] + 1).min(next[column] + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

/// For functions that napi-rs calls: its errors carry the code as their status.
impl From<JsError> for napi::Error<&'static str> {
    fn from(failure: JsError) -> Self {
        Self::new(failure.code(), failure.message())
    }
}

impl From<BindError> for JsError {
    fn from(error: BindError) -> Self {
        Self::new(ErrorClass::Plain, "ERR_WSBROKER_INVALID_BIND", format!("start: \"bind\" is not an address: {error}"))
    }
}

impl From<StartError> for JsError {
    fn from(error: StartError) -> Self {
        Self::new(ErrorClass::Plain, "ERR_WSBROKER_START", error.to_string())
    }
}

impl From<JoinError> for JsError {
    fn from(error: JoinError) -> Self {
        let code = match error {
            JoinError::Joined => "ERR_WSBROKER_CONFLICT",
            _ => "ERR_WSBROKER_START",
        };
        Self::new(ErrorClass::Plain, code, format!("joinCluster: {error}"))
    }
}

impl From<ListenError> for JsError {
    fn from(error: ListenError) -> Self {
        let message = match &error {
            ListenError::Conflict { address, option } => {
                format!("start: {address} is already open with another value of \"{}\"", camel_case(option))
            }
            error => format!("start: {error}"),
        };
        let code = match &error {
            ListenError::Bind { source, .. } => {
                let mut failure = Self::new(ErrorClass::Plain, "ERR_WSBROKER_BIND", message);
                failure.0.system = Some(system_code(source));
                return failure;
            }
            ListenError::PathTaken { .. } | ListenError::Conflict { .. } => "ERR_WSBROKER_CONFLICT",
            ListenError::Origin { .. } => "ERR_WSBROKER_INVALID_ARG_VALUE",
            ListenError::Unsupported { .. } => "ERR_WSBROKER_UNSUPPORTED",
            ListenError::ShuttingDown | ListenError::Draining => "ERR_WSBROKER_SHUT_DOWN",
            _ => "ERR_WSBROKER_BIND",
        };
        Self::new(ErrorClass::Plain, code, message)
    }
}

/// A name as JavaScript writes it: `max_header_size` is `maxHeaderSize`.
fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let (initial, rest) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
        name + &initial.to_uppercase() + rest
    })
}

/// The name that Node gives to a system error.
fn system_code(error: &std::io::Error) -> String {
    use std::io::ErrorKind as E;
    let name = match error.kind() {
        E::AddrInUse => "EADDRINUSE",
        E::AddrNotAvailable => "EADDRNOTAVAIL",
        E::PermissionDenied => "EACCES",
        E::NotFound => "ENOENT",
        E::AlreadyExists => "EEXIST",
        E::InvalidInput => "EINVAL",
        E::NotADirectory => "ENOTDIR",
        E::ReadOnlyFilesystem => "EROFS",
        // An error of the resolver has no number.
        _ => return error.raw_os_error().map_or_else(|| "ENOTFOUND".into(), |number| format!("E{number}")),
    };
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_bind_keeps_the_systems_code() {
        let source = std::io::Error::from(std::io::ErrorKind::AddrInUse);
        let failure = JsError::from(ListenError::Bind { address: "127.0.0.1:80".into(), source });
        assert_eq!((failure.code(), failure.system_code()), ("ERR_WSBROKER_BIND", Some("EADDRINUSE")));
        assert!(failure.message().contains("127.0.0.1:80"), "{}", failure.message());
    }

    #[test]
    fn an_option_of_the_address_is_named_as_javascript_writes_it() {
        let failure = JsError::from(ListenError::Conflict { address: "[::]:80".into(), option: "max_header_size" });
        assert_eq!(failure.message(), "start: [::]:80 is already open with another value of \"maxHeaderSize\"");
    }

    #[test]
    fn a_bad_address_says_what_was_expected() {
        let error = "nowhere".parse::<wsbroker_core::Bind>().expect_err("no port");
        let failure = JsError::from(error);
        assert_eq!(failure.code(), "ERR_WSBROKER_INVALID_BIND");
        assert!(failure.message().contains("host:port"), "{}", failure.message());
    }
}
