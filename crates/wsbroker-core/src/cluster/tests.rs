//! What channels and their bus tell each other, and how they are called there.

use super::*;
use crate::{RedisConfig, RedisServers, SocketId, registry::Channels};

#[test]
fn channels_that_are_there_before_the_bus_are_told_to_it() {
    let channels = Channels::new(1);
    let socket = SocketId::new(1).unwrap();
    for name in ["first", "second"] {
        channels.join(name.as_bytes(), socket, 0);
    }
    let config = ClusterConfig::new(RedisConfig::new(RedisServers::Single("127.0.0.1".into(), 1)));
    let bus = || Arc::new(Bus::new(Weak::new(), config.clone(), 7, Arc::new(|_| {})));
    let joined = bus();
    assert!(channels.join_bus(&joined));
    assert!(!channels.join_bus(&bus()), "there is one already");
    channels.join(b"third", socket, 0);
    let mut asked = joined.interest.changes(Instant::now(), |name| channels.get(name).is_some()).subscribe;
    asked.sort();
    assert_eq!(asked, [&b"first"[..], b"second", b"third"].map(Into::into));
}

#[test]
fn no_channel_of_another_prefix_is_called_as_what_notes_come_on() {
    let prefixes = ["a", "a:", "a::", "a:b", "a%3A", "a%", "a!", "%"];
    for ours in prefixes {
        let notes = notes_prefix(ours);
        assert!(!notes.contains(':'), "{notes}: each channel's name has one behind its prefix");
        let same = prefixes.iter().filter(|other| notes_prefix(other) == notes).count();
        assert_eq!(same, 1, "{ours} has {notes} for itself");
    }
    assert_eq!(notes_prefix("wsbroker"), "wsbroker!");
}
