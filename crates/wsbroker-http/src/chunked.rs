//! The chunked coding of a request's body (RFC 9112 §7.1), read strictly: bytes in, pieces out.

use bytes::{Buf, Bytes, BytesMut};
use http::{
    HeaderMap,
    header::{HeaderName, HeaderValue},
};

use crate::headers::is_allowed_in_trailers;

/// A line with a chunk's size, its extensions included, in bytes.
const MAX_LINE: usize = 256;
/// Extensions of all chunks of one body, in bytes. Nobody uses them for good.
const MAX_EXTENSIONS: usize = 16 << 10;
/// The trailer section, in bytes and in fields.
const MAX_TRAILERS: (usize, usize) = (8 << 10, 32);

/// What is wrong with a chunked body. Nothing behind it can be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct ChunkError(pub(crate) &'static str);

/// A piece of a body.
#[derive(Debug, Eq, PartialEq)]
pub enum Decoded {
    /// Content.
    Data(Bytes),
    /// The end, with the trailer fields that may be passed on.
    End(HeaderMap),
}

/// Decodes one body.
#[derive(Debug)]
pub struct Chunked {
    state: ChunkState,
    extensions: usize,
}

#[derive(Clone, Copy, Debug)]
enum ChunkState {
    Size,
    Data(u64),
    DataEnd,
    Trailers,
    Done,
}

impl Default for Chunked {
    fn default() -> Self {
        Self { state: ChunkState::Size, extensions: 0 }
    }
}

impl Chunked {
    /// Takes what it can from the front of `input`. `None` when more bytes are needed, and after
    /// the end.
    ///
    /// # Errors
    /// The body breaks the grammar or a limit.
    pub fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Decoded>, ChunkError> {
        loop {
            match self.state {
                ChunkState::Size => {
                    let Some(line) = line(input, MAX_LINE)? else { return Ok(None) };
                    let (size, extension) = size(&line)?;
                    self.extensions += extension;
                    if self.extensions > MAX_EXTENSIONS {
                        return Err(ChunkError("the chunks have too long extensions"));
                    }
                    self.state = if size == 0 { ChunkState::Trailers } else { ChunkState::Data(size) };
                }
                ChunkState::Data(left) => {
                    if input.is_empty() {
                        return Ok(None);
                    }
                    let taken = input.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    let data = input.split_to(taken).freeze();
                    let left = left - taken as u64;
                    self.state = if left == 0 { ChunkState::DataEnd } else { ChunkState::Data(left) };
                    return Ok(Some(Decoded::Data(data)));
                }
                ChunkState::DataEnd => {
                    match **input {
                        [b'\r', b'\n', ..] => input.advance(2),
                        [] | [b'\r'] => return Ok(None),
                        _ => return Err(ChunkError("a chunk is longer than its size says")),
                    }
                    self.state = ChunkState::Size;
                }
                ChunkState::Trailers => {
                    let Some(trailers) = trailers(input)? else { return Ok(None) };
                    self.state = ChunkState::Done;
                    return Ok(Some(Decoded::End(trailers)));
                }
                ChunkState::Done => return Ok(None),
            }
        }
    }
}

/// A line without its CR LF.
fn line(input: &mut BytesMut, limit: usize) -> Result<Option<BytesMut>, ChunkError> {
    let looked_at = &input[..input.len().min(limit)];
    let Some(end) = looked_at.iter().position(|&byte| byte == b'\n') else {
        return if input.len() >= limit { Err(ChunkError("a chunk's size is too long")) } else { Ok(None) };
    };
    if end == 0 || looked_at[end - 1] != b'\r' {
        return Err(ChunkError("a line of the chunked body ends without CR"));
    }
    let mut line = input.split_to(end + 1);
    line.truncate(end - 1);
    Ok(Some(line))
}

/// The size, and how long the extensions behind it are. No white space is taken around either: the
/// grammar allows it only for the sake of old senders, and proxies disagree about it.
fn size(line: &[u8]) -> Result<(u64, usize), ChunkError> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (number, extension) = line.split_at(digits);
    if !(1..=16).contains(&digits) {
        return Err(ChunkError("a chunk's size is not a hexadecimal number"));
    }
    let allowed = |&byte: &u8| byte == b'\t' || (b' '..=b'~').contains(&byte);
    if !extension.is_empty() && (extension[0] != b';' || !extension.iter().all(allowed)) {
        return Err(ChunkError("a chunk's size is not a hexadecimal number"));
    }
    let digit = |byte: u8| u64::from(char::from(byte).to_digit(16).unwrap_or_default());
    let size = number.iter().fold(0, |size: u64, &byte| (size << 4) | digit(byte));
    if size > 1 << 60 {
        return Err(ChunkError("a chunk is too large"));
    }
    Ok((size, extension.len()))
}

/// The fields behind the last chunk, once they are complete.
fn trailers(input: &mut BytesMut) -> Result<Option<HeaderMap>, ChunkError> {
    let Some(length) = section_end(input)? else { return Ok(None) };
    let section = input.split_to(length).freeze();
    let mut fields = [httparse::EMPTY_HEADER; MAX_TRAILERS.1];
    let Ok(httparse::Status::Complete((_, fields))) = httparse::parse_headers(&section, &mut fields) else {
        return Err(ChunkError("the trailer fields are not well-formed"));
    };
    let mut trailers = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let parsed = (HeaderName::from_bytes(field.name.as_bytes()), HeaderValue::from_bytes(field.value));
        let (Ok(name), Ok(value)) = parsed else {
            return Err(ChunkError("the trailer fields are not well-formed"));
        };
        if is_allowed_in_trailers(&name) {
            trailers.append(name, value);
        }
    }
    Ok(Some(trailers))
}

/// Where the trailer section ends. Every line has to end in CR LF and none may be folded.
fn section_end(input: &[u8]) -> Result<Option<usize>, ChunkError> {
    let mut start = 0;
    loop {
        let rest = &input[start..];
        let Some(length) = rest.iter().position(|&byte| byte == b'\n') else {
            return if input.len() >= MAX_TRAILERS.0 {
                Err(ChunkError("the trailer fields are too long"))
            } else {
                Ok(None)
            };
        };
        match &rest[..=length] {
            [b'\r', b'\n'] => return Ok(Some(start + 2)),
            [b' ' | b'\t', ..] => return Err(ChunkError("a trailer field is folded")),
            [.., b'\r', b'\n'] => start += length + 1,
            _ => return Err(ChunkError("a line of the chunked body ends without CR")),
        }
        if start >= MAX_TRAILERS.0 {
            return Err(ChunkError("the trailer fields are too long"));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What comes of a body that arrives in these pieces: its content, its trailers if it is
    /// complete, and the bytes behind it.
    type Read = (Vec<u8>, Option<HeaderMap>, Vec<u8>);

    fn read(pieces: &[&[u8]]) -> Result<Read, ChunkError> {
        let (mut chunked, mut input) = (Chunked::default(), BytesMut::new());
        let (mut content, mut end) = (Vec::new(), None);
        for piece in pieces {
            input.extend_from_slice(piece);
            while let Some(decoded) = chunked.decode(&mut input)? {
                match decoded {
                    Decoded::Data(data) => content.extend_from_slice(&data),
                    Decoded::End(trailers) => end = Some(trailers),
                }
            }
        }
        Ok((content, end, input.to_vec()))
    }

    #[test]
    fn chunks_become_content_and_what_follows_stays() {
        let (content, end, rest) = read(&[b"5\r\nhello\r\n00006;a=b;c=\"d\"\r\n world\r\n0\r\n\r\nGET /"]).unwrap();
        assert_eq!(content, b"hello world");
        assert!(end.unwrap().is_empty());
        assert_eq!(rest, b"GET /");
    }

    #[test]
    fn trailers_are_kept_without_those_that_would_change_the_message() {
        let body = b"0\r\nX-Checksum: 1\r\nContent-Length: 5\r\nTransfer-Encoding: x\r\nHost: h\r\n\r\n";
        let (_, end, _) = read(&[body]).unwrap();
        let end = end.unwrap();
        assert_eq!(end.len(), 1);
        assert_eq!(end["x-checksum"], "1");
    }

    #[test]
    fn what_another_reader_could_read_otherwise_is_refused() {
        for body in [
            &b"5\nhello\r\n0\r\n\r\n"[..],
            b"5\r\nhello\n0\r\n\r\n",
            b"5\r\nhello!\r\n0\r\n\r\n",
            b"0x5\r\nhello\r\n",
            b"+5\r\nhello\r\n",
            b" 5\r\nhello\r\n",
            b"5 \r\nhello\r\n",
            b"5 ;a\r\nhello\r\n",
            b"5;a\0\r\nhello\r\n",
            b"5;a\rb\r\nhello\r\n",
            b"\r\nhello",
            b"-1\r\n",
            b"00000000000000005\r\nhello\r\n",
            b"ffffffffffffffff\r\n",
            b"0\r\nA: b\n\r\n",
            b"0\r\nA: b\r\n c\r\n\r\n",
            b"0\r\nA : b\r\n\r\n",
            b"0\r\nA\r\n\r\n",
            b"0\r\n\n",
        ] {
            assert!(read(&[body]).is_err(), "{:?}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn lines_extensions_and_trailers_have_limits() {
        assert!(read(&[&[b'0'; MAX_LINE]]).is_err(), "a size that never ends");
        let line = format!("1;{}\r\nx\r\n", "e".repeat(MAX_LINE - 10));
        let lines = line.repeat(MAX_EXTENSIONS / (MAX_LINE - 10));
        assert!(read(&[lines.as_bytes()]).is_ok());
        assert!(read(&[lines.as_bytes(), line.as_bytes()]).is_err());
        assert!(read(&[b"0\r\n", &[b'a'; MAX_TRAILERS.0]]).is_err(), "a trailer that never ends");
        let fields = "a: b\r\n".repeat(MAX_TRAILERS.1 + 1);
        assert!(read(&[b"0\r\n", fields.as_bytes(), b"\r\n"]).is_err(), "too many trailer fields");
    }

    fn body_like() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just(b"3\r\nabc\r\n".to_vec()),
            Just(b"0\r\n\r\n".to_vec()),
            Just(b"0\r\nA: b\r\n\r\n".to_vec()),
            Just(b"\r\n".to_vec()),
            Just(b"a;x\r\n".to_vec()),
            proptest::collection::vec(any::<u8>(), 0..12),
        ];
        proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same(body in body_like(), cut in 0_usize..100) {
            let cut = cut.min(body.len());
            let (split, whole) = (read(&[&body[..cut], &body[cut..]]), read(&[&body]));
            match (split, whole) {
                (Ok(split), Ok(whole)) => prop_assert_eq!(split, whole),
                (split, whole) => prop_assert_eq!(split.is_err(), whole.is_err()),
            }
        }
    }
}
