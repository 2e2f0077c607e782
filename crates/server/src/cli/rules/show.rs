//! Commands that show rules: list, one, remarks of the linter, versions and their differences, and the words rules are
//! written with. Change nothing.

use super::{Desk, Done, read_set};
use crate::cli::policy::output;
use formats::language::Language;
use platform::store::Tx;
use policy::admin::PolicyError;
use policy::rules::{self, FACTS, Op, Point, RuleSet, store};
use serde_json::json;
use std::path::Path;

/// Versions shown.
const VERSIONS_MAX: i64 = 1_000;
/// Findings shown.
const SEEN_MAX: i64 = 100_000;

pub(super) async fn list(
    desk: &Desk<'_>,
    json: bool,
    language: Language,
) -> Result<Done, PolicyError> {
    let (version, set) = desk.current().await?;
    if json {
        return pretty(&set);
    }
    if set.rules().is_empty() {
        return Ok(
            "There are no rules. `rohrpost rules add --help` shows how one is made.\n"
                .to_owned()
                .into(),
        );
    }
    let rows: Vec<Vec<String>> = (set.rules().iter().enumerate())
        .map(|(place, rule)| {
            let at: Vec<_> = rule.at.iter().map(|point| point.word()).collect();
            vec![
                (place + 1).to_string(),
                rule.name.clone(),
                at.join(","),
                rule.when.in_words(language),
                rule.actions_in_words(language),
                rule.schedule.to_string(),
            ]
        })
        .collect();
    let headings = match language {
        Language::English => ["", "name", "at", "when", "then", "schedule"],
        Language::German => ["", "Name", "bei", "wenn", "dann", "Zeitplan"],
    };
    let mut text = output::table(&headings, &rows);
    text.push_str(&format!("Version {version}.\n"));
    Ok(text.into())
}

fn pretty(value: &impl serde::Serialize) -> Result<Done, PolicyError> {
    let text = serde_json::to_string_pretty(value).map_err(super::invalid)?;
    Ok((text + "\n").into())
}

pub(super) async fn one(desk: &Desk<'_>, name: &str, json: bool) -> Result<Done, PolicyError> {
    let (_, set) = desk.current().await?;
    let rule = set.named(name).ok_or_else(|| {
        PolicyError::Missing(format!(
            "there is no rule {name}; see `rohrpost rules list`"
        ))
    })?;
    match json {
        true => pretty(rule),
        false => Ok(toml::to_string(rule).map_err(super::invalid)?.into()),
    }
}

pub(super) async fn lint(
    desk: &Desk<'_>,
    file: Option<&Path>,
    language: Language,
) -> Result<Done, PolicyError> {
    let set = match file {
        Some(file) => read_set(file)?,
        None => desk.current().await?.1,
    };
    let remarks = rules::lint(&set, &desk.existing().await?);
    if remarks.is_empty() {
        return Ok("Nothing to say.\n".to_owned().into());
    }
    let lines = remarks.iter().map(|remark| {
        let (word, text) = (remark.problem.word(), remark.in_words(language));
        format!("warning: {word}: {text}\n")
    });
    Ok(Done {
        text: lines.collect(),
        found: Some("the rules are likely to hold mistakes"),
    })
}

pub(super) async fn seen(
    desk: &Desk<'_>,
    rule: Option<String>,
    json: bool,
) -> Result<Done, PolicyError> {
    let _ = crate::control::ask(&desk.settings.data_dir, &crate::control::Request::Keep);
    let found = desk
        .store
        .read(move |tx: &mut dyn Tx| rules::servers::list(tx, rule.as_deref(), SEEN_MAX))
        .await?;
    if json {
        let rows: Vec<_> = found
            .iter()
            .map(|one| {
                json!({"rule": one.rule, "domain": one.domain, "seen": one.seen,
                       "first_day": output::day(one.first_day), "last_day": output::day(one.last_day)})
            })
            .collect();
        return pretty(&rows);
    }
    let lines = found.iter().map(|one| {
        let domain = output::or_dash(&one.domain);
        format!(
            "rule/{}: {domain} ({}x, last {})\n",
            one.rule,
            one.seen,
            output::day(one.last_day)
        )
    });
    Ok(lines.collect::<String>().into())
}

pub(super) async fn history(desk: &Desk<'_>, json: bool) -> Result<Done, PolicyError> {
    let versions = desk
        .store
        .read(|tx: &mut dyn Tx| store::versions(tx, VERSIONS_MAX))
        .await?;
    if json {
        let rows: Vec<_> = versions
            .iter()
            .map(|one| {
                json!({"version": one.number, "at": output::time(one.changed_at),
                       "by": one.changed_by, "reason": one.reason})
            })
            .collect();
        return pretty(&rows);
    }
    let lines = versions.iter().map(|one| {
        let at = output::time(one.changed_at);
        format!(
            "{}  {at}  {}  {}\n",
            one.number,
            one.changed_by,
            output::or_dash(&one.reason)
        )
    });
    Ok(lines.collect::<String>().into())
}

pub(super) async fn diff(desk: &Desk<'_>, from: i64, to: Option<i64>) -> Result<Done, PolicyError> {
    let before = version(desk, from).await?;
    let after = match to {
        Some(to) => version(desk, to).await?,
        None => desk.current().await?.1,
    };
    let lines = store::diff(&before, &after)
        .iter()
        .map(super::change::said)
        .collect::<String>();
    Ok(lines.into())
}

/// Version 0 is no rules.
async fn version(desk: &Desk<'_>, number: i64) -> Result<RuleSet, PolicyError> {
    if number == 0 {
        return Ok(RuleSet::default());
    }
    let found = desk
        .store
        .read(move |tx: &mut dyn Tx| store::version(tx, number))
        .await?;
    found.map(|(_, set)| set).ok_or_else(|| {
        PolicyError::Missing(format!(
            "there is no version {number}; see `rohrpost rules history`"
        ))
    })
}

pub(super) async fn export(desk: &Desk<'_>, json: bool) -> Result<Done, PolicyError> {
    let (_, set) = desk.current().await?;
    match json {
        true => pretty(&set),
        false => Ok(set.to_toml().map_err(super::invalid)?.into()),
    }
}

/// Facts, operators, actions and points.
pub(super) fn words(language: Language) -> String {
    let mut text = String::from("Points: ");
    text.push_str(&Point::ALL.map(|point| point.word()).join(", "));
    text.push_str("\n\nFacts (fact, first known at, operators):\n");
    for (fact, described) in FACTS {
        let ops = Op::ALL
            .iter()
            .filter(|op| op.fits(described.kind))
            .map(|op| op.word());
        let ops: Vec<_> = ops.collect();
        text.push_str(&format!(
            "  {:<17} {:<8} {}\n      {}\n",
            described.word,
            described.from.word(),
            ops.join(" "),
            fact.says(language)
        ));
    }
    text.push_str(
        "  header:NAME, header-count:NAME: from data on\n\n\
         Actions: accept, reject, defer (text, status); junk; require-tls (lowest, level, text); \
         auth-mechanisms (only); extensions-off (names); header (action); group, pool (name); source \
         (addresses); priority (value); delay (by); copy (to); rate (by, count, per, text); tag (word)\n",
    );
    text
}
