//! Commands that make a new version of the rules. Each reads the set that holds, changes it, and writes it only if
//! nobody else changed it meanwhile.

use super::{Desk, Done, Place, Verb, Why, invalid, read_set};
use platform::store::Tx;
use policy::admin::PolicyError;
use policy::rules::store::{self, Change};
use policy::rules::{Rule, RuleSet, lint};

pub(super) async fn run(desk: &Desk<'_>, verb: &Verb) -> Result<Done, PolicyError> {
    let (version, before) = desk.current().await?;
    let (after, why) = match verb {
        Verb::Add { file, place, why } => (add(&before, read_set(file)?, place)?, why),
        Verb::Set {
            name,
            file,
            schedule,
            note,
            why,
        } => {
            let mut rules = before.rules().to_vec();
            let rule = &mut rules[place_of(&before, name)?];
            match file {
                Some(file) => *rule = only(read_set(file)?)?,
                None => change(rule, schedule.as_deref(), note.as_deref())?,
            }
            (RuleSet::new(rules).map_err(invalid)?, why)
        }
        Verb::Move { name, place, why } => {
            let mut rules = before.rules().to_vec();
            let rule = rules.remove(place_of(&before, name)?);
            let rest = RuleSet::new(rules).map_err(invalid)?;
            (insert(&rest, vec![rule], place)?, why)
        }
        Verb::Remove { name, why } => {
            let mut rules = before.rules().to_vec();
            rules.remove(place_of(&before, name)?);
            (RuleSet::new(rules).map_err(invalid)?, why)
        }
        Verb::Rollback { number, why } => {
            let number = *number;
            let found = desk
                .store
                .read(move |tx: &mut dyn Tx| store::version(tx, number))
                .await?;
            let (_, set) = found.ok_or_else(|| {
                PolicyError::Missing(format!(
                    "there is no version {number}; see `rohrpost rules history`"
                ))
            })?;
            (set, why)
        }
        Verb::Import { file, why, .. } => (read_set(file)?, why),
        _ => return Err(invalid("this changes nothing")),
    };
    let planned = matches!(verb, Verb::Import { plan: true, .. });
    finish(desk, version, (&before, after), why, planned).await
}

async fn finish(
    desk: &Desk<'_>,
    version: i64,
    (before, after): (&RuleSet, RuleSet),
    why: &Why,
    planned: bool,
) -> Result<Done, PolicyError> {
    let mut text = String::new();
    for change in store::diff(before, &after) {
        text.push_str(&said(&change));
    }
    for remark in lint(&after, &desk.existing().await?) {
        text.push_str(&format!("warning: {remark}\n"));
    }
    if planned {
        return Ok(text.into());
    }
    let author = desk.author(why);
    let written = desk
        .store
        .write(move |tx: &mut dyn Tx| store::put(tx, &after, Some(version), &author))
        .await?;
    text.push_str(&match written == version {
        true => format!("Nothing changed; version {version} holds.\n"),
        false => format!("Version {written} holds.\n"),
    });
    Ok(text.into())
}

/// A change in a line.
pub(super) fn said(change: &Change) -> String {
    match change {
        Change::Added(name) => format!("+ {name}\n"),
        Change::Removed(name) => format!("- {name}\n"),
        Change::Changed(name) => format!("~ {name}\n"),
        Change::Moved(name) => format!("> {name}\n"),
    }
}

fn change(rule: &mut Rule, schedule: Option<&str>, note: Option<&str>) -> Result<(), PolicyError> {
    if schedule.is_none() && note.is_none() {
        return Err(invalid("say what to change: a FILE, --schedule or --note"));
    }
    if let Some(schedule) = schedule {
        rule.schedule = schedule.parse().map_err(invalid)?;
    }
    if let Some(note) = note {
        rule.note = note.to_owned();
    }
    Ok(())
}

fn only(set: RuleSet) -> Result<Rule, PolicyError> {
    match set.rules() {
        [one] => Ok(one.clone()),
        all => Err(invalid(format!(
            "one rule is expected, the file has {}",
            all.len()
        ))),
    }
}

fn place_of(set: &RuleSet, name: &str) -> Result<usize, PolicyError> {
    let place = set.rules().iter().position(|rule| rule.name == name);
    place.ok_or_else(|| {
        PolicyError::Missing(format!(
            "there is no rule {name}; see `rohrpost rules list`"
        ))
    })
}

fn add(before: &RuleSet, new: RuleSet, place: &Place) -> Result<RuleSet, PolicyError> {
    if new.rules().is_empty() {
        return Err(invalid("the file has no rule"));
    }
    insert(before, new.rules().to_vec(), place)
}

fn insert(rest: &RuleSet, new: Vec<Rule>, place: &Place) -> Result<RuleSet, PolicyError> {
    let at = match place {
        Place {
            before: Some(name), ..
        } => place_of(rest, name)?,
        Place {
            after: Some(name), ..
        } => place_of(rest, name)? + 1,
        Place { first: true, .. } => 0,
        _ => rest.rules().len(),
    };
    let mut rules = rest.rules().to_vec();
    rules.splice(at..at, new);
    RuleSet::new(rules).map_err(invalid)
}
