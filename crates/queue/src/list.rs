//! The waiting recipients as the operator sees them. Reads in pages; changes nothing.

use crate::trace::TraceId;
use platform::clock::Timestamp;
use platform::params;
use platform::store::{StoreError, Tx};

/// Rows of one page.
pub const PAGE_ROWS: i64 = 500;

/// One waiting recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The message.
    pub message: TraceId,
    /// Which of its recipients.
    pub n: i64,
    /// MAIL FROM; empty for the null sender.
    pub sender: String,
    /// RCPT TO.
    pub recipient: String,
    /// When it was taken over.
    pub accepted_at: Timestamp,
    /// Attempts so far.
    pub attempts: i64,
    /// When it is tried next.
    pub next_attempt_at: Timestamp,
    /// Why the last attempt failed; empty before the first.
    pub last_reply: String,
}

/// The page after message and recipient `after`; `None` begins. Empty at the end.
pub fn page(tx: &mut dyn Tx, after: Option<(i64, i64)>) -> Result<Vec<Row>, StoreError> {
    let (message, n) = after.unwrap_or((-1, -1));
    tx.all(
        "SELECT r.message, r.n, m.sender, r.address, m.accepted_at, r.attempts, \
         r.next_attempt_at, r.last_reply FROM queue_recipients r \
         JOIN queue_messages m ON m.message = r.message \
         WHERE (r.message, r.n) > (?1, ?2) ORDER BY r.message, r.n LIMIT ?3",
        params![message, n, PAGE_ROWS],
        |row| {
            Ok(Row {
                message: TraceId(row.int(0)?),
                n: row.int(1)?,
                sender: row.text(2)?.to_owned(),
                recipient: row.text(3)?.to_owned(),
                accepted_at: Timestamp(row.int(4)?),
                attempts: row.int(5)?,
                next_attempt_at: Timestamp(row.int(6)?),
                last_reply: row.text(7)?.to_owned(),
            })
        },
    )
}
