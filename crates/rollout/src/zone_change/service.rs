//! The handle that plans, carries out and takes back changes of records. A step is done in the zone first and
//! written down after it: whoever is cut off between finds the record changed already and goes on.

use super::rows;
use super::{Act, Change, Hand, SHORT_TTL_SECONDS, State, next};
use platform::clock::Timestamp;
use platform::dns::update::{RecordKind, UpdateError, ZoneRecord};
use platform::store::{Store, StoreError, Tx};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// A change of a record, under way.
pub type Published<'a> = Pin<Box<dyn Future<Output = Result<(), UpdateError>> + Send + 'a>>;
/// A look at a record: its text, or why it could not be seen.
pub type Seen<'a> = Pin<Box<dyn Future<Output = Result<Option<String>, String>> + Send + 'a>>;

/// What is in a zone, or why it could not be seen.
pub type Held<'a> = Pin<Box<dyn Future<Output = Result<ZoneRecord, String>> + Send + 'a>>;

/// Changes zones, and looks at them.
pub trait Publisher: Send + Sync {
    /// Who changes the zone that `owner` is in.
    fn hand(&self, owner: &str) -> Hand;

    /// Puts `after` in the place of `before`; see `platform::dns::update`.
    fn replace<'a>(
        &'a self,
        owner: &'a str,
        before: &'a ZoneRecord,
        after: &'a ZoneRecord,
    ) -> Published<'a>;

    /// What the zone holds at `owner`, with its own time to live where this program changes the zone; of TXT records the
    /// one that begins with `start`. No memory of it is asked.
    fn held<'a>(&'a self, owner: &'a str, kind: RecordKind, start: &'a str) -> Held<'a>;

    /// What is at `owner`, as the world sees it; of TXT records the one that begins with `start`.
    fn look<'a>(&'a self, owner: &'a str, kind: RecordKind, start: &'a str) -> Seen<'a>;
}

/// A change to plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewChange {
    /// The hosted domain it is for, or the host name where it is about one of the server's own.
    pub domain: String,
    /// The record's name.
    pub owner: String,
    /// What is there now.
    pub before: ZoneRecord,
    /// What shall be there.
    pub after: ZoneRecord,
    /// When.
    pub at: Timestamp,
    /// Who plans it.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// Why a change was not planned or taken back.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ZoneChangeError {
    /// There is no such change.
    #[error("{domain} has no change {id}")]
    Missing {
        /// The domain.
        domain: String,
        /// The number.
        id: i64,
    },
    /// Another change of the same record is still under way.
    #[error(
        "{owner} has change {id} under way; call it off first: {}",
        way_back(owner, domain)
    )]
    UnderWay {
        /// The record.
        owner: String,
        /// The domain.
        domain: String,
        /// The other change.
        id: i64,
    },
    /// Nothing is to be taken back.
    #[error("change {id} of {domain} is {state}: there is nothing to take back")]
    Over {
        /// The domain.
        domain: String,
        /// The number.
        id: i64,
        /// Its state.
        state: &'static str,
    },
    /// It went on while it was taken back.
    #[error("change {id} of {domain} has just gone on; look at it and take it back again")]
    Meanwhile {
        /// The domain.
        domain: String,
        /// The number.
        id: i64,
    },
    /// The zone could not be changed.
    #[error(transparent)]
    Update(#[from] UpdateError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The command that takes changes of a record back.
fn way_back(owner: &str, domain: &str) -> String {
    match owner.starts_with("_dmarc.") {
        true => format!("rohrpost dmarc rollback {domain}"),
        false => "rohrpost legacy dns --rollback".to_owned(),
    }
}

/// Plans and carries out changes of records. Cheap to clone.
#[derive(Clone)]
pub struct ZoneChanges {
    store: Store,
    publisher: Arc<dyn Publisher>,
}

impl ZoneChanges {
    /// Changes kept in `store` and carried out by `publisher`.
    pub fn new(store: Store, publisher: Arc<dyn Publisher>) -> Self {
        Self { store, publisher }
    }

    /// Who changes the zone that `owner` is in.
    pub fn hand(&self, owner: &str) -> Hand {
        self.publisher.hand(owner)
    }

    /// What the zone holds at `owner`, which a change is planned from; of TXT records the one that begins with `start`.
    ///
    /// # Errors
    /// In words, where nobody could say.
    pub async fn held(
        &self,
        owner: &str,
        kind: RecordKind,
        start: &str,
    ) -> Result<ZoneRecord, String> {
        self.publisher.held(owner, kind, start).await
    }

    /// Plans a change; gives its number. Nothing is changed before the date but the time to live.
    ///
    /// # Errors
    /// `UnderWay` where the record has another change that is not settled.
    pub async fn plan(&self, new: NewChange) -> Result<i64, ZoneChangeError> {
        let change = Change {
            id: 0,
            domain: new.domain,
            owner: new.owner,
            before: new.before,
            after: new.after,
            at: new.at,
            state: State::Planned,
            trouble: String::new(),
            by: new.by,
            reason: new.reason,
        };
        self.store
            .write(move |tx: &mut dyn Tx| {
                let all = rows::list(tx, &change.domain)?;
                let same = |other: &&Change| {
                    let of_it =
                        other.owner == change.owner && other.before.kind == change.before.kind;
                    of_it && other.state.is_open()
                };
                if let Some(other) = all.iter().find(same) {
                    return Err(ZoneChangeError::UnderWay {
                        owner: change.owner.clone(),
                        domain: change.domain.clone(),
                        id: other.id,
                    });
                }
                Ok(rows::add(tx, &change)?)
            })
            .await
    }

    /// The changes of a domain, newest first; of all where `domain` is empty.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn list(&self, domain: &str) -> Result<Vec<Change>, StoreError> {
        let domain = domain.to_owned();
        self.store.read(move |tx| rows::list(tx, &domain)).await
    }

    /// The changes with something still to come, of all domains.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn open(&self) -> Result<Vec<Change>, StoreError> {
        self.store.read(rows::open).await
    }

    /// Does what is due. What fails is noted and tried again at the next call.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn tick(&self, now: Timestamp) -> Result<(), StoreError> {
        for change in self.open().await? {
            let act = next(&change, self.publisher.hand(&change.owner), now);
            let (state, trouble) = match act {
                Act::Wait => continue,
                Act::Look => self.look(&change).await,
                Act::Shorten => {
                    let short = short(&change.before);
                    self.step(&change, &change.before, &short, State::Shortened)
                        .await
                }
                Act::Publish => {
                    let new = short(&change.after);
                    self.step(&change, &change.before, &new, State::Published)
                        .await
                }
                Act::Settle => {
                    self.step(&change, &change.after, &change.after, State::Settled)
                        .await
                }
            };
            if state == change.state && trouble == change.trouble {
                continue;
            }
            tracing::info!(
                domain = change.domain,
                owner = change.owner,
                change = change.id,
                state = state.word(),
                trouble,
                "zone.change"
            );
            let of = change.clone();
            let noted = self
                .store
                .write(move |tx: &mut dyn Tx| rows::advance(tx, &of, state, &trouble))
                .await?;
            if !noted && state == State::Published {
                self.undo_if_taken_back(&change).await?;
            }
        }
        Ok(())
    }

    /// The new record was put in its place while somebody called the change off: the old one comes again.
    async fn undo_if_taken_back(&self, change: &Change) -> Result<(), StoreError> {
        let all = self.list(&change.domain).await?;
        let known = all.iter().find(|known| known.id == change.id);
        let taken_back =
            |known: &Change| matches!(known.state, State::Cancelled | State::RolledBack);
        if known.is_some_and(taken_back)
            && let Err(error) = self.replace(change, &change.after, &change.before).await
        {
            tracing::error!(
                domain = change.domain,
                owner = change.owner,
                change = change.id,
                %error,
                "zone.change_not_undone"
            );
        }
        Ok(())
    }

    /// Takes a change back: before its date it is called off, after it the old record comes again.
    ///
    /// # Errors
    /// `Missing`, `Over`, and those of the zone: then nothing was changed.
    pub async fn roll_back(&self, domain: &str, id: i64) -> Result<Change, ZoneChangeError> {
        let all = self.list(domain).await?;
        let missing = || ZoneChangeError::Missing {
            domain: domain.to_owned(),
            id,
        };
        let mut change = all.into_iter().find(|c| c.id == id).ok_or_else(missing)?;
        let state = match change.state {
            State::Planned => State::Cancelled,
            State::Shortened => {
                self.replace(&change, &change.before, &change.before)
                    .await?;
                State::Cancelled
            }
            State::Published | State::Settled => {
                if self.publisher.hand(&change.owner) == Hand::Ours {
                    self.replace(&change, &change.after, &change.before).await?;
                }
                State::RolledBack
            }
            State::RolledBack | State::Cancelled | State::Overtaken => {
                return Err(ZoneChangeError::Over {
                    domain: domain.to_owned(),
                    id,
                    state: change.state.word(),
                });
            }
        };
        let noted = change.clone();
        let is_noted = self
            .store
            .write(move |tx: &mut dyn Tx| rows::advance(tx, &noted, state, ""))
            .await?;
        if !is_noted {
            return Err(ZoneChangeError::Meanwhile {
                domain: domain.to_owned(),
                id,
            });
        }
        change.state = state;
        Ok(change)
    }

    async fn replace(
        &self,
        change: &Change,
        before: &ZoneRecord,
        after: &ZoneRecord,
    ) -> Result<(), UpdateError> {
        self.publisher.replace(&change.owner, before, after).await
    }

    /// One step in the zone: the state after it, and what went wrong.
    async fn step(
        &self,
        change: &Change,
        before: &ZoneRecord,
        after: &ZoneRecord,
        state: State,
    ) -> (State, String) {
        match self.replace(change, before, after).await {
            Ok(()) => (state, String::new()),
            Err(UpdateError::Changed) => {
                // Ours, by a run that was cut off before it was written down?
                match self.replace(change, after, after).await {
                    Ok(()) => (state, String::new()),
                    Err(error @ UpdateError::Changed) => (State::Overtaken, error.to_string()),
                    Err(error) => (change.state, error.to_string()),
                }
            }
            Err(error) => (change.state, error.to_string()),
        }
    }

    /// Whether people have done it.
    async fn look(&self, change: &Change) -> (State, String) {
        let wanted = change.after.text.as_deref();
        let start = wanted.or(change.before.text.as_deref()).unwrap_or_default();
        let start: String = start
            .chars()
            .take_while(|c| *c != ';' && *c != ' ')
            .collect();
        let kind = change.before.kind;
        match self.publisher.look(&change.owner, kind, &start).await {
            Ok(seen) if seen.as_deref() == wanted => (State::Settled, String::new()),
            Ok(_) => (
                change.state,
                "the date has come, and the zone does not hold the new record yet".to_owned(),
            ),
            Err(why) => (change.state, why),
        }
    }
}

/// The same record with a short time to live.
fn short(record: &ZoneRecord) -> ZoneRecord {
    ZoneRecord {
        ttl_seconds: record.ttl_seconds.min(SHORT_TTL_SECONDS),
        ..record.clone()
    }
}

/// Forgets the changes of a domain that goes; what is in its zone stays.
///
/// # Errors
/// Those of the store.
pub fn remove_domain(tx: &mut dyn Tx, domain: &str) -> Result<(), StoreError> {
    rows::remove_domain(tx, domain)
}
