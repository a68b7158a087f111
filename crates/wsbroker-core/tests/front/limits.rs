//! Time, number and size on the way in.

use std::{
    io::{ErrorKind, Read, Write},
    time::{Duration, Instant},
};

use wsbroker_core::{Accept, ListenerConfig};

use crate::kit::*;

#[test]
fn a_request_that_takes_too_long_is_cut_without_an_answer() {
    let broker = broker();
    let timeout = Duration::from_millis(300);
    let listener = serve(&broker, ListenerConfig { handshake_timeout: timeout, ..loopback() });
    let start = Instant::now();
    let mut silent = connect(listener.port());
    let mut slow = connect(listener.port());
    let request = handshake("/", &[]);
    // Each byte on its own would be in time; the whole is not.
    let dribble = std::thread::spawn(move || {
        let mut writer = slow.try_clone().unwrap();
        let mut bytes = request.bytes().cycle();
        let _ = slow.set_read_timeout(Some(Duration::from_millis(10)));
        loop {
            // Fails once we are cut.
            if writer.write_all(&[bytes.next().unwrap() & 0x5f | 0x40]).is_err() {
                return;
            }
            match slow.read(&mut [0]) {
                Ok(0) => return,
                Ok(_) => panic!("an answer"),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => return,
            }
            assert!(start.elapsed() < DEADLINE, "never cut");
        }
    });
    expect_end(&mut silent);
    assert!(start.elapsed() >= timeout, "{:?}", start.elapsed());
    dribble.join().unwrap();
    assert!(start.elapsed() >= timeout);
}

#[test]
fn more_pending_upgrades_than_allowed_are_told_so() {
    let broker = broker_with(2);
    let (_keeper, opens) = pondering(&broker);
    let listener = serve(&broker, loopback());
    let port = listener.port();
    // One has sent nothing, one waits for its verdict: both are pending.
    let silent = connect(port);
    let mut waiting = connect(port);
    waiting.write_all(handshake("/", &[]).as_bytes()).unwrap();
    let (_, open) = opens.recv_timeout(DEADLINE).unwrap();
    let full = ask(port, handshake("/", &[]));
    assert_eq!((full.status, full.body.as_str()), (503, "too many connections are waiting to be let in\n"));
    assert_eq!(answer(&mut connect(port)).status, 503, "without even asking");
    // The verdict gives the place back.
    open.reply.accept(Accept::default()).unwrap();
    assert_eq!(answer(&mut waiting).status, 101);
    until("there is room for one more", || {
        let mut next = connect(port);
        next.write_all(handshake("/", &[]).as_bytes()).unwrap();
        match opens.recv_timeout(Duration::from_millis(20)) {
            // Of one before that was given up, it comes too late.
            Ok((_, open)) => open.reply.accept(Accept::default()).is_ok() && answer(&mut next).status == 101,
            Err(_) => false,
        }
    });
    drop(silent);
}

#[test]
fn hundreds_at_once_are_all_let_in() {
    let broker = broker();
    let _keeper = Keeper::open(&broker);
    let listener = serve(&broker, loopback());
    let mut streams: Vec<_> = (0..300).map(|_| connect(listener.port())).collect();
    for stream in &mut streams {
        stream.write_all(handshake("/", &[]).as_bytes()).unwrap();
    }
    for stream in &mut streams {
        assert_eq!(answer(stream).status, 101);
    }
    until("all are counted", || broker.connection_count() == 300);
}

/// A server in a process of its own, since descriptors are bounded by process.
#[cfg(target_os = "linux")]
mod starving {
    use std::{
        fs::File,
        io::{BufRead, BufReader},
        process::{Command, Stdio},
    };

    use std::sync::atomic::{AtomicUsize, Ordering};

    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    use tracing::{Level, Metadata, span};

    use super::*;

    const NAME: &str = "limits::starving::accepting_goes_on_when_there_are_descriptors_again";
    const CHILD: &str = "WSBROKER_TEST_STARVING";
    /// Connections that the server has descriptors for.
    const ROOM: usize = 10;

    static LINES: AtomicUsize = AtomicUsize::new(0);

    /// Counts warnings.
    struct Counting;

    impl tracing::Subscriber for Counting {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            *metadata.level() <= Level::WARN
        }

        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }

        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

        fn event(&self, _: &tracing::Event<'_>) {
            LINES.fetch_add(1, Ordering::SeqCst);
        }

        fn enter(&self, _: &span::Id) {}

        fn exit(&self, _: &span::Id) {}
    }

    /// Says where it listens and when it is out of descriptors, and serves until its input ends.
    fn serve_with_few_descriptors() {
        tracing::subscriber::set_global_default(Counting).unwrap();
        let broker = broker();
        let _keeper = Keeper::open(&broker);
        let listener = serve(&broker, loopback());
        let in_use = std::fs::read_dir("/proc/self/fd").unwrap().count() - 1;
        let limit = Rlimit { current: Some((in_use + ROOM) as u64), ..getrlimit(Resource::Nofile) };
        let limited = Instant::now();
        setrlimit(Resource::Nofile, limit).unwrap();
        eprintln!("port {}", listener.port());
        until("there are no descriptors", || File::open("/dev/null").is_err());
        until("that is counted", || broker.stats().accept_failures > 0);
        eprintln!("starved");
        let _ = std::io::stdin().read(&mut [0]);
        // Each is followed by a pause of 50 ms at least, and a line tells of all of them.
        let failures = u128::from(broker.stats().accept_failures);
        assert!(failures <= limited.elapsed().as_millis() / 50 + 2, "{failures} in {:?}", limited.elapsed());
        assert_eq!(LINES.load(Ordering::SeqCst), 1, "for {failures} failures");
    }

    #[test]
    fn accepting_goes_on_when_there_are_descriptors_again() {
        if std::env::var_os(CHILD).is_some() {
            return serve_with_few_descriptors();
        }
        let mut server = Command::new(std::env::current_exe().unwrap())
            .args([NAME, "--exact", "--nocapture"])
            .env(CHILD, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(server.stderr.take().unwrap()).lines().map_while(Result::ok);
        let port = said.find_map(|line| line.strip_prefix("port ")?.parse().ok()).unwrap();
        let mut clients: Vec<_> = (0..3 * ROOM).map(|_| connect(port)).collect();
        for client in &mut clients {
            client.write_all(handshake("/", &[]).as_bytes()).unwrap();
        }
        said.find(|line| line == "starved").unwrap();
        // Waiting clients are let in one by one as others leave, in the order they came.
        for mut client in clients {
            assert_eq!(answer(&mut client).status, 101);
        }
        assert_eq!(status(port, "/"), 101);
        drop(server.stdin.take());
        let rest: Vec<_> = said.collect();
        assert!(server.wait().unwrap().success(), "{rest:?}");
    }
}
