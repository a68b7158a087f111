//! Bodies in both directions.

use tokio::io::AsyncWriteExt;

use crate::kit::{SOON, Server};

#[tokio::test]
async fn a_body_of_known_length_passes_and_the_next_request_begins_behind_it() {
    let server = Server::start().await;
    let (mut client, served) = server.client();
    client
        .send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0005\r\n\r\nhelloGET /next HTTP/1.1\r\nHost: h\r\n\r\n")
        .await;
    let mut inner = server.accept().await;
    assert!(inner.head().await.contains("\r\ncontent-length: 5\r\n"));
    inner.exactly("hello").await;
    inner.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    assert!(inner.head().await.starts_with("GET /next "));
    inner.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    client.exactly(&"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".repeat(2)).await;
    drop(client);
    assert_eq!(served.await.unwrap()[0].received, 5);
}

#[tokio::test]
async fn chunks_and_trailers_pass_in_both_directions() {
    let server = Server::start().await;
    let (mut client, _served) = server.client();
    client
        .send("POST / HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nTrailer: x-sum\r\nTransfer-Encoding: chunked\r\n\r\n3;ext=1\r\nabc\r\n0\r\nx-sum: 6\r\n\r\n")
        .await;
    let mut inner = server.accept().await;
    let head = inner.head().await;
    assert!(head.contains("\r\ntransfer-encoding: chunked\r\n") && !head.contains("\r\nte:"), "{head}");
    inner.exactly("3\r\nabc\r\n0\r\nx-sum: 6\r\n\r\n").await;
    inner
        .send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n2\r\nok\r\n0\r\nx-sum: 7\r\ncontent-length: 9\r\n\r\n")
        .await;
    client
        .exactly(
            "HTTP/1.1 200 OK\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-sum: 7\r\n\r\n",
        )
        .await;
}

#[tokio::test]
async fn a_body_until_the_end_of_the_inner_connection_becomes_chunks() {
    let server = Server::start().await;
    let (mut client, _served) = server.client();
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let mut inner = server.accept().await;
    inner.head().await;
    inner.send("HTTP/1.1 200 OK\r\n\r\nabc").await;
    client.exactly("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n").await;
    drop(inner);
    client.exactly("0\r\n\r\n").await;
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let mut inner = server.accept().await;
    inner.head().await;
    inner.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    client.exactly("HTTP/1.1 204 No Content\r\n\r\n").await;
}

#[tokio::test]
async fn a_client_that_asks_first_sends_its_body_when_the_application_says_so() {
    let server = Server::start().await;
    let (mut client, _served) = server.client();
    client.send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n").await;
    let mut inner = server.accept().await;
    assert!(inner.head().await.contains("\r\nexpect: 100-continue\r\n"));
    inner.send("HTTP/1.1 100 Continue\r\n\r\n").await;
    client.exactly("HTTP/1.1 100 Continue\r\n\r\n").await;
    client.send("hello").await;
    inner.exactly("hello").await;
    inner.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    client.exactly("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
}

#[tokio::test]
async fn an_answer_before_the_body_ends_the_connection() {
    let server = Server::start().await;
    let (mut client, served) = server.client();
    client.send("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n").await;
    let mut inner = server.accept().await;
    inner.head().await;
    inner.send("HTTP/1.1 417 Expectation Failed\r\ncontent-length: 2\r\n\r\nno").await;
    client.exactly("HTTP/1.1 417 Expectation Failed\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno").await;
    client.ended().await;
    assert_eq!(served.await.unwrap()[0].status, Some(417));
}

#[tokio::test]
async fn a_server_that_answers_while_it_reads_gets_all_of_the_body() {
    let server = Server::start().await;
    let (mut client, _served) = server.client_with(false, 4 << 10);
    let body = vec![b'x'; 1 << 20];
    let sent = body.clone();
    let inner = async {
        let mut inner = server.accept().await;
        inner.head().await;
        // More than all buffers on the way hold, before it reads: neither side may wait for the
        // other.
        let (mut read, mut write) = inner.stream.into_split();
        let answered = tokio::spawn(async move {
            write
                .write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", sent.len()).as_bytes())
                .await
                .unwrap();
            write.write_all(&sent).await.unwrap();
            write
        });
        let mut sink = tokio::io::sink();
        tokio::time::timeout(SOON, tokio::io::copy(&mut tokio::io::AsyncReadExt::take(&mut read, 1 << 20), &mut sink))
            .await
            .unwrap()
            .unwrap();
        answered.await.unwrap()
    };
    let outer = async {
        client.send(format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", body.len())).await;
        client.send(&body).await;
        client.until("\r\n\r\n").await;
        client.exactly(std::str::from_utf8(&body).unwrap()).await;
    };
    let ((), _write) = tokio::join!(outer, inner);
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_the_server_back() {
    let server = Server::start().await;
    let (mut client, _served) = server.client_with(false, 4 << 10);
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let mut inner = server.accept().await;
    inner.head().await;
    inner.send("HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n").await;
    let piece = vec![b'x'; 64 << 10];
    let mut taken = 0_usize;
    // The kernel's own buffers take some megabytes; ours little more.
    while let Ok(written) =
        tokio::time::timeout(std::time::Duration::from_millis(500), inner.stream.write_all(&piece)).await
    {
        written.unwrap();
        taken += piece.len();
        assert!(taken < 64 << 20, "nothing holds the server back");
    }
    client.until("\r\n\r\n").await;
}
