//! What of a head passes, and how connections go on.

use crate::kit::Server;

const GET: &str = "GET /a?b HTTP/1.1\r\nHost: h.test\r\n\r\n";
const FORWARDED: &str = "GET /a?b HTTP/1.1\r\nhost: h.test\r\nx-forwarded-for: 192.0.2.7\r\n\
                         x-forwarded-proto: http\r\nx-forwarded-host: h.test\r\n\r\n";

#[tokio::test]
async fn a_request_is_written_anew_and_its_response_too() {
    let server = Server::start().await;
    let (mut client, served) = server.client();
    client
        .send("GET http://h.test/a?b HTTP/1.1\r\nHost: other\r\nConnection: x-secret\r\nX-Secret: 1\r\nUpgrade: h2c\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n")
        .await;
    let mut inner = server.accept().await;
    inner.exactly(FORWARDED).await;
    inner
        .send("HTTP/1.1 200 Fine\r\nConnection: x-mine\r\nX-Mine: 1\r\nKeep-Alive: timeout=5\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\n\r\nok")
        .await;
    client.exactly("HTTP/1.1 200 OK\r\nset-cookie: a=1\r\nset-cookie: b=2\r\ncontent-length: 2\r\n\r\nok").await;
    drop(client);
    let outcomes = served.await.unwrap();
    assert_eq!((outcomes.len(), outcomes[0].status, outcomes[0].failure), (1, Some(200), None));
}

#[tokio::test]
async fn requests_of_one_client_share_a_connection_and_pipelined_ones_are_answered_in_order() {
    let server = Server::start().await;
    let (mut client, _served) = server.client();
    client.send(GET.repeat(3)).await;
    let mut inner = server.accept().await;
    for body in ["one", "two", "six"] {
        inner.exactly(FORWARDED).await;
        inner.send(format!("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{body}")).await;
    }
    for body in ["one", "two", "six"] {
        client.exactly(&format!("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{body}")).await;
    }
}

#[tokio::test]
async fn two_clients_never_share_a_connection() {
    let server = Server::start().await;
    let (mut one, _served) = server.client();
    let (mut two, _served_too) = server.client();
    one.send(GET).await;
    let mut inner_one = server.accept().await;
    inner_one.head().await;
    inner_one.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    one.exactly("HTTP/1.1 204 No Content\r\n\r\n").await;
    two.send(GET).await;
    let mut inner_two = server.accept().await;
    inner_two.head().await;
    inner_two.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    two.exactly("HTTP/1.1 204 No Content\r\n\r\n").await;
    drop(one);
    inner_one.ended().await;
}

#[tokio::test]
async fn responses_without_a_body_end_with_their_head() {
    let server = Server::start().await;
    let (mut client, _served) = server.client();
    client.send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let mut inner = server.accept().await;
    inner.head().await;
    inner.send("HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n").await;
    client.exactly("HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n").await;
    client.send(GET).await;
    inner.head().await;
    inner.send("HTTP/1.1 304 Not Modified\r\netag: x\r\n\r\n").await;
    client.exactly("HTTP/1.1 304 Not Modified\r\netag: x\r\n\r\n").await;
    client.send(GET).await;
    inner.head().await;
    inner.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    client.exactly("HTTP/1.1 204 No Content\r\n\r\n").await;
}

#[tokio::test]
async fn a_client_of_http_1_0_gets_no_chunks_and_an_end() {
    let server = Server::start().await;
    let (mut client, _served) = server.client();
    client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").await;
    let mut inner = server.accept().await;
    assert!(inner.head().await.starts_with("GET / HTTP/1.1\r\nhost: \r\n"));
    inner.send("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx").await;
    client.exactly("HTTP/1.1 200 OK\r\ncontent-length: 1\r\nconnection: keep-alive\r\n\r\nx").await;
    client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").await;
    inner.head().await;
    inner.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n").await;
    client.exactly("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nabc").await;
    client.ended().await;
}

#[tokio::test]
async fn a_client_that_wants_no_more_gets_an_end() {
    let server = Server::start().await;
    let (mut client, _served) = server.client();
    client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await;
    let mut inner = server.accept().await;
    assert!(!inner.head().await.contains("connection"), "the inner connection is ours to keep");
    inner.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    client.exactly("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
    client.ended().await;
    inner.ended().await;
}

#[tokio::test]
async fn a_server_that_wants_no_more_requests_gets_them_on_another_connection() {
    for (version, field) in [("1.1", "Connection: x, Close\r\n"), ("1.0", ""), ("1.0", "Connection: keep-alive\r\n")] {
        let server = Server::start().await;
        let (mut client, _served) = server.client();
        let mut kept = Vec::new();
        for _ in 0..2 {
            client.send(GET).await;
            let mut inner = server.accept().await;
            inner.head().await;
            inner.send(format!("HTTP/{version} 200 OK\r\n{field}content-length: 2\r\n\r\nok")).await;
            client.exactly("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
            kept.push(inner);
        }
    }
}

#[tokio::test]
async fn heads_that_come_in_pieces_are_put_together() {
    let server = Server::start().await;
    let (mut client, _served) = server.client();
    client.send(GET).await;
    let mut inner = server.accept().await;
    inner.head().await;
    for byte in b"HTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: b\r\n\r\nok"
    {
        inner.send([*byte]).await;
        tokio::task::yield_now().await;
    }
    client.exactly("HTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\n").await;
    client.exactly("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-a: b\r\n\r\nok").await;
}

#[tokio::test]
async fn interim_responses_pass_before_the_final_one() {
    let server = Server::start().await;
    let (mut client, _served) = server.client();
    client.send(GET).await;
    let mut inner = server.accept().await;
    inner.head().await;
    inner.send("HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n").await;
    client.exactly("HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n").await;
    inner.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    client.exactly("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
}
