//! Responses on their way to the client: heads written anew, bodies framed for what the client
//! speaks.

use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use hyper::{
    HeaderMap, StatusCode,
    header::{CONNECTION, CONTENT_LENGTH, UPGRADE},
    http::response::Parts,
};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::{
    head::RequestHead,
    headers::{is_allowed_in_trailers, is_hop_by_hop},
};

/// Pieces of a body up to this length are copied behind what waits, so that they go out in one
/// write.
const COPIED: usize = 8 << 10;
/// Room for the head of most responses.
const HEAD: usize = 512;
/// What may wait before the next piece is taken.
const WAITING: usize = 16 << 10;

/// How the client learns where a response's body ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ResponseLength {
    /// There is no body.
    None,
    /// By its Content-Length.
    Fixed,
    /// By its last chunk.
    Chunked,
    /// By the end of the connection.
    UntilClose,
}

impl ResponseLength {
    /// `exact`: the length, as far as the inner server has said it.
    pub(crate) fn of(request: &RequestHead, status: StatusCode, exact: Option<u64>) -> Self {
        let bodyless = matches!(status.as_u16(), 204 | 304) || status.is_informational();
        if bodyless || request.method == hyper::Method::HEAD {
            Self::None
        } else if exact.is_some() {
            Self::Fixed
        } else if request.minor_version == 0 {
            Self::UntilClose
        } else {
            Self::Chunked
        }
    }
}

/// How the connection goes on behind a response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum AfterResponse {
    KeepAlive,
    Close,
    /// The stream is WebSocket's from here on.
    Switch,
}

/// What waits to be written to the client.
#[derive(Debug, Default)]
pub(crate) struct Output {
    before: BytesMut,
    piece: Bytes,
    behind: &'static [u8],
}

impl Output {
    /// One with room for a head and a body of this length, as far as that is known and copied.
    pub(crate) fn with_room(body: Option<u64>) -> Self {
        let body = body.and_then(|length| usize::try_from(length).ok()).filter(|length| *length <= COPIED);
        Self { before: BytesMut::with_capacity(HEAD + body.unwrap_or(0)), ..Self::default() }
    }

    /// Whether another piece of a body may be put in.
    pub(crate) fn has_room(&self) -> bool {
        self.piece.is_empty() && self.behind.is_empty() && self.before.len() < WAITING
    }

    /// Writes some of it. Nothing is lost when it is cancelled.
    pub(crate) async fn write_to<W: AsyncWrite + Unpin>(&mut self, write: &mut W) -> io::Result<usize> {
        let written = write.write_buf(&mut (&mut self.before).chain(&mut self.piece).chain(&mut self.behind)).await?;
        if written == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(written) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.before.is_empty() && self.piece.is_empty() && self.behind.is_empty()
    }

    /// An interim response (RFC 9110 §15.2).
    pub(crate) fn interim(&mut self, status: StatusCode, headers: &HeaderMap) {
        self.status_line(status);
        self.fields(headers);
        self.before.put_slice(b"\r\n");
    }

    /// The head of the final response.
    pub(crate) fn head(&mut self, request: &RequestHead, parts: &Parts, length: ResponseLength, after: AfterResponse) {
        let options: Vec<String> = parts
            .headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(|option| option.trim_matches([' ', '\t']).to_ascii_lowercase())
            .collect();
        let has_no_length = matches!(length, ResponseLength::Chunked | ResponseLength::UntilClose)
            || after == AfterResponse::Switch
            // RFC 9110 §8.6
            || parts.status == StatusCode::NO_CONTENT;
        self.status_line(parts.status);
        for (name, value) in &parts.headers {
            let is_left_out = is_hop_by_hop(name, &options) || (has_no_length && name == CONTENT_LENGTH);
            if !is_left_out {
                self.field(name.as_str(), value.as_bytes());
            }
        }
        if length == ResponseLength::Chunked {
            self.before.put_slice(b"transfer-encoding: chunked\r\n");
        }
        match (after, request.minor_version) {
            (AfterResponse::Switch, _) => {
                if let Some(upgrade) = parts.headers.get(UPGRADE) {
                    self.field(UPGRADE.as_str(), upgrade.as_bytes());
                }
                self.before.put_slice(b"connection: upgrade\r\n");
            }
            (AfterResponse::Close, _) => self.before.put_slice(b"connection: close\r\n"),
            (AfterResponse::KeepAlive, 0) => self.before.put_slice(b"connection: keep-alive\r\n"),
            (AfterResponse::KeepAlive, _) => {}
        }
        self.before.put_slice(b"\r\n");
    }

    /// A whole response of ours.
    pub(crate) fn answer(&mut self, status: u16, text: &str, is_head: bool) {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        self.status_line(status);
        self.field("content-type", b"text/plain; charset=utf-8");
        self.field("content-length", (text.len() + 1).to_string().as_bytes());
        self.before.put_slice(b"connection: close\r\n\r\n");
        if !is_head {
            self.before.put_slice(text.as_bytes());
            self.before.put_slice(b"\n");
        }
    }

    /// A piece of the body. To be called only while there [is room](Self::has_room).
    pub(crate) fn piece(&mut self, piece: Bytes, length: ResponseLength) {
        if piece.is_empty() || length == ResponseLength::None {
            return;
        }
        let chunked = length == ResponseLength::Chunked;
        if chunked {
            self.before.put_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        }
        let end: &[u8] = if chunked { b"\r\n" } else { b"" };
        if piece.len() <= COPIED {
            self.before.put_slice(&piece);
            self.before.put_slice(end);
        } else {
            self.piece = piece;
            self.behind = end;
        }
    }

    /// The end of a chunked body, with its trailer fields.
    pub(crate) fn last_chunk(&mut self, trailers: Option<HeaderMap>) {
        // What waits in front has to stay in front.
        self.flatten();
        self.before.put_slice(b"0\r\n");
        for (name, value) in trailers.iter().flatten() {
            if is_allowed_in_trailers(name) {
                self.field(name.as_str(), value.as_bytes());
            }
        }
        self.before.put_slice(b"\r\n");
    }

    fn flatten(&mut self) {
        self.before.put_slice(&std::mem::take(&mut self.piece));
        self.before.put_slice(std::mem::take(&mut self.behind));
    }

    fn status_line(&mut self, status: StatusCode) {
        let reason = status.canonical_reason().unwrap_or("Status");
        for part in ["HTTP/1.1 ", status.as_str(), " ", reason, "\r\n"] {
            self.before.put_slice(part.as_bytes());
        }
    }

    fn fields(&mut self, headers: &HeaderMap) {
        for (name, value) in headers {
            self.field(name.as_str(), value.as_bytes());
        }
    }

    fn field(&mut self, name: &str, value: &[u8]) {
        self.before.reserve(name.len() + value.len() + 4);
        for part in [name.as_bytes(), b": ", value, b"\r\n"] {
            self.before.put_slice(part);
        }
    }
}
