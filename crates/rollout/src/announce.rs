//! The four parts of an announcement and its dates, as texts: what the rollout says, else the built-in text
//! for its measures. Internal steps leave no trace. Pure; letters and pages are made of it.

use crate::facts::kind;
use crate::fill::{FillError, Values};
use crate::model::{LocalDate, Rollout, Step, Visibility};
use crate::voice::Voice;
use crate::wording::Speaker;
use policy::{Measure, Service, Stage};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// Where announcements are, below the provider's site.
pub const PAGES: &str = "ankuendigungen/";

/// An announcement's texts, filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// Why it is done.
    pub why: String,
    /// What it means for the reader.
    pub means: String,
    /// What holds until when.
    pub transition: String,
    /// What is behind it.
    pub background: String,
    /// A line for each public date.
    pub dates: Vec<String>,
}

/// The address of a rollout's public page.
pub fn page(voice: &Voice, slug: &str) -> String {
    format!("{}{PAGES}{slug}", voice.site)
}

/// The steps everybody may know of, in the order of their dates.
pub fn public_steps(rollout: &Rollout) -> Vec<&Step> {
    let mut steps: Vec<_> = rollout
        .steps
        .iter()
        .filter(|step| step.visibility == Visibility::Public)
        .collect();
    steps.sort_by(|a, b| (a.date, &a.measure).cmp(&(b.date, &b.measure)));
    steps
}

/// The first date on which one of `measures` is enforced; of all public ones where none of them is.
pub fn deadline(rollout: &Rollout, measures: &BTreeSet<String>) -> Option<LocalDate> {
    let steps = public_steps(rollout);
    let enforced = |step: &&&Step| step.stage == Stage::Enforce;
    let of_these = |step: &&&Step| measures.contains(&step.measure.to_string());
    let first = steps.iter().filter(enforced).find(|step| of_these(step));
    let first = first.or_else(|| steps.iter().find(|step| step.stage == Stage::Enforce));
    first.map(|step| step.date)
}

impl Announced {
    /// The texts of a rollout.
    ///
    /// # Errors
    /// Where one names something that is not known.
    pub fn of(rollout: &Rollout, speaker: &Speaker<'_>) -> Result<Self, FillError> {
        let own = rollout.texts.of(speaker.language);
        let values = values(rollout, speaker);
        let steps = public_steps(rollout);
        // Everybody reads of what holds from a date on; who only watches or warns is told by letters.
        let kinds: BTreeSet<_> = steps.iter().map(|step| kind(&step.measure)).collect();
        let part = |written: &str, keys: Vec<String>| -> Result<String, FillError> {
            if !written.trim().is_empty() {
                return speaker.say_text(written.trim_end(), &values);
            }
            let known = keys.iter().filter(|key| crate::wording::is_text(key));
            let texts = known.map(|key| speaker.say(key, &values));
            Ok(texts.collect::<Result<Vec<_>, _>>()?.join("\n\n"))
        };
        let each = |part: &str| kinds.iter().map(|kind| format!("{part}.{kind}")).collect();
        let mut transition = transition(&kinds);
        if rollout.legacy.is_some() {
            transition.push("transition.legacy".to_owned());
        }
        Ok(Self {
            why: part(&own.why, vec![why(&kinds).to_owned()])?,
            means: part(&own.means, each("means"))?,
            transition: part(&own.transition, transition)?,
            background: part(&own.background, each("background"))?,
            dates: dates(rollout, &steps, speaker)?,
        })
    }
}

/// The key of why it is done. Rules, and what concerns other servers, are not about how programs connect.
fn why(kinds: &BTreeSet<&str>) -> &'static str {
    match kinds.iter().all(|kind| is_apart(kind)) {
        true => "why_otherwise",
        false => "why",
    }
}

fn is_apart(kind: &str) -> bool {
    matches!(kind, "rule" | "inbound-tls")
}

/// The keys of what holds until then: a text for what letters are written about, and one for each of the others.
fn transition(kinds: &BTreeSet<&str>) -> Vec<String> {
    let mut keys = Vec::new();
    if !kinds.iter().all(|kind| is_apart(kind)) {
        keys.push("transition.all".to_owned());
    } else if kinds.contains("rule") {
        keys.push("transition.rule".to_owned());
    }
    if kinds.contains("inbound-tls") {
        keys.push("transition.inbound-tls".to_owned());
    }
    keys
}

/// What the texts of a rollout may name.
fn values<'r>(rollout: &'r Rollout, speaker: &Speaker<'_>) -> Values<'r> {
    let version = rollout
        .steps
        .iter()
        .filter(|step| kind(&step.measure) == "tls-version")
        .filter_map(|step| step.value.as_deref())
        .max()
        .unwrap_or("1.2");
    let title = rollout.title.of(speaker.language).as_str();
    let mut values = Values::from([
        ("title", Cow::Borrowed(title)),
        ("version", Cow::Borrowed(version)),
        ("page", Cow::Owned(page(speaker.voice, &rollout.slug))),
    ]);
    if let Some(deadline) = deadline(rollout, &BTreeSet::new()) {
        values.insert("deadline", Cow::Owned(speaker.date(deadline)));
    }
    if let Some(legacy) = &rollout.legacy {
        values.insert("legacy_until", Cow::Owned(speaker.date(legacy.until)));
    }
    values
}

/// A line for each date and kind, with all its services; warnings are said to be such.
fn dates(
    rollout: &Rollout,
    steps: &[&Step],
    speaker: &Speaker<'_>,
) -> Result<Vec<String>, FillError> {
    let mut lines: Vec<(LocalDate, String)> = Vec::new();
    let told = steps.iter().filter(|step| step.stage >= Stage::Warn);
    let together: BTreeSet<_> = told
        .map(|step| {
            (
                step.date,
                kind(&step.measure),
                step.value.as_deref(),
                step.stage,
            )
        })
        .collect();
    for (date, of_kind, value, stage) in together {
        let same = steps.iter().filter(|step| {
            (step.date, kind(&step.measure)) == (date, of_kind)
                && step.value.as_deref() == value
                && step.stage == stage
        });
        let services = same
            .filter_map(|step| service(&step.measure))
            .map(|service| speaker.plain(&format!("service.{service}")))
            .collect::<Result<BTreeSet<_>, _>>()?;
        let services: Vec<_> = services.into_iter().collect();
        let with = Values::from([
            ("service", Cow::Owned(services.join(", "))),
            ("version", Cow::Owned(value.unwrap_or("1.2").to_owned())),
        ]);
        let mut what = speaker.say(&format!("dates.{of_kind}"), &with)?;
        if stage == Stage::Warn {
            let with = Values::from([("what", Cow::Owned(what))]);
            what = speaker.say("stage.warn", &with)?;
        }
        lines.push((date, what));
    }
    if let Some(legacy) = &rollout.legacy {
        lines.push((legacy.until, speaker.plain("dates.legacy_end")?));
    }
    lines.sort();
    let lines = lines.into_iter().map(|(date, what)| {
        let with = Values::from([
            ("date", Cow::Owned(speaker.date(date))),
            ("what", Cow::Owned(what)),
        ]);
        speaker.say("dates.line", &with)
    });
    lines.collect()
}

/// The service a measure is about.
fn service(measure: &Measure) -> Option<Service> {
    match measure {
        Measure::TlsVersion(service) | Measure::Cleartext(service) => Some(*service),
        Measure::SenderOwnership
        | Measure::InboundTls
        | Measure::OutboundTls
        | Measure::SpoofedSender
        | Measure::Rule(_) => None,
    }
}
