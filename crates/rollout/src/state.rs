//! Rollouts and the provider's words in a state file: `[[rollout]]` is what a rollout is, without its life (state,
//! rounds, letters), and `[voice]` what was said about the provider. Reads and writes the text, says what would
//! change, and changes it inside somebody else's transaction. A rollout whose page is public is never touched.

#[cfg(test)]
mod tests;

use crate::admin::{RolloutError, scopes};
use crate::check::{Checked, check};
use crate::model::{Rollout, State};
use crate::rows::{self, Kept};
use crate::voice::{Voice, Word};
use platform::store::{StoreError, Tx};
use policy::admin::Author;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use toml::Spanned;

/// Rollouts by slug, as a file has them.
pub type Definitions = BTreeMap<String, Rollout>;
/// What is said about the provider; what is not in it is said as by itself.
pub type Words = BTreeMap<Word, String>;

/// What a file wants; `None`: as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wish {
    /// Every rollout there is to be.
    pub rollouts: Option<Definitions>,
    /// Every word that is to be said.
    pub voice: Option<Words>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A new draft.
    Create(Rollout),
    /// A rollout that nobody sees becomes another.
    Update(Rollout, State),
    /// A rollout that nobody sees goes.
    Remove(String),
    /// The provider is spoken of differently.
    Say(Word, String),
    /// As by itself.
    Unsay(Word),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create(rollout) => write!(f, "rollout {} is kept as a draft", rollout.slug),
            Self::Update(rollout, state) => {
                write!(
                    f,
                    "rollout {} changes; it stays {}",
                    rollout.slug,
                    state.word()
                )
            }
            Self::Remove(slug) => write!(f, "rollout {slug} is removed"),
            Self::Say(word, value) => write!(f, "the provider's {word} becomes \"{value}\""),
            Self::Unsay(word) => write!(f, "the provider's {word} is said as by itself"),
        }
    }
}

/// What a file changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// In the order in which they are made.
    pub changes: Vec<Change>,
    /// What should be known of rollouts that change.
    pub warnings: Vec<String>,
}

#[derive(Deserialize)]
struct RolloutFile {
    rollout: Vec<Spanned<Rollout>>,
}

#[derive(Serialize)]
struct RolloutText<'r> {
    rollout: Vec<&'r Rollout>,
}

#[derive(Deserialize)]
struct VoiceFile {
    voice: BTreeMap<Spanned<String>, String>,
}

#[derive(Serialize)]
struct VoiceText<'v> {
    voice: BTreeMap<&'v str, &'v str>,
}

/// The `[[rollout]]` tables of a file.
///
/// # Errors
/// What cannot be read, with its line.
pub fn rollouts_from(text: &str) -> Result<Definitions, String> {
    let file: RolloutFile = toml::from_str(text)
        .map_err(|error| format!("the rollouts in the file cannot be read: {error}"))?;
    let mut found = Definitions::new();
    for rollout in file.rollout {
        let line = line(text, rollout.span().start);
        let rollout = rollout.into_inner();
        let slug = rollout.slug.clone();
        if found.insert(slug.clone(), rollout).is_some() {
            return Err(format!("line {line}: rollout {slug} is there twice"));
        }
    }
    Ok(found)
}

/// The `[voice]` table of a file.
///
/// # Errors
/// What cannot be read or said, with its line.
pub fn voice_from(text: &str) -> Result<Words, String> {
    let file: VoiceFile = toml::from_str(text)
        .map_err(|error| format!("[voice] in the file cannot be read: {error}"))?;
    let mut scratch = Voice::of_host("mx.provider.example");
    let mut words = Words::new();
    for (name, value) in file.voice {
        let line = line(text, name.span().start);
        let word = Word::from_word(name.get_ref()).ok_or_else(|| {
            let known: Vec<_> = Word::ALL.iter().map(|(_, name, ..)| *name).collect();
            format!(
                "line {line}: [voice] has no \"{}\"; it has {}",
                name.get_ref(),
                known.join(", ")
            )
        })?;
        let said = scratch.say(word, &value);
        said.map_err(|why| format!("line {line}: [voice] {word}: {why}"))?;
        words.insert(word, value.trim().to_owned());
    }
    Ok(words)
}

fn line(text: &str, place: usize) -> usize {
    let before = text.as_bytes().get(..place).unwrap_or_default();
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}

/// All rollouts as tables; the empty text where there are none.
///
/// # Errors
/// `Invalid` where one has no TOML form, which nothing of a checked rollout makes happen; `Store`.
pub fn export_rollouts(tx: &mut dyn Tx) -> Result<String, RolloutError> {
    let kept = rows::all(tx)?;
    if kept.is_empty() {
        return Ok(String::new());
    }
    let rollout = kept.iter().map(|kept| &kept.rollout).collect();
    toml::to_string(&RolloutText { rollout }).map_err(|e| RolloutError::Invalid(e.to_string()))
}

/// What was said about the provider as a table; the empty text where nothing was.
///
/// # Errors
/// As `export_rollouts`.
pub fn export_voice(tx: &mut dyn Tx) -> Result<String, RolloutError> {
    let said = said(tx)?;
    if said.is_empty() {
        return Ok(String::new());
    }
    let voice = said
        .iter()
        .map(|(word, value)| (word.word(), value.as_str()));
    let voice = voice.collect();
    toml::to_string(&VoiceText { voice }).map_err(|e| RolloutError::Invalid(e.to_string()))
}

/// What was said; words of a newer version are left out, and left alone.
fn said(tx: &mut dyn Tx) -> Result<Words, StoreError> {
    let said = rows::said(tx)?.into_iter();
    Ok(said
        .filter_map(|(name, value)| Some((Word::from_word(&name)?, value)))
        .collect())
}

/// What the wish would change. `exists` says which scopes there will be.
///
/// # Errors
/// `Invalid` with everything that cannot be done, why, and what to do instead.
pub fn plan(
    tx: &mut dyn Tx,
    wish: &Wish,
    exists: &dyn Fn(&str) -> bool,
) -> Result<Changes, RolloutError> {
    let mut planned = Changes::default();
    if let Some(wanted) = &wish.rollouts {
        plan_rollouts(&mut planned, &rows::all(tx)?, wanted, exists)?;
    }
    if let Some(wanted) = &wish.voice {
        plan_voice(&mut planned, &said(tx)?, wanted);
    }
    Ok(planned)
}

fn plan_rollouts(
    planned: &mut Changes,
    current: &[Kept],
    wanted: &Definitions,
    exists: &dyn Fn(&str) -> bool,
) -> Result<(), RolloutError> {
    let mut problems = Vec::new();
    for kept in current {
        let slug = &kept.rollout.slug;
        match wanted.get(slug) {
            Some(wanted) if *wanted == kept.rollout => {}
            Some(_) | None if !is_unseen(kept.state) => {
                problems.push(stands(kept, wanted.get(slug)));
            }
            Some(wanted) => {
                problems.extend(checked(wanted, exists, &mut planned.warnings));
                let change = Change::Update(wanted.clone(), kept.state);
                planned.changes.push(change);
            }
            None => planned.changes.push(Change::Remove(slug.clone())),
        }
    }
    let known: BTreeSet<_> = current
        .iter()
        .map(|kept| kept.rollout.slug.as_str())
        .collect();
    for (_, new) in wanted
        .iter()
        .filter(|(slug, _)| !known.contains(slug.as_str()))
    {
        problems.extend(checked(new, exists, &mut planned.warnings));
        planned.changes.push(Change::Create(new.clone()));
    }
    match problems.is_empty() {
        true => Ok(()),
        false => Err(RolloutError::Invalid(problems.join("\n"))),
    }
}

/// Whether no page shows it and nothing of it holds.
fn is_unseen(state: State) -> bool {
    matches!(state, State::Draft | State::RolledBack)
}

/// What is wrong with a rollout that is to be kept.
fn checked(
    rollout: &Rollout,
    exists: &dyn Fn(&str) -> bool,
    warned: &mut Vec<String>,
) -> Vec<String> {
    let slug = &rollout.slug;
    let Checked { problems, warnings } = check(rollout);
    let told = |text: String| format!("rollout {slug}: {text}");
    warned.extend(warnings.into_iter().map(told));
    let missing = rollout.audience.iter().filter(|scope| !exists(scope));
    let missing = missing.map(|scope| format!("audience: there is no {scope} in the file"));
    problems.into_iter().chain(missing).map(told).collect()
}

/// Why a rollout whose page is public stays as it is, and what to do.
fn stands(kept: &Kept, wanted: Option<&Rollout>) -> String {
    let (slug, state) = (&kept.rollout.slug, kept.state.word());
    let otherwise = match wanted {
        None => "is not in the file".to_owned(),
        Some(wanted) => format!(
            "is another one in the file ({})",
            differences(&kept.rollout, wanted).join(", ")
        ),
    };
    let how = match (wanted, kept.state) {
        (None, _) => "",
        (Some(_), State::Announced) => {
            "; or change it by `rohrpost rollout update` and export again"
        }
        (Some(_), _) => {
            "; or change its texts, rounds and evidence by `rohrpost rollout update` and export again"
        }
    };
    format!(
        "rollout {slug} is {state} and {otherwise}: a state file changes only drafts and what was rolled back. Put \
         it into the file as it is (`rohrpost export` prints it), or take it back first (`rohrpost rollout \
         rollback {slug}`){how}"
    )
}

/// The parts that differ, as the file names them.
fn differences(before: &Rollout, after: &Rollout) -> Vec<String> {
    let parts = |rollout| toml::Table::try_from(rollout).unwrap_or_default();
    let (before, after): (toml::Table, toml::Table) = (parts(before), parts(after));
    let all: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    all.into_iter()
        .filter(|part| before.get(*part) != after.get(*part))
        .cloned()
        .collect()
}

fn plan_voice(planned: &mut Changes, current: &Words, wanted: &Words) {
    let said = wanted
        .iter()
        .filter(|(word, value)| current.get(*word) != Some(*value));
    let said = said.map(|(word, value)| Change::Say(*word, value.clone()));
    planned.changes.extend(said);
    let unsaid = current.keys().filter(|word| !wanted.contains_key(*word));
    planned
        .changes
        .extend(unsaid.map(|word| Change::Unsay(*word)));
}

/// Makes the changes, which were planned in this very transaction.
///
/// # Errors
/// `Missing` where a scope of an audience does not exist; `Store`.
pub fn carry_out(tx: &mut dyn Tx, changes: &Changes, author: &Author) -> Result<(), RolloutError> {
    for change in &changes.changes {
        match change {
            Change::Create(rollout) => {
                put(tx, rollout, State::Draft, ("created", author))?;
            }
            Change::Update(rollout, state) => put(tx, rollout, *state, ("changed", author))?,
            Change::Remove(slug) => rows::remove(tx, slug)?,
            Change::Say(word, value) => rows::voice_says(tx, *word, Some(value), author)?,
            Change::Unsay(word) => rows::voice_says(tx, *word, None, author)?,
        }
    }
    Ok(())
}

fn put(
    tx: &mut dyn Tx,
    rollout: &Rollout,
    state: State,
    (action, author): (&str, &Author),
) -> Result<(), RolloutError> {
    scopes(tx, rollout)?;
    rows::put(tx, rollout, state, author.now)?;
    Ok(rows::note(tx, &rollout.slug, action, author)?)
}
