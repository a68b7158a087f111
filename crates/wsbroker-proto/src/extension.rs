//! Negotiating permessage-deflate (RFC 7692, section 7.1) in `Sec-WebSocket-Extensions` (RFC 6455,
//! section 9.1).

use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroU8;

const NAME: &[u8] = b"permessage-deflate";
const SERVER_NO_CONTEXT_TAKEOVER: &[u8] = b"server_no_context_takeover";
const CLIENT_NO_CONTEXT_TAKEOVER: &[u8] = b"client_no_context_takeover";
const SERVER_MAX_WINDOW_BITS: &[u8] = b"server_max_window_bits";
const CLIENT_MAX_WINDOW_BITS: &[u8] = b"client_max_window_bits";

/// How far back compressed data may refer: 2 to the power of this many bytes, 9 to 15. One byte,
/// also as an `Option`.
///
/// RFC 7692 knows 8 as well. No zlib can compress for that window, so it is never agreed on.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct WindowBits(NonZeroU8);

impl WindowBits {
    /// 9: 512 bytes.
    pub const MIN: Self = Self::from_bits(9);
    /// 15: 32 KiB, what holds when nothing else is agreed on.
    pub const MAX: Self = Self::from_bits(15);
    /// How many sizes there are.
    pub const COUNT: usize = 7;

    const fn from_bits(bits: u8) -> Self {
        match NonZeroU8::new(bits) {
            Some(bits) => Self(bits),
            None => panic!("window bits are 9 to 15"),
        }
    }

    /// `None` outside of 9 to 15.
    pub const fn new(bits: u8) -> Option<Self> {
        if matches!(bits, 9..=15) { Some(Self::from_bits(bits)) } else { None }
    }

    /// The number.
    pub const fn get(self) -> u8 {
        self.0.get()
    }

    /// Its place among all sizes, from 0, below [`COUNT`](Self::COUNT).
    pub const fn index(self) -> usize {
        (self.get() - Self::MIN.get()) as usize
    }

    /// The window to compress `len` bytes with for a receiver that has this one. What fits into the
    /// receiver's window cannot refer to what lies outside of it, so the largest serves: short
    /// messages are the same for all receivers.
    ///
    /// ```
    /// use wsbroker_proto::WindowBits;
    ///
    /// assert_eq!(WindowBits::MIN.for_message(512), WindowBits::MAX);
    /// assert_eq!(WindowBits::MIN.for_message(513), WindowBits::MIN);
    /// ```
    #[inline]
    pub const fn for_message(self, len: usize) -> Self {
        if len <= 1 << self.get() { Self::MAX } else { self }
    }

    /// A decimal number without leading zeros (RFC 7692, section 7.1.2).
    fn parse(text: &[u8]) -> Option<Self> {
        match *text {
            [digit @ b'0'..=b'9'] => Self::new(digit - b'0'),
            [b'1', digit @ b'0'..=b'9'] => Self::new(10 + digit - b'0'),
            _ => None,
        }
    }
}

/// What server and client agreed on: permessage-deflate, without context takeover in either
/// direction, so that no connection needs a state of its own between messages.
///
/// As text, the value of the answer's `Sec-WebSocket-Extensions` header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Agreement {
    server_window: Option<WindowBits>,
    client_window: Option<WindowBits>,
}

impl Agreement {
    /// The window the server compresses with at most.
    pub fn server_window(&self) -> WindowBits {
        self.server_window.unwrap_or(WindowBits::MAX)
    }

    /// The window the client compresses with at most.
    pub fn client_window(&self) -> WindowBits {
        self.client_window.unwrap_or(WindowBits::MAX)
    }
}

impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("permessage-deflate; server_no_context_takeover; client_no_context_takeover")?;
        if let Some(window) = self.server_window {
            write!(f, "; server_max_window_bits={}", window.get())?;
        }
        if let Some(window) = self.client_window {
            write!(f, "; client_max_window_bits={}", window.get())?;
        }
        Ok(())
    }
}

/// Why extensions could not be negotiated.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ExtensionError {
    /// Not a list of extensions (RFC 6455, section 9.1): the handshake must be failed.
    #[error("Sec-WebSocket-Extensions is malformed")]
    Malformed,
    /// The server's answer is not one to our offer (RFC 7692, section 7.1): the client must fail
    /// the connection.
    #[error("the extensions that the server answered with are not those that were offered")]
    Mismatch,
}

/// The server's side: picks the first acceptable offer of permessage-deflate from a request's
/// `Sec-WebSocket-Extensions` headers, in their order. `None`: no agreement, and the answer has no
/// such header.
///
/// Other extensions are passed over. An offer with a parameter that is unknown, repeated, without
/// the value it needs, with a value it must not have, or with a window of 8 bits, is declined (RFC
/// 7692, section 7.1); the next is tried. The answer limits our window where the offer did, and
/// repeats a limit that the client set to its own.
///
/// # Errors
/// [`ExtensionError::Malformed`], also when an acceptable offer came before.
///
/// ```
/// let agreed = wsbroker_proto::negotiate([&b"permessage-deflate; client_max_window_bits"[..]])?.expect("a plain offer");
/// assert_eq!(agreed.to_string(), "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
/// # Ok::<(), wsbroker_proto::ExtensionError>(())
/// ```
pub fn negotiate<'a>(headers: impl IntoIterator<Item = &'a [u8]>) -> Result<Option<Agreement>, ExtensionError> {
    let mut agreed = None;
    for header in headers {
        let mut list = List { rest: header };
        while let Some((name, params)) = list.next_with_params()? {
            if name == NAME && agreed.is_none() && !params.invalid {
                agreed = Some(Agreement {
                    server_window: params.server_window,
                    client_window: params.client_window.flatten(),
                });
            }
        }
    }
    Ok(agreed)
}

/// The client's side: an offer of permessage-deflate without context takeover.
///
/// As text, the value of the request's `Sec-WebSocket-Extensions` header.
///
/// ```
/// use wsbroker_proto::{Offer, WindowBits, negotiate};
///
/// let offer = Offer { server_window: WindowBits::new(10), client_window: Some(WindowBits::MAX) };
/// let answer = negotiate([offer.to_string().as_bytes()])?.expect("all offers of this type are acceptable");
/// let agreed = offer.agree([answer.to_string().as_bytes()])?.expect("the server takes part");
/// assert_eq!((agreed.server_window().get(), agreed.client_window().get()), (10, 15));
/// # Ok::<(), wsbroker_proto::ExtensionError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Offer {
    /// Asks the server for a window of at most this size. `None`: any.
    pub server_window: Option<WindowBits>,
    /// Allows the server to set a limit to our window, which is this at most. `None`: it may not,
    /// and ours is 15.
    pub client_window: Option<WindowBits>,
}

impl Offer {
    /// Checks the answer's `Sec-WebSocket-Extensions` headers. `None`: the server takes no part in
    /// compression.
    ///
    /// # Errors
    /// [`ExtensionError`], when the server accepted something else than was offered: another
    /// extension, context takeover, a window that is larger, or one of 8 bits, which we cannot
    /// compress for.
    pub fn agree<'a>(&self, headers: impl IntoIterator<Item = &'a [u8]>) -> Result<Option<Agreement>, ExtensionError> {
        let mut agreed = None;
        for header in headers {
            let mut list = List { rest: header };
            while let Some((name, params)) = list.next_with_params()? {
                if name != NAME || agreed.is_some() {
                    return Err(ExtensionError::Mismatch);
                }
                agreed = Some(self.check(&params).ok_or(ExtensionError::Mismatch)?);
            }
        }
        Ok(agreed)
    }

    fn check(&self, params: &Params) -> Option<Agreement> {
        if params.invalid || !params.server_no_context_takeover {
            return None;
        }
        let server_window = match (self.server_window, params.server_window) {
            (None, answer) => answer,
            (Some(most), Some(answer)) if answer <= most => Some(answer),
            (Some(_), _) => return None,
        };
        let client_window = match (self.client_window, params.client_window) {
            (most, None) => most,
            // In an answer the value is not optional (section 7.1.2.2).
            (Some(most), Some(Some(answer))) => Some(answer.min(most)),
            _ => return None,
        };
        Some(Agreement { server_window, client_window })
    }
}

impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("permessage-deflate; server_no_context_takeover; client_no_context_takeover")?;
        if let Some(window) = self.server_window {
            write!(f, "; server_max_window_bits={}", window.get())?;
        }
        match self.client_window {
            None => Ok(()),
            Some(WindowBits::MAX) => f.write_str("; client_max_window_bits"),
            Some(window) => write!(f, "; client_max_window_bits={}", window.get()),
        }
    }
}

/// The parameters of one permessage-deflate (RFC 7692, section 7.1).
#[derive(Default)]
struct Params {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_window: Option<WindowBits>,
    /// In an offer it may come without a value.
    client_window: Option<Option<WindowBits>>,
    /// One was unknown, repeated, or had a value that it must not have.
    invalid: bool,
}

impl Params {
    fn take(&mut self, name: &[u8], value: Option<&[u8]>) {
        let valid = match (name, value) {
            (SERVER_NO_CONTEXT_TAKEOVER, None) => !std::mem::replace(&mut self.server_no_context_takeover, true),
            (CLIENT_NO_CONTEXT_TAKEOVER, None) => !std::mem::replace(&mut self.client_no_context_takeover, true),
            (SERVER_MAX_WINDOW_BITS, Some(value)) => {
                let window = WindowBits::parse(value);
                window.is_some() && std::mem::replace(&mut self.server_window, window).is_none()
            }
            (CLIENT_MAX_WINDOW_BITS, value) => {
                let window = value.map(WindowBits::parse);
                window != Some(None) && self.client_window.replace(window.flatten()).is_none()
            }
            _ => false,
        };
        self.invalid |= !valid;
    }
}

/// A cursor over an extension list. `rest` never begins with white space between two calls.
///
/// The grammar is that of RFC 6455, section 9.1, with the list rule and the implied white space of
/// RFC 2616, section 2.1: elements of a list may be empty.
struct List<'a> {
    rest: &'a [u8],
}

impl<'a> List<'a> {
    /// The next extension, with all its parameters.
    fn next_with_params(&mut self) -> Result<Option<(&'a [u8], Params)>, ExtensionError> {
        let Some(extension) = self.next_extension()? else { return Ok(None) };
        let mut params = Params::default();
        while let Some((name, value)) = self.next_param()? {
            params.take(name, value.as_deref());
        }
        Ok(Some((extension, params)))
    }

    /// The name of the next extension; its parameters must be taken before the one after it.
    fn next_extension(&mut self) -> Result<Option<&'a [u8]>, ExtensionError> {
        self.skip_space();
        while self.eat(b',') {}
        if self.rest.is_empty() { Ok(None) } else { self.token().map(Some) }
    }

    /// The next parameter of the extension.
    #[expect(clippy::type_complexity, reason = "a name and a value")]
    fn next_param(&mut self) -> Result<Option<(&'a [u8], Option<Cow<'a, [u8]>>)>, ExtensionError> {
        if matches!(self.rest, [] | [b',', ..]) {
            return Ok(None);
        }
        if !self.eat(b';') {
            return Err(ExtensionError::Malformed);
        }
        let name = self.token()?;
        let value = if self.eat(b'=') { Some(self.value()?) } else { None };
        Ok(Some((name, value)))
    }

    fn skip_space(&mut self) {
        let len = self.rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        self.rest = self.rest.get(len..).unwrap_or_default();
    }

    /// Takes `byte` and the white space behind it, if it is next.
    fn eat(&mut self, byte: u8) -> bool {
        match self.rest.split_first() {
            Some((&first, rest)) if first == byte => {
                self.rest = rest;
                self.skip_space();
                true
            }
            _ => false,
        }
    }

    /// Takes a token and the white space behind it.
    fn token(&mut self) -> Result<&'a [u8], ExtensionError> {
        let len = self.rest.iter().take_while(|byte| is_token(**byte)).count();
        let (token, rest) = self.rest.split_at(len);
        if token.is_empty() {
            return Err(ExtensionError::Malformed);
        }
        self.rest = rest;
        self.skip_space();
        Ok(token)
    }

    /// Takes a token, or a quoted string that is one once its quotes and backslashes are gone.
    fn value(&mut self) -> Result<Cow<'a, [u8]>, ExtensionError> {
        let Some(quoted) = self.rest.strip_prefix(b"\"") else {
            return self.token().map(Cow::Borrowed);
        };
        let mut value = Cow::Borrowed(&quoted[..0]);
        let mut rest = quoted.iter().enumerate();
        while let Some((at, &byte)) = rest.next() {
            let byte = match byte {
                b'"' if value.is_empty() => return Err(ExtensionError::Malformed),
                b'"' => {
                    self.rest = quoted.get(at + 1..).unwrap_or_default();
                    self.skip_space();
                    return Ok(value);
                }
                b'\\' => {
                    let Some((_, &escaped)) = rest.next() else { break };
                    // From here on it is not a part of the header.
                    value.to_mut();
                    escaped
                }
                byte => byte,
            };
            if !is_token(byte) {
                return Err(ExtensionError::Malformed);
            }
            match &mut value {
                Cow::Borrowed(value) => *value = quoted.get(..=at).unwrap_or_default(),
                Cow::Owned(value) => value.push(byte),
            }
        }
        // No closing quote.
        Err(ExtensionError::Malformed)
    }
}

/// A character of a token (RFC 2616, section 2.2): visible ASCII without separators.
const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}

#[cfg(test)]
mod tests;
