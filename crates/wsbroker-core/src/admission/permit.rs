//! How many connections there are, in all and from one address, against their limits.
//!
//! A connection takes a [`ConnectionPermit`] when it is accepted and keeps it to its end, through
//! the front and its shard. The permit is dropped with the connection, so that no way out can
//! forget it.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;

/// Locks over the addresses. Only accepting, resolving a proxied address and ending take one, each
/// for one lookup.
const SHARDS: usize = 64;
/// Permits above the limits.
const RESERVED: usize = 64;
/// A table with room for so many addresses is kept when it empties.
const KEPT_ROOM: usize = 64;

/// The connections of a broker, counted.
#[derive(Debug)]
pub(crate) struct ConnectionPermits {
    max: usize,
    count: AtomicUsize,
    /// Permits above the limits, for connections that are answered and no more.
    reserved: AtomicUsize,
    per_ip: Option<PerIp>,
}

/// The right to be a connection: one of all, and one of those from its address once that is known.
/// Given back when dropped.
#[derive(Debug)]
pub(crate) struct ConnectionPermit {
    admission: Arc<ConnectionPermits>,
    holds: PermitHolds,
}

/// What a permit is one of.
#[derive(Clone, Copy, Debug)]
enum PermitHolds {
    /// All connections.
    Connection,
    /// All connections, and those of one network.
    ConnectionOf(Network),
    /// The permits above the limits.
    Reserved,
}

/// What one customer has, as far as addresses tell.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Network {
    V4(u32),
    /// A /64: within it a host may have any address it likes (RFC 4291 §2.5.1), and a new one for
    /// each connection.
    V6(u64),
}

/// Connections by network. A network without connections is not in there.
#[derive(Debug)]
struct PerIp {
    max: usize,
    /// Keyed: clients that can choose their addresses must not choose where these collide.
    hasher: RandomState,
    shards: Box<[Mutex<HashMap<Network, usize, RandomState>>]>,
}

impl ConnectionPermits {
    /// `None` is no limit.
    pub(crate) fn new(max_connections: Option<usize>, max_connections_per_ip: Option<usize>) -> Self {
        Self {
            max: max_connections.unwrap_or(usize::MAX),
            count: AtomicUsize::new(0),
            reserved: AtomicUsize::new(0),
            per_ip: max_connections_per_ip.map(PerIp::new),
        }
    }

    /// A permit, unless all are taken.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<ConnectionPermit> {
        self.count
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| (count < self.max).then(|| count + 1))
            .ok()?;
        Some(ConnectionPermit { admission: Arc::clone(self), holds: PermitHolds::Connection })
    }

    /// One of [`RESERVED`] permits for connections that only get fixed answers, so that a full
    /// server still passes its health check.
    pub(crate) fn enter_reserved(self: &Arc<Self>) -> Option<ConnectionPermit> {
        self.reserved
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| (count < RESERVED).then(|| count + 1))
            .ok()?;
        Some(ConnectionPermit { admission: Arc::clone(self), holds: PermitHolds::Reserved })
    }

    /// Connections that have a permit.
    #[cfg(test)]
    fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

impl ConnectionPermit {
    /// Whether the connection is above the limits, and may only get fixed answers.
    pub(crate) fn is_reserved(&self) -> bool {
        matches!(self.holds, PermitHolds::Reserved)
    }

    /// Counts the connection among those of this address; without an address, as from a unix
    /// socket, it counts only among all. False at the limit. Call it once, when the address is
    /// known.
    #[must_use]
    pub(crate) fn claim(&mut self, ip: Option<IpAddr>) -> bool {
        let (Some(per_ip), Some(ip), false) = (&self.admission.per_ip, ip, self.is_reserved()) else { return true };
        let network = Network::of(ip);
        if let PermitHolds::ConnectionOf(before) = self.holds {
            if before == network {
                return true;
            }
            // Another client's request on a proxy's connection.
            per_ip.leave(before);
            self.holds = PermitHolds::Connection;
        }
        if !per_ip.join(network) {
            return false;
        }
        self.holds = PermitHolds::ConnectionOf(network);
        true
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        if let (PermitHolds::ConnectionOf(network), Some(per_ip)) = (self.holds, &self.admission.per_ip) {
            per_ip.leave(network);
        }
        let count = if self.is_reserved() { &self.admission.reserved } else { &self.admission.count };
        count.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Network {
    fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self::V4(ip.to_bits()),
            IpAddr::V6(ip) => Self::V6((ip.to_bits() >> 64) as u64),
        }
    }
}

impl PerIp {
    fn new(max: usize) -> Self {
        let hasher = RandomState::new();
        let shards = (0..SHARDS).map(|_| Mutex::new(HashMap::with_hasher(hasher.clone()))).collect();
        Self { max, hasher, shards }
    }

    fn shard(&self, network: Network) -> &Mutex<HashMap<Network, usize, RandomState>> {
        // The upper half: tables look at the lower bits and at the topmost seven.
        &self.shards[(self.hasher.hash_one(network) >> 32) as usize % SHARDS]
    }

    fn join(&self, network: Network) -> bool {
        let mut counts = self.shard(network).lock();
        match counts.entry(network) {
            Entry::Occupied(mut count) if *count.get() < self.max => *count.get_mut() += 1,
            Entry::Vacant(vacant) if self.max > 0 => _ = vacant.insert(1),
            _ => return false,
        }
        true
    }

    fn leave(&self, network: Network) {
        let mut counts = self.shard(network).lock();
        let Entry::Occupied(mut count) = counts.entry(network) else { return };
        *count.get_mut() -= 1;
        if *count.get() > 0 {
            return;
        }
        count.remove();
        // A table that a flood of addresses has made large shrinks again.
        if counts.capacity() > KEPT_ROOM && counts.len() < counts.capacity() / 8 {
            let room = counts.len() * 2;
            counts.shrink_to(room.max(KEPT_ROOM / 2));
        }
    }

    #[cfg(test)]
    fn networks(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::VecDeque, net::Ipv4Addr, sync::Barrier};

    use proptest::prelude::*;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn networks(admission: &ConnectionPermits) -> usize {
        admission.per_ip.as_ref().unwrap().networks()
    }

    /// A permit with an address, unless either limit is reached.
    fn admit(admission: &Arc<ConnectionPermits>, ip: IpAddr) -> Option<ConnectionPermit> {
        let mut permit = admission.enter()?;
        permit.claim(Some(ip)).then_some(permit)
    }

    #[test]
    fn there_are_as_many_permits_as_allowed_and_each_is_given_back() {
        let admission = Arc::new(ConnectionPermits::new(Some(2), None));
        let first = admission.enter().unwrap();
        let _second = admission.enter().unwrap();
        assert!(admission.enter().is_none());
        drop(first);
        assert!(admission.enter().is_some() && admission.enter().is_some(), "what is not kept is free");
        assert_eq!(admission.count(), 1);
        assert!(Arc::new(ConnectionPermits::new(Some(0), None)).enter().is_none());
    }

    #[test]
    fn one_address_is_one_customer_and_an_ipv6_one_has_64_bits() {
        let admission = Arc::new(ConnectionPermits::new(None, Some(1)));
        for (taken, same, other) in [
            ("10.0.0.1", "10.0.0.1", "10.0.0.2"),
            ("10.0.0.1", "::ffff:10.0.0.1", "::10.0.0.1"),
            ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", "2001:db8:0:1::1"),
        ] {
            let _permit = admit(&admission, ip(taken)).unwrap();
            assert!(admit(&admission, ip(same)).is_none(), "{same} is {taken}");
            assert!(admit(&admission, ip(other)).is_some(), "{other} is not {taken}");
        }
        assert_eq!((admission.count(), networks(&admission)), (0, 0));
    }

    #[test]
    fn a_client_refused_for_its_address_leaves_no_trace() {
        let admission = Arc::new(ConnectionPermits::new(Some(10), Some(0)));
        assert!(admit(&admission, ip("10.0.0.1")).is_none());
        assert_eq!((admission.count(), networks(&admission)), (0, 0));
    }

    #[test]
    fn without_a_limit_no_address_is_kept() {
        let admission = Arc::new(ConnectionPermits::new(None, None));
        let _permits: Vec<_> = (0..100).map(|_| admit(&admission, ip("10.0.0.1")).unwrap()).collect();
        assert!(admission.per_ip.is_none());
        let admission = Arc::new(ConnectionPermits::new(None, Some(1)));
        let mut permits: Vec<_> = (0..3).map(|_| admission.enter().unwrap()).collect();
        assert!(permits.iter_mut().all(|permit| permit.claim(None)), "unix sockets have none");
    }

    #[test]
    fn a_flood_of_addresses_leaves_no_memory_behind() {
        let admission = Arc::new(ConnectionPermits::new(None, Some(1)));
        let permits: Vec<_> =
            (0..50_000).map(|number| admit(&admission, Ipv4Addr::from_bits(number).into()).unwrap()).collect();
        assert_eq!(networks(&admission), 50_000);
        drop(permits);
        let room: usize = admission.per_ip.as_ref().unwrap().shards.iter().map(|shard| shard.lock().capacity()).sum();
        assert!(room <= SHARDS * 2 * KEPT_ROOM, "{room}");
    }

    #[test]
    fn many_threads_together_never_pass_a_limit() {
        const MAX: usize = 50;
        const MAX_PER_IP: usize = 7;
        const THREADS: usize = 8;
        const CONNECTS: u32 = 10_000;
        let admission = Arc::new(ConnectionPermits::new(Some(MAX), Some(MAX_PER_IP)));
        let inside: Vec<AtomicUsize> = (0..16).map(|_| AtomicUsize::new(0)).collect();
        let total = AtomicUsize::new(0);
        let leave = |(host, permit): (u32, ConnectionPermit)| {
            inside[host as usize].fetch_sub(1, Ordering::SeqCst);
            total.fetch_sub(1, Ordering::SeqCst);
            drop(permit);
        };
        let barrier = Barrier::new(THREADS);
        let connect = |thread: u32| {
            barrier.wait();
            let (mut kept, mut admitted) = (VecDeque::new(), 0);
            for number in 0..CONNECTS {
                let host = (number.wrapping_mul(2_654_435_761) >> 7) % 16;
                if let Some(permit) = admit(&admission, Ipv4Addr::from_bits(host).into()) {
                    admitted += 1;
                    assert!(inside[host as usize].fetch_add(1, Ordering::SeqCst) < MAX_PER_IP);
                    assert!(total.fetch_add(1, Ordering::SeqCst) < MAX);
                    kept.push_back((host, permit));
                }
                // Another pace in each thread, so that they fill up and run dry.
                if number % (3 + thread) != 0 {
                    kept.pop_front().into_iter().for_each(&leave);
                }
            }
            kept.into_iter().for_each(&leave);
            admitted
        };
        let admitted: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS as u32)
                .map(|thread| {
                    scope.spawn({
                        let connect = &connect;
                        move || connect(thread)
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert!(admitted > MAX * 10 && admitted < THREADS * CONNECTS as usize, "{admitted}");
        assert_eq!((admission.count(), networks(&admission)), (0, 0));
    }

    proptest! {
        #[test]
        fn permits_are_what_a_list_of_connections_says(
            steps in proptest::collection::vec((0u32..6, any::<bool>(), 0usize..20), 0..200),
            max in 0usize..12,
            max_per_ip in 0usize..5,
        ) {
            let admission = Arc::new(ConnectionPermits::new(Some(max), Some(max_per_ip)));
            let mut permits: Vec<(u32, ConnectionPermit)> = Vec::new();
            for (host, enters, at) in steps {
                if enters {
                    let fits = permits.len() < max && permits.iter().filter(|(other, _)| *other == host).count() < max_per_ip;
                    let permit = admit(&admission, Ipv4Addr::from_bits(host).into());
                    prop_assert_eq!(permit.is_some(), fits);
                    permits.extend(permit.map(|permit| (host, permit)));
                } else if at < permits.len() {
                    permits.swap_remove(at);
                }
                let mut hosts: Vec<_> = permits.iter().map(|(host, _)| *host).collect();
                hosts.sort_unstable();
                hosts.dedup();
                prop_assert_eq!((admission.count(), networks(&admission)), (permits.len(), hosts.len()));
            }
        }
    }
}
