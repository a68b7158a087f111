//! The URLs that `--url` takes.

/// The parts of a URL. [`crate::target`] resolves them.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Url<'a> {
    pub(crate) tls: bool,
    pub(crate) authority: Authority<'a>,
    /// Path and query, with the slash in front.
    pub(crate) path: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Authority<'a> {
    /// `host`, `host:port` or `[v6]:port`.
    Host(&'a str),
    /// The file of a Unix domain socket.
    File(&'a str),
}

impl<'a> Url<'a> {
    /// Reads `ws://host:port/path`, or `ws+unix:/file:/path` as `ws` on npm writes it; `wss` likewise.
    ///
    /// # Errors
    /// What is wrong with the URL.
    pub(crate) fn parse(url: &'a str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once(':').unwrap_or(("", url));
        let tls = scheme.starts_with("wss");
        match scheme {
            "ws" | "wss" => {
                let rest = rest.strip_prefix("//").ok_or_else(|| format!("--url must begin with {scheme}://"))?;
                let (host, path) = match rest.find(['/', '?']) {
                    Some(at) => rest.split_at(at),
                    None => (rest, "/"),
                };
                let slash = if path.starts_with('/') { "" } else { "/" };
                Ok(Self { tls, authority: Authority::Host(host), path: format!("{slash}{path}") })
            }
            "ws+unix" | "wss+unix" => {
                let (file, path) = rest.split_once(':').unwrap_or((rest, "/"));
                if file.is_empty() || !path.starts_with('/') {
                    return Err(format!("--url must be {scheme}:/file or {scheme}:/file:/path, got {url}"));
                }
                Ok(Self { tls, authority: Authority::File(file), path: path.to_owned() })
            }
            _ => Err(format!("--url must begin with ws://, wss://, ws+unix: or wss+unix:, got {url}")),
        }
    }

    /// The host without its port and brackets; a file has no host and is `localhost` to TLS and
    /// HTTP.
    pub(crate) fn host(&self) -> &'a str {
        match self.authority {
            Authority::File(_) => "localhost",
            Authority::Host(host) => match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
                Some((address, _)) => address,
                None => host.split_once(':').map_or(host, |(name, _)| name),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url<'a>(tls: bool, authority: Authority<'a>, path: &str) -> Url<'a> {
        Url { tls, authority, path: path.to_owned() }
    }

    #[test]
    fn a_url_is_taken_apart() {
        for (text, expected) in [
            ("ws://127.0.0.1:8000/chat?room=1", url(false, Authority::Host("127.0.0.1:8000"), "/chat?room=1")),
            ("wss://[::1]", url(true, Authority::Host("[::1]"), "/")),
            ("ws://a?b", url(false, Authority::Host("a"), "/?b")),
            ("ws+unix:/run/a.sock", url(false, Authority::File("/run/a.sock"), "/")),
            ("wss+unix:/run/a.sock:/chat?b", url(true, Authority::File("/run/a.sock"), "/chat?b")),
        ] {
            assert_eq!(Url::parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_such_url_is_refused() {
        for text in ["http://127.0.0.1", "ws:/a", "127.0.0.1:80", "ws+unix:", "ws+unix:/a:b", "wsx://a"] {
            assert!(Url::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_host_has_no_port() {
        for (text, host) in [("ws://a.example:1/", "a.example"), ("ws://[::1]:1", "::1"), ("ws+unix:/a", "localhost")] {
            assert_eq!(Url::parse(text).unwrap().host(), host);
        }
    }
}
