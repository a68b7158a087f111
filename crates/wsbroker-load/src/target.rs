//! Where the connections go, and how the TCP part of one is begun.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};

use mio::net::TcpStream;
use socket2::{Domain, Protocol, Socket, Type};

use crate::connection::KEY;

/// One server, resolved once, and the request that every connection begins with.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) url: String,
    pub(crate) address: SocketAddr,
    pub(crate) request: Vec<u8>,
    /// Connections come from 127.0.0.1 and the addresses behind it, so many in all; 1 leaves it to the system.
    /// Each has some 28,000 ports of its own.
    pub(crate) sources: usize,
    /// `SO_RCVBUF` in bytes; `None` leaves it to the system.
    pub(crate) receive_buffer: Option<usize>,
}

impl Target {
    /// Reads `ws://host:port/path`; `headers` (`Name: value`) stand in each request as they are.
    ///
    /// # Errors
    /// What is wrong with the URL, or why its host is unknown.
    pub(crate) fn new(url: &str, headers: &[String]) -> Result<Self, String> {
        let rest = url.strip_prefix("ws://").ok_or("--url must begin with ws://")?;
        let (host, path) = match rest.find(['/', '?']) {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        let slash = if path.starts_with('/') { "" } else { "/" };
        let with_port = if has_port(host) { host.to_owned() } else { format!("{host}:80") };
        let mut addresses = with_port.to_socket_addrs().map_err(|error| format!("--url: {host}: {error}"))?;
        let address = addresses.next().ok_or_else(|| format!("--url: {host} has no address"))?;
        let request = request(host, &format!("{slash}{path}"), headers);
        Ok(Self { url: url.to_owned(), address, request, sources: 1, receive_buffer: None })
    }

    /// A socket on its way to the server; it becomes writable when it is there. `turn` chooses the source address.
    pub(crate) fn connect(&self, turn: usize) -> io::Result<TcpStream> {
        let socket = Socket::new(Domain::for_address(self.address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        if let Some(bytes) = self.receive_buffer {
            socket.set_recv_buffer_size(bytes)?;
        }
        if self.sources > 1 {
            let host = u32::from(Ipv4Addr::LOCALHOST) + u32::try_from(turn % self.sources).unwrap_or(0);
            socket.bind(&SocketAddr::new(IpAddr::V4(Ipv4Addr::from(host)), 0).into())?;
        }
        match socket.connect(&self.address.into()) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == IN_PROGRESS => {}
            Err(error) => return Err(error),
        }
        Ok(TcpStream::from_std(socket.into()))
    }
}

/// `EINPROGRESS`, for which std has no stable name.
const IN_PROGRESS: Option<i32> = if cfg!(any(target_os = "linux", target_os = "android")) {
    Some(115)
} else if cfg!(windows) {
    None
} else {
    Some(36)
};

/// The colons inside the brackets of an IPv6 address are none before a port.
fn has_port(host: &str) -> bool {
    host.rsplit(']').next().is_some_and(|end| end.contains(':'))
}

fn request(host: &str, path: &str, headers: &[String]) -> Vec<u8> {
    let mut request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n"
    );
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

    #[test]
    fn a_url_is_an_address_and_a_request() {
        let target = Target::new("ws://127.0.0.1:8000/chat?room=1", &["Origin: x".to_owned()]).unwrap();
        assert_eq!(target.address, "127.0.0.1:8000".parse().unwrap());
        let request = String::from_utf8(target.request).unwrap();
        assert!(request.starts_with("GET /chat?room=1 HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n"), "{request}");
        assert!(request.ends_with("\r\nOrigin: x\r\n\r\n"), "{request}");
        assert_eq!(Target::new("ws://[::1]", &[]).unwrap().address, "[::1]:80".parse().unwrap());
        let bare = Target::new("ws://127.0.0.1:1?a", &[]).unwrap();
        assert!(bare.request.starts_with(b"GET /?a "));
        assert!(Target::new("http://127.0.0.1", &[]).is_err());
    }
}
