//! Requests that are not WebSocket upgrades: answered here, or forwarded to the application's server.
//!
//! A connection to an address with [`HttpConfig`] may carry many requests, one after the other. Each
//! head is read by the parser that upgrades are read by, within the same limits and with a deadline of
//! its own. While a request is answered, and between two, the connection holds no permit of those that
//! wait to be let in, so that idle ones never keep an upgrade out. A later request may be an upgrade.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};
use wsbroker_http::{Client, Exchange, Forwarding, HeaderName, Inner, Next, RequestHead};

use super::{
    address::{BoundAddress, Route},
    new_connection::NewConnection,
    request::{HeadBuffer, Request},
    response::{self, Refusal},
    socket::Transport,
    upgrade::{self, NotAdmitted},
};
use crate::{admission::Endpoint, error::ListenError};

/// What an address does with requests that are not its WebSocket upgrades.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// What is answered here, by exact path. Default none.
    pub answers: HashMap<String, FixedAnswer>,
    /// Where all other requests go. Default `None`: 426 on a path that is served, 404 elsewhere.
    pub forward: Option<Forwarding>,
    /// The header and its secret value by which the inner server is told of the client; see
    /// [`Client::identified_by`]. Default `None`.
    pub identified_by: Option<(String, String)>,
    /// Which upgrades to WebSocket that are not ours are passed on. Default none: 404.
    pub forward_upgrades: ForwardUpgrades,
    /// How long a connection may wait for its next request. Default 75 s: above the 60 s that load
    /// balancers keep theirs.
    pub keep_alive_timeout: Duration,
}

/// What is answered without asking anybody.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum FixedAnswer {
    /// 200 while the process accepts connections.
    Health,
    /// 200 when sockets can be opened, else 503 with the reasons as JSON.
    Ready,
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
            forward_upgrades: ForwardUpgrades::None,
            keep_alive_timeout: Duration::from_secs(75),
        }
    }
}

/// The plain requests of an address.
#[derive(Debug)]
pub(super) struct PlainService {
    config: HttpConfig,
    identified_by: Option<(HeaderName, String)>,
    /// Of the listener that has set this: requests count into it, and end with it.
    endpoint: Arc<Endpoint>,
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

    fn passes_on_upgrades_to(&self, path: &str) -> bool {
        self.config.forward.is_some()
            && match &self.config.forward_upgrades {
                ForwardUpgrades::None => false,
                ForwardUpgrades::All => true,
                ForwardUpgrades::Paths(paths) => paths.iter().any(|known| known == path),
            }
    }
}

/// A whole head, and what was read behind it.
struct ReadHead {
    bytes: Vec<u8>,
    request: Request,
    behind: Vec<u8>,
}

/// What comes after a request.
enum After {
    /// Another one, whose first bytes may be here.
    Request(BytesMut),
    /// Nothing: the connection has been ended, as far as we are concerned.
    End,
}

/// Serves a connection to its end, or to its upgrade.
pub(super) async fn serve<T: Transport>(mut connection: NewConnection, mut stream: T, service: Arc<PlainService>) {
    let mut inner = None;
    let mut behind = BytesMut::new();
    let mut is_first = true;
    loop {
        if !is_first && !next_request(&mut connection, &mut stream, &service, &mut behind).await {
            return;
        }
        is_first = false;
        let head = match read_head(&connection, &mut stream, &mut behind).await {
            Ok(head) => head,
            Err(out) => return upgrade::end_refused(connection, stream, out).await,
        };
        if head.request.asks_for_websocket() && !service.is_foreign(&connection.address, &head.request.path) {
            if connection.permit.is_reserved() {
                return upgrade::end_refused(connection, stream, upgrade::refuse(Refusal::FULL, None, false)).await;
            }
            let ReadHead { request, behind, .. } = head;
            return upgrade::serve_request(connection, stream, request, behind).await;
        }
        match answer(&mut connection, &mut stream, &service, head, &mut inner).await {
            Ok(After::Request(rest)) => behind = rest,
            Ok(After::End) => return,
            Err(out) => return upgrade::end_refused(connection, stream, out).await,
        }
    }
}

impl PlainService {
    /// Whether an upgrade to this path is the application's and not ours.
    fn is_foreign(&self, address: &BoundAddress, path: &str) -> bool {
        self.passes_on_upgrades_to(path) && matches!(address.route(path), Route::Unknown)
    }
}

/// Waits for the first byte of the next request. False when there is none: the connection is to be cut.
async fn next_request<T: Transport>(
    connection: &mut NewConnection,
    stream: &mut T,
    service: &PlainService,
    behind: &mut BytesMut,
) -> bool {
    if behind.is_empty() {
        behind.reserve(1024);
        let first = tokio::select! {
            biased;
            first = timeout(service.config.keep_alive_timeout, stream.read_buf(behind)) => first,
            () = service.endpoint.closing() => return false,
        };
        if !matches!(first, Ok(Ok(1..))) {
            return false;
        }
    }
    connection.begin_request()
}

/// Reads to the end of a head, within the limits of the address.
async fn read_head<T: Transport>(
    connection: &NewConnection,
    stream: &mut T,
    behind: &mut BytesMut,
) -> Result<ReadHead, NotAdmitted> {
    let head = HeadBuffer::with(connection.address.max_header_size, &behind.split());
    let (bytes, behind) = upgrade::read_head(connection, stream, head).await?;
    let request = upgrade::parse(&bytes)?;
    Ok(ReadHead { bytes, request, behind })
}

/// Answers or forwards one request.
async fn answer<T: Transport>(
    connection: &mut NewConnection,
    stream: &mut T,
    service: &PlainService,
    head: ReadHead,
    inner: &mut Option<Inner>,
) -> Result<After, NotAdmitted> {
    let is_head = head.request.method == "HEAD";
    let no = |refusal: Refusal| upgrade::refuse(refusal, None, is_head);
    let trusted = connection.find_client(&head.request).map_err(no)?;
    let fixed = service.config.answers.get(&head.request.path).filter(|_| !head.request.asks_for_websocket());
    if fixed.is_none() && connection.permit.is_reserved() {
        return Err(no(Refusal::FULL));
    }
    let known = !matches!(connection.address.route(&head.request.path), Route::Unknown);
    let Some(forwarding) = service.config.forward.as_ref().filter(|_| fixed.is_none()) else {
        return match fixed {
            Some(fixed) => give(connection, stream, service, &head, fixed).await,
            None => Err(no(if known { Refusal::NO_UPGRADE } else { Refusal::NOT_FOUND })),
        };
    };
    let Some(_request) = service.endpoint.enter_request() else { return Err(no(Refusal::CLOSING)) };
    let ReadHead { bytes, request, behind } = head;
    let parsed = RequestHead::parse(&bytes).map_err(|error| no(Refusal::of_head(error.status, error.text)))?;
    drop((bytes, request));
    connection.end_waiting();
    let client = Client {
        ip: connection.peer.ip,
        port: connection.peer.port,
        secure: connection.address.is_encrypted(),
        trusted,
        identified_by: service.identified_by.as_ref().map(|(name, value)| (name, value.as_str())),
    };
    let tunnels = parsed.asks_for_websocket;
    let exchange = Exchange { head: parsed, client, forwarding, tunnels };
    let mut behind = BytesMut::from(behind.as_slice());
    let endpoint = &service.endpoint;
    let outcome = exchange.run(stream, &mut behind, inner, || endpoint.is_closed()).await;
    let counters = &connection.broker.metrics.http;
    counters.forwarded(outcome.failure, outcome.received, outcome.sent);
    if outcome.next == Next::Request {
        return Ok(After::Request(behind));
    }
    if outcome.failure.is_none() || outcome.status.is_some_and(|status| status >= 400) {
        let _ = timeout(connection.address.handshake_timeout, stream.shutdown()).await;
        upgrade::linger(stream).await;
    }
    Ok(After::End)
}

/// Writes a fixed answer.
async fn give<T: Transport>(
    connection: &mut NewConnection,
    stream: &mut T,
    service: &PlainService,
    head: &ReadHead,
    fixed: &FixedAnswer,
) -> Result<After, NotAdmitted> {
    let is_head = head.request.method == "HEAD";
    if !is_head && head.request.method != "GET" {
        return Err(upgrade::refuse(Refusal::ANSWER_METHOD, None, false));
    }
    // With a body behind it the next request's place is unknown to us: nobody sends one.
    let keeps = head.request.keeps_alive() && !service.endpoint.is_closed();
    let answer = match fixed {
        FixedAnswer::Health => response::fixed(200, &[], &Bytes::from_static(b"ok\n"), is_head, keeps),
        FixedAnswer::Ready => {
            let reasons = connection.broker.unready_reasons(&service.endpoint);
            let body = if reasons.is_empty() {
                "{\"ready\":true}\n".to_owned()
            } else {
                format!("{{\"ready\":false,\"reasons\":[\"{}\"]}}\n", reasons.join("\",\""))
            };
            let headers = [("Content-Type".to_owned(), "application/json".to_owned())];
            response::fixed(if reasons.is_empty() { 200 } else { 503 }, &headers, &body.into(), is_head, keeps)
        }
        FixedAnswer::Fixed { status, headers, body } => response::fixed(*status, headers, body, is_head, keeps),
    };
    connection.end_waiting();
    connection.broker.metrics.http.answered();
    let within = connection.address.handshake_timeout;
    let written = matches!(timeout(within, upgrade::write_open(stream, answer)).await, Ok(Ok(())));
    if written && keeps {
        return Ok(After::Request(BytesMut::from(head.behind.as_slice())));
    }
    if written {
        let _ = timeout(within, stream.shutdown()).await;
        upgrade::linger(stream).await;
    }
    Ok(After::End)
}
