//! What an address does with plain requests, as JavaScript passes it and as the core takes it.

// napi-rs wants what it exports to be public, though nothing can reach it from Rust.
#![allow(unreachable_pub)]

use std::time::Duration;

use bytes::Bytes;
use napi_derive::napi;
use wsbroker_core::{FixedAnswer, ForwardUpgrades, HttpConfig};
use wsbroker_http::{Forwarding, InnerAddress, LeastRate};

use crate::{
    api::{
        metrics_text,
        option_values::{milliseconds, one_of},
    },
    js::{js_error::JsError, raw::Copied},
};

/// Over less time, the lumps in which a client's kernel takes bytes would count as slowness.
const SHORTEST_AVERAGE: Duration = Duration::from_secs(30);

/// A header of a fixed answer.
#[napi(object)]
pub struct NativeHeader {
    /// As HTTP allows it.
    pub name: String,
    /// Printable ASCII.
    pub value: String,
}

/// What is answered on one path.
#[napi(object)]
pub struct NativeAnswer {
    /// The exact path.
    pub path: String,
    /// What it is; `fixed` is what the other members say.
    #[napi(ts_type = "'health' | 'ready' | 'metrics' | 'fixed'")]
    pub kind: String,
    /// 200 to 599.
    pub status: u32,
    /// Beside those that say how long it is.
    pub headers: Vec<NativeHeader>,
    /// Absent is empty.
    #[napi(ts_type = "Buffer")]
    pub body: Option<Copied>,
}

/// How the server behind `forward` knows our requests.
#[napi(object)]
pub struct NativeIdentity {
    /// The name of a header.
    pub name: String,
    /// How its value begins.
    pub secret: String,
    /// It remembers of which client a connection is: it is told once, and when that changes.
    pub once: bool,
}

/// What happens to plain requests. Durations are in milliseconds.
#[napi(object)]
pub struct NativeHttp {
    /// What is answered by the addon.
    pub answers: Vec<NativeAnswer>,
    /// Where all others go: `http://host:port` or `unix:/path`.
    pub forward: Option<String>,
    /// How the server there knows our requests.
    pub identity: Option<NativeIdentity>,
    /// Whether all upgrades that are not ours go there, too.
    pub forward_all_upgrades: bool,
    /// The paths of those that do.
    pub forward_upgrades: Vec<String>,
    /// How long a connection may wait for its next request.
    pub keep_alive_timeout: f64,
    /// How long a body may make no progress.
    pub request_timeout: f64,
    /// How long the server may take to send the head of its response.
    pub forward_timeout: f64,
}

/// # Errors
/// ERR_WSBROKER_INVALID_ARG_VALUE: `forward` is not an address.
pub(crate) fn config(options: NativeHttp) -> Result<HttpConfig, JsError> {
    let forward = options
        .forward
        .map(|to| {
            to.parse::<InnerAddress>().map(|to| Forwarding {
                to,
                head_timeout: milliseconds(options.forward_timeout),
                body_timeout: milliseconds(options.request_timeout),
                least_rate: LeastRate {
                    over: milliseconds(options.request_timeout).max(SHORTEST_AVERAGE),
                    ..LeastRate::default()
                },
            })
        })
        .transpose()
        .map_err(|error| JsError::invalid_value("start", "http.forward", &error))?;
    Ok(HttpConfig {
        answers: options.answers.into_iter().map(answer).collect::<Result<_, _>>()?,
        forward,
        identified_once: options.identity.as_ref().is_some_and(|identity| identity.once),
        identified_by: options.identity.map(|identity| (identity.name, identity.secret)),
        forward_upgrades: if options.forward_all_upgrades {
            ForwardUpgrades::All
        } else if options.forward_upgrades.is_empty() {
            ForwardUpgrades::None
        } else {
            ForwardUpgrades::Paths(options.forward_upgrades)
        },
        keep_alive_timeout: milliseconds(options.keep_alive_timeout),
    })
}

fn answer(options: NativeAnswer) -> Result<(String, FixedAnswer), JsError> {
    #[derive(Clone, Copy)]
    enum AnswerKind {
        Health,
        Ready,
        Metrics,
        Fixed,
    }
    let kinds = [
        ("health", AnswerKind::Health),
        ("ready", AnswerKind::Ready),
        ("metrics", AnswerKind::Metrics),
        ("fixed", AnswerKind::Fixed),
    ];
    let answer = match one_of("answers", &options.kind, &kinds)? {
        AnswerKind::Health => FixedAnswer::Health,
        AnswerKind::Ready => FixedAnswer::Ready,
        AnswerKind::Metrics => FixedAnswer::Metrics(metrics_text::answer()),
        AnswerKind::Fixed => FixedAnswer::Fixed {
            status: options.status as u16,
            headers: options.headers.into_iter().map(|header| (header.name, header.value)).collect(),
            body: options.body.map(|body| Bytes::copy_from_slice(&body)).unwrap_or_default(),
        },
    };
    Ok((options.path, answer))
}
