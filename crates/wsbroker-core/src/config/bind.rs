//! Where to listen, and how that is written.

use std::{fmt, path::PathBuf, str::FromStr};

use crate::error::BindError;

/// An address to listen on.
///
/// ```
/// use wsbroker_core::Bind;
/// assert_eq!("127.0.0.1:9000".parse(), Ok(Bind::Tcp { host: "127.0.0.1".into(), port: 9000 }));
/// assert_eq!("[::1]:0".parse(), Ok(Bind::Tcp { host: "::1".into(), port: 0 }));
/// assert_eq!("unix:/run/chat.sock".parse(), Ok(Bind::Unix("/run/chat.sock".into())));
/// assert!("127.0.0.1".parse::<Bind>().is_err());
/// assert!("ws://127.0.0.1:80".parse::<Bind>().unwrap_err().to_string().contains("not a URL"));
/// assert!("*:80".parse::<Bind>().unwrap_err().to_string().contains("0.0.0.0"));
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Bind {
    /// `host:port` or `[v6]:port`; port 0 lets the system choose.
    Tcp {
        /// An address or a name that resolves to one.
        host: String,
        /// The port; 0 lets the system choose.
        port: u16,
    },
    /// `unix:/path`.
    Unix(PathBuf),
}

impl FromStr for Bind {
    type Err = BindError;

    fn from_str(text: &str) -> Result<Self, BindError> {
        let wrong = |why: &str| BindError {
            reason: format!("expected \"host:port\", \"[v6]:port\" or \"unix:/path\", got {text:?}: {why}"),
        };
        if let Some(path) = text.strip_prefix("unix:") {
            if path.is_empty() || path.contains('\0') {
                return Err(wrong("the path is empty or contains a NUL byte"));
            }
            return Ok(Self::Unix(path.into()));
        }
        if text.contains("://") {
            return Err(wrong("an address is not a URL"));
        }
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, tail) = rest.split_once(']').ok_or_else(|| wrong("the bracket is not closed"))?;
            let port = tail.strip_prefix(':').ok_or_else(|| wrong("the port is missing"))?;
            if host.parse::<std::net::Ipv6Addr>().is_err() && !host.contains('%') {
                return Err(wrong("there is no IPv6 address in the brackets"));
            }
            (host, port)
        } else {
            let (host, port) = text.rsplit_once(':').ok_or_else(|| wrong("the port is missing"))?;
            if host.contains(':') {
                return Err(wrong("an IPv6 address needs brackets"));
            }
            (host, port)
        };
        if host == "*" {
            return Err(wrong("write 0.0.0.0 or [::] for all addresses"));
        }
        if host.is_empty() || host.chars().any(|c| c.is_whitespace() || c == '/') {
            return Err(wrong("the host is neither an address nor a name"));
        }
        if port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong("the port is not a number"));
        }
        let port = port.parse().map_err(|_| wrong("the port is above 65535"))?;
        Ok(Self::Tcp { host: host.into(), port })
    }
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
