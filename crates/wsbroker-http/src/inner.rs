//! The application's own HTTP server, and a connection to it.

use std::{
    fmt,
    future::poll_fn,
    io,
    pin::{Pin, pin},
    str::FromStr,
    task::{Context, Poll, ready},
};

use bytes::BytesMut;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    net::TcpStream,
};

#[cfg(unix)]
use crate::unix_stream::QuietUnixStream;
use crate::{headers::ClientFields, output::Output};

/// Where the application's server listens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum InnerAddress {
    /// `http://host:port`
    Tcp(String, u16),
    /// `unix:/path`
    #[cfg(unix)]
    Unix(std::path::PathBuf),
}

/// What is wrong with an address to forward to.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct InnerAddressError(String);

impl FromStr for InnerAddress {
    type Err = InnerAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |why: &str| {
            Err(InnerAddressError(format!("{why}; expected http://host:port or unix:/path/to/socket, got {text:?}")))
        };
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").filter(|path| path.starts_with('/')).unwrap_or(path);
            #[cfg(unix)]
            return if path.is_empty() { wrong("the path is missing") } else { Ok(Self::Unix(path.into())) };
            #[cfg(not(unix))]
            return wrong(&format!("this system has no unix sockets ({path})"));
        }
        let Some(authority) = text.strip_prefix("http://") else {
            return wrong(if text.starts_with("https:") {
                "TLS to the inner server is not supported"
            } else {
                "this is not an address to forward to"
            });
        };
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        if authority.contains(['/', '?', '#', '@']) {
            return wrong("an address to forward to has no path, query or user: paths pass unchanged");
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => match port.parse() {
                Ok(port @ 1..) => (host, port),
                _ => return wrong("the port is not a number from 1 to 65535"),
            },
            _ => (authority, 80),
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if host.is_empty() { wrong("the host is missing") } else { Ok(Self::Tcp(host.to_owned(), port)) }
    }
}

impl fmt::Display for InnerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "http://[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "http://{host}:{port}"),
            #[cfg(unix)]
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Room for what is read from the inner server: first, and at most, once a response fills it.
const ROOM: (usize, usize) = (4 << 10, 64 << 10);

/// A connection to the application's server. It belongs to one connection of a client: requests of
/// two clients never share one.
#[derive(Debug)]
pub struct Inner {
    pub(crate) stream: InnerStream,
    /// What was read and not yet passed on.
    pub(crate) input: BytesMut,
    /// What is to be read at once.
    room: usize,
    /// What waits to be sent to the inner server, and to the client. They lie here to be used again
    /// with the next request.
    pub(crate) up: Output,
    pub(crate) down: Output,
    /// Whether a request has been answered here already.
    pub(crate) is_used: bool,
    /// What the inner server was told of the client with the request before.
    pub(crate) client: Option<ClientFields>,
}

impl Inner {
    /// Opens one.
    pub(crate) async fn connect(address: &InnerAddress) -> io::Result<Self> {
        let stream = match address {
            InnerAddress::Tcp(host, port) => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                stream.set_nodelay(true)?;
                InnerStream::Tcp(stream)
            }
            #[cfg(unix)]
            InnerAddress::Unix(path) => InnerStream::Unix(QuietUnixStream::connect(path).await?),
        };
        Ok(Self {
            stream,
            input: BytesMut::new(),
            room: ROOM.0,
            up: Output::default(),
            down: Output::default(),
            is_used: false,
            client: None,
        })
    }

    /// Reads what there is. 0 at the end of the stream.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.input.reserve(self.room.min(ROOM.1));
        let read = ready!(pin!(self.stream.read_buf(&mut self.input)).poll(cx))?;
        if read >= self.room && self.room < ROOM.1 {
            self.room *= 4;
        }
        Poll::Ready(Ok(read))
    }

    /// Makes it ready for the next request: much room is given back.
    pub(crate) fn rest(&mut self) {
        self.up.clear();
        self.down.clear();
        if self.room > ROOM.0 {
            self.room = ROOM.0;
            self.input = BytesMut::new();
        }
    }

    /// Whether another request can be sent here, as far as is known by now: the server has neither
    /// ended the connection nor said something that nobody asked for.
    pub(crate) async fn is_open(&mut self) -> bool {
        self.input.is_empty() && poll_fn(|cx| Poll::Ready(self.poll_read(cx).is_pending())).await
    }
}

/// A stream to the inner server.
#[derive(Debug)]
pub(crate) enum InnerStream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(QuietUnixStream),
}

impl AsyncRead for InnerStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for InnerStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            #[cfg(unix)]
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_shown() {
        for (text, shown) in [
            ("http://127.0.0.1:3001", "http://127.0.0.1:3001"),
            ("http://localhost:3001/", "http://localhost:3001"),
            ("http://app", "http://app:80"),
            ("http://[::1]:80", "http://[::1]:80"),
            #[cfg(unix)]
            ("unix:/run/app.sock", "unix:/run/app.sock"),
            #[cfg(unix)]
            ("unix:///run/app.sock", "unix:/run/app.sock"),
        ] {
            assert_eq!(text.parse::<InnerAddress>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn a_wrong_address_says_what_is_wrong() {
        for (text, why) in [
            ("https://a:1", "TLS"),
            ("127.0.0.1:3001", "not an address"),
            ("http://", "host"),
            ("http://a:0", "port"),
            ("http://a:70000", "port"),
            ("http://a:1/path", "no path"),
            ("http://u@a:1", "user"),
            ("unix:", "path"),
        ] {
            let error = text.parse::<InnerAddress>().unwrap_err().to_string();
            assert!(error.contains(why) && error.contains(text), "{error}");
        }
    }
}
