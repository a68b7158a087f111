//! What becomes of a worker's verdict.

use std::{io::Write, time::Duration};

use wsbroker_core::{Accept, Handlers, LateVerdict, ListenerConfig, Reject};

use crate::kit::*;

#[test]
fn the_subprotocol_is_the_workers_choice_or_ours() {
    let broker = broker();
    let _keeper = Keeper::new(&broker, Handlers::ALL, |_, open| {
        let protocol = open.request.path.strip_prefix("/choose/").map(str::to_owned);
        open.reply.accept(Accept { protocol, ..Accept::default() }).unwrap();
    });
    let listener = serve(&broker, ListenerConfig { protocols: vec!["v2".into(), "v1".into()], ..loopback() });
    let chosen = |path: &str, offers: &[&str]| {
        let answer = ask(listener.port(), handshake(path, offers));
        assert_eq!(answer.status, 101);
        answer.header("sec-websocket-protocol").first().map(|protocol| (*protocol).to_owned())
    };
    assert_eq!(chosen("/", &["Sec-WebSocket-Protocol: v1, v2"]).as_deref(), Some("v2"), "our order counts");
    assert_eq!(chosen("/", &["Sec-WebSocket-Protocol: x", "Sec-WebSocket-Protocol: v1"]).as_deref(), Some("v1"));
    assert_eq!(chosen("/", &["Sec-WebSocket-Protocol: x"]), None);
    assert_eq!(chosen("/", &[]), None);
    assert_eq!(chosen("/choose/x", &["Sec-WebSocket-Protocol: v1, x"]).as_deref(), Some("x"));
    assert_eq!(chosen("/choose/v2", &["Sec-WebSocket-Protocol: v1"]), None, "what was not offered is not answered");
    assert_eq!(chosen("/choose/v2", &[]), None);
}

#[test]
fn a_verdicts_headers_cannot_bend_the_answer() {
    let headers = [
        ("X-Good", "yes"),
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2"),
        ("X-Split", "a\r\nX-Evil: 1"),
        ("X-Split: a\r\nX-Evil", "1"),
        ("X-Nul", "a\0b"),
        ("Upgrade", "h2c"),
        ("connection", "keep-alive"),
        ("Sec-WebSocket-Accept", "forged"),
        ("Sec-WebSocket-Protocol", "forged"),
        ("Sec-WebSocket-Extensions", "permessage-deflate"),
        ("Content-Length", "0"),
        ("Transfer-Encoding", "chunked"),
    ];
    let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let broker = broker();
    let _keeper = Keeper::new(&broker, Handlers::ALL, move |_, open| {
        let headers = headers.clone();
        if open.request.path == "/in" {
            open.reply.accept(Accept { headers, ..Accept::default() }).unwrap();
        } else {
            open.reply.reject(Reject { status: 401, headers, body: "who?".into() }).unwrap();
        }
    });
    let listener = serve(&broker, loopback());
    let let_in = ask(listener.port(), handshake("/in", &[]));
    assert_eq!(
        let_in.head,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nX-Good: yes\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n"
    );
    let rejected = ask(listener.port(), handshake("/out", &[]));
    assert_eq!(
        rejected.head,
        "HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nX-Good: yes\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Length: 4\r\n\r\n"
    );
    assert_eq!(rejected.body, "who?");
}

#[test]
fn a_rejection_is_answered_as_the_worker_says_and_leaves_nothing_behind() {
    let broker = broker();
    let large = "x".repeat(200_000);
    let body = large.clone();
    let keeper = Keeper::new(&broker, Handlers::ALL, move |_, open| {
        let status = open.request.query.parse().unwrap();
        open.reply.reject(Reject { status, headers: Vec::new(), body: body.clone().into() }).unwrap();
    });
    let listener = serve(&broker, loopback());
    for (status, expected) in [(300, 300), (429, 429), (599, 599), (200, 200), (199, 403), (101, 403), (600, 403)] {
        let answer = ask(listener.port(), handshake(&format!("/?{status}"), &[]));
        assert_eq!((answer.status, answer.body == large), (expected, true));
    }
    close(&broker, &listener);
    assert_eq!((keeper.told(), broker.connection_count()), (Vec::new(), 0));
}

#[test]
fn a_worker_that_does_not_answer_costs_the_client_only_its_patience() {
    let broker = broker();
    let (keeper, opens) = pondering(&broker);
    let listener = serve(&broker, ListenerConfig { open_timeout: Duration::from_millis(100), ..loopback() });
    let ask_one = || {
        let answer = ask(listener.port(), handshake("/", &[]));
        assert_eq!((answer.status, answer.body.as_str()), (503, "the application did not answer in time\n"));
        opens.recv_timeout(DEADLINE).unwrap()
    };
    let (accepted, open) = ask_one();
    assert!(!broker.is_open(accepted), "nobody is there to be sent to");
    assert_eq!(open.reply.accept(Accept::default()), Err(LateVerdict.into()));
    let (_, open) = ask_one();
    let reject = Reject { status: 403, headers: Vec::new(), body: "no".into() };
    assert_eq!(open.reply.reject(reject), Err(LateVerdict));
    drop(ask_one());
    close(&broker, &listener);
    until("its end is reported", || !keeper.told.lock().is_empty());
    assert_eq!(
        *keeper.told.lock(),
        [(accepted, Told::Close(1006))],
        "the connection that was let in has an end, and no other"
    );
}

#[test]
fn a_worker_that_drops_the_question_refuses() {
    let broker = broker();
    let _keeper = Keeper::new(&broker, Handlers::ALL, |_, open| drop(open));
    let listener = serve(&broker, loopback());
    assert_eq!(ask(listener.port(), handshake("/", &[])).body, "the application could not answer\n");
    close(&broker, &listener);
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[test]
fn a_client_that_leaves_while_its_worker_thinks_is_noticed() {
    let broker = broker_with(1);
    let (keeper, opens) = pondering(&broker);
    let listener = serve(&broker, loopback());
    let mut leaver = connect(listener.port());
    // With a frame behind the request, so that there is input that is never read.
    leaver.write_all(&[handshake("/", &[]).as_bytes(), &frame(b"hello")].concat()).unwrap();
    let (id, open) = opens.recv_timeout(DEADLINE).unwrap();
    leaver.write_all(&frame(b"more")).unwrap();
    assert!(broker.is_open(id));
    drop(leaver);
    until("the connection is known as gone", || !broker.is_open(id));
    until("its place is another's", || {
        let mut next = connect(listener.port());
        next.write_all(handshake("/", &[]).as_bytes()).unwrap();
        opens.recv_timeout(Duration::from_millis(20)).is_ok()
    });
    assert_eq!(open.reply.accept(Accept::default()), Err(LateVerdict.into()));
    until("its end is reported", || !keeper.told.lock().is_empty());
    assert_eq!(*keeper.told.lock(), [(id, Told::Close(1006))]);
}
