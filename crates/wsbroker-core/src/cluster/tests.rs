//! What channels and their bus tell each other.

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
