//! How much of its limits everybody has used: messages an hour, recipients and new recipients a day, per
//! account, domain and group. Counted at MAIL and RCPT, given back where the message is not taken after
//! all; kept across restarts by a chore. Where no limit is set nothing is counted and nothing remembered.

mod counters;
mod exceeded;
mod recipients;

pub use exceeded::{Exceeded, Limit};

use crate::model::{Limits, Scope, Sender};
use crate::snapshot::Snapshot;
use counters::{Counters, Period, Slot};
use directory::AccountId;
use platform::clock::Timestamp;
use platform::store::{Store, StoreError};
use recipients::Recipients;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// Counts. Cheap to clone; all clones share one memory.
#[derive(Clone)]
pub struct Usage {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    counters: Mutex<Counters>,
    recipients: Mutex<Recipients>,
}

impl Usage {
    /// The counts that `store` has kept.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn open(store: Store) -> Result<Self, StoreError> {
        let counters = store.read(counters::read).await?;
        let inner = Inner {
            store,
            counters: Mutex::new(counters),
            recipients: Mutex::default(),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// A message begins (MAIL). Costs nothing where no limit is set; reads the store once a while where
    /// new recipients are limited.
    ///
    /// # Errors
    /// `Ok(Err(_))`: a limit is reached. `Err(_)`: the store failed (451 4.3.0).
    pub async fn begin(
        &self,
        snapshot: &Snapshot,
        sender: &Sender<'_>,
        now: Timestamp,
    ) -> Result<Result<Sending, Exceeded>, StoreError> {
        let limits = snapshot.limits(sender);
        let mut sending = Sending {
            usage: self.clone(),
            account: sender.account,
            period: Period {
                hour: now.seconds().div_euclid(3600),
                day: snapshot.day(now),
            },
            now,
            day_end: now,
            limits,
            recipients: 0,
            counted: Vec::new(),
            new: Vec::new(),
        };
        if sending.limits.is_empty() {
            return Ok(Ok(sending));
        }
        sending.day_end = snapshot.day_end(now);
        if let Some(account) = sending.remembers_recipients()
            && !self.recipients().knows(account)
        {
            let day = sending.period.day;
            let known = self
                .inner
                .store
                .read(move |tx| recipients::read(tx, account, day))
                .await?;
            self.recipients().learn(account, known);
        }
        Ok(sending.message().map(|()| sending))
    }

    /// Writes what changed. Called by a chore and before a node stops.
    ///
    /// # Errors
    /// Those of the store; what was not written goes on waiting.
    pub async fn flush(&self) -> Result<(), StoreError> {
        let rows = self.counters().changed();
        let written = self.inner.store.write({
            let rows = rows.clone();
            move |tx| counters::write(tx, &rows)
        });
        if !rows.is_empty()
            && let Err(error) = written.await
        {
            self.counters().still_changed(rows);
            return Err(error);
        }
        let notes = self.recipients().noted();
        if notes.is_empty() {
            return Ok(());
        }
        let written = self.inner.store.write({
            let notes = notes.clone();
            move |tx| recipients::write(tx, &notes)
        });
        if let Err(error) = written.await {
            self.recipients().still_noted(notes);
            return Err(error);
        }
        Ok(())
    }

    /// Forgets counts and recipients of times long gone. Called by a chore once in a while.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn forget(&self, snapshot: &Snapshot, now: Timestamp) -> Result<(), StoreError> {
        let day = snapshot.day(now);
        let hour = now.seconds().div_euclid(3600);
        self.counters().forget(Period { hour, day });
        self.recipients().forget(day);
        self.inner
            .store
            .write(move |tx| {
                counters::forget(tx, Period { hour, day })?;
                recipients::forget(tx, day)
            })
            .await
    }

    fn counters(&self) -> MutexGuard<'_, Counters> {
        lock(&self.inner.counters)
    }

    fn recipients(&self) -> MutexGuard<'_, Recipients> {
        lock(&self.inner.recipients)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

/// A message on its way in, and what it has used. Dropped without `accepted`, it gives everything back.
pub struct Sending {
    usage: Usage,
    account: Option<AccountId>,
    period: Period,
    now: Timestamp,
    day_end: Timestamp,
    limits: Vec<(Scope, Limits)>,
    recipients: u32,
    counted: Vec<(Scope, Slot)>,
    new: Vec<i64>,
}

impl Sending {
    /// Who must remember whom it wrote to: an account any of whose limits is about new recipients.
    fn remembers_recipients(&self) -> Option<AccountId> {
        let limited = |(_, limits): &(Scope, Limits)| limits.new_recipients_per_day.is_some();
        self.account.filter(|_| self.limits.iter().any(limited))
    }

    /// How long until a limit begins to count anew.
    fn wait(&self, limit: Limit) -> Duration {
        match limit {
            Limit::MessagesPerHour => {
                Timestamp::from_seconds((self.period.hour + 1) * 3600).since(self.now)
            }
            Limit::RecipientsPerDay | Limit::NewRecipientsPerDay => self.day_end.since(self.now),
            Limit::RecipientsPerMessage => Duration::ZERO,
        }
    }

    fn message(&mut self) -> Result<(), Exceeded> {
        self.count(&[Slot::Messages])
    }

    /// One more recipient (RCPT), in the form the directory compares addresses in.
    ///
    /// # Errors
    /// A limit is reached; this recipient is not counted then.
    pub fn recipient(&mut self, address: &directory::AddressKey) -> Result<(), Exceeded> {
        if self.limits.is_empty() {
            return Ok(());
        }
        for (scope, limits) in &self.limits {
            if let Some(allowed) = limits.recipients_per_message
                && self.recipients >= allowed
            {
                let limit = Limit::RecipientsPerMessage;
                return Err(Exceeded::new(limit, scope, allowed, Duration::ZERO));
            }
        }
        let hash = self.remembers_recipients().map(|account| {
            let hash = recipients::hash(account, address);
            (account, hash)
        });
        let new = hash.filter(|(account, hash)| {
            !self.new.contains(hash)
                && !self
                    .usage
                    .recipients()
                    .has(*account, *hash, self.period.day)
        });
        match new {
            Some((_, hash)) => {
                self.count(&[Slot::Recipients, Slot::NewRecipients])?;
                self.new.push(hash);
            }
            None => self.count(&[Slot::Recipients])?,
        }
        if let (Some((account, hash)), None) = (hash, new) {
            // Written to again: the 30 days begin anew.
            self.usage.recipients().note(account, hash, self.period.day);
        }
        self.recipients = self.recipients.saturating_add(1);
        Ok(())
    }

    /// The message was taken: what it used stays used.
    pub fn accepted(mut self) {
        self.counted.clear();
        if let Some(account) = self.account {
            let mut recipients = self.usage.recipients();
            for hash in self.new.drain(..) {
                recipients.note(account, hash, self.period.day);
            }
        }
    }

    /// Counts one of each slot in every scope that limits it, or none at all.
    fn count(&mut self, slots: &[Slot]) -> Result<(), Exceeded> {
        let mut counters = lock(&self.usage.inner.counters);
        let limited = || {
            self.limits.iter().flat_map(|(scope, limits)| {
                slots
                    .iter()
                    .filter_map(move |slot| Some((scope, *slot, slot.limit(limits)?)))
            })
        };
        for (scope, slot, allowed) in limited() {
            if counters.used(scope, slot, self.period) >= allowed {
                let limit = slot.named();
                return Err(Exceeded::new(limit, scope, allowed, self.wait(limit)));
            }
        }
        for (scope, slot, _) in limited() {
            counters.add(scope, slot, self.period);
            self.counted.push((scope.clone(), slot));
        }
        Ok(())
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        if self.counted.is_empty() {
            return;
        }
        let mut counters = lock(&self.usage.inner.counters);
        for (scope, slot) in self.counted.drain(..) {
            counters.give_back(&scope, slot, self.period);
        }
    }
}

#[cfg(test)]
mod tests;
