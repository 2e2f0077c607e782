//! Changes keys: makes them, looks whether DNS shows them, moves them through their life, removes them. Called by
//! the CLI and by the node's chores; signing itself only reads. Each change is one transaction.

use crate::SigningError;
use crate::key::{Algorithm, RsaSize, SigningKey};
use crate::lifecycle::{self, Another, KEPT_PUBLISHED, KeyState, LifeFacts, Publication};
use crate::record::KeyRecord;
use crate::rows::{self, KeyRow};
use crate::selector::{self, Naming};
use crate::service::Signing;
use platform::clock::Timestamp;
use platform::dns::Outcome;
use platform::store::{Store, StoreError, Tx};
use std::time::Duration;

/// How often a key that waits for its record is looked up.
const WAITING_CHECK: Duration = Duration::from_secs(10 * 60);
/// How often a key that signs is looked up.
const ACTIVE_CHECK: Duration = Duration::from_secs(86_400);
/// Domains looked at in one go by the chore.
const DUE_AT_ONCE: i64 = 200;
/// Keys read in one transaction by `list`.
const PAGE_KEYS: i64 = 500;

/// When a new key begins to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Begin {
    /// When its record was seen in DNS, and the key it replaces was not needed any longer.
    #[default]
    WhenSeen,
    /// At once, whatever DNS shows. Receivers that find no record treat the mail as unsigned.
    Now,
}

/// How new keys are to be.
#[derive(Debug, Clone, Copy, Default)]
pub struct NewKeys {
    /// Size of the RSA key.
    pub rsa: RsaSize,
    /// How they are named; `None` as those that are there.
    pub naming: Option<Naming>,
    /// When they begin to sign.
    pub begin: Begin,
}

/// What a look at DNS found and changed for one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The key afterwards.
    pub key: KeyRow,
    /// Its state before.
    pub before: KeyState,
    /// What DNS had shown before.
    pub publication_before: Publication,
}

/// Changes the keys of an installation.
pub struct Keyring<'s> {
    signing: &'s Signing,
}

impl KeyRow {
    /// The record to publish.
    pub fn record(&self) -> KeyRecord {
        KeyRecord {
            selector: self.selector.clone(),
            domain: self.domain.clone(),
            algorithm: self.algorithm,
            public_key: self.public_key.clone(),
        }
    }
}

impl<'s> Keyring<'s> {
    pub(crate) fn new(signing: &'s Signing) -> Self {
        Self { signing }
    }

    /// Makes a first pair of keys for `domain`.
    ///
    /// # Errors
    /// `Refused` where the domain has keys in use already.
    pub async fn add(&self, domain: &str, new: NewKeys) -> Result<Vec<KeyRow>, SigningError> {
        let there = self.of_domain(domain).await?;
        if there.iter().any(|key| key.state < KeyState::Retiring) {
            return Err(SigningError::Refused(format!(
                "{domain} has DKIM keys already; `rohrpost dkim show {domain}` shows them, \
                 `rohrpost dkim rotate {domain}` makes new ones"
            )));
        }
        self.make_pair(domain, new, &there).await
    }

    /// Makes the pair of keys that will replace those that sign. Where such a pair waits already, gives that one.
    ///
    /// # Errors
    /// `Refused` where both fixed pairs of selectors are in use.
    pub async fn rotate(&self, domain: &str, new: NewKeys) -> Result<Vec<KeyRow>, SigningError> {
        let there = self.of_domain(domain).await?;
        let waiting: Vec<KeyRow> = there
            .iter()
            .filter(|key| matches!(key.state, KeyState::New | KeyState::Published))
            .cloned()
            .collect();
        if waiting.is_empty() {
            return self.make_pair(domain, new, &there).await;
        }
        if new.begin == Begin::Now {
            return self.activate(domain).await;
        }
        Ok(waiting)
    }

    /// Makes the keys that wait sign at once.
    ///
    /// # Errors
    /// `Refused` where none waits.
    pub async fn activate(&self, domain: &str) -> Result<Vec<KeyRow>, SigningError> {
        let (name, now) = (domain.to_owned(), self.signing.clock().now());
        let activated = self.signing.store().write(move |tx: &mut dyn Tx| {
            let mut keys = rows::of_domain(tx, &name)?;
            let mut activated = Vec::new();
            for n in 0..keys.len() {
                if matches!(keys[n].state, KeyState::New | KeyState::Published) {
                    activate(&mut keys, n, now);
                    activated.push(keys[n].clone());
                }
            }
            write_back(tx, &keys)?;
            Ok::<_, StoreError>(activated)
        });
        let activated = activated.await?;
        if activated.is_empty() {
            return Err(SigningError::Refused(format!(
                "no key of {domain} waits; `rohrpost dkim show {domain}` shows those that are there"
            )));
        }
        self.signing.refresh().await?;
        Ok(activated)
    }

    /// All keys of `domain`.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn of_domain(&self, domain: &str) -> Result<Vec<KeyRow>, SigningError> {
        let name = domain.to_owned();
        let read = move |tx: &mut dyn Tx| rows::of_domain(tx, &name);
        Ok(self.signing.store().read(read).await?)
    }

    /// All keys, by domain.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn list(&self) -> Result<Vec<KeyRow>, SigningError> {
        let mut keys: Vec<KeyRow> = Vec::new();
        loop {
            let after = keys
                .last()
                .map(|key| (key.domain.clone(), key.selector.clone()));
            let (domain, selector) = after.unwrap_or_default();
            let read = move |tx: &mut dyn Tx| rows::page(tx, (&domain, &selector), PAGE_KEYS);
            let page = self.signing.store().read(read).await?;
            if page.is_empty() {
                return Ok(keys);
            }
            keys.extend(page);
        }
    }

    /// Removes one key, or with `selector` `None` all keys of `domain`.
    ///
    /// # Errors
    /// `Refused` for a key that signs or whose record must stay, unless `force`d, and for one that is not there.
    pub async fn remove(
        &self,
        domain: &str,
        selector: Option<&str>,
        force: Force,
    ) -> Result<Vec<KeyRow>, SigningError> {
        let mut keys = self.of_domain(domain).await?;
        keys.retain(|key| selector.is_none_or(|wanted| wanted == key.selector));
        if keys.is_empty() {
            return Err(SigningError::Refused(format!(
                "{domain} has no such DKIM key"
            )));
        }
        if force == Force::No
            && let Some(why) = keys.iter().find_map(why_keep)
        {
            return Err(SigningError::Refused(why));
        }
        let gone = keys.clone();
        let write = move |tx: &mut dyn Tx| {
            for key in &gone {
                rows::remove(tx, &key.domain, &key.selector)?;
            }
            Ok::<_, StoreError>(())
        };
        self.signing.store().write(write).await?;
        self.signing.refresh().await?;
        Ok(keys)
    }

    /// Looks at DNS for the keys of `domain` and moves them on.
    ///
    /// # Errors
    /// Those of the store. What DNS does not say is no error; it is in the result.
    pub async fn check(&self, domain: &str) -> Result<Vec<Checked>, SigningError> {
        let mut seen = Vec::new();
        for key in self.of_domain(domain).await? {
            if key.state < KeyState::Retiring {
                let outcome = self.signing.resolver().txt(&key.record().name()).await;
                let ttl = match &outcome {
                    Outcome::Found(answer) => answer.ttl,
                    _ => Duration::ZERO,
                };
                let publication = key.record().judge(&outcome);
                seen.push((key.selector, publication, ttl));
            }
        }
        let (name, now) = (domain.to_owned(), self.signing.clock().now());
        let checked = self.signing.store().write(move |tx: &mut dyn Tx| {
            let mut keys = rows::of_domain(tx, &name)?;
            let before = keys.clone();
            for (selector, publication, ttl) in &seen {
                if let Some(key) = keys.iter_mut().find(|key| key.selector == *selector) {
                    note(key, publication.clone(), *ttl, now);
                }
            }
            for n in 0..keys.len() {
                advance(&mut keys, n, now);
            }
            for key in &keys {
                rows::update(tx, key)?;
            }
            // A look that moved nothing on makes nobody read keys again.
            let moved = |(key, before): (&KeyRow, &KeyRow)| key.state != before.state;
            if keys.iter().zip(&before).any(moved) {
                rows::bump(tx)?;
            }
            let checked = keys.into_iter().zip(before).map(|(key, before)| Checked {
                key,
                before: before.state,
                publication_before: before.publication,
            });
            Ok::<_, StoreError>(checked.collect::<Vec<_>>())
        });
        let checked = checked.await?;
        self.signing.refresh().await?;
        Ok(checked)
    }

    /// Domains with keys that are due for a look.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn due(&self) -> Result<Vec<String>, SigningError> {
        let now = self.signing.clock().now();
        let ago = |by: Duration| {
            Timestamp(
                now.0
                    .saturating_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)),
            )
        };
        let (waiting, active, retired) =
            (ago(WAITING_CHECK), ago(ACTIVE_CHECK), ago(KEPT_PUBLISHED));
        let read = move |tx: &mut dyn Tx| rows::due(tx, waiting, active, retired, DUE_AT_ONCE);
        Ok(self.signing.store().read(read).await?)
    }

    async fn make_pair(
        &self,
        domain: &str,
        new: NewKeys,
        there: &[KeyRow],
    ) -> Result<Vec<KeyRow>, SigningError> {
        let taken: Vec<&str> = there.iter().map(|key| key.selector.as_str()).collect();
        let now = self.signing.clock().now();
        let naming = new.naming.unwrap_or_else(|| selector::naming_of(&taken));
        let Some(selectors) = selector::next_pair(naming, &taken, now) else {
            return Err(SigningError::Refused(format!(
                "both pairs of fixed selectors of {domain} are in use; remove the retired pair first \
                 (`rohrpost dkim show {domain}` says from when on)"
            )));
        };
        let mut pair = Vec::new();
        for (algorithm, selector) in selector::PAIR.into_iter().zip(selectors) {
            pair.push(self.make(domain, selector, algorithm, new.rsa, now).await?);
        }
        let begin = new.begin;
        let made = self.signing.store().write(move |tx: &mut dyn Tx| {
            for (key, sealed) in &pair {
                rows::insert(tx, key, sealed)?;
            }
            let names: Vec<_> = pair.iter().map(|(key, _)| key.selector.clone()).collect();
            let domain = pair
                .first()
                .map(|(key, _)| key.domain.clone())
                .unwrap_or_default();
            let mut keys = rows::of_domain(tx, &domain)?;
            if begin == Begin::Now {
                for n in 0..keys.len() {
                    if names.contains(&keys[n].selector) {
                        activate(&mut keys, n, now);
                    }
                }
                write_back(tx, &keys)?;
            }
            keys.retain(|key| names.contains(&key.selector));
            Ok::<_, StoreError>(keys)
        });
        let made = match made.await {
            Err(StoreError::Exists(_)) => {
                return Err(SigningError::Refused(format!(
                    "keys of {domain} were made by somebody else at this moment; `rohrpost dkim show {domain}` \
                     shows them"
                )));
            }
            made => made?,
        };
        self.signing.refresh().await?;
        Ok(made)
    }

    /// A key and its sealed form. Making one takes a tenth of a second, so it is not done on the runtime's threads.
    async fn make(
        &self,
        domain: &str,
        selector: String,
        algorithm: Algorithm,
        size: RsaSize,
        now: Timestamp,
    ) -> Result<(KeyRow, Vec<u8>), SigningError> {
        let made = tokio::task::spawn_blocking(move || SigningKey::generate(algorithm, size)).await;
        let key = made.map_err(|_| SigningError::Crypto)??;
        let sealed = self.signing.seal_key(&key, domain, &selector)?;
        let row = KeyRow {
            domain: domain.to_owned(),
            selector,
            algorithm,
            state: KeyState::New,
            public_key: key.public_bytes()?,
            created: now,
            seen: None,
            activated: None,
            retired: None,
            checked: None,
            publication: Publication::Unknown(String::new()),
        };
        Ok((row, sealed))
    }
}

/// Forgets every key of the store and the secret they were sealed with, which is lost: the next `Signing::open`
/// takes whatever secret it is given. Gives the number of keys.
///
/// # Errors
/// Those of the store.
pub async fn forget_all(store: &Store) -> Result<u64, SigningError> {
    Ok(store.write(|tx: &mut dyn Tx| rows::forget_all(tx)).await?)
}

/// Whether a key is removed although it signs or its record must stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Force {
    /// No.
    No,
    /// Yes: for a key that leaked, and for a domain that is gone.
    Yes,
}

fn why_keep(key: &KeyRow) -> Option<String> {
    let name = key.record().name();
    match key.state {
        KeyState::Active => Some(format!(
            "{name} signs; `rohrpost dkim rotate {}` replaces it, --force removes it all the same",
            key.domain
        )),
        KeyState::Retiring => Some(format!(
            "{name} stopped signing less than {} days ago; mail under way needs its record. --force removes it \
             all the same",
            KEPT_PUBLISHED.as_secs() / 86_400
        )),
        _ => None,
    }
}

/// Writes down what DNS showed.
fn note(key: &mut KeyRow, publication: Publication, ttl: Duration, now: Timestamp) {
    match &publication {
        Publication::Seen => {
            let since = key.seen.map_or(now, |(since, _)| since);
            key.seen = Some((since, ttl));
        }
        Publication::Absent | Publication::Differs(_) => key.seen = None,
        Publication::Unknown(_) => {}
    }
    key.checked = Some(now);
    key.publication = publication;
}

/// Moves the `n`th key on as far as it goes.
fn advance(keys: &mut [KeyRow], n: usize, now: Timestamp) {
    let Some(key) = keys.get(n) else { return };
    let signs = |other: &KeyRow| {
        other.state == KeyState::Active
            && other.algorithm == key.algorithm
            && other.selector != key.selector
    };
    let facts = LifeFacts {
        state: key.state,
        publication: key.publication.clone(),
        seen: key.seen,
        retired: key.retired,
        another_signs: if keys.iter().any(signs) {
            Another::Signs
        } else {
            Another::None
        },
    };
    match lifecycle::next(&facts, now) {
        Some(KeyState::Active) => activate(keys, n, now),
        Some(state) => {
            if let Some(key) = keys.get_mut(n) {
                key.state = state;
            }
        }
        None => {}
    }
}

/// The `n`th key signs from now on, and no other with its algorithm.
fn activate(keys: &mut [KeyRow], n: usize, now: Timestamp) {
    let Some(algorithm) = keys.get(n).map(|key| key.algorithm) else {
        return;
    };
    for (m, key) in keys.iter_mut().enumerate() {
        if m == n {
            key.state = KeyState::Active;
            key.activated = Some(now);
        } else if key.state == KeyState::Active && key.algorithm == algorithm {
            key.state = KeyState::Retiring;
            key.retired = Some(now);
        }
    }
}

fn write_back(tx: &mut dyn Tx, keys: &[KeyRow]) -> Result<(), StoreError> {
    for key in keys {
        rows::update(tx, key)?;
    }
    rows::bump(tx)
}
