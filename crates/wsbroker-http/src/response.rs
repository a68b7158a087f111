//! The head of a response: what the inner server says, and how it is written anew for the client.

use std::mem::MaybeUninit;

use http::{Method, StatusCode};
use httparse::{Header, ParserConfig, Response, Status};

use crate::{
    failure::{Failure, Step},
    head::RequestHead,
    headers::is_hop_by_hop,
    output::Output,
};

/// The head of a response, in bytes.
const MAX_RESPONSE_HEAD: usize = 256 << 10;
/// Fields of one response.
pub(crate) const MAX_FIELDS: usize = 100;

/// Room for the fields of a response while it is read.
pub(crate) type FieldRoom<'b> = [MaybeUninit<Header<'b>>; MAX_FIELDS];

/// Where a response's body ends, as its head says (RFC 9112 §6.3). Whether there is one is another
/// question.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum StatedLength {
    Fixed(u64),
    Chunked,
    /// With the connection.
    UntilClose,
}

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
    pub(crate) fn of(request: &RequestHead, status: StatusCode, stated: StatedLength) -> Self {
        if matches!(status.as_u16(), 204 | 304) || request.method == Method::HEAD {
            Self::None
        } else if matches!(stated, StatedLength::Fixed(_)) {
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

/// A head as the inner server wrote it.
#[derive(Debug)]
pub(crate) struct ResponseHead<'h, 'b> {
    pub(crate) status: StatusCode,
    pub(crate) stated: StatedLength,
    /// Whether the inner server lets its connection be used again.
    pub(crate) keep_alive: bool,
    /// Bytes of it.
    pub(crate) length: usize,
    fields: &'h [Header<'b>],
    /// Fields that Connection lists, beside those that are never passed on.
    options: Vec<&'b str>,
}

impl<'h, 'b> ResponseHead<'h, 'b> {
    /// Reads a head from the front of `bytes`. `None` when there is more of it to come.
    ///
    /// # Errors
    /// [`Failure::Broken`]: it is not one, or it can be understood in two ways.
    pub(crate) fn parse(bytes: &'b [u8], room: &'h mut FieldRoom<'b>) -> Step<Option<Self>> {
        let broken = |why: &str| {
            tracing::debug!(why, "a response is refused");
            Failure::Broken
        };
        let mut parsed = Response::new(&mut []);
        let length = match ParserConfig::default().parse_response_with_uninit_headers(&mut parsed, bytes, room) {
            Ok(Status::Complete(length)) if length <= MAX_RESPONSE_HEAD => length,
            Ok(Status::Partial) if bytes.len() < MAX_RESPONSE_HEAD => return Ok(None),
            Ok(_) => return Err(broken("its head is too large")),
            Err(error) => return Err(broken(&error.to_string())),
        };
        let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or(Failure::Broken)?;
        let fields: &'h [Header<'b>] = parsed.headers;
        let mut keep_alive = parsed.version == Some(1);
        let (mut options, mut coding, mut size) = (Vec::new(), None, None);
        for field in fields {
            if field.name.eq_ignore_ascii_case("connection") {
                let listed = std::str::from_utf8(field.value).map_err(|_| broken("its Connection is unreadable"))?;
                for option in listed.split(',').map(|option| option.trim_matches([' ', '\t'])) {
                    match option {
                        _ if option.eq_ignore_ascii_case("close") => keep_alive = false,
                        // A connection of HTTP/1.0 is used once, whatever it says.
                        _ if is_hop_by_hop(option, &[]) => {}
                        _ => options.push(option),
                    }
                }
            } else if field.name.eq_ignore_ascii_case("transfer-encoding") && coding.replace(field.value).is_some() {
                return Err(broken("it has more than one Transfer-Encoding"));
            } else if field.name.eq_ignore_ascii_case("content-length") && size.replace(field.value).is_some() {
                return Err(broken("it has more than one Content-Length"));
            }
        }
        let stated = match (coding, size) {
            (Some(_), _) if parsed.version != Some(1) => return Err(broken("HTTP/1.0 has no Transfer-Encoding")),
            (Some(coding), _) if coding.eq_ignore_ascii_case(b"chunked") => StatedLength::Chunked,
            (Some(_), _) => return Err(broken("its Transfer-Encoding is not chunked alone")),
            (None, Some(digits)) => StatedLength::Fixed(
                crate::head::fixed(digits).ok_or_else(|| broken("its Content-Length is no number"))?,
            ),
            (None, None) => StatedLength::UntilClose,
        };
        Ok(Some(Self { status, stated, keep_alive, length, fields, options }))
    }

    /// An interim response (RFC 9110 §15.2).
    pub(crate) fn write_interim(&self, output: &mut Output) {
        output.status_line(self.status);
        self.write_fields(output, true);
        output.put(b"\r\n");
    }

    /// The final response.
    pub(crate) fn write(
        &self,
        request: &RequestHead,
        length: ResponseLength,
        after: AfterResponse,
        output: &mut Output,
    ) {
        output.reserve(self.length + 64);
        // Of two lengths the chunks count. RFC 9110 §8.6: 204 has none.
        let has_no_length = !matches!(self.stated, StatedLength::Fixed(_))
            || matches!(length, ResponseLength::Chunked | ResponseLength::UntilClose)
            || after == AfterResponse::Switch
            || self.status == StatusCode::NO_CONTENT;
        output.status_line(self.status);
        self.write_fields(output, has_no_length);
        if length == ResponseLength::Chunked {
            output.put(b"transfer-encoding: chunked\r\n");
        }
        match (after, request.minor_version) {
            (AfterResponse::Switch, _) => {
                if let Some(upgrade) = self.fields.iter().find(|field| field.name.eq_ignore_ascii_case("upgrade")) {
                    output.field(upgrade.name, upgrade.value);
                }
                output.put(b"connection: upgrade\r\n");
            }
            (AfterResponse::Close, _) => output.put(b"connection: close\r\n"),
            (AfterResponse::KeepAlive, 0) => output.put(b"connection: keep-alive\r\n"),
            (AfterResponse::KeepAlive, _) => {}
        }
        output.put(b"\r\n");
    }

    /// The fields that are not of one connection only.
    pub(crate) fn end_to_end(&self) -> impl Iterator<Item = &Header<'b>> {
        self.fields.iter().filter(|field| !is_hop_by_hop(field.name, &self.options))
    }

    fn write_fields(&self, output: &mut Output, without_length: bool) {
        for field in self.end_to_end() {
            if !(without_length && field.name.eq_ignore_ascii_case("content-length")) {
                output.field(field.name, field.value);
            }
        }
    }
}

impl Output {
    fn status_line(&mut self, status: StatusCode) {
        let reason = status.canonical_reason().unwrap_or("Status");
        for part in ["HTTP/1.1 ", status.as_str(), " ", reason, "\r\n"] {
            self.put(part.as_bytes());
        }
    }

    /// A whole response of ours, behind which the connection ends.
    pub(crate) fn answer(&mut self, status: u16, text: &str, is_head: bool) {
        self.status_line(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
        self.put(b"content-type: text/plain; charset=utf-8\r\ncontent-length: ");
        self.number(text.len() as u64 + 1);
        self.put(b"\r\nconnection: close\r\n\r\n");
        if !is_head {
            self.put(text.as_bytes());
            self.put(b"\n");
        }
    }
}
