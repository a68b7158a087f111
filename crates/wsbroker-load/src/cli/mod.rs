//! The command line.

mod connect_arguments;

use std::str::FromStr;
use std::time::Duration;

use self::connect_arguments::ConnectArguments;
use crate::content::SMALLEST;
use crate::dialect::Dialect;
use crate::frame::MessageKind;
use crate::target::Target;

pub(crate) const USAGE: &str = "\
wsbroker-load SCENARIO --url URL [option value]...

Drives a WebSocket server, checks all that comes back, prints one JSON report.
Exit code: 0 verified, 1 something was lost, duplicated, damaged, refused or cut, 2 not run.

URL: ws://HOST:PORT/PATH, wss://..., ws+unix:/FILE:/PATH or wss+unix:/FILE:/PATH.
The server echoes binary messages and texts that begin with E, subscribes a
connection to ROOM on the text S:ROOM, and on P:ROOM:PAYLOAD publishes PAYLOAD to
ROOM, the sender included when it is subscribed.

Scenarios with a measured phase
  echo      every connection keeps --depth messages under connect
  publish   --publishers publish to --connections subscribers; each keeps --depth
            publishes under connect, and one is done when all subscribers have it
  rooms     --rooms of --members, all publish to their room, one message under connect
            each; the publisher's own copy is the acknowledgement
  across    --rooms of --members on the server at --url, and a publisher for each room
            on the one at --from; each keeps --depth publishes under connect. Also sends
            L:ROOM:PAYLOAD, which that server publishes only to its own connections
    --rate N              messages per second in all instead, sent when they are due, whatever
                          comes back; but for across, latency counts from when they were due
    --local N             across: every Nth is only local (default 0: none)
    --from URL            across: where the publishers connect
    --socket-io           across: the servers speak Socket.IO
    --redis HOST:PORT     report what this Redis carried in the phase
    --messages N          sent in the measured phase (200000 unless --seconds is given)
    --seconds S           measured phase by time; with --messages, whichever ends first
    --warmup N            messages sent before it (default 0)
    --warmup-seconds S    the same by time
    --pid PID             report the processor time that process used in the phase;
                          connect: in all, over the handshakes. May be repeated

Others
  idle      opens --connections and holds them
  slow      opens --connections, subscribes them to --room, then reads nothing;
            at the end reads what there is
  flood     --connections send as fast as they can for --seconds (default 1), then
            wait for all echoes; with --no-read they read nothing and are cut
  connect   --connections at a time open, and close again, until --messages
            handshakes (default 1000) or --seconds
    --hold S              idle and slow: for S seconds, else until stdin ends. The line
                          {\"event\":\"holding\"} says that all are open
    --touch               idle and connect: an echo on each connection first
    --abrupt              idle and connect: end without a close handshake
    --no-read             flood: see above

For all
  --connections N         (default 64; publish 1000)
  --depth N               messages under connect on a connection (default 1)
  --size BYTES            of a payload (default 64, at least 17)
  --binary                binary messages; else text
  --json                  text like JSON, which compresses like JSON
  --publishers N          (default 1)     --rooms N (default 100)   --members N (default 10)
  --room NAME             (default bench)
  --header 'Name: value'  in the upgrade request; may be repeated
  --sources N             connect from 127.0.0.1, 127.0.0.2, ... (default 1), each with
                          some 28,000 ports
  --unix FILE             connect to this Unix domain socket, whatever host the URL names
  --tls                   as with wss://. Any certificate is accepted; nothing is resumed
  --ca FILE               PEM; only accept certificates of these authorities for the URL's host
  --deflate               offer permessage-deflate, and inflate what comes compressed
  --offer TEXT            the same with this Sec-WebSocket-Extensions
  --compress              the same, and send messages compressed where that was agreed
  --proxy v1|v2           send a PROXY header with the address of a client first
  --proxy-addresses N     this many clients in turn (default 1000), from 198.18.0.0 on
  --proxy-ipv6            with addresses 2001:db8:0:0::1, 2001:db8:0:1::1, ...
  --receive-buffer BYTES  SO_RCVBUF
  --window N              handshakes under connect at once (default 64)
  --stall S               give up when nothing moved for S seconds (default 10)
";

/// What the command line asks for.
pub(crate) enum Invocation {
    Run(Box<Options>),
    Help,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ScenarioName {
    Echo,
    Publish,
    Rooms,
    Across,
    Idle,
    Slow,
    Flood,
    Connect,
}

impl ScenarioName {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "echo" => Self::Echo,
            "publish" => Self::Publish,
            "rooms" => Self::Rooms,
            "across" => Self::Across,
            "idle" => Self::Idle,
            "slow" => Self::Slow,
            "flood" => Self::Flood,
            "connect" => Self::Connect,
            _ => return None,
        })
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Publish => "publish",
            Self::Rooms => "rooms",
            Self::Across => "across",
            Self::Idle => "idle",
            Self::Slow => "slow",
            Self::Flood => "flood",
            Self::Connect => "connect",
        }
    }
}

/// All options, with the defaults filled in. [`USAGE`] explains them.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) name: ScenarioName,
    pub(crate) target: Target,
    pub(crate) connections: usize,
    pub(crate) depth: usize,
    pub(crate) size: usize,
    pub(crate) kind: MessageKind,
    pub(crate) json: bool,
    pub(crate) messages: Option<u64>,
    pub(crate) seconds: Option<Duration>,
    pub(crate) warmup: Option<u64>,
    pub(crate) warmup_seconds: Option<Duration>,
    pub(crate) pids: Vec<u32>,
    pub(crate) redis: Option<String>,
    pub(crate) from: Option<Target>,
    pub(crate) dialect: Dialect,
    pub(crate) rate: Option<f64>,
    pub(crate) local: u64,
    pub(crate) publishers: usize,
    pub(crate) rooms: usize,
    pub(crate) members: usize,
    pub(crate) room: String,
    pub(crate) hold: Option<Duration>,
    pub(crate) touch: bool,
    pub(crate) abrupt: bool,
    pub(crate) read: bool,
    pub(crate) window: usize,
    pub(crate) stall: Duration,
}

/// Reads the arguments after the program's name.
///
/// # Errors
/// Which argument is wrong, and what was expected.
pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Invocation, String> {
    let name = match arguments.next().as_deref() {
        None | Some("--help" | "-h" | "help") => return Ok(Invocation::Help),
        Some(name) => ScenarioName::parse(name).ok_or_else(|| format!("unknown scenario '{name}', see --help"))?,
    };
    let (mut url, mut connect) = (None, ConnectArguments::new());
    let mut connections = if name == ScenarioName::Publish { 1000 } else { 64 };
    let (mut depth, mut size, mut kind, mut json) = (1, 64, MessageKind::Text, false);
    let (mut messages, mut seconds, mut warmup, mut warmup_seconds) = (None, None, None, None);
    let (mut pids, mut redis, mut from, mut dialect, mut rate, mut local) =
        (Vec::new(), None, None, Dialect::Plain, None, 0);
    let (mut publishers, mut rooms, mut members, mut room) = (1, 100, 10, "bench".to_owned());
    let (mut hold, mut touch, mut abrupt, mut read) = (None, false, false, true);
    let (mut window, mut stall) = (64, Duration::from_secs(10));
    while let Some(option) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{option} needs a value"));
        match option.as_str() {
            "--url" => url = Some(value()?),
            "--connections" => connections = positive(&option, &value()?)?,
            "--depth" => depth = positive(&option, &value()?)?,
            "--size" => size = positive(&option, &value()?)?,
            "--binary" => kind = MessageKind::Binary,
            "--json" => json = true,
            "--messages" => messages = Some(number(&option, &value()?)?),
            "--seconds" => seconds = Some(duration(&option, &value()?)?),
            "--warmup" => warmup = Some(number(&option, &value()?)?),
            "--warmup-seconds" => warmup_seconds = Some(duration(&option, &value()?)?),
            "--pid" => pids.push(number(&option, &value()?)?),
            "--redis" => redis = Some(value()?),
            "--from" => from = Some(value()?),
            "--socket-io" => dialect = Dialect::SocketIo,
            "--local" => local = number(&option, &value()?)?,
            "--rate" => rate = Some(positive(&option, &value()?)? as f64),
            "--publishers" => publishers = positive(&option, &value()?)?,
            "--rooms" => rooms = positive(&option, &value()?)?,
            "--members" => members = positive(&option, &value()?)?,
            "--room" => room = value()?,
            "--hold" => hold = Some(duration(&option, &value()?)?),
            "--touch" => touch = true,
            "--abrupt" => abrupt = true,
            "--no-read" => read = false,
            "--window" => window = positive(&option, &value()?)?,
            "--stall" => stall = duration(&option, &value()?)?,
            "--help" | "-h" => return Ok(Invocation::Help),
            _ if connect.take(&option, value)? => {}
            _ => return Err(format!("unknown option '{option}', see --help")),
        }
    }
    if size < SMALLEST {
        return Err(format!("--size must be at least {SMALLEST}, got {size}"));
    }
    if json && kind == MessageKind::Binary {
        return Err("--json and --binary do not go together".to_owned());
    }
    let connect = connect.finish();
    let from = from.map(|from| Target::new(&from, connect.clone())).transpose()?;
    let target = Target::new(&url.ok_or("--url is missing")?, connect)?;
    Ok(Invocation::Run(Box::new(Options {
        name,
        target,
        connections,
        depth,
        size,
        kind,
        json,
        messages,
        seconds,
        warmup,
        warmup_seconds,
        pids,
        redis,
        from,
        dialect,
        rate,
        local,
        publishers,
        rooms,
        members,
        room,
        hold,
        touch,
        abrupt,
        read,
        window,
        stall,
    })))
}

fn number<N: FromStr>(option: &str, value: &str) -> Result<N, String> {
    value.replace('_', "").parse().map_err(|_| format!("{option} must be a whole number, got '{value}'"))
}

fn positive(option: &str, value: &str) -> Result<usize, String> {
    match number(option, value)? {
        0 => Err(format!("{option} must be at least 1")),
        n => Ok(n),
    }
}

fn duration(option: &str, value: &str) -> Result<Duration, String> {
    let seconds = value.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| format!("{option} must be a number of seconds, got '{value}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_line(line: &str) -> Result<Invocation, String> {
        parse(line.split_ascii_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_override_defaults() {
        let line = "echo --url ws://127.0.0.1:1 --depth 16 --messages 1_000 --seconds 0.5 --binary";
        let Ok(Invocation::Run(options)) = parse_line(line) else { panic!("not a run") };
        assert_eq!((options.name, options.connections, options.depth), (ScenarioName::Echo, 64, 16));
        assert_eq!((options.messages, options.seconds), (Some(1000), Some(Duration::from_millis(500))));
        assert_eq!(options.kind, MessageKind::Binary);
    }

    #[test]
    fn a_wrong_argument_is_named() {
        for (line, named) in [
            ("race", "'race'"),
            ("echo", "--url"),
            ("echo --url http://x", "ws://"),
            ("echo --url ws://127.0.0.1:1 --size 3", "--size"),
            ("echo --url ws://127.0.0.1:1 --depth 0", "--depth"),
            ("echo --url ws://127.0.0.1:1 --seconds -1", "--seconds"),
            ("echo --url ws://127.0.0.1:1 --colour", "'--colour'"),
            ("echo --url", "--url"),
            ("echo --url ws://127.0.0.1:1 --json --binary", "--json"),
            ("echo --url wss://127.0.0.1:1 --ca /no/such/file", "--ca"),
            ("echo --url ws://127.0.0.1:1 --proxy v3", "--proxy"),
        ] {
            let Err(error) = parse_line(line) else { panic!("{line} was taken") };
            assert!(error.contains(named), "{line}: {error}");
        }
    }
}
