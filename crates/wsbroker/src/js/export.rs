//! How functions that are called for every message are exported: without napi-rs in between, whose
//! share of such a call is larger than that of most of these functions.

use crate::js::{js_error::JsError, raw::Value};

/// What an exported function returns to JavaScript, or throws.
pub(crate) type JsResult<'s> = std::result::Result<Value<'s>, JsError>;

/// Exports functions of a module: `function = "its declaration in TypeScript";`.
///
/// The declaration says what JavaScript calls the function and how many arguments it takes, and
/// becomes a part of `src/native.cts` together with the comment above it. A function that is marked
/// `(given)` is also told how many arguments there were.
macro_rules! functions {
    ($($(#[$doc:meta])* $function:ident $(($given:ident))? = $declaration:literal;)*) => {
        /// Adds every function of this module to the exports.
        pub(crate) fn register(
            env: $crate::js::raw::Env<'_>,
            exports: $crate::js::raw::Value<'_>,
        ) -> std::result::Result<(), $crate::js::raw::Failed> {
            $({
                $(#[$doc])*
                struct Exported;
                const ARGUMENTS: usize = $crate::js::export::count_of_arguments($declaration);
                impl $crate::js::raw::RawFunction<ARGUMENTS> for Exported {
                    const NAME: &'static str = $crate::js::export::name_of($declaration);
                    #[inline]
                    fn call<'s>(
                        env: $crate::js::raw::Env<'s>,
                        arguments: [$crate::js::raw::Value<'s>; ARGUMENTS],
                        _given: usize,
                    ) -> $crate::js::export::JsResult<'s> {
                        $function(env, arguments $(, $crate::js::export::functions!(@$given _given))?)
                    }
                }
                env.export::<Exported, ARGUMENTS>(exports)?;
            })*
            Ok(())
        }
    };
    (@given $given:expr) => { $given };
}

pub(crate) use functions;

/// The name in a declaration: what comes before its first parenthesis.
pub(crate) const fn name_of(declaration: &str) -> &str {
    let bytes = declaration.as_bytes();
    let mut end = 0;
    while end < bytes.len() && bytes[end] != b'(' {
        end += 1;
    }
    declaration.split_at(end).0
}

/// How many parameters there are between the first parenthesis of a declaration and its end.
pub(crate) const fn count_of_arguments(declaration: &str) -> usize {
    let bytes = declaration.as_bytes();
    let mut at = name_of(declaration).len() + 1;
    if bytes[at] == b')' {
        return 0;
    }
    let mut count = 1;
    let mut depth = 1;
    while depth > 0 {
        match bytes[at] {
            b'(' | b'[' | b'{' | b'<' => depth += 1,
            b')' | b']' | b'}' => depth -= 1,
            // Not that of an arrow.
            b'>' if bytes[at - 1] != b'=' => depth -= 1,
            b',' if depth == 1 => count += 1,
            _ => {}
        }
        at += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declaration_tells_the_name_and_the_number_of_arguments() {
        let parsed = |declaration| (name_of(declaration), count_of_arguments(declaration));
        assert_eq!(parsed("drain(): void"), ("drain", 0));
        assert_eq!(parsed("close(id: number, code?: number): [a: A, b: B]"), ("close", 2));
        assert_eq!(parsed("of(a: Map<A, B>, b: (c: C, d: D) => void, e: [F, G]): void"), ("of", 3));
    }
}
