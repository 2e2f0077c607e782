//! Writes letters down: whom a round concerns becomes rows, each once. What is written is sent by the `Runner`
//! of a node. A crash in between writes the rest again, and nothing twice, because the key of a row says it all.

use crate::admin::{RolloutError, Rollouts, scopes};
use crate::compose::Kind;
use crate::facts::{Facts, Mailbox};
use crate::ledger::{self, Entry, Key, Status};
use crate::model::{Rollout, State};
use crate::rounds::{self, Round, not_before};
use crate::rows;
use crate::sight::{self, Concerned};
use directory::AccountId;
use platform::clock::Timestamp;
use platform::params;
use platform::random::Random;
use platform::store::{StoreError, Tx};
use policy::admin::Author;
use policy::{Scope, Stage, Zone};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Letters written in one transaction.
const WRITTEN_AT_ONCE: usize = 200;
/// Digests written in one transaction; each may name many mailboxes.
const DIGESTS_AT_ONCE: usize = 20;
/// Mailboxes named in a digest; the rest is counted.
const DIGEST_MAX: usize = 200;
/// Rounds that operators ask for are numbered from here.
const BY_HAND: i64 = 1000;
/// Accounts of an audience.
const AUDIENCE_PAGE: i64 = 500;
/// Random bytes in the address that ends a newsletter.
const SUBSCRIPTION_BYTES: usize = 18;
/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 3600 * 1000;

/// An account of the audience.
type Reader = (AccountId, String);

impl Rollouts {
    /// Writes a round of letters now, whatever the plan says; gives how many.
    ///
    /// # Errors
    /// `Invalid` where it does not run; `Missing`, `Store`.
    pub async fn round_now(&self, slug: &str, author: Author) -> Result<usize, RolloutError> {
        let kept = self.get(slug).await?;
        if kept.state != State::Running {
            return Err(RolloutError::Invalid(format!(
                "rollout {slug} is {}; rounds go out while it runs",
                kept.state.word()
            )));
        }
        let wanted = slug.to_owned();
        let written = self
            .store
            .read(move |tx: &mut dyn Tx| ledger::rounds(tx, &wanted))
            .await?;
        let number = written
            .iter()
            .max()
            .map_or(BY_HAND, |n| (n + 1).max(BY_HAND));
        let letters = self.write_round(&kept.rollout, number, author.now).await?;
        let slug = slug.to_owned();
        self.store
            .write(move |tx: &mut dyn Tx| rows::note(tx, &slug, "round by hand", &author))
            .await?;
        Ok(letters)
    }

    /// Writes every round that is due; gives how many letters.
    ///
    /// # Errors
    /// `Store`, or a damaged rollout.
    pub(crate) async fn write_due(
        &self,
        random: &Random,
        now: Timestamp,
    ) -> Result<usize, RolloutError> {
        let mut letters = 0;
        for kept in self.list().await? {
            if !matches!(kept.state, State::Announced | State::Running) {
                continue;
            }
            let slug = kept.rollout.slug.clone();
            let written = self
                .store
                .read(move |tx: &mut dyn Tx| ledger::rounds(tx, &slug))
                .await?;
            let zone = self.policies.snapshot().zone().clone();
            let (due, late) = rounds::due(&kept.rollout, kept.state, &written, &zone, now);
            for Round { number, .. } in late {
                self.end_round(&kept.rollout.slug, number, 0, now).await?;
            }
            for Round { number, .. } in due {
                letters += match number {
                    0 => self.write_newsletter(&kept.rollout, random, now).await?,
                    _ => self.write_round(&kept.rollout, number, now).await?,
                };
            }
        }
        Ok(letters)
    }

    async fn end_round(
        &self,
        slug: &str,
        round: i64,
        letters: usize,
        now: Timestamp,
    ) -> Result<(), RolloutError> {
        let slug = slug.to_owned();
        let letters = i64::try_from(letters).unwrap_or(i64::MAX);
        let ended = self
            .store
            .write(move |tx: &mut dyn Tx| ledger::end_round(tx, &slug, round, letters, now));
        Ok(ended.await?)
    }

    /// Round 0: everybody of the audience who did not end the newsletter.
    async fn write_newsletter(
        &self,
        rollout: &Rollout,
        random: &Random,
        now: Timestamp,
    ) -> Result<usize, RolloutError> {
        let audience = rollout.clone();
        let scopes = self
            .store
            .read(move |tx: &mut dyn Tx| scopes(tx, &audience))
            .await?;
        let mut letters = 0;
        for scope in scopes {
            let mut after = AccountId(0);
            loop {
                let wanted = scope.clone();
                let page = self
                    .store
                    .read(move |tx: &mut dyn Tx| readers(tx, &wanted, after))
                    .await?;
                let Some((last, _)) = page.last() else { break };
                after = *last;
                let tokens: Arc<[String]> = page.iter().map(|_| token(random)).collect();
                let (page, slug) = (Arc::new(page), rollout.slug.clone());
                letters += self
                    .store
                    .write(move |tx: &mut dyn Tx| newsletter_page(tx, &slug, &page, &tokens, now))
                    .await?;
            }
        }
        self.end_round(&rollout.slug, 0, letters, now).await?;
        Ok(letters)
    }

    /// A round: those it concerns now, thanks to those it no longer concerns, digests to domains' contacts.
    async fn write_round(
        &self,
        rollout: &Rollout,
        number: i64,
        now: Timestamp,
    ) -> Result<usize, RolloutError> {
        let concerned = self.concerned(&rollout.slug, now).await?;
        let zone = self.policies.snapshot().zone().clone();
        let mut letters = 0;
        for batch in concerned.chunks(WRITTEN_AT_ONCE) {
            let batch: Arc<[Concerned]> = batch.into();
            let (slug, zone) = (rollout.slug.clone(), zone.clone());
            letters += self
                .store
                .write(move |tx: &mut dyn Tx| {
                    let mut letters = 0;
                    for one in batch.iter() {
                        letters += usize::from(round_letter(tx, &slug, number, one, &zone, now)?);
                    }
                    Ok::<_, StoreError>(letters)
                })
                .await?;
        }
        letters += self.write_thanks(rollout, number, &concerned, now).await?;
        letters += self
            .write_digests(&rollout.slug, number, &concerned, now)
            .await?;
        self.end_round(&rollout.slug, number, letters, now).await?;
        Ok(letters)
    }

    async fn write_thanks(
        &self,
        rollout: &Rollout,
        number: i64,
        concerned: &[Concerned],
        now: Timestamp,
    ) -> Result<usize, RolloutError> {
        let still: HashSet<_> = concerned.iter().map(|one| one.account).collect();
        let zone = self.policies.snapshot().zone().clone();
        let slug = rollout.slug.clone();
        let open = self
            .store
            .read(move |tx: &mut dyn Tx| ledger::unthanked(tx, &slug))
            .await?;
        let open: Vec<_> = open
            .into_iter()
            .filter(|(account, ..)| !still.contains(account))
            .collect();
        let mut letters = 0;
        for batch in open.chunks(WRITTEN_AT_ONCE) {
            let batch: Arc<[(AccountId, String, Timestamp)]> = batch.into();
            let (rollout, zone) = (rollout.clone(), zone.clone());
            let snapshot = self.policies.snapshot();
            letters += self
                .store
                .write(move |tx: &mut dyn Tx| {
                    let mut letters = 0;
                    for (account, login, since) in batch.iter() {
                        let since = since.0.div_euclid(DAY_MS);
                        if !sight::is_mended(tx, &rollout, *account, since, (&snapshot, now))? {
                            continue;
                        }
                        ledger::supersede(tx, &rollout.slug, *account, number, now)?;
                        let key = (rollout.slug.as_str(), number, Kind::Thanks);
                        let mut entry =
                            Entry::to_account(key, *account, login, Facts::default(), now);
                        entry.due_at = not_before(ledger::latest(tx, *account)?, &zone, now);
                        letters += usize::from(ledger::put(tx, &entry)?);
                    }
                    Ok::<_, StoreError>(letters)
                })
                .await?;
        }
        Ok(letters)
    }

    /// One letter to the contact of each domain, listing all its mailboxes (S1-33).
    async fn write_digests(
        &self,
        slug: &str,
        number: i64,
        concerned: &[Concerned],
        now: Timestamp,
    ) -> Result<usize, RolloutError> {
        let mut domains: BTreeMap<Arc<str>, Vec<&Concerned>> = BTreeMap::new();
        for one in concerned {
            domains.entry(one.domain.clone()).or_default().push(one);
        }
        let domains: Vec<_> = domains.into_iter().collect();
        let mut letters = 0;
        for batch in domains.chunks(DIGESTS_AT_ONCE) {
            let digests: Arc<[(Arc<str>, Facts)]> = batch
                .iter()
                .map(|(domain, of_domain)| (domain.clone(), digest(of_domain)))
                .collect();
            let slug = slug.to_owned();
            letters += self
                .store
                .write(move |tx: &mut dyn Tx| {
                    let mut letters = 0;
                    for (domain, facts) in digests.iter() {
                        letters += usize::from(put_digest(tx, &slug, number, domain, facts, now)?);
                    }
                    Ok::<_, StoreError>(letters)
                })
                .await?;
        }
        Ok(letters)
    }

    /// While a measure warns, whoever it was seen of today gets a letter, at most one a week (S2-22).
    pub(crate) async fn write_nudges(&self, now: Timestamp) -> Result<usize, RolloutError> {
        let zone = self.policies.snapshot().zone().clone();
        let today = now.0.div_euclid(DAY_MS);
        let mut letters = 0;
        for kept in self.list().await? {
            let rollout = &kept.rollout;
            if kept.state != State::Running {
                continue;
            }
            let warned = warned(rollout, &zone, now);
            if warned.is_empty() {
                continue;
            }
            let mut concerned = self.concerned(&rollout.slug, now).await?;
            for one in &mut concerned {
                one.seen
                    .retain(|seen| seen.last_day == today && warned.contains(&seen.measure));
            }
            concerned.retain(|one| !one.seen.is_empty());
            for batch in concerned.chunks(WRITTEN_AT_ONCE) {
                let batch: Arc<[Concerned]> = batch.into();
                let (slug, zone) = (rollout.slug.clone(), zone.clone());
                letters += self
                    .store
                    .write(move |tx: &mut dyn Tx| {
                        let mut letters = 0;
                        for one in batch.iter() {
                            letters += usize::from(nudge(tx, &slug, today, one, &zone, now)?);
                        }
                        Ok::<_, StoreError>(letters)
                    })
                    .await?;
            }
        }
        Ok(letters)
    }

    /// Who was secure and is not any more hears of it the same day (S2-18).
    pub(crate) async fn write_regressions(&self, now: Timestamp) -> Result<usize, RolloutError> {
        let today = now.0.div_euclid(DAY_MS);
        let written = self
            .store
            .write(move |tx: &mut dyn Tx| {
                let mut letters = 0;
                for one in policy::regression::untold(tx, today - 1, WRITTEN_AT_ONCE as u32)? {
                    let measure = match one.manner.encryption {
                        policy::Encryption::Clear => policy::Measure::Cleartext(one.manner.service),
                        _ => policy::Measure::TlsVersion(one.manner.service),
                    };
                    let facts = Facts {
                        seen: vec![sight::of_manner(&one.manner, measure, one.day)],
                        ..Facts::default()
                    };
                    let key = ("", one.day, Kind::Regression);
                    let entry = Entry::to_account(key, one.account, &one.login, facts, now);
                    letters += usize::from(ledger::put(tx, &entry)?);
                    policy::regression::told(tx, one.account, now)?;
                }
                Ok::<_, StoreError>(letters)
            })
            .await?;
        Ok(written)
    }

    /// Ends the newsletter for whoever holds `token`; `false` where nobody does. Once more changes nothing.
    ///
    /// # Errors
    /// `Store`.
    pub async fn unsubscribe(&self, token: &str, now: Timestamp) -> Result<bool, RolloutError> {
        if token.len() > 64 || !token.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Ok(false);
        }
        let token = token.to_owned();
        let ended = self
            .store
            .write(move |tx: &mut dyn Tx| {
                tx.execute(
                    "UPDATE rollout_subscriptions SET ended_at = COALESCE(ended_at, ?2) WHERE token = ?1",
                    params![&token, now.0],
                )
            })
            .await?;
        Ok(ended > 0)
    }
}

/// The measures whose public steps have come to a warning now.
fn warned(rollout: &Rollout, zone: &Zone, now: Timestamp) -> Vec<String> {
    let mut warned = Vec::new();
    for (measure, steps) in crate::check::by_measure(rollout) {
        let passed = steps.iter().rev().find(|step| {
            let at = step.date.to_string().parse();
            at.is_ok_and(|at| zone.beginning(at) <= now)
        });
        let is_public =
            |step: &crate::model::Step| step.visibility == crate::model::Visibility::Public;
        if passed.is_some_and(|step| step.stage == Stage::Warn && is_public(step)) {
            warned.push(measure.to_string());
        }
    }
    warned
}

/// The accounts of a scope that are in use, after `after`.
fn readers(tx: &mut dyn Tx, scope: &Scope, after: AccountId) -> Result<Vec<Reader>, StoreError> {
    let (group, domain, account) = match scope {
        Scope::Installation => ("", "", 0),
        Scope::Group(name) => (name.as_str(), "", 0),
        Scope::Domain(name) => ("", name.as_str(), 0),
        Scope::Account(account) => ("", "", account.0),
    };
    tx.all(
        "SELECT a.account, a.local, a.domain FROM directory_accounts a \
         LEFT JOIN directory_domains d ON d.domain = a.domain \
         WHERE a.account > ?1 AND (?2 = '' OR COALESCE(a.group_name, d.group_name) = ?2) \
         AND (?3 = '' OR a.domain = ?3) AND (?4 = 0 OR a.account = ?4) \
         AND NOT EXISTS (SELECT 1 FROM rollout_subscriptions s WHERE s.account = a.account \
                         AND s.ended_at IS NOT NULL) \
         ORDER BY a.account LIMIT ?5",
        params![after.0, group, domain, account, AUDIENCE_PAGE],
        |row| {
            let login = format!("{}@{}", row.text(1)?, row.text(2)?);
            Ok((AccountId(row.int(0)?), login))
        },
    )
}

/// An opaque name for a subscription.
fn token(random: &Random) -> String {
    let mut bytes = [0; SUBSCRIPTION_BYTES];
    random.fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn newsletter_page(
    tx: &mut dyn Tx,
    slug: &str,
    page: &[Reader],
    tokens: &[String],
    now: Timestamp,
) -> Result<usize, StoreError> {
    let mut letters = 0;
    for ((account, login), token) in page.iter().zip(tokens) {
        tx.execute(
            "INSERT INTO rollout_subscriptions (token, account, ended_at) SELECT ?1, ?2, NULL \
             WHERE EXISTS (SELECT 1 FROM directory_accounts WHERE account = ?2) \
             ON CONFLICT (account) DO NOTHING",
            params![token, account.0],
        )?;
        let key = (slug, 0, Kind::Newsletter);
        let entry = Entry::to_account(key, *account, login, Facts::default(), now);
        letters += usize::from(ledger::put(tx, &entry)?);
    }
    Ok(letters)
}

/// The name of an account's subscription, where it did not end it.
pub(crate) fn subscription(
    tx: &mut dyn Tx,
    account: AccountId,
) -> Result<Option<String>, StoreError> {
    tx.one(
        "SELECT token FROM rollout_subscriptions WHERE account = ?1 AND ended_at IS NULL",
        params![account.0],
        |row| Ok(row.text(0)?.to_owned()),
    )
}

fn round_letter(
    tx: &mut dyn Tx,
    slug: &str,
    number: i64,
    one: &Concerned,
    zone: &Zone,
    now: Timestamp,
) -> Result<bool, StoreError> {
    ledger::supersede(tx, slug, one.account, number, now)?;
    let facts = Facts {
        seen: one.seen.clone(),
        ..Facts::default()
    };
    let key = (slug, number, Kind::Round);
    let mut entry = Entry::to_account(key, one.account, &one.login, facts, now);
    entry.due_at = not_before(ledger::latest(tx, one.account)?, zone, now);
    ledger::put(tx, &entry)
}

fn nudge(
    tx: &mut dyn Tx,
    slug: &str,
    today: i64,
    one: &Concerned,
    zone: &Zone,
    now: Timestamp,
) -> Result<bool, StoreError> {
    // A nudge follows on a login; one that has to wait is worth nothing.
    if not_before(ledger::latest(tx, one.account)?, zone, now) > now {
        return Ok(false);
    }
    let facts = Facts {
        seen: one.seen.clone(),
        ..Facts::default()
    };
    let key = (slug, today, Kind::Nudge);
    let entry = Entry::to_account(key, one.account, &one.login, facts, now);
    ledger::put(tx, &entry)
}

fn digest(of_domain: &[&Concerned]) -> Facts {
    let mailboxes = of_domain.iter().take(DIGEST_MAX).map(|one| Mailbox {
        account: one.login.clone(),
        seen: one.seen.clone(),
    });
    Facts {
        mailboxes: mailboxes.collect(),
        count: of_domain.len(),
        ..Facts::default()
    }
}

fn put_digest(
    tx: &mut dyn Tx,
    slug: &str,
    number: i64,
    domain: &str,
    facts: &Facts,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let contact = tx.one(
        "SELECT contact FROM directory_domains WHERE domain = ?1",
        params![domain],
        |row| Ok(row.maybe_text(0)?.map(str::to_owned)),
    )?;
    let Some(contact) = contact.flatten() else {
        return Ok(false);
    };
    // Whose own mailbox is the only one has a letter about it already.
    if matches!(&facts.mailboxes[..], [one] if one.account.eq_ignore_ascii_case(&contact)) {
        return Ok(false);
    }
    let entry = Entry {
        key: Key {
            slug: slug.to_owned(),
            round: number,
            kind: Kind::Digest,
            recipient: domain.to_owned(),
        },
        account: None,
        domain: domain.to_owned(),
        address: contact,
        token: 0,
        facts: facts.clone(),
        written_at: now,
        due_at: now,
        status: Status::Written,
        status_at: now,
        reply: String::new(),
    };
    ledger::put(tx, &entry)
}
