//! Why a connection is closed, as a number that travels with the close.

macro_rules! close_codes {
    ($($(#[doc = $doc:literal])* $name:ident = $code:literal;)*) => {
        /// The application error code of a closed connection. Never renumbered, never reused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u32)]
        #[non_exhaustive]
        pub enum CloseCode {
            $($(#[doc = $doc])* $name = $code,)*
        }

        impl CloseCode {
            /// Every code, ascending.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name in documentation and logs.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

close_codes! {
    /// Nothing is wrong; the side that closes is done.
    Finished = 0;
    /// The node stops. What was durable was answered; ask another node, or this one later.
    Stopping = 1;
    /// The node's journal failed. What was not answered may or may not have happened: ask again.
    NodeFailed = 2;
    /// The certificate names no role, or more than one, or is not understood.
    CertificateNotUnderstood = 3;
    /// The certificate was revoked or has ended, or its authority is believed no longer.
    CertificateNotValid = 4;
    /// Too many connections are open with this certificate.
    TooManyConnections = 5;
    /// A frame's length is 0 or over the limit.
    FrameLength = 16;
    /// A frame's kind is unknown, or is not for this side to send.
    FrameKind = 17;
    /// The items of a frame do not fill it, or one is shorter or longer than an item may be.
    FrameItems = 18;
    /// A stream does not begin with a hello, or has a second one.
    Hello = 19;
    /// The two sides have no version in common.
    Version = 20;
    /// A hello or a frame was begun and not ended, or what was sent was not read, for too long.
    TooSlow = 21;
}

impl CloseCode {
    /// The number on the wire.
    pub const fn code(self) -> u32 {
        self as u32
    }

    /// The code with that number.
    pub fn from_code(code: u64) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| u64::from(known.code()) == code)
    }
}
