//! What is wrong with a rollout before anybody sees it: names, dates, stages, rounds, and every text in every
//! form. Pure; sentences for the operator.

use crate::model::{Rollout, Step, Visibility};
use crate::preview;
use crate::wording::is_text;
use jiff::civil::Time;
use policy::{Measure, Stage};
use std::collections::BTreeMap;

/// Longest slug, in bytes.
const SLUG_BYTES_MAX: usize = 64;
/// Longest title, in bytes.
const TITLE_BYTES_MAX: usize = 200;
/// Longest text of one part, in bytes.
const TEXT_BYTES_MAX: usize = 20_000;
/// Steps of a rollout.
const STEPS_MAX: usize = 100;
/// Scopes of an audience.
const AUDIENCE_MAX: usize = 1000;
/// Notes of evidence.
const EVIDENCE_MAX: usize = 200;
/// Days between two rounds; a week is the least, because nobody gets more than one letter a week.
const EVERY_DAYS: std::ops::RangeInclusive<u16> = 7..=90;
/// Days back that can count.
const LOOK_BACK_DAYS: std::ops::RangeInclusive<u16> = 7..=365;
/// The newsletter goes out so long before the first enforcement, in days (S1-30: ten weeks).
const AHEAD_DAYS: i32 = 70;

/// What is wrong and must be changed, and what should be known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checked {
    /// Nothing is done while there is one.
    pub problems: Vec<String>,
    /// For the operator to think about.
    pub warnings: Vec<String>,
}

/// Looks through a rollout.
pub fn check(rollout: &Rollout) -> Checked {
    let mut checked = Checked::default();
    words(rollout, &mut checked.problems);
    for (measure, steps) in by_measure(rollout) {
        of_measure(&measure, &steps, &mut checked.problems);
        audience(&measure, rollout, &mut checked.problems);
        rule_texts(&measure, rollout, &mut checked.warnings);
    }
    rounds(rollout, &mut checked);
    legacy(rollout, &mut checked);
    if checked.problems.is_empty() {
        checked.problems = preview::gaps(rollout);
    }
    checked
}

/// The steps of each measure by date.
pub(crate) fn by_measure(rollout: &Rollout) -> BTreeMap<Measure, Vec<&Step>> {
    let mut found: BTreeMap<Measure, Vec<&Step>> = BTreeMap::new();
    for step in &rollout.steps {
        found.entry(step.measure.clone()).or_default().push(step);
    }
    for steps in found.values_mut() {
        steps.sort_by_key(|step| step.date.at(Time::midnight()));
    }
    found
}

/// Whether a text can name a rollout.
pub fn is_slug(text: &str) -> bool {
    (1..=SLUG_BYTES_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
}

fn words(rollout: &Rollout, problems: &mut Vec<String>) {
    if !is_slug(&rollout.slug) {
        problems.push(format!(
            "slug \"{}\": give at most {SLUG_BYTES_MAX} lower-case letters, digits and hyphens",
            rollout.slug
        ));
    }
    for (language, title) in [("de", &rollout.title.de), ("en", &rollout.title.en)] {
        let fits = (1..=TITLE_BYTES_MAX).contains(&title.trim().len());
        if !fits || title.chars().any(char::is_control) {
            problems.push(format!(
                "title.{language}: give one line of at most {TITLE_BYTES_MAX} bytes"
            ));
        }
    }
    if rollout.reason.trim().is_empty() {
        problems.push("reason: say why, for the history of settings".to_owned());
    }
    let count = |what: &str, n: usize, most: usize| {
        (n == 0 || n > most).then(|| format!("{what}: give 1 to {most}"))
    };
    problems.extend(count("audience", rollout.audience.len(), AUDIENCE_MAX));
    problems.extend(count("steps", rollout.steps.len(), STEPS_MAX));
    if rollout.evidence.len() > EVIDENCE_MAX {
        problems.push(format!("evidence: give at most {EVIDENCE_MAX} notes"));
    }
    for texts in [&rollout.texts.de, &rollout.texts.en] {
        let own = texts.wording.iter();
        let parts = [
            &texts.why,
            &texts.means,
            &texts.transition,
            &texts.background,
        ];
        let all = parts.into_iter().chain(own.clone().map(|(_, text)| text));
        if all
            .clone()
            .any(|t| t.len() > TEXT_BYTES_MAX || t.contains('\0'))
        {
            problems.push(format!("texts: one is longer than {TEXT_BYTES_MAX} bytes"));
        }
        let unknown = own.filter(|(key, _)| !is_text(key));
        problems.extend(unknown.map(|(key, _)| {
            format!("texts: there is no built-in text \"{key}\" to be said differently")
        }));
    }
    if rollout
        .canary
        .is_some_and(|share| !(1..=99).contains(&share))
    {
        problems.push("canary: give a share from 1 to 99".to_owned());
    }
}

fn of_measure(measure: &Measure, steps: &[&Step], problems: &mut Vec<String>) {
    let values: Vec<_> = steps.iter().map(|step| step.value.as_deref()).collect();
    let known: &[Option<&str>] = match measure {
        Measure::TlsVersion(_) => &[None, Some("1.2"), Some("1.3")],
        Measure::OutboundTls => &[None, Some("required"), Some("authenticated")],
        Measure::SpoofedSender => &[None, Some("score"), Some("junk"), Some("reject")],
        Measure::Cleartext(_)
        | Measure::SenderOwnership
        | Measure::InboundTls
        | Measure::Rule(_) => &[None],
    };
    if values.iter().any(|value| !known.contains(value)) {
        problems.push(format!(
            "{measure}: the value of a step is none it can have"
        ));
    }
    if values.windows(2).any(|pair| pair[0] != pair[1]) {
        problems.push(format!(
            "{measure}: all its steps must have the same value; a second rollout can go further"
        ));
    }
    let same_day =
        |pair: &[&Step]| pair[0].date.at(Time::midnight()) == pair[1].date.at(Time::midnight());
    if steps.windows(2).any(same_day) {
        problems.push(format!("{measure}: two steps have the same date"));
    }
    let must_end = matches!(measure, Measure::TlsVersion(_) | Measure::Cleartext(_));
    if must_end && steps.last().is_some_and(|s| s.stage != Stage::Enforce) {
        problems.push(format!("{measure}: its last step must be enforce"));
    }
}

/// Whom a measure can be for at all.
fn audience(measure: &Measure, rollout: &Rollout, problems: &mut Vec<String>) {
    let all = rollout.audience.iter();
    match measure {
        Measure::Rule(_) if all.clone().any(|scope| scope != "installation") => {
            problems.push(format!(
                "{measure} is asked about everybody: its rollout is for the installation. Whom it concerns is \
                 said by its condition, such as account-group is ..."
            ));
        }
        Measure::InboundTls => {
            let whole = |scope: &&String| {
                *scope == "installation" || scope.starts_with("group:") || scope.contains('@')
            };
            if let Some(scope) = all.clone().find(whole) {
                problems.push(format!(
                    "inbound-tls is for domains, each of which has to agree to it; \"{scope}\" is none"
                ));
            }
            if rollout.canary.is_some() {
                problems.push(
                    "inbound-tls holds for a whole domain; a canary chooses accounts".to_owned(),
                );
            }
        }
        _ => {}
    }
}

/// What a rule means for people only its operator knows.
fn rule_texts(measure: &Measure, rollout: &Rollout, warnings: &mut Vec<String>) {
    let is_public = |step: &Step| step.measure == *measure && step.visibility == Visibility::Public;
    let said = [&rollout.texts.de, &rollout.texts.en];
    if matches!(measure, Measure::Rule(_))
        && rollout.steps.iter().any(is_public)
        && said.iter().any(|texts| texts.means.trim().is_empty())
    {
        warnings.push(format!(
            "{measure}: say in texts.de.means and texts.en.means what it means for readers and what they are to \
             do; a built-in text cannot know"
        ));
    }
}

fn rounds(rollout: &Rollout, checked: &mut Checked) {
    let rounds = &rollout.rounds;
    let problems = &mut checked.problems;
    if rounds
        .every_days
        .is_some_and(|days| !EVERY_DAYS.contains(&days))
    {
        problems.push(format!(
            "rounds.every_days: give {} to {}; nobody gets more than one letter a week",
            EVERY_DAYS.start(),
            EVERY_DAYS.end()
        ));
    }
    if rounds
        .look_back_days
        .is_some_and(|days| !LOOK_BACK_DAYS.contains(&days))
    {
        problems.push(format!(
            "rounds.look_back_days: give {} to {}",
            LOOK_BACK_DAYS.start(),
            LOOK_BACK_DAYS.end()
        ));
    }
    if rounds.first.is_none() && (rounds.every_days.is_some() || rounds.last.is_some()) {
        problems.push("rounds.first: say when round 1 is".to_owned());
    }
    if let (Some(first), Some(last)) = (rounds.first, rounds.last)
        && last.day < first.day
    {
        problems.push("rounds.last comes before rounds.first".to_owned());
    }
    if rounds.first.is_some() && rounds.every_days.is_some() && rounds.last.is_none() {
        problems.push("rounds.last: say after which day no round begins".to_owned());
    }
    let enforced = crate::announce::deadline(rollout, &Default::default());
    if let (Some(newsletter), Some(enforced)) = (rounds.newsletter, enforced) {
        let ahead = newsletter
            .day
            .until(enforced.day)
            .map(|span| span.get_days());
        if ahead.is_ok_and(|days| days < AHEAD_DAYS) {
            checked.warnings.push(format!(
                "the newsletter goes out less than {} weeks before {enforced}",
                AHEAD_DAYS / 7
            ));
        }
    }
    if rounds.newsletter.is_none() && rounds.first.is_none() {
        checked
            .warnings
            .push("nobody gets a letter: there are no rounds".to_owned());
    }
}

fn legacy(rollout: &Rollout, checked: &mut Checked) {
    let Some(legacy) = &rollout.legacy else {
        return;
    };
    if legacy
        .tls
        .iter()
        .any(|version| !matches!(version.as_str(), "1.0" | "1.1"))
    {
        checked
            .problems
            .push("legacy.tls: give 1.0, 1.1 or both".to_owned());
    }
    if legacy.tls.is_empty() && !legacy.cleartext {
        checked
            .problems
            .push("legacy: allow a TLS version, or cleartext, or leave it out".to_owned());
    }
    let scoped = |scope: &String| scope.starts_with("group:") || scope.contains('@');
    if rollout.audience.iter().any(scoped) {
        checked.problems.push(
            "legacy: the legacy hosts are for the installation or for domains, not for groups and accounts"
                .to_owned(),
        );
    }
    let last = rollout.steps.iter().map(|step| step.date).max();
    if last.is_some_and(|last| legacy.until < last) {
        checked
            .warnings
            .push("legacy.until comes before the last step".to_owned());
    }
}
