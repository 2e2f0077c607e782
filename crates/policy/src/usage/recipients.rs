//! Whom an account wrote to in the last 30 days, as hashes: only for accounts whose new recipients are
//! limited, and at most so many per account. In memory for those that send, with the rows that keep them.

use directory::{AccountId, AddressKey};
use platform::params;
use platform::store::{StoreError, Tx};
use std::collections::HashMap;

/// How long a recipient counts as known, in days.
const KNOWN_DAYS: i64 = 30;
/// Recipients remembered per account; with more, those longest not written to are new again.
const PER_ACCOUNT_MAX: usize = 5_000;
/// Accounts whose recipients are in memory; the rest is read from the store when they send.
const ACCOUNTS_MAX: usize = 5_000;

/// What an account's recipient is remembered as. Not reversible, and different for each account.
pub(super) fn hash(account: AccountId, address: &AddressKey) -> i64 {
    let mut hasher = blake3::Hasher::new_derive_key("rohrpost policy recipients 2026-11");
    hasher.update(&account.0.to_le_bytes());
    hasher.update(address.local().as_bytes());
    hasher.update(b"@");
    hasher.update(address.domain().as_str().as_bytes());
    let mut first = [0; 8];
    hasher.finalize_xof().fill(&mut first);
    i64::from_le_bytes(first)
}

/// Account, hash, last day.
pub(super) type Note = (AccountId, i64, i64);

#[derive(Debug, Default)]
pub(super) struct Recipients {
    known: HashMap<AccountId, HashMap<i64, i64>>,
    noted: Vec<Note>,
}

impl Recipients {
    pub(super) fn knows(&self, account: AccountId) -> bool {
        self.known.contains_key(&account)
    }

    /// Takes what the store has, and what was noted since it was written last.
    pub(super) fn learn(&mut self, account: AccountId, rows: Vec<(i64, i64)>) {
        if self.known.len() >= ACCOUNTS_MAX && self.noted.is_empty() {
            self.known.clear();
        }
        let known = self.known.entry(account).or_default();
        for (hash, day) in rows {
            known.entry(hash).or_insert(day);
        }
        for (_, hash, day) in self.noted.iter().filter(|(of, _, _)| *of == account) {
            known.insert(*hash, *day);
        }
    }

    pub(super) fn has(&self, account: AccountId, hash: i64, today: i64) -> bool {
        let known = self.known.get(&account);
        let day = known.and_then(|known| known.get(&hash));
        day.is_some_and(|day| today - day < KNOWN_DAYS)
    }

    pub(super) fn note(&mut self, account: AccountId, hash: i64, today: i64) {
        // An account that was forgotten while it sent is read again; half of it would count as all.
        let Some(known) = self.known.get_mut(&account) else {
            self.noted.push((account, hash, today));
            return;
        };
        if known.insert(hash, today) == Some(today) {
            return;
        }
        if known.len() > PER_ACCOUNT_MAX {
            // Rare enough to look through all of them.
            let oldest = known
                .iter()
                .min_by_key(|(_, day)| **day)
                .map(|(hash, _)| *hash);
            if let Some(oldest) = oldest {
                known.remove(&oldest);
            }
        }
        self.noted.push((account, hash, today));
    }

    pub(super) fn noted(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.noted)
    }

    pub(super) fn still_noted(&mut self, notes: Vec<Note>) {
        self.noted.extend(notes);
    }

    pub(super) fn forget(&mut self, today: i64) {
        for known in self.known.values_mut() {
            known.retain(|_, day| today - *day < KNOWN_DAYS);
        }
    }
}

pub(super) fn read(
    tx: &mut dyn Tx,
    account: AccountId,
    today: i64,
) -> Result<Vec<(i64, i64)>, StoreError> {
    tx.all(
        "SELECT recipient, last_day FROM policy_recipients WHERE account = ?1 AND last_day > ?2 \
         ORDER BY last_day DESC LIMIT ?3",
        params![account.0, today - KNOWN_DAYS, PER_ACCOUNT_MAX as i64],
        |row| Ok((row.int(0)?, row.int(1)?)),
    )
}

pub(super) fn write(tx: &mut dyn Tx, notes: &[Note]) -> Result<(), StoreError> {
    for (account, hash, day) in notes {
        tx.execute(
            "INSERT INTO policy_recipients (account, recipient, last_day) SELECT ?1, ?2, ?3 \
             WHERE EXISTS (SELECT 1 FROM directory_accounts WHERE account = ?1) \
             ON CONFLICT (account, recipient) DO UPDATE SET last_day = excluded.last_day",
            params![account.0, *hash, *day],
        )?;
    }
    Ok(())
}

pub(super) fn forget(tx: &mut dyn Tx, today: i64) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM policy_recipients WHERE last_day <= ?1",
        params![today - KNOWN_DAYS],
    )
    .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_forgotten_while_it_sends_is_read_again() {
        let (anna, today) = (AccountId(1), 100);
        let mut recipients = Recipients::default();
        recipients.learn(anna, vec![(7, today - 1)]);
        for other in 2..=ACCOUNTS_MAX as i64 + 1 {
            recipients.learn(AccountId(other), Vec::new());
        }
        assert!(!recipients.knows(anna), "forgotten");
        recipients.note(anna, 8, today);
        assert!(!recipients.knows(anna), "one recipient is not all of them");
        recipients.learn(anna, vec![(7, today - 1)]);
        assert!(recipients.has(anna, 7, today) && recipients.has(anna, 8, today));
    }
}
