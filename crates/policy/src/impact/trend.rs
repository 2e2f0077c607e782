//! How many a change would have locked out, day by day: whether letters help. A chore writes a row per
//! standing question and day; the CLI, the API and pages read.

use super::change::LOGIN_SERVICES;
use super::{Proposed, Question, preview};
use crate::connections::day;
use crate::measure::Measure;
use crate::model::Scope;
use crate::snapshot::Snapshot;
use platform::clock::Timestamp;
use platform::params;
use platform::store::{StoreError, Tx};
use platform::tls::TlsVersion;

/// What was seen in so many days counts for a day of the trend.
const DAYS: u32 = 30;
/// Rules whose trend is kept.
const RULES_MAX: i64 = 200;

/// A day of a trend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day {
    /// In days since 1970 (UTC).
    pub day: i64,
    /// Accounts that would have been locked out, after what was seen in the 30 days before.
    pub accounts: u64,
    /// Domains they are in.
    pub domains: u64,
}

/// The changes whose trend is kept: the lowest TLS version and clear text at every service people log in to,
/// sender ownership, and every rule with findings.
///
/// # Errors
/// Those of the store.
pub fn standing(tx: &mut dyn Tx) -> Result<Vec<Proposed>, StoreError> {
    let of = |service| {
        [
            Proposed::TlsVersion {
                service,
                lowest: TlsVersion::V1_2,
            },
            Proposed::TlsVersion {
                service,
                lowest: TlsVersion::V1_3,
            },
            Proposed::Cleartext(service),
        ]
    };
    let mut all: Vec<Proposed> = LOGIN_SERVICES.into_iter().flat_map(of).collect();
    all.extend([Proposed::SenderOwnership, Proposed::SpoofedSender]);
    let rules = tx.all(
        "SELECT DISTINCT measure FROM policy_findings WHERE measure LIKE 'rule/%' \
         ORDER BY measure LIMIT ?1",
        params![RULES_MAX],
        |row| Ok(Measure::from_word(row.text(0)?)),
    )?;
    all.extend(rules.into_iter().flatten().filter_map(|rule| match rule {
        Measure::Rule(name) => Some(Proposed::Rule(name)),
        _ => None,
    }));
    Ok(all)
}

/// What the trend of today says of one change, reckoned now. For a chore, which writes it with `record`.
///
/// # Errors
/// Those of the store.
pub fn today(
    tx: &mut dyn Tx,
    proposed: &Proposed,
    snapshot: &Snapshot,
    now: Timestamp,
) -> Result<Day, StoreError> {
    let question = Question {
        proposed,
        scope: &Scope::Installation,
        days: DAYS,
        snapshot,
        now,
    };
    let impact = preview(tx, &question, Vec::new())?;
    Ok(Day {
        day: day(now),
        accounts: impact.accounts.len() as u64,
        domains: impact.domains.len() as u64,
    })
}

/// Writes a day of a trend, or corrects it.
///
/// # Errors
/// Those of the store.
pub fn record(tx: &mut dyn Tx, of: &Proposed, day: &Day) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO policy_trend (measure, day, accounts, domains) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (measure, day) DO UPDATE SET accounts = excluded.accounts, \
         domains = excluded.domains",
        params![
            &of.to_string(),
            day.day,
            i64::try_from(day.accounts).unwrap_or(i64::MAX),
            i64::try_from(day.domains).unwrap_or(i64::MAX),
        ],
    )
    .map(drop)
}

/// The trend of a change since `first_day` (days since 1970, UTC), the oldest day first. Trends of mandatory
/// TLS are not kept.
///
/// # Errors
/// Those of the store.
pub fn trend(tx: &mut dyn Tx, of: &Proposed, first_day: i64) -> Result<Vec<Day>, StoreError> {
    tx.all(
        "SELECT day, accounts, domains FROM policy_trend WHERE measure = ?1 AND day >= ?2 \
         ORDER BY day",
        params![&of.to_string(), first_day],
        |row| {
            let count = |number: i64| u64::try_from(number).unwrap_or(0);
            Ok(Day {
                day: row.int(0)?,
                accounts: count(row.int(1)?),
                domains: count(row.int(2)?),
            })
        },
    )
}
