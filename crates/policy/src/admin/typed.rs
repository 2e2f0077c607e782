//! Measures as people type them: names such as `cleartext/imap` or `cleartext` for every service, and values that are
//! only stages; and how far a measure is, in words. Pure. Faces (command line, API) read what they are given here.

use super::PolicyError;
use crate::measure::{Measure, Schedule, Timeline, Zone};
use crate::rows::Setting;
use crate::setting::{Name, Value};
use platform::clock::Timestamp;

fn invalid(why: impl std::fmt::Display) -> PolicyError {
    PolicyError::Invalid(why.to_string())
}

/// The name and the item a measure's word stands for; without a service all of them are meant.
///
/// # Errors
/// `Invalid` for what is no measure.
pub fn name(word: &str) -> Result<(Name, String), PolicyError> {
    let (kind, item) = word.split_once('/').unwrap_or((word, ""));
    let name =
        Name::from_word(kind).filter(|name| name.is_measure() || *name == Name::LegacyAccess);
    let name = name.ok_or_else(|| {
        invalid(format!(
            "\"{word}\" is no measure; there are tls-version, cleartext (each with /SERVICE), \
             sender-ownership, spoofed-sender, inbound-tls, outbound-tls and legacy-access"
        ))
    })?;
    let item = match (name.has_items(), item) {
        (true, "") => "*",
        (_, item) => item,
    };
    Ok((name, item.to_owned()))
}

/// How a measure is called: `cleartext/imap`, `cleartext` for all services.
pub fn called(name: Name, item: &str) -> String {
    match item {
        "" | "*" => name.to_string(),
        item => format!("{name}/{item}"),
    }
}

/// The measures a word stands for: `cleartext` for that of every service.
///
/// # Errors
/// `Invalid` for what is no measure or has no stages.
pub fn measures(word: &str) -> Result<Vec<Measure>, PolicyError> {
    if let Some(measure) = Measure::from_word(word) {
        return Ok(vec![measure]);
    }
    let (name, _) = name(word)?;
    let of_name = |measure: &Measure| {
        let word = measure.to_string();
        word.split('/').next() == Some(name.described().word)
    };
    let all: Vec<_> = Measure::built_in().filter(of_name).collect();
    match all.is_empty() {
        true => Err(invalid(format!(
            "{word} has no stages; `rohrpost policy show` shows it"
        ))),
        false => Ok(all),
    }
}

/// The value as it was typed in full, or the one that holds (`before`) with these stages.
///
/// # Errors
/// `Invalid` for what is no value.
pub fn value(name: Name, text: &str, before: Option<&Value>) -> Result<Value, PolicyError> {
    let Ok(schedule) = text.parse::<Schedule>() else {
        return Value::parse(name, text).map_err(invalid);
    };
    if name == Name::LegacyAccess {
        return Value::parse(name, text).map_err(invalid);
    }
    let required = Value::parse(name, "required").ok();
    let staged = before.filter(|value| value.schedule().is_some());
    let with = staged
        .or(required.as_ref())
        .and_then(|value| value.with_schedule(|_| schedule));
    // "off" alone takes the demand away instead of scheduling it.
    match (name, text.trim(), with) {
        (Name::InboundTls | Name::OutboundTls, "off", _) | (_, _, None) => {
            Value::parse(name, text).map_err(invalid)
        }
        (_, _, Some(value)) => Ok(value),
    }
}

/// How far a measure is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The stage now, in words; `-` for what has none.
    pub stage: String,
    /// When it changes next.
    pub next: Option<Timestamp>,
}

/// How far a setting is.
pub fn standing(row: &Setting, zone: &Zone, now: Timestamp) -> Standing {
    let Some(schedule) = row.value.schedule() else {
        return Standing {
            stage: "-".to_owned(),
            next: None,
        };
    };
    let timeline = Timeline::new(schedule, zone, "");
    let next = timeline.changes().find(|at| *at > now);
    Standing {
        stage: stage_words(schedule, &timeline, now),
        next: next.into_iter().chain(row.expires_at).min(),
    }
}

fn stage_words(schedule: &Schedule, timeline: &Timeline, now: Timestamp) -> String {
    match (timeline.stages(now), schedule.paused, schedule.canary) {
        ((stage, _), Some(_), _) => format!("{stage} (paused)"),
        ((stage, Some(others)), None, Some(share)) => {
            format!("{stage} for {share} %, others {others}")
        }
        ((stage, _), None, _) => stage.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_measures_are_read_and_said_alike() {
        assert_eq!(name("cleartext").unwrap(), (Name::Cleartext, "*".into()));
        assert_eq!(called(Name::Cleartext, "*"), "cleartext");
        let (found, item) = name("cleartext/imap").unwrap();
        assert_eq!(called(found, &item), "cleartext/imap");
        assert!(name("dane").is_err() && measures("dane").is_err());
        assert_eq!(measures("cleartext/imap").unwrap().len(), 1);
        assert!(measures("cleartext").unwrap().len() > 1);
    }

    #[test]
    fn stages_alone_keep_what_is_demanded() {
        let held = Value::parse(Name::TlsVersion, "1.3 observe").unwrap();
        let staged = value(Name::TlsVersion, "enforce", Some(&held)).unwrap();
        assert_eq!(staged.to_string(), "1.3 enforce");
        let off = value(Name::InboundTls, "off", None).unwrap();
        assert_eq!(off, Value::parse(Name::InboundTls, "off").unwrap());
        assert!(value(Name::Cleartext, "perhaps", None).is_err());
    }
}
