//! Frames and the items in them: putting together what came in pieces, packing what goes out.
//!
//! ```text
//! length u32 | kind u8 | length u16 item | length u16 item | ...
//!              '------------------ length counts this ------'
//! ```

use super::{CloseCode, FRAME_BYTES_FULL, FRAME_BYTES_MAX};

/// What a frame holds. Whole: its body is one unit. Otherwise its body is a row of items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FrameKind {
    /// The first frame of a stream, each way. Whole.
    Hello = 1,
    /// Requests, from the client.
    Requests = 2,
    /// Replies, from the node.
    Replies = 3,
    /// Records with their facts, to a subscriber.
    Facts = 4,
    /// How far the journal is durable, to a subscriber. Whole.
    Heartbeat = 5,
    /// A piece of a snapshot. Whole.
    SnapshotChunk = 6,
    /// The checksum behind the last piece of a snapshot. Whole.
    SnapshotEnd = 7,
}

impl FrameKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Hello,
        Self::Requests,
        Self::Replies,
        Self::Facts,
        Self::Heartbeat,
        Self::SnapshotChunk,
        Self::SnapshotEnd,
    ];

    const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Hello),
            2 => Some(Self::Requests),
            3 => Some(Self::Replies),
            4 => Some(Self::Facts),
            5 => Some(Self::Heartbeat),
            6 => Some(Self::SnapshotChunk),
            7 => Some(Self::SnapshotEnd),
            _ => None,
        }
    }

    const fn has_items(self) -> bool {
        matches!(self, Self::Requests | Self::Replies | Self::Facts)
    }
}

/// Why a stream cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameFault {
    /// See [`CloseCode::FrameLength`].
    #[error("a frame of {0} bytes: from 1 to {FRAME_BYTES_MAX} are allowed")]
    Length(u32),
    /// See [`CloseCode::FrameKind`].
    #[error("a frame of kind {0}, which is not expected here")]
    Kind(u8),
    /// See [`CloseCode::FrameItems`].
    #[error("the items of a frame do not fill it, or one is empty")]
    Items,
}

impl FrameFault {
    /// The code to close the connection with.
    pub const fn close_code(self) -> CloseCode {
        match self {
            Self::Length(_) => CloseCode::FrameLength,
            Self::Kind(_) => CloseCode::FrameKind,
            Self::Items => CloseCode::FrameItems,
        }
    }
}

/// Puts frames together from the pieces in which a stream brings them, and takes them apart into
/// units: the items of a frame one by one, or the body of a whole frame.
///
/// It holds what was pushed and not yet taken: push only when [`Assembler::next_unit`] said `None`.
#[derive(Debug, Default)]
pub struct Assembler {
    buffer: Vec<u8>,
    /// What is before has been taken.
    at: usize,
    /// The frame that is being taken apart, and where it ends.
    open: Option<(FrameKind, usize)>,
}

impl Assembler {
    /// Adds bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.at == self.buffer.len() {
            self.buffer.clear();
            self.at = 0;
        } else if FRAME_BYTES_MAX <= self.at {
            self.buffer.drain(..self.at);
            self.open = self.open.map(|(kind, end)| (kind, end.saturating_sub(self.at)));
            self.at = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next unit that is complete, or `None` until more is pushed.
    ///
    /// # Errors
    ///
    /// [`FrameFault`]; nothing behind it can be read.
    pub fn next_unit(&mut self) -> Result<Option<(FrameKind, &[u8])>, FrameFault> {
        let (kind, end) = match self.open {
            Some(open) => open,
            None => match self.open_frame()? {
                Some(open) => open,
                None => return Ok(None),
            },
        };
        let (start, stop) = if kind.has_items() { self.item(end)? } else { (self.at, end) };
        self.at = stop;
        self.open = if stop == end { None } else { Some((kind, end)) };
        Ok(self.buffer.get(start..stop).map(|unit| (kind, unit)))
    }

    /// Bytes held that are not taken yet.
    pub fn pending_bytes(&self) -> usize {
        self.buffer.len().saturating_sub(self.at)
    }

    /// Reads the header of a frame once the frame is complete.
    fn open_frame(&mut self) -> Result<Option<(FrameKind, usize)>, FrameFault> {
        let rest = self.buffer.get(self.at..).unwrap_or_default();
        let Some((length, rest)) = rest.split_first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_le_bytes(*length);
        let bytes = usize::try_from(length).unwrap_or(usize::MAX);
        if bytes == 0 || FRAME_BYTES_MAX < bytes {
            return Err(FrameFault::Length(length));
        }
        let Some(code) = rest.first() else { return Ok(None) };
        let kind = FrameKind::from_code(*code).ok_or(FrameFault::Kind(*code))?;
        if rest.len() < bytes {
            return Ok(None);
        }
        let end = self.at.saturating_add(4).saturating_add(bytes);
        self.at = self.at.saturating_add(5);
        if kind.has_items() && self.at == end {
            return Err(FrameFault::Items);
        }
        self.open = Some((kind, end));
        Ok(self.open)
    }

    /// Where the next item of the open frame starts and ends.
    fn item(&self, end: usize) -> Result<(usize, usize), FrameFault> {
        let rest = self.buffer.get(self.at..end).unwrap_or_default();
        let (length, rest) = rest.split_first_chunk::<2>().ok_or(FrameFault::Items)?;
        let length = usize::from(u16::from_le_bytes(*length));
        if length == 0 || rest.len() < length {
            return Err(FrameFault::Items);
        }
        let start = self.at.saturating_add(2);
        Ok((start, start.saturating_add(length)))
    }
}

/// Packs items into frames: as many as fit, so that a frame costs nothing per item.
#[derive(Debug, Default)]
pub struct Packer {
    buffer: Vec<u8>,
    /// The frame that takes more items, and where it begins.
    open: Option<(FrameKind, usize)>,
}

impl Packer {
    /// Adds an item that `write` appends to the buffer.
    pub fn item(&mut self, kind: FrameKind, write: impl FnOnce(&mut Vec<u8>)) {
        self.open(kind);
        append_item(&mut self.buffer, write);
        self.close_if_full();
    }

    /// Adds an item that is encoded already, its length in front.
    pub fn encoded_item(&mut self, kind: FrameKind, item: &[u8]) {
        self.open(kind);
        self.buffer.extend_from_slice(item);
        self.close_if_full();
    }

    /// Adds a whole frame.
    pub fn frame(&mut self, kind: FrameKind, write: impl FnOnce(&mut Vec<u8>)) {
        self.close();
        self.open(kind);
        write(&mut self.buffer);
        self.close();
    }

    /// Adds frames that were packed elsewhere.
    pub fn frames(&mut self, frames: &[u8]) {
        self.close();
        self.buffer.extend_from_slice(frames);
    }

    /// Takes all frames.
    pub fn take(&mut self) -> Vec<u8> {
        self.close();
        std::mem::take(&mut self.buffer)
    }

    /// Bytes packed and not taken.
    pub const fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Whether there is nothing to take.
    pub const fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    fn open(&mut self, kind: FrameKind) {
        if self.open.is_none_or(|(open, _)| open != kind) {
            self.close();
            self.open = Some((kind, self.buffer.len()));
            self.buffer.extend_from_slice(&[0, 0, 0, 0, kind as u8]);
        }
    }

    fn close_if_full(&mut self) {
        let bytes = self.open.map_or(0, |(_, start)| self.buffer.len().saturating_sub(start));
        if FRAME_BYTES_FULL <= bytes {
            self.close();
        }
    }

    fn close(&mut self) {
        let Some((_, start)) = self.open.take() else { return };
        let bytes = self.buffer.len().saturating_sub(start).saturating_sub(4);
        let length = u32::try_from(bytes).unwrap_or(u32::MAX);
        if let Some(place) = self.buffer.get_mut(start..).and_then(|rest| rest.first_chunk_mut()) {
            *place = length.to_le_bytes();
        }
    }
}

/// Appends an item with its length in front.
///
/// # Panics
///
/// Where `write` appends more than 64 KiB: no value of the model is a fourth as long.
#[inline]
pub fn append_item(buffer: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = buffer.len();
    buffer.extend_from_slice(&[0, 0]);
    write(buffer);
    let bytes = buffer.len().saturating_sub(start).saturating_sub(2);
    let length = u16::try_from(bytes).expect("an item is bounded far below 64 KiB");
    if let Some(place) = buffer.get_mut(start..).and_then(|rest| rest.first_chunk_mut()) {
        *place = length.to_le_bytes();
    }
}
