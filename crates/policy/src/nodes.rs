//! Which settings each node holds (S2-23). A node writes a row now and then; whoever looks learns which nodes
//! hold old rules and why. Decides nothing: stages change by the clock, in every node by itself.

use crate::rows;
use platform::clock::Timestamp;
use platform::params;
use platform::store::{StoreError, Tx};
use std::time::Duration;

/// How often a node writes its row, at least.
pub const REPORTED_EVERY: Duration = Duration::from_secs(10);
/// A node that could not make sure for so long that its rules are the newest holds old ones.
pub const BEHIND_AFTER: Duration = Duration::from_secs(30);
/// A node that wrote nothing for so long is not running, or cannot reach the store.
pub const SILENT_AFTER: Duration = Duration::from_secs(60);
/// A node that wrote nothing for so long is forgotten: a week.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);
/// Longest text of what is wrong, in bytes.
const TROUBLE_BYTES_MAX: usize = 2000;

/// What a node says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The node's name.
    pub node: String,
    /// The revision of the settings it holds.
    pub revision: i64,
    /// When it last made sure that there is no newer one.
    pub current_at: Timestamp,
    /// When it wrote this.
    pub seen_at: Timestamp,
    /// Why it cannot read the newest.
    pub trouble: Option<String>,
}

/// How a node stands to the settings in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It holds the newest.
    Current,
    /// It holds old ones.
    Behind,
    /// It has not been heard of.
    Silent,
}

impl Standing {
    /// For people and programs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Behind => "holds old rules",
            Self::Silent => "silent",
        }
    }
}

impl Report {
    /// How this node stands where `newest` is the revision in the store. Pure.
    pub fn standing(&self, newest: i64, now: Timestamp) -> Standing {
        if now.since(self.seen_at) > SILENT_AFTER {
            Standing::Silent
        } else if self.revision < newest && now.since(self.current_at) > BEHIND_AFTER {
            Standing::Behind
        } else {
            Standing::Current
        }
    }
}

/// Writes what a node says of itself, and forgets those long gone.
///
/// # Errors
/// Those of the store.
pub fn report(tx: &mut dyn Tx, report: &Report) -> Result<(), StoreError> {
    let trouble = report.trouble.as_deref().map(|text| {
        let end = text.floor_char_boundary(TROUBLE_BYTES_MAX);
        text.get(..end).unwrap_or_default().replace('\0', " ")
    });
    tx.execute(
        "INSERT INTO policy_nodes (node, revision, current_at, seen_at, trouble) \
         VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (node) DO UPDATE SET revision = excluded.revision, \
         current_at = excluded.current_at, seen_at = excluded.seen_at, trouble = excluded.trouble",
        params![
            &report.node,
            report.revision,
            report.current_at.0,
            report.seen_at.0,
            trouble.as_deref()
        ],
    )?;
    let kept = i64::try_from(FORGOTTEN_AFTER.as_millis()).unwrap_or(i64::MAX);
    tx.execute(
        "DELETE FROM policy_nodes WHERE seen_at < ?1",
        params![report.seen_at.0.saturating_sub(kept)],
    )
    .map(drop)
}

/// Forgets a node that stops.
///
/// # Errors
/// Those of the store.
pub fn leave(tx: &mut dyn Tx, node: &str) -> Result<(), StoreError> {
    tx.execute("DELETE FROM policy_nodes WHERE node = ?1", params![node])
        .map(drop)
}

/// The newest revision, and what every node said last, by name.
///
/// # Errors
/// Those of the store.
pub fn list(tx: &mut dyn Tx) -> Result<(i64, Vec<Report>), StoreError> {
    let newest = rows::revision(tx)?;
    let reports = tx.all(
        "SELECT node, revision, current_at, seen_at, trouble FROM policy_nodes ORDER BY node",
        params![],
        |row| {
            Ok(Report {
                node: row.text(0)?.to_owned(),
                revision: row.int(1)?,
                current_at: Timestamp(row.int(2)?),
                seen_at: Timestamp(row.int(3)?),
                trouble: row.maybe_text(4)?.map(str::to_owned),
            })
        },
    )?;
    Ok((newest, reports))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setting::Name;
    use crate::testing::*;

    #[tokio::test]
    async fn a_node_that_does_not_read_the_newest_is_named() {
        let fixture = Fixture::new().await;
        let policies = fixture.policies().await;
        let here = crate::Scope::Installation;
        let said = policies.report("mx1", NOON, None);
        let write = fixture.store.write(move |tx| report(tx, &said));
        write.await.unwrap();
        fixture.set(here, Name::SenderOwnership, "observe").await;
        let (newest, nodes) = fixture.store.read(list).await.unwrap();
        let standing = |seconds| {
            let now = NOON.plus(Duration::from_secs(seconds));
            let mut node = nodes[0].clone();
            // It goes on writing.
            node.seen_at = now;
            (node.standing(newest, now), nodes[0].standing(newest, now))
        };
        assert_eq!(standing(30), (Standing::Current, Standing::Current));
        assert_eq!(standing(31), (Standing::Behind, Standing::Behind));
        assert_eq!(standing(61), (Standing::Behind, Standing::Silent));

        policies.refresh().await.unwrap();
        let later = NOON.plus(Duration::from_secs(8 * 24 * 3600));
        let said = policies.report("mx2", later, Some("x\0".repeat(3000)));
        assert_eq!(said.standing(newest, later), Standing::Current);
        let write = fixture.store.write(move |tx| report(tx, &said));
        write.await.unwrap();
        let (_, nodes) = fixture.store.read(list).await.unwrap();
        assert_eq!(nodes.len(), 1, "mx1 is forgotten");
        assert!(nodes[0].trouble.as_ref().unwrap().len() <= TROUBLE_BYTES_MAX);
        let write = fixture.store.write(|tx| leave(tx, "mx2"));
        write.await.unwrap();
        assert!(fixture.store.read(list).await.unwrap().1.is_empty());
    }
}
