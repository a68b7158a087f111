//! The options that say how a connection gets to the server.

use super::positive;
use crate::extension;
use crate::proxy::{MOST_ADDRESSES, Proxy, Version};
use crate::target::Way;

/// What was given so far.
pub(super) struct WayOptions {
    way: Way,
    version: Option<Version>,
    ipv6: bool,
    addresses: usize,
}

impl WayOptions {
    pub(super) fn new() -> Self {
        Self { way: Way::default(), version: None, ipv6: false, addresses: 1000 }
    }

    /// Takes `option` and its value, if it is one of these.
    pub(super) fn take(
        &mut self,
        option: &str,
        mut value: impl FnMut() -> Result<String, String>,
    ) -> Result<bool, String> {
        let way = &mut self.way;
        match option {
            "--header" => way.headers.push(value()?),
            "--sources" => way.sources = positive(option, &value()?)?,
            "--receive-buffer" => way.receive_buffer = Some(positive(option, &value()?)?),
            "--unix" => way.unix = Some(value()?),
            "--tls" => way.tls = true,
            "--ca" => way.ca = Some(value()?),
            "--deflate" => {}
            "--compress" => way.compress = true,
            "--offer" => way.offer = Some(value()?),
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
        if matches!(option, "--deflate" | "--compress") && way.offer.is_none() {
            way.offer = Some(extension::OFFER.to_owned());
        }
        Ok(true)
    }

    pub(super) fn finish(self) -> Way {
        let Self { way, version, ipv6, addresses } = self;
        Way { proxy: version.map(|version| Proxy { version, ipv6, addresses }), ..way }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(line: &str) -> Result<Way, String> {
        let mut options = WayOptions::new();
        let mut words = line.split_ascii_whitespace().map(str::to_owned);
        while let Some(option) = words.next() {
            assert!(options.take(&option, || words.next().ok_or_else(|| "no value".to_owned()))?, "{option}");
        }
        Ok(options.finish())
    }

    #[test]
    fn an_own_offer_is_not_overwritten() {
        assert_eq!(way("--deflate").unwrap().offer.as_deref(), Some(extension::OFFER));
        let own = way("--offer permessage-deflate --compress").unwrap();
        assert_eq!((own.offer.as_deref(), own.compress), (Some("permessage-deflate"), true));
    }

    #[test]
    fn a_proxy_is_there_when_its_version_is() {
        assert!(way("--proxy-ipv6 --proxy-addresses 7").unwrap().proxy.is_none());
        let proxy = way("--proxy v2 --proxy-ipv6 --proxy-addresses 7").unwrap().proxy.unwrap();
        assert_eq!((proxy.version, proxy.ipv6, proxy.addresses), (Version::Two, true, 7));
        assert!(way("--proxy v3").is_err());
        assert!(way("--proxy v1 --proxy-addresses 131073").is_err());
    }

    #[test]
    fn other_options_are_left_to_others() {
        assert_eq!(WayOptions::new().take("--depth", || Ok("1".to_owned())), Ok(false));
    }
}
