//! What must hold for any bytes from a client. The fuzz targets call this, and the tests call it
//! with the targets' seeds.

use bytes::BytesMut;
use http::HeaderMap;

use crate::{BodyLength, Chunked, Decoded, RequestHead};

/// Reads any bytes as the head of a request. What is understood, written anew, must be understood
/// in the same way: that is what the inner server gets.
pub fn head(input: &[u8]) {
    let Ok(head) = RequestHead::parse(input) else { return };
    let mut again = format!("{} {} HTTP/1.1\r\n", head.method, head.target).into_bytes();
    let mut line = |name: &str, value: &[u8]| {
        again.extend_from_slice(name.as_bytes());
        again.extend_from_slice(b": ");
        again.extend_from_slice(value);
        again.extend_from_slice(b"\r\n");
    };
    for (name, value) in &head.headers {
        line(name.as_str(), value.as_bytes());
    }
    match head.body {
        BodyLength::None => {}
        BodyLength::Fixed(length) => line("content-length", length.to_string().as_bytes()),
        BodyLength::Chunked => line("transfer-encoding", b"chunked"),
    }
    again.extend_from_slice(b"\r\n");
    let twice =
        RequestHead::parse(&again).unwrap_or_else(|error| panic!("{error}: {:?}", String::from_utf8_lossy(&again)));
    assert_eq!((twice.method, twice.target, twice.headers), (head.method, head.target, head.headers));
    assert_eq!((twice.body, twice.expects_continue), (head.body, head.expects_continue));
    assert!(twice.keep_alive && !twice.asks_for_websocket, "what is of one connection is not passed on");
}

/// Reads any bytes as a chunked body, in two pieces and byte by byte. The first byte says where to
/// split.
pub fn chunked(input: &[u8]) {
    let Some((&cut, body)) = input.split_first() else { return };
    let cut = usize::from(cut).min(body.len());
    let whole = read(&[body]);
    let split = read(&[&body[..cut], &body[cut..]]);
    let single: Vec<&[u8]> = body.chunks(1).collect();
    let bytewise = read(&single);
    match (whole, split, bytewise) {
        (Some(whole), Some(split), Some(bytewise)) => {
            assert!(whole == split && whole == bytewise, "{whole:?}, {split:?} and {bytewise:?}");
            let (content, end, _) = whole;
            let Some(trailers) = end else { return };
            let mut again = Vec::new();
            if !content.is_empty() {
                again = [format!("{:x}\r\n", content.len()).as_bytes(), &content, b"\r\n"].concat();
            }
            again.extend_from_slice(b"0\r\n");
            for (name, value) in &trailers {
                again.extend_from_slice(&[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
            }
            again.extend_from_slice(b"\r\n");
            assert_eq!(read(&[&again]), Some((content, Some(trailers), Vec::new())));
        }
        (None, None, None) => {}
        other => panic!("the pieces decide: {other:?}"),
    }
}

/// A body's content, its trailers once it has ended, and the bytes behind it.
type ChunkedBody = (Vec<u8>, Option<HeaderMap>, Vec<u8>);

fn read(pieces: &[&[u8]]) -> Option<ChunkedBody> {
    let (mut chunked, mut input) = (Chunked::default(), BytesMut::new());
    let (mut content, mut end) = (Vec::new(), None);
    for piece in pieces {
        input.extend_from_slice(piece);
        while let Some(decoded) = chunked.decode(&mut input).ok()? {
            match decoded {
                Decoded::Data(data) => content.extend_from_slice(&data),
                Decoded::End(trailers) => end = Some(trailers),
            }
        }
    }
    // Without an end, what is left over is of the body: it depends on where the pieces end.
    let behind = if end.is_some() { input.to_vec() } else { Vec::new() };
    Some((content, end, behind))
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    fn seeds(target: &str) -> Vec<Vec<u8>> {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
        let files = fs::read_dir(folder).unwrap().map(|file| fs::read(file.unwrap().path()).unwrap());
        files.collect()
    }

    #[test]
    fn the_seeds_of_the_fuzz_targets_hold() {
        for (target, check) in [("head", super::head as fn(&[u8])), ("chunked", super::chunked)] {
            let seeds = seeds(target);
            assert!(seeds.len() > 3, "{target}");
            seeds.iter().for_each(|seed| check(seed));
        }
    }
}
