//! The two formats, and which of them a scraper wants.

/// A text format.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Format {
    /// Prometheus' own, version 0.0.4. Every scraper reads it.
    #[default]
    Prometheus,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

const OPEN_METRICS: &str = "application/openmetrics-text";

impl Format {
    /// What to send as `Content-Type`.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// What the value of an `Accept` header (RFC 9110 §12.5.1) prefers. OpenMetrics has to be asked
    /// for by its name; what is unreadable is passed over.
    #[must_use]
    pub fn preferred(accept: &str) -> Self {
        let (mut open, mut text) = (0, 0);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
            let parameters: Vec<_> = parts.filter_map(|part| part.split_once('=')).collect();
            let of = |name: &str| {
                let found = parameters.iter().find(|(key, _)| key.trim().eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.trim().trim_matches('"'))
            };
            let quality = of("q").map_or(1000, thousandths);
            match kind.as_str() {
                OPEN_METRICS if of("version").is_none_or(|version| version == "1.0.0") => open = open.max(quality),
                "text/plain" | "text/*" | "*/*" => text = text.max(quality),
                _ => {}
            }
        }
        if open > 0 && open >= text { Self::OpenMetrics } else { Self::Prometheus }
    }
}

/// A quality in thousandths; 0 for what is not a quality.
fn thousandths(quality: &str) -> u32 {
    match quality.parse::<f64>() {
        Ok(quality) if (0.0..=1.0).contains(&quality) => (quality * 1000.0) as u32,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openmetrics_is_for_those_who_ask_for_it_and_prefer_it() {
        for (expected, accept) in [
            (Format::Prometheus, ""),
            (Format::Prometheus, "*/*"),
            (Format::Prometheus, "text/html,application/xhtml+xml,*/*;q=0.8"),
            (Format::Prometheus, "text/plain;version=0.0.4;q=0.9, application/openmetrics-text;version=1.0.0;q=0.5"),
            (Format::Prometheus, "application/openmetrics-text;version=1.0.0;q=0"),
            (Format::Prometheus, "application/openmetrics-text; version=0.0.1"),
            (Format::Prometheus, "application/openmetrics-text; version=1.0.0; q=much"),
            (Format::Prometheus, ",;=,;q=1,\u{e9}"),
            (Format::OpenMetrics, "application/openmetrics-text"),
            (Format::OpenMetrics, "Application/OpenMetrics-Text; Version=\"1.0.0\"; charset=utf-8"),
            // Prometheus 2.42, and 3.
            (
                Format::OpenMetrics,
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                 text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            ),
            (
                Format::OpenMetrics,
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                 application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
                 text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
            ),
        ] {
            assert_eq!(Format::preferred(accept), expected, "{accept}");
        }
    }
}
