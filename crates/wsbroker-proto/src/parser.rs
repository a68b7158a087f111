//! The reading side: from bytes, in whatever pieces they arrive, to messages.

use std::fmt;
use std::mem;

use crate::close_payload;
use crate::error::ProtocolError;
use crate::frame::{self, Expect, FrameHead, MAX_HEADER, Opcode};
use crate::item::{Input, Item, Limits, MessageKind, Payload, Role};
use crate::{mask, utf8};

/// Payloads are unmasked and copied in blocks of this many bytes, a multiple of the key's four.
/// Small enough for the level 1 cache, and for `memcpy` not to use `rep movsb`, which takes 8 times
/// as long on AMD Zen 4 when source and target lie 14 bytes apart modulo the page, as they do
/// behind a header.
const COPY_BLOCK: usize = 1024;

/// Memory is lent for a message when one part in so many has arrived: a peer that announces a long
/// one and then sends nothing must not hold memory for all of it.
const LEND_SHARE: usize = 8;

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    Header,
    /// The payload of the data or control frame `opcode`.
    Payload,
    /// A close frame or an error came before: whatever follows is discarded.
    Done,
}

/// The kind of message that a frame begins; `None` if it begins none.
#[inline]
fn kind_of(opcode: Opcode) -> Option<MessageKind> {
    match opcode {
        Opcode::Text => Some(MessageKind::Text),
        Opcode::Binary => Some(MessageKind::Binary),
        _ => None,
    }
}

/// A message whose first frame has begun.
#[derive(Clone, Copy, Debug)]
struct Unfinished {
    kind: MessageKind,
    compressed: bool,
}

/// Reads one connection's frames. 64 bytes, and no heap memory between messages.
///
/// The same bytes give the same items and the same error however they are cut into inputs. A frame
/// that is whole in its input costs no copy and no allocation; of others what has arrived is
/// gathered in a buffer that grows by doubling, never beyond the declared length of a final frame.
/// Text is checked as it arrives: the first bad byte is an error, even inside an unfinished frame
/// (RFC 6455, section 8.1). Fragments are not counted, since an empty one costs nothing here.
///
/// ```
/// use wsbroker_proto::{Input, Item, Limits, Parser, Role};
///
/// let limits = Limits { max_message: 100, allow_rsv1: false };
/// let mut parser = Parser::new(Role::Client);
/// // "Hel" in a first fragment, then a ping, then "lo", read in two parts.
/// let (mut a, mut b) = (*b"\x01\x03Hel\x89\x00\x80\x02l", *b"o");
///
/// let mut input = Input::new(&mut a);
/// assert!(matches!(parser.next(&mut input, &limits)?, Some(Item::Ping(_))));
/// assert_eq!(parser.next(&mut input, &limits)?, None);
/// let item = parser.next(&mut Input::new(&mut b), &limits)?;
/// assert!(matches!(item, Some(Item::Message { payload, .. }) if payload.as_ref() == b"Hello"));
/// assert_eq!(parser.buffered(), 0);
/// # Ok::<(), wsbroker_proto::ProtocolError>(())
/// ```
pub struct Parser {
    /// The unfinished message, and behind it the unfinished control frame that interrupted it.
    /// Empty means without capacity: nothing is reserved before there are bytes, and whole payloads
    /// are moved out.
    buffer: Vec<u8>,
    /// Payload bytes of the current frame still to come.
    remaining: usize,
    /// Bytes of a header that has not arrived whole.
    header: [u8; MAX_HEADER],
    header_len: u8,
    /// How many of the buffer's last bytes belong to the current control frame.
    control_len: u8,
    /// How many of the message's last bytes begin a character that is not complete. A message that
    /// ends well leaves 0 behind.
    utf8_pending: u8,
    /// The masking key, turned so that it begins with the next byte's.
    key: [u8; 4],
    phase: Phase,
    /// Of the current frame.
    opcode: Opcode,
    fin: bool,
    unfinished: Option<Unfinished>,
    role: Role,
}

impl Parser {
    /// A parser at the beginning of a connection's frames, right behind the handshake.
    pub const fn new(role: Role) -> Self {
        Self {
            buffer: Vec::new(),
            remaining: 0,
            header: [0; MAX_HEADER],
            header_len: 0,
            control_len: 0,
            utf8_pending: 0,
            key: [0; 4],
            phase: Phase::Header,
            opcode: Opcode::Continuation,
            fin: false,
            unfinished: None,
            role,
        }
    }

    /// Consumes from the front of `input` until one item is complete or `input` is used up.
    ///
    /// `None`: everything is consumed, and what belongs to an unfinished frame is kept inside. Call
    /// again until then, or take the rest out of `input` ([`Input::into_rest`]). After a close
    /// frame or an error everything is consumed and discarded, for nothing valid can follow.
    ///
    /// # Errors
    /// [`ProtocolError`]: the connection must be failed with [`ProtocolError::close_code`].
    #[inline]
    pub fn next<'a>(&mut self, input: &mut Input<'a>, limits: &Limits) -> Result<Option<Item<'a>>, ProtocolError> {
        self.next_in(input, limits, &mut |_| None)
    }

    /// As [`next`](Self::next), and a long message may be gathered in memory that is there already:
    /// once an eighth of it has come, `lend` is asked for a vector with capacity for as many bytes
    /// as the message will have. Its content is discarded. `None`, or one that is too small, and
    /// the parser's own memory grows as the bytes arrive.
    ///
    /// What was lent comes back as the message's [`Payload::Owned`]. If the message never ends, it
    /// is freed with the parser or at an error.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    #[inline]
    pub fn next_in<'a>(
        &mut self,
        input: &mut Input<'a>,
        limits: &Limits,
        lend: &mut dyn FnMut(usize) -> Option<Vec<u8>>,
    ) -> Result<Option<Item<'a>>, ProtocolError> {
        let result = self.step(input, limits, lend);
        if result.is_err() {
            self.finish();
        }
        result
    }

    /// Payload bytes of the current frame that have not come.
    #[inline]
    pub fn payload_to_come(&self) -> usize {
        self.remaining
    }

    /// The memory of the unfinished message, and how many bytes of the current frame can be read
    /// straight into it, behind what it holds. `None` between payloads of data frames, and unless
    /// the memory has room for `least` bytes of this one.
    ///
    /// Tell [`appended`](Self::appended) how many they were, before anything else is called.
    #[inline]
    pub fn room_for_payload(&mut self, least: usize) -> Option<(&mut Vec<u8>, usize)> {
        if self.remaining < least || self.phase != Phase::Payload || self.opcode.is_control() {
            return None;
        }
        let room = self.remaining.min(self.buffer.capacity() - self.buffer.len());
        if room < least { None } else { Some((&mut self.buffer, room)) }
    }

    /// Goes on with bytes, as they came from the peer, that were appended to the memory of
    /// [`room_for_payload`](Self::room_for_payload): at most as many as that said.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub fn appended(&mut self, count: usize) -> Result<Option<Item<'static>>, ProtocolError> {
        let count = count.min(self.remaining).min(self.buffer.len());
        let start = self.buffer.len() - count;
        let ascii = mask::apply(self.buffer.get_mut(start..).unwrap_or_default(), self.key);
        let result = self.gathered(count, ascii);
        if result.is_err() {
            self.finish();
        }
        result
    }

    /// Heap memory held for an unfinished message, in bytes: 0 between messages, at most about
    /// twice the bytes that arrived, or eight times if memory was lent.
    pub fn buffered(&self) -> usize {
        self.buffer.capacity()
    }

    /// The opcode of the frame that the first byte of `input` belongs to or begins. `None` without
    /// input, for a reserved opcode, and after the end.
    #[inline]
    pub fn opcode_ahead(&self, input: &Input<'_>) -> Option<Opcode> {
        let first = *input.peek().first()?;
        match self.phase {
            Phase::Header if self.header_len == 0 => Opcode::of_first_byte(first),
            Phase::Header => Opcode::of_first_byte(self.header[0]),
            Phase::Payload => Some(self.opcode),
            Phase::Done => None,
        }
    }

    /// The length of the frame at the front of `bytes`, if it lies there whole and is a message of
    /// at least `least` bytes, not compressed. `None` in the middle of a frame or a message.
    ///
    /// Then [`next`](Self::next) with that frame gives the message, its payload borrowed from the
    /// frame's end, or an error if it is text and not UTF-8.
    #[inline]
    #[must_use]
    pub fn whole_message_ahead(&self, bytes: &[u8], least: usize, limits: &Limits) -> Option<usize> {
        if bytes.len() <= least || self.phase != Phase::Header || self.header_len != 0 || self.unfinished.is_some() {
            return None;
        }
        let expect = Expect { masked: self.role == Role::Server, in_message: false, rsv1: false };
        let head = frame::decode(bytes, expect).ok()??;
        let len = usize::try_from(head.len).ok()?;
        let message = head.fin && !head.opcode.is_control();
        let fits = least <= len && len <= limits.max_message && len <= bytes.len() - head.size;
        (message && fits).then_some(head.size + len)
    }

    /// Whether a close frame or an error ended the stream: further input is discarded.
    pub fn is_done(&self) -> bool {
        self.phase == Phase::Done
    }

    #[inline]
    fn step<'a>(
        &mut self,
        input: &mut Input<'a>,
        limits: &Limits,
        lend: &mut dyn FnMut(usize) -> Option<Vec<u8>>,
    ) -> Result<Option<Item<'a>>, ProtocolError> {
        loop {
            match self.phase {
                Phase::Header => {
                    let Some(head) = self.read_header(input, limits)? else {
                        return Ok(None);
                    };
                    let len = self.admit(&head, limits)?;
                    let whole = head.fin && len <= input.remaining();
                    if whole && head.opcode != Opcode::Continuation {
                        let bytes = input.take(len);
                        let ascii = mask::apply(bytes, head.key);
                        return self.whole_frame(&head, bytes, ascii).map(Some);
                    }
                    self.begin_frame(&head, len);
                }
                Phase::Payload => {}
                Phase::Done => {
                    input.take(usize::MAX);
                    return Ok(None);
                }
            }
            if let Some(item) = self.gather(input, limits, lend)? {
                return Ok(Some(item));
            }
            if input.is_empty() {
                return Ok(None);
            }
        }
    }

    /// The next header, once it is whole.
    #[inline]
    fn read_header(&mut self, input: &mut Input<'_>, limits: &Limits) -> Result<Option<FrameHead>, ProtocolError> {
        let expect = Expect {
            masked: self.role == Role::Server,
            in_message: self.unfinished.is_some(),
            rsv1: limits.allow_rsv1,
        };
        if self.header_len == 0
            && let Some(head) = frame::decode(input.peek(), expect)?
        {
            input.take(head.size);
            return Ok(Some(head));
        }
        self.gather_header(input, expect)
    }

    /// Moves header bytes from `input` into the parser until the header is whole.
    #[cold]
    fn gather_header(&mut self, input: &mut Input<'_>, expect: Expect) -> Result<Option<FrameHead>, ProtocolError> {
        // One byte at a time is the simplest that never takes one too many; this path is rare and
        // short.
        while let [byte] = input.take(1) {
            let Some(free) = self.header.get_mut(usize::from(self.header_len)) else {
                break;
            };
            *free = *byte;
            self.header_len += 1;
            let bytes = self.header.get(..usize::from(self.header_len)).unwrap_or_default();
            if let Some(head) = frame::decode(bytes, expect)? {
                self.header_len = 0;
                return Ok(Some(head));
            }
        }
        Ok(None)
    }

    /// Checks a frame against the limit, before any of its payload is read. Returns its length.
    #[inline]
    fn admit(&self, head: &FrameHead, limits: &Limits) -> Result<usize, ProtocolError> {
        let room = if head.opcode.is_control() {
            frame::MAX_CONTROL
        } else {
            let compressed = self.unfinished.map_or(head.rsv1, |message| message.compressed);
            limits.ceiling(compressed).saturating_sub(self.buffer.len())
        };
        match usize::try_from(head.len) {
            Ok(len) if len <= room => Ok(len),
            _ => Err(ProtocolError::MessageTooBig),
        }
    }

    /// A control frame, or the only frame of a message, that lies whole in the input.
    #[inline]
    fn whole_frame<'a>(
        &mut self,
        head: &FrameHead,
        bytes: &'a mut [u8],
        ascii: bool,
    ) -> Result<Item<'a>, ProtocolError> {
        let compressed = head.rsv1;
        let Some(kind) = kind_of(head.opcode) else {
            return self.control_item(head.opcode, Payload::Borrowed(bytes));
        };
        if kind == MessageKind::Text && !compressed && !ascii {
            utf8::check(bytes)?;
        }
        Ok(Item::Message { kind, payload: Payload::Borrowed(bytes), compressed })
    }

    #[cold]
    fn control_item<'a>(&mut self, opcode: Opcode, payload: Payload<'a>) -> Result<Item<'a>, ProtocolError> {
        Ok(match opcode {
            Opcode::Ping => Item::Ping(payload),
            Opcode::Pong => Item::Pong(payload),
            _ => {
                let close = close_payload::decode(payload)?;
                self.finish();
                Item::Close(close)
            }
        })
    }

    /// Nothing valid can follow: give the memory back, and discard what comes.
    #[cold]
    fn finish(&mut self) {
        self.buffer = Vec::new();
        self.unfinished = None;
        self.phase = Phase::Done;
    }

    #[cold]
    fn begin_frame(&mut self, head: &FrameHead, len: usize) {
        self.phase = Phase::Payload;
        self.opcode = head.opcode;
        self.fin = head.fin;
        self.key = head.key;
        self.remaining = len;
        self.control_len = 0;
        if let Some(kind) = kind_of(head.opcode) {
            self.unfinished = Some(Unfinished { kind, compressed: head.rsv1 });
        }
    }

    /// Takes what `input` has of the current frame's payload, and gives the item that this
    /// completes.
    #[cold]
    fn gather<'a>(
        &mut self,
        input: &mut Input<'_>,
        limits: &Limits,
        lend: &mut dyn FnMut(usize) -> Option<Vec<u8>>,
    ) -> Result<Option<Item<'a>>, ProtocolError> {
        let bytes = input.take(self.remaining);
        self.reserve(bytes.len(), limits, lend);
        let mut ascii = true;
        for block in bytes.chunks_mut(COPY_BLOCK) {
            ascii &= mask::apply(block, self.key);
            self.buffer.extend_from_slice(block);
        }
        self.gathered(bytes.len(), ascii)
    }

    /// Goes on behind the current frame's next `count` bytes, which are unmasked at the end of the
    /// buffer. `ascii`: they are nothing else.
    #[cold]
    fn gathered<'a>(&mut self, count: usize, ascii: bool) -> Result<Option<Item<'a>>, ProtocolError> {
        self.key = mask::advance(self.key, count);
        self.remaining -= count;

        if self.opcode.is_control() {
            // At most 125 bytes in all, so the sum fits.
            self.control_len += count as u8;
            if self.remaining > 0 {
                return Ok(None);
            }
            self.phase = Phase::Header;
            let start = self.buffer.len() - usize::from(self.control_len);
            let payload = if start == 0 { mem::take(&mut self.buffer) } else { self.buffer.split_off(start) };
            return self.control_item(self.opcode, Payload::Owned(payload)).map(Some);
        }

        let text = matches!(self.unfinished, Some(Unfinished { kind: MessageKind::Text, compressed: false }));
        if text && !(ascii && self.utf8_pending == 0) {
            let start = self.buffer.len() - count - usize::from(self.utf8_pending);
            let pending = utf8::check_start(self.buffer.get(start..).unwrap_or_default())?;
            // 0 to 3.
            self.utf8_pending = pending as u8;
        }
        if self.remaining > 0 {
            return Ok(None);
        }
        self.phase = Phase::Header;
        if !self.fin {
            return Ok(None);
        }
        if text && self.utf8_pending > 0 {
            return Err(ProtocolError::InvalidUtf8);
        }
        let payload = Payload::Owned(mem::take(&mut self.buffer));
        // A data frame always has its message: `begin_frame` set it, or `decode` refused the
        // continuation.
        let unfinished = self.unfinished.take();
        Ok(unfinished.map(|Unfinished { kind, compressed }| Item::Message { kind, payload, compressed }))
    }

    /// Makes room for `more` bytes that have arrived. Doubling keeps the copies amortised, also
    /// over many tiny fragments and over control frames in pieces between them; never more than
    /// twice what has arrived.
    fn reserve(&mut self, more: usize, limits: &Limits, lend: &mut dyn FnMut(usize) -> Option<Vec<u8>>) {
        let len = self.buffer.len();
        let needed = len + more;
        if needed <= self.buffer.capacity() {
            return;
        }
        let whole = len + self.remaining;
        if self.fin
            && needed >= whole / LEND_SHARE
            && let Some(mut memory) = lend(whole)
            && memory.capacity() >= whole
        {
            memory.clear();
            memory.extend_from_slice(&self.buffer);
            self.buffer = memory;
            return;
        }
        let doubled = needed.saturating_mul(2);
        let in_message = self.unfinished.is_some();
        let capacity = if self.fin && !(in_message && self.opcode.is_control()) {
            // Nothing comes behind this frame, so its declared length is where the buffer ends.
            doubled.min(len + self.remaining)
        } else {
            let ceiling = limits.ceiling(self.unfinished.is_some_and(|message| message.compressed));
            if needed <= ceiling { doubled.max(64).min(ceiling) } else { doubled }
        };
        self.buffer.reserve_exact(capacity - len);
    }
}

impl fmt::Debug for Parser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Payload bytes are the user's and stay out of logs.
        f.debug_struct("Parser")
            .field("role", &self.role)
            .field("phase", &self.phase)
            .field("buffered", &self.buffered())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
