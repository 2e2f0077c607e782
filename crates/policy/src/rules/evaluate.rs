//! Asks the rules of one point: facts in, decision out. Ordered; the first action that ends the asking decides,
//! the others add up. A rule that is not enforced yet never acts: it is only noted. Pure.

use super::action::{Action, Extensions};
use super::check::Truth;
use super::compiled::{Compiled, View};
use super::facts::Facts;
use super::rule::{Point, Rule};
use crate::model::{Sender, Stage};
use directory::sasl::Mechanism;
use platform::clock::Timestamp;

/// An action that is to be carried out, and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acting<'r> {
    /// The rule.
    pub rule: &'r Rule,
    /// What it does.
    pub action: &'r Action,
}

/// A rule that holds but is not enforced yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Noted<'r> {
    /// The rule.
    pub rule: &'r Rule,
    /// `Observe` or `Warn`.
    pub stage: Stage,
}

/// What the rules of one point say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decision<'r> {
    /// Accept, reject or defer, by the first rule that said so.
    pub ruling: Option<Acting<'r>>,
    /// Everything else, in order; nothing behind `ruling`.
    pub actions: Vec<Acting<'r>>,
    /// Rules that would have acted were they enforced.
    pub noted: Vec<Noted<'r>>,
    /// Rules that might hold: a fact they depend on is not known.
    pub undecided: Vec<&'r Rule>,
}

/// What the rules of `point` say about `facts` at `now`.
pub fn evaluate<'r>(
    rules: &'r Compiled,
    point: Point,
    facts: &Facts<'_>,
    now: Timestamp,
) -> Decision<'r> {
    let mut decision = Decision::default();
    if !rules.asks_at(point) {
        return decision;
    }
    let sender = sender_of(facts);
    let mut tags: Vec<&str> = Vec::new();
    for place in rules.candidates(point, facts) {
        let Some((rule, ready)) = rules.ready(place) else {
            break;
        };
        let view = View {
            facts,
            tags: &tags,
            now,
            compiled: rules,
        };
        match ready.when.truth(&view) {
            Truth::No => continue,
            Truth::Unknown => {
                if ready.timeline.stage(&sender, now) != Stage::Off {
                    decision.undecided.push(rule);
                }
                continue;
            }
            Truth::Yes => {}
        }
        match ready.timeline.stage(&sender, now) {
            Stage::Off => continue,
            stage @ (Stage::Observe | Stage::Warn) => {
                decision.noted.push(Noted { rule, stage });
                continue;
            }
            Stage::Enforce => {}
        }
        for action in &rule.then {
            let acting = Acting { rule, action };
            if action.is_terminal() {
                decision.ruling = Some(acting);
                return decision;
            }
            if let Action::Tag { word } = action {
                tags.push(word);
            }
            decision.actions.push(acting);
        }
    }
    decision
}

/// On whose behalf, as far as schedules care.
pub(super) fn sender_of<'a>(facts: &Facts<'a>) -> Sender<'a> {
    Sender {
        account: facts.account_number,
        domain: facts.sender_domain.value().unwrap_or_default(),
        group: facts.account_group.value(),
    }
}

impl<'r> Decision<'r> {
    /// Whether no rule had anything to say.
    pub fn is_silent(&self) -> bool {
        self.ruling.is_none() && self.actions.is_empty() && self.noted.is_empty()
    }

    /// Extensions that are off.
    pub fn extensions_off(&self) -> Extensions {
        let mut off = Extensions::default();
        for acting in &self.actions {
            if let Action::ExtensionsOff { names } = acting.action {
                names.iter().for_each(|name| off.add(*name));
            }
        }
        off
    }

    /// The only ways of logging in that are left; `None`: no rule says anything about it.
    pub fn mechanisms(&self) -> Option<Vec<Mechanism>> {
        let mut last = self.actions.iter().rev();
        last.find_map(|acting| match acting.action {
            Action::AuthMechanisms { only } => Some(only.iter().map(|name| name.0).collect()),
            _ => None,
        })
    }

    /// Tags for later points.
    pub fn tags(&self) -> impl Iterator<Item = &'r str> + '_ {
        self.actions
            .iter()
            .filter_map(|acting| match acting.action {
                Action::Tag { word } => Some(word.as_str()),
                _ => None,
            })
    }
}
