//! The options that say how to connect to the server.

use super::positive;
use crate::extension;
use crate::proxy::{MOST_ADDRESSES, Proxy, Version};
use crate::target::ConnectOptions;

/// What the command line has said so far.
pub(super) struct ConnectArguments {
    connect: ConnectOptions,
    version: Option<Version>,
    ipv6: bool,
    addresses: usize,
}

impl ConnectArguments {
    pub(super) fn new() -> Self {
        Self { connect: ConnectOptions::default(), version: None, ipv6: false, addresses: 1000 }
    }

    /// Takes `option` and its value, if it is one of these.
    pub(super) fn take(
        &mut self,
        option: &str,
        mut value: impl FnMut() -> Result<String, String>,
    ) -> Result<bool, String> {
        let connect = &mut self.connect;
        match option {
            "--header" => connect.headers.push(value()?),
            "--sources" => connect.sources = positive(option, &value()?)?,
            "--receive-buffer" => connect.receive_buffer = Some(positive(option, &value()?)?),
            "--unix" => connect.unix = Some(value()?),
            "--tls" => connect.tls = true,
            "--ca" => connect.ca = Some(value()?),
            "--deflate" => {}
            "--compress" => connect.compress = true,
            "--offer" => connect.offer = Some(value()?),
            "--proxy" => {
                self.version = Some(match value()?.as_str() {
                    "v1" => Version::One,
                    "v2" => Version::Two,
                    other => return Err(format!("--proxy must be v1 or v2, got '{other}'")),
                });
            }
            "--proxy-ipv6" => self.ipv6 = true,
            "--proxy-addresses" => {
                self.addresses = positive(option, &value()?)?;
                if self.addresses > MOST_ADDRESSES {
                    return Err(format!("{option} must be at most {MOST_ADDRESSES}"));
                }
            }
            _ => return Ok(false),
        }
        if matches!(option, "--deflate" | "--compress") && connect.offer.is_none() {
            connect.offer = Some(extension::OFFER.to_owned());
        }
        Ok(true)
    }

    pub(super) fn finish(self) -> ConnectOptions {
        let Self { connect, version, ipv6, addresses } = self;
        ConnectOptions { proxy: version.map(|version| Proxy { version, ipv6, addresses }), ..connect }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect(line: &str) -> Result<ConnectOptions, String> {
        let mut options = ConnectArguments::new();
        let mut words = line.split_ascii_whitespace().map(str::to_owned);
        while let Some(option) = words.next() {
            assert!(options.take(&option, || words.next().ok_or_else(|| "no value".to_owned()))?, "{option}");
        }
        Ok(options.finish())
    }

    #[test]
    fn an_own_offer_is_not_overwritten() {
        assert_eq!(connect("--deflate").unwrap().offer.as_deref(), Some(extension::OFFER));
        let own = connect("--offer permessage-deflate --compress").unwrap();
        assert_eq!((own.offer.as_deref(), own.compress), (Some("permessage-deflate"), true));
    }

    #[test]
    fn a_proxy_is_there_when_its_version_is() {
        assert!(connect("--proxy-ipv6 --proxy-addresses 7").unwrap().proxy.is_none());
        let proxy = connect("--proxy v2 --proxy-ipv6 --proxy-addresses 7").unwrap().proxy.unwrap();
        assert_eq!((proxy.version, proxy.ipv6, proxy.addresses), (Version::Two, true, 7));
        assert!(connect("--proxy v3").is_err());
        assert!(connect("--proxy v1 --proxy-addresses 131073").is_err());
    }

    #[test]
    fn other_options_are_left_to_others() {
        assert_eq!(ConnectArguments::new().take("--depth", || Ok("1".to_owned())), Ok(false));
    }
}
