//! How rollouts, plans and previews are printed.

use super::super::policy::impact;
use super::super::policy::output::{self, Format, table, time};
use super::{Desk, json, warned};
use clap::{Args, ValueEnum};
use formats::language::Language;
use rollout::preview::Variant;
use rollout::voice::{Address, Gender};
use rollout::{Kept, RolloutError, TakenBack, Visibility, announce};
use serde_json::json as value;

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

fn word(language: Language) -> &'static str {
    match language {
        Language::German => "de",
        Language::English => "en",
    }
}

pub(super) async fn list(desk: &Desk, format: Format) -> Result<String, RolloutError> {
    let all = desk.rollouts.list().await?;
    let values: Vec<_> = all
        .iter()
        .map(|kept| {
            value!({
                "slug": kept.rollout.slug, "state": kept.state.word(),
                "title": {"de": kept.rollout.title.de, "en": kept.rollout.title.en},
                "changed": kept.changed_at.0,
            })
        })
        .collect();
    json(format, &value!(values), || {
        let rows: Vec<_> = all
            .iter()
            .map(|kept| {
                let next = announce::deadline(&kept.rollout, &Default::default());
                vec![
                    kept.rollout.slug.clone(),
                    kept.state.word().to_owned(),
                    output::or_dash(&next.map(|at| at.to_string()).unwrap_or_default()),
                    kept.rollout.title.en.clone(),
                ]
            })
            .collect();
        table(&["SLUG", "STATE", "ENFORCED", "TITLE"], &rows)
    })
}

pub(super) async fn one(desk: &Desk, slug: &str) -> Result<String, RolloutError> {
    let kept = desk.rollouts.get(slug).await?;
    let mut text = head(&kept);
    text.push_str("\nSteps:\n");
    let mut steps: Vec<_> = kept.rollout.steps.iter().collect();
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
    if let Some(legacy) = &kept.rollout.legacy {
        text.push_str(&format!("  {}  legacy hosts end\n", legacy.until));
    }
    text.push_str("\nRounds:\n");
    let zone = desk.policies.snapshot().zone().clone();
    for round in rollout::rounds::planned(&kept.rollout, &zone) {
        text.push_str(&format!("  {:>4}  {}\n", round.number, time(round.at)));
    }
    let counts = desk.rollouts.letter_counts(slug).await?;
    if !counts.is_empty() {
        text.push_str("\nLetters:\n");
        for (round, kind, status, count) in counts {
            text.push_str(&format!("  round {round}  {kind}  {status}: {count}\n"));
        }
    }
    if !kept.rollout.evidence.is_empty() {
        text.push_str("\nNotes, for operators only:\n");
        for note in &kept.rollout.evidence {
            text.push_str(&format!(
                "  {} ({}): {}\n",
                note.source, note.seen, note.note
            ));
        }
    }
    text.push_str("\nHistory:\n");
    for past in desk.rollouts.history(slug).await? {
        let (at, action) = (time(past.at), past.action);
        text.push_str(&format!(
            "  {at}  {action}  by {}  {}\n",
            past.by, past.reason
        ));
    }
    Ok(text)
}

fn head(kept: &Kept) -> String {
    let rollout = &kept.rollout;
    format!(
        "{} ({})\n  {}\n  {}\n  Reason: {}\n  For: {}\n  As of: {}\n",
        rollout.slug,
        kept.state.word(),
        rollout.title.de,
        rollout.title.en,
        rollout.reason,
        rollout.audience.join(", "),
        rollout.as_of
    )
}

pub(super) async fn plan(desk: &Desk, slug: &str) -> Result<String, RolloutError> {
    let plan = desk.rollouts.plan(slug, desk.now).await?;
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
            setting.scope, setting.target, setting.value
        ));
    }
    text.push_str("\nWhom this concerns today:\n\n");
    text.push_str(&told(desk, &plan.impacts));
    Ok(text)
}

fn told(desk: &Desk, impacts: &[policy::impact::Impact]) -> String {
    let catalogue = desk.policies.catalogue();
    let texts = impacts
        .iter()
        .map(|found| https::api::measures::Preview::of(found.clone(), &catalogue))
        .map(|found| impact::told(&found, "the audience"));
    texts.collect::<Vec<_>>().join("\n")
}

pub(super) async fn impact(desk: &Desk, slug: &str, csv: bool) -> Result<String, RolloutError> {
    let impacts = desk.rollouts.impact(slug, desk.now).await?;
    Ok(match csv {
        true => impacts.iter().map(policy::impact::Impact::csv).collect(),
        false => told(desk, &impacts),
    })
}

pub(super) fn taken_back(done: &TakenBack) -> String {
    let mut text = String::new();
    for setting in &done.restored {
        text.push_str(&format!("{setting}: set\n"));
    }
    for setting in &done.left {
        text.push_str(&format!(
            "warning: {setting}: somebody changed it since; it stays as it is\n"
        ));
    }
    text
}

pub(super) async fn preview(desk: &Desk, options: &Preview) -> Result<String, RolloutError> {
    let wanted = |variant: &Variant| {
        let language = match options.language {
            Some(Lang::De) => Some(Language::German),
            Some(Lang::En) => Some(Language::English),
            None => None,
        };
        let form = variant.form;
        language.is_none_or(|language| form.language == language)
            && is(options.address.as_deref(), form.address.word())
            && is(options.gender.as_deref(), form.gender.word())
            && is(options.what.as_deref(), variant.what)
            && options
                .client
                .as_deref()
                .is_none_or(|client| variant.client.starts_with(client))
    };
    known(options.address.as_deref(), Address::ALL.map(Address::word))?;
    known(options.gender.as_deref(), Gender::ALL.map(Gender::word))?;
    let all = desk.rollouts.preview(&options.slug).await?;
    let mut text = String::new();
    let mut shown = 0;
    for variant in all.iter().filter(|variant| wanted(variant)) {
        shown += 1;
        let (what, form) = (variant.what, variant.form);
        let client = match variant.client.as_str() {
            "" => String::new(),
            client => format!(" {client}"),
        };
        text.push_str(&format!(
            "== {what} {} {} {}{client}\n",
            word(form.language),
            form.address.word(),
            form.gender.word()
        ));
        if !options.list {
            text.push_str(&format!("{}\n\n{}\n", variant.subject, variant.text));
        }
    }
    text.push_str(&format!(
        "{shown} of {} texts; none has anything left unfilled.\n",
        all.len()
    ));
    Ok(text)
}

fn is(wanted: Option<&str>, word: &str) -> bool {
    wanted.is_none_or(|wanted| wanted == word)
}

fn known<const N: usize>(wanted: Option<&str>, words: [&str; N]) -> Result<(), RolloutError> {
    match wanted {
        Some(wanted) if !words.contains(&wanted) => Err(RolloutError::Invalid(format!(
            "\"{wanted}\" is none of {}",
            words.join(", ")
        ))),
        _ => Ok(()),
    }
}
