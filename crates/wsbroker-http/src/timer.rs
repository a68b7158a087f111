//! One timer for all deadlines of a connection.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::time::{Instant, Sleep, sleep_until};

/// Waits for one deadline after the other. Most are never reached, because what they bound ends
/// before: so a timer that is set for an earlier time stays as it is, and is set anew when that
/// comes. To set and take back one of the runtime's own for each deadline costs as much as reading
/// a request.
pub struct Timer(Pin<Box<Sleep>>);

impl Default for Timer {
    fn default() -> Self {
        Self(Box::pin(sleep_until(Instant::now() + std::time::Duration::from_secs(3600))))
    }
}

impl Timer {
    /// Resolves at the deadline.
    pub async fn reached(&mut self, deadline: Instant) {
        poll_fn(|cx| self.poll_reached(deadline, cx)).await;
    }

    /// Resolves with what the future gives, or at the deadline, with `None`.
    pub async fn until<T>(&mut self, deadline: Instant, future: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = future => Some(done),
            () = self.reached(deadline) => None,
        }
    }

    pub(crate) fn poll_reached(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        if self.0.deadline() > deadline {
            self.0.as_mut().reset(deadline);
        }
        loop {
            ready!(self.0.as_mut().poll(cx));
            if self.0.deadline() >= deadline {
                return Poll::Ready(());
            }
            self.0.as_mut().reset(deadline);
        }
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer").field("set_for", &self.0.deadline()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_deadline_is_reached_in_its_time_whichever_came_before() {
        let mut timer = Timer::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        timer.reached(at(10)).await;
        assert_eq!(Instant::now(), at(10));
        // Later, earlier, later: given up before they are reached.
        for seconds in [75, 20, 60, 4000] {
            assert_eq!(timer.until(at(seconds), std::future::ready(7)).await, Some(7));
            let pending = timer.until(at(seconds), tokio::time::sleep(Duration::from_millis(1)));
            assert_eq!(pending.await, Some(()));
        }
        assert!(Instant::now() < at(11));
        assert_eq!(timer.until(at(30), std::future::pending::<()>()).await, None);
        assert_eq!(Instant::now(), at(30));
        timer.reached(at(9000)).await;
        assert_eq!(Instant::now(), at(9000));
        timer.reached(at(3)).await;
        assert_eq!(Instant::now(), at(9000), "it has passed");
    }
}
