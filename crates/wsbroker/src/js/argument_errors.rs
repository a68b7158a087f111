//! Errors that say what an argument is: they need the engine for that.

use crate::js::{
    js_error::JsError,
    raw::{Env, Failed, NotAppended, Value},
};

/// What a `Data` argument may be, for messages.
const DATA: &str = "a string, ArrayBuffer or Uint8Array";

impl JsError {
    /// An argument of the wrong type.
    pub(crate) fn wrong_type(env: Env<'_>, call: &str, name: &str, expected: &str, got: Value<'_>) -> Self {
        Self::not_of_type(call, name, expected, env.describe(got))
    }

    /// An argument that is not `Data`, or whose bytes were transferred away.
    pub(crate) fn no_data(env: Env<'_>, call: &str, name: &str, error: NotAppended, got: Value<'_>) -> Self {
        match error {
            NotAppended::WrongType => Self::wrong_type(env, call, name, DATA, got),
            NotAppended::Detached => Self::not_of_type(call, name, DATA, "one whose ArrayBuffer is detached"),
            // The engine has found it longer when it read it again.
            NotAppended::NeedsRoom(_) => Self::internal(call, "a string has changed while it was read"),
        }
    }
}

impl From<Failed> for JsError {
    fn from(Failed: Failed) -> Self {
        Self::pending()
    }
}
