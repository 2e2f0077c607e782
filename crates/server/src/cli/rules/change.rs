//! Commands that make a new version of the rules: each sends what is to be changed, and is refused where somebody else
//! changed the rules meanwhile.

use super::{Done, Place, Verb, current, read_set, text_of_error};
use crate::cli::admin_api::{AdminApi, Method, path};
use https::api::rules::{ChangedRule, Differs, Judged, NewPlace, NewRules, NewSchedule, OneRule};
use https::api::trying::Restore;
use policy::rules::{Rule, RuleSet};
use serde_json::Value;

pub(super) async fn run(api: &AdminApi, verb: &Verb) -> Result<Done, String> {
    let reason = verb.why().map(|why| why.reason.clone()).unwrap_or_default();
    let judged: Judged = match verb {
        Verb::Add { file, place, .. } => {
            let (version, before) = current(api).await?;
            let after = insert(&before, read_set(file)?.rules(), place)?;
            put(api, &after, Some(version), reason).await?
        }
        Verb::Set {
            name,
            file: None,
            schedule: Some(schedule),
            note: None,
            ..
        } => {
            let body = NewSchedule {
                schedule: schedule.clone(),
                reason,
            };
            let place = path(&["rules", "named", name, "schedule"], &[]);
            api.send(Method::Put, &place, &body).await?
        }
        Verb::Set { name, .. } => {
            let rule = changed(api, verb, name).await?;
            let body = ChangedRule { rule, reason };
            api.send(Method::Put, &of(name), &body).await?
        }
        Verb::Move { name, place, .. } => {
            let (_, before) = current(api).await?;
            if [&place.before, &place.after].contains(&&Some(name.clone())) {
                return Err(format!("{name} cannot stand before or after itself"));
            }
            let rest = before.without(name).map_err(text_of_error)?;
            let place = index(&rest, place)? + 1;
            let body = NewPlace { place, reason };
            let at = path(&["rules", "named", name, "place"], &[]);
            api.send(Method::Put, &at, &body).await?
        }
        Verb::Remove { name, .. } => {
            let of = path(&["rules", "named", name], &[("reason", &reason)]);
            api.send(Method::Delete, &of, &()).await?
        }
        Verb::Rollback { number, .. } => {
            let version = number.to_string();
            let of = path(&["rules", "versions", &version, "restore"], &[]);
            api.send(Method::Post, &of, &Restore { reason }).await?
        }
        Verb::Import { file, plan, .. } => {
            let after = read_set(file)?;
            match plan {
                true => {
                    let planned: Judged = planned(api, &after, "en").await?;
                    return Ok(told(&planned).into());
                }
                false => put(api, &after, None, reason).await?,
            }
        }
        _ => return Err("this changes nothing".to_owned()),
    };
    let mut text = told(&judged);
    let version = judged.version;
    text.push_str(&match judged.changes.is_empty() {
        true => format!("Nothing changed; version {version} holds.\n"),
        false => format!("Version {version} holds.\n"),
    });
    Ok(text.into())
}

fn of(name: &str) -> String {
    path(&["rules", "named", name], &[])
}

async fn put(
    api: &AdminApi,
    after: &RuleSet,
    based_on: Option<i64>,
    reason: String,
) -> Result<Judged, String> {
    let body = NewRules {
        rules: as_json(after)?,
        based_on,
        reason,
    };
    api.send(Method::Put, &path(&["rules"], &[]), &body).await
}

/// What the linter says of a set, and what it would change.
pub(super) async fn planned(api: &AdminApi, set: &RuleSet, lang: &str) -> Result<Judged, String> {
    let body = NewRules {
        rules: as_json(set)?,
        based_on: None,
        reason: String::new(),
    };
    let plan = path(&["rules", "plan"], &[("lang", lang)]);
    api.send(Method::Post, &plan, &body).await
}

pub(super) fn as_json(value: &impl serde::Serialize) -> Result<Value, String> {
    serde_json::to_value(value).map_err(text_of_error)
}

fn told(judged: &Judged) -> String {
    let changes = judged.changes.iter().map(said);
    let warnings = judged.remarks.iter();
    let warnings = warnings.map(|remark| format!("warning: {}\n", remark.text));
    changes.chain(warnings).collect()
}

/// A change in a line.
pub(super) fn said(change: &Differs) -> String {
    let sign = match change.how.as_str() {
        "added" => '+',
        "removed" => '-',
        "changed" => '~',
        _ => '>',
    };
    format!("{sign} {}\n", change.rule)
}

/// The whole rule as it shall be.
async fn changed(api: &AdminApi, verb: &Verb, name: &str) -> Result<Value, String> {
    let Verb::Set {
        file,
        schedule,
        note,
        ..
    } = verb
    else {
        return Err("this changes nothing".to_owned());
    };
    if let Some(file) = file {
        return match read_set(file)?.rules() {
            [one] => as_json(one),
            all => Err(format!("one rule is expected, the file has {}", all.len())),
        };
    }
    let Some(note) = note else {
        return Err("say what to change: a FILE, --schedule or --note".to_owned());
    };
    let mut held: OneRule = api.get(&of(name)).await?;
    held.rule["note"] = Value::from(note.as_str());
    if let Some(schedule) = schedule {
        held.rule["schedule"] = Value::from(schedule.as_str());
    }
    Ok(held.rule)
}

/// Where among the rules a place is, counted from 0.
fn index(set: &RuleSet, place: &Place) -> Result<usize, String> {
    let of = |name: &str| {
        let found = set.rules().iter().position(|rule| rule.name == name);
        found.ok_or_else(|| format!("there is no rule {name}; see `rohrpost rules list`"))
    };
    match place {
        Place {
            before: Some(name), ..
        } => of(name),
        Place {
            after: Some(name), ..
        } => Ok(of(name)? + 1),
        Place { first: true, .. } => Ok(0),
        _ => Ok(set.rules().len()),
    }
}

fn insert(before: &RuleSet, new: &[Rule], place: &Place) -> Result<RuleSet, String> {
    if new.is_empty() {
        return Err("the file has no rule".to_owned());
    }
    let at = index(before, place)?;
    let mut rules = before.rules().to_vec();
    rules.splice(at..at, new.iter().cloned());
    RuleSet::new(rules)
}
