//! Every limit of an IMAP session with its unit and its reason, in one place.
//! Values only; the session, the grammar and the commands read them.

use std::time::Duration;

/// A command (all lines and literals) before login. The longest honest one is AUTHENTICATE with an
/// initial response; a stranger must not be able to make us hold more (RFC 7888 §6).
pub const STRANGER_COMMAND_BYTES_MAX: usize = 4 * 1024;

/// One literal before login: a user name or a password.
pub const STRANGER_LITERAL_BYTES_MAX: u64 = 1024;

/// A command after login, literals of APPEND not counted. RFC 2683 §3.2.1.5 asks for 8000; clients
/// that fetch scattered UIDs of a large mailbox send lines of tens of kilobytes. Fits into the buffer of
/// `platform::net::Stream`, where a command is collected.
pub const COMMAND_BYTES_MAX: usize = 60 * 1024;

/// One literal of a command other than APPEND: a mailbox name, a search text.
pub const LITERAL_BYTES_MAX: u64 = 16 * 1024;

/// Literals in one command: each synchronizing one costs a round trip and an answer.
pub const COMMAND_LITERALS_MAX: u32 = 256;

/// A literal we refuse is read and dropped up to this size; past it the connection ends instead
/// (RFC 7888 §4 leaves the choice), because reading it would only serve the sender's bad will.
pub const DISCARD_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// The tag of a command. Clients use four to ten characters.
pub const TAG_BYTES_MAX: usize = 64;

/// Parentheses, NOT and OR inside each other in SEARCH. People nest two or three deep.
pub const SEARCH_DEPTH_MAX: u32 = 32;

/// Keys in one SEARCH; each is asked of each message.
pub const SEARCH_KEYS_MAX: usize = 512;

/// Header and body texts in one SEARCH; each may have to be looked for in every message.
pub const SEARCH_TEXTS_MAX: usize = 32;

/// Ranges in one sequence set. Sorted and merged at once, so a set costs 8 bytes a range.
pub const SET_RANGES_MAX: usize = 20_000;

/// Data items in one FETCH.
pub const FETCH_ITEMS_MAX: usize = 64;

/// Flags and keywords in one STORE or APPEND.
pub const FLAGS_MAX: usize = 64;

/// The length of one keyword.
pub const KEYWORD_BYTES_MAX: usize = 100;

/// Patterns in one LIST (RFC 5258 §3).
pub const LIST_PATTERNS_MAX: usize = 32;

/// The pairs RFC 2971 §3.3 allows in ID.
pub const ID_PAIRS_MAX: usize = 30;

/// The values RFC 2971 §3.3 allows in ID.
pub const ID_VALUE_BYTES_MAX: usize = 1024;

/// Messages in one command of MULTIAPPEND (RFC 3502): they become visible together, so they are
/// held until the last one is there.
pub const APPEND_MESSAGES_MAX: usize = 100;

/// Commands in a row that are not understood; past it the peer is no mail client.
pub const BAD_COMMANDS_MAX: u32 = 20;

/// Refused logins in one connection.
pub const LOGIN_FAILURES_MAX: u32 = 3;

/// RFC 3501 §5.4: an inactivity timer must be at least 30 minutes after login. RFC 2177 §3 has
/// clients renew IDLE every 29 minutes because of it.
pub const AUTOLOGOUT: Duration = Duration::from_secs(30 * 60);

/// How long a stranger may be silent.
pub const STRANGER_IDLE: Duration = Duration::from_secs(60);

/// How long a stranger may stay without logging in, whatever is said meanwhile. Enough for people who
/// type commands by hand.
pub const STRANGER_STAY: Duration = Duration::from_secs(180);

/// How long a peer may take to send the rest of a command it has begun.
pub const COMMAND_REST: Duration = Duration::from_secs(120);

/// How long we wait for a peer that takes none of our bytes.
pub const WRITE_STALL: Duration = Duration::from_secs(300);

/// How long a goodbye may take to leave.
pub const GOODBYE: Duration = Duration::from_secs(5);

/// The output gathered before it is handed to the stream. One TLS record is 16 KiB.
pub const OUTPUT_BYTES: usize = 16 * 1024;

/// How much of a message is read and sent at a time.
pub const BODY_CHUNK_BYTES: u64 = 64 * 1024;

/// How much of a header is read at once to pick or search its fields; what lies behind is taken for
/// absent. The scan of messages looks no further either.
pub const HEADER_BYTES_MAX: u64 = 1024 * 1024;

/// Messages asked of the store at a time by FETCH, STORE and SEARCH.
pub const ROWS_PAGE: usize = 1000;

/// The same where a FETCH sets \Seen, which is written before the messages are sent: a connection that
/// breaks leaves at most this many marked that the client never got.
pub const ROWS_SEEN_PAGE: usize = 50;
