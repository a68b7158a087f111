//! What can go wrong, as JavaScript sees it: a kind of `Error`, a `code`, a message.

use wsbroker_core::{BindError, JoinError, ListenError, StartError, SubscribeError};

use crate::js::raw::{Env, Failed, Unfit, Value};

/// What a function that napi-rs calls comes to; the status of its errors is their code.
pub(crate) type Result<T> = std::result::Result<T, napi::Error<&'static str>>;

/// A failure on its way to JavaScript.
///
/// One pointer: functions that hardly ever fail return it, and a large one would be copied around in every result.
#[derive(Debug)]
pub(crate) struct Failure(Box<Details>);

#[derive(Debug)]
struct Details {
    kind: Kind,
    code: &'static str,
    message: String,
    system: Option<String>,
}

/// Which `Error` it becomes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// `Error`.
    Plain,
    /// `TypeError`.
    Type,
    /// `RangeError`.
    Range,
    /// None: an exception is pending already.
    Pending,
}

/// What a `Data` argument may be, for messages.
const DATA: &str = "a string, ArrayBuffer or Uint8Array";

const TYPE: &str = "ERR_WSBROKER_INVALID_ARG_TYPE";
const VALUE: &str = "ERR_WSBROKER_INVALID_ARG_VALUE";

impl Failure {
    #[cold]
    fn new(kind: Kind, code: &'static str, message: String) -> Self {
        Self(Box::new(Details { kind, code, message, system: None }))
    }

    /// An argument of the wrong type. `name` is quoted in the message: `send: "data" must be …, got number`.
    pub(crate) fn wrong_type(env: Env<'_>, call: &str, name: &str, expected: &str, got: Value<'_>) -> Self {
        Self::new(Kind::Type, TYPE, format!("{call}: \"{name}\" must be {expected}, got {}", env.describe(got)))
    }

    /// An argument of the right type with a value that is not allowed.
    pub(crate) fn wrong_value(call: &str, name: &str, expected: &str, got: impl std::fmt::Display) -> Self {
        Self::new(Kind::Range, VALUE, format!("{call}: \"{name}\" must be {expected}, got {got}"))
    }

    /// A `Data` argument that is none, or whose bytes are not there any more.
    pub(crate) fn no_data(env: Env<'_>, call: &str, name: &str, unfit: Unfit, got: Value<'_>) -> Self {
        match unfit {
            Unfit::Other => Self::wrong_type(env, call, name, DATA, got),
            Unfit::Detached => {
                let message = format!("{call}: \"{name}\" must be {DATA}, got one whose ArrayBuffer is detached");
                Self::new(Kind::Type, TYPE, message)
            }
            // The engine found it longer at the second look.
            Unfit::Long(_) => Self::internal(call, "a string changed while it was read"),
        }
    }

    /// An option that there is not; names the nearest that there is.
    pub(crate) fn unknown_option(call: &str, name: &str, known: &[&str]) -> Self {
        let near = known.iter().map(|candidate| (distance(name, candidate), candidate)).min();
        let hint = match near {
            Some((distance, candidate)) if distance <= 2 => format!("did you mean \"{candidate}\"?"),
            _ => format!("known are {}", known.join(", ")),
        };
        let message = format!("{call}: unknown option \"{name}\"; {hint}");
        Self::new(Kind::Plain, "ERR_WSBROKER_UNKNOWN_OPTION", message)
    }

    /// The process has settled on something else earlier.
    pub(crate) fn conflict(message: String) -> Self {
        Self::new(Kind::Plain, "ERR_WSBROKER_CONFLICT", message)
    }

    /// There is no such helper on this thread, or its broker has gone.
    pub(crate) fn no_helper(call: &str) -> Self {
        Self::new(Kind::Plain, "ERR_WSBROKER_SHUT_DOWN", format!("{call}: this helper has shut down"))
    }

    /// More channels than a socket may be in, or too long a name.
    pub(crate) fn limit(call: &str, error: SubscribeError) -> Self {
        let option = match error {
            SubscribeError::TooManyChannels { .. } => "maxChannelsPerSocket",
            SubscribeError::NameTooLong { .. } => "maxChannelNameLength",
            _ => "a limit",
        };
        Self::new(Kind::Plain, "ERR_WSBROKER_LIMIT", format!("{call}: {error} ({option})"))
    }

    /// A certificate or a key that is no good.
    pub(crate) fn tls(message: String) -> Self {
        Self::new(Kind::Plain, "ERR_WSBROKER_TLS", message)
    }

    /// There is no such listener, or no broker at all.
    pub(crate) fn no_listener(call: &str) -> Self {
        Self::new(Kind::Plain, VALUE, format!("{call}: there is no such listener"))
    }

    /// A Redis URL that cannot be read. Not shown: it may have a password in it.
    pub(crate) fn unreadable_url(call: &str) -> Self {
        let message = format!(
            "{call}: \"redis\" must be a URL such as redis://user:password@host:6379/0, with a port up to 65535 and a number for a path"
        );
        Self::new(Kind::Range, VALUE, message)
    }

    /// What it was asked of has ended.
    pub(crate) fn shut_down(call: &str) -> Self {
        Self::new(Kind::Plain, "ERR_WSBROKER_SHUT_DOWN", format!("{call}: this is closed"))
    }

    /// Redis did not get it.
    pub(crate) fn bus_lost(call: &str, why: &dyn std::error::Error) -> Self {
        Self::new(Kind::Plain, "ERR_WSBROKER_BUS_LOST", format!("{call}: {why}"))
    }

    /// There is no bus.
    pub(crate) fn not_joined(call: &str) -> Self {
        let why = "this process has not joined other instances; give start the option \"cluster\"";
        Self::new(Kind::Plain, "ERR_WSBROKER_BUS_LOST", format!("{call}: {why}"))
    }

    /// Redis said no.
    pub(crate) fn redis(call: &str, why: &dyn std::error::Error) -> Self {
        Self::new(Kind::Plain, "ERR_WSBROKER_REDIS", format!("{call}: {why}"))
    }

    /// A mistake of ours.
    pub(crate) fn internal(call: &str, what: &str) -> Self {
        Self::new(Kind::Plain, "ERR_WSBROKER_INTERNAL", format!("{call}: {what}"))
    }

    pub(crate) fn kind(&self) -> Kind {
        self.0.kind
    }

    pub(crate) fn code(&self) -> &'static str {
        self.0.code
    }

    pub(crate) fn message(&self) -> &str {
        &self.0.message
    }

    /// The operating system's name for it, like `EADDRINUSE`.
    pub(crate) fn system_code(&self) -> Option<&str> {
        self.0.system.as_deref()
    }
}

/// How many letters are to be put in, taken out or changed, case not counted (Levenshtein).
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

impl From<Failed> for Failure {
    fn from(Failed: Failed) -> Self {
        Self::new(Kind::Pending, "ERR_WSBROKER_INTERNAL", "a Node-API call failed".into())
    }
}

/// For functions that napi-rs calls: its errors carry the code as their status.
impl From<Failure> for napi::Error<&'static str> {
    fn from(failure: Failure) -> Self {
        Self::new(failure.code(), failure.message())
    }
}

impl From<BindError> for Failure {
    fn from(error: BindError) -> Self {
        Self::new(Kind::Plain, "ERR_WSBROKER_INVALID_BIND", format!("start: \"bind\" is no address: {error}"))
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        Self::new(Kind::Plain, "ERR_WSBROKER_START", error.to_string())
    }
}

impl From<JoinError> for Failure {
    fn from(error: JoinError) -> Self {
        let code = match error {
            JoinError::Joined => "ERR_WSBROKER_CONFLICT",
            _ => "ERR_WSBROKER_START",
        };
        Self::new(Kind::Plain, code, format!("joinCluster: {error}"))
    }
}

impl From<ListenError> for Failure {
    fn from(error: ListenError) -> Self {
        let message = match &error {
            ListenError::Conflict { address, option } => {
                format!("start: {address} is open with another value of \"{}\"", camel_case(option))
            }
            error => format!("start: {error}"),
        };
        let code = match &error {
            ListenError::Bind { source, .. } => {
                let mut failure = Self::new(Kind::Plain, "ERR_WSBROKER_BIND", message);
                failure.0.system = Some(system_code(source));
                return failure;
            }
            ListenError::PathTaken { .. } | ListenError::Conflict { .. } => "ERR_WSBROKER_CONFLICT",
            ListenError::Origin { .. } => "ERR_WSBROKER_INVALID_ARG_VALUE",
            ListenError::Unsupported { .. } => "ERR_WSBROKER_UNSUPPORTED",
            ListenError::ShuttingDown => "ERR_WSBROKER_SHUT_DOWN",
            _ => "ERR_WSBROKER_BIND",
        };
        Self::new(Kind::Plain, code, message)
    }
}

/// As JavaScript writes it: `max_header_size` is `maxHeaderSize`.
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
        // What the resolver says has no number.
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
        let failure = Failure::from(ListenError::Bind { address: "127.0.0.1:80".into(), source });
        assert_eq!((failure.code(), failure.system_code()), ("ERR_WSBROKER_BIND", Some("EADDRINUSE")));
        assert!(failure.message().contains("127.0.0.1:80"), "{}", failure.message());
    }

    #[test]
    fn an_option_of_the_address_is_named_as_javascript_writes_it() {
        let failure = Failure::from(ListenError::Conflict { address: "[::]:80".into(), option: "max_header_size" });
        assert_eq!(failure.message(), "start: [::]:80 is open with another value of \"maxHeaderSize\"");
    }

    #[test]
    fn a_bad_address_says_what_was_expected() {
        let error = "nowhere".parse::<wsbroker_core::Bind>().expect_err("no port");
        let failure = Failure::from(error);
        assert_eq!(failure.code(), "ERR_WSBROKER_INVALID_BIND");
        assert!(failure.message().contains("host:port"), "{}", failure.message());
    }
}
