//! What a Redis has carried, according to its `INFO`.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::ops::Sub;
use std::time::Duration;

/// Counted since the server started.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Traffic {
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) commands: u64,
}

impl Traffic {
    /// Asks the server at this `HOST:PORT`.
    pub(crate) fn of(address: &str) -> io::Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"INFO stats\r\n")?;
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let length = line.trim().strip_prefix('$').and_then(|length| length.parse::<u64>().ok());
        let mut info = String::new();
        reader.take(length.ok_or(io::ErrorKind::InvalidData)?).read_to_string(&mut info)?;
        parse(&info).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}

impl Sub for Traffic {
    type Output = Self;
    fn sub(self, earlier: Self) -> Self {
        Self {
            bytes_in: self.bytes_in - earlier.bytes_in,
            bytes_out: self.bytes_out - earlier.bytes_out,
            commands: self.commands - earlier.commands,
        }
    }
}

fn parse(info: &str) -> Option<Traffic> {
    let field = |name: &str| {
        info.lines().find_map(|line| line.split_once(':').filter(|(is, _)| *is == name))?.1.trim().parse().ok()
    };
    Some(Traffic {
        bytes_in: field("total_net_input_bytes")?,
        bytes_out: field("total_net_output_bytes")?,
        commands: field("total_commands_processed")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_fields_are_read() {
        let info = "# Stats\r\ntotal_commands_processed:3\r\ntotal_net_input_bytes:10\r\ntotal_net_output_bytes:20\r\n\
                    total_net_repl_input_bytes:7\r\n";
        assert_eq!(parse(info), Some(Traffic { bytes_in: 10, bytes_out: 20, commands: 3 }));
        assert_eq!(parse("total_net_input_bytes:10"), None);
    }
}
