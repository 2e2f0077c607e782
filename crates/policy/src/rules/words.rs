//! Conditions and actions in words, English and German: for lists, for the tester's explanation and for the web
//! form. Pure.

use super::action::{Action, Text};
use super::condition::{Condition, Test, Value};
use super::fact::Fact;
use super::rule::Rule;
use formats::language::Language;
use std::fmt::Write as _;

/// A pair of texts, English first.
pub(super) fn pick(
    language: Language,
    english: &'static str,
    german: &'static str,
) -> &'static str {
    match language {
        Language::English => english,
        Language::German => german,
    }
}

impl Condition {
    /// In words: `always`, or what has to be so. Never several lines.
    pub fn in_words(&self, language: Language) -> String {
        let join = |all: &[Self], word: &str| {
            let parts: Vec<_> = all
                .iter()
                .map(|part| match part {
                    Self::All(inner) | Self::Any(inner) if inner.len() > 1 => {
                        format!("({})", part.in_words(language))
                    }
                    _ => part.in_words(language),
                })
                .collect();
            parts.join(word)
        };
        match self {
            _ if self.is_always() => pick(language, "always", "immer").to_owned(),
            Self::All(all) => join(all, pick(language, " and ", " und ")),
            Self::Any(all) => join(all, pick(language, " or ", " oder ")),
            Self::Not(one) => {
                let not = pick(language, "not", "nicht");
                format!("{not} ({})", one.in_words(language))
            }
            Self::Test(test) => test.in_words(language),
        }
    }
}

impl Test {
    /// In words.
    pub fn in_words(&self, language: Language) -> String {
        let fact = self.fact.says(language);
        let value = self.value.as_ref().map(|value| value.in_words());
        match (&self.fact, &self.value) {
            (Fact::Tls | Fact::Authenticated, Some(Value::Flag(true))) => fact,
            (Fact::Tls | Fact::Authenticated, Some(Value::Flag(false))) => {
                format!("{}: {fact}", pick(language, "not", "nicht"))
            }
            _ => {
                let op = self.op.says(language);
                match value {
                    Some(value) => format!("{fact} {op} {value}"),
                    None => format!("{fact} {op}"),
                }
            }
        }
    }
}

impl Value {
    fn in_words(&self) -> String {
        match self {
            Self::Flag(flag) => flag.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Text(text) => format!("\"{text}\""),
            Self::List(all) => {
                let all: Vec<_> = all.iter().map(|text| format!("\"{text}\"")).collect();
                all.join(", ")
            }
        }
    }
}

impl Action {
    /// In words.
    pub fn in_words(&self, language: Language) -> String {
        let say = |english, german| pick(language, english, german);
        let told = |verb: &str, text: &Text| match text.is_empty() {
            true => verb.to_owned(),
            false => format!("{verb}: \"{}\"", text.as_str()),
        };
        let list = |all: Vec<String>| all.join(", ");
        match self {
            Self::Accept => say("accept", "annehmen").into(),
            Self::Reject { text, .. } => told(say("reject", "ablehnen"), text),
            Self::Defer { text, .. } => told(say("defer", "aufschieben"), text),
            Self::Junk => say("put into Junk", "in den Spamordner legen").into(),
            Self::RequireTls { lowest, level, .. } => {
                let mut words = format!("{} {lowest}", say("require TLS", "verlange TLS"));
                if let Some(level) = level {
                    let _ = write!(words, " ({level})");
                }
                words
            }
            Self::AuthMechanisms { only } if only.is_empty() => {
                say("offer no login", "keine Anmeldung anbieten").into()
            }
            Self::AuthMechanisms { only } => format!(
                "{} {}",
                say("offer login only by", "Anmeldung nur anbieten mit"),
                list(only.iter().map(ToString::to_string).collect())
            ),
            Self::ExtensionsOff { names } => format!(
                "{} {}",
                say("do not offer", "nicht anbieten:"),
                list(names.iter().map(|name| name.keyword().to_owned()).collect())
            ),
            Self::Header { action } => format!("{}: {action}", say("header", "Header")),
            Self::Group { name } => format!("{} {name}", say("group", "Gruppe")),
            Self::Pool { name } => format!("{} {name}", say("pool", "Pool")),
            Self::Source { addresses } => format!(
                "{} {}",
                say("source address", "Absenderadresse"),
                list(addresses.iter().map(ToString::to_string).collect())
            ),
            Self::Priority { value } => format!("{} {value}", say("priority", "Priorität")),
            Self::Delay { by } => format!("{} {by}", say("delay", "verzögern:")),
            Self::Copy { to } => format!("{} {to}", say("copy to", "Kopie an")),
            Self::Rate { by, count, per, .. } => {
                let mut words = format!(
                    "{} {count} {} {per}",
                    say("at most", "höchstens"),
                    say("in", "in")
                );
                if !by.is_empty() {
                    let by = by.iter().map(ToString::to_string).collect();
                    let _ = write!(words, " {} {}", say("for each", "je"), list(by));
                }
                words
            }
            Self::Tag { word } => format!("{} {word}", say("tag", "Marke")),
        }
    }
}

impl Rule {
    /// What it does, in words.
    pub fn actions_in_words(&self, language: Language) -> String {
        let all: Vec<_> = self
            .then
            .iter()
            .map(|action| action.in_words(language))
            .collect();
        all.join("; ")
    }
}
