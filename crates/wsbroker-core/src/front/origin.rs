//! Which pages may open connections: the `Origin` that a browser sends (RFC 6454 §7), against a
//! list.
//!
//! This keeps foreign pages from using a visitor's cookies here. It keeps out no client that writes
//! its requests itself.

use std::{borrow::Cow, collections::HashSet};

/// Longer than any origin that a name of at most 253 bytes can be in.
const LONGEST: usize = 512;

/// A list of origins.
#[derive(Debug, Default)]
pub(super) struct Origins {
    any: bool,
    null: bool,
    exact: HashSet<Origin<'static>>,
    /// What follows `*.` in an entry.
    suffixes: Vec<Origin<'static>>,
}

/// An origin in pieces, in lower case. The port is one that differs from the default of the scheme,
/// which browsers leave out.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Origin<'a> {
    scheme: Cow<'a, str>,
    host: Cow<'a, str>,
    port: Option<u16>,
}

impl Origins {
    /// Reads a list: `https://a.example`, `https://a.example:8443`, `https://*.a.example` for all
    /// below that name at any depth but not itself, `null` for what browsers send where a page has
    /// no origin, `*` for all.
    ///
    /// # Errors
    /// The entry that is invalid, and why.
    pub(super) fn parse(list: &[String]) -> Result<Self, (&str, &'static str)> {
        let mut origins = Self::default();
        for entry in list {
            match entry.as_str() {
                "*" => origins.any = true,
                "null" => origins.null = true,
                text => {
                    let lower = text.to_ascii_lowercase();
                    let star = lower.split_once("://*.").map(|(scheme, rest)| format!("{scheme}://{rest}"));
                    let below = star.is_some();
                    let origin =
                        Origin::parse(star.as_ref().unwrap_or(&lower)).map_err(|why| (text, why))?.into_owned();
                    if !below {
                        origins.exact.insert(origin);
                    } else if origin.host.starts_with('[') || origin.host.parse::<std::net::Ipv4Addr>().is_ok() {
                        return Err((text, "an address has no subdomains"));
                    } else {
                        origins.suffixes.push(origin);
                    }
                }
            }
        }
        Ok(origins)
    }

    /// Whether a page of this origin is let in. What is not an origin is not, unless all are.
    pub(super) fn contains(&self, text: &str) -> bool {
        if self.any || text.len() > LONGEST {
            return self.any;
        }
        if text == "null" {
            return self.null;
        }
        let lower = text.to_ascii_lowercase();
        let Ok(origin) = Origin::parse(&lower) else { return false };
        self.exact.contains(&origin) || self.suffixes.iter().any(|suffix| origin.is_below(suffix))
    }
}

impl<'a> Origin<'a> {
    /// Takes an origin in lower case apart.
    fn parse(text: &'a str) -> Result<Self, &'static str> {
        let (scheme, authority) =
            text.split_once("://").ok_or("an origin begins with a scheme, as in https://a.example")?;
        let named = scheme.starts_with(|first: char| first.is_ascii_lowercase())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        if !named {
            return Err("its scheme is invalid");
        }
        let end = if authority.starts_with('[') {
            authority.find(']').map_or(authority.len(), |end| end + 1)
        } else {
            authority.find(':').unwrap_or(authority.len())
        };
        let (host, port) = authority.split_at(end);
        if authority.contains(['/', '?', '#', '@']) {
            return Err("an origin ends behind host and port, without a slash, and names no user");
        }
        if !host.is_ascii() {
            return Err("browsers send such a name in its ASCII form, xn--...");
        }
        let address = host
            .strip_prefix('[')
            .map(|rest| rest.strip_suffix(']').is_some_and(|ip| ip.parse::<std::net::Ipv6Addr>().is_ok()));
        let name = || {
            !host.starts_with('.')
                && !host.contains("..")
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
        };
        if host.is_empty() || !address.unwrap_or_else(name) {
            return Err("its host is invalid; a * is for whole labels at the beginning, as in https://*.a.example");
        }
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => None,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(digits.parse().map_err(|_| "its port is not a number from 0 to 65535")?)
            }
            _ => return Err("its port is not a number from 0 to 65535"),
        };
        let default = match scheme {
            "http" | "ws" => Some(80),
            "https" | "wss" => Some(443),
            _ => None,
        };
        Ok(Self { scheme: scheme.into(), host: host.into(), port: port.filter(|_| port != default) })
    }

    fn into_owned(self) -> Origin<'static> {
        Origin { scheme: self.scheme.into_owned().into(), host: self.host.into_owned().into(), port: self.port }
    }

    /// Whether its host has more labels in front of that one's.
    fn is_below(&self, other: &Origin<'_>) -> bool {
        let labels = self.host.strip_suffix(&*other.host);
        self.scheme == other.scheme && self.port == other.port && labels.is_some_and(|labels| labels.ends_with('.'))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn origins(list: &[&str]) -> Origins {
        let list: Vec<String> = list.iter().map(|entry| (*entry).to_owned()).collect();
        Origins::parse(&list).unwrap_or_else(|(entry, why)| panic!("{entry}: {why}"))
    }

    #[test]
    fn an_origin_is_its_scheme_host_and_port() {
        let list =
            origins(&["https://a.example", "http://localhost:3000", "http://[::1]:8080", "chrome-extension://abcdef"]);
        for good in [
            "https://a.example",
            "HTTPS://A.Example",
            "https://a.example:443",
            "https://a.example:0443",
            "http://localhost:3000",
            "http://[::1]:8080",
            "chrome-extension://abcdef",
        ] {
            assert!(list.contains(good), "{good}");
        }
        for bad in [
            "http://a.example",
            "https://a.example:444",
            "https://a.example:80",
            "https://b.a.example",
            "https://a.example.evil.test",
            "https://xa.example",
            "https://a.example.",
            "http://localhost",
            "http://localhost:30000",
            "http://[::1]",
            "a.example",
            "null",
            "*",
            "",
        ] {
            assert!(!list.contains(bad), "{bad}");
        }
    }

    #[test]
    fn ports_that_browsers_leave_out_may_be_written() {
        let list =
            origins(&["https://a.example:443", "http://b.example:80", "wss://c.example:443", "https://d.example:80"]);
        for good in ["https://a.example", "http://b.example", "wss://c.example", "https://d.example:80"] {
            assert!(list.contains(good), "{good}");
        }
        assert!(!list.contains("https://d.example"));
    }

    #[test]
    fn a_star_stands_for_subdomains_of_any_depth() {
        let list = origins(&["https://*.a.example", "http://*.b.example:8080"]);
        for good in
            ["https://x.a.example", "https://x.y.z.a.example", "https://X.A.EXAMPLE:443", "http://x.b.example:8080"]
        {
            assert!(list.contains(good), "{good}");
        }
        for bad in [
            "https://a.example",
            "https://.a.example",
            "https://xa.example",
            "https://x-a.example",
            "http://x.a.example",
            "https://x.a.example:444",
            "https://x.a.example.evil.test",
            "https://evil.test/.a.example",
            "https://evil.test?.a.example",
            "https://evil.test#.a.example",
            "https://user@x.a.example",
            "https://evil.test:443.a.example",
            "https://evil.test\\.a.example",
            "https://evil.test .a.example",
            "https://*.a.example",
            "https://x..a.example",
            "http://x.b.example",
        ] {
            assert!(!list.contains(bad), "{bad}");
        }
    }

    #[test]
    fn all_and_null_have_names_of_their_own() {
        let all = origins(&["*"]);
        for text in ["https://a.example", "null", "", "anything", &"x".repeat(10_000)] {
            assert!(all.contains(text), "{text}");
        }
        let null = origins(&["null"]);
        assert!(null.contains("null") && !null.contains("NULL") && !null.contains("https://null"));
        assert!(!origins(&["https://null"]).contains("null"));
        let none = origins(&[]);
        assert!(!none.contains("null") && !none.contains("https://a.example"));
    }

    #[test]
    fn an_entry_that_can_match_nothing_is_named() {
        for (entry, why) in [
            ("a.example", "scheme"),
            ("", "scheme"),
            ("Null", "scheme"),
            ("://a.example", "scheme"),
            ("1://a.example", "scheme"),
            ("ht tp://a.example", "scheme"),
            ("https://", "host"),
            ("https://a.example/", "slash"),
            ("https://a.example/chat", "slash"),
            ("https://user@a.example", "user"),
            ("https://a.example?x", "slash"),
            ("https://b\u{fc}cher.example", "xn--"),
            ("https://*", "host"),
            ("https://*.", "host"),
            ("https://a.*.example", "host"),
            ("https://*a.example", "host"),
            ("https://*.*.example", "host"),
            ("*://a.example", "scheme"),
            ("https://.a.example", "host"),
            ("https://a..example", "host"),
            ("https://a b.example", "host"),
            ("https://a.example:", "port"),
            ("https://a.example:x", "port"),
            ("https://a.example:*", "port"),
            ("https://a.example:65536", "port"),
            ("https://a.example:+1", "port"),
            ("https://[::1", "host"),
            ("https://[::g]", "host"),
            ("https://[::1]x", "port"),
            ("https://::1", "host"),
            ("https://*.[::1]", "subdomains"),
            ("https://*.127.0.0.1", "subdomains"),
        ] {
            let list = ["https://good.example".to_owned(), entry.to_owned()];
            let (named, reason) = Origins::parse(&list).expect_err(entry);
            assert_eq!(named, entry);
            assert!(reason.contains(why), "{entry}: {reason}");
        }
    }

    proptest! {
        #[test]
        fn what_is_on_the_list_is_let_in_and_nothing_near_it(
            name in "[a-z][a-z0-9-]{0,8}(\\.[a-z]{1,5}){1,3}",
            other in "[a-z][a-z0-9-]{0,8}(\\.[a-z]{1,5}){1,3}",
        ) {
            let (exact, below) = (format!("https://{name}"), format!("https://*.{name}"));
            let (exact, below) = (origins(&[&exact]), origins(&[&below]));
            let page = format!("https://{other}");
            prop_assert_eq!(exact.contains(&page), name == other);
            prop_assert_eq!(below.contains(&page), other.ends_with(&format!(".{name}")));
            let deeper = format!("https://{other}.{name}");
            prop_assert!(!exact.contains(&deeper) && below.contains(&deeper));
        }

        #[test]
        fn nothing_panics(entry in "\\PC{0,30}", text in "[a-z*:/.@\\[\\]0-9]{0,30}") {
            for entry in [&entry, &text] {
                if let Ok(list) = Origins::parse(std::slice::from_ref(entry)) {
                    list.contains(&text);
                }
                origins(&["https://*.a.example", "https://b.example"]).contains(entry);
            }
        }
    }
}
