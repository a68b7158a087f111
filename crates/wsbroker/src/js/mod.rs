//! The JavaScript engine and its values: what is read, made, thrown, promised and exported.
//!
//! Knows the core's types, because it converts from and to them. It must not know what the process
//! has (`process`), workers or helpers. Unsafe code is in `raw`, and nowhere else in the addon.

mod argument_errors;
pub(crate) mod convert;
pub(crate) mod export;
pub(crate) mod js_error;
pub(crate) mod name_buffer;
pub(crate) mod promise;
pub(crate) mod raw;
