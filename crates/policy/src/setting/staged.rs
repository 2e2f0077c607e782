//! The text of values that have stages: `required observe; 2025-03-01 enforce` and the like. What is shown can
//! be typed again. Pure; called by `value`.

use super::Name;
use crate::measure::{LocalTime, Schedule};
use crate::model::{
    InboundTls, LegacyAccess, LegacyClear, LowestTls, OldVersions, OutboundDemand, OutboundTls,
    Stage,
};
use crate::spoofed::{Spoofed, SpoofedDemand};
use platform::tls::TlsVersion;
use std::fmt;

/// Longest free text of a refusal (RFC 5321 §4.5.3.1.5 gives a reply line 512 bytes).
const REFUSAL_BYTES_MAX: usize = 400;

fn no_value(name: Name, text: &str) -> String {
    format!(
        "\"{text}\" is no value of {name}; give {}",
        name.described().syntax
    )
}

/// The schedule in `text`, said with the name it is for.
pub(super) fn schedule(name: Name, text: &str) -> Result<Schedule, String> {
    text.parse().map_err(|why| format!("{name}: {why}"))
}

/// As `schedule`; nothing is: enforced.
fn maybe_schedule(name: Name, text: &str) -> Result<Schedule, String> {
    match text.trim() {
        "" => Ok(Schedule::default()),
        text => schedule(name, text),
    }
}

fn first_word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim())
}

pub(super) fn lowest_tls(text: &str) -> Result<LowestTls, String> {
    let (word, rest) = first_word(text);
    let version = match word {
        "1.2" => TlsVersion::V1_2,
        "1.3" => TlsVersion::V1_3,
        "1.0" | "1.1" => {
            return Err(format!(
                "{word} is no value of tls-version: it names the version that is demanded, 1.2 or 1.3. What is older \
                 goes on at submission, imap and pop3 while 1.2 is not enforced, as in `1.2 warn; 2025-03-05 \
                 enforce`, or at the legacy hosts (legacy-access)"
            ));
        }
        _ => return Err(no_value(Name::TlsVersion, text)),
    };
    let schedule = maybe_schedule(Name::TlsVersion, rest)?;
    Ok(LowestTls { version, schedule })
}

pub(super) fn show_lowest_tls(lowest: &LowestTls, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let version = match lowest.version {
        TlsVersion::V1_3 => "1.3",
        _ => "1.2",
    };
    write!(f, "{version} {}", lowest.schedule)
}

impl OutboundTls {
    /// The word on the command line, in files and in logs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Required => "required",
            Self::Authenticated => "authenticated",
        }
    }
}

pub(super) fn outbound_tls(text: &str) -> Result<OutboundDemand, String> {
    let (word, rest) = first_word(text);
    let level = match word {
        "off" if rest.is_empty() => OutboundTls::Off,
        "required" => OutboundTls::Required,
        "authenticated" => OutboundTls::Authenticated,
        _ => return Err(no_value(Name::OutboundTls, text)),
    };
    let schedule = maybe_schedule(Name::OutboundTls, rest)?;
    Ok(OutboundDemand { level, schedule })
}

pub(super) fn show_outbound_tls(
    demand: &OutboundDemand,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    f.write_str(demand.level.word())?;
    if demand.schedule.is_always(Stage::Enforce) {
        return Ok(());
    }
    write!(f, " {}", demand.schedule)
}

/// Stages alone mean what is strictest in the end.
pub(super) fn spoofed(text: &str) -> Result<SpoofedDemand, String> {
    let (word, rest) = first_word(text);
    let (level, stages) = match Spoofed::from_word(word) {
        Some(level) => (level, rest),
        None => (Spoofed::Reject, text),
    };
    let schedule = maybe_schedule(Name::SpoofedSender, stages)?;
    Ok(SpoofedDemand { level, schedule })
}

pub(super) fn show_spoofed(demand: &SpoofedDemand, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{} {}", demand.level.word(), demand.schedule)
}

pub(super) fn inbound_tls(text: &str) -> Result<Option<InboundTls>, String> {
    let (word, rest) = first_word(text);
    match word {
        "off" if rest.is_empty() => return Ok(None),
        "required" => {}
        _ => return Err(no_value(Name::InboundTls, text)),
    }
    let (schedule, rest) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inside, rest)) => (schedule(Name::InboundTls, inside)?, rest.trim()),
        None => (Schedule::default(), rest),
    };
    // A reply is ASCII where the other side did not ask for SMTPUTF8 (RFC 6531 §3.7.4.2).
    if rest.len() > REFUSAL_BYTES_MAX || !rest.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return Err(format!(
            "the text other servers are told has at most {REFUSAL_BYTES_MAX} characters, all of them \
             printable ASCII; an example is: Accepting only secure delivery (STARTTLS) for \
             firma.example"
        ));
    }
    Ok(Some(InboundTls {
        text: (!rest.is_empty()).then(|| rest.to_owned()),
        schedule,
    }))
}

pub(super) fn show_inbound_tls(
    demand: Option<&InboundTls>,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    let Some(demand) = demand else {
        return f.write_str("off");
    };
    f.write_str("required")?;
    // A text in brackets would else be taken for the schedule.
    let bracket = demand
        .text
        .as_deref()
        .is_some_and(|text| text.starts_with('['));
    if bracket || !demand.schedule.is_always(Stage::Enforce) {
        write!(f, " [{}]", demand.schedule)?;
    }
    match &demand.text {
        Some(text) => write!(f, " {text}"),
        None => Ok(()),
    }
}

pub(super) fn legacy(text: &str) -> Result<LegacyAccess, String> {
    let (word, rest) = first_word(text);
    match word {
        "off" if rest.is_empty() => return Ok(LegacyAccess::Off),
        "forbidden" if rest.is_empty() => return Ok(LegacyAccess::Forbidden),
        "until" => {}
        "on" | "tls=1.0" | "tls=1.0,1.1" | "tls=1.1" | "cleartext" => return Err(no_end()),
        _ => return Err(no_value(Name::LegacyAccess, text)),
    }
    let (date, rest) = first_word(rest);
    if date.is_empty() {
        return Err(no_end());
    }
    let until: LocalTime = date.parse().map_err(|why| format!("{} {why}", no_end()))?;
    let mut versions = None;
    let mut clear = LegacyClear::Refused;
    for word in rest.split_whitespace() {
        match word {
            "cleartext" => clear = LegacyClear::Allowed,
            _ => versions = Some(old_versions(word, text)?),
        }
    }
    let versions = versions.unwrap_or(OldVersions {
        tls10: true,
        tls11: true,
    });
    Ok(LegacyAccess::Until {
        until,
        versions,
        clear,
    })
}

fn no_end() -> String {
    "legacy-access must have an end date: until 2025-05-30. Access without an end would never end; \
     it can be moved later, with a reason."
        .to_owned()
}

fn old_versions(word: &str, text: &str) -> Result<OldVersions, String> {
    let wrong = || no_value(Name::LegacyAccess, text);
    let mut versions = OldVersions::default();
    for version in word.strip_prefix("tls=").ok_or_else(wrong)?.split(',') {
        match version {
            "1.0" => versions.tls10 = true,
            "1.1" => versions.tls11 = true,
            "none" => {}
            _ => return Err(wrong()),
        }
    }
    Ok(versions)
}

pub(super) fn show_legacy(access: &LegacyAccess, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (until, versions, clear) = match access {
        LegacyAccess::Off => return f.write_str("off"),
        LegacyAccess::Forbidden => return f.write_str("forbidden"),
        LegacyAccess::Until {
            until,
            versions,
            clear,
        } => (until, versions, clear),
    };
    let versions = match (versions.tls10, versions.tls11) {
        (true, true) => "1.0,1.1",
        (true, false) => "1.0",
        (false, true) => "1.1",
        (false, false) => "none",
    };
    write!(f, "until {until} tls={versions}")?;
    match clear {
        LegacyClear::Allowed => f.write_str(" cleartext"),
        LegacyClear::Refused => Ok(()),
    }
}
