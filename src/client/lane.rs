//! One stream, as fast as it goes: queue requests, flush them as one frame, read replies.
//!
//! ```text
//! LaneSender::queue, queue, queue, flush -->   node   --> LaneReceiver::receive(|reply| ..)
//! ```
//!
//! For those who keep the correlation ids themselves: a load generator, or [`super::Client`].

use bytes::Bytes;
use quinn::{Connection, RecvStream, SendStream};

use super::error::CallError;
use crate::protocol::{
    Assembler, ClientHello, FrameKind, Hello, Packer, Reply, Request, ServerHello, decode_reply,
    write_request,
};

/// Pieces of a stream taken in one reading.
const CHUNKS: usize = 32;

/// A stream whose hellos are exchanged.
#[derive(Debug)]
pub struct Lane {
    /// The way out.
    pub sender: LaneSender,
    /// The way in.
    pub receiver: LaneReceiver,
    /// What the node said first: its limits and its time.
    pub hello: ServerHello,
}

/// The way out of a [`Lane`].
#[derive(Debug)]
pub struct LaneSender {
    send: SendStream,
    packer: Packer,
    writing: Bytes,
}

/// The way in of a [`Lane`].
#[derive(Debug)]
pub struct LaneReceiver {
    recv: RecvStream,
    input: Assembler,
}

impl Lane {
    /// Opens a stream and exchanges hellos. `name` is what the node's logs call the client.
    ///
    /// # Errors
    ///
    /// [`CallError`] where the connection is lost or the node speaks another version.
    pub async fn open(connection: &Connection, name: &str) -> Result<Self, CallError> {
        let (send, recv) = connection.open_bi().await?;
        let mut sender = LaneSender { send, packer: Packer::default(), writing: Bytes::new() };
        let hello = ClientHello::new(name);
        sender.packer.frame(FrameKind::Hello, |buffer| hello.write(buffer));
        sender.flush().await?;
        let mut receiver = LaneReceiver { recv, input: Assembler::default() };
        let hello = receiver.hello().await?;
        Ok(Self { sender, receiver, hello })
    }
}

impl LaneSender {
    /// Adds a request to the next flush.
    pub fn queue(&mut self, correlation: u32, request: &Request) {
        self.packer.item(FrameKind::Requests, |buffer| {
            write_request(correlation, request, buffer);
        });
    }

    /// Adds frames that were packed elsewhere to the next flush.
    pub fn queue_frames(&mut self, frames: Vec<u8>) {
        if self.writing.is_empty() && self.packer.is_empty() {
            self.writing = Bytes::from(frames);
        } else {
            self.packer.frames(&frames);
        }
    }

    /// Writes what is queued, in as few frames as it fits. Safe to drop and call again.
    ///
    /// # Errors
    ///
    /// [`CallError`] where the stream is broken.
    pub async fn flush(&mut self) -> Result<(), CallError> {
        loop {
            if self.writing.is_empty() {
                if self.packer.is_empty() {
                    return Ok(());
                }
                self.writing = Bytes::from(self.packer.take());
            }
            self.send.write_chunks(std::slice::from_mut(&mut self.writing)).await?;
        }
    }

    /// Whether there is something to flush.
    pub fn is_idle(&self) -> bool {
        self.writing.is_empty() && self.packer.is_empty()
    }

    /// Says that no more requests come. Those sent are still answered.
    pub fn finish(&mut self) {
        // An error says that the stream is over already.
        drop(self.send.finish());
    }
}

impl LaneReceiver {
    /// Waits for bytes, and gives each complete unit of them to `take`. `false` at the end of the
    /// stream. Safe to drop and call again.
    ///
    /// # Errors
    ///
    /// [`CallError`] where the stream is broken, or what `take` says.
    pub async fn receive_units(
        &mut self,
        mut take: impl FnMut(FrameKind, &[u8]) -> Result<(), CallError>,
    ) -> Result<bool, CallError> {
        let mut chunks: [Bytes; CHUNKS] = std::array::from_fn(|_| Bytes::new());
        let Some(count) = self.recv.read_chunks(&mut chunks).await? else { return Ok(false) };
        for chunk in chunks.iter().take(count) {
            self.input.push(chunk);
        }
        loop {
            let unit = self.input.next_unit();
            match unit.map_err(|fault| CallError::Protocol(fault.to_string()))? {
                Some((kind, unit)) => take(kind, unit)?,
                None => return Ok(true),
            }
        }
    }

    /// Waits for bytes, and gives each reply in them to `take`. `false` at the end of the stream.
    ///
    /// # Errors
    ///
    /// [`CallError`] where the stream is broken or a reply is not understood.
    pub async fn receive(&mut self, mut take: impl FnMut(u32, Reply)) -> Result<bool, CallError> {
        let read = |kind, unit: &[u8]| {
            let (correlation, reply) = read_reply(kind, unit)?;
            take(correlation, reply);
            Ok(())
        };
        self.receive_units(read).await
    }

    async fn hello(&mut self) -> Result<ServerHello, CallError> {
        let mut hello = None;
        while hello.is_none() {
            let read = |kind, unit: &[u8]| {
                expect(FrameKind::Hello, kind)?;
                let read = ServerHello::read(unit);
                hello = Some(read.map_err(|fault| CallError::Protocol(fault.to_string()))?);
                Ok(())
            };
            if !self.receive_units(read).await? {
                return Err(CallError::Unavailable("the node ended the stream".to_owned()));
            }
        }
        hello.ok_or_else(|| CallError::Protocol("no hello".to_owned()))
    }
}

/// The reply that a unit of a frame is, and which request it answers: for who takes units as they come
/// ([`LaneReceiver::receive_units`]).
///
/// # Errors
///
/// [`CallError::Protocol`] where it is of another kind, or not to be understood.
pub fn read_reply(kind: FrameKind, unit: &[u8]) -> Result<(u32, Reply), CallError> {
    expect(FrameKind::Replies, kind)?;
    decode_reply(unit).map_err(|(_, fault)| CallError::Protocol(fault.to_string()))
}

/// That a frame is of the kind that may come here.
pub(super) fn expect(wanted: FrameKind, kind: FrameKind) -> Result<(), CallError> {
    if kind == wanted {
        Ok(())
    } else {
        Err(CallError::Protocol(format!("a frame {kind:?} where {wanted:?} was to come")))
    }
}
