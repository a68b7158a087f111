//! What an address does with requests that are not WebSocket upgrades.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use wsbroker_http::{Forwarding, HeaderName};

use crate::{admission::Endpoint, counters::Scrape, error::ListenError};

/// What an address does with requests that are not its WebSocket upgrades.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// What is answered here, by exact path. Default none.
    pub answers: HashMap<String, FixedAnswer>,
    /// Where all other requests go. Default `None`: 426 on a path that is served, 404 elsewhere.
    pub forward: Option<Forwarding>,
    /// The header and its secret value by which the inner server is told of the client; see
    /// [`Client::identified_by`](wsbroker_http::Client::identified_by). Default `None`.
    pub identified_by: Option<(String, String)>,
    /// See [`Client::identified_once`]. Default false.
    pub identified_once: bool,
    /// Which upgrades to WebSocket that are not ours are passed on. Default none: 404.
    pub forward_upgrades: ForwardUpgrades,
    /// How long a connection may wait for its next request. Default 75 s: above the 60 s that load
    /// balancers keep theirs.
    pub keep_alive_timeout: Duration,
}

/// What is answered without asking anybody.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FixedAnswer {
    /// 200 while the process accepts connections.
    Health,
    /// 200 when sockets can be opened, else 503 with the reasons as JSON.
    Ready,
    /// 200 with the numbers of the broker, as text.
    Metrics(MetricsAnswer),
    /// Always this.
    Fixed {
        /// 200 to 599.
        status: u16,
        /// Beside those that say how long it is and how the connection goes on.
        headers: Vec<(String, String)>,
        /// What it says.
        body: Bytes,
    },
}

/// Writes the numbers of a broker down, for [`FixedAnswer::Metrics`].
#[derive(Clone)]
pub struct MetricsAnswer(Arc<WriteMetrics>);

type WriteMetrics = dyn Fn(Scrape, &str) -> MetricsText + Send + Sync;

/// A body, and what it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MetricsText {
    /// Its `Content-Type`.
    pub content_type: &'static str,
    /// The text.
    pub text: String,
}

impl MetricsAnswer {
    /// `write` gets the numbers of the broker, and the value of the request's `Accept` header,
    /// empty if there is none. It must not wait for anything.
    pub fn new(write: impl Fn(Scrape, &str) -> MetricsText + Send + Sync + 'static) -> Self {
        Self(Arc::new(write))
    }

    pub(super) fn write(&self, scrape: Scrape, accept: &str) -> MetricsText {
        (self.0)(scrape, accept)
    }
}

impl fmt::Debug for MetricsAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricsAnswer").finish_non_exhaustive()
    }
}

/// Which upgrades that are not ours are passed on to the application's server.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum ForwardUpgrades {
    /// None.
    #[default]
    None,
    /// All.
    All,
    /// Those to these exact paths.
    Paths(Vec<String>),
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            answers: HashMap::new(),
            forward: None,
            identified_by: None,
            identified_once: false,
            forward_upgrades: ForwardUpgrades::None,
            keep_alive_timeout: Duration::from_secs(75),
        }
    }
}

/// The plain requests of an address.
#[derive(Debug)]
pub(super) struct PlainService {
    pub(super) config: HttpConfig,
    pub(super) identified_by: Option<(HeaderName, String)>,
    /// Of the listener that has set this: requests count into it, and end with it.
    pub(super) endpoint: Arc<Endpoint>,
}

impl PlainService {
    /// # Errors
    /// [`ListenError::Http`]: the header that tells of the client is not one.
    pub(super) fn new(config: &HttpConfig, endpoint: &Arc<Endpoint>) -> Result<Self, ListenError> {
        let identified_by = match &config.identified_by {
            None => None,
            Some((name, value)) => {
                let name = name.parse().map_err(|_| ListenError::Http(format!("{name:?} is not a header name")))?;
                Some((name, value.clone()))
            }
        };
        Ok(Self { config: config.clone(), identified_by, endpoint: Arc::clone(endpoint) })
    }

    pub(super) fn has_answers(&self) -> bool {
        !self.config.answers.is_empty()
    }

    pub(super) fn passes_on_upgrades_to(&self, path: &str) -> bool {
        self.config.forward.is_some()
            && match &self.config.forward_upgrades {
                ForwardUpgrades::None => false,
                ForwardUpgrades::All => true,
                ForwardUpgrades::Paths(paths) => paths.iter().any(|known| known == path),
            }
    }
}
