//! How rollouts, plans and previews are printed.

use super::{of, rollout, warned};
use crate::cli::admin_api::{AdminApi, path};
use crate::cli::policy::impact;
use crate::cli::policy::output::{Format, moment, ms, or_dash, shown, table};
use clap::{Args, ValueEnum};
use https::api::letters::{RolloutPast, RoundsOf, TextsOf};
use https::api::measures;
use https::api::rollouts::{KeptRollout, PlannedRollout, SteeredRollout};
use rollout::{Rollout, Visibility, announce};
use serde_json::json;

#[derive(Args)]
pub(crate) struct Preview {
    /// Its name.
    slug: String,
    /// Only texts that begin in this language.
    #[arg(long)]
    language: Option<Lang>,
    /// Only this form of address: sie or du.
    #[arg(long)]
    address: Option<String>,
    /// Only this gender form: pair or colon.
    #[arg(long)]
    gender: Option<String>,
    /// Only the page, or this kind of letter: newsletter, round, thanks, digest, nudge.
    #[arg(long)]
    what: Option<String>,
    /// Only for mail programs whose key begins so, such as outlook.
    #[arg(long)]
    client: Option<String>,
    /// Print only which texts there are.
    #[arg(long)]
    list: bool,
}

/// A language of texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Lang {
    /// German.
    De,
    /// English.
    En,
}

impl Lang {
    fn word(self) -> &'static str {
        match self {
            Self::De => "de",
            Self::En => "en",
        }
    }
}

pub(super) async fn list(api: &AdminApi, format: Format) -> Result<String, String> {
    let all: Vec<KeptRollout> = api.get(&path(&["rollouts"], &[])).await?;
    let mut read = Vec::with_capacity(all.len());
    for kept in &all {
        read.push((kept, rollout(kept)?));
    }
    let values: Vec<_> = read
        .iter()
        .map(|(kept, rollout)| {
            json!({
                "slug": kept.slug, "state": kept.state,
                "title": {"de": rollout.title.de, "en": rollout.title.en},
                "changed": ms(&kept.changed),
            })
        })
        .collect();
    shown(format, &json!(values), || {
        let rows: Vec<_> = read
            .iter()
            .map(|(kept, rollout)| {
                let next = announce::deadline(rollout, &Default::default());
                vec![
                    kept.slug.clone(),
                    kept.state.clone(),
                    or_dash(&next.map(|at| at.to_string()).unwrap_or_default()),
                    rollout.title.en.clone(),
                ]
            })
            .collect();
        table(&["SLUG", "STATE", "ENFORCED", "TITLE"], &rows)
    })
}

pub(super) async fn one(api: &AdminApi, slug: &str) -> Result<String, String> {
    let kept: KeptRollout = of(api, slug, &[]).await?;
    let rollout = rollout(&kept)?;
    let mut text = head(&kept, &rollout);
    push_steps(&mut text, &rollout);
    let rounds: RoundsOf = of(api, slug, &["rounds"]).await?;
    text.push_str("\nRounds:\n");
    for round in &rounds.planned {
        text.push_str(&format!("  {:>4}  {}\n", round.round, moment(&round.at)));
    }
    if !rounds.letters.is_empty() {
        text.push_str("\nLetters:\n");
        for sum in &rounds.letters {
            text.push_str(&format!(
                "  round {}  {}  {}: {}\n",
                sum.round, sum.kind, sum.status, sum.letters
            ));
        }
    }
    if !rollout.evidence.is_empty() {
        text.push_str("\nNotes, for operators only:\n");
        for note in &rollout.evidence {
            text.push_str(&format!(
                "  {} ({}): {}\n",
                note.source, note.seen, note.note
            ));
        }
    }
    text.push_str("\nHistory:\n");
    let history: Vec<RolloutPast> = of(api, slug, &["history"]).await?;
    for past in history {
        let (at, action) = (moment(&past.at), past.action);
        text.push_str(&format!(
            "  {at}  {action}  by {}  {}\n",
            past.by, past.reason
        ));
    }
    Ok(text)
}

fn head(kept: &KeptRollout, rollout: &Rollout) -> String {
    format!(
        "{} ({})\n  {}\n  {}\n  Reason: {}\n  For: {}\n  As of: {}\n",
        rollout.slug,
        kept.state,
        rollout.title.de,
        rollout.title.en,
        rollout.reason,
        rollout.audience.join(", "),
        rollout.as_of
    )
}

fn push_steps(text: &mut String, rollout: &Rollout) {
    text.push_str("\nSteps:\n");
    let mut steps: Vec<_> = rollout.steps.iter().collect();
    steps.sort_by_key(|step| step.date);
    for step in steps {
        let internal = match step.visibility {
            Visibility::Internal => "  (internal)",
            Visibility::Public => "",
        };
        let value = step.value.as_deref().map(|v| format!("={v}"));
        text.push_str(&format!(
            "  {}  {}{} {}{internal}\n",
            step.date,
            step.measure,
            value.unwrap_or_default(),
            step.stage.word()
        ));
    }
    if let Some(legacy) = &rollout.legacy {
        text.push_str(&format!("  {}  legacy hosts end\n", legacy.until));
    }
}

pub(super) async fn plan(api: &AdminApi, slug: &str) -> Result<String, String> {
    let plan: PlannedRollout = of(api, slug, &["plan"]).await?;
    let mut text = warned(&plan.warnings);
    text.push_str("Settings:\n");
    for setting in &plan.settings {
        let item = match setting.item.as_str() {
            "" => String::new(),
            item => format!(" {item}"),
        };
        let before = setting.before.as_deref().unwrap_or("not set");
        text.push_str(&format!(
            "  {}: {}{item}\n    now:  {before}\n    then: {}\n",
            setting.scope, setting.name, setting.value
        ));
    }
    text.push_str("\nWhom this concerns today:\n\n");
    text.push_str(&told(&plan.impact));
    Ok(text)
}

fn told(impacts: &[measures::Preview]) -> String {
    let texts = impacts.iter();
    let texts = texts.map(|found| impact::told(found, "the audience"));
    texts.collect::<Vec<_>>().join("\n")
}

pub(super) async fn impact(api: &AdminApi, slug: &str, csv: bool) -> Result<String, String> {
    if csv {
        let place = path(&["rollouts", slug, "impact.csv"], &[]);
        return api.text(&place).await;
    }
    let impacts: Vec<measures::Preview> = of(api, slug, &["impact"]).await?;
    Ok(told(&impacts))
}

/// What became of the settings of a rollout.
pub(super) fn settings(done: &SteeredRollout) -> String {
    let mut text = String::new();
    for setting in &done.settings {
        text.push_str(&format!("{setting}: set\n"));
    }
    for setting in &done.left {
        text.push_str(&format!(
            "warning: {setting}: somebody changed it since; it stays as it is\n"
        ));
    }
    text
}

pub(super) async fn preview(api: &AdminApi, options: &Preview) -> Result<String, String> {
    let given = [
        ("language", options.language.map(Lang::word)),
        ("address", options.address.as_deref()),
        ("gender", options.gender.as_deref()),
        ("what", options.what.as_deref()),
        ("client", options.client.as_deref()),
    ];
    let given = given.into_iter();
    let query: Vec<_> = given
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    let place = path(&["rollouts", &options.slug, "preview"], &query);
    let found: TextsOf = api.get(&place).await?;
    let mut text = String::new();
    for one in &found.texts {
        let client = match one.client.as_str() {
            "" => String::new(),
            client => format!(" {client}"),
        };
        text.push_str(&format!(
            "== {} {} {} {}{client}\n",
            one.what, one.language, one.address, one.gender
        ));
        if !options.list {
            text.push_str(&format!("{}\n\n{}\n", one.subject, one.text));
        }
    }
    text.push_str(&format!(
        "{} of {} texts; none has anything left unfilled.\n",
        found.texts.len(),
        found.all
    ));
    Ok(text)
}
