//! The waiting recipients as the operator sees them: pages, a summary, one message. Only reads.

use crate::schedule::Down;
use crate::trace::TraceId;
use crate::work;
use platform::clock::Timestamp;
use platform::params;
use platform::store::{self, StoreError, Tx};
use serde::{Deserialize, Serialize};

/// Rows of one page.
pub const PAGE_ROWS: i64 = 500;
/// Destinations that are down that are told.
const DOWN_MAX: i64 = 100_000;
/// Destinations told in a summary.
const SUMMARY_DESTINATIONS_MAX: i64 = 20;

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
    /// Its domain; empty where the message stays here.
    pub domain: String,
    /// The customer group.
    pub group: Option<String>,
    /// MT-PRIORITY.
    pub priority: i64,
    /// When it was taken over.
    pub accepted_at: Timestamp,
    /// Before which time it does not leave.
    pub release_at: Option<Timestamp>,
    /// Who holds it.
    pub held: Option<String>,
    /// The operator's way for it.
    pub route: Option<String>,
    /// Whether it is on its way back to the sender by an order.
    pub ordered_back: bool,
    /// Whether the sender was told that it is late.
    pub warned: bool,
    /// Attempts so far.
    pub attempts: i64,
    /// When it is tried next.
    pub next_attempt_at: Timestamp,
    /// Why the last attempt failed; empty before the first.
    pub last_reply: String,
    /// Size of the message.
    pub bytes: i64,
}

impl Row {
    /// What the schedule calls its destination.
    pub fn destination(&self) -> std::borrow::Cow<'_, str> {
        work::destination(&self.domain, self.route.as_deref())
    }
}

/// Which rows; the default means all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Filter {
    /// One message.
    pub message: Option<i64>,
    /// The recipients' domain.
    pub to_domain: Option<String>,
    /// MAIL FROM, or `@domain` for everybody there.
    pub from: Option<String>,
    /// The customer group.
    pub group: Option<String>,
    /// Taken over before this time, milliseconds since 1970.
    pub accepted_before: Option<i64>,
}

impl Filter {
    /// Whether it means all rows.
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }
}

/// The page after message and recipient `after`; `None` begins. Empty at the end.
pub fn page(
    tx: &mut dyn Tx,
    filter: &Filter,
    after: Option<(i64, i64)>,
) -> Result<Vec<Row>, StoreError> {
    let (message, n) = after.unwrap_or_else(|| (filter.message.unwrap_or(-1), -1));
    let from = filter.from.as_deref().unwrap_or("");
    let from_domain = from.starts_with('@').then(|| like_ending_in(from));
    tx.all(
        "SELECT r.message, r.n, m.sender, r.address, r.domain, r.customer_group, r.priority, \
         m.accepted_at, m.release_at, r.held, r.route, r.ordered, r.delay_notified, r.attempts, \
         r.next_attempt_at, r.last_reply, m.body_bytes \
         FROM queue_recipients r JOIN queue_messages m ON m.message = r.message \
         WHERE (r.message, r.n) > (?1, ?2) AND r.message <= ?3 AND (?4 = '' OR r.domain = ?4) \
         AND (?5 = '' OR lower(m.sender) = ?5) \
         AND (?6 = '' OR lower(m.sender) LIKE ?6 ESCAPE '\\') \
         AND (?7 = '' OR r.customer_group = ?7) AND m.accepted_at < ?8 \
         ORDER BY r.message, r.n LIMIT ?9",
        params![
            message,
            n,
            filter.message.unwrap_or(i64::MAX),
            &filter
                .to_domain
                .as_deref()
                .unwrap_or("")
                .to_ascii_lowercase(),
            match from_domain {
                Some(_) => "",
                None => from,
            },
            from_domain.as_deref().unwrap_or(""),
            filter.group.as_deref().unwrap_or(""),
            filter.accepted_before.unwrap_or(i64::MAX),
            PAGE_ROWS,
        ],
        row,
    )
}

/// A LIKE pattern for what ends in `text`.
fn like_ending_in(text: &str) -> String {
    let escaped = text
        .replace('\\', "\\\\")
        .replace('%', "\\%")
        .replace('_', "\\_");
    format!("%{}", escaped.to_lowercase())
}

fn row(row: &dyn store::Row) -> Result<Row, StoreError> {
    Ok(Row {
        message: TraceId(row.int(0)?),
        n: row.int(1)?,
        sender: row.text(2)?.to_owned(),
        recipient: row.text(3)?.to_owned(),
        domain: row.text(4)?.to_owned(),
        group: row.maybe_text(5)?.map(str::to_owned),
        priority: row.int(6)?,
        accepted_at: Timestamp(row.int(7)?),
        release_at: row.maybe_int(8)?.map(Timestamp),
        held: row.maybe_text(9)?.map(str::to_owned),
        route: row.maybe_text(10)?.map(str::to_owned),
        ordered_back: row.int(11)? != 0,
        warned: row.int(12)? != 0,
        attempts: row.int(13)?,
        next_attempt_at: Timestamp(row.int(14)?),
        last_reply: row.text(15)?.to_owned(),
        bytes: row.int(16)?,
    })
}

/// The queue in figures.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// Messages.
    pub messages: i64,
    /// Recipients that wait.
    pub recipients: i64,
    /// Of those: held by somebody.
    pub held: i64,
    /// Due now.
    pub due: i64,
    /// When the oldest was taken over.
    pub oldest: Option<Timestamp>,
    /// Recipients by group, the most first; `None` for those without one.
    pub groups: Vec<(Option<String>, i64)>,
    /// Recipients by domain, the most first; some, where there are many.
    pub domains: Vec<(String, i64)>,
}

/// The queue in figures. Reads all rows, in about a second for a million.
pub fn summary(tx: &mut dyn Tx, now: Timestamp) -> Result<Summary, StoreError> {
    let counts = tx.one(
        "SELECT count(*), coalesce(sum(CASE WHEN held IS NULL THEN 0 ELSE 1 END), 0), \
         coalesce(sum(CASE WHEN next_attempt_at <= ?1 THEN 1 ELSE 0 END), 0) FROM queue_recipients",
        params![now.0],
        |row| Ok((row.int(0)?, row.int(1)?, row.int(2)?)),
    )?;
    let (recipients, held, due) = counts.unwrap_or_default();
    let messages = tx.one(
        "SELECT count(*), min(accepted_at) FROM queue_messages",
        &[],
        |row| Ok((row.int(0)?, row.maybe_int(1)?)),
    )?;
    let (messages, oldest) = messages.unwrap_or_default();
    Ok(Summary {
        messages,
        recipients,
        held,
        due,
        oldest: oldest.map(Timestamp),
        groups: tx.all(
            "SELECT customer_group, count(*) AS waiting FROM queue_recipients \
             GROUP BY customer_group ORDER BY waiting DESC LIMIT ?1",
            params![SUMMARY_DESTINATIONS_MAX],
            |row| Ok((row.maybe_text(0)?.map(str::to_owned), row.int(1)?)),
        )?,
        domains: tx.all(
            "SELECT domain, count(*) AS waiting FROM queue_recipients \
             GROUP BY domain ORDER BY waiting DESC, domain LIMIT ?1",
            params![SUMMARY_DESTINATIONS_MAX],
            |row| Ok((row.text(0)?.to_owned(), row.int(1)?)),
        )?,
    })
}

/// Destinations that are down, as far as they are remembered over a restart.
pub fn down(tx: &mut dyn Tx) -> Result<Vec<Down>, StoreError> {
    tx.all(
        "SELECT domain, down_since, failures, next_attempt_at, last_reply \
         FROM queue_destinations ORDER BY domain LIMIT ?1",
        params![DOWN_MAX],
        |row| {
            Ok(Down {
                domain: row.text(0)?.into(),
                since: Timestamp(row.int(1)?),
                failures: row.int(2)?.try_into().unwrap_or(1),
                until: Timestamp(row.int(3)?),
                last_reply: row.text(4)?.into(),
            })
        },
    )
}
