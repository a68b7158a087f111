//! Functions that are called for every message are registered raw, without napi-rs in between.

use crate::js::{failure::Failure, raw::Value};

/// What a function that is registered raw comes to.
pub(crate) type Result<'s> = std::result::Result<Value<'s>, Failure>;

/// Makes functions of a module known to JavaScript: `name as "nameInJavaScript" with ARGUMENTS;`. With `of given` a function is also told how many arguments there were.
macro_rules! functions {
    ($($function:ident as $name:literal with $arguments:literal $(of $given:ident)?;)*) => {
        /// Adds every function of this module to the exports.
        pub(crate) fn register(
            env: $crate::js::raw::Env<'_>,
            exports: $crate::js::raw::Value<'_>,
        ) -> std::result::Result<(), $crate::js::raw::Failed> {
            $({
                struct Raw;
                impl $crate::js::raw::Function<$arguments> for Raw {
                    const NAME: &'static str = $name;
                    #[inline]
                    fn call<'s>(
                        env: $crate::js::raw::Env<'s>,
                        arguments: [$crate::js::raw::Value<'s>; $arguments],
                        _given: usize,
                    ) -> $crate::js::export::Result<'s> {
                        $function(env, arguments $(, $crate::js::export::functions!(@$given _given))?)
                    }
                }
                env.export::<Raw, $arguments>(exports)?;
            })*
            Ok(())
        }
    };
    (@given $given:expr) => { $given };
}

pub(crate) use functions;
