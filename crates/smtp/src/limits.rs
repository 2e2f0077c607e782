//! Every limit of the SMTP server in one place: name with unit, default, reason, RFC minimum.
//! Only values; the places that enforce them cite the field. Filled from settings, read per session.

use std::time::Duration;

/// What one session, and all together, may take. `Limits::default()` is what a provider wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// A command line with its CRLF. RFC 5321 §4.5.3.1.4 asks for 512; SIZE, 8BITMIME, DSN, AUTH= and
    /// SMTPUTF8 add up to 1,700 more (RFC 1870 §3, RFC 3461 §4, RFC 4954 §5, RFC 6531 §3.1).
    pub command_line_bytes_max: usize,
    /// An AUTH command or an answer to a 334 with its CRLF. RFC 4954 §4 asks for 12,288.
    pub auth_line_bytes_max: usize,
    /// A message as it is stored (without dot-stuffing). RFC 5321 §4.5.3.1.7 asks for 64 KiB;
    /// 50 MiB is what the large providers take.
    pub message_bytes_max: u64,
    /// The header section of a message. It is held in memory until it ends; a legitimate one with
    /// a hundred Received and ARC lines stays below 100 KiB.
    pub header_bytes_max: usize,
    /// Received fields of a message; at this many it is a loop. RFC 5321 §6.3 asks for at least 100.
    pub received_fields_max: usize,
    /// Recipients of one message. RFC 5321 §4.5.3.1.8 asks for at least 100.
    pub recipients_max: usize,
    /// Refused recipients in one transaction; beyond it is somebody trying addresses.
    pub refused_recipients_max: usize,
    /// Messages in one connection; the client simply connects again (RFC 9422 §4.1 MAILMAX).
    pub messages_max: u32,
    /// Commands answered with 4yz or 5yz in one connection, refused recipients aside.
    pub errors_max: u32,
    /// Commands without effect (NOOP, RSET, VRFY, HELP) between two messages; keeps a peer from
    /// holding a session with empty talk.
    pub idle_commands_max: u32,
    /// Failed logins in one connection.
    pub login_failures_max: u32,
    /// How long the server waits for a command. RFC 5321 §4.5.3.2.7 asks for 5 minutes.
    pub command_idle: Duration,
    /// How long the server waits for the next part of a message. RFC 5321 §4.5.3.2.5 lets the
    /// client take 3 minutes between two blocks.
    pub data_idle: Duration,
    /// How long a whole message may take, however steadily it trickles.
    pub message_time: Duration,
    /// How long a whole session may take.
    pub session_time: Duration,
    /// How long a client may take to prove who it is, from connecting to the end of AUTH
    /// (submission only); anonymous sessions on a submission port have no other purpose.
    pub login_time: Duration,
    /// How long a customer may have a message held (RFC 4865); sets no duty to keep it longer than
    /// the queue does otherwise.
    pub hold_max: Duration,
    /// How long the server tries to hand a reply to a peer that does not read.
    pub reply_time: Duration,
    /// Message bytes of one session held in memory; what is beyond goes to a temporary file.
    pub message_memory_bytes_max: usize,
    /// Message bytes of all sessions held in memory. A session that finds nothing left of it
    /// starts with a temporary file; nobody is refused because of it.
    pub total_message_memory_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            command_line_bytes_max: 2_560,
            auth_line_bytes_max: 12_288,
            message_bytes_max: 50 * 1024 * 1024,
            header_bytes_max: 512 * 1024,
            received_fields_max: 100,
            recipients_max: 1_000,
            refused_recipients_max: 50,
            messages_max: 1_000,
            errors_max: 20,
            idle_commands_max: 100,
            login_failures_max: 5,
            command_idle: Duration::from_secs(5 * 60),
            data_idle: Duration::from_secs(3 * 60),
            message_time: Duration::from_secs(60 * 60),
            session_time: Duration::from_secs(4 * 60 * 60),
            login_time: Duration::from_secs(10 * 60),
            hold_max: Duration::from_secs(31 * 24 * 60 * 60),
            reply_time: Duration::from_secs(60),
            message_memory_bytes_max: 256 * 1024,
            total_message_memory_bytes_max: 128 * 1024 * 1024,
        }
    }
}

/// RFC 5321 §4.5.3.1.5: a reply line with its CRLF.
pub const REPLY_LINE_BYTES_MAX: usize = 512;
/// RFC 5321 §4.5.3.1.3: a path with its angle brackets; doubled, because obsolete source routes
/// count towards it and are accepted.
pub const PATH_BYTES_MAX: usize = 512;
/// RFC 3461 §4.4: the decoded or encoded ENVID.
pub const ENVID_BYTES_MAX: usize = 100;
/// RFC 3461 §4.2: an ORCPT parameter.
pub const ORCPT_BYTES_MAX: usize = 500;
/// The argument of EHLO: a domain name or an address literal (RFC 5321 §4.5.3.1.2).
pub const HELLO_BYTES_MAX: usize = 255;
