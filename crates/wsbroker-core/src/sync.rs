//! The locks and atomics of what the models check: the usual ones, or with the feature `loom` those
//! of loom, which try every interleaving that matters and every value that the memory model lets a
//! load return. See `docs/design/concurrency.md`.

#[cfg(not(feature = "loom"))]
pub(crate) use {
    parking_lot::{Mutex, MutexGuard},
    std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering},
};

#[cfg(feature = "loom")]
pub use modelled::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Mutex, MutexGuard, Ordering};

#[cfg(feature = "loom")]
mod modelled {
    use std::{cell::Cell, sync::PoisonError};

    pub use loom::sync::MutexGuard;
    pub use std::sync::atomic::Ordering;

    /// loom's mutex with the face of parking_lot's.
    #[derive(Debug, Default)]
    pub struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        /// As there.
        pub fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        /// As there.
        pub fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }

        /// As there.
        pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            self.0.try_lock().ok()
        }
    }

    loom::thread_local! {
        /// This thread has made a SeqCst access, and has written nothing with a weaker order since.
        static STRICT: Cell<bool> = Cell::new(false);
    }

    /// loom takes SeqCst accesses for AcqRel ones and knows the total order of SeqCst fences only.
    /// So a fence goes between two accesses of a thread that are both SeqCst, as compilers do it on
    /// machines without such accesses. None is where one of the two is weaker: then the total order
    /// does not hold them, and neither does the model.
    fn in_order(order: Ordering, writes: bool) {
        STRICT.with(|strict| {
            if order == Ordering::SeqCst {
                if strict.replace(true) {
                    loom::sync::atomic::fence(Ordering::SeqCst);
                }
            } else if writes {
                strict.set(false);
            }
        });
    }

    macro_rules! atomic {
        ($name:ident, $of:ty) => {
            /// loom's, with SeqCst accesses in a total order.
            #[derive(Debug, Default)]
            pub struct $name(loom::sync::atomic::$name);

            impl $name {
                /// As in `std`.
                #[track_caller]
                pub fn new(value: $of) -> Self {
                    Self(loom::sync::atomic::$name::new(value))
                }

                /// As in `std`.
                #[track_caller]
                pub fn load(&self, order: Ordering) -> $of {
                    in_order(order, false);
                    self.0.load(order)
                }

                /// As in `std`.
                #[track_caller]
                pub fn store(&self, value: $of, order: Ordering) {
                    in_order(order, true);
                    if order == Ordering::SeqCst {
                        // loom lets a load choose among stores of different threads that nothing
                        // orders, also when a swap in between has settled which came first.
                        self.0.swap(value, order);
                    } else {
                        self.0.store(value, order);
                    }
                }

                /// As in `std`.
                #[track_caller]
                pub fn swap(&self, value: $of, order: Ordering) -> $of {
                    in_order(order, true);
                    self.0.swap(value, order)
                }
            }
        };
        ($name:ident, $of:ty, counts) => {
            atomic!($name, $of);

            impl $name {
                /// As in `std`.
                #[track_caller]
                pub fn fetch_add(&self, value: $of, order: Ordering) -> $of {
                    in_order(order, true);
                    self.0.fetch_add(value, order)
                }

                /// As in `std`.
                #[track_caller]
                pub fn fetch_sub(&self, value: $of, order: Ordering) -> $of {
                    in_order(order, true);
                    self.0.fetch_sub(value, order)
                }

                /// As in `std`.
                #[track_caller]
                pub fn fetch_min(&self, value: $of, order: Ordering) -> $of {
                    in_order(order, true);
                    self.0.fetch_min(value, order)
                }

                /// As in `std`.
                ///
                /// # Errors
                /// As there.
                #[track_caller]
                pub fn fetch_update(
                    &self,
                    set: Ordering,
                    fetch: Ordering,
                    update: impl FnMut($of) -> Option<$of>,
                ) -> Result<$of, $of> {
                    in_order(set, true);
                    self.0.fetch_update(set, fetch, update)
                }
            }
        };
    }

    impl AtomicU32 {
        /// As in `std`.
        #[track_caller]
        pub fn fetch_or(&self, value: u32, order: Ordering) -> u32 {
            in_order(order, true);
            self.0.fetch_or(value, order)
        }
    }

    atomic!(AtomicBool, bool);
    atomic!(AtomicU8, u8);
    atomic!(AtomicU32, u32, counts);
    atomic!(AtomicU64, u64, counts);
    atomic!(AtomicUsize, usize, counts);
}
