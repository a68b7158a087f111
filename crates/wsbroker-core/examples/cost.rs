//! scratch
use std::{
    collections::HashMap,
    io::{Read, Write},
    net::TcpStream,
    os::unix::net::UnixListener,
    time::Duration,
};
use wsbroker_core::*;
use wsbroker_http::{Forwarding, LeastRate};
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let path = args[1].as_str();
    let count: usize = args[2].parse().unwrap();
    let browser = args.get(3).is_some();
    let sock = format!("/tmp/http/cost-{}.sock", std::process::id());
    let listener = UnixListener::bind(&sock).unwrap();
    std::thread::Builder::new().name("inner".into()).spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\nDate: Mon, 30 Nov 2026 20:23:32 GMT\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\n{}", "x".repeat(1024));
            let mut buf = [0; 4096];
            loop { match stream.read(&mut buf) { Ok(n @ 1..) if buf[..n].ends_with(b"\r\n\r\n") => stream.write_all(answer.as_bytes()).unwrap(), _ => break } }
        }
    }).unwrap();
    let to = format!("unix:{sock}").parse().unwrap();
    let d = Duration::from_secs(60);
    let forward = Forwarding { to, head_timeout: d, body_timeout: d, least_rate: LeastRate::default() };
    let http = HttpConfig {
        forward: Some(forward),
        answers: HashMap::from([("/healthz".to_owned(), FixedAnswer::Health)]),
        identified_by: Some((
            "x-wsbroker-0123456789abcdef".into(),
            "0123456789abcdef0123456789abcdef0123456789abcdef".into(),
        )),
        ..HttpConfig::default()
    };
    let broker = Broker::new(Config { io_threads: 1, ..Config::default() }).unwrap();
    let listener = broker
        .listen(ListenerConfig {
            http: Some(http),
            bind: Bind::Tcp { host: Some("127.0.0.1".into()), port: 0 },
            paths: vec![],
            ..ListenerConfig::default()
        })
        .unwrap();
    listener.serve();
    let mut stream = TcpStream::connect(("127.0.0.1", listener.port())).unwrap();
    let more = if browser {
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36\r\nAccept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\nCookie: sid=0123456789abcdef0123456789; theme=dark\r\nConnection: keep-alive\r\nUpgrade-Insecure-Requests: 1\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: none\r\nSec-Fetch-User: ?1\r\nCache-Control: max-age=0\r\n"
    } else {
        ""
    };
    let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:12345\r\n{more}\r\n");
    let mut buf = [0; 8192];
    let mut length = 0;
    let begin = std::time::Instant::now();
    for i in 0..count {
        stream.write_all(request.as_bytes()).unwrap();
        let mut got = stream.read(&mut buf).unwrap();
        if i == 0 {
            std::thread::sleep(Duration::from_millis(20));
            stream.set_nonblocking(true).unwrap();
            if let Ok(more) = stream.read(&mut buf[got..]) {
                got += more;
            }
            stream.set_nonblocking(false).unwrap();
            length = got;
            eprintln!("{}", String::from_utf8_lossy(&buf[..got.min(400)]));
        }
        while got < length {
            got += stream.read(&mut buf).unwrap();
        }
    }
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let p = task.unwrap().path();
        let stat = std::fs::read_to_string(p.join("stat")).unwrap();
        let f: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        eprintln!(
            "{} user {} sys {} (us per request)",
            std::fs::read_to_string(p.join("comm")).unwrap().trim(),
            f[11].parse::<f64>().unwrap() * 1e4 / count as f64,
            f[12].parse::<f64>().unwrap() * 1e4 / count as f64
        );
    }
    eprintln!("{:?} per request", begin.elapsed() / count as u32);
    drop(std::fs::remove_file(&sock));
    std::process::exit(0);
}
