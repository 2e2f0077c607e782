//! What `Rollouts` does inside its transactions: states, what is planned, and settings made with what was there
//! before. Called by `admin`, and by whoever needs a rollout's scopes or measures.

use super::{Plan, RolloutError, targets};
use crate::check::{Checked, check};
use crate::model::{Rollout, State};
use crate::plan::{self, Pace, Setting};
use crate::rows::{self, Kept, Made};
use crate::sight;
use platform::clock::Timestamp;
use platform::store::Tx;
use policy::admin::{Author, Wanted, within};
use policy::impact::Proposed;
use policy::setting::{Name, Value};
use policy::{Measure, Scope, Snapshot, Stage};
use std::collections::HashSet;

/// The warnings of a rollout without problems.
pub(super) fn checked(rollout: &Rollout) -> Result<Vec<String>, RolloutError> {
    let Checked { problems, warnings } = check(rollout);
    match problems.is_empty() {
        true => Ok(warnings),
        false => Err(RolloutError::Invalid(problems.join("\n"))),
    }
}

/// The scopes of its audience, each once.
pub(crate) fn scopes(tx: &mut dyn Tx, rollout: &Rollout) -> Result<Vec<Scope>, RolloutError> {
    let mut seen = HashSet::new();
    let mut scopes = Vec::new();
    for text in &rollout.audience {
        let scope = within::scope(tx, text)?;
        if seen.insert(scope.clone()) {
            scopes.push(scope);
        }
    }
    Ok(scopes)
}

/// Brings a rollout into its next state.
pub(super) fn become_(
    tx: &mut dyn Tx,
    slug: &str,
    to: State,
    author: &Author,
) -> Result<Kept, RolloutError> {
    let kept = rows::get(tx, slug)?;
    if !kept.state.may_become(to) {
        return Err(RolloutError::Invalid(format!(
            "rollout {slug} is {} and cannot become {}",
            kept.state.word(),
            to.word()
        )));
    }
    rows::put(tx, &kept.rollout, to, author.now)?;
    rows::note(tx, slug, to.word(), author)?;
    Ok(kept)
}

pub(super) fn plan(
    tx: &mut dyn Tx,
    slug: &str,
    snapshot: &Snapshot,
    now: Timestamp,
) -> Result<Plan, RolloutError> {
    let kept = rows::get(tx, slug)?;
    let Checked {
        problems,
        mut warnings,
    } = check(&kept.rollout);
    warnings.extend(problems);
    let settings = settings(tx, &kept.rollout, snapshot, now)?;
    warnings.extend(
        settings
            .iter()
            .filter_map(|setting| setting.loosens.clone()),
    );
    let scopes = scopes(tx, &kept.rollout)?;
    let mut impacts = Vec::new();
    for scope in &scopes {
        for proposed in proposals(&kept.rollout, scope) {
            impacts.push(sight::impact(
                tx,
                &kept.rollout,
                &proposed,
                scope,
                snapshot,
                now,
            )?);
        }
    }
    Ok(Plan {
        kept,
        settings,
        impacts,
        warnings,
    })
}

/// What its measures come to at one scope, for previews. Mandatory TLS is previewed for single domains.
pub(crate) fn proposals(rollout: &Rollout, scope: &Scope) -> Vec<Proposed> {
    let domain = match scope {
        Scope::Domain(domain) => Some(domain.clone()),
        _ => None,
    };
    let mut proposals: Vec<_> = rollout
        .steps
        .iter()
        .filter_map(|step| match (&step.measure, step.value.as_deref()) {
            (Measure::TlsVersion(_), Some(value)) => {
                Proposed::from_word(&format!("{}={value}", step.measure))
            }
            (Measure::InboundTls, _) => domain.clone().map(Proposed::InboundTls),
            (Measure::OutboundTls, _) => domain.clone().map(Proposed::OutboundTls),
            (measure, _) => Proposed::from_word(&measure.to_string()),
        })
        .collect();
    proposals.sort();
    proposals.dedup();
    proposals
}

/// What it sets at every scope of its audience, with what is set there before.
pub(super) fn settings(
    tx: &mut dyn Tx,
    rollout: &Rollout,
    snapshot: &Snapshot,
    now: Timestamp,
) -> Result<Vec<Setting>, RolloutError> {
    let mut settings = Vec::new();
    for scope in scopes(tx, rollout)? {
        let whom = sight::Whom::of(tx, &scope)?;
        let current =
            |measure: &Measure| -> Stage { snapshot.stage(measure, &whom.sender(), now).value };
        let planned = plan::settings(rollout, &scope, Pace::Dated, current);
        for mut setting in planned.map_err(RolloutError::Invalid)? {
            targets::complete(tx, &mut setting)?;
            settings.push(setting);
        }
    }
    Ok(settings)
}

/// Makes one setting and remembers what was there.
pub(super) fn put(
    tx: &mut dyn Tx,
    slug: &str,
    setting: &Setting,
    because: &Author,
) -> Result<(), RolloutError> {
    let (name, item) = (setting.target.to_string(), &setting.item);
    if let Some(other) = rows::also_set_by(tx, slug, (&setting.scope, &name, item))? {
        return Err(RolloutError::Invalid(format!(
            "{} is set by rollout {other} already; end or roll back that one first",
            place(&setting.scope, &name, item)
        )));
    }
    let made = targets::set(tx, setting, because)?;
    Ok(rows::put_made(tx, slug, &made)?)
}

pub(super) fn wanted(made: &Made, name: Name, value: Value) -> Wanted {
    Wanted {
        scope: made.scope.clone(),
        name,
        item: made.item.clone(),
        value,
        expires_at: None,
        consent: None,
        owner: None,
    }
}

pub(super) fn shown(made: &Made) -> String {
    place(&made.scope, &made.name, &made.item)
}

fn place(scope: &Scope, name: &str, item: &str) -> String {
    match item {
        "" => format!("{scope}: {name}"),
        item => format!("{scope}: {name} {item}"),
    }
}

/// The history of settings names the rollout.
pub(super) fn because(rollout: &Rollout, author: &Author) -> Author {
    let said = match author.reason.as_str() {
        "" => rollout.reason.as_str(),
        reason => reason,
    };
    let said: String = said.split_whitespace().collect::<Vec<_>>().join(" ");
    Author {
        reason: format!("rollout {}: {said}", rollout.slug),
        ..author.clone()
    }
}
