//! Sends what is due: rounds are written when their time comes, each letter is named, written out and handed to
//! the post, and looked after until somebody has it. A node runs one. A crash at any point sends no letter
//! twice: its name is stored before it is handed over, and the post takes a name once. Nodes on one store take
//! each letter for themselves first.

use crate::admin::{RolloutError, Rollouts};
use crate::compose::{Draft, Kind, Writer};
use crate::guides::Ports;
use crate::ledger::{self, Change, Entry, Status};
use crate::legacy_letters::last_day;
use crate::model::{LocalDate, State};
use crate::post::{Fate, Letter, Post, PostError, Stream, Token, Unsubscribe};
use crate::rows::Kept;
use crate::voice::Voice;
use crate::writing;
use directory::AccountId;
use formats::language::Language;
use platform::clock::{Clock, Timestamp};
use platform::random::Random;
use platform::store::{StoreError, Tx};
use policy::{Connections, Findings, Legacy, Sender};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked for what is due, by the node's clock, which tests can move.
const STEP: Duration = Duration::from_secs(60);
/// How often logins are looked through for warnings, by that clock.
const NUDGE_EVERY: Duration = Duration::from_secs(10 * 60);
/// How often that clock, and what others wrote, is looked at.
const POLL: Duration = Duration::from_secs(1);
/// Letters handed over or looked after at once.
const PAGE: i64 = 100;
/// Pages of one step; the next step goes on.
const PAGES_MAX: usize = 1000;
/// How often a letter that waits is looked after.
const LOOK_AGAIN: Duration = Duration::from_secs(5 * 60);
/// A letter nobody has heard of for so long has no known end.
const GIVE_UP_AFTER: Duration = Duration::from_secs(10 * 24 * 3600);
/// Where one click ends the newsletter, below the provider's site.
pub const UNSUBSCRIBE: &str = "abmelden/";

/// What a runner works with.
#[derive(Clone)]
pub struct RunnerParts {
    /// Rollouts.
    pub rollouts: Rollouts,
    /// What sessions saw; written before it is asked for, so that the latest login counts.
    pub connections: Connections,
    /// What measures found; likewise.
    pub findings: Findings,
    /// Who carries letters.
    pub post: Arc<dyn Post>,
    /// The time.
    pub clock: Clock,
    /// For names of subscriptions.
    pub random: Random,
    /// The language of letters to whom nothing is set.
    pub first_language: Language,
    /// The ports of the provider's hosts.
    pub ports: Ports,
}

/// The runner.
pub struct Runner {
    parts: RunnerParts,
    nudged_at: Option<Timestamp>,
}

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stepped {
    /// Letters written down.
    pub written: usize,
    /// Letters handed over.
    pub sent: usize,
}

/// What letters of one step share.
struct Desk {
    voice: Voice,
    rollouts: HashMap<String, Kept>,
    /// By rollout, once somebody asked.
    concerned: HashMap<String, HashSet<AccountId>>,
}

impl Runner {
    /// A runner; `run` sets it going.
    pub fn new(parts: RunnerParts) -> Self {
        Self {
            parts,
            nudged_at: None,
        }
    }

    /// Works until dropped.
    pub async fn run(mut self) {
        let mut last: Option<Timestamp> = None;
        loop {
            let now = self.parts.clock.now();
            let is_due = last.is_none_or(|last| now.since(last) >= STEP || now < last);
            // What an operator wrote by hand goes at once.
            if is_due || self.has_letters(now).await {
                last = Some(now);
                if let Err(error) = self.step().await {
                    tracing::warn!(%error, "rollout.step_failed");
                }
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn has_letters(&self, now: Timestamp) -> bool {
        let found = self
            .parts
            .rollouts
            .store
            .read(move |tx: &mut dyn Tx| ledger::due(tx, Status::Written, now, 1));
        found.await.is_ok_and(|found| !found.is_empty())
    }

    /// Does what is due now.
    ///
    /// # Errors
    /// Those of the store; the next step goes on.
    pub async fn step(&mut self) -> Result<Stepped, RolloutError> {
        let (rollouts, now) = (&self.parts.rollouts, self.parts.clock.now());
        rollouts.policies.refresh().await?;
        self.parts.connections.flush().await?;
        self.parts.findings.flush().await?;
        let mut stepped = Stepped {
            written: rollouts.write_due(&self.parts.random, now).await?,
            sent: 0,
        };
        stepped.written += rollouts.write_regressions(now).await?;
        stepped.written += rollouts.write_legacy_notices(now).await?;
        let again = |last: Timestamp| now.since(last) >= NUDGE_EVERY || now < last;
        if self.nudged_at.is_none_or(again) {
            self.nudged_at = Some(now);
            stepped.written += rollouts.write_nudges(now).await?;
            stepped.written += rollouts.write_legacy_reminders(now).await?;
        }
        stepped.sent = self.send(now).await?;
        self.look_after(now).await?;
        Ok(stepped)
    }

    async fn desk(&self) -> Result<Desk, RolloutError> {
        let rollouts = self.parts.rollouts.list().await?;
        Ok(Desk {
            voice: self.parts.rollouts.voice().await?,
            rollouts: rollouts
                .into_iter()
                .map(|kept| (kept.rollout.slug.clone(), kept))
                .collect(),
            concerned: HashMap::new(),
        })
    }

    /// Hands over what is due. Letters of a rollout that pauses wait; those of one that is over are dropped.
    async fn send(&self, now: Timestamp) -> Result<usize, RolloutError> {
        let mut sent = 0;
        let mut desk = None;
        for _ in 0..PAGES_MAX {
            let page = self.due(Status::Written, now).await?;
            if page.is_empty() {
                break;
            }
            if desk.is_none() {
                desk = Some(self.desk().await?);
            }
            let Some(desk) = &mut desk else { break };
            let (mut ready, mut waits) = (Vec::with_capacity(page.len()), Vec::new());
            for entry in page {
                match self.held_up(&entry, desk, now).await? {
                    Some(change) => waits.push(change),
                    None => ready.push(entry),
                }
            }
            self.mark_all(waits).await?;
            let mut later = false;
            for entry in &self.claimed(ready).await? {
                let change = self.hand_over(entry, desk, now).await?;
                sent += usize::from(change.status == Status::Queued);
                // A post that takes nothing now is not asked a thousand times.
                later |= change.status == Status::Written && !change.reply.is_empty();
                self.mark(change).await?;
            }
            if later {
                break;
            }
        }
        Ok(sent)
    }

    async fn due(&self, status: Status, now: Timestamp) -> Result<Vec<Entry>, RolloutError> {
        let store = &self.parts.rollouts.store;
        let page = store.read(move |tx: &mut dyn Tx| ledger::due(tx, status, now, PAGE));
        Ok(page.await?)
    }

    /// Takes letters for handing over: each gets its name, durably, and is left alone by other nodes for a while.
    /// What another node has taken since it was read is left out. A crash lets go by itself.
    pub(crate) async fn claimed(&self, mut page: Vec<Entry>) -> Result<Vec<Entry>, RolloutError> {
        let until = self.parts.clock.now().plus(LOOK_AGAIN);
        let named = page.iter().map(|entry| {
            let token = match entry.token {
                0 => self.parts.post.token().0,
                known => known,
            };
            (entry.clone(), token)
        });
        let named: Arc<[(Entry, i64)]> = named.collect();
        let names = named.clone();
        let taken = self
            .parts
            .rollouts
            .store
            .write(move |tx: &mut dyn Tx| {
                let claims = names.iter();
                let claims = claims.map(|(read, token)| ledger::claim(tx, read, *token, until));
                claims.collect::<Result<Vec<bool>, StoreError>>()
            })
            .await?;
        for (entry, (_, token)) in page.iter_mut().zip(named.iter()) {
            entry.token = *token;
        }
        let mut taken = taken.into_iter();
        page.retain(|_| taken.next().unwrap_or(false));
        Ok(page)
    }

    /// Why a letter is not handed over, or not yet; `None`: it is.
    async fn held_up(
        &self,
        entry: &Entry,
        desk: &mut Desk,
        now: Timestamp,
    ) -> Result<Option<Change>, RolloutError> {
        let dropped = |why: &str| Some(change(entry, Status::Dropped, why.to_owned(), now));
        let state = desk.rollouts.get(&entry.key.slug).map(|kept| kept.state);
        match (state, entry.key.kind) {
            (_, kind) if !kind.is_of_rollout() => {}
            (Some(State::Running), _) | (Some(State::Announced), Kind::Newsletter) => {}
            (Some(State::Paused), _) => {
                let mut waits = change(entry, Status::Written, String::new(), now);
                waits.due_at = now.plus(LOOK_AGAIN);
                return Ok(Some(waits));
            }
            _ => return Ok(dropped("the rollout is over")),
        }
        let waited = entry.due_at > entry.written_at;
        if waited && !self.is_still_needed(entry, desk, now).await? {
            return Ok(dropped("it was no longer needed"));
        }
        Ok(None)
    }

    async fn hand_over(
        &self,
        entry: &Entry,
        desk: &Desk,
        now: Timestamp,
    ) -> Result<Change, RolloutError> {
        let kept = desk.rollouts.get(&entry.key.slug);
        let letter = match self.letter(entry, kept, desk).await? {
            Ok(letter) => letter,
            Err(why) => return Ok(change(entry, Status::Dropped, why, now)),
        };
        Ok(match self.parts.post.send(letter).await {
            Ok(posted) => Change {
                at: posted.at,
                ..change(entry, Status::Queued, String::new(), now)
            },
            Err(PostError::Impossible(why)) => change(entry, Status::Failed, why, now),
            Err(PostError::Later(why)) => Change {
                due_at: now.plus(LOOK_AGAIN),
                ..change(entry, Status::Written, why, now)
            },
        })
    }

    /// A letter that had to wait for the week to pass may be about something that is mended. Whom a rollout
    /// concerns is asked once for all letters of a step.
    async fn is_still_needed(
        &self,
        entry: &Entry,
        desk: &mut Desk,
        now: Timestamp,
    ) -> Result<bool, RolloutError> {
        let (Kind::Round, Some(account)) = (entry.key.kind, entry.account) else {
            return Ok(true);
        };
        let slug = &entry.key.slug;
        if !desk.concerned.contains_key(slug) {
            let concerned = self.parts.rollouts.concerned(slug, now).await?;
            let accounts = concerned.iter().map(|one| one.account).collect();
            desk.concerned.insert(slug.clone(), accounts);
        }
        let concerned = desk.concerned.get(slug);
        Ok(concerned.is_some_and(|concerned| concerned.contains(&account)))
    }

    /// The letter, or why there is none.
    async fn letter(
        &self,
        entry: &Entry,
        kept: Option<&Kept>,
        desk: &Desk,
    ) -> Result<Result<Letter, String>, RolloutError> {
        let unsubscribe = match (entry.key.kind, entry.account) {
            (Kind::Newsletter, Some(account)) => {
                let token = self
                    .parts
                    .rollouts
                    .store
                    .read(move |tx: &mut dyn Tx| writing::subscription(tx, account))
                    .await?;
                let Some(token) = token else {
                    return Ok(Err("the reader ended the newsletter".to_owned()));
                };
                format!("{}{UNSUBSCRIBE}{token}", desk.voice.site)
            }
            _ => String::new(),
        };
        let policies = &self.parts.rollouts.policies;
        let catalogue = policies.catalogue();
        let writer = Writer {
            voice: &desk.voice,
            catalogue: &catalogue,
            ports: self.parts.ports,
        };
        let about = match entry.key.kind {
            Kind::Digest => entry.domain.as_str(),
            _ => entry.address.as_str(),
        };
        let draft = Draft {
            kind: entry.key.kind,
            rollout: kept.map(|kept| &kept.rollout),
            about,
            facts: &entry.facts,
            unsubscribe: &unsubscribe,
            legacy_until: self.legacy_until(entry),
        };
        let language = self.language(entry);
        let written = match writer.write(&draft, language) {
            Ok(written) => written,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let is_newsletter = entry.key.kind == Kind::Newsletter;
        Ok(Ok(Letter {
            token: Token(entry.token),
            from: desk.voice.sender.clone(),
            from_name: desk.voice.provider.clone(),
            to: entry.address.clone(),
            subject: written.subject,
            text: written.text,
            language,
            stream: match is_newsletter {
                true => Stream::Newsletter,
                false => Stream::Notice,
            },
            unsubscribe: is_newsletter.then_some(Unsubscribe { url: unsubscribe }),
            group: is_newsletter.then(|| desk.voice.newsletter_group.clone()),
        }))
    }

    /// The last day of the legacy hosts for the reader, where they are open now and the domain allows them.
    fn legacy_until(&self, entry: &Entry) -> Option<LocalDate> {
        let sender = Sender {
            account: entry.account,
            domain: &entry.domain,
            group: None,
        };
        let snapshot = self.parts.rollouts.policies.snapshot();
        match snapshot.legacy(&sender, self.parts.clock.now()) {
            Legacy::Until { end, .. } => last_day(end, snapshot.zone()),
            Legacy::Off | Legacy::Forbidden => None,
        }
    }

    fn language(&self, entry: &Entry) -> Language {
        let sender = Sender {
            account: entry.account,
            domain: &entry.domain,
            group: None,
        };
        let set = self.parts.rollouts.policies.snapshot().language(&sender);
        set.unwrap_or(self.parts.first_language)
    }

    /// Asks the post what became of letters it took.
    async fn look_after(&self, now: Timestamp) -> Result<(), RolloutError> {
        for _ in 0..PAGES_MAX {
            let page = self.due(Status::Queued, now).await?;
            if page.is_empty() {
                break;
            }
            let mut changes = Vec::with_capacity(page.len());
            for entry in page {
                changes.push(self.fate(entry, now).await);
            }
            self.mark_all(changes).await?;
        }
        Ok(())
    }

    async fn fate(&self, entry: Entry, now: Timestamp) -> Change {
        let waits = |reply: String| Change {
            key: entry.key.clone(),
            status: Status::Queued,
            at: entry.status_at,
            reply,
            due_at: now.plus(LOOK_AGAIN),
        };
        let ended = |status, reply, at| Change {
            key: entry.key.clone(),
            status,
            at,
            reply,
            due_at: at,
        };
        match self.parts.post.fate(Token(entry.token)).await {
            Ok(Some((Fate::Delivered, at))) => ended(Status::Delivered, String::new(), at),
            Ok(Some((Fate::Relayed(reply), at))) => ended(Status::Relayed, reply, at),
            Ok(Some((Fate::Failed(reply), at))) => ended(Status::Failed, reply, at),
            Ok(Some((Fate::Queued(reply), _))) => waits(reply),
            Ok(None) if now.since(entry.status_at) >= GIVE_UP_AFTER => {
                ended(Status::Unknown, String::new(), now)
            }
            Ok(None) => waits(entry.reply.clone()),
            Err(error) => {
                tracing::debug!(%error, "rollout.fate_unknown");
                waits(entry.reply.clone())
            }
        }
    }

    async fn mark(&self, change: Change) -> Result<(), RolloutError> {
        self.mark_all(vec![change]).await
    }

    async fn mark_all(&self, changes: Vec<Change>) -> Result<(), RolloutError> {
        if changes.is_empty() {
            return Ok(());
        }
        let changes: Arc<[Change]> = changes.into();
        self.parts
            .rollouts
            .store
            .write(move |tx: &mut dyn Tx| {
                changes
                    .iter()
                    .try_for_each(|change| ledger::mark(tx, change))
            })
            .await
            .map_err(|error: StoreError| error.into())
    }
}

fn change(entry: &Entry, status: Status, reply: String, now: Timestamp) -> Change {
    Change {
        key: entry.key.clone(),
        status,
        at: now,
        reply,
        due_at: now,
    }
}
