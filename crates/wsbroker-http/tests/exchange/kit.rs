//! A client on one side, a scripted server on the other.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};
use wsbroker_http::{Client, Exchange, Forwarding, Inner, LeastRate, Next, Outcome, RequestHead, Timer};

pub(crate) const SOON: Duration = Duration::from_secs(10);

/// The application's server: hands out its connections one by one.
pub(crate) struct Server {
    listener: TcpListener,
    pub(crate) forwarding: Forwarding,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let to = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let forwarding = Forwarding { to, head_timeout: SOON, body_timeout: SOON, least_rate: LeastRate::default() };
        Self { listener, forwarding }
    }

    pub(crate) async fn accept(&self) -> Peer<TcpStream> {
        let (stream, _) = timeout(SOON, self.listener.accept()).await.expect("a connection").unwrap();
        Peer { stream, unread: BytesMut::new() }
    }

    /// A client's connection, whose requests are forwarded until one ends it.
    pub(crate) fn client(&self) -> (Peer<DuplexStream>, JoinHandle<Vec<Outcome>>) {
        self.client_with(false, 64 << 10)
    }

    pub(crate) fn client_with(&self, tunnels: bool, buffer: usize) -> (Peer<DuplexStream>, JoinHandle<Vec<Outcome>>) {
        let (near, far) = tokio::io::duplex(buffer);
        let forwarding = self.forwarding.clone();
        let served = tokio::spawn(serve(far, forwarding, tunnels));
        (Peer { stream: near, unread: BytesMut::new() }, served)
    }
}

/// What a listener does: reads heads, and forwards each.
async fn serve(mut stream: DuplexStream, forwarding: Forwarding, tunnels: bool) -> Vec<Outcome> {
    let (mut ahead, mut inner, mut outcomes) = (BytesMut::new(), None::<Inner>, Vec::new());
    let mut timer = Timer::default();
    loop {
        let end = loop {
            if let Some(end) = ahead.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            if stream.read_buf(&mut ahead).await.unwrap_or(0) == 0 {
                return outcomes;
            }
        };
        let bytes = ahead.split_to(end);
        let head = RequestHead::parse(&bytes).expect("the tests' heads are well-formed");
        let ip = Some(IpAddr::from([192, 0, 2, 7]));
        let client = Client { ip, port: 7, secure: false, trusted: false, identified_by: None, identified_once: false };
        let exchange = Exchange { head, client, forwarding: &forwarding, tunnels };
        let outcome = exchange.run(&mut stream, &mut ahead, &mut inner, &mut timer, || false).await;
        outcomes.push(outcome);
        if outcome.next == Next::Close {
            return outcomes;
        }
    }
}

/// Either end of a connection.
pub(crate) struct Peer<S> {
    pub(crate) stream: S,
    unread: BytesMut,
}

impl<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin> Peer<S> {
    pub(crate) async fn send(&mut self, text: impl AsRef<[u8]>) {
        timeout(SOON, self.stream.write_all(text.as_ref())).await.expect("room to write").unwrap();
    }

    /// Reads to the end of a head.
    pub(crate) async fn head(&mut self) -> String {
        self.until("\r\n\r\n").await
    }

    /// Reads up to this text, and returns all of it.
    pub(crate) async fn until(&mut self, end: &str) -> String {
        loop {
            let found = self.unread.windows(end.len()).position(|window| window == end.as_bytes());
            if let Some(at) = found {
                return String::from_utf8(self.unread.split_to(at + end.len()).to_vec()).unwrap();
            }
            let read = timeout(SOON, self.stream.read_buf(&mut self.unread)).await;
            let read = read.unwrap_or_else(|_| panic!("{end:?} has not come, but {:?}", self.unread));
            assert!(read.unwrap() > 0, "the end came before {end:?}: {:?}", self.unread);
        }
    }

    pub(crate) async fn exactly(&mut self, text: &str) {
        while self.unread.len() < text.len() {
            let read = timeout(SOON, self.stream.read_buf(&mut self.unread)).await;
            let read = read.unwrap_or_else(|_| panic!("{text:?} has not come, but {:?}", self.unread));
            assert!(read.unwrap() > 0, "the end came before {text:?}: {:?}", self.unread);
        }
        assert_eq!(String::from_utf8_lossy(&self.unread.split_to(text.len())), text);
    }

    /// Nothing more comes, and the connection ends.
    pub(crate) async fn ended(&mut self) {
        let read = timeout(SOON, self.stream.read_buf(&mut self.unread)).await.expect("the end");
        assert!(matches!(read, Ok(0) | Err(_)) && self.unread.is_empty(), "{:?}", self.unread);
    }
}
