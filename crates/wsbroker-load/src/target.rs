//! Where the connections go, and how one begins.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use mio::net::TcpStream;
use socket2::{Domain, Protocol, Type};

use crate::connection::KEY;
use crate::proxy::Proxy;
use crate::socket::Socket;
use crate::tls::Tls;
use crate::url::{self, Url};
use crate::wire::Wire;

/// One server, resolved once, and the request that every connection begins with.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) url: String,
    pub(crate) address: ServerAddress,
    pub(crate) request: Vec<u8>,
    pub(crate) tls: Option<Tls>,
    /// What is sent first on a connection.
    pub(crate) proxy: Option<Proxy>,
    /// The `Sec-WebSocket-Extensions` of the request.
    pub(crate) offer: Option<String>,
    /// Whether messages are sent compressed where that was agreed.
    pub(crate) compress: bool,
    /// How many source addresses connections have: 127.0.0.1 and those after it, each with some
    /// 28,000 ports. 1 leaves the choice to the system.
    pub(crate) sources: usize,
    /// `SO_RCVBUF` in bytes; `None` leaves it to the system.
    pub(crate) receive_buffer: Option<usize>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum ServerAddress {
    Tcp(SocketAddr),
    /// The file of a Unix domain socket.
    Unix(PathBuf),
}

/// How to connect to the URL, besides what the URL says.
#[derive(Clone, Debug)]
pub(crate) struct ConnectOptions {
    /// `Name: value`, as sent in each request.
    pub(crate) headers: Vec<String>,
    /// TLS even if the URL does not say so.
    pub(crate) tls: bool,
    /// PEM file with the certificates to trust; `None` trusts all.
    pub(crate) ca: Option<String>,
    /// A Unix domain socket instead of the URL's host, which then only names the server.
    pub(crate) unix: Option<String>,
    pub(crate) proxy: Option<Proxy>,
    pub(crate) offer: Option<String>,
    pub(crate) compress: bool,
    pub(crate) sources: usize,
    pub(crate) receive_buffer: Option<usize>,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            headers: Vec::new(),
            tls: false,
            ca: None,
            unix: None,
            proxy: None,
            offer: None,
            compress: false,
            sources: 1,
            receive_buffer: None,
        }
    }
}

impl Target {
    /// # Errors
    /// What is wrong with the URL or the certificates, or why the host is unknown.
    pub(crate) fn new(url: &str, connect: ConnectOptions) -> Result<Self, String> {
        let parsed = Url::parse(url)?;
        let tls = parsed.tls || connect.tls;
        let named = match parsed.authority {
            url::Authority::Host(host) => host,
            url::Authority::File(_) => parsed.host(),
        };
        let address = match (&connect.unix, parsed.authority) {
            (Some(file), _) => ServerAddress::Unix(file.into()),
            (None, url::Authority::File(file)) => ServerAddress::Unix(file.into()),
            (None, url::Authority::Host(host)) => ServerAddress::Tcp(resolve(host, if tls { 443 } else { 80 })?),
        };
        Ok(Self {
            url: url.to_owned(),
            address,
            request: request(named, &parsed.path, &connect.headers, connect.offer.as_deref()),
            tls: if tls { Some(Tls::new(parsed.host(), connect.ca.as_deref())?) } else { None },
            proxy: connect.proxy,
            offer: connect.offer,
            compress: connect.compress,
            sources: connect.sources,
            receive_buffer: connect.receive_buffer,
        })
    }

    /// Begins a connection; it becomes writable once it is established. `turn` chooses the source
    /// address and the client in the PROXY header.
    pub(crate) fn connect(&self, turn: usize) -> io::Result<Wire> {
        let (socket, address) = match &self.address {
            ServerAddress::Tcp(address) => (Socket::Tcp(self.connect_tcp(*address, turn)?), *address),
            ServerAddress::Unix(file) => (connect_unix(file)?, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        };
        let header = self.proxy.as_ref().map(|proxy| proxy.header(turn, address)).unwrap_or_default();
        let tls = self.tls.as_ref().map(Tls::begin).transpose().map_err(io::Error::other)?;
        Ok(Wire::new(socket, header, tls))
    }

    fn connect_tcp(&self, address: SocketAddr, turn: usize) -> io::Result<TcpStream> {
        let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        if let Some(bytes) = self.receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        if self.sources > 1 {
            let host = u32::from(Ipv4Addr::LOCALHOST) + u32::try_from(turn % self.sources).unwrap_or(0);
            socket.bind(&SocketAddr::new(IpAddr::V4(Ipv4Addr::from(host)), 0).into())?;
        }
        match socket.connect(&address.into()) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == IN_PROGRESS => {}
            Err(error) => return Err(error),
        }
        Ok(TcpStream::from_std(socket.into()))
    }
}

/// # Errors
/// [`io::ErrorKind::WouldBlock`]: the server's queue of connections is full.
#[cfg(unix)]
fn connect_unix(file: &std::path::Path) -> io::Result<Socket> {
    mio::net::UnixStream::connect(file).map(Socket::Unix)
}

#[cfg(not(unix))]
fn connect_unix(_file: &std::path::Path) -> io::Result<Socket> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "no Unix domain sockets here"))
}

/// `EINPROGRESS`, for which std has no stable name.
const IN_PROGRESS: Option<i32> = if cfg!(any(target_os = "linux", target_os = "android")) {
    Some(115)
} else if cfg!(windows) {
    None
} else {
    Some(36)
};

fn resolve(host: &str, port: u16) -> Result<SocketAddr, String> {
    let with_port = if has_port(host) { host.to_owned() } else { format!("{host}:{port}") };
    let mut addresses = with_port.to_socket_addrs().map_err(|error| format!("--url: {host}: {error}"))?;
    addresses.next().ok_or_else(|| format!("--url: {host} has no address"))
}

/// The colons in the brackets of an IPv6 address do not precede a port.
fn has_port(host: &str) -> bool {
    host.rsplit(']').next().is_some_and(|end| end.contains(':'))
}

fn request(host: &str, path: &str, headers: &[String], offer: Option<&str>) -> Vec<u8> {
    let mut request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n"
    );
    if let Some(offer) = offer {
        request.push_str("Sec-WebSocket-Extensions: ");
        request.push_str(offer);
        request.push_str("\r\n");
    }
    for header in headers {
        request.push_str(header);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    request.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str, connect: ConnectOptions) -> Target {
        Target::new(url, connect).unwrap()
    }

    #[test]
    fn a_url_is_an_address_and_a_request() {
        let connect = ConnectOptions {
            headers: vec!["Origin: x".to_owned()],
            offer: Some("x-offer".to_owned()),
            ..ConnectOptions::default()
        };
        let target = target("ws://127.0.0.1:8000/chat?room=1", connect);
        assert_eq!(target.address, ServerAddress::Tcp("127.0.0.1:8000".parse().unwrap()));
        let request = String::from_utf8(target.request).unwrap();
        assert!(request.starts_with("GET /chat?room=1 HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n"), "{request}");
        assert!(request.ends_with("\r\nSec-WebSocket-Extensions: x-offer\r\nOrigin: x\r\n\r\n"), "{request}");
    }

    #[test]
    fn the_port_is_that_of_the_scheme() {
        for (url, address) in [("ws://[::1]", "[::1]:80"), ("wss://[::1]", "[::1]:443"), ("ws://[::1]:1", "[::1]:1")] {
            assert_eq!(target(url, ConnectOptions::default()).address, ServerAddress::Tcp(address.parse().unwrap()));
        }
        let forced = target("ws://127.0.0.1", ConnectOptions { tls: true, ..ConnectOptions::default() });
        assert_eq!(forced.address, ServerAddress::Tcp("127.0.0.1:443".parse().unwrap()));
        assert!(forced.tls.is_some());
    }

    #[test]
    fn a_file_takes_the_place_of_the_host() {
        let by_url = target("ws+unix:/run/a.sock:/chat", ConnectOptions::default());
        let by_option = target(
            "ws://no.such.host/chat",
            ConnectOptions { unix: Some("/run/a.sock".to_owned()), ..ConnectOptions::default() },
        );
        assert_eq!(by_url.address, ServerAddress::Unix("/run/a.sock".into()));
        assert_eq!(by_option.address, by_url.address);
        assert!(by_url.request.starts_with(b"GET /chat HTTP/1.1\r\nHost: localhost\r\n"));
        assert!(by_option.request.starts_with(b"GET /chat HTTP/1.1\r\nHost: no.such.host\r\n"));
    }
}
