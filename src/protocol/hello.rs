//! The first frame of a stream, each way: who speaks which versions, and within which limits.
//!
//! ```text
//! client: magic "HAOY" | version min u16 | version max u16 | frame bytes max u32 | name u8 length, UTF-8
//! node:   magic "HAOY" | version u16 | frame bytes max u32 | in flight max u32 | time u64
//! ```

use arrayvec::ArrayString;

use super::{
    CLIENT_NAME_BYTES_MAX, CloseCode, FRAME_BYTES_MAX, IN_FLIGHT_MAX, MAGIC, VERSION,
    VERSION_OLDEST,
};
use crate::model::Timestamp;

/// What a client says first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientHello {
    /// The oldest version that it speaks.
    pub version_min: u16,
    /// The newest.
    pub version_max: u16,
    /// The longest frame that it takes, in bytes.
    pub frame_bytes_max: u32,
    /// What it calls itself in the node's logs.
    pub name: ArrayString<CLIENT_NAME_BYTES_MAX>,
}

/// What the node answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerHello {
    /// The version of everything that follows.
    pub version: u16,
    /// The longest frame that the node takes, in bytes.
    pub frame_bytes_max: u32,
    /// Changes that the stream may have waiting; the node reads no further beyond.
    pub in_flight_max: u32,
    /// The node's time: what the ids of requests are compared with.
    pub time: Timestamp,
}

/// Why a hello is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HelloFault {
    /// It is no hello of this protocol.
    #[error("the stream does not begin with a hello of this protocol")]
    Malformed,
    /// There is no version in common.
    #[error("no version in common: this side speaks {VERSION_OLDEST} to {VERSION}")]
    Version,
}

impl ServerHello {
    /// Whether refusals of the stream say why a rule refuses.
    pub const fn says_why(&self) -> bool {
        2 <= self.version
    }
}

impl HelloFault {
    /// The code to close the connection with.
    pub const fn close_code(self) -> CloseCode {
        match self {
            Self::Malformed => CloseCode::Hello,
            Self::Version => CloseCode::Version,
        }
    }
}

/// A hello of either side: bytes both ways.
pub trait Hello: Sized {
    /// Appends the body of the frame.
    fn write(&self, buffer: &mut Vec<u8>);

    /// Reads the body of the frame.
    ///
    /// # Errors
    ///
    /// [`HelloFault::Malformed`].
    fn read(bytes: &[u8]) -> Result<Self, HelloFault>;
}

impl ClientHello {
    /// The hello of this build. A name that is too long is cut.
    pub fn new(name: &str) -> Self {
        let mut short = ArrayString::new();
        for letter in name.chars() {
            if short.try_push(letter).is_err() {
                break;
            }
        }
        let frame_bytes_max = u32::try_from(FRAME_BYTES_MAX).unwrap_or(u32::MAX);
        Self { version_min: VERSION_OLDEST, version_max: VERSION, frame_bytes_max, name: short }
    }

    /// What the node answers.
    ///
    /// # Errors
    ///
    /// [`HelloFault::Version`], or `Malformed` where the client takes shorter frames than there are.
    pub fn answer(&self, time: Timestamp) -> Result<ServerHello, HelloFault> {
        let version = self.version_max.min(VERSION);
        if version < self.version_min.max(VERSION_OLDEST) {
            return Err(HelloFault::Version);
        }
        let frame_bytes_max = u32::try_from(FRAME_BYTES_MAX).unwrap_or(u32::MAX);
        if self.frame_bytes_max < frame_bytes_max {
            return Err(HelloFault::Malformed);
        }
        Ok(ServerHello { version, frame_bytes_max, in_flight_max: IN_FLIGHT_MAX, time })
    }
}

impl Hello for ClientHello {
    fn write(&self, buffer: &mut Vec<u8>) {
        buffer.extend_from_slice(&MAGIC);
        buffer.extend_from_slice(&self.version_min.to_le_bytes());
        buffer.extend_from_slice(&self.version_max.to_le_bytes());
        buffer.extend_from_slice(&self.frame_bytes_max.to_le_bytes());
        buffer.push(u8::try_from(self.name.len()).unwrap_or(u8::MAX));
        buffer.extend_from_slice(self.name.as_bytes());
    }

    fn read(bytes: &[u8]) -> Result<Self, HelloFault> {
        let parts = || {
            let bytes = bytes.strip_prefix(&MAGIC)?;
            let (version_min, bytes) = bytes.split_first_chunk()?;
            let (version_max, bytes) = bytes.split_first_chunk()?;
            let (frame_bytes_max, bytes) = bytes.split_first_chunk()?;
            let (length, name) = bytes.split_first()?;
            let name = std::str::from_utf8(name).ok()?;
            Some(Self {
                version_min: u16::from_le_bytes(*version_min),
                version_max: u16::from_le_bytes(*version_max),
                frame_bytes_max: u32::from_le_bytes(*frame_bytes_max),
                name: ArrayString::from(name)
                    .ok()
                    .filter(|name| name.len() == usize::from(*length))?,
            })
        };
        parts().ok_or(HelloFault::Malformed)
    }
}

impl Hello for ServerHello {
    fn write(&self, buffer: &mut Vec<u8>) {
        buffer.extend_from_slice(&MAGIC);
        buffer.extend_from_slice(&self.version.to_le_bytes());
        buffer.extend_from_slice(&self.frame_bytes_max.to_le_bytes());
        buffer.extend_from_slice(&self.in_flight_max.to_le_bytes());
        buffer.extend_from_slice(&self.time.as_millis().to_le_bytes());
    }

    fn read(bytes: &[u8]) -> Result<Self, HelloFault> {
        let parts = || {
            let bytes = bytes.strip_prefix(&MAGIC)?;
            let (version, bytes) = bytes.split_first_chunk()?;
            let (frame_bytes_max, bytes) = bytes.split_first_chunk()?;
            let (in_flight_max, bytes) = bytes.split_first_chunk()?;
            let (time, rest) = bytes.split_first_chunk()?;
            rest.is_empty().then(|| Self {
                version: u16::from_le_bytes(*version),
                frame_bytes_max: u32::from_le_bytes(*frame_bytes_max),
                in_flight_max: u32::from_le_bytes(*in_flight_max),
                time: Timestamp::from_millis(u64::from_le_bytes(*time)),
            })
        };
        parts().ok_or(HelloFault::Malformed)
    }
}
