//! Commands that show rules: list, one, remarks of the linter, versions and their differences, and the words rules are
//! written with. Change nothing.

use super::change::{planned, said};
use super::{Done, Lang, current, read_set, text_of_error};
use crate::cli::admin_api::{AdminApi, path};
use crate::cli::policy::output;
use formats::language::Language;
use https::api::rules::{Differs, OneRule, RulesVersion};
use https::api::seen::RuleFinding;
use policy::rules::{FACTS, Op, Point, Rule};
use serde_json::json;
use std::path::Path;

pub(super) async fn list(api: &AdminApi, json: bool, language: Language) -> Result<Done, String> {
    let (version, set) = current(api).await?;
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

fn pretty(value: &impl serde::Serialize) -> Result<Done, String> {
    let text = serde_json::to_string_pretty(value).map_err(text_of_error)?;
    Ok((text + "\n").into())
}

pub(super) async fn one(api: &AdminApi, name: &str, json: bool) -> Result<Done, String> {
    let found: OneRule = api.get(&path(&["rules", "named", name], &[])).await?;
    let rule: Rule = serde_json::from_value(found.rule).map_err(text_of_error)?;
    match json {
        true => pretty(&rule),
        false => Ok(toml::to_string(&rule).map_err(text_of_error)?.into()),
    }
}

pub(super) async fn lint(api: &AdminApi, file: Option<&Path>, lang: Lang) -> Result<Done, String> {
    let set = match file {
        Some(file) => read_set(file)?,
        None => current(api).await?.1,
    };
    let judged = planned(api, &set, lang.tag()).await?;
    if judged.remarks.is_empty() {
        return Ok("Nothing to say.\n".to_owned().into());
    }
    let lines = judged.remarks.iter();
    let lines = lines.map(|one| format!("warning: {}: {}\n", one.problem, one.text));
    Ok(Done {
        text: lines.collect(),
        found: Some("the rules are likely to hold mistakes"),
    })
}

pub(super) async fn seen(api: &AdminApi, rule: Option<&str>, json: bool) -> Result<Done, String> {
    let query = rule.map(|rule| ("rule", rule));
    let place = path(&["rules", "findings"], query.as_slice());
    let found: Vec<RuleFinding> = api.get(&place).await?;
    if json {
        return pretty(&found);
    }
    let lines = found.iter().map(|one| {
        let domain = output::or_dash(&one.domain);
        let (rule, seen, last) = (&one.rule, one.seen, &one.last_day);
        format!("rule/{rule}: {domain} ({seen}x, last {last})\n")
    });
    Ok(lines.collect::<String>().into())
}

pub(super) async fn history(api: &AdminApi, json: bool) -> Result<Done, String> {
    let versions: Vec<RulesVersion> = api.get(&path(&["rules", "versions"], &[])).await?;
    if json {
        let rows = versions.iter().map(|one| {
            json!({"version": one.version, "at": output::moment(&one.changed),
                   "by": one.changed_by, "reason": one.reason})
        });
        return pretty(&rows.collect::<Vec<_>>());
    }
    let lines = versions.iter().map(|one| {
        let at = output::moment(&one.changed);
        let (number, by) = (one.version, &one.changed_by);
        format!("{number}  {at}  {by}  {}\n", output::or_dash(&one.reason))
    });
    Ok(lines.collect::<String>().into())
}

pub(super) async fn diff(api: &AdminApi, from: i64, to: Option<i64>) -> Result<Done, String> {
    let (from, to) = (from.to_string(), to.map(|to| to.to_string()));
    let query = to.as_deref().map(|to| ("to", to));
    let place = path(&["rules", "versions", &from, "diff"], query.as_slice());
    let changes: Vec<Differs> = api.get(&place).await?;
    Ok(changes.iter().map(said).collect::<String>().into())
}

pub(super) async fn export(api: &AdminApi, json: bool) -> Result<Done, String> {
    let (_, set) = current(api).await?;
    match json {
        true => pretty(&set),
        false => Ok(set.to_toml()?.into()),
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
