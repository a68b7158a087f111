use std::time::{Duration, SystemTime};

use wsbroker_core::{CloseCause, DropCause, RejectCause, SocketId};

use super::*;

fn zero() -> Numbers {
    let process = ProcessNumbers {
        resident_memory: Some(1),
        virtual_memory: Some(2),
        open_fds: Some(3),
        max_fds: Some(4),
        cpu_seconds: Some(0.5),
        start_time: 6.25,
    };
    Numbers {
        stats: Stats::default(),
        bus: None,
        slow: SlowSummary::default(),
        threads: Vec::new(),
        process,
        version: "1.2.3",
    }
}

/// The lines of one family, without its comments.
fn lines<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let is_of = |line: &&str| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']) || rest.starts_with("_bucket"))
    };
    text.lines().filter(is_of).collect()
}

#[test]
fn every_series_is_there_before_anything_has_happened() {
    let text = render(zero(), Format::Prometheus);
    assert_eq!(lines(&text, "wsbroker_build_info"), ["wsbroker_build_info{version=\"1.2.3\"} 1"]);
    assert_eq!(lines(&text, "wsbroker_connections"), ["wsbroker_connections 0.0"]);
    assert_eq!(lines(&text, "wsbroker_closes_total").len(), CloseCause::ALL.len());
    assert_eq!(lines(&text, "wsbroker_rejects_total").len(), RejectCause::ALL.len());
    assert_eq!(lines(&text, "wsbroker_drops_total").len(), DropCause::ALL.len());
    assert_eq!(lines(&text, "wsbroker_handler_duration_seconds").len(), 6 * 20);
    assert_eq!(lines(&text, "wsbroker_fanout_subscribers").len(), 17);
    assert_eq!(lines(&text, "wsbroker_bus_lost"), ["wsbroker_bus_lost 0.0"]);
    assert_eq!(lines(&text, "process_open_fds"), ["process_open_fds 3.0"]);
    assert_eq!(lines(&text, "process_cpu_seconds_total"), ["process_cpu_seconds_total 0.5"]);
}

#[test]
fn both_formats_say_the_same() {
    // How numbers are written differs, and the order of labels and of a histogram's series.
    let bare = |text: String| {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let names = lines.map(|line| line.split(['{', ' ']).next().unwrap_or_default().to_owned());
        let mut names: Vec<_> = names.collect();
        names.sort_unstable();
        names
    };
    let (classic, open) = (render(zero(), Format::Prometheus), render(zero(), Format::OpenMetrics));
    assert!(open.ends_with("# EOF\n") && !classic.contains("# EOF"));
    let (classic, open) = (bare(classic), bare(open));
    assert_eq!(classic.len(), open.len());
    assert!(classic == open, "other series");
}

#[test]
fn a_histogram_counts_up_to_each_bound() {
    let mut numbers = zero();
    let fanout = &mut numbers.stats.histograms.fanout;
    fanout.buckets[1] = 3;
    fanout.buckets[16] = 1;
    fanout.sum = 200_003;
    let text = render(numbers, Format::Prometheus);
    let lines = lines(&text, "wsbroker_fanout_subscribers");
    assert_eq!(lines[0], "wsbroker_fanout_subscribers_bucket{le=\"0\"} 0");
    assert_eq!(lines[1], "wsbroker_fanout_subscribers_bucket{le=\"1\"} 3");
    assert_eq!(lines[16], "wsbroker_fanout_subscribers_bucket{le=\"+Inf\"} 4");
    assert!(text.contains("\nwsbroker_fanout_subscribers_sum 200003.0\nwsbroker_fanout_subscribers_count 4\n"));
}

#[test]
fn a_bus_that_is_lost_is_told_from_no_bus() {
    let joined = Numbers { bus: Some(BusStats { missed: 7, ..BusStats::default() }), ..zero() };
    let text = render(joined, Format::Prometheus);
    assert_eq!(lines(&text, "wsbroker_bus_lost"), ["wsbroker_bus_lost 1.0"]);
    assert_eq!(lines(&text, "wsbroker_bus_gaps_total"), ["wsbroker_bus_gaps_total 7"]);
}

#[test]
fn slow_sockets_have_ranks_and_those_that_nobody_has_are_zero() {
    let slow = |id, buffered, seconds, dropped| SlowSocket {
        id: SocketId::new(id).expect("it is one"),
        ip: None,
        buffered,
        since: SystemTime::now() - Duration::from_secs(seconds),
        dropped,
    };
    let worst = vec![slow((1 << 53) - 1, 5_000_000, 90, 7), slow(3, 100, 0, 0)];
    let text = render(Numbers { slow: SlowSummary { count: 1234, worst }, ..zero() }, Format::Prometheus);
    assert_eq!(lines(&text, "wsbroker_slow_sockets"), ["wsbroker_slow_sockets 1234.0"]);
    let ranks = |name| {
        let values = lines(&text, name).into_iter().enumerate().map(|(index, line)| {
            let value = line.strip_prefix(&format!("{name}{{rank=\"{}\"}} ", index + 1));
            value.and_then(|value| value.parse::<f64>().ok()).expect(line)
        });
        values.collect::<Vec<_>>()
    };
    assert_eq!(ranks("wsbroker_slow_socket_id"), padded([9_007_199_254_740_991.0, 3.0]));
    assert_eq!(ranks("wsbroker_slow_socket_send_queue_bytes"), padded([5_000_000.0, 100.0]));
    assert_eq!(ranks("wsbroker_slow_socket_dropped_messages"), padded([7.0, 0.0]));
    let seconds = ranks("wsbroker_slow_socket_duration_seconds");
    assert!((90.0..1000.0).contains(&seconds[0]) && (0.0..900.0).contains(&seconds[1]), "{seconds:?}");
    assert_eq!(seconds[2..], [0.0; 8]);
}

/// Zeros behind the first two ranks.
fn padded([first, second]: [f64; 2]) -> [f64; 10] {
    let mut all = [0.0; 10];
    (all[0], all[1]) = (first, second);
    all
}
