//! What the legacy gateway and the core say to each other over a Unix socket: frames, their limits, how they are
//! written and read. Pure: no sockets, no TLS, no mail. Used by `platform::net` on one side and by the
//! program `rohrpost-legacy` on the other, which share nothing else.
//!
//! A frame is one byte of kind, three bytes of length (big endian), then the payload. One Unix connection carries
//! one client's connection; one more, opened with `Frame::Control`, carries status and orders.
//!
//! ```text
//! client connection:  gateway: Client, [TlsStarted | TlsFailed], Data ...      core: Data, StartTls, End ...
//! handed over:        core: TakeOver       gateway: TlsStarted | TlsFailed, then as above
//! control:            gateway: Control, Status ...                             core: Allowed, HandOver ...
//! ```

mod frame;
mod wire;

pub use frame::{
    Allowed, Cleartext, Door, Frame, Mode, Protocol, Sessions, Started, Status, Version,
    VersionSet, Waiting,
};
pub use wire::{Decoded, Malformed, decode, encode};

/// Which frames are spoken; both sides must have the same number.
pub const LINK_VERSION: u16 = 1;
/// Longest payload of any frame, in bytes: a piece of data, or a ClientHello with its facts.
pub const PAYLOAD_BYTES_MAX: usize = 40 * 1024;
/// Longest piece of data in one frame, in bytes.
pub const DATA_BYTES_MAX: usize = 32 * 1024;
/// Longest ClientHello that is passed on, in bytes; as much as the core reads of one.
pub const HELLO_BYTES_MAX: usize = 16 * 1024;
/// Longest name (host, cipher suite, library) or reason, in bytes.
pub const TEXT_BYTES_MAX: usize = 255;
/// Most listeners named in a status.
pub const LISTENERS_MAX: usize = 64;
/// Bytes before each payload.
pub const HEAD_BYTES: usize = 4;

/// A settings file of the gateway, commented. The gateway reads it in its tests; `rohrpost legacy settings` prints it.
pub const SAMPLE_SETTINGS: &str = include_str!("sample.toml");
