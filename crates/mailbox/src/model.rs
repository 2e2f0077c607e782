//! The values this crate gives out: mailboxes, rows, views. Owned data without any handle.

use crate::flags::{Flags, Keywords};
use crate::name::MailboxName;
use crate::uidset::UidSet;
use platform::clock::Timestamp;
use platform::segments::BodyRef;
use platform::store::{Row, StoreError};
use std::fmt;

/// A mailbox's number within its account. Stays through renames and is never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxId(pub i64);

/// INBOX has this number in every account, so that a delivery needs no look-up.
pub const INBOX: MailboxId = MailboxId(1);

/// What a mailbox is for (RFC 6154 §2). At most one mailbox of an account per use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SpecialUse {
    /// \Archive
    Archive,
    /// \Drafts
    Drafts,
    /// \Junk
    Junk,
    /// \Sent
    Sent,
    /// \Trash
    Trash,
}

impl SpecialUse {
    /// Every use; an account starts with a mailbox for each, named like it.
    pub const ALL: [SpecialUse; 5] = [
        SpecialUse::Archive,
        SpecialUse::Drafts,
        SpecialUse::Junk,
        SpecialUse::Sent,
        SpecialUse::Trash,
    ];

    /// Its name, without the backslash of IMAP.
    pub fn name(self) -> &'static str {
        match self {
            SpecialUse::Archive => "Archive",
            SpecialUse::Drafts => "Drafts",
            SpecialUse::Junk => "Junk",
            SpecialUse::Sent => "Sent",
            SpecialUse::Trash => "Trash",
        }
    }

    /// As stored in a row; these numbers never change.
    pub(crate) fn code(self) -> i64 {
        match self {
            SpecialUse::Archive => 1,
            SpecialUse::Drafts => 2,
            SpecialUse::Junk => 3,
            SpecialUse::Sent => 4,
            SpecialUse::Trash => 5,
        }
    }

    pub(crate) fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|special| special.code() == code)
    }
}

impl fmt::Display for SpecialUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How far a session has seen a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Watermark {
    /// Every message with a lower UID is known.
    pub uidnext: u32,
    /// Every change up to this modification sequence is known.
    pub modseq: i64,
}

/// A mailbox as LIST shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxInfo {
    /// Its number.
    pub mailbox: MailboxId,
    /// Its whole name.
    pub name: MailboxName,
    /// What it is for.
    pub special_use: Option<SpecialUse>,
    /// Whether its name is on the list of subscriptions.
    pub subscribed: bool,
    /// Its counters.
    pub status: Status,
}

/// The counters of a mailbox (RFC 3501 §6.3.10, RFC 9051 §6.3.11), all from its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// Its number.
    pub mailbox: MailboxId,
    /// Changes when UIDs have another meaning than before; for one name always upwards.
    pub uidvalidity: u32,
    /// Every message that comes later has this UID or a higher one.
    pub uidnext: u32,
    /// The modification sequence of the last change (RFC 7162 §3.1.2.1).
    pub highest_modseq: i64,
    /// Messages in it.
    pub messages: u32,
    /// Messages without \Seen.
    pub unseen: u32,
    /// Messages with \Deleted.
    pub deleted: u32,
    /// Sum of the sizes of its messages, as clients see them.
    pub bytes: u64,
    /// Messages from this UID on are \Recent for the next session that selects it.
    pub recent_from: u32,
}

impl Status {
    /// What a session that sees this has seen.
    pub fn watermark(&self) -> Watermark {
        Watermark {
            uidnext: self.uidnext,
            modseq: self.highest_modseq,
        }
    }
}

/// Whether opening a mailbox takes the \Recent messages (SELECT) or leaves them (EXAMINE).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecentClaim {
    /// This session is told about them; no later one is (RFC 3501 §2.3.2).
    Take,
    /// The next SELECT still finds them.
    Leave,
}

/// What a session needs to know of the mailbox it selects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Its counters; `recent_from` is what it was before this session took it.
    pub status: Status,
    /// Every keyword its messages have or had.
    pub keywords: Keywords,
    /// Its special use.
    pub special_use: Option<SpecialUse>,
    /// UIDs of its messages; positions in it are the message sequence numbers.
    pub uids: UidSet,
    /// The first message without \Seen.
    pub first_unseen: Option<u32>,
    /// How many of its messages are \Recent.
    pub recent: u32,
}

/// The flags of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagRow {
    /// Its UID.
    pub uid: u32,
    /// The modification sequence of its last change.
    pub modseq: i64,
    /// Its system flags.
    pub flags: Flags,
    /// Its keywords.
    pub keywords: Keywords,
}

/// One message without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRow {
    /// Its UID.
    pub uid: u32,
    /// The modification sequence of its last change.
    pub modseq: i64,
    /// Its system flags.
    pub flags: Flags,
    /// Its keywords.
    pub keywords: Keywords,
    /// When it arrived (RFC 3501 §2.3.3).
    pub internal_date: Timestamp,
    /// Its bytes as a client sees them (RFC822.SIZE), prefix included.
    pub size: u64,
    /// The lines in front of the body that only this recipient has.
    pub prefix: Option<Box<str>>,
    /// Where its bytes are.
    pub body: BodyRef,
    /// The story of how it came here; 0 where it has none.
    pub trace: i64,
}

/// What an account may store. Checked where the caller gives one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Bytes of all its messages.
    pub bytes_max: u64,
    /// Number of its messages.
    pub messages_max: u64,
}

/// What an account stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Bytes of all its messages.
    pub bytes: u64,
    /// Number of its messages.
    pub messages: u64,
}

impl Usage {
    /// Whether `more` has room beside this.
    pub fn has_room(self, more: Usage, quota: Quota) -> bool {
        self.bytes.saturating_add(more.bytes) <= quota.bytes_max
            && self.messages.saturating_add(more.messages) <= quota.messages_max
    }
}

/// Columns of `Status`, in the order `status` reads them.
macro_rules! status_columns {
    () => {
        "mailbox, uidvalidity, uidnext, highest_modseq, messages, unseen, deleted, bytes, recent_from"
    };
}
pub(crate) use status_columns;

/// How many columns `status_columns` has.
pub(crate) const STATUS_COLUMNS: usize = 9;

pub(crate) fn status(row: &dyn Row) -> Result<Status, StoreError> {
    Ok(Status {
        mailbox: MailboxId(row.int(0)?),
        uidvalidity: small(row, 1)?,
        uidnext: small(row, 2)?,
        highest_modseq: row.int(3)?,
        messages: small(row, 4)?,
        unseen: small(row, 5)?,
        deleted: small(row, 6)?,
        bytes: natural(row, 7)?,
        recent_from: small(row, 8)?,
    })
}

/// Columns of `FlagRow`, in the order `flag_row` reads them.
macro_rules! flag_columns {
    () => {
        "uid, flags, COALESCE(changed, modseq), keywords"
    };
}
pub(crate) use flag_columns;

pub(crate) fn flag_row(row: &dyn Row) -> Result<FlagRow, StoreError> {
    Ok(FlagRow {
        uid: small(row, 0)?,
        flags: Flags::from_bits(row.int(1)?),
        modseq: row.int(2)?,
        keywords: Keywords::from_stored(row.maybe_text(3)?),
    })
}

/// Columns of `MessageRow`, in the order `message_row` reads them; the first are `flag_columns`.
macro_rules! message_columns {
    () => {
        "uid, flags, COALESCE(changed, modseq), keywords, size, internal_date, segment, segment_offset, \
         facts_bytes, body_bytes, trace, prefix"
    };
}
pub(crate) use message_columns;

pub(crate) fn message_row(row: &dyn Row) -> Result<MessageRow, StoreError> {
    let FlagRow {
        uid,
        modseq,
        flags,
        keywords,
    } = flag_row(row)?;
    Ok(MessageRow {
        uid,
        modseq,
        flags,
        keywords,
        size: natural(row, 4)?,
        internal_date: Timestamp(row.int(5)?),
        body: body_ref(row, 6)?,
        trace: row.maybe_int(10)?.unwrap_or(0),
        prefix: row.maybe_text(11)?.map(Box::from),
    })
}

/// A body reference from four columns beginning with `column`.
pub(crate) fn body_ref(row: &dyn Row, column: usize) -> Result<BodyRef, StoreError> {
    Ok(BodyRef {
        segment: row.int(column)?,
        offset: row.int(column + 1)?,
        facts_bytes: row.int(column + 2)?,
        body_bytes: row.int(column + 3)?,
    })
}

pub(crate) fn small(row: &dyn Row, column: usize) -> Result<u32, StoreError> {
    let value = row.int(column)?;
    u32::try_from(value).map_err(|_| StoreError::Type {
        column,
        wanted: "a number of 32 bits",
        found: value.to_string(),
    })
}

pub(crate) fn natural(row: &dyn Row, column: usize) -> Result<u64, StoreError> {
    let value = row.int(column)?;
    u64::try_from(value).map_err(|_| StoreError::Type {
        column,
        wanted: "a number not below 0",
        found: value.to_string(),
    })
}
