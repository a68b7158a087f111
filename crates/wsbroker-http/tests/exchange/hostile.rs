//! Servers that lie about their responses: each client still gets messages that end where they say.

use wsbroker_http::Failure;

use crate::kit::{Peer, Server};

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
const HEAD: &str = "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test]
async fn what_follows_a_response_is_never_the_next_one() {
    let poison = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison";
    let large = format!("HTTP/1.1 200 OK\r\ncontent-length: 20000\r\n\r\n{}", "x".repeat(20_000));
    for (request, response, expected) in [
        // More than its length says.
        (GET, format!("{OK}{poison}"), OK),
        (GET, format!("{large}{poison}"), &large),
        (
            GET,
            format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{poison}"),
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        // Bodies where there are none.
        (
            GET,
            format!("HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n{poison}"),
            "HTTP/1.1 204 No Content\r\n\r\n",
        ),
        (
            GET,
            format!("HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n{poison}"),
            "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n",
        ),
        (
            HEAD,
            format!("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n{poison}"),
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n",
        ),
        // Two lengths: the chunks count, and the other is not passed on.
        (
            GET,
            "HTTP/1.1 200 OK\r\ncontent-length: 90\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
                .to_owned(),
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        ),
    ] {
        let server = Server::start().await;
        let (mut client, _served) = server.client();
        client.send(request).await;
        let mut inner = server.accept().await;
        inner.head().await;
        inner.send(&response).await;
        client.exactly(expected).await;
        client.send(GET).await;
        // On another connection, unless nothing was wrong with this one.
        let mut next = if response.contains("poison") { server.accept().await } else { inner };
        next.head().await;
        next.send(OK).await;
        client.exactly(OK).await;
    }
}

#[tokio::test]
async fn a_response_that_nobody_asked_for_is_given_to_nobody() {
    let server = Server::start().await;
    let (mut client, _served) = server.client();
    client.send(GET).await;
    let mut inner = server.accept().await;
    inner.head().await;
    inner.send(OK).await;
    client.exactly(OK).await;
    inner.send("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison").await;
    // The runtime looks at its sockets.
    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    client.send(GET).await;
    let mut next = server.accept().await;
    next.head().await;
    next.send(OK).await;
    client.exactly(OK).await;
}

#[tokio::test]
async fn heads_that_are_too_large_or_not_well_formed_are_a_502() {
    let many = "a: b\r\n".repeat(300);
    let long = format!("a: {}\r\n", "b".repeat(300 << 10));
    for lines in [
        many.as_str(),
        &long,
        "a: b\rc: d\r\n",
        "a : b\r\n",
        "content-length: 1\r\ncontent-length: 2\r\n",
        "content-length: -1\r\n",
        "content-length: 1, 2\r\n",
        "content-length: 1\r\ncontent-length: 1\r\n",
        "transfer-encoding: gzip, chunked\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        "a: b\r\n c\r\n",
    ] {
        let server = Server::start().await;
        let (mut client, served) = server.client();
        client.send(GET).await;
        let mut inner = server.accept().await;
        inner.head().await;
        // It may have been cut before all of it was sent.
        let response = format!("HTTP/1.1 200 OK\r\n{lines}\r\n");
        let _ = tokio::io::AsyncWriteExt::write_all(&mut inner.stream, response.as_bytes()).await;
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 502 "), "{} {head}", &lines[..20.min(lines.len())]);
        assert_eq!(served.await.unwrap()[0].failure, Some(Failure::Broken));
    }
}

#[tokio::test]
async fn chunks_that_are_not_well_formed_never_come_to_an_end() {
    for chunks in
        ["2\r\nokX\r\n0\r\n\r\n", "2\r\nok\r\n-1\r\n", "2\r\nok\r\n0x0\r\n\r\n", "2\r\nok\r\nffffffffffffffffff\r\n"]
    {
        let server = Server::start().await;
        let (mut client, served) = server.client();
        client.send(GET).await;
        let mut inner = server.accept().await;
        inner.head().await;
        inner.send(format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunks}")).await;
        client.exactly("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n").await;
        client.ended().await;
        assert_eq!(served.await.unwrap()[0].failure, Some(Failure::Broken), "{chunks:?}");
    }
}

#[tokio::test]
async fn a_flood_of_interim_responses_is_not_kept_for_a_client_that_does_not_read() {
    let server = Server::start().await;
    let (mut client, _served) = server.client_with(false, 1 << 10);
    client.send(GET).await;
    let mut inner = server.accept().await;
    inner.head().await;
    let hint = format!("HTTP/1.1 103 Early Hints\r\nlink: <{}>\r\n\r\n", "a".repeat(1000));
    for _ in 0..1000 {
        inner.send(&hint).await;
        // The exchange gets its turn.
        tokio::task::yield_now().await;
    }
    inner.send(OK).await;
    let kept = read_to(&mut client, "ok").await;
    assert!(kept.ends_with(OK) && kept.len() < 64 << 10, "{} KiB were kept", kept.len() >> 10);
}

async fn read_to<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(client: &mut Peer<S>, end: &str) -> String {
    client.until(&format!("\r\n\r\n{end}")).await
}
