//! What differs between operating systems.

/// Whether a read that returned less than was asked for has emptied the socket, so that the next
/// readiness event will come. True for epoll and kqueue (edge-triggered readiness is armed by the
/// next arrival); on Windows the read must run into `WouldBlock`.
pub(crate) const SHORT_READ_DRAINS: bool = cfg!(unix);

/// Marks the calling thread as one that works in batches, so that waking it does not preempt the
/// thread that woke it. Linux only; a refusal is ignored, since it costs nothing but speed.
pub(crate) fn prefer_batches() {
    #[cfg(target_os = "linux")]
    {
        use thread_priority::{
            NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
            thread_native_id,
        };
        // The call sets the nice value too. It must stay what it is: with a higher one, every write
        // would let the reader that it wakes preempt this thread, which made an echo cost five
        // times as much.
        let nice = rustix::process::getpriority_process(None).unwrap_or(0);
        let Ok(priority) = percent_of_nice(nice).try_into() else { return };
        let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Batch);
        let priority = ThreadPriority::Crossplatform(priority);
        if let Err(error) = set_thread_priority_and_policy(thread_native_id(), priority, policy) {
            tracing::debug!(?error, "SCHED_BATCH is not available");
        }
    }
}

/// The priority, 0 to 99, that the crate maps to this nice value, -20 to 19: the middle of the
/// range that it rounds to it.
#[cfg(target_os = "linux")]
fn percent_of_nice(nice: i32) -> u8 {
    let share = (f64::from(nice.clamp(-20, 19)) + 20.5) / 39.0;
    (99.0 * (1.0 - share)).round().clamp(0.0, 99.0) as u8
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn batch_threads_keep_their_nice_value() {
        let before = rustix::process::getpriority_process(None).unwrap();
        std::thread::spawn(move || {
            super::prefer_batches();
            assert_eq!(rustix::process::getpriority_process(None).unwrap(), before);
        })
        .join()
        .unwrap();
    }
}
