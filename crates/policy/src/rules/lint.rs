//! Finds what is likely to be a mistake in a set of rules: rules that are never reached, never hold, contradict each
//! other or stand in an odd order; refusals without a word of help; groups and pools that do not exist. Pure.

use super::action::Action;
use super::logic::Ways;
use super::named::{Named, named};
use super::rule::{Point, Rule, RuleSet};
use super::words::pick;
use crate::model::Stage;
use formats::language::Language;
use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;

/// What exists, for rules that name it.
#[derive(Debug, Clone, Default)]
pub struct Existing {
    /// Customer groups.
    pub groups: HashSet<String>,
    /// Pools of source addresses.
    pub pools: HashSet<String>,
    /// The addresses in these pools.
    pub addresses: HashSet<IpAddr>,
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// A rule before it decides wherever it would hold.
    Shadowed,
    /// A later rule always undoes what it says.
    Overridden,
    /// Another rule with the same condition says the opposite.
    Contradicts,
    /// Its condition can never hold.
    NeverHolds,
    /// It permits before a later rule forbids; the later one decides.
    Order,
    /// At one of its points something it asks about is not known.
    NotKnownThere,
    /// It refuses without a text.
    NoText,
    /// It names a group that does not exist.
    NoSuchGroup,
    /// It names a pool that does not exist.
    NoSuchPool,
    /// Its source address is in no pool.
    NoSuchAddress,
}

impl Problem {
    /// The word in the API and in logs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Shadowed => "shadowed",
            Self::Overridden => "overridden",
            Self::Contradicts => "contradicts",
            Self::NeverHolds => "never-holds",
            Self::Order => "order",
            Self::NotKnownThere => "not-known-there",
            Self::NoText => "no-text",
            Self::NoSuchGroup => "no-such-group",
            Self::NoSuchPool => "no-such-pool",
            Self::NoSuchAddress => "no-such-address",
        }
    }
}

/// One remark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// About this rule.
    pub rule: String,
    /// What is wrong.
    pub problem: Problem,
    /// The other rule, or what does not exist; empty where there is nothing to name.
    pub other: String,
}

impl Remark {
    /// A sentence for whoever wrote the rule.
    pub fn in_words(&self, language: Language) -> String {
        let text = match self.problem {
            Problem::Shadowed => pick(
                language,
                "{rule} is never reached: {other} stands before it and decides wherever it would hold",
                "{rule} wird nie erreicht: {other} steht davor und entscheidet überall, wo sie gälte",
            ),
            Problem::Overridden => pick(
                language,
                "{rule} has no effect: {other} stands behind it, holds wherever it does, and the later rule decides; swap them?",
                "{rule} bleibt wirkungslos: {other} steht dahinter, gilt überall, wo sie gilt, und die spätere Regel entscheidet; tauschen?",
            ),
            Problem::Contradicts => pick(
                language,
                "{rule} and {other} have the same condition and say the opposite",
                "{rule} und {other} haben dieselbe Bedingung und sagen das Gegenteil",
            ),
            Problem::NeverHolds => pick(
                language,
                "{rule} can never hold: its conditions exclude each other",
                "{rule} kann nie gelten: ihre Bedingungen schließen einander aus",
            ),
            Problem::Order => pick(
                language,
                "{rule} permits what {other} behind it forbids; the later rule decides. Put what forbids first",
                "{rule} erlaubt, was {other} dahinter verbietet; die spätere Regel entscheidet. Verbote gehören nach vorn",
            ),
            Problem::NotKnownThere => pick(
                language,
                "{rule} never holds at {other}: something it asks about is not known there yet",
                "{rule} gilt bei {other} nie: etwas, wonach sie fragt, ist dort noch nicht bekannt",
            ),
            Problem::NoText => pick(
                language,
                "{rule} refuses without a text: tell people what happened and what to do",
                "{rule} lehnt ohne Text ab: sagen Sie, was geschah und was zu tun ist",
            ),
            Problem::NoSuchGroup => pick(
                language,
                "{rule} names the group {other}, which does not exist",
                "{rule} nennt die Gruppe {other}, die es nicht gibt",
            ),
            Problem::NoSuchPool => pick(
                language,
                "{rule} names the pool {other}, which does not exist",
                "{rule} nennt den Pool {other}, den es nicht gibt",
            ),
            Problem::NoSuchAddress => pick(
                language,
                "{rule} sends from {other}, which is in no pool: is it an address of this server?",
                "{rule} sendet von {other}, die in keinem Pool steht: gehört sie diesem Server?",
            ),
        };
        text.replace("{rule}", &self.rule)
            .replace("{other}", &self.other)
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.in_words(Language::English))
    }
}

/// What is likely to be a mistake, in the order of the rules.
pub fn lint(set: &RuleSet, existing: &Existing) -> Vec<Remark> {
    let rules = set.rules();
    let ways: Vec<_> = rules.iter().map(|rule| Ways::of(&rule.when)).collect();
    let mut remarks = Vec::new();
    for (place, rule) in rules.iter().enumerate() {
        alone(rule, existing, &mut remarks);
        let Some(own) = ways.get(place).and_then(Option::as_ref) else {
            continue;
        };
        if own.is_never() {
            remarks.push(remark(rule, Problem::NeverHolds, ""));
            continue;
        }
        let earlier = rules.iter().zip(&ways).take(place);
        let earlier = earlier.filter_map(|(other, ways)| Some((other, ways.as_ref()?)));
        for (before, its) in earlier.filter(|(_, its)| !its.is_never()) {
            remarks.extend(pair(before, its, rule, own));
        }
    }
    remarks
}

fn remark(rule: &Rule, problem: Problem, other: &str) -> Remark {
    Remark {
        rule: rule.name.clone(),
        problem,
        other: other.to_owned(),
    }
}

/// What is wrong with a rule whatever the others say.
fn alone(rule: &Rule, existing: &Existing, remarks: &mut Vec<Remark>) {
    let mut add = |problem, other: &str| remarks.push(remark(rule, problem, other));
    for action in &rule.then {
        match action {
            Action::Reject { text, .. } | Action::Defer { text, .. } if text.is_empty() => {
                add(Problem::NoText, "");
            }
            Action::Source { addresses } => {
                let unknown = addresses.iter().find(|at| !existing.addresses.contains(at));
                if let Some(address) = unknown {
                    add(Problem::NoSuchAddress, &address.to_string());
                }
            }
            _ => {}
        }
    }
    for one in named(rule) {
        let is_named =
            |group: &String| matches!(one, Named::Group(name) if name.eq_ignore_ascii_case(group));
        match one {
            Named::Group(name) if !existing.groups.iter().any(is_named) => {
                add(Problem::NoSuchGroup, name);
            }
            Named::Pool(name) if !existing.pools.contains(name) => add(Problem::NoSuchPool, name),
            Named::Group(_) | Named::Pool(_) => {}
        }
    }
    for at in &rule.at {
        let mut known = true;
        rule.when
            .each_test(&mut |test| known &= test.fact.known_at(*at));
        if !known {
            add(Problem::NotKnownThere, at.word());
        }
    }
}

/// What is wrong with two rules in this order.
fn pair(before: &Rule, its: &Ways, after: &Rule, own: &Ways) -> Option<Remark> {
    let shared = after.at.iter().any(|at| before.at.contains(at));
    if !shared {
        return None;
    }
    let same = its.implies(own) && own.implies(its);
    if same && opposite(before, after) {
        return Some(remark(after, Problem::Contradicts, &before.name));
    }
    let covers = |wide: &Rule, narrow: &[Point]| narrow.iter().all(|at| wide.at.contains(at));
    if ends(before) && is_settled(before) && covers(before, &after.at) && own.implies(its) {
        return Some(remark(after, Problem::Shadowed, &before.name));
    }
    if overrides(after, before)
        && is_settled(after)
        && covers(after, &before.at)
        && its.implies(own)
    {
        return Some(remark(before, Problem::Overridden, &after.name));
    }
    let permits = mechanisms(before).is_some_and(|only| only > 0);
    let forbids = mechanisms(after) == Some(0);
    (permits && forbids).then(|| remark(before, Problem::Order, &after.name))
}

/// Whether it is enforced for everybody from some day on.
fn is_settled(rule: &Rule) -> bool {
    let schedule = &rule.schedule;
    schedule.last() == Stage::Enforce && schedule.canary.is_none() && schedule.paused.is_none()
}

/// Whether no later rule is asked after it.
fn ends(rule: &Rule) -> bool {
    rule.then.iter().any(Action::is_terminal)
}

/// How many ways of logging in it leaves, if it says something about them.
fn mechanisms(rule: &Rule) -> Option<usize> {
    rule.then.iter().find_map(|action| match action {
        Action::AuthMechanisms { only } => Some(only.len()),
        _ => None,
    })
}

/// Whether everything the rule before does is something of which the last word counts, and `after` has it.
fn overrides(after: &Rule, before: &Rule) -> bool {
    let last_counts = |action: &Action| {
        matches!(
            action,
            Action::AuthMechanisms { .. }
                | Action::Group { .. }
                | Action::Pool { .. }
                | Action::Source { .. }
                | Action::Priority { .. }
        )
    };
    before
        .then
        .iter()
        .all(|done| last_counts(done) && after.then.iter().any(|later| later.word() == done.word()))
        && before.then.iter().any(|done| !after.then.contains(done))
}

fn opposite(one: &Rule, other: &Rule) -> bool {
    let ending = |rule: &Rule| {
        let end = rule.then.iter().find(|action| action.is_terminal());
        end.map(Action::word)
    };
    let ends = match (ending(one), ending(other)) {
        (Some(a), Some(b)) => a != b,
        _ => false,
    };
    let logins = match (mechanisms(one), mechanisms(other)) {
        (Some(a), Some(b)) => (a == 0) != (b == 0),
        _ => false,
    };
    ends || logins
}
