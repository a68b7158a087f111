//! The connections of an engine: opening them, sending, and receiving.

use std::io;
use std::time::Instant;

use mio::Registry;

use super::Scenario;
use crate::connection::{Connection, ConnectionPhase, Deflate, Ending, NO_STATUS, parse_response};
use crate::content::Content;
use crate::deflate::{Deflater, Inflater};
use crate::frame::MessageKind;
use crate::frame::{self, Header, Opcode};
use crate::tally::Tally;
use crate::target::Target;
use crate::wire::Wire;

/// Reads of one connection before it is the turn of the others.
const READS_IN_A_ROW: usize = 8;

/// The connections, as a scenario sees them. The number of its slot identifies a connection.
pub(crate) struct Io {
    registry: Registry,
    target: Target,
    /// Slots from this number on connect to this target instead.
    elsewhere: Option<(usize, Target)>,
    pub(super) connections: Vec<Connection>,
    /// Slots with something to flush, each once.
    dirty: Vec<usize>,
    /// Slots to read in the next turn, for which no event will come.
    pub(super) again: Vec<usize>,
    /// Slots whose socket could not be created, with the reason.
    pub(super) failed: Vec<(usize, String)>,
    /// Slots to connect again, because the server's queue was full.
    pub(super) to_retry: Vec<usize>,
    /// What the TLS records contained.
    plain: Vec<u8>,
    inflater: Option<Inflater>,
    /// Set when messages are sent compressed.
    deflater: Option<Deflater>,
    /// A message before it is compressed.
    uncompressed: Vec<u8>,
    pub(super) woken: bool,
    pub(super) pending: usize,
    pub(super) alive: usize,
    mask: u32,
    opens: usize,
    pub(super) moved: Instant,
    /// The time of the event that is being handled.
    pub(crate) now: Instant,
    pub(crate) tally: Tally,
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_received: u64,
}

impl Io {
    pub(super) fn new(registry: Registry, target: Target, slots: usize) -> Self {
        let now = Instant::now();
        let compress = target.compress;
        Self {
            registry,
            target,
            elsewhere: None,
            connections: (0..slots).map(|_| Connection::vacant()).collect(),
            dirty: Vec::new(),
            again: Vec::new(),
            failed: Vec::new(),
            to_retry: Vec::new(),
            plain: Vec::new(),
            inflater: None,
            deflater: compress.then(Deflater::new),
            uncompressed: Vec::new(),
            woken: false,
            pending: 0,
            alive: 0,
            mask: 0x9e37_79b9,
            opens: 0,
            moved: now,
            now,
            tally: Tally::default(),
            bytes_sent: 0,
            bytes_received: 0,
        }
    }

    /// Lets the connections from this slot on go to another target.
    pub(crate) fn divide(&mut self, from: usize, target: Target) {
        self.elsewhere = Some((from, target));
    }

    fn target(&self, slot: usize) -> &Target {
        match &self.elsewhere {
            Some((from, target)) if slot >= *from => target,
            _ => &self.target,
        }
    }

    /// Opens a connection in a vacant slot. Call it from [`Scenario::turn`] or between turns:
    /// otherwise bytes of the slot's previous connection may still be in use.
    pub(crate) fn open(&mut self, slot: usize) {
        let connection = &mut self.connections[slot];
        debug_assert_eq!(connection.phase, ConnectionPhase::Vacant, "a slot is opened once at a time");
        connection.phase = ConnectionPhase::Connecting;
        connection.started = Instant::now();
        self.opens += 1;
        self.pending += 1;
        self.alive += 1;
        self.connect(slot);
    }

    /// Connects again after the server's queue was full, unless the slot was cut in the meantime.
    pub(super) fn connect_again(&mut self, slot: usize) {
        if self.connections[slot].phase == ConnectionPhase::Connecting {
            self.connect(slot);
        }
    }

    fn connect(&mut self, slot: usize) {
        let made = self.target(slot).connect(self.opens).and_then(|mut wire| {
            wire.register(&self.registry, slot)?;
            Ok(wire)
        });
        match made {
            Ok(wire) => self.connections[slot].wire = Some(wire),
            // Only Unix domain sockets report this.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.to_retry.push(slot),
            Err(error) => self.failed.push((slot, format!("connect: {error}"))),
        }
    }

    /// Whether the connection can send messages.
    pub(crate) fn is_open(&self, connection: usize) -> bool {
        let connection = &self.connections[connection];
        connection.phase == ConnectionPhase::Open && connection.close_code.is_none() && !connection.write_failed
    }

    /// Whether there is no connection at all, not even one that is still connecting.
    pub(crate) fn is_empty(&self) -> bool {
        self.alive == 0
    }

    /// Bytes that the socket has not taken yet.
    pub(crate) fn waiting(&self, connection: usize) -> usize {
        self.connections[connection].out.len()
    }

    /// Sends one payload of `content` after `prefix`, which the server removes.
    pub(crate) fn send(&mut self, connection: usize, prefix: &[u8], content: &Content, sender: usize, sequence: u64) {
        self.send_within(connection, prefix, b"", content, sender, sequence);
    }

    /// As [`send`](Self::send), with a suffix that the server removes too.
    pub(crate) fn send_within(
        &mut self,
        connection: usize,
        prefix: &[u8],
        suffix: &[u8],
        content: &Content,
        sender: usize,
        sequence: u64,
    ) {
        let opcode = match content.kind() {
            MessageKind::Text => Opcode::Text,
            MessageKind::Binary => Opcode::Binary,
        };
        self.write(connection, opcode, prefix.len() + content.size() + suffix.len(), |out| {
            out.extend_from_slice(prefix);
            content.write(out, sender, sequence);
            out.extend_from_slice(suffix);
        });
    }

    /// Sends a text message.
    pub(crate) fn send_text(&mut self, connection: usize, text: &str) {
        self.write(connection, Opcode::Text, text.len(), |out| out.extend_from_slice(text.as_bytes()));
    }

    /// Begins the close handshake; nothing happens to a connection that is not open.
    pub(crate) fn close(&mut self, connection: usize, code: u16) {
        if self.connections[connection].phase == ConnectionPhase::Open {
            self.write(connection, Opcode::Close, 2, |out| out.extend_from_slice(&code.to_be_bytes()));
            self.connections[connection].phase = ConnectionPhase::Closing;
        }
    }

    /// Ends a connection at once, without a close frame and without a call of the scenario.
    pub(crate) fn cut(&mut self, connection: usize) {
        if self.connections[connection].phase != ConnectionPhase::Vacant {
            let ending = if self.connections[connection].write_failed { Ending::Reset } else { Ending::Cut };
            self.forget(connection, &ending);
        }
    }

    /// Stops or resumes reading.
    pub(crate) fn set_reading(&mut self, connection: usize, reading: bool) {
        let resumed = reading && !self.connections[connection].reading;
        self.connections[connection].reading = reading;
        if resumed {
            self.again.push(connection);
        }
    }

    /// Writes to the sockets. The engine calls it after each step of a scenario.
    pub(crate) fn flush(&mut self) {
        let mut dirty = std::mem::take(&mut self.dirty);
        for slot in dirty.drain(..) {
            self.connections[slot].dirty = false;
            self.flush_one(slot);
        }
        self.dirty = dirty; // flushing makes nothing dirty; the list keeps its memory
    }

    fn flush_one(&mut self, slot: usize) {
        let connection = &mut self.connections[slot];
        let taken = connection.flush();
        if taken > 0 {
            self.bytes_sent += taken as u64;
            self.moved = self.now;
        }
        if connection.write_failed && connection.reading {
            self.again.push(slot);
        }
    }

    fn write(&mut self, slot: usize, opcode: Opcode, size: usize, fill: impl FnOnce(&mut Vec<u8>)) {
        let connection = &mut self.connections[slot];
        let answering = opcode == Opcode::Close;
        if connection.phase != ConnectionPhase::Open
            || connection.write_failed
            || (connection.close_code.is_some() && !answering)
        {
            return;
        }
        // Xorshift: any mask will do that is not constant.
        self.mask ^= self.mask << 13;
        self.mask ^= self.mask >> 17;
        self.mask ^= self.mask << 5;
        let mask = self.mask.to_ne_bytes();
        match (&mut self.deflater, &connection.deflate) {
            (Some(deflater), Some(deflate)) if !opcode.is_control() => {
                self.uncompressed.clear();
                fill(&mut self.uncompressed);
                match deflater.deflate(&self.uncompressed, deflate.agreement.client_window_bits) {
                    Some(compressed) => {
                        frame::write_compressed(&mut connection.out, opcode, &compressed, mask);
                        self.tally.compressed_sent += 1;
                    }
                    None => frame::write(&mut connection.out, opcode, size, mask, |out| {
                        out.extend_from_slice(&self.uncompressed);
                    }),
                }
            }
            _ => frame::write(&mut connection.out, opcode, size, mask, fill),
        }
        self.mark_dirty(slot);
    }

    /// Lets it be flushed at the end of the step.
    fn mark_dirty(&mut self, slot: usize) {
        let connection = &mut self.connections[slot];
        if !connection.dirty {
            connection.dirty = true;
            self.dirty.push(slot);
        }
    }

    pub(super) fn writable<S: Scenario>(&mut self, slot: usize, scenario: &mut S) {
        let connection = &mut self.connections[slot];
        let Some(wire) = connection.wire.as_ref() else {
            return;
        };
        if connection.phase == ConnectionPhase::Connecting {
            if let Ok(Some(error)) = wire.socket().take_error() {
                return self.end(slot, Ending::Failed(format!("connect: {error}")), scenario);
            }
            if !wire.socket().is_connected() {
                return; // an event of the slot's earlier connection
            }
            connection.phase = ConnectionPhase::Handshaking;
            let request = self.target(slot).request.clone();
            self.connections[slot].out.extend_from_slice(&request);
        }
        self.flush_one(slot);
    }

    /// Reads what there is. `ended`: the stream may end right after it.
    pub(super) fn readable<S: Scenario>(&mut self, slot: usize, ended: bool, buffer: &mut [u8], scenario: &mut S) {
        for _ in 0..READS_IN_A_ROW {
            let connection = &mut self.connections[slot];
            if !connection.reading || matches!(connection.phase, ConnectionPhase::Vacant | ConnectionPhase::Connecting)
            {
                return;
            }
            match connection.read(buffer) {
                Ok(0) => return self.end(slot, Ending::Eof, scenario),
                Ok(n) => {
                    self.bytes_received += n as u64;
                    self.moved = self.now;
                    if let Err(ending) = self.arrived(slot, &buffer[..n], scenario) {
                        return self.end(slot, ending, scenario);
                    }
                    if n < buffer.len() && !ended {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return self.end(slot, Ending::Reset, scenario),
            }
        }
        self.again.push(slot);
    }

    /// Takes bytes from the socket, and decrypts them if the connection uses TLS.
    fn arrived<S: Scenario>(&mut self, slot: usize, data: &[u8], scenario: &mut S) -> Result<(), Ending> {
        let connection = &mut self.connections[slot];
        let Some(wire) = connection.wire.as_mut().filter(|wire| wire.is_tls()) else {
            return self.received(slot, data, scenario);
        };
        let mut plain = std::mem::take(&mut self.plain);
        let decrypted = wire.decrypt(data, &mut plain);
        // What came before the error counts, and a server may end the stream with the last record.
        let result = if plain.is_empty() { Ok(()) } else { self.received(slot, &plain, scenario) };
        plain.clear();
        self.plain = plain;
        match decrypted {
            Ok(true) => self.mark_dirty(slot),
            Ok(false) => {}
            Err(error) if self.connections[slot].phase == ConnectionPhase::Handshaking => {
                return Err(Ending::Failed(format!("TLS: {error}")));
            }
            Err(error) => {
                self.tally.note(format!("TLS: {error}"));
                return Err(Ending::Protocol("TLS broken"));
            }
        }
        result
    }

    /// Takes bytes of the stream: the answer to the upgrade, then frames.
    fn received<S: Scenario>(&mut self, slot: usize, data: &[u8], scenario: &mut S) -> Result<(), Ending> {
        // Usually nothing is left over from before, and the frames are read in place.
        let mut inbox = std::mem::take(&mut self.connections[slot].inbox);
        let gathered = !inbox.is_empty();
        if gathered {
            inbox.extend_from_slice(data);
        }
        let mut rest = if gathered { &inbox[..] } else { data };
        if self.connections[slot].phase == ConnectionPhase::Handshaking
            && let Some(answer) = parse_response(rest, self.target(slot).offer.as_deref())?
        {
            rest = &rest[answer.length..];
            let connection = &mut self.connections[slot];
            connection.phase = ConnectionPhase::Open;
            connection.deflate = answer.deflate.map(|agreement| Deflate { agreement, history: Vec::new() });
            self.pending -= 1;
            self.tally.open(connection.wire.as_ref().and_then(Wire::agreed), connection.deflate.is_some());
            let took = self.now - self.connections[slot].started;
            scenario.opened(self, slot, took);
        }
        while matches!(self.connections[slot].phase, ConnectionPhase::Open | ConnectionPhase::Closing)
            && let deflate = self.connections[slot].deflate.is_some()
            && let Some(header) = frame::parse_header(rest, deflate).map_err(Ending::Protocol)?
            && let Some((_, body)) = rest.split_at_checked(header.length)
            && let Some((payload, behind)) = body.split_at_checked(header.payload)
        {
            rest = behind;
            self.frame(slot, header, payload, scenario)?;
        }
        let used = if gathered { inbox.len() } else { data.len() } - rest.len();
        if gathered {
            inbox.drain(..used);
        } else {
            inbox.extend_from_slice(&data[used..]);
        }
        // A scenario that cut the connection does not want what follows.
        if self.connections[slot].phase != ConnectionPhase::Vacant {
            self.connections[slot].inbox = inbox;
        }
        Ok(())
    }

    fn frame<S: Scenario>(
        &mut self,
        slot: usize,
        header: Header,
        payload: &[u8],
        scenario: &mut S,
    ) -> Result<(), Ending> {
        let connection = &mut self.connections[slot];
        if connection.close_code.is_some() {
            return Err(Ending::Protocol("a frame behind the close frame"));
        }
        match header.opcode {
            Opcode::Ping => self.write(slot, Opcode::Pong, payload.len(), |out| out.extend_from_slice(payload)),
            Opcode::Pong => {}
            Opcode::Close => {
                let code = match payload {
                    [] => NO_STATUS,
                    &[high, low, ..] => u16::from_be_bytes([high, low]),
                    _ => return Err(Ending::Protocol("a close frame with half a code")),
                };
                connection.close_code = Some(code);
                if connection.phase == ConnectionPhase::Open {
                    self.write(slot, Opcode::Close, payload.len().min(2), |out| {
                        out.extend_from_slice(&payload[..payload.len().min(2)]);
                    });
                }
            }
            _ if connection.is_whole(header) => {
                let kind = if header.opcode == Opcode::Text { MessageKind::Text } else { MessageKind::Binary };
                self.message(slot, kind, header.compressed, payload, scenario)?;
            }
            _ => {
                if let Some(gathered) = connection.gather(header, payload).map_err(Ending::Protocol)? {
                    self.message(slot, gathered.kind, gathered.compressed, &gathered.payload, scenario)?;
                }
            }
        }
        Ok(())
    }

    /// Passes a whole message to the scenario, inflated if necessary.
    fn message<S: Scenario>(
        &mut self,
        slot: usize,
        kind: MessageKind,
        compressed: bool,
        payload: &[u8],
        scenario: &mut S,
    ) -> Result<(), Ending> {
        let Some(deflate) = self.connections[slot].deflate.as_mut().filter(|_| compressed) else {
            scenario.message(self, slot, kind, payload);
            return Ok(());
        };
        self.tally.compressed_received += 1;
        let history = if deflate.agreement.server_context { Some(&mut deflate.history) } else { None };
        // The scenario may use the whole engine during the call, but receives nothing.
        let mut inflater = self.inflater.take().unwrap_or_else(Inflater::new);
        let result = inflater.inflate(payload, history).map(|message| scenario.message(self, slot, kind, message));
        self.inflater = Some(inflater);
        result.map_err(Ending::Protocol)
    }

    pub(super) fn end<S: Scenario>(&mut self, slot: usize, ending: Ending, scenario: &mut S) {
        let connection = &self.connections[slot];
        let ending = match (ending, connection.close_code, connection.phase) {
            (Ending::Eof | Ending::Reset, Some(code), _) => Ending::Close(code),
            (Ending::Eof, None, ConnectionPhase::Connecting | ConnectionPhase::Handshaking) => {
                Ending::Failed("handshake: end of stream".into())
            }
            (Ending::Reset, None, ConnectionPhase::Connecting | ConnectionPhase::Handshaking) => {
                Ending::Failed("handshake: reset".into())
            }
            (ending, ..) => ending,
        };
        self.forget(slot, &ending);
        scenario.ended(self, slot, &ending);
    }

    fn forget(&mut self, slot: usize, ending: &Ending) {
        let connection = &mut self.connections[slot];
        let phase = connection.phase;
        // Its entry in `dirty` stays: flushing a vacant slot does nothing.
        let dirty = connection.dirty;
        *connection = Connection::vacant();
        connection.dirty = dirty;
        self.alive -= 1;
        if matches!(phase, ConnectionPhase::Connecting | ConnectionPhase::Handshaking) {
            self.pending -= 1;
        }
        self.tally.end(ending, phase == ConnectionPhase::Closing);
    }
}
