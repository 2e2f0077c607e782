//! The whole state of an installation as a text file for an operator's git: the directory, settings, identities, the
//! own entries of the catalogue, rules, rollouts, and how the provider speaks. The one place where such a file is
//! written, compared and applied, the latter in one transaction; a section that a file does not have stays as it is.
//! Called by `api::state`, and by it for the CLI.

mod breaks;
mod cut;
mod identities;
mod scopes;
mod settings;
#[cfg(test)]
mod tests;

pub use breaks::Break;

use crate::problem::Problem;
use crate::services::Services;
use cut::Section;
use directory::admin::{Admin, AdminError, Planned, Removals};
use platform::clock::Timestamp;
use platform::store::Tx;
use policy::admin::{Author, within};
use policy::clients::{Entry as Client, entry as client, rows as clients};
use policy::rules::RuleSet;
use policy::rules::store::{self as rules, Change};
use rollout::state as rollouts;
use scopes::Scopes;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a file wants; `None`: as it is.
#[derive(Debug, Default)]
struct Wish {
    directory: String,
    scopes: Scopes,
    settings: Option<settings::Settings>,
    identities: Option<identities::Identities>,
    clients: Option<BTreeMap<Arc<str>, Client>>,
    rules: Option<RuleSet>,
    rollouts: rollouts::Wish,
}

/// What is to be done beside the directory.
#[derive(Debug, Default)]
struct Changes {
    settings: settings::Changes,
    identities: identities::Changes,
    /// What the operator's entries of the catalogue become, where they change.
    clients: Option<BTreeMap<Arc<str>, Client>>,
    /// What the rules become, where they change.
    rules: Option<RuleSet>,
    /// The rules that are new or become others.
    changed_rules: Vec<String>,
    rollouts: rollouts::Changes,
    /// A sentence each.
    told: Vec<String>,
}

/// What a file changes, or changed.
pub(crate) struct Told {
    /// Of the directory.
    pub(crate) directory: Planned,
    /// Of everything else, a sentence each.
    pub(crate) others: Vec<String>,
    /// What should be known.
    pub(crate) warnings: Vec<String>,
    /// Who would no longer get through; looked at by a plan only.
    pub(crate) breaks: Vec<Break>,
}

/// The whole state as text; the same state always gives the same text.
pub(crate) async fn export(accounts: &Admin, now: Timestamp) -> Result<String, Problem> {
    let mut text = accounts.export().await?;
    let sections = accounts
        .directory()
        .store()
        .read(move |tx: &mut dyn Tx| sections(tx, now))
        .await?;
    for section in sections.iter().filter(|section| !section.is_empty()) {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(section);
    }
    Ok(text)
}

/// Everything but the directory, in the order in which it is written.
fn sections(tx: &mut dyn Tx, now: Timestamp) -> Result<[String; 6], Problem> {
    let own = clients::by_id(clients::all(tx)?);
    let own = match own.is_empty() {
        true => String::new(),
        false => client::write(own.values()),
    };
    let (_, set) = rules::current(tx)?;
    let set = match set.rules().is_empty() {
        true => String::new(),
        false => set.to_toml().map_err(Problem::invalid)?,
    };
    Ok([
        settings::write(settings::current(tx, now)?),
        identities::write(identities::current(tx)?),
        own,
        set,
        rollouts::export_rollouts(tx)?,
        rollouts::export_voice(tx)?,
    ])
}

/// What applying `text` would change, and whom that would cut off. Changes nothing.
pub(crate) async fn plan(services: &Services, text: &str, now: Timestamp) -> Result<Told, Problem> {
    let (directory, changes) = compare(&services.accounts, text, now).await?;
    let breaks = breaks::breaks(services, &changes, now).await?;
    Ok(Told {
        directory,
        others: changes.told,
        warnings: changes.rollouts.warnings,
        breaks,
    })
}

async fn compare(
    accounts: &Admin,
    text: &str,
    now: Timestamp,
) -> Result<(Planned, Changes), Problem> {
    let wish = Arc::new(read(text)?);
    let directory = accounts.plan(&wish.directory).await?;
    let store = accounts.directory().store();
    let changes = store.read(move |tx: &mut dyn Tx| changes(tx, &wish, now));
    Ok((directory, changes.await?))
}

/// Makes everything what `text` says, in one transaction, or nothing.
pub(crate) async fn apply(
    accounts: &Admin,
    text: &str,
    removals: Removals,
    author: Author,
) -> Result<Told, Problem> {
    let wish = Arc::new(read(text)?);
    let (beside, now) = (wish.clone(), author.now);
    let applied = accounts.apply_with(&wish.directory, removals, now, move |tx: &mut dyn Tx| {
        let changes = changes(tx, &beside, now)?;
        carry_out(tx, &changes, &author)?;
        Ok::<_, Problem>((changes.told, changes.rollouts.warnings))
    });
    let (directory, (others, warnings)) = applied.await?;
    Ok(Told {
        directory,
        others,
        warnings,
        breaks: Vec::new(),
    })
}

/// What a file wants.
fn read(text: &str) -> Result<Wish, Problem> {
    let parts = cut::cut(text);
    // What is wrong with the directory is told first, with an example of a file.
    let state = directory::state::parse(&parts.directory).map_err(AdminError::from)?;
    let wish = || -> Result<Wish, String> {
        let of = |section| parts.of(section);
        Ok(Wish {
            directory: parts.directory.clone(),
            scopes: Scopes::of(state.state),
            settings: of(Section::Policy).map(settings::parse).transpose()?,
            identities: of(Section::Identity).map(identities::parse).transpose()?,
            clients: of(Section::Client).map(clients_from).transpose()?,
            rules: of(Section::Rules).map(rules_from).transpose()?,
            rollouts: rollouts::Wish {
                rollouts: of(Section::Rollout)
                    .map(rollouts::rollouts_from)
                    .transpose()?,
                voice: of(Section::Voice).map(rollouts::voice_from).transpose()?,
            },
        })
    };
    wish().map_err(Problem::invalid)
}

fn clients_from(text: &str) -> Result<BTreeMap<Arc<str>, Client>, String> {
    let entries = client::parse(text)
        .map_err(|error| format!("the catalogue in the file cannot be used: {error}"))?;
    Ok(clients::by_id(entries))
}

fn rules_from(text: &str) -> Result<RuleSet, String> {
    RuleSet::from_toml(text)
        .map_err(|error| format!("the rules in the file cannot be used: {error}"))
}

/// What the wish changes beside the directory, as the transaction sees it.
fn changes(tx: &mut dyn Tx, wish: &Wish, now: Timestamp) -> Result<Changes, Problem> {
    let mut changes = Changes::default();
    let told = &mut changes.told;
    if let Some(wanted) = &wish.settings {
        let current = settings::current(tx, now)?;
        changes.settings = settings::plan(&current, wanted, &wish.scopes, told)?;
    }
    if let Some(wanted) = &wish.identities {
        let current = identities::current(tx)?;
        changes.identities = identities::plan(&current, wanted, &wish.scopes, told)?;
    }
    if let Some(wanted) = &wish.clients {
        let sentences = clients::plan(&clients::by_id(clients::all(tx)?), wanted);
        changes.clients = (!sentences.is_empty()).then(|| wanted.clone());
        told.extend(sentences);
    }
    if let Some(wanted) = &wish.rules {
        let (_, current) = rules::current(tx)?;
        for change in rules::diff(&current, wanted) {
            told.push(told_of_rule(&change));
            if let Change::Added(name) | Change::Changed(name) = change {
                changes.changed_rules.push(name);
            }
        }
        changes.rules = (current != *wanted).then(|| wanted.clone());
    }
    let exists = |scope: &str| wish.scopes.have(scope);
    changes.rollouts = rollouts::plan(tx, &wish.rollouts, &exists)?;
    told.extend(changes.rollouts.changes.iter().map(ToString::to_string));
    Ok(changes)
}

/// What becomes of a rule, in a sentence.
fn told_of_rule(change: &Change) -> String {
    match change {
        Change::Added(name) => format!("rule {name} is added"),
        Change::Removed(name) => format!("rule {name} is removed"),
        Change::Changed(name) => format!("rule {name} becomes another"),
        Change::Moved(name) => format!("rule {name} moves to another place in the order"),
    }
}

/// Makes the changes. What went with the directory's part is gone already.
fn carry_out(tx: &mut dyn Tx, changes: &Changes, author: &Author) -> Result<(), Problem> {
    let wanted = settings::wanted(tx, &changes.settings)?;
    let unwanted = settings::unwanted(tx, &changes.settings)?;
    let identities = changes.identities.wanted(author);
    within::apply(tx, &wanted, &unwanted, &identities, author)?;
    if let Some(clients) = &changes.clients {
        clients::replace(tx, clients, author)?;
    }
    if let Some(set) = &changes.rules {
        rules::put(tx, set, None, author)?;
    }
    Ok(rollouts::carry_out(tx, &changes.rollouts, author)?)
}
