//! tungstenite as a client, for `test/clients`: `tungstenite ws://HOST:PORT` prints what happened
//! as JSON.

#![allow(clippy::print_stdout, reason = "that is what it is for")]

use std::{error::Error, net::TcpStream, thread::sleep, time::Duration};

use tokio_tungstenite::tungstenite::{
    self, Message, WebSocket,
    client::{IntoClientRequest, client},
    http::HeaderValue,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

type Socket = WebSocket<TcpStream>;
type Result<T> = std::result::Result<T, Box<dyn Error>>;

const TEXT: &str = "grüß dich 👋 ";

fn main() -> Result<()> {
    let url = std::env::args().nth(1).ok_or("usage: tungstenite ws://HOST:PORT")?;

    let (mut socket, protocol) = open(&url, "/", Some("strange, known"))?;
    let text = echoed(&mut socket, Message::text(TEXT))?;
    let binary = echoed(&mut socket, Message::binary(bytes(256)))?;
    let empty = echoed(&mut socket, Message::text(""))?;
    let compressible = echoed(&mut socket, Message::text(TEXT.repeat(10_000)))?;
    let large = echoed(&mut socket, Message::binary(bytes(3 << 20)))?;
    socket.send(Message::Ping("are you there?".into()))?;
    let pong = match socket.read()? {
        Message::Pong(payload) => String::from_utf8(payload.to_vec())?,
        other => return Err(format!("instead of a pong {other:?}").into()),
    };
    socket.close(Some(CloseFrame { code: CloseCode::from(4001), reason: "bye".into() }))?;
    let closed_by_us = end(&mut socket)?;

    let (mut other, _) = open(&url, "/", None)?;
    other.send(Message::text("close 4002 go away"))?;
    let closed_by_server = end(&mut other)?;

    // The server pings who is silent, and cuts who does not answer.
    let (mut silent, _) = open(&url, "/silent", None)?;
    silent.get_ref().set_nonblocking(true)?;
    let mut pings = 0;
    for _ in 0..150 {
        match silent.read() {
            Ok(Message::Ping(_)) => pings += 1,
            Err(tungstenite::Error::Io(error)) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            other => return Err(format!("in the silence {other:?}").into()),
        }
        sleep(Duration::from_millis(10));
    }
    silent.get_ref().set_nonblocking(false)?;
    let alive = pings > 1 && echoed(&mut silent, Message::text("still here"))?;
    silent.close(None)?;
    let closed_without_code = end(&mut silent)?;

    println!(
        r#"{{ "protocol": "{protocol}", "text": {text}, "binary": {binary}, "empty": {empty}, "compressible": {compressible}, "large": {large},
        "pong": "{pong}", "closedByUs": {closed_by_us}, "closedByServer": {closed_by_server}, "alive": {alive}, "closedWithoutCode": {closed_without_code} }}"#
    );
    Ok(())
}

/// The connection, and the subprotocol that was agreed on.
fn open(url: &str, path: &str, protocols: Option<&'static str>) -> Result<(Socket, String)> {
    let mut request = format!("{url}{path}").into_client_request()?;
    if let Some(protocols) = protocols {
        request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static(protocols));
    }
    let stream = TcpStream::connect(url.strip_prefix("ws://").ok_or("only ws:// is spoken here")?)?;
    let (socket, response) = client(request, stream)?;
    let protocol = response.headers().get("Sec-WebSocket-Protocol").map_or(Ok(""), HeaderValue::to_str)?;
    Ok((socket, protocol.to_owned()))
}

fn echoed(socket: &mut Socket, message: Message) -> Result<bool> {
    socket.send(message.clone())?;
    loop {
        match socket.read()? {
            Message::Ping(_) => {}
            echo => return Ok(echo == message),
        }
    }
}

/// The close frame that came, as JSON, or 1005.
fn end(socket: &mut Socket) -> Result<String> {
    let mut close = "1005".to_owned();
    loop {
        match socket.read() {
            Ok(Message::Close(Some(CloseFrame { code, reason }))) => {
                close = format!(r#"{{ "code": {}, "reason": "{reason}", "wasClean": true }}"#, u16::from(code));
            }
            Ok(_) => {}
            Err(tungstenite::Error::ConnectionClosed) => return Ok(close),
            Err(error) => return Err(error.into()),
        }
    }
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|i| ((i * 31 + (i >> 8)) & 255) as u8).collect()
}
