//! Commands and answers on connections without the client library. Reading is bounded, so that the
//! server does not decide how much memory we use.

use std::io;

use redis::Value;

/// Bytes of the longest answer to our commands: a primary that names its replicas.
pub(crate) const LONGEST: usize = 64 << 10;
/// How deep lists may be nested.
const DEEPEST: u8 = 4;

/// An answer or the text of an error, and its length. `None` while it is incomplete.
pub(crate) fn take(bytes: &[u8]) -> io::Result<Option<(Result<Value, String>, usize)>> {
    let mut rest = bytes;
    match take_value(&mut rest, DEEPEST)? {
        Some(value) => Ok(Some((value, bytes.len() - rest.len()))),
        None if bytes.len() > LONGEST => Err(too_long()),
        None => Ok(None),
    }
}

/// The first line, and its length with its end. `None` while it is incomplete.
pub(crate) fn take_line(bytes: &[u8]) -> io::Result<Option<(&[u8], usize)>> {
    match bytes.iter().position(|byte| *byte == b'\n') {
        Some(end) => Ok(Some((bytes[..end].trim_ascii_end(), end + 1))),
        None if bytes.len() > LONGEST => Err(too_long()),
        None => Ok(None),
    }
}

/// Appends a command of these words.
pub(crate) fn write_command(words: &[&[u8]], out: &mut Vec<u8>) {
    write_number(b'*', words.len(), out);
    for word in words {
        write_number(b'$', word.len(), out);
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

/// Appends a length or a count, with the letter of its kind.
pub(crate) fn write_number(kind: u8, number: usize, out: &mut Vec<u8>) {
    out.push(kind);
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn take_value(rest: &mut &[u8], depth: u8) -> io::Result<Option<Result<Value, String>>> {
    let Some((line, length)) = take_line(rest)? else { return Ok(None) };
    let Some((kind, line)) = line.split_first() else { return Err(unreadable()) };
    *rest = &rest[length..];
    let said = || String::from_utf8_lossy(line).into_owned();
    let value = match kind {
        b'+' => Value::SimpleString(said()),
        b'-' => return Ok(Some(Err(said()))),
        b':' => Value::Int(number(line)?),
        b'$' => match number(line)? {
            -1 => Value::Nil,
            length => {
                let length = usize::try_from(length).map_err(|_| unreadable())?;
                if length > LONGEST {
                    return Err(too_long());
                }
                let Some(bytes) = rest.get(..length) else { return Ok(None) };
                let Some(end) = rest.get(length..length + 2) else { return Ok(None) };
                if end != b"\r\n" {
                    return Err(unreadable());
                }
                *rest = &rest[length + 2..];
                Value::BulkString(bytes.to_vec())
            }
        },
        b'*' => match number(line)? {
            -1 => Value::Nil,
            _ if depth == 0 => return Err(unreadable()),
            count => {
                let mut list = Vec::new();
                for _ in 0..count {
                    match take_value(rest, depth - 1)? {
                        Some(value) => list.push(value.unwrap_or_else(Value::SimpleString)),
                        None => return Ok(None),
                    }
                }
                Value::Array(list)
            }
        },
        _ => return Err(unreadable()),
    };
    Ok(Some(Ok(value)))
}

fn number(line: &[u8]) -> io::Result<i64> {
    std::str::from_utf8(line).ok().and_then(|text| text.parse().ok()).ok_or_else(unreadable)
}

fn unreadable() -> io::Error {
    io::Error::other("a reply of Redis cannot be read")
}

fn too_long() -> io::Error {
    io::Error::other("Redis said more than it was asked for")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_when_they_are_whole() {
        let all = b"*3\r\n$6\r\nmaster\r\n:-7\r\n*1\r\n*2\r\n$-1\r\n+ok\r\n:1\r\n";
        let whole = all.len() - 4;
        for end in 0..whole {
            assert!(take(&all[..end]).unwrap().is_none(), "{end}");
        }
        let inner = Value::Array(vec![Value::Nil, Value::SimpleString("ok".into())]);
        let list = vec![Value::BulkString(b"master".into()), Value::Int(-7), Value::Array(vec![inner])];
        assert_eq!(take(all).unwrap(), Some((Ok(Value::Array(list)), whole)));
        assert_eq!(take(b"-ERR no\r\n").unwrap(), Some((Err("ERR no".into()), 9)));
    }

    #[test]
    fn what_is_too_long_too_deep_or_no_answer_is_refused() {
        let deep = "*1\r\n".repeat(6);
        let endless = vec![b'+'; 2 * LONGEST];
        let many = [&b"*1000000000\r\n"[..], &b":1\r\n".repeat(LONGEST / 4 + 1)].concat();
        for bytes in [
            &b"$2147483648\r\n"[..],
            b"$-2\r\n",
            b"$1\r\nab\r\n",
            b"hello\r\n",
            b"\r\n",
            b":x\r\n",
            deep.as_bytes(),
            &endless,
            &many,
        ] {
            assert!(take(bytes).is_err(), "{:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(20)]));
        }
    }
}
