//! Servers and clients that fail.

use std::time::Duration;

use wsbroker_http::{Failure, LeastRate, Next};

use crate::kit::Server;

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n";
const NO_CONTENT: &str = "HTTP/1.1 204 No Content\r\n\r\n";

#[tokio::test]
async fn a_server_that_is_away_is_a_502() {
    let mut server = Server::start().await;
    server.forwarding.to = "http://127.0.0.1:1".parse().unwrap();
    let (mut client, served) = server.client();
    client.send(GET).await;
    assert!(client.head().await.starts_with("HTTP/1.1 502 Bad Gateway\r\n"));
    client.until("reached\n").await;
    client.ended().await;
    let outcome = served.await.unwrap()[0];
    assert_eq!((outcome.next, outcome.status, outcome.failure), (Next::Close, Some(502), Some(Failure::Unreachable)));
}

#[tokio::test]
async fn a_response_that_is_no_http_is_a_502() {
    for response in [
        "SMTP ready\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA\0: b\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        "",
    ] {
        let server = Server::start().await;
        let (mut client, served) = server.client();
        client.send(GET).await;
        let mut inner = server.accept().await;
        inner.head().await;
        inner.send(response).await;
        drop(inner);
        assert!(client.head().await.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{response:?}");
        assert_eq!(served.await.unwrap()[0].failure, Some(Failure::Broken));
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_a_504() {
    let mut server = Server::start().await;
    server.forwarding.head_timeout = Duration::from_millis(50);
    let (mut client, served) = server.client();
    client.send(GET).await;
    let mut inner = server.accept().await;
    inner.head().await;
    assert!(client.head().await.starts_with("HTTP/1.1 504 Gateway Timeout\r\n"));
    inner.ended().await;
    assert_eq!(served.await.unwrap()[0].failure, Some(Failure::TooSlow));
}

#[tokio::test]
async fn a_body_that_stops_is_a_408_and_the_server_sees_that_it_is_not_whole() {
    let mut server = Server::start().await;
    server.forwarding.body_timeout = Duration::from_millis(50);
    let (mut client, served) = server.client();
    client.send(POST).await;
    client.send("hel").await;
    let mut inner = server.accept().await;
    inner.head().await;
    inner.exactly("hel").await;
    assert!(client.head().await.starts_with("HTTP/1.1 408 Request Timeout\r\n"));
    inner.ended().await;
    assert_eq!(served.await.unwrap()[0].failure, Some(Failure::Stalled));
}

const LEAST: LeastRate = LeastRate { bytes_per_second: 1 << 20, over: Duration::from_millis(200) };

#[tokio::test]
async fn a_client_that_drips_its_body_is_cut_though_it_is_never_silent_for_long() {
    let mut server = Server::start().await;
    server.forwarding.least_rate = LEAST;
    let (mut client, served) = server.client();
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n").await;
    let mut inner = server.accept().await;
    inner.head().await;
    let dripped = async {
        for _ in 0..200 {
            client.send("x").await;
            inner.exactly("x").await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        biased;
        outcomes = served => assert_eq!(outcomes.unwrap()[0].failure, Some(Failure::Stalled)),
        () = dripped => panic!("it goes on"),
    }
}

#[tokio::test]
async fn a_client_that_takes_its_response_in_drips_is_cut() {
    let mut server = Server::start().await;
    server.forwarding.least_rate = LEAST;
    let (mut client, served) = server.client_with(false, 64);
    client.send(GET).await;
    let mut inner = server.accept().await;
    inner.head().await;
    inner.send(format!("HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n{}", "x".repeat(100_000))).await;
    client.head().await;
    let dripped = async {
        for _ in 0..200 {
            client.exactly("x").await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        biased;
        outcomes = served => assert_eq!(outcomes.unwrap()[0].failure, Some(Failure::Stalled)),
        () = dripped => panic!("it goes on"),
    }
}

#[tokio::test]
async fn a_response_that_comes_in_drips_is_the_applications_own_choice() {
    let mut server = Server::start().await;
    server.forwarding.least_rate = LEAST;
    let (mut client, _served) = server.client();
    client.send(GET).await;
    let mut inner = server.accept().await;
    inner.head().await;
    inner.send("HTTP/1.1 200 OK\r\ncontent-length: 60\r\n\r\n").await;
    client.head().await;
    // Events, twice as long as the average is of.
    for _ in 0..60 {
        inner.send("x").await;
        client.exactly("x").await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    client.send(GET).await;
    inner.head().await;
}

#[tokio::test]
async fn a_body_that_breaks_the_grammar_is_a_400_and_never_a_second_request() {
    let server = Server::start().await;
    let (mut client, served) = server.client();
    client.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let mut inner = server.accept().await;
    inner.head().await;
    assert!(client.head().await.starts_with("HTTP/1.1 400 Bad Request\r\n"));
    inner.exactly("5\r\nhello\r\n").await;
    inner.ended().await;
    assert_eq!(served.await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_response_that_breaks_off_is_never_taken_for_whole() {
    for head in ["content-length: 10", "transfer-encoding: chunked"] {
        let server = Server::start().await;
        let (mut client, served) = server.client();
        client.send(GET).await;
        let mut inner = server.accept().await;
        inner.head().await;
        let first = if head.starts_with('t') { "3\r\nabc\r\n" } else { "abc" };
        inner.send(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{first}")).await;
        client.exactly(&format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{first}")).await;
        drop(inner);
        client.ended().await;
        assert_eq!(served.await.unwrap()[0].failure, Some(Failure::Broken));
    }
}

#[tokio::test]
async fn a_client_that_goes_takes_its_request_with_it() {
    let server = Server::start().await;
    let (mut client, served) = server.client();
    client.send(GET).await;
    let mut inner = server.accept().await;
    inner.head().await;
    drop(client);
    inner.ended().await;
    assert_eq!(served.await.unwrap()[0].failure, Some(Failure::Gone));
}

#[tokio::test]
async fn a_request_that_finds_its_connection_closed_is_tried_again() {
    let server = Server::start().await;
    let (mut client, _served) = server.client();
    client.send(GET).await;
    let mut inner = server.accept().await;
    inner.head().await;
    inner.send(NO_CONTENT).await;
    client.exactly(NO_CONTENT).await;
    // Closed while idle, and once more while the request is on its way.
    drop(inner);
    client.send(GET).await;
    let mut inner = server.accept().await;
    inner.head().await;
    inner.send(NO_CONTENT).await;
    client.exactly(NO_CONTENT).await;
    client.send(GET).await;
    inner.head().await;
    drop(inner);
    let mut inner = server.accept().await;
    inner.head().await;
    inner.send(NO_CONTENT).await;
    client.exactly(NO_CONTENT).await;
}

#[tokio::test]
async fn what_may_have_been_done_is_not_done_again() {
    let server = Server::start().await;
    let (mut client, _served) = server.client();
    client.send(GET).await;
    let mut inner = server.accept().await;
    inner.head().await;
    inner.send(NO_CONTENT).await;
    client.exactly(NO_CONTENT).await;
    client.send("POST / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    inner.head().await;
    drop(inner);
    assert!(client.head().await.starts_with("HTTP/1.1 502 Bad Gateway\r\n"));
}
