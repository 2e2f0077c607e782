//! Where messages came from, client address and EHLO name, kept apart from their stories because
//! they are kept shorter (S3-30), and the record of who looked at a story.

use super::{Session, TraceId};
use platform::clock::Timestamp;
use platform::params;
use platform::store::{StoreError, Tx};

/// How a message's origin is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Address and EHLO name, as they were.
    Known {
        /// The client's address.
        client: String,
        /// What it called itself; may be empty.
        hello: String,
    },
    /// They were removed, because their time is over.
    Expired,
    /// There was no client: a message of our own.
    None,
}

/// Somebody looked at a story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// When.
    pub at: Timestamp,
    /// Which story.
    pub trace: TraceId,
    /// Who, as the operating system names them.
    pub viewer: String,
}

/// Keeps where a message came from; at most one small row.
pub(crate) fn keep(tx: &mut dyn Tx, id: TraceId, session: &Session) -> Result<(), StoreError> {
    let Some(client) = session.client else {
        return Ok(());
    };
    let hello = super::facts::clean(session.hello.as_deref().unwrap_or_default());
    tx.execute(
        "INSERT INTO trace_origins (trace, client, hello) VALUES (?1, ?2, ?3) \
         ON CONFLICT DO NOTHING",
        params![id.0, &client.to_string(), &hello],
    )
    .map(drop)
}

/// Where message `id` came from; `None` where no row is there, expired or not.
pub(super) fn read(tx: &mut dyn Tx, id: TraceId) -> Result<Option<Origin>, StoreError> {
    tx.one(
        "SELECT client, hello FROM trace_origins WHERE trace = ?1",
        params![id.0],
        |row| {
            Ok(Origin::Known {
                client: row.text(0)?.to_owned(),
                hello: row.text(1)?.to_owned(),
            })
        },
    )
}

/// Removes the origins of messages accepted before `before`; at most `limit` a call. Gives how many
/// went.
pub fn forget_origins(tx: &mut dyn Tx, before: Timestamp, limit: i64) -> Result<u64, StoreError> {
    tx.execute(
        "DELETE FROM trace_origins WHERE trace IN \
         (SELECT trace FROM trace_origins WHERE trace < ?1 ORDER BY trace LIMIT ?2)",
        params![TraceId::first_at(before).0, limit],
    )
}

/// Records that somebody looked at a story; written before it is shown.
pub fn record_view(tx: &mut dyn Tx, view: &View) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO trace_views (at, trace, viewer) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        params![view.at.0, view.trace.0, &super::facts::clean(&view.viewer)],
    )
    .map(drop)
}

/// Who looked at stories since `since`, newest first; at most `limit`.
pub fn views(tx: &mut dyn Tx, since: Timestamp, limit: i64) -> Result<Vec<View>, StoreError> {
    tx.all(
        "SELECT at, trace, viewer FROM trace_views WHERE at >= ?1 \
         ORDER BY at DESC, trace, viewer LIMIT ?2",
        params![since.0, limit],
        |row| {
            Ok(View {
                at: Timestamp(row.int(0)?),
                trace: TraceId(row.int(1)?),
                viewer: row.text(2)?.to_owned(),
            })
        },
    )
}

/// Removes views before `before`.
pub fn forget_views(tx: &mut dyn Tx, before: Timestamp) -> Result<u64, StoreError> {
    tx.execute("DELETE FROM trace_views WHERE at < ?1", params![before.0])
}
