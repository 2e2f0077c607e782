//! Why rules decided as they did: every rule of the point with its condition as a tree of what held and what did not.
//! Slower than `evaluate` and only for people; both always agree. Pure.

use super::check::Truth;
use super::compiled::{Compiled, Node, View};
use super::condition::Condition;
use super::evaluate::{Decision, evaluate, sender_of};
use super::facts::Facts;
use super::rule::{Point, Rule};
use super::words::pick;
use crate::model::Stage;
use formats::language::Language;
use platform::clock::Timestamp;
use std::fmt::Write as _;

/// What became of one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained<'r> {
    /// The rule.
    pub rule: &'r Rule,
    /// Its condition.
    pub tree: Tree<'r>,
    /// Its stage for these facts.
    pub stage: Stage,
    /// What came of it.
    pub effect: Effect,
}

/// A condition and whether it held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree<'r> {
    /// The condition.
    pub condition: &'r Condition,
    /// Whether it held.
    pub truth: Truth,
    /// Its parts.
    pub parts: Vec<Tree<'r>>,
}

/// What came of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It decided; no later rule was asked.
    Decided,
    /// It did something, and later rules were asked.
    Acted,
    /// It would have acted, but is not enforced.
    Noted,
    /// It is off.
    Off,
    /// Its condition does not hold.
    NotMet,
    /// A fact it depends on is not known.
    Undecided,
    /// A rule before it had decided.
    NotAsked,
}

/// The decision, and what became of every rule of `point`, in order.
pub fn explain<'r>(
    rules: &'r Compiled,
    point: Point,
    facts: &Facts<'_>,
    now: Timestamp,
) -> (Decision<'r>, Vec<Explained<'r>>) {
    let decision = evaluate(rules, point, facts, now);
    let mut explained = Vec::new();
    let mut tags: Vec<&str> = Vec::new();
    let mut over = false;
    for place in 0..rules.set().rules().len() {
        let Some((rule, ready)) = rules.ready(place) else {
            break;
        };
        if !rule.at.contains(&point) {
            continue;
        }
        let view = View {
            facts,
            tags: &tags,
            now,
            compiled: rules,
        };
        let tree = tree(&rule.when, &view);
        let stage = ready.timeline.stage(&sender_of(facts), now);
        let effect = match (over, tree.truth, stage) {
            (true, ..) => Effect::NotAsked,
            (_, Truth::No, _) => Effect::NotMet,
            (_, _, Stage::Off) => Effect::Off,
            (_, Truth::Unknown, _) => Effect::Undecided,
            (_, _, Stage::Observe | Stage::Warn) => Effect::Noted,
            (_, _, Stage::Enforce) => {
                over = decision.ruling.is_some_and(|acting| acting.rule == rule);
                if over { Effect::Decided } else { Effect::Acted }
            }
        };
        if effect == Effect::Acted {
            tags.extend(rule.then.iter().filter_map(|action| match action {
                super::Action::Tag { word } => Some(word.as_str()),
                _ => None,
            }));
        }
        explained.push(Explained {
            rule,
            tree,
            stage,
            effect,
        });
    }
    (decision, explained)
}

fn tree<'r>(condition: &'r Condition, view: &View<'_>) -> Tree<'r> {
    let parts = match condition {
        Condition::All(all) | Condition::Any(all) => {
            all.iter().map(|one| tree(one, view)).collect()
        }
        Condition::Not(one) => vec![tree(one, view)],
        Condition::Test(_) => Vec::new(),
    };
    let truth = match condition {
        _ if condition.is_always() => Truth::Yes,
        Condition::All(_) => Truth::all(parts.iter().map(|part: &Tree<'_>| part.truth)),
        Condition::Any(_) => Truth::any(parts.iter().map(|part: &Tree<'_>| part.truth)),
        Condition::Not(_) => !Truth::any(parts.iter().map(|part: &Tree<'_>| part.truth)),
        Condition::Test(_) => Node::of(condition).truth(view),
    };
    Tree {
        condition,
        truth,
        parts,
    }
}

impl Effect {
    /// In words.
    pub fn in_words(self, language: Language) -> &'static str {
        let say = |english, german| pick(language, english, german);
        match self {
            Self::Decided => say("decided", "hat entschieden"),
            Self::Acted => say("acted", "hat gewirkt"),
            Self::Noted => say("noted only", "nur vermerkt"),
            Self::Off => say("off", "ausgeschaltet"),
            Self::NotMet => say("condition not met", "Bedingung nicht erfüllt"),
            Self::Undecided => say("cannot be told", "nicht zu sagen"),
            Self::NotAsked => say("not asked any more", "nicht mehr gefragt"),
        }
    }
}

impl Truth {
    /// In words.
    pub fn in_words(self, language: Language) -> &'static str {
        match self {
            Self::Yes => pick(language, "yes", "ja"),
            Self::No => pick(language, "no", "nein"),
            Self::Unknown => pick(language, "unknown", "unbekannt"),
        }
    }
}

impl Explained<'_> {
    /// The rule, what came of it and the tree of its condition, a line each, indented.
    pub fn in_words(&self, language: Language) -> String {
        let mut text = format!(
            "{}: {} ({})\n",
            self.rule.name,
            self.effect.in_words(language),
            self.rule.actions_in_words(language)
        );
        self.tree.write(&mut text, language, 1);
        text
    }
}

impl Tree<'_> {
    fn write(&self, text: &mut String, language: Language, depth: usize) {
        let condition = match self.condition {
            Condition::All(all) if !all.is_empty() => {
                pick(language, "ALL of", "ALLE von").to_owned()
            }
            Condition::Any(any) if !any.is_empty() => {
                pick(language, "ANY of", "EINES von").to_owned()
            }
            Condition::Not(_) => pick(language, "NOT", "NICHT").to_owned(),
            other => other.in_words(language),
        };
        let _ = writeln!(
            text,
            "{}[{}] {condition}",
            "  ".repeat(depth),
            self.truth.in_words(language)
        );
        for part in &self.parts {
            part.write(text, language, depth + 1);
        }
    }
}
