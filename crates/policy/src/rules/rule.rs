//! A rule and an ordered set of them, as data: what the store, JSON, TOML and the web form hold. Checked where
//! it is read; `compiled` makes something fast of it, `lint` finds what is likely to be a mistake.

use super::action::Action;
use super::condition::Condition;
use super::fact::{Fact, HEADER_NAMES_MAX};
use crate::measure::{RULE_NAME_BYTES_MAX, Schedule};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fmt;

/// Rules in one set.
pub const RULES_MAX: usize = 1_000;
/// Actions of one rule.
pub const ACTIONS_MAX: usize = 20;
/// Longest note on a rule, in bytes.
pub(super) const NOTE_BYTES_MAX: usize = 2_000;
/// Largest set, as JSON, in bytes.
pub const SET_BYTES_MAX: usize = 2 * 1024 * 1024;

/// A point on the way of a message where rules are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Point {
    /// A client connected.
    Connect,
    /// EHLO or HELO.
    Hello,
    /// AUTH.
    Auth,
    /// MAIL.
    Mail,
    /// RCPT, for each recipient by itself.
    Rcpt,
    /// The message came; header changes are made, and it can still be refused.
    Data,
    /// The message was taken: how it travels on.
    Route,
    /// An attempt to bring it to another server.
    Deliver,
}

impl Point {
    /// Every point, in the order of a session.
    pub const ALL: [Self; 8] = [
        Self::Connect,
        Self::Hello,
        Self::Auth,
        Self::Mail,
        Self::Rcpt,
        Self::Data,
        Self::Route,
        Self::Deliver,
    ];

    /// The word in rules and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Hello => "hello",
            Self::Auth => "auth",
            Self::Mail => "mail",
            Self::Rcpt => "rcpt",
            Self::Data => "data",
            Self::Route => "route",
            Self::Deliver => "deliver",
        }
    }

    /// The point with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|point| point.word() == word)
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name, unique in the set; findings are about `rule/NAME`.
    pub name: String,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// Where it is asked.
    pub at: Vec<Point>,
    /// When it holds; nothing: always.
    #[serde(default)]
    pub when: Condition,
    /// What it does, in order.
    pub then: Vec<Action>,
    /// From when on it acts; before that it only notes what it would have done.
    #[serde(default, with = "schedule_text")]
    pub schedule: Schedule,
}

/// A schedule as its text.
mod schedule_text {
    use crate::measure::Schedule;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(of: &Schedule, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(of)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Schedule, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Rule {
    /// Whether somebody may no longer get through because of it.
    pub fn can_break(&self) -> bool {
        self.then.iter().any(Action::can_break)
    }

    /// Why it cannot be used.
    fn check(&self) -> Result<(), String> {
        let fits = (1..=RULE_NAME_BYTES_MAX).contains(&self.name.len())
            && (self.name.bytes()).all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        if !fits {
            return Err(format!(
                "\"{}\" is no name of a rule: letters, digits, \"-\", \"_\" and \".\", at most \
                 {RULE_NAME_BYTES_MAX} bytes",
                shown(&self.name)
            ));
        }
        let name = &self.name;
        if self.note.len() > NOTE_BYTES_MAX || self.note.contains('\0') {
            return Err(format!(
                "the note of {name} is longer than {NOTE_BYTES_MAX} bytes"
            ));
        }
        if self.at.is_empty() {
            return Err(format!("{name} is asked nowhere: \"at\" needs a point"));
        }
        if self.then.is_empty() || self.then.len() > ACTIONS_MAX {
            return Err(format!("{name} needs 1 to {ACTIONS_MAX} actions"));
        }
        for action in &self.then {
            action.check().map_err(|why| format!("{name}: {why}"))?;
            if let Some(at) = self.at.iter().find(|at| !action.points().contains(at)) {
                let points: Vec<_> = action.points().iter().map(|p| p.word()).collect();
                return Err(format!(
                    "{name}: {} cannot be done at {at}, only at {}",
                    action.word(),
                    points.join(", ")
                ));
            }
        }
        if self.then.iter().any(|a| matches!(a, Action::Header { .. })) {
            let mut asks = false;
            self.when
                .each_test(&mut |test| asks |= test.fact == Fact::Size);
            if asks {
                return Err(format!(
                    "{name}: a header is changed before the size is known; ask about the size in a rule \
                     without header actions"
                ));
            }
        }
        let mut unknown = None;
        self.when.each_test(&mut |test| {
            if !self.at.iter().any(|at| test.fact.known_at(*at)) {
                unknown.get_or_insert(&test.fact);
            }
        });
        match unknown {
            None => Ok(()),
            Some(fact) => {
                let points: Vec<_> = self.at.iter().map(|p| p.word()).collect();
                Err(format!(
                    "{name}: \"{fact}\" is not known at {}",
                    points.join(", ")
                ))
            }
        }
    }
}

/// Rules in the order in which they are asked. What can be had of it is checked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct RuleSet {
    rules: Vec<Rule>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    rules: Vec<Rule>,
}

impl TryFrom<Written> for RuleSet {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        Self::new(written.rules)
    }
}

impl From<RuleSet> for Written {
    fn from(set: RuleSet) -> Self {
        Self { rules: set.rules }
    }
}

impl RuleSet {
    /// These rules in this order.
    ///
    /// # Errors
    /// Why they cannot be used, for whoever wrote them.
    pub fn new(rules: Vec<Rule>) -> Result<Self, String> {
        if rules.len() > RULES_MAX {
            return Err(format!("there may be at most {RULES_MAX} rules"));
        }
        let mut names = HashSet::new();
        let mut fields = HashSet::new();
        let mut tagged_when_it_leaves = false;
        for rule in &rules {
            rule.check()?;
            if !names.insert(rule.name.as_str()) {
                return Err(format!("two rules are called {}", rule.name));
            }
            let mut asks_tags = false;
            rule.when.each_test(&mut |test| match &test.fact {
                Fact::Tag => asks_tags = true,
                Fact::Header(name) | Fact::HeaderCount(name) => {
                    fields.insert(name.clone());
                }
                _ => {}
            });
            if rule.at.contains(&Point::Deliver) {
                if asks_tags && !tagged_when_it_leaves {
                    return Err(format!(
                        "{}: tags of earlier points are gone at deliver, hours later, and no rule before it \
                         sets one there; use the group of the message (the action group) instead",
                        rule.name
                    ));
                }
                tagged_when_it_leaves |= rule.then.iter().any(|a| matches!(a, Action::Tag { .. }));
            }
        }
        if fields.len() > HEADER_NAMES_MAX {
            return Err(format!(
                "rules may ask about at most {HEADER_NAMES_MAX} header fields in all"
            ));
        }
        Ok(Self { rules })
    }

    /// The rules, in order.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The rule with this name.
    pub fn named(&self, name: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.name == name)
    }

    /// From JSON, the form of the API and the web form.
    ///
    /// # Errors
    /// Why it cannot be used, with the place in it.
    pub fn from_json(text: &str) -> Result<Self, String> {
        within_bounds(text)?;
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    /// As JSON; the same set always gives the same text.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// From TOML, the form of files: `[[rules]]` for each.
    ///
    /// # Errors
    /// Why it cannot be used, with the place in it.
    pub fn from_toml(text: &str) -> Result<Self, String> {
        within_bounds(text)?;
        toml::from_str(text).map_err(|error| error.to_string())
    }

    /// As TOML.
    ///
    /// # Errors
    /// Where a value does not fit TOML.
    pub fn to_toml(&self) -> Result<String, String> {
        toml::to_string(self).map_err(|error| error.to_string())
    }
}

fn within_bounds(text: &str) -> Result<(), String> {
    let fits = text.len() <= SET_BYTES_MAX && !text.contains('\0');
    fits.then_some(())
        .ok_or_else(|| format!("a set of rules has at most {SET_BYTES_MAX} bytes and no NUL"))
}

/// What somebody wrote, short and harmless enough for an error text.
pub(super) fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(60).collect()
}
