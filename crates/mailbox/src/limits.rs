//! Every limit of mail at rest, with its unit and the reason for its value. Values only.

/// Mailboxes an account may have. LIST answers from one read of that many rows.
pub const MAILBOXES_MAX: usize = 1_000;
/// Names an account may be subscribed to; they may outlive their mailboxes (RFC 3501 §6.3.9).
pub const SUBSCRIPTIONS_MAX: usize = 2_000;
/// Bytes of a mailbox name in UTF-8, hierarchy included. Far above what clients create, and small
/// enough for an index entry.
pub const NAME_BYTES_MAX: usize = 500;
/// Levels of a mailbox name.
pub const NAME_DEPTH_MAX: usize = 20;
/// Different keywords in one mailbox; each SELECT lists them all.
pub const KEYWORDS_MAX: usize = 100;
/// Bytes of one keyword.
pub const KEYWORD_BYTES_MAX: usize = 100;
/// Keywords on one message.
pub const KEYWORDS_PER_MESSAGE_MAX: usize = 50;
/// Bytes of the lines a message gets for its own recipient.
pub const PREFIX_BYTES_MAX: usize = 2_000;
/// Message rows given out by one read.
pub const ROWS_MAX: usize = 1_000;
/// Flag rows given out by one read; they are small.
pub const FLAG_ROWS_MAX: usize = 5_000;
/// Messages whose flags one transaction changes, and messages one transaction expunges or moves.
/// Bounds how long other writers wait.
pub const BATCH_MESSAGES_MAX: usize = 1_000;
/// Messages one COPY takes; it is one transaction, because RFC 3501 §6.4.7 wants all or nothing.
pub const COPY_MESSAGES_MAX: usize = 100_000;
/// Messages in one APPEND (RFC 3502), which is one transaction.
pub const APPEND_MESSAGES_MAX: usize = 1_000;
/// Flag rows in one answer to `changes`. More than `BATCH_MESSAGES_MAX`, so that every answer
/// holds at least one whole transaction and the watermark moves.
pub const CHANGED_ROWS_MAX: usize = 2_000;
/// New UIDs looked at for one answer to `changes`.
pub const NEW_UIDS_MAX: usize = 20_000;
/// Runs of expunged UIDs remembered per mailbox before the older half is forgotten; a session that
/// was away for longer compares UIDs instead.
pub const TOMBSTONES_MAX: i64 = 1_000;
/// The highest UID and UIDVALIDITY (RFC 3501 §2.3.1.1: 32 bits).
pub const UID_MAX: i64 = u32::MAX as i64;
/// How far UIDs jump when a backup was restored: more than arrives in one mailbox between backup
/// and loss, so that no UID a client has seen stands for another message.
pub const UID_RESTORE_GAP: i64 = 1_000_000;
/// How far modification sequences jump when a backup was restored.
pub const MODSEQ_RESTORE_GAP: i64 = 1_000_000_000;
/// Body bytes read on the calling thread; longer reads go to a blocking thread.
pub const INLINE_READ_BYTES_MAX: u64 = 64 * 1024;
