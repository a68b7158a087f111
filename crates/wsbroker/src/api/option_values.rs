//! Values of options that several groups of options have.

use std::time::Duration;

use crate::js::js_error::JsError;

/// A number of bytes or things.
pub(crate) fn size(number: f64) -> usize {
    // The cast saturates, and NaN becomes 0. TypeScript has checked the number.
    number as usize
}

/// A time.
pub(crate) fn milliseconds(number: f64) -> Duration {
    Duration::from_millis(number as u64)
}

/// The value of a name.
///
/// # Errors
/// The name is unknown.
pub(crate) fn one_of<T: Copy>(name: &str, given: &str, known: &[(&str, T)]) -> Result<T, JsError> {
    known.iter().find(|(text, _)| *text == given).map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<String> = known.iter().map(|(text, _)| format!("'{text}'")).collect();
        JsError::wrong_value("start", name, &names.join(" or "), format_args!("'{given}'"))
    })
}
