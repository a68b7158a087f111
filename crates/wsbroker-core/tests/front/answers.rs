//! What a request is answered.

use std::io::Write;

use crate::kit::*;

#[test]
fn a_handshake_is_answered_with_101_and_no_more_than_it_needs() {
    let broker = broker();
    let _keeper = Keeper::open(&broker);
    let listener = serve(&broker, loopback());
    let answer = ask(listener.port(), handshake("/chat", &["Sec-WebSocket-Extensions: permessage-deflate"]));
    assert_eq!(
        answer.head,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    );
    assert_eq!(listener.url(), format!("ws://127.0.0.1:{}", listener.port()));
    assert_eq!(listener.address(), "127.0.0.1");
}

#[test]
fn every_other_request_is_told_why_not() {
    let broker = broker();
    let keeper = Keeper::open(&broker);
    let listener = serve(&broker, on(0, &["/ws"]));
    let port = listener.port();
    let good = handshake("/ws", &[]);
    for (expected, request) in [
        (101, good.clone()),
        (101, handshake("/ws?query=/other", &[])),
        (101, handshake("http://example.test/ws", &[])),
        (101, handshake("http://example.test:80/ws", &[])),
        (101, handshake("wss://other.test/ws", &[])),
        (400, handshake("http://user@example.test/ws", &[])),
        (404, handshake("/", &[])),
        (404, handshake("/WS", &[])),
        (404, handshake("/ws/", &[])),
        (404, handshake("/%77s", &[])),
        (400, handshake("*", &[])),
        (404, "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n".into()),
        (404, "GET / HTTP/1.1\r\nHost: h\r\n\r\n".into()),
        (426, "GET /ws HTTP/1.1\r\nHost: h\r\n\r\n".into()),
        (426, "GET /ws HTTP/1.0\r\n\r\n".into()),
        (426, "HEAD /ws HTTP/1.1\r\nHost: h\r\n\r\n".into()),
        (426, "POST /ws HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody".into()),
        (405, good.replace("GET", "POST")),
        (505, good.replace("HTTP/1.1", "HTTP/2.0")),
        (400, good.replace("\r\n", "\n")),
        (400, good.replace("Host: example.test\r\n", "")),
        (400, handshake("/ws", &["Host: other.test"])),
        (400, handshake("/ws", &[" folded"])),
        (400, handshake("/ws", &["X: a\rb"])),
        (400, handshake("/ws", &["X : space"])),
        (400, handshake("/ws", &["Content-Length: 5"])),
        (400, handshake("/ws", &["Transfer-Encoding: chunked"])),
        (400, good.replace("Connection: Upgrade", "Connection: keep-alive")),
        (426, good.replace("Version: 13", "Version: 8")),
        (400, good.replace("dGhlIHNhbXBsZSBub25jZQ==", "short")),
        (400, handshake("/ws", &["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="])),
        (400, handshake("/ws", &["Sec-WebSocket-Protocol: a b"])),
        (400, "GET ws HTTP/1.1\r\n\r\n".into()),
        (400, "\x16\x03\x01\x02\0\x01\0\x01\x7c\x03\x03".into()),
        (431, handshake("/ws", &[&format!("X: {}", "x".repeat(16 << 10))])),
        (431, handshake("/ws", &["A: b"; 100])),
    ] {
        let answer = ask(port, &request);
        assert_eq!(answer.status, expected, "{request}");
        match expected {
            101 => continue,
            426 if request.contains("Version: 8") => assert_eq!(answer.header("sec-websocket-version"), ["13"]),
            405 => assert_eq!(answer.header("allow"), ["GET"]),
            _ => {}
        }
        if expected == 426 {
            assert_eq!(answer.header("upgrade"), ["websocket"]);
            assert_eq!(answer.header("connection"), ["Upgrade, close"]);
        }
        assert_eq!(answer.header("content-type"), ["text/plain; charset=utf-8"]);
        assert_eq!(answer.body.is_empty(), request.starts_with("HEAD"), "{request}");
    }
    assert_eq!(keeper.requests.lock().len(), 5, "a worker is asked about handshakes only");
}

#[test]
fn an_answer_is_not_lost_behind_a_body() {
    let broker = broker();
    let listener = serve(&broker, loopback());
    let body = vec![b'x'; 60 << 10];
    let mut request = format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    request.extend(body);
    for _ in 0..20 {
        assert_eq!(ask(listener.port(), &request).status, 426);
    }
}

#[test]
fn a_worker_is_told_what_the_request_says() {
    let broker = broker();
    let keeper = Keeper::open(&broker);
    let listener = serve(&broker, loopback());
    let mut stream = connect(listener.port());
    let mut request = handshake(
        "/a%20b?x=1&y",
        &["X-A: 1", "Cookie: a=1", "x-a: 2", "Cookie: b=2", "Sec-WebSocket-Protocol: chat, v2"],
    );
    request = request.replace("\r\n\r\n", "\r\nX-Utf: \u{e9}\r\nX-Latin: ?\r\n\r\n");
    let mut request = request.into_bytes();
    let at = request.windows(10).position(|bytes| bytes == b"X-Latin: ?").unwrap() + 9;
    request[at] = 0xe9;
    stream.write_all(&request).unwrap();
    assert_eq!(answer(&mut stream).status, 101);
    let told = keeper.requests.lock()[0].clone();
    assert_eq!((told.url.as_str(), told.path.as_str(), told.query.as_str()), ("/a%20b?x=1&y", "/a%20b", "x=1&y"));
    assert_eq!((told.method.as_str(), told.secure), ("GET", false));
    assert_eq!(told.protocols, ["chat", "v2"]);
    assert_eq!((told.ip.as_str(), told.remote_port), ("127.0.0.1", stream.local_addr().unwrap().port()));
    let header = |name| {
        told.headers.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(header("x-a"), ["1, 2"]);
    assert_eq!(header("cookie"), ["a=1; b=2"]);
    assert_eq!((header("x-utf"), header("x-latin")), (vec!["é"], vec!["é"]));
    assert_eq!(header("host"), ["example.test"]);
}

#[test]
fn a_request_may_come_byte_by_byte_with_frames_behind_it() {
    let broker = broker();
    let keeper = Keeper::open(&broker);
    let listener = serve(&broker, loopback());
    let mut stream = connect(listener.port());
    for byte in handshake("/", &[]).as_bytes() {
        stream.write_all(&[*byte]).unwrap();
    }
    assert_eq!(answer(&mut stream).status, 101);
    let mut at_once = connect(listener.port());
    let large = vec![b'x'; 100_000];
    let frames = [frame(b"one"), frame(b"two"), frame(&large), frame(b"three")].concat();
    at_once.write_all(&[handshake("/", &[]).as_bytes(), &frames].concat()).unwrap();
    assert_eq!(answer(&mut at_once).status, 101);
    until("every message has come", || keeper.told().len() == 4);
    let expected: Vec<_> =
        [b"one".to_vec(), b"two".to_vec(), large, b"three".to_vec()].into_iter().map(Told::Text).collect();
    assert!(keeper.told() == expected, "in order and whole");
}
