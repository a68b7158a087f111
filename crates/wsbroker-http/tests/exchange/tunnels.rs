//! Upgrades that are the application's.

use crate::kit::Server;

const UPGRADE: &str = "GET /hmr HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\nSec-WebSocket-Version: 13\r\n\r\n";

#[tokio::test]
async fn an_upgrade_becomes_a_tunnel() {
    let mut server = Server::start().await;
    server.forwarding.body_timeout = std::time::Duration::from_millis(100);
    let (mut client, served) = server.client_with(true, 64 << 10);
    client.send(UPGRADE).await;
    client.send("early").await;
    let mut inner = server.accept().await;
    let head = inner.head().await;
    assert!(head.contains("connection: upgrade\r\n") && head.contains("upgrade: websocket\r\n"), "{head}");
    inner.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: a\r\n\r\nhello").await;
    let head = client.head().await;
    assert!(
        head.starts_with("HTTP/1.1 101 Switching Protocols\r\n") && head.contains("sec-websocket-accept: a\r\n"),
        "{head}"
    );
    client.exactly("hello").await;
    inner.exactly("early").await;
    client.send("ping").await;
    inner.exactly("ping").await;
    drop(client);
    inner.ended().await;
    assert_eq!(served.await.unwrap()[0].status, Some(101));
}

#[tokio::test]
async fn an_upgrade_that_the_application_refuses_is_a_response() {
    let server = Server::start().await;
    let (mut client, _served) = server.client_with(true, 64 << 10);
    client.send(UPGRADE).await;
    let mut inner = server.accept().await;
    inner.head().await;
    inner.send("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await;
    client.exactly("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await;
}

#[tokio::test]
async fn without_tunnels_an_upgrade_is_a_plain_request() {
    let server = Server::start().await;
    let (mut client, _served) = server.client();
    client.send(UPGRADE).await;
    let mut inner = server.accept().await;
    assert!(!inner.head().await.contains("upgrade"));
    inner.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    client.exactly("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
}
