//! What differs between operating systems.

/// Whether a read that returned less than was asked for has emptied the socket, so that the next readiness event will come.
/// True for epoll and kqueue (edge-triggered readiness is armed by the next arrival); on Windows the read must run into `WouldBlock`.
pub(crate) const SHORT_READ_DRAINS: bool = cfg!(unix);

/// Marks the calling thread as one that works in batches, so that waking it does not preempt the thread that woke it.
/// Linux only; a refusal is ignored, since it costs nothing but speed.
pub(crate) fn prefer_batches() {
    #[cfg(target_os = "linux")]
    {
        use thread_priority::{
            NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
            thread_native_id,
        };
        let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Batch);
        if let Err(error) = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy) {
            tracing::debug!(?error, "SCHED_BATCH is not available");
        }
    }
}
