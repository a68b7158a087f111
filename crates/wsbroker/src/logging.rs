//! Where it is written what happens inside: to stderr, as `RUST_LOG` says, and to a function of the
//! application.
//!
//! What is logged has no header values, tokens, queries or payloads, and neither may anything that
//! is logged later: a record may end up anywhere.

// napi-rs wants what it exports to be public, though nothing can reach it from Rust.
#![allow(unreachable_pub)]

use std::{
    collections::HashMap,
    fmt::{self, Write},
    io::IsTerminal,
    sync::{
        Arc, Once, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use napi::{
    Status,
    bindgen_prelude::{Either3, Function},
    threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode},
};
use napi_derive::napi;
use parking_lot::Mutex;
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::Targets,
    layer::{Context, SubscriberExt},
    reload,
};

use crate::js::{js_error::Result, promise::internal};

/// What is logged without `RUST_LOG`: that connections cannot be accepted, at most once a minute
/// for each address.
const DEFAULT_FILTER: &str = "wsbroker_core::front::accept=warn";
/// All crates of ours. What libraries say is left out: nobody has looked at what it contains.
const OURS: &str = "wsbroker";
/// Records that wait for the function; more are dropped, and counted.
const QUEUE: usize = 1024;
/// Bytes of a text in a record.
const MAX_TEXT: usize = 1024;

/// Something that has happened.
#[napi(object)]
pub struct NativeLogRecord {
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
    /// The module that says so.
    pub target: String,
    /// What has happened.
    pub message: String,
    /// With what.
    pub fields: HashMap<String, Either3<String, f64, bool>>,
    /// When, in milliseconds since 1970.
    pub time: f64,
    /// Records that were dropped before this one, since there were too many.
    pub dropped: f64,
}

type LogFunction = ThreadsafeFunction<NativeLogRecord, (), NativeLogRecord, Status, false, true, QUEUE>;

/// The function of the application, if it has set one.
static LOGGER: Mutex<Option<Arc<LogFunction>>> = Mutex::new(None);
static DROPPED: AtomicU64 = AtomicU64::new(0);
/// Decides what the function gets. Off, a record is not even made.
static FILTER: OnceLock<reload::Handle<Targets, Registry>> = OnceLock::new();

/// Begins to log. Once for the process.
pub(crate) fn begin() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let filter = match std::env::var_os("RUST_LOG") {
            Some(_) => EnvFilter::from_default_env(),
            None => EnvFilter::new(DEFAULT_FILTER),
        };
        let to_stderr = tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .with_filter(filter);
        let (filter, handle) = reload::Layer::new(Targets::new());
        let to_function = ToFunction.with_filter(filter);
        let _ = FILTER.set(handle);
        // If the process has a subscriber already, that one stays.
        let subscriber = Registry::default().with(to_function).with(to_stderr);
        let _ = tracing::subscriber::set_global_default(subscriber);
    });
}

/// Calls this function with what is logged, up to this level, on the calling thread. It takes the
/// place of that of any thread; without one nothing is called.
#[napi]
pub fn set_logger(level: String, logger: Option<Function<'_, NativeLogRecord, ()>>) -> Result<()> {
    let logger = match logger {
        Some(function) => {
            let built: LogFunction = function
                .build_threadsafe_function()
                .weak::<true>()
                .max_queue_size::<QUEUE>()
                .build()
                .map_err(internal)?;
            Some(Arc::new(built))
        }
        None => None,
    };
    let level = if logger.is_some() { level.parse().unwrap_or(LevelFilter::INFO) } else { LevelFilter::OFF };
    DROPPED.store(0, Ordering::Relaxed);
    // Dropped outside of the lock.
    let before = std::mem::replace(&mut *LOGGER.lock(), logger);
    if let Some(filter) = FILTER.get() {
        // Fails only if there is another subscriber.
        let _ = filter.reload(Targets::new().with_target(OURS, level));
    }
    drop(before);
    Ok(())
}

/// Passes records on to the application's function.
struct ToFunction;

impl<S: Subscriber> Layer<S> for ToFunction {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let Some(logger) = LOGGER.lock().clone() else { return };
        let dropped = DROPPED.swap(0, Ordering::Relaxed);
        let record = record(event, dropped);
        match logger.call(record, ThreadsafeFunctionCallMode::NonBlocking) {
            Status::Ok => {}
            Status::Closing => {
                // Its thread has ended.
                LOGGER.lock().take_if(|current| Arc::ptr_eq(current, &logger));
            }
            _ => _ = DROPPED.fetch_add(dropped + 1, Ordering::Relaxed),
        }
    }
}

fn record(event: &Event<'_>, dropped: u64) -> NativeLogRecord {
    let meta = event.metadata();
    let level = match *meta.level() {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    };
    let mut read = Read::default();
    event.record(&mut read);
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    NativeLogRecord {
        level: level.into(),
        target: meta.target().into(),
        message: read.message,
        fields: read.fields,
        time: time.as_millis() as f64,
        dropped: dropped as f64,
    }
}

/// Reads the fields of an event.
#[derive(Default)]
struct Read {
    message: String,
    fields: HashMap<String, Either3<String, f64, bool>>,
}

impl Read {
    fn number(&mut self, field: &Field, number: f64) {
        self.fields.insert(field.name().into(), Either3::B(number));
    }
}

impl Visit for Read {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = Bounded(String::new());
        // Fails when there is no more room.
        let _ = write!(text, "{value:?}");
        if field.name() == "message" {
            self.message = text.0;
        } else {
            self.fields.insert(field.name().into(), Either3::A(text.0));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.number(field, value as f64);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(field, value as f64);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.number(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.fields.insert(field.name().into(), Either3::C(value));
    }
}

/// A text of at most [`MAX_TEXT`] bytes.
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = MAX_TEXT - self.0.len();
        if text.len() <= room {
            self.0.push_str(text);
            return Ok(());
        }
        let end = (0..=room).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        self.0.push_str(text.get(..end).unwrap_or_default());
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_ends_where_there_is_no_more_room() {
        let mut text = Bounded("x".repeat(MAX_TEXT - 3));
        assert!(text.write_str("éé").is_err());
        assert_eq!(text.0, format!("{}é", "x".repeat(MAX_TEXT - 3)));
        let mut fits = Bounded(String::new());
        assert!(write!(fits, "{:?}", "short").is_ok());
        assert_eq!(fits.0, "\"short\"");
    }
}
