//! Why things go wrong: each reason is reported once, since a lasting one comes up again every two seconds.

use super::printable::clean;

/// Reasons reported for one outage: some have numbers in them that differ each time.
const MOST: usize = 8;

/// The reasons of one outage.
#[derive(Debug, Default)]
pub(crate) struct Reasons {
    told: Vec<String>,
    last: Option<String>,
}

impl Reasons {
    /// The reason as it can be told, if it has to be.
    pub(crate) fn add(&mut self, reason: &str) -> Option<String> {
        let reason = clean(reason);
        self.last = Some(reason.clone());
        if self.told.len() >= MOST || self.told.contains(&reason) {
            return None;
        }
        self.told.push(reason.clone());
        Some(reason)
    }

    /// The one that was met last.
    pub(crate) fn last(&self) -> Option<&str> {
        self.last.as_deref()
    }

    /// It is over.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_told_once_and_not_ever_more_of_them() {
        let mut reasons = Reasons::default();
        assert_eq!(reasons.add("closed\n"), Some("closed".into()));
        assert_eq!(reasons.add("WRONGPASS"), Some("WRONGPASS".into()));
        assert_eq!(reasons.add("closed"), None);
        assert_eq!(reasons.last(), Some("closed"), "it is the reason all the same");
        let told = (0..100).filter_map(|number| reasons.add(&number.to_string())).count();
        assert_eq!(told, MOST - 2);
        reasons.clear();
        assert_eq!(reasons.last(), None);
        assert_eq!(reasons.add("closed"), Some("closed".into()));
    }
}
