//! The numbers of a broker and of its process, as Prometheus and others read them.
//!
//! Everything is counted elsewhere. A scrape takes what there is and writes it down: nothing here
//! runs between two scrapes, and no label has a value that a client can choose.

mod exposition;
mod families;
mod format;
mod histograms;
mod process_numbers;

pub use exposition::{Numbers, render};
pub use format::Format;
pub use process_numbers::ProcessNumbers;
