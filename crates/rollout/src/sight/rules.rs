//! Whom a rule concerns, and who has mended its ways about it. A finding of a rule says only that it would have acted on
//! that day, and nothing ever settles it: who got a letter and did nothing of the kind since is not written to again.

use crate::facts::Sighting;
use crate::ledger;
use crate::model::Rollout;
use directory::AccountId;
use platform::clock::Timestamp;
use platform::store::{StoreError, Tx};
use policy::connections::{Connection, Outcome};
use policy::impact::{Affected, Proposed};
use policy::rules::{Action, Point, Rule};
use policy::{Measure, Sender, Service, Snapshot, Stage};
use std::collections::HashMap;

/// Whether an account is to be told of it (again): `told` has the days of the letters it got.
pub(super) fn is_open(
    affected: &Affected,
    proposed: &Proposed,
    told: &HashMap<AccountId, i64>,
) -> bool {
    let Proposed::Rule(_) = proposed else {
        return true;
    };
    let told = told.get(&affected.account);
    told.is_none_or(|day| affected.last_day > *day)
}

/// What a letter names of each rule: when it would have acted last, and what it would have answered.
pub(super) fn sightings(
    tx: &mut dyn Tx,
    account: AccountId,
    by: &[Proposed],
    (snapshot, first_day): (&Snapshot, i64),
) -> Result<Vec<Sighting>, StoreError> {
    let mut seen = Vec::new();
    for proposed in by {
        let Proposed::Rule(name) = proposed else {
            continue;
        };
        let measure = proposed.measure();
        let found = policy::findings::of(tx, account, &measure, first_day)?;
        let rule = snapshot.rules().set().named(name);
        seen.extend(
            found
                .iter()
                .map(|one| one.last_day)
                .max()
                .map(|last_day| Sighting {
                    measure: measure.to_string(),
                    service: String::new(),
                    tls: None,
                    clear: false,
                    client: String::new(),
                    says: rule.map_or_else(String::new, answer),
                    last_day,
                }),
        );
    }
    Ok(seen)
}

/// What a rule answers where it refuses, in one line.
fn answer(rule: &Rule) -> String {
    let text = rule.then.iter().find_map(|action| match action {
        Action::Reject { text, .. }
        | Action::Defer { text, .. }
        | Action::RequireTls { text, .. }
        | Action::Rate { text, .. } => Some(text.as_str()),
        _ => None,
    });
    let words = text.unwrap_or_default().split_whitespace();
    words.collect::<Vec<_>>().join(" ")
}

/// Whether no rule of the rollout has found anything since the latest letter, although the account was in use where
/// its rules are asked. Whom a rule refuses by now is not thanked.
pub(super) fn are_mended(
    tx: &mut dyn Tx,
    rollout: &Rollout,
    account: AccountId,
    proposals: &[Proposed],
    (rows, snapshot, now): (&[Connection], &Snapshot, Timestamp),
) -> Result<bool, StoreError> {
    let rules = proposals.iter().map(Proposed::measure);
    let mut rules = rules
        .filter(|measure| matches!(measure, Measure::Rule(_)))
        .peekable();
    if rules.peek().is_none() {
        return Ok(true);
    }
    let Some(told) = ledger::told(tx, &rollout.slug)?.get(&account).copied() else {
        return Ok(false);
    };
    for measure in rules {
        let somebody = Sender {
            account: Some(account),
            domain: "",
            group: None,
        };
        if snapshot.stage(&measure, &somebody, now).value == Stage::Enforce
            || !policy::findings::of(tx, account, &measure, told + 1)?.is_empty()
            || !rows
                .iter()
                .any(|row| proves(row, &measure, snapshot) && row.last_day > told)
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a login shows that the account was where the rule is asked.
fn proves(row: &Connection, measure: &Measure, snapshot: &Snapshot) -> bool {
    let Measure::Rule(name) = measure else {
        return false;
    };
    let about_logins = (snapshot.rules().set().named(name))
        .is_some_and(|rule| rule.at.iter().any(|at| *at <= Point::Auth));
    row.manner.outcome == Outcome::LoggedIn
        && (about_logins || row.manner.service == Service::Submission)
}
