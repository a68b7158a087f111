//! Values of options, converted.

use std::time::Duration;

use crate::js::js_error::JsError;

/// A duration that TypeScript has checked.
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
