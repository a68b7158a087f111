//! Reading is shared: a thousand clients that come back to a channel have it read once or twice.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use wsbroker_core::BusFailure;

use super::super::publish_queue::ChannelKey;

/// The channels that are being read.
#[derive(Debug, Default)]
pub(super) struct Flights(Mutex<HashMap<ChannelKey, Arc<Flight>>>);

#[derive(Debug, Default)]
struct Flight {
    /// How many have asked.
    asked: AtomicU64,
    landed: tokio::sync::Mutex<Landed>,
}

/// Who need not read any more: those who had asked when it began.
#[derive(Debug, Default)]
struct Landed {
    any: u64,
    whole: u64,
    /// Up to whom it failed.
    failed: Option<(u64, BusFailure)>,
}

impl Flights {
    /// The outcome of a `read` that has begun after this call. `whole`: it has to read everything.
    pub(super) async fn share<F: Future<Output = Result<(), BusFailure>>>(
        &self,
        channel: &[u8],
        whole: bool,
        read: impl FnOnce() -> F,
    ) -> Result<(), BusFailure> {
        let flight = {
            let mut flights = self.0.lock();
            match flights.get(channel) {
                Some(flight) => Arc::clone(flight),
                None => Arc::clone(flights.entry(channel.into()).or_default()),
            }
        };
        let outcome = flight.take_part(whole, read).await;
        let mut flights = self.0.lock();
        // The map has it, and we. Others get it only with the map locked.
        if Arc::strong_count(&flight) <= 2 {
            flights.remove(channel);
        }
        outcome
    }
}

impl Flight {
    async fn take_part<F: Future<Output = Result<(), BusFailure>>>(
        &self,
        whole: bool,
        read: impl FnOnce() -> F,
    ) -> Result<(), BusFailure> {
        let own = self.asked.fetch_add(1, Ordering::AcqRel) + 1;
        let mut landed = self.landed.lock().await;
        if own <= if whole { landed.whole } else { landed.any } {
            return Ok(());
        }
        if let Some((upto, failure)) = &landed.failed
            && own <= *upto
        {
            return Err(failure.clone());
        }
        let upto = self.asked.load(Ordering::Acquire);
        let outcome = read().await;
        match &outcome {
            Ok(()) => {
                landed.any = upto;
                if whole {
                    landed.whole = upto;
                }
            }
            Err(failure) => landed.failed = Some((upto, failure.clone())),
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use futures_util::future::join_all;
    use tokio::task::yield_now;

    use super::*;

    #[tokio::test]
    async fn a_thousand_that_come_together_read_twice_and_what_came_later_again() {
        let (flights, reads) = (Flights::default(), AtomicUsize::new(0));
        let read = || async {
            reads.fetch_add(1, Ordering::SeqCst);
            yield_now().await;
            Ok(())
        };
        for outcome in join_all((0..1000).map(|_| flights.share(b"a", true, read))).await {
            outcome.unwrap();
        }
        let together = reads.load(Ordering::SeqCst);
        assert!((1..=2).contains(&together), "{together}");
        flights.share(b"a", false, read).await.unwrap();
        assert_eq!(reads.load(Ordering::SeqCst), together + 1);
        assert!(flights.0.lock().is_empty(), "nothing is left");
    }

    #[tokio::test]
    async fn a_failure_is_shared_and_the_next_one_tries_again() {
        let (flights, reads) = (Flights::default(), AtomicUsize::new(0));
        let read = || async {
            reads.fetch_add(1, Ordering::SeqCst);
            yield_now().await;
            Err(BusFailure { reason: "so".into(), unknown: false })
        };
        for outcome in join_all((0..1000).map(|_| flights.share(b"a", true, read))).await {
            outcome.unwrap_err();
        }
        assert!(reads.load(Ordering::SeqCst) <= 2);
        flights.share(b"a", true, || async { Ok(()) }).await.unwrap();
    }

    #[tokio::test]
    async fn who_needs_everything_does_not_share_a_part() {
        let (flights, whole) = (Flights::default(), AtomicUsize::new(0));
        let part = flights.share(b"a", false, || async {
            yield_now().await;
            Ok(())
        });
        let all = flights.share(b"a", true, || async {
            whole.fetch_add(1, Ordering::SeqCst);
            Ok(())
        });
        let (part, all) = tokio::join!(part, all);
        assert!(part.is_ok() && all.is_ok());
        assert_eq!(whole.load(Ordering::SeqCst), 1);
    }
}
