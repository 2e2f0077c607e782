//! What operators do with rollouts: make, show, announce, start, pause, resume, roll back, end; and how the
//! provider speaks. Each is one transaction with the settings it makes, its author and reason.

use crate::check::{Checked, check};
use crate::ledger::{self, Entry};
use crate::model::{Rollout, State};
use crate::plan::{self, Pace, Setting};
use crate::preview::{self, Variant};
use crate::rows::{self, Kept, Made, Past};
use crate::sight::{self, Concerned};
use crate::voice::{Voice, Word};
use platform::clock::Timestamp;
use platform::store::{Store, StoreError, Tx};
use policy::admin::{Author, PolicyError, Wanted, within};
use policy::impact::{Impact, Proposed};
use policy::setting::{Name, Value};
use policy::{Measure, Policies, Scope, Snapshot, Stage};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

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
                    let name = named(&made)?;
                    if !is_as_written(tx, &made, name)? {
                        done.left.push(shown(&made));
                        continue;
                    }
                    let value =
                        plan::paced(name, &made.written, pace).map_err(RolloutError::Invalid)?;
                    if value.to_string() == made.written {
                        continue;
                    }
                    let written = value.to_string();
                    within::set(tx, wanted(&made, name, value), &because)?;
                    done.restored.push(shown(&made));
                    rows::put_made(tx, &slug, &Made { written, ..made })?;
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
                    let name = named(&made)?;
                    if !is_as_written(tx, &made, name)? {
                        done.left.push(shown(&made));
                        continue;
                    }
                    match &made.before {
                        Some(before) => {
                            let value =
                                Value::parse(name, before).map_err(RolloutError::Invalid)?;
                            within::set(tx, wanted(&made, name, value), &because)?;
                        }
                        None => within::unset(tx, &made.scope, name, &made.item, &because)?,
                    }
                    done.restored.push(shown(&made));
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
                match &value {
                    Some(value) => rows::say(tx, word, value.trim())?,
                    None => rows::unsay(tx, word)?,
                }
                let action = match &value {
                    Some(value) => format!("{word} = {value}"),
                    None => format!("{word} unset"),
                };
                // The provider's words belong to no rollout; their history has the empty slug.
                Ok::<_, RolloutError>(rows::note(tx, "", &action, &author)?)
            })
            .await
    }
}

/// The warnings of a rollout without problems.
fn checked(rollout: &Rollout) -> Result<Vec<String>, RolloutError> {
    let Checked { problems, warnings } = check(rollout);
    match problems.is_empty() {
        true => Ok(warnings),
        false => Err(RolloutError::Invalid(problems.join("\n"))),
    }
}

/// The scopes of its audience, each once.
pub(crate) fn scopes(tx: &mut dyn Tx, rollout: &Rollout) -> Result<Vec<Scope>, RolloutError> {
    let mut seen = HashSet::new();
    let mut scopes = Vec::new();
    for text in &rollout.audience {
        let scope = within::scope(tx, text)?;
        if seen.insert(scope.clone()) {
            scopes.push(scope);
        }
    }
    Ok(scopes)
}

/// Brings a rollout into its next state.
fn become_(tx: &mut dyn Tx, slug: &str, to: State, author: &Author) -> Result<Kept, RolloutError> {
    let kept = rows::get(tx, slug)?;
    if !kept.state.may_become(to) {
        return Err(RolloutError::Invalid(format!(
            "rollout {slug} is {} and cannot become {}",
            kept.state.word(),
            to.word()
        )));
    }
    rows::put(tx, &kept.rollout, to, author.now)?;
    rows::note(tx, slug, to.word(), author)?;
    Ok(kept)
}

fn plan(
    tx: &mut dyn Tx,
    slug: &str,
    snapshot: &Snapshot,
    now: Timestamp,
) -> Result<Plan, RolloutError> {
    let kept = rows::get(tx, slug)?;
    let Checked {
        problems,
        mut warnings,
    } = check(&kept.rollout);
    warnings.extend(problems);
    let settings = settings(tx, &kept.rollout, snapshot, now)?;
    warnings.extend(
        settings
            .iter()
            .filter_map(|setting| setting.loosens.clone()),
    );
    let scopes = scopes(tx, &kept.rollout)?;
    let mut impacts = Vec::new();
    for proposed in proposals(&kept.rollout) {
        for scope in &scopes {
            impacts.push(sight::impact(
                tx,
                &kept.rollout,
                &proposed,
                scope,
                snapshot,
                now,
            )?);
        }
    }
    Ok(Plan {
        kept,
        settings,
        impacts,
        warnings,
    })
}

/// What its measures come to, for previews.
pub(crate) fn proposals(rollout: &Rollout) -> Vec<Proposed> {
    let mut proposals: Vec<_> = rollout
        .steps
        .iter()
        .filter_map(|step| match (&step.measure, step.value.as_deref()) {
            (Measure::TlsVersion(_), Some(value)) => {
                Proposed::from_word(&format!("{}={value}", step.measure))
            }
            (measure, _) => Proposed::from_word(&measure.to_string()),
        })
        .collect();
    proposals.sort();
    proposals.dedup();
    proposals
}

/// What it sets at every scope of its audience, with what is set there before.
fn settings(
    tx: &mut dyn Tx,
    rollout: &Rollout,
    snapshot: &Snapshot,
    now: Timestamp,
) -> Result<Vec<Setting>, RolloutError> {
    let mut settings = Vec::new();
    for scope in scopes(tx, rollout)? {
        let whom = sight::Whom::of(tx, &scope)?;
        let current =
            |measure: &Measure| -> Stage { snapshot.stage(measure, &whom.sender(), now).value };
        let planned = plan::settings(rollout, &scope, Pace::Dated, current);
        for mut setting in planned.map_err(RolloutError::Invalid)? {
            let known = within::setting(tx, &scope, setting.name, &setting.item)?;
            setting.before = known.map(|row| row.value.to_string());
            settings.push(setting);
        }
    }
    Ok(settings)
}

/// Makes one setting and remembers what was there.
fn put(
    tx: &mut dyn Tx,
    slug: &str,
    setting: &Setting,
    because: &Author,
) -> Result<(), RolloutError> {
    let made = Made {
        scope: setting.scope.clone(),
        name: setting.name.to_string(),
        item: setting.item.clone(),
        written: setting.value.to_string(),
        before: setting.before.clone(),
    };
    if let Some(other) = rows::also_set_by(tx, slug, &made)? {
        return Err(RolloutError::Invalid(format!(
            "{} is set by rollout {other} already; end or roll back that one first",
            shown(&made)
        )));
    }
    within::set(
        tx,
        wanted(&made, setting.name, setting.value.clone()),
        because,
    )?;
    Ok(rows::put_made(tx, slug, &made)?)
}

fn wanted(made: &Made, name: Name, value: Value) -> Wanted {
    Wanted {
        scope: made.scope.clone(),
        name,
        item: made.item.clone(),
        value,
        expires_at: None,
        consent: None,
        owner: None,
    }
}

fn named(made: &Made) -> Result<Name, RolloutError> {
    Name::from_word(&made.name)
        .ok_or_else(|| RolloutError::Invalid(format!("{} is no setting any more", made.name)))
}

fn is_as_written(tx: &mut dyn Tx, made: &Made, name: Name) -> Result<bool, RolloutError> {
    let known = within::setting(tx, &made.scope, name, &made.item)?;
    Ok(known.is_some_and(|row| row.value.to_string() == made.written))
}

fn shown(made: &Made) -> String {
    let item = match made.item.as_str() {
        "" => String::new(),
        item => format!(" {item}"),
    };
    format!("{}: {}{item}", made.scope, made.name)
}

/// The history of settings names the rollout.
fn because(rollout: &Rollout, author: &Author) -> Author {
    let said = match author.reason.as_str() {
        "" => rollout.reason.as_str(),
        reason => reason,
    };
    let said: String = said.split_whitespace().collect::<Vec<_>>().join(" ");
    Author {
        reason: format!("rollout {}: {said}", rollout.slug),
        ..author.clone()
    }
}
