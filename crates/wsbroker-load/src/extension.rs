//! What was agreed about compression (RFC 7692, section 7.1).

/// What browsers offer.
pub(crate) const OFFER: &str = "permessage-deflate; client_max_window_bits";
const WINDOW_BITS: std::ops::RangeInclusive<u8> = 8..=15;

/// The parameters that the server chose.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Agreement {
    /// Its messages may refer to earlier ones (no `server_no_context_takeover`).
    pub(crate) server_context: bool,
    /// How far back ours may refer, as a power of two.
    pub(crate) client_window_bits: u8,
}

impl Agreement {
    /// Reads the header of the answer. `offer` is what the request offered, if anything.
    ///
    /// # Errors
    /// The server must not answer this offer in this way.
    pub(crate) fn parse(answer: &str, offer: Option<&str>) -> Result<Self, &'static str> {
        let offer = offer.ok_or("an extension that was not offered")?;
        let mut parts = answer.split(';').map(str::trim);
        if parts.next() != Some("permessage-deflate") || answer.contains(',') {
            return Err("an extension that was not offered");
        }
        let mut agreement = Self { server_context: true, client_window_bits: 15 };
        let mut seen = Vec::new();
        for parameter in parts {
            let (name, value) = match parameter.split_once('=') {
                Some((name, value)) => (name.trim(), Some(value.trim().trim_matches('"'))),
                None => (parameter, None),
            };
            if seen.contains(&name) {
                return Err("permessage-deflate: a parameter twice");
            }
            seen.push(name);
            let bits = value.and_then(|value| value.parse().ok()).filter(|bits| WINDOW_BITS.contains(bits));
            match (name, value, bits) {
                ("server_no_context_takeover", None, _) => agreement.server_context = false,
                ("client_no_context_takeover", None, _) | ("server_max_window_bits", _, Some(_)) => {}
                ("client_max_window_bits", _, Some(bits)) if offer.contains(name) => {
                    agreement.client_window_bits = bits;
                }
                _ => return Err("permessage-deflate: a parameter that may not be there"),
            }
        }
        Ok(agreement)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read() {
        let agreed = |server_context, client_window_bits| Ok(Agreement { server_context, client_window_bits });
        for (answer, expected) in [
            ("permessage-deflate", agreed(true, 15)),
            ("permessage-deflate; server_no_context_takeover;client_no_context_takeover", agreed(false, 15)),
            ("permessage-deflate; client_max_window_bits=\"9\"; server_max_window_bits=12", agreed(true, 9)),
        ] {
            assert_eq!(Agreement::parse(answer, Some(OFFER)), expected, "{answer}");
        }
    }

    #[test]
    fn what_was_not_offered_or_is_no_parameter_is_refused() {
        for answer in [
            "x-webkit-deflate-frame",
            "permessage-deflate, permessage-deflate",
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; client_max_window_bits=16",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            "permessage-deflate; mux",
        ] {
            assert!(Agreement::parse(answer, Some(OFFER)).is_err(), "{answer}");
        }
        assert!(Agreement::parse("permessage-deflate", None).is_err());
        assert!(Agreement::parse("permessage-deflate; client_max_window_bits=9", Some("permessage-deflate")).is_err());
    }
}
