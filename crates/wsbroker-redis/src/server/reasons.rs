//! Reasons of an outage. Each is reported once: with every new attempt the same one comes up again.

use super::printable::clean;

/// Reasons that are reported for one outage at most: some have numbers in them that differ each
/// time.
const MAX_REPORTED: usize = 8;

/// The reasons of one outage.
#[derive(Debug, Default)]
pub(crate) struct Reasons {
    reported: Vec<String>,
    last: Option<String>,
}

impl Reasons {
    /// Adds a reason. Returns it, cleaned, if it has to be reported.
    pub(crate) fn add(&mut self, reason: &str) -> Option<String> {
        let reason = clean(reason);
        self.last = Some(reason.clone());
        if self.reported.len() >= MAX_REPORTED || self.reported.contains(&reason) {
            return None;
        }
        self.reported.push(reason.clone());
        Some(reason)
    }

    /// The last reason.
    pub(crate) fn last(&self) -> Option<&str> {
        self.last.as_deref()
    }

    /// The outage is over.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_reported_once_and_not_ever_more_of_them() {
        let mut reasons = Reasons::default();
        assert_eq!(reasons.add("closed\n"), Some("closed".into()));
        assert_eq!(reasons.add("WRONGPASS"), Some("WRONGPASS".into()));
        assert_eq!(reasons.add("closed"), None);
        assert_eq!(reasons.last(), Some("closed"), "it is the reason all the same");
        let reported = (0..100).filter_map(|number| reasons.add(&number.to_string())).count();
        assert_eq!(reported, MAX_REPORTED - 2);
        reasons.clear();
        assert_eq!(reasons.last(), None);
        assert_eq!(reasons.add("closed"), Some("closed".into()));
    }
}
