//! Letters about the legacy hosts: who was enrolled, who is cut off by an emergency, whose access is over, and
//! reminders to who still uses them. Written down here, sent by the `Runner`; belong to no rollout.

use crate::admin::{RolloutError, Rollouts};
use crate::compose::Kind;
use crate::facts::{Facts, Sighting};
use crate::ledger::{self, Entry};
use crate::model::LocalDate;
use crate::rounds::not_before;
use crate::sight;
use directory::AccountId;
use platform::clock::Timestamp;
use platform::params;
use platform::store::{StoreError, Tx};
use policy::legacy::{Enrolment, Enrolments, Notice, NoticeKind, forget_notices, notices};
use policy::{Door, Encryption, Legacy, Measure, Sender, Zone};
use std::sync::Arc;
use std::time::Duration;

/// Notices taken in one transaction.
const AT_ONCE: u32 = 200;
/// Enrolled accounts that are looked at for reminders.
const ENROLLED_MAX: u32 = 1_000_000;
/// Reminders go out so many days before the end.
const REMINDED_DAYS: [u64; 4] = [29, 15, 8, 1];
/// Who did not come by for so many days needs no reminder.
const USED_DAYS: i64 = 60;
const DAY_MS: i64 = 24 * 3600 * 1000;
const DAY: Duration = Duration::from_secs(24 * 3600);

impl Rollouts {
    /// Takes the notices that wait and writes their letters, together.
    pub(crate) async fn write_legacy_notices(&self, now: Timestamp) -> Result<usize, RolloutError> {
        let mut letters = 0;
        loop {
            let zone = self.policies.snapshot().zone().clone();
            let (taken, written) = self
                .store
                .write(move |tx: &mut dyn Tx| {
                    let waiting = notices(tx, AT_ONCE)?;
                    let mut written = 0;
                    for notice in &waiting {
                        written += usize::from(put_notice(tx, notice, &zone, now)?);
                    }
                    forget_notices(tx, &waiting)?;
                    Ok::<_, StoreError>((waiting.len(), written))
                })
                .await?;
            letters += written;
            if taken == 0 {
                return Ok(letters);
            }
        }
    }

    /// Who is enrolled and still comes by hears of the end, a few times before it.
    pub(crate) async fn write_legacy_reminders(
        &self,
        now: Timestamp,
    ) -> Result<usize, RolloutError> {
        let snapshot = self.policies.snapshot();
        let is_near = |end: Timestamp| now < end && now.plus(DAY * 30) >= end;
        if snapshot.legacy_end().is_none_or(|end| end <= now) {
            return Ok(0);
        }
        let zone = snapshot.zone().clone();
        let enrolled = Enrolments::new(self.store.clone())
            .list(ENROLLED_MAX)
            .await?;
        let mut due = Vec::new();
        for one in enrolled {
            let domain = one.login.rsplit_once('@').map_or("", |(_, domain)| domain);
            let sender = Sender {
                account: Some(one.account),
                domain,
                group: None,
            };
            let Legacy::Until { end, .. } = snapshot.legacy(&sender, now) else {
                continue;
            };
            let end = one.until.map_or(end, |until| until.min(end));
            let used = one
                .last_used_day
                .is_some_and(|day| day >= now.0.div_euclid(DAY_MS) - USED_DAYS);
            if used
                && is_near(end)
                && let Some(round) = milestone(&one, end, now)
            {
                due.push((one, end, round));
            }
        }
        let mut letters = 0;
        for batch in due.chunks(AT_ONCE as usize) {
            let batch: Arc<[(Enrolment, Timestamp, i64)]> = batch.into();
            let zone = zone.clone();
            letters += self
                .store
                .write(move |tx: &mut dyn Tx| {
                    let mut letters = 0;
                    for (one, end, round) in batch.iter() {
                        letters += usize::from(remind(tx, one, (*end, *round), &zone, now)?);
                    }
                    Ok::<_, StoreError>(letters)
                })
                .await?;
        }
        Ok(letters)
    }
}

/// The number of the latest reminder that is due: the end's day and how long before it. Who was enrolled after
/// that moment has read the date already.
fn milestone(one: &Enrolment, end: Timestamp, now: Timestamp) -> Option<i64> {
    let at = |days: u64| Timestamp(end.0.saturating_sub(days as i64 * DAY_MS));
    let days = REMINDED_DAYS
        .into_iter()
        .rev()
        .find(|days| at(*days) <= now)?;
    let end_day = end.0.div_euclid(DAY_MS);
    (one.since < at(days)).then_some(end_day * 100 + days as i64)
}

fn remind(
    tx: &mut dyn Tx,
    one: &Enrolment,
    (end, round): (Timestamp, i64),
    zone: &Zone,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let facts = Facts {
        seen: seen(tx, one.account)?,
        legacy_until: last_day(end, zone),
        ..Facts::default()
    };
    let key = ("", round, Kind::LegacyReminder);
    let mut entry = Entry::to_account(key, one.account, &one.login, facts, now);
    entry.due_at = not_before(ledger::latest(tx, one.account)?, zone, now);
    // One that would come after the end is worth nothing.
    match entry.due_at < end {
        true => ledger::put(tx, &entry),
        false => Ok(false),
    }
}

fn put_notice(
    tx: &mut dyn Tx,
    notice: &Notice,
    zone: &Zone,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let login = tx.one(
        "SELECT local, domain FROM directory_accounts WHERE account = ?1",
        params![notice.account.0],
        |row| Ok(format!("{}@{}", row.text(0)?, row.text(1)?)),
    )?;
    let Some(login) = login else {
        return Ok(false);
    };
    let kind = match notice.kind {
        NoticeKind::Enrolled => Kind::LegacyEnrolled,
        NoticeKind::SwitchedOff => Kind::Emergency,
        NoticeKind::Ended => Kind::LegacyEnded,
    };
    let end = notice.detail.parse().ok().map(Timestamp);
    let facts = Facts {
        seen: seen(tx, notice.account)?,
        legacy_until: end.and_then(|end| last_day(end, zone)),
        ..Facts::default()
    };
    // When it was asked for tells one notice from the next of its kind.
    let key = ("", notice.since.0, kind);
    let entry = Entry::to_account(key, notice.account, &login, facts, now);
    ledger::put(tx, &entry)
}

/// The day that ends at `end`.
pub(crate) fn last_day(end: Timestamp, zone: &Zone) -> Option<LocalDate> {
    let (day, month, year) = zone.local(Timestamp(end.0 - 1))?.day_month_year();
    let day = jiff::civil::Date::new(year, month, day).ok()?;
    Some(LocalDate { day, time: None })
}

/// What came by the legacy hosts, for the right guide.
fn seen(tx: &mut dyn Tx, account: AccountId) -> Result<Vec<Sighting>, StoreError> {
    let rows = policy::connections::list(tx, account)?;
    let old = rows
        .iter()
        .filter(|row| row.manner.door == Door::Legacy && !row.settled);
    let old: Vec<_> = old.cloned().collect();
    let sightings = old.iter().map(|row| {
        let measure = match row.manner.encryption {
            Encryption::Clear => Measure::Cleartext(row.manner.service),
            _ => Measure::TlsVersion(row.manner.service),
        };
        sight::sighting(row, measure, &old)
    });
    Ok(sightings.take(8).collect())
}
