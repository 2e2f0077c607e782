//! Which TLS mail really used, per day and pair of domains: counted in memory, written now and then,
//! forgotten after 30 days. From it come the previews "who would no longer get through". Counts
//! messages, knows no addresses of people and no IP addresses.

use platform::clock::Timestamp;
use platform::params;
use platform::store::{Param, Store, StoreError, Tx};
use platform::tls::TlsVersion;
use policy::Service;
use policy::impact::{Proposed, Server};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How a message was protected on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protection {
    /// Not at all.
    Clear,
    /// TLS 1.2; nobody looked who the other side is.
    Tls12,
    /// TLS 1.3; nobody looked who the other side is.
    Tls13,
    /// TLS, and the other side proved who it is.
    Verified,
}

/// Whether the other side proved who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// By DANE, a certificate's name or a fingerprint.
    Proved,
    /// Nobody asked.
    Unknown,
}

impl Protection {
    /// That of a session; `None` is a session in clear.
    pub fn of(version: Option<TlsVersion>, identity: Identity) -> Self {
        match (version, identity) {
            (None, _) => Self::Clear,
            // No server is spoken to this way; if one were, it would be as good as in clear.
            (Some(TlsVersion::V1_0 | TlsVersion::V1_1), _) => Self::Clear,
            (Some(_), Identity::Proved) => Self::Verified,
            (Some(TlsVersion::V1_2), Identity::Unknown) => Self::Tls12,
            (Some(TlsVersion::V1_3), Identity::Unknown) => Self::Tls13,
        }
    }

    fn number(self) -> i64 {
        match self {
            Self::Clear => 0,
            Self::Tls12 => 1,
            Self::Tls13 => 2,
            Self::Verified => 3,
        }
    }
}

/// Which way mail went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Direction {
    Outbound,
    Inbound,
}

impl Direction {
    fn number(self) -> i64 {
        match self {
            Self::Outbound => 0,
            Self::Inbound => 1,
        }
    }
}

/// Counts kept in memory between two flushes; what does not fit is not counted.
const PENDING_MAX: usize = 100_000;
/// Rows written in one transaction.
const WRITTEN_AT_ONCE: usize = 500;
/// Days of counts that are kept.
pub const KEPT_DAYS: u32 = 30;
/// Domains named in a preview.
const PREVIEW_ROWS_MAX: i64 = 10_000;
const DAY_MS: i64 = 24 * 3600 * 1000;

/// Counts. Cheap to clone.
#[derive(Clone)]
pub struct Seen {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    pending: Mutex<HashMap<Key, i64>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    direction: Direction,
    ours: Box<str>,
    theirs: Box<str>,
    protection: Protection,
    day: i64,
}

impl Seen {
    /// Nothing counted yet; rows go to `store`.
    pub fn new(store: Store) -> Self {
        Self {
            inner: Arc::new(Inner {
                store,
                pending: Mutex::default(),
            }),
        }
    }

    /// A message from `sender_domain` went to `destination`. Both as A-labels in lower case; a null
    /// sender counts for the empty domain.
    pub fn outbound(
        &self,
        sender_domain: &str,
        destination: &str,
        protection: Protection,
        now: Timestamp,
    ) {
        self.count(
            Direction::Outbound,
            sender_domain,
            destination,
            protection,
            now,
        );
    }

    /// A message came for `recipient_domain` from `sender_domain`.
    pub fn inbound(
        &self,
        recipient_domain: &str,
        sender_domain: &str,
        protection: Protection,
        now: Timestamp,
    ) {
        self.count(
            Direction::Inbound,
            recipient_domain,
            sender_domain,
            protection,
            now,
        );
    }

    fn count(
        &self,
        direction: Direction,
        ours: &str,
        theirs: &str,
        protection: Protection,
        now: Timestamp,
    ) {
        let key = Key {
            direction,
            ours: ours.into(),
            theirs: theirs.into(),
            protection,
            day: day(now),
        };
        let mut pending = self.lock();
        if pending.len() < PENDING_MAX || pending.contains_key(&key) {
            *pending.entry(key).or_default() += 1;
        }
    }

    /// Writes what was counted. For a chore, every few seconds; counts since the last flush are lost in
    /// a crash, which no preview notices.
    ///
    /// # Errors
    /// Those of the store; what was not written is written next time.
    pub async fn flush(&self) -> Result<(), StoreError> {
        let taken: Vec<(Key, i64)> = std::mem::take(&mut *self.lock()).into_iter().collect();
        let mut rest: Arc<[(Key, i64)]> = taken.into();
        while !rest.is_empty() {
            let batch: Arc<[(Key, i64)]> = rest[..rest.len().min(WRITTEN_AT_ONCE)].into();
            let rows = batch.clone();
            if let Err(error) = self.inner.store.write(move |tx| add(tx, &rows)).await {
                let mut pending = self.lock();
                for (key, count) in rest.iter() {
                    *pending.entry(key.clone()).or_default() += count;
                }
                return Err(error);
            }
            rest = rest[batch.len()..].into();
        }
        Ok(())
    }

    /// Removes what is older than `KEPT_DAYS`. For a chore, now and then.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn forget(&self, now: Timestamp) -> Result<u64, StoreError> {
        let before = day(now) - i64::from(KEPT_DAYS);
        self.inner
            .store
            .write(move |tx| tx.execute("DELETE FROM tls_seen WHERE day < ?1", params![before]))
            .await
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, i64>> {
        self.inner
            .pending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn day(at: Timestamp) -> i64 {
    at.0.div_euclid(DAY_MS)
}

fn add(tx: &mut dyn Tx, rows: &[(Key, i64)]) -> Result<(), StoreError> {
    for (key, count) in rows {
        tx.execute(
            "INSERT INTO tls_seen (direction, ours, day, theirs, protection, messages) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
             ON CONFLICT (direction, ours, day, theirs, protection) \
             DO UPDATE SET messages = tls_seen.messages + excluded.messages",
            params![
                key.direction.number(),
                &*key.ours,
                key.day,
                &*key.theirs,
                key.protection.number(),
                *count
            ],
        )?;
    }
    Ok(())
}

/// Sums messages per domain of the other side: those a change would stop, those it would not, and the last day of
/// the former. `$of`: which of our domains. CAST: PostgreSQL adds BIGINTs up to a NUMERIC.
macro_rules! sums {
    ($of:literal) => {
        concat!(
            "SELECT theirs, \
             CAST(SUM(CASE WHEN protection = ?1 THEN messages ELSE 0 END) AS BIGINT), \
             CAST(SUM(CASE WHEN protection > ?1 AND protection <= ?2 THEN messages ELSE 0 END) AS BIGINT), \
             MAX(CASE WHEN protection = ?1 THEN day ELSE 0 END) \
             FROM tls_seen WHERE direction = ?3 AND day >= ?4 ",
            $of,
            "GROUP BY theirs \
             HAVING SUM(CASE WHEN protection = ?1 THEN messages ELSE 0 END) > 0 \
             ORDER BY 2 DESC, theirs LIMIT ?5"
        )
    };
}

/// The domains of other servers that a change would cut off, for a preview of it, after the last `days` days
/// (today counts): of mandatory TLS those that mail of a domain went to in clear, or that sent mail for it in
/// clear; of TLS 1.3 at `mx` or `relay` those that spoke 1.2. Most messages first; none for other changes.
///
/// # Errors
/// Those of the store.
pub fn servers(
    tx: &mut dyn Tx,
    proposed: &Proposed,
    days: u32,
    now: Timestamp,
) -> Result<Vec<Server>, StoreError> {
    // Of a proved server the version was not counted: it is among neither.
    let versions = (Protection::Tls12, Protection::Tls13);
    let any_tls = (Protection::Clear, Protection::Verified);
    let (direction, ours, (stopped, passing)) = match proposed {
        Proposed::OutboundTls(domain) => (Direction::Outbound, domain.as_str(), any_tls),
        Proposed::InboundTls(domain) => (Direction::Inbound, domain.as_str(), any_tls),
        Proposed::TlsVersion {
            service: service @ (Service::Mx | Service::Relay),
            lowest: TlsVersion::V1_3,
        } => match service {
            Service::Mx => (Direction::Inbound, "", versions),
            _ => (Direction::Outbound, "", versions),
        },
        _ => return Ok(Vec::new()),
    };
    let first = day(now) - i64::from(days.clamp(1, KEPT_DAYS)) + 1;
    let (sql, of) = match ours {
        "" => (sums!(""), None),
        ours => (sums!("AND ours = ?6 "), Some(Param::from(ours))),
    };
    let mut params = vec![
        Param::Int(stopped.number()),
        Param::Int(passing.number()),
        Param::Int(direction.number()),
        Param::Int(first),
        Param::Int(PREVIEW_ROWS_MAX),
    ];
    params.extend(of);
    tx.all(sql, &params, |row| {
        Ok(Server {
            ours: ours.to_owned(),
            domain: row.text(0)?.to_owned(),
            stopped: u64::try_from(row.int(1)?).unwrap_or(0),
            passing: u64::try_from(row.int(2)?).unwrap_or(0),
            last_day: row.int(3)?,
        })
    })
}

/// What of the mail to a destination a demand for TLS would have stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demanded {
    /// Any TLS: what went in clear.
    Tls,
    /// TLS 1.3: what went in clear or with TLS 1.2.
    Newest,
}

/// Mail to `destination` (a domain, `*.` and a domain for all below it, `*` for all) in the last `days` days, per pair
/// of domains, where some did not meet `demanded`: for a preview of a rule for that destination. Most messages first.
///
/// # Errors
/// Those of the store.
pub fn towards(
    tx: &mut dyn Tx,
    destination: &str,
    demanded: Demanded,
    days: u32,
    now: Timestamp,
) -> Result<Vec<Server>, StoreError> {
    let stopped = match demanded {
        Demanded::Tls => Protection::Clear,
        Demanded::Newest => Protection::Tls12,
    };
    let first = day(now) - i64::from(days.clamp(1, KEPT_DAYS)) + 1;
    let (exactly, below) = match destination.strip_prefix('*') {
        None => (destination, ""),
        Some(below) => ("", below),
    };
    let found = tx.all(
        "SELECT ours, theirs, \
         CAST(SUM(CASE WHEN protection <= ?1 THEN messages ELSE 0 END) AS BIGINT), \
         CAST(SUM(CASE WHEN protection > ?1 THEN messages ELSE 0 END) AS BIGINT), \
         MAX(CASE WHEN protection <= ?1 THEN day ELSE 0 END) \
         FROM tls_seen WHERE direction = ?2 AND day >= ?3 AND (theirs = ?4 OR (?4 = '' AND theirs LIKE ?5)) \
         GROUP BY ours, theirs HAVING SUM(CASE WHEN protection <= ?1 THEN messages ELSE 0 END) > 0 \
         ORDER BY 3 DESC, theirs, ours LIMIT ?6",
        params![
            stopped.number(),
            Direction::Outbound.number(),
            first,
            exactly,
            &format!("%{below}"),
            PREVIEW_ROWS_MAX
        ],
        |row| {
            Ok(Server {
                ours: row.text(0)?.to_owned(),
                domain: row.text(1)?.to_owned(),
                stopped: u64::try_from(row.int(2)?).unwrap_or(0),
                passing: u64::try_from(row.int(3)?).unwrap_or(0),
                last_day: row.int(4)?,
            })
        },
    )?;
    // An underscore of a name stands for any letter in LIKE.
    let meant = |one: &Server| below.is_empty() || one.domain.ends_with(below);
    Ok(found.into_iter().filter(meant).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;
    use directory::DomainName;

    const NOW: Timestamp = Timestamp(20_000 * DAY_MS + 5);

    fn days_ago(days: i64) -> Timestamp {
        Timestamp(NOW.0 - days * DAY_MS)
    }

    #[tokio::test]
    async fn previews_name_who_was_reached_in_clear() {
        previews(testing::store()).await;
    }

    #[test]
    fn previews_come_from_postgresql_too() {
        testing::on_postgresql(|store| async {
            previews(store.clone()).await;
            destinations(store.clone()).await;
            forgets(store).await;
        });
    }

    #[tokio::test]
    async fn a_rule_for_a_destination_names_whose_mail_it_would_stop() {
        destinations(testing::store()).await;
    }

    async fn destinations(store: Store) {
        let seen = Seen::new(store.clone());
        let firma = |to: &str, protection| seen.outbound("rule.test", to, protection, NOW);
        firma("mx.clear.example", Protection::Clear);
        firma("mx.clear.example", Protection::Tls12);
        firma("mx.clear.example", Protection::Tls13);
        firma("clear.example", Protection::Tls12);
        firma("proved.example", Protection::Verified);
        seen.flush().await.unwrap();
        let asked = |destination: &'static str, demanded| {
            let store = store.clone();
            async move {
                let read = store.read(move |tx| towards(tx, destination, demanded, 30, NOW));
                let found = read.await.unwrap().into_iter();
                let ours = found.filter(|one| one.ours == "rule.test");
                let told = ours.map(|one| (one.domain, one.stopped, one.passing));
                told.collect::<Vec<_>>()
            }
        };
        let (mx, own) = ("mx.clear.example".to_owned(), "clear.example".to_owned());
        let one = |stopped, passing| vec![(mx.clone(), stopped, passing)];
        assert_eq!(asked("*.clear.example", Demanded::Tls).await, one(1, 2));
        assert_eq!(asked("mx.clear.example", Demanded::Newest).await, one(2, 1));
        assert_eq!(asked("clear.example", Demanded::Tls).await, []);
        assert_eq!(asked("*", Demanded::Tls).await, one(1, 2));
        let newest = asked("*", Demanded::Newest).await;
        assert_eq!(newest, [(mx, 2, 1), (own, 1, 0)]);
        assert_eq!(asked("proved.example", Demanded::Newest).await, []);
    }

    async fn previews(store: Store) {
        let seen = Seen::new(store.clone());
        for _ in 0..3 {
            seen.outbound("firma.test", "clear.test", Protection::Clear, NOW);
        }
        seen.outbound("firma.test", "clear.test", Protection::Tls13, NOW);
        seen.outbound("firma.test", "tls.test", Protection::Tls12, NOW);
        seen.outbound("firma.test", "old.test", Protection::Clear, days_ago(7));
        seen.outbound("other.test", "clear2.test", Protection::Clear, NOW);
        seen.inbound("firma.test", "sender.test", Protection::Clear, days_ago(1));
        seen.flush().await.unwrap();
        seen.outbound("firma.test", "clear.test", Protection::Clear, NOW);
        seen.flush().await.unwrap();
        let (out, week, inbound, none, newest) = store
            .read(|tx| {
                let firma = DomainName::parse("firma.test").unwrap();
                let (to, from) = (
                    Proposed::OutboundTls(firma.clone()),
                    Proposed::InboundTls(firma),
                );
                let newest = Proposed::TlsVersion {
                    service: Service::Relay,
                    lowest: TlsVersion::V1_3,
                };
                Ok::<_, StoreError>((
                    servers(tx, &to, 8, NOW)?,
                    servers(tx, &to, 7, NOW)?,
                    servers(tx, &from, 30, NOW)?,
                    servers(tx, &Proposed::SenderOwnership, 30, NOW)?,
                    servers(tx, &newest, 30, NOW)?,
                ))
            })
            .await
            .unwrap();
        let counted = |domain: &str, stopped, passing, ago| Server {
            ours: "firma.test".to_owned(),
            domain: domain.to_owned(),
            stopped,
            passing,
            last_day: day(days_ago(ago)),
        };
        assert_eq!(none, []);
        let mut old = counted("tls.test", 1, 0, 0);
        old.ours.clear();
        assert_eq!(newest, [old]);
        assert_eq!(
            out,
            [counted("clear.test", 4, 1, 0), counted("old.test", 1, 0, 7)]
        );
        assert_eq!(week, [counted("clear.test", 4, 1, 0)]);
        assert_eq!(inbound, [counted("sender.test", 1, 0, 1)]);
    }

    #[tokio::test]
    async fn counts_end_after_thirty_days() {
        forgets(testing::store()).await;
    }

    async fn forgets(store: Store) {
        let seen = Seen::new(store.clone());
        seen.outbound("a.test", "b.test", Protection::Clear, days_ago(31));
        seen.outbound("a.test", "b.test", Protection::Clear, days_ago(30));
        seen.flush().await.unwrap();
        assert_eq!(seen.forget(NOW).await.unwrap(), 1);
        assert_eq!(seen.forget(NOW).await.unwrap(), 0);
    }
}
