//! Bytes of the wire to requests, and answers to bytes. `docs/protocol.md` is the specification.
//!
//! ```text
//! stream  = hello, then frames
//! frame   = length u32 | kind u8 | body          length counts kind and body
//! body    = items, each  length u16 | item       requests, replies, facts
//! request = correlation u32 | operation u8 | fields
//! reply   = correlation u32 | outcome u16 | what the outcome says
//! ```
//!
//! A request that is not well formed gets its answer and the rest goes on; a frame whose ends
//! cannot be told closes the connection with a [`CloseCode`].
//!
//! **Architecture invariant:** no input makes this panic, and a frame is never held beyond
//! [`FRAME_BYTES_MAX`]. No I/O, no clock, no randomness.

#![deny(clippy::float_arithmetic, clippy::wildcard_enum_match_arm)]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects, clippy::indexing_slicing))]

mod close;
mod frame;
mod hello;
mod push;
mod reply;
mod request;
#[cfg(test)]
mod tests;

pub use close::CloseCode;
pub use frame::{Assembler, FrameFault, FrameKind, Packer, append_item};
pub use hello::{ClientHello, Hello, HelloFault, ServerHello};
pub use push::{Heartbeat, PushFault, decode_fact_item, write_fact_item};
pub use reply::{Reply, ReplyFault, decode_reply, reply_head, write_receipt, write_reply};
pub use request::{
    Request, RequestFault, RequestParts, decode_request, split_request, write_request,
};

/// The protocol's name in the TLS handshake.
pub const ALPN: &[u8] = b"haoyuan/1";

/// The first bytes of every stream.
pub const MAGIC: [u8; 4] = *b"HAOY";

/// The version that this build speaks. From 2 on a refusal says why a rule refuses.
pub const VERSION: u16 = 2;

/// The oldest version that this build still speaks.
pub const VERSION_OLDEST: u16 = 1;

/// The longest frame, kind and body. A hundred times a packet; small enough to hold per stream.
pub const FRAME_BYTES_MAX: usize = 65_536;

/// A frame that has grown to this is closed and the next begun, so that the first of many
/// answers need not wait for the last.
pub const FRAME_BYTES_FULL: usize = 16_384;

/// The longest request: a session with every quota (2 bytes each), and as much again.
pub const REQUEST_BYTES_MAX: usize = 4_096;

/// The longest reply: 64 appointments with 8 claims each.
pub const REPLY_BYTES_MAX: usize = 16_384;

/// The longest name that a client gives itself, in bytes of UTF-8.
pub const CLIENT_NAME_BYTES_MAX: usize = 64;

/// Changes that one stream may have waiting for the journal. A node reads no further until some
/// are answered; a client that knows keeps its own count below.
pub const IN_FLIGHT_MAX: u32 = 8_192;

const _: () = assert!(2 * crate::model::limits::SESSION_CELLS_MAX + 600 <= REQUEST_BYTES_MAX);
const _: () = assert!(crate::model::LISTED_MAX * 200 + 16 <= REPLY_BYTES_MAX);
const _: () = assert!(FRAME_BYTES_FULL + REPLY_BYTES_MAX + 8 <= FRAME_BYTES_MAX);
const _: () = assert!(crate::model::limits::RECORD_BYTES_MAX + 18 <= FRAME_BYTES_FULL);
