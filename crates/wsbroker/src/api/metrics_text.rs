//! The numbers of the broker and of the process as text, for `metrics()` and for the answer of an
//! address.

use wsbroker_core::{MetricsAnswer, MetricsText, Scrape};
use wsbroker_metrics::{Format, Numbers, ProcessNumbers, render};

use crate::{process, worker::thread_cork};

/// Of the broker there is. Without one all its numbers are 0.
pub(crate) fn current(format: Format) -> String {
    let now = thread_cork::with(|broker, _| broker.scrape());
    render(numbers(now.unwrap_or_default()), format)
}

/// An answer with these numbers, in the format that the request prefers.
pub(crate) fn answer() -> MetricsAnswer {
    MetricsAnswer::new(|scrape, accept| {
        let format = Format::preferred(accept);
        MetricsText { content_type: format.content_type(), text: render(numbers(scrape), format) }
    })
}

fn numbers(Scrape { stats, bus, slow }: Scrape) -> Numbers {
    Numbers {
        stats,
        bus,
        slow,
        threads: process::worker_threads(),
        process: ProcessNumbers::now(),
        version: env!("CARGO_PKG_VERSION"),
    }
}
