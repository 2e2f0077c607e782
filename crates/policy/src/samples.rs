//! Spot checks: some accounts, chosen at random but the same with the same seed, and how each connects; and
//! the same figures for everybody, day by day. Reads what connections kept; changes nothing.

use crate::connections::{Connection, connection, day, window};
use crate::exposed;
use crate::measure::Door;
use directory::AccountId;
use platform::clock::Timestamp;
use platform::params;
use platform::store::{StoreError, Tx};
use std::collections::BTreeMap;

/// What was seen in so many days counts.
pub const DAYS: u32 = 30;
/// Accounts of one sample.
pub const ACCOUNTS_MAX: usize = 10_000;

/// How an account connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Posture {
    /// Something of it connects insecurely, or tries to, at the normal hosts.
    Insecure,
    /// It uses the legacy hosts.
    Legacy,
    /// It logs in, and only securely.
    Secure,
    /// It was not seen.
    Unseen,
}

impl Posture {
    /// Every posture.
    pub const ALL: [Self; 4] = [Self::Insecure, Self::Legacy, Self::Secure, Self::Unseen];

    /// The word in CSV, JSON and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Insecure => "insecure",
            Self::Legacy => "legacy",
            Self::Secure => "secure",
            Self::Unseen => "unseen",
        }
    }

    /// What its counts are called in the table of trends.
    fn trend_name(self) -> String {
        format!("posture/{}", self.word())
    }

    /// The posture of one account, after what it did on `first_day` or later.
    pub fn of(rows: &[Connection], first_day: i64) -> Self {
        let open = || rows.iter().filter(|row| row.is_open(first_day));
        if open().any(|row| row.manner.is_insecure() && row.manner.door == Door::Normal) {
            Self::Insecure
        } else if open().any(|row| row.manner.door == Door::Legacy) {
            Self::Legacy
        } else if open().any(|row| row.manner.is_secure_login()) {
            Self::Secure
        } else {
            Self::Unseen
        }
    }
}

/// One account of a sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// Who.
    pub account: AccountId,
    /// Its address.
    pub login: String,
    /// How it connects.
    pub posture: Posture,
    /// Whether its password came in clear and is still the same.
    pub exposed: bool,
    /// Its rows, latest first.
    pub rows: Vec<Connection>,
}

/// A sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The accounts, by address.
    pub accounts: Vec<Looked>,
    /// How many accounts it was taken from.
    pub of: u64,
}

impl Sample {
    /// How many of its accounts connect like that.
    pub fn count(&self, posture: Posture) -> usize {
        let like = |looked: &&Looked| looked.posture == posture;
        self.accounts.iter().filter(like).count()
    }
}

/// `wanted` accounts (at most `ACCOUNTS_MAX`) and how they connected in the last `DAYS` days. The same seed
/// gives the same accounts; one that is added or removed moves at most itself in or out.
///
/// # Errors
/// Those of the store.
pub fn sample(
    tx: &mut dyn Tx,
    wanted: usize,
    seed: u64,
    now: Timestamp,
) -> Result<Sample, StoreError> {
    let numbers = tx.all("SELECT account FROM directory_accounts", params![], |row| {
        row.int(0)
    })?;
    let of = numbers.len() as u64;
    let mut drawn: Vec<(u64, i64)> = numbers
        .into_iter()
        .map(|number| (lot(seed, number), number))
        .collect();
    drawn.sort_unstable();
    drawn.truncate(wanted.min(ACCOUNTS_MAX));
    let first_day = window(DAYS, now);
    let mut accounts = Vec::new();
    for (_, number) in drawn {
        let account = AccountId(number);
        let login = tx.one(
            "SELECT local, domain FROM directory_accounts WHERE account = ?1",
            params![number],
            |row| Ok(format!("{}@{}", row.text(0)?, row.text(1)?)),
        )?;
        let Some(login) = login else { continue };
        let rows = crate::connections::list(tx, account)?;
        accounts.push(Looked {
            posture: Posture::of(&rows, first_day),
            exposed: exposed::of(tx, account)?.is_some(),
            account,
            login,
            rows,
        });
    }
    accounts.sort_by(|a, b| a.login.cmp(&b.login));
    Ok(Sample { accounts, of })
}

/// The number an account draws; those with the smallest are in the sample.
fn lot(seed: u64, account: i64) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    hasher.update(&account.to_le_bytes());
    let [a, b, c, d, e, f, g, h, ..] = *hasher.finalize().as_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// How many accounts connect how, in the order of `Posture::ALL`; over all accounts.
///
/// # Errors
/// Those of the store.
pub fn totals(tx: &mut dyn Tx, now: Timestamp) -> Result<[u64; 4], StoreError> {
    let first_day = window(DAYS, now);
    let mut counted = [0_u64; 4];
    let mut rows: Vec<Connection> = Vec::new();
    let mut count = |rows: &mut Vec<Connection>| {
        if !rows.is_empty() {
            counted[Posture::of(rows, first_day) as usize] += 1;
            rows.clear();
        }
    };
    tx.query(
        "SELECT account, service, client, port, encryption, door, tls, cipher, outcome, believed, \
         settled, seen, first_day, last_day FROM policy_connections \
         WHERE last_day >= ?1 ORDER BY account",
        params![first_day],
        &mut |row| {
            if let Some(next) = connection(row)? {
                if rows
                    .first()
                    .is_some_and(|first| first.account != next.account)
                {
                    count(&mut rows);
                }
                rows.push(next);
            }
            Ok(std::ops::ControlFlow::Continue(()))
        },
    )?;
    count(&mut rows);
    let all = tx.one(
        "SELECT COUNT(*) FROM directory_accounts",
        params![],
        |row| row.int(0),
    )?;
    let all = u64::try_from(all.unwrap_or(0)).unwrap_or(0);
    let seen = counted[0] + counted[1] + counted[2];
    counted[Posture::Unseen as usize] = all.saturating_sub(seen);
    Ok(counted)
}

/// Writes how many accounts connect how on the day of `now`, or corrects it.
///
/// # Errors
/// Those of the store.
pub fn record(tx: &mut dyn Tx, totals: [u64; 4], now: Timestamp) -> Result<(), StoreError> {
    for (posture, count) in Posture::ALL.into_iter().zip(totals) {
        tx.execute(
            "INSERT INTO policy_trend (measure, day, accounts, domains) VALUES (?1, ?2, ?3, 0) \
             ON CONFLICT (measure, day) DO UPDATE SET accounts = excluded.accounts",
            params![
                &posture.trend_name(),
                day(now),
                i64::try_from(count).unwrap_or(i64::MAX)
            ],
        )?;
    }
    Ok(())
}

/// How many accounts connected how, day by day since `first_day` (days since 1970, UTC), the oldest first; the
/// counts in the order of `Posture::ALL`.
///
/// # Errors
/// Those of the store.
pub fn trend(tx: &mut dyn Tx, first_day: i64) -> Result<Vec<(i64, [u64; 4])>, StoreError> {
    let mut days: BTreeMap<i64, [u64; 4]> = BTreeMap::new();
    for posture in Posture::ALL {
        let rows = tx.all(
            "SELECT day, accounts FROM policy_trend WHERE measure = ?1 AND day >= ?2",
            params![&posture.trend_name(), first_day],
            |row| Ok((row.int(0)?, row.int(1)?)),
        )?;
        for (day, count) in rows {
            days.entry(day).or_default()[posture as usize] = u64::try_from(count).unwrap_or(0);
        }
    }
    Ok(days.into_iter().collect())
}
