//! What must hold for any bytes from a client or from the inner server. The fuzz targets call this,
//! and the tests call it with the targets' seeds.

use std::{
    mem::MaybeUninit,
    task::{Context, Poll, Waker},
};

use bytes::BytesMut;
use http::{HeaderMap, StatusCode};

use crate::{
    BodyLength, Chunked, Decoded, RequestHead,
    output::Output,
    response::{AfterResponse, FieldRoom, MAX_FIELDS, ResponseHead, ResponseLength, StatedLength},
};

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

/// Who may have asked for what [`response`] reads.
const REQUESTS: [&str; 4] = [
    "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n",
    "GET / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
];

/// Reads any bytes as the head of a response. What is understood ends where it ends, however much
/// has come, and the client understands what is written for it in the same way. The first byte says
/// what was asked for, and where the head is cut.
pub fn response(input: &[u8]) {
    let Some((&choice, bytes)) = input.split_first() else { return };
    let choice = usize::from(choice);
    let Ok(request) = RequestHead::parse(REQUESTS[choice % REQUESTS.len()].as_bytes()) else { unreachable!() };
    let mut room: FieldRoom<'_> = [const { MaybeUninit::uninit() }; _];
    let Ok(Some(head)) = ResponseHead::parse(bytes, &mut room) else { return };
    for cut in [choice % head.length, head.length - 1] {
        let mut room: FieldRoom<'_> = [const { MaybeUninit::uninit() }; _];
        assert!(matches!(ResponseHead::parse(&bytes[..cut], &mut room), Ok(None)), "{cut} bytes are not all of it");
    }
    let mut output = Output::default();
    let (mut length, mut after) = (ResponseLength::None, AfterResponse::KeepAlive);
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        if !request.asks_for_websocket {
            return;
        }
        after = AfterResponse::Switch;
        head.write(&request, length, after, &mut output);
    } else if head.status.is_informational() {
        head.write_interim(&mut output);
    } else {
        length = ResponseLength::of(&request, head.status, head.stated);
        if length == ResponseLength::UntilClose || choice & 4 != 0 {
            after = AfterResponse::Close;
        }
        head.write(&request, length, after, &mut output);
    }
    let written = drain(&mut output);
    let mut room: FieldRoom<'_> = [const { MaybeUninit::uninit() }; _];
    let again = match ResponseHead::parse(&written, &mut room) {
        Ok(Some(again)) => again,
        // Two fields may have been added.
        Err(_) if head.end_to_end().count() > MAX_FIELDS - 2 => return,
        other => panic!("{other:?}: {:?}", String::from_utf8_lossy(&written)),
    };
    assert_eq!((again.length, again.status), (written.len(), head.status));
    assert_eq!(again.keep_alive, after != AfterResponse::Close);
    let stated = match (length, head.stated) {
        (ResponseLength::Chunked, _) => StatedLength::Chunked,
        (ResponseLength::Fixed, stated) => stated,
        // What there would be, had it been asked for with GET, or anew.
        (ResponseLength::None, StatedLength::Fixed(length))
            if !head.status.is_informational() && head.status != StatusCode::NO_CONTENT =>
        {
            StatedLength::Fixed(length)
        }
        (ResponseLength::None | ResponseLength::UntilClose, _) => StatedLength::UntilClose,
    };
    assert_eq!(again.stated, stated);
    assert!(passed_on(&head).eq(passed_on(&again)), "{:?}", String::from_utf8_lossy(&written));
}

/// What does not say how long a body is: that is compared on its own.
fn passed_on<'a>(head: &'a ResponseHead<'_, '_>) -> impl Iterator<Item = (String, &'a [u8])> {
    let fields = head.end_to_end().filter(|field| !field.name.eq_ignore_ascii_case("content-length"));
    fields.map(|field| (field.name.to_ascii_lowercase(), field.value))
}

fn drain(output: &mut Output) -> Vec<u8> {
    let (mut all, mut cx) = (Vec::new(), Context::from_waker(Waker::noop()));
    while !output.is_empty() {
        let Poll::Ready(Ok(_)) = output.poll_write_to(&mut all, &mut cx) else { unreachable!("memory takes all") };
    }
    all
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
        for (target, check) in
            [("head", super::head as fn(&[u8])), ("response", super::response), ("chunked", super::chunked)]
        {
            let seeds = seeds(target);
            assert!(seeds.len() > 3, "{target}");
            seeds.iter().for_each(|seed| check(seed));
        }
    }
}
