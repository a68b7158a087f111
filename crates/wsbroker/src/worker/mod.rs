//! A JavaScript thread as a worker: the way of an event from a shard to its handler, and of what
//! the handler sends back to the shards.
//!
//! A shard puts a batch into the `mailbox` of a worker (`thread_worker`) and wakes its thread.
//! There the `runner` takes the batches into its `inbox` and makes calls of up to 32 events
//! (`dispatch_call`). Each event has a slot (`slab`) until its handler has settled. The
//! `control_block`, laid out by `shared_numbers`, carries the numbers of a call to JavaScript, and
//! back how far each event got. What handlers send meanwhile is held in the `thread_cork`.
//!
//! A worker is a *raw worker*, whose handlers the application has registered, or a *helper* of the
//! server helper. Both have a mailbox and a runner.
//!
//! No exported function belongs here: those are in `api` and `helper`.

pub(crate) mod control_block;
pub(crate) mod dispatch_call;
pub(crate) mod inbox;
pub(crate) mod mailbox;
pub(crate) mod runner;
pub(crate) mod shared_numbers;
pub(crate) mod slab;
pub(crate) mod thread_cork;
pub(crate) mod thread_worker;
