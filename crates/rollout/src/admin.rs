//! What operators do with rollouts: make, show, announce, start, pause, resume, roll back, end; and how the
//! provider speaks. Each is one transaction with the settings it makes, its author and reason.

mod own;
mod targets;
mod within;

pub(crate) use within::{proposals, scopes};

use crate::check::{Checked, check};
use crate::ledger::{self, Entry};
use crate::model::{Rollout, State};
use crate::plan::{Pace, Setting};
use crate::preview::{self, Variant};
use crate::rows::{self, Kept, Made, Past};
use crate::sight::{self, Concerned};
use crate::voice::{Voice, Word};
pub use own::{Need, Told};
use platform::clock::Timestamp;
use platform::store::{Store, StoreError, Tx};
use policy::Policies;
use policy::admin::{Author, PolicyError};
use policy::impact::Impact;
use std::collections::HashMap;
use std::sync::Arc;
use within::{because, become_, checked, plan, put, settings, shown};

/// Days that count in the preview of a rollout that does not say.
pub const LOOK_BACK_DAYS: u16 = 90;

/// Why an operation did nothing. The texts are for the person who asked.
#[derive(Debug, thiserror::Error)]
pub enum RolloutError {
    /// What was asked for makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// It does not exist.
    #[error("{0}")]
    Missing(String),
    /// A setting could not be made.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Rollouts. Cheap to clone.
#[derive(Clone)]
pub struct Rollouts {
    pub(crate) store: Store,
    pub(crate) policies: Policies,
    host: Arc<str>,
}

/// What starting a rollout would do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The rollout and its state.
    pub kept: Kept,
    /// What it sets.
    pub settings: Vec<Setting>,
    /// Whom it concerns, per measure.
    pub impacts: Vec<Impact>,
    /// What should be known.
    pub warnings: Vec<String>,
}

/// What becomes of settings when a rollout is taken back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TakenBack {
    /// Settings that are as they were.
    pub restored: Vec<String>,
    /// Settings somebody changed since; they stay.
    pub left: Vec<String>,
}

impl Rollouts {
    /// Rollouts in `store`. `host` is this node's name, which the provider's own words are made of where
    /// nothing is said.
    pub fn new(store: Store, policies: Policies, host: &str) -> Self {
        Self {
            store,
            policies,
            host: host.into(),
        }
    }

    /// What is wrong with a rollout, and what should be known.
    pub fn check(&self, rollout: &Rollout) -> Checked {
        check(rollout)
    }

    /// Keeps a new rollout as a draft; gives warnings.
    ///
    /// # Errors
    /// `Invalid` with every problem; `Invalid` where one with this slug exists; `Missing` where a scope of the
    /// audience does not exist.
    pub async fn create(
        &self,
        rollout: Rollout,
        author: Author,
    ) -> Result<Vec<String>, RolloutError> {
        let warnings = checked(&rollout)?;
        self.store
            .write(move |tx: &mut dyn Tx| {
                match rows::get(tx, &rollout.slug) {
                    Ok(_) => {
                        return Err(RolloutError::Invalid(format!(
                            "rollout {} exists already; `rohrpost rollout update` changes it",
                            rollout.slug
                        )));
                    }
                    Err(RolloutError::Missing(_)) => {}
                    Err(error) => return Err(error),
                }
                scopes(tx, &rollout)?;
                rows::put(tx, &rollout, State::Draft, author.now)?;
                Ok(rows::note(tx, &rollout.slug, "created", &author)?)
            })
            .await?;
        Ok(warnings)
    }

    /// Changes a rollout: everything of a draft and of an announced one; its texts, rounds and evidence at any
    /// time. What was set already is changed by rolling back only.
    ///
    /// # Errors
    /// `Invalid`, `Missing`, `Store`.
    pub async fn update(
        &self,
        rollout: Rollout,
        author: Author,
    ) -> Result<Vec<String>, RolloutError> {
        let warnings = checked(&rollout)?;
        self.store
            .write(move |tx: &mut dyn Tx| {
                let kept = rows::get(tx, &rollout.slug)?;
                let before = &kept.rollout;
                let same = (&before.steps, &before.audience, &before.legacy, before.canary)
                    == (&rollout.steps, &rollout.audience, &rollout.legacy, rollout.canary);
                if !same && !matches!(kept.state, State::Draft | State::Announced) {
                    return Err(RolloutError::Invalid(format!(
                        "rollout {} is {}: its steps, audience and legacy access stand; roll it back and \
                         make another one, or change single settings by `rohrpost policy set`",
                        rollout.slug,
                        kept.state.word()
                    )));
                }
                scopes(tx, &rollout)?;
                rows::put(tx, &rollout, kept.state, author.now)?;
                Ok(rows::note(tx, &rollout.slug, "changed", &author)?)
            })
            .await?;
        Ok(warnings)
    }

    /// Removes a rollout nobody has seen, or one that was taken back.
    ///
    /// # Errors
    /// `Invalid` where it is in another state; `Missing`, `Store`.
    pub async fn remove(&self, slug: &str) -> Result<(), RolloutError> {
        let slug = slug.to_owned();
        self.store
            .write(move |tx: &mut dyn Tx| {
                let kept = rows::get(tx, &slug)?;
                if !matches!(kept.state, State::Draft | State::RolledBack) {
                    return Err(RolloutError::Invalid(format!(
                        "rollout {slug} is {}; only a draft, or one that was rolled back, can be removed",
                        kept.state.word()
                    )));
                }
                Ok(rows::remove(tx, &slug)?)
            })
            .await
    }

    /// Every rollout, newest first.
    ///
    /// # Errors
    /// `Store`.
    pub async fn list(&self) -> Result<Vec<Kept>, RolloutError> {
        self.store.read(|tx: &mut dyn Tx| rows::list(tx)).await
    }

    /// One rollout.
    ///
    /// # Errors
    /// `Missing`, `Store`.
    pub async fn get(&self, slug: &str) -> Result<Kept, RolloutError> {
        let slug = slug.to_owned();
        self.store
            .read(move |tx: &mut dyn Tx| rows::get(tx, &slug))
            .await
    }

    /// What was done with it, oldest first.
    ///
    /// # Errors
    /// `Store`.
    pub async fn history(&self, slug: &str) -> Result<Vec<Past>, RolloutError> {
        let slug = slug.to_owned();
        let read = self
            .store
            .read(move |tx: &mut dyn Tx| rows::history(tx, &slug));
        Ok(read.await?)
    }

    /// What starting it would set, and whom it concerns today.
    ///
    /// # Errors
    /// `Missing`, `Invalid`, `Store`.
    pub async fn plan(&self, slug: &str, now: Timestamp) -> Result<Plan, RolloutError> {
        self.policies.refresh().await?;
        self.policies.watch().flush().await?;
        let (slug, snapshot) = (slug.to_owned(), self.policies.snapshot());
        self.store
            .read(move |tx: &mut dyn Tx| plan(tx, &slug, &snapshot, now))
            .await
    }

    /// The preview alone: whom each measure concerns today.
    ///
    /// # Errors
    /// As `plan`.
    pub async fn impact(&self, slug: &str, now: Timestamp) -> Result<Vec<Impact>, RolloutError> {
        Ok(self.plan(slug, now).await?.impacts)
    }

    /// The accounts it concerns now, each with what was seen of it.
    ///
    /// # Errors
    /// `Missing`, `Store`.
    pub async fn concerned(
        &self,
        slug: &str,
        now: Timestamp,
    ) -> Result<Vec<Concerned>, RolloutError> {
        self.policies.refresh().await?;
        self.policies.watch().flush().await?;
        let (slug, snapshot) = (slug.to_owned(), self.policies.snapshot());
        self.store
            .read(move |tx: &mut dyn Tx| {
                let rollout = rows::get(tx, &slug)?.rollout;
                let scopes = scopes(tx, &rollout)?;
                Ok(sight::concerned(tx, &rollout, &scopes, &snapshot, now)?)
            })
            .await
    }

    /// Makes its page public.
    ///
    /// # Errors
    /// `Invalid` where its state does not allow it; `Missing`, `Store`.
    pub async fn announce(&self, slug: &str, author: Author) -> Result<(), RolloutError> {
        self.go_on(slug, State::Announced, author).await
    }

    /// Ends it: what it set stays, no more letters go out.
    ///
    /// # Errors
    /// As `announce`.
    pub async fn end(&self, slug: &str, author: Author) -> Result<(), RolloutError> {
        self.go_on(slug, State::Done, author).await
    }

    async fn go_on(&self, slug: &str, to: State, author: Author) -> Result<(), RolloutError> {
        let slug = slug.to_owned();
        self.store
            .write(move |tx: &mut dyn Tx| become_(tx, &slug, to, &author).map(drop))
            .await
    }

    /// Sets its schedules, all or none; gives what was set.
    ///
    /// # Errors
    /// As `announce`, and those of `policy::admin`; `Invalid` where another rollout has set the same.
    pub async fn start(&self, slug: &str, author: Author) -> Result<Vec<Setting>, RolloutError> {
        self.policies.refresh().await?;
        let (slug, snapshot) = (slug.to_owned(), self.policies.snapshot());
        let set = self
            .store
            .write(move |tx: &mut dyn Tx| {
                let kept = become_(tx, &slug, State::Running, &author)?;
                let settings = settings(tx, &kept.rollout, &snapshot, author.now)?;
                for setting in &settings {
                    put(tx, &slug, setting, &because(&kept.rollout, &author))?;
                }
                Ok::<_, RolloutError>(settings)
            })
            .await?;
        self.policies.refresh().await?;
        Ok(set)
    }

    /// Holds its schedules at observe; letters stop. Settings somebody changed since are left as they are.
    ///
    /// # Errors
    /// As `announce`.
    pub async fn pause(&self, slug: &str, author: Author) -> Result<TakenBack, RolloutError> {
        self.pace(slug, State::Paused, Pace::Paused, author).await
    }

    /// Lets its dates hold again.
    ///
    /// # Errors
    /// As `announce`.
    pub async fn resume(&self, slug: &str, author: Author) -> Result<TakenBack, RolloutError> {
        self.pace(slug, State::Running, Pace::Dated, author).await
    }

    async fn pace(
        &self,
        slug: &str,
        to: State,
        pace: Pace,
        author: Author,
    ) -> Result<TakenBack, RolloutError> {
        let slug = slug.to_owned();
        let done = self
            .store
            .write(move |tx: &mut dyn Tx| {
                let kept = become_(tx, &slug, to, &author)?;
                let because = because(&kept.rollout, &author);
                let mut done = TakenBack::default();
                for made in rows::made(tx, &slug)? {
                    match targets::pace(tx, &made, pace, &because)? {
                        Err(left) => done.left.push(left.says(&made)),
                        Ok(None) => {}
                        Ok(Some(written)) => {
                            done.restored.push(shown(&made));
                            rows::put_made(tx, &slug, &Made { written, ..made })?;
                        }
                    }
                }
                Ok::<_, RolloutError>(done)
            })
            .await?;
        self.policies.refresh().await?;
        Ok(done)
    }

    /// Takes back what it set: everything is as it was before. Settings somebody changed since are left as
    /// they are, and said.
    ///
    /// # Errors
    /// As `announce`.
    pub async fn roll_back(&self, slug: &str, author: Author) -> Result<TakenBack, RolloutError> {
        let slug = slug.to_owned();
        let done = self
            .store
            .write(move |tx: &mut dyn Tx| {
                let kept = become_(tx, &slug, State::RolledBack, &author)?;
                let because = because(&kept.rollout, &author);
                let mut done = TakenBack::default();
                for made in rows::made(tx, &slug)? {
                    match targets::give_back(tx, &made, &because)? {
                        Err(left) => done.left.push(left.says(&made)),
                        Ok(restored) => done.restored.push(restored),
                    }
                }
                rows::forget_made(tx, &slug)?;
                Ok::<_, RolloutError>(done)
            })
            .await?;
        self.policies.refresh().await?;
        Ok(done)
    }

    /// Every text in every form.
    ///
    /// # Errors
    /// `Invalid` where one has a gap; `Missing`, `Store`.
    pub async fn preview(&self, slug: &str) -> Result<Vec<Variant>, RolloutError> {
        let rollout = self.get(slug).await?.rollout;
        let voice = self.voice().await?;
        preview::variants(&rollout, &voice, &self.policies.catalogue())
            .map_err(|error| RolloutError::Invalid(error.to_string()))
    }

    /// Its letters, by round and address; all there are where `slug` is `None`.
    ///
    /// # Errors
    /// `Missing`, `Store`.
    pub async fn letters(
        &self,
        slug: Option<&str>,
        rows_max: i64,
    ) -> Result<Vec<Entry>, RolloutError> {
        let slug = slug.map(str::to_owned);
        self.store
            .read(move |tx: &mut dyn Tx| {
                if let Some(slug) = &slug {
                    rows::get(tx, slug)?;
                }
                Ok(ledger::list(
                    tx,
                    slug.as_deref().unwrap_or_default(),
                    rows_max,
                )?)
            })
            .await
    }

    /// How many of its letters there are: round, kind, status, number.
    ///
    /// # Errors
    /// `Store`.
    pub async fn letter_counts(
        &self,
        slug: &str,
    ) -> Result<Vec<(i64, String, String, i64)>, RolloutError> {
        let slug = slug.to_owned();
        let read = self
            .store
            .read(move |tx: &mut dyn Tx| ledger::counts(tx, &slug));
        Ok(read.await?)
    }

    /// The contact of every domain that has one.
    ///
    /// # Errors
    /// `Store`.
    pub async fn domain_contacts(&self) -> Result<HashMap<String, String>, RolloutError> {
        let read = self.store.read(|tx: &mut dyn Tx| {
            tx.all(
                "SELECT domain, contact FROM directory_domains WHERE contact IS NOT NULL",
                &[],
                |row| Ok((row.text(0)?.to_owned(), row.text(1)?.to_owned())),
            )
        });
        Ok(read.await?.into_iter().collect())
    }

    /// How the provider speaks.
    ///
    /// # Errors
    /// `Store`.
    pub async fn voice(&self) -> Result<Voice, RolloutError> {
        let own = Voice::of_host(&self.host);
        let read = self
            .store
            .read(move |tx: &mut dyn Tx| rows::voice(tx, own.clone()));
        Ok(read.await?)
    }

    /// Says one thing about the provider differently; `None`: as it is said by itself.
    ///
    /// # Errors
    /// `Invalid`, `Store`.
    pub async fn say(
        &self,
        word: Word,
        value: Option<&str>,
        author: Author,
    ) -> Result<(), RolloutError> {
        if let Some(value) = value {
            let mut voice = self.voice().await?;
            voice.say(word, value).map_err(RolloutError::Invalid)?;
        }
        let value = value.map(str::to_owned);
        self.store
            .write(move |tx: &mut dyn Tx| {
                Ok::<_, RolloutError>(rows::voice_says(tx, word, value.as_deref(), &author)?)
            })
            .await
    }
}
