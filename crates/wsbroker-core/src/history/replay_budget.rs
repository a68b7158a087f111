//! How many bytes may be replayed to a client in a second: to one socket, and to all sockets of one
//! address. A request for a replay is short, and its answer may be long.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use parking_lot::Mutex;

use crate::ids::SocketId;

/// As many may be there before those that have recovered are looked for.
const MIN_SWEEP: usize = 1024;

/// Whose budget it is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum ReplayOwner {
    Socket(SocketId),
    Address(IpAddr),
}

impl ReplayOwner {
    /// Of an IPv6 address its /64 counts, which one client can have.
    pub(crate) fn of(ip: IpAddr) -> Self {
        Self::Address(match ip {
            IpAddr::V4(_) => ip,
            IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !0 << 64).into(),
        })
    }
}

/// The budgets that are not full. Each holds a second of its rate, and may be overdrawn by one
/// replay.
#[derive(Debug, Default)]
pub(crate) struct ReplayBudgets(Mutex<Budgets>);

#[derive(Debug, Default)]
struct Budgets {
    by_owner: HashMap<ReplayOwner, Budget>,
    sweep_at: usize,
}

#[derive(Clone, Copy, Debug)]
struct Budget {
    /// Bytes; below 0 it is overdrawn.
    left: i64,
    /// Bytes a second.
    rate: i64,
    /// When that was so, in milliseconds.
    at: u64,
}

impl Budget {
    fn full(rate: i64, now: u64) -> Self {
        Self { left: rate, rate, at: now }
    }

    fn at(self, now: u64) -> Self {
        let elapsed = i64::try_from(now.saturating_sub(self.at)).unwrap_or(i64::MAX);
        let gained = elapsed.saturating_mul(self.rate) / 1_000;
        Self { left: self.left.saturating_add(gained).min(self.rate), at: now, ..self }
    }

    fn wait(self) -> Option<Duration> {
        let missing = u64::try_from(1 - self.left).ok().filter(|missing| *missing > 0)?;
        let rate = u64::try_from(self.rate).unwrap_or(1).max(1);
        Some(Duration::from_millis((missing.saturating_mul(1_000)).div_ceil(rate)))
    }
}

impl ReplayBudgets {
    /// Takes so many bytes out of the budgets of these owners, each with its rate in bytes a
    /// second, or out of none.
    ///
    /// # Errors
    /// One of them is used up: how long to wait before it is worth asking again.
    pub(crate) fn take(&self, now: u64, owners: &[(ReplayOwner, u64)], bytes: u64) -> Result<(), Duration> {
        let mut budgets = self.0.lock();
        let mut wait = None;
        for (owner, rate) in owners {
            let rate = i64::try_from(*rate).unwrap_or(i64::MAX);
            let budget = budgets.by_owner.entry(*owner).or_insert_with(|| Budget::full(rate, now));
            *budget = Budget { rate, ..budget.at(now) };
            wait = wait.max(budget.wait());
        }
        if let Some(wait) = wait {
            return Err(wait);
        }
        for (owner, _) in owners {
            if let Some(budget) = budgets.by_owner.get_mut(owner) {
                budget.left = budget.left.saturating_sub(i64::try_from(bytes).unwrap_or(i64::MAX));
            }
        }
        budgets.sweep(now);
        Ok(())
    }
}

impl Budgets {
    fn sweep(&mut self, now: u64) {
        if self.by_owner.len() < self.sweep_at.max(MIN_SWEEP) {
            return;
        }
        self.by_owner.retain(|_, budget| budget.at(now).left < budget.rate);
        self.sweep_at = self.by_owner.len() * 2;
        self.by_owner.shrink_to(self.sweep_at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(id: u64) -> ReplayOwner {
        ReplayOwner::Socket(SocketId::new(id).unwrap())
    }

    #[test]
    fn who_has_overdrawn_waits_until_the_budget_has_recovered() {
        let budgets = ReplayBudgets::default();
        let address = ReplayOwner::Address([127, 0, 0, 1].into());
        let owners = |id| [(socket(id), 1_000), (address, 4_000)];
        assert_eq!(budgets.take(0, &owners(1), 3_000), Ok(()), "one replay may overdraw it");
        assert_eq!(budgets.take(0, &owners(1), 1), Err(Duration::from_millis(2_001)));
        assert_eq!(budgets.take(0, &owners(2), 3_000), Ok(()), "another socket of the address");
        let wait = budgets.take(0, &owners(3), 1).unwrap_err();
        assert_eq!(wait, Duration::from_millis(501), "all sockets of the address together");
        assert_eq!(budgets.take(501, &owners(3), 1), Ok(()), "and nothing was taken for what had to wait");
        assert!(budgets.take(1_999, &owners(1), 1).is_err());
        assert_eq!(budgets.take(2_001, &owners(1), 1), Ok(()));
    }

    #[test]
    fn a_budget_that_is_full_again_is_forgotten() {
        let budgets = ReplayBudgets::default();
        for id in 1..=10 * MIN_SWEEP as u64 {
            assert_eq!(budgets.take(id * 10, &[(socket(id), 1_000)], 100), Ok(()));
        }
        assert!(budgets.0.lock().by_owner.len() <= MIN_SWEEP);
    }
}
