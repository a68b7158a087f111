//! How channels are called on the bus.

use super::*;

#[test]
fn no_channel_of_another_prefix_is_called_as_what_notes_come_on() {
    let prefixes = ["a", "a:", "a::", "a:b", "a%3A", "a%", "a!", "%"];
    for ours in prefixes {
        let notes = instances_prefix(ours);
        assert!(!notes.contains(':'), "{notes}: each channel's name has one behind its prefix");
        let same = prefixes.iter().filter(|other| instances_prefix(other) == notes).count();
        assert_eq!(same, 1, "{ours} has {notes} for itself");
    }
    assert_eq!(instances_prefix("wsbroker"), "wsbroker!");
}
