//! What must hold for any bytes on the way in. The fuzz targets feed these functions, and the tests
//! feed them the seeds of those.

use std::net::IpAddr;

use bytes::BufMut;

use super::{
    forwarded,
    peer::Peer,
    proxy::{Proxied, ProxyHeader},
    request::{HeadBuffer, MAX_HEADERS, Request},
    response::{self, Refusal, is_token},
    websocket_handshake::{self, Handshake},
};
use crate::config::{Cidr, ForwardedHeader, TrustProxy};

/// What came of a head that was read piece by piece.
#[derive(Debug, Eq, PartialEq)]
enum Head {
    Incomplete,
    Refused(Refusal),
    /// With what lies behind it, read already or not.
    Complete(Box<Request>, Vec<u8>),
}

/// The head of a request, cut anywhere: a request or an answer, the same for every cut, in bounded
/// memory. What is let in has nothing in it that could be read differently elsewhere, and whatever
/// is answered is one answer.
///
/// The first bytes are the limit in units of 64 bytes, and the cuts; the rest is the stream.
pub fn request(input: &[u8]) {
    let Some(([limit, cuts @ ..], stream)) = input.split_first_chunk::<4>() else { return };
    let limit = usize::from(*limit) * 64;
    let whole = read_head(&[stream], limit);
    assert_eq!(whole, read_head(&cut(stream, cuts), limit), "cut at some places");
    assert_eq!(whole, read_head(&stream.chunks(1).collect::<Vec<_>>(), limit), "byte by byte");
    match whole {
        Head::Incomplete => assert!(stream.len() < limit),
        Head::Refused(refusal) => check_refusal(&refusal),
        Head::Complete(request, rest) => {
            let head = &stream[..stream.len() - rest.len()];
            assert!(head.len() <= limit && head.ends_with(b"\r\n\r\n"));
            check_request(*request, head);
        }
    }
}

/// Pieces of the stream, cut at so many 256ths of it.
fn cut<'a>(stream: &'a [u8], cuts: &[u8]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| usize::from(*cut) * stream.len() / 256).collect();
    cuts.sort_unstable();
    cuts.push(stream.len());
    let mut begin = 0;
    cuts.into_iter().map(|end| &stream[std::mem::replace(&mut begin, end)..end]).collect()
}

/// Reads as `upgrade` does, as much at a time as there is room for.
fn read_head(pieces: &[&[u8]], limit: usize) -> Head {
    let mut head = HeadBuffer::new(limit);
    let mut left: usize = pieces.iter().map(|piece| piece.len()).sum();
    let stream = pieces.concat();
    for mut piece in pieces.iter().copied() {
        while !piece.is_empty() {
            match head.is_complete() {
                Ok(false) => {}
                Ok(true) => return complete(head, &stream[stream.len() - left..]),
                Err(refusal) => return Head::Refused(refusal),
            }
            let mut room = head.room();
            let count = room.chunk_mut().len().min(piece.len());
            assert!(count > 0, "an empty read would be taken for the end");
            room.put_slice(&piece[..count]);
            piece = &piece[count..];
            left -= count;
            drop(room);
            assert!(head.capacity() <= 2 * limit.max(1024), "{} bytes are held", head.capacity());
        }
    }
    match head.is_complete() {
        Ok(false) => Head::Incomplete,
        Ok(true) => complete(head, &stream[stream.len() - left..]),
        Err(refusal) => Head::Refused(refusal),
    }
}

fn complete(head: HeadBuffer, unread: &[u8]) -> Head {
    match head.finish() {
        Ok((request, rest)) => Head::Complete(Box::new(request), [&rest, unread].concat()),
        Err(refusal) => Head::Refused(refusal),
    }
}

fn check_request(request: Request, head: &[u8]) {
    let lines = head.split(|byte| *byte == b'\n').filter(|line| !matches!(line, [] | [b'\r']));
    assert!(lines.clone().count() <= MAX_HEADERS + 1);
    assert!(lines.into_iter().all(|line| line.ends_with(b"\r") && !matches!(line[0], b' ' | b'\t')));
    assert!(is_token(&request.method) && request.minor_version <= 1);
    assert!(request.path == "*" || request.path.starts_with('/'));
    assert!(request.url.starts_with(&request.path) && !request.url.contains(['#', ' ']));
    let protocols = match Handshake::of(&request) {
        Ok(Handshake { accept_key, protocols, .. }) => {
            assert!(protocols.iter().all(|name| is_token(name)));
            let chosen = websocket_handshake::choose(&protocols, None, &protocols);
            let compression = match websocket_handshake::compression(&request) {
                Ok(compression) => compression,
                Err(refusal) => {
                    check_refusal(&refusal);
                    None
                }
            };
            let answer = response::switching(&accept_key, chosen, compression.as_ref(), &[]);
            let mut headers = [httparse::EMPTY_HEADER; 16];
            assert_eq!(check_answer(&answer, &mut headers), (101, answer.len()));
            let named = headers.iter().find(|header| header.name.eq_ignore_ascii_case("sec-websocket-protocol"));
            assert_eq!(named.map(|header| header.value), chosen.map(str::as_bytes));
            protocols
        }
        Err(refusal) => {
            check_refusal(&refusal);
            Vec::new()
        }
    };
    let open = request.into_open(String::new(), 0, protocols);
    for (at, (name, value)) in open.headers.iter().enumerate() {
        assert!(is_token(name) && !name.bytes().any(|byte| byte.is_ascii_uppercase()));
        assert!(!value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t'));
        assert!(open.headers[..at].iter().all(|(before, _)| before != name), "each name stands there once");
    }
}

fn check_refusal(refusal: &Refusal) {
    let (answer, head) = (refusal.answer(false).head, refusal.answer(true).head);
    let mut headers = [httparse::EMPTY_HEADER; 16];
    assert_eq!(check_answer(&answer, &mut headers), (refusal.status, head.len()));
    assert!((400..600).contains(&refusal.status) && answer.starts_with(&head));
}

/// Status and length of the head of an answer.
fn check_answer<'a>(answer: &'a [u8], headers: &mut [httparse::Header<'a>]) -> (u16, usize) {
    let mut parsed = httparse::Response::new(headers);
    match parsed.parse(answer) {
        Ok(httparse::Status::Complete(length)) => (parsed.code.unwrap_or_default(), length),
        other => panic!("no answer: {other:?}"),
    }
}

/// The header of a proxy, in pieces of any size: never asked for beyond its end, the same for all
/// pieces, of the length it says it has.
///
/// The first bytes are the sizes of the pieces, in turn; the rest is the stream.
pub fn proxy(input: &[u8]) {
    let Some((sizes, stream)) = input.split_first_chunk::<3>() else { return };
    let largest = read_header(stream, &[u8::MAX; 3]);
    assert_eq!(largest, read_header(stream, sizes));
    assert_eq!(largest, read_header(stream, &[1; 3]));
    let Ok(Some((said, length))) = largest else { return };
    if stream.starts_with(b"\r\n\r\n\0\r\nQUIT\n") {
        assert_eq!(length, 16 + usize::from(u16::from_be_bytes([stream[14], stream[15]])));
        if stream[12] & 0xf == 0 {
            assert_eq!(said, Proxied::Itself);
        }
    } else {
        let line = stream[..length].strip_suffix(b"\r\n").unwrap_or_else(|| panic!("no line in {length} bytes"));
        assert!(length <= 107 && line.starts_with(b"PROXY ") && !line.iter().any(|byte| b"\r\n".contains(byte)));
        if let Proxied::Client(peer) = said {
            let line = String::from_utf8_lossy(line);
            let fields: Vec<_> = line.split(' ').collect();
            assert_eq!(fields.len(), 6);
            let source: Option<IpAddr> = fields[2].parse().ok();
            assert_eq!((source.map(|ip| ip.to_canonical()), fields[4].parse()), (peer.ip, Ok(peer.port)));
        }
    }
}

/// Its client, and how long the header was; `None` when there must be more. What is wrong with it
/// is for the log, and of two things that are wrong the cuts decide which is seen first.
fn read_header(stream: &[u8], sizes: &[u8; 3]) -> Result<Option<(Proxied, usize)>, ()> {
    let (mut header, mut read) = (ProxyHeader::new(), 0);
    for size in sizes.iter().cycle() {
        let lacks = header.lacks();
        assert!(lacks > 0, "an empty read would be taken for the end");
        let piece = &stream[read..stream.len().min(read + lacks.min(usize::from(*size).max(1)))];
        if piece.is_empty() {
            return Ok(None);
        }
        read += piece.len();
        assert!(read <= 4096);
        match header.push(piece) {
            Ok(None) => {}
            Ok(Some(said)) => return Ok(Some((said, read))),
            Err(_) => return Err(()),
        }
    }
    Ok(None)
}

/// What a client wrote into `X-Forwarded-For` or `Forwarded`: whatever it is, it does not touch
/// what trusted proxies wrote behind it.
///
/// The first byte chooses the header, the rest is what the client wrote, a line a header.
pub fn forwarded(input: &[u8]) {
    let Some((choice, text)) = input.split_first() else { return };
    let text = String::from_utf8_lossy(text);
    let lines: Vec<_> = text.split('\n').collect();
    let header = if choice & 1 == 0 { ForwardedHeader::XForwardedFor } else { ForwardedHeader::Forwarded };
    let from: Vec<Cidr> = ["10.0.0.0/8", "fd00::/8"].iter().filter_map(|network| network.parse().ok()).collect();
    let trusted = TrustProxy { from, unix: choice & 2 != 0, header };
    let ip = |text: &str| text.parse().ok().map(|ip| Peer::new(ip, 0).ip).unwrap_or_default();
    let socket = Peer { ip: ip("10.0.0.1"), port: 1 };
    let client = |lines: &[&str]| forwarded::client(lines.iter().copied(), &trusted, socket);

    let alone = client(&lines);
    assert_eq!(alone, client(&lines));
    let written = match header {
        ForwardedHeader::XForwardedFor => ["203.0.113.7", "203.0.113.7, 10.9.9.9", "[2001:db8::1]:47, fd00::1"],
        ForwardedHeader::Forwarded => [
            "for=203.0.113.7;proto=https",
            "for=203.0.113.7, for=10.9.9.9;by=_x",
            r#"for="[2001:db8::1]:47";host="a,\"b", for="[fd00::1]""#,
        ],
    };
    for (written, (expected, port)) in written.iter().zip([("203.0.113.7", 0), ("203.0.113.7", 0), ("2001:db8::1", 47)])
    {
        let expected = Peer { ip: ip(expected), port };
        let mut own_line = lines.clone();
        own_line.push(written);
        assert_eq!(client(&own_line), expected, "in a line of its own");
        let joined = format!("{}, {written}", lines.last().copied().unwrap_or_default());
        let mut same_line = lines.clone();
        same_line.pop();
        same_line.push(&joined);
        assert_eq!(client(&same_line), expected, "in the same line");
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// What the fuzz targets begin with, and what they have found.
    fn seeds(of: &str, check: impl Fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(of);
        let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(!files.is_empty(), "no seeds in {}", folder.display());
        for file in files {
            let bytes = std::fs::read(&file).unwrap();
            if let Err(panic) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(&bytes))) {
                eprintln!("with {}", file.display());
                std::panic::resume_unwind(panic);
            }
        }
    }

    #[test]
    fn the_seeds_of_requests_hold() {
        seeds("request", request);
    }

    #[test]
    fn the_seeds_of_proxy_headers_hold() {
        seeds("proxy", proxy);
    }

    #[test]
    fn the_seeds_of_forwarded_headers_hold() {
        seeds("forwarded", forwarded);
    }
}
