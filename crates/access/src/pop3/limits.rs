//! Limits of a POP3 session, with their reasons.

use std::time::Duration;

/// RFC 2449 §4: a command line has at most 255 bytes with its end.
pub const LINE_BYTES_MAX: usize = 255;
/// Lines of a SASL exchange (RFC 5034 §4 points to RFC 4422; SCRAM with channel binding needs some
/// 400 bytes, tokens more).
pub const SASL_LINE_BYTES_MAX: usize = 12 * 1024;
/// Bytes skipped of a line that is too long before the connection is closed.
pub const SKIP_BYTES_MAX: usize = 64 * 1024;
/// Commands a session may get wrong.
pub const ERRORS_MAX: u32 = 20;
/// Failed logins of one connection.
pub const LOGINS_FAILED_MAX: u32 = 5;
/// Time to log in, from the first byte of the connection on.
pub const LOGIN_TIME_MAX: Duration = Duration::from_secs(60);
/// Time to send one reply, or one chunk of a message.
pub const SEND_TIME_MAX: Duration = Duration::from_secs(5 * 60);
/// Bytes of a message read from storage at once.
pub const CHUNK_BYTES: u64 = 64 * 1024;
