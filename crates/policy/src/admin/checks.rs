//! Whether a setting can be made: its scope, its item, its dates, the consent it needs. Called by `admin` before
//! a row is written, in the same transaction; writes nothing.

use super::{Author, CONSENT_TEXT, CONSENT_TEXT_VERSION, PolicyError, Wanted};
use crate::measure::Service;
use crate::model::{LegacyAccess, Scope, Stage};
use crate::relay_source::RelaySource;
use crate::rows;
use crate::setting::{Name, ScopeKind, Value, pool_name};
use directory::DomainName;
use platform::clock::Timestamp;
use platform::store::Tx;
use platform::tls::TlsVersion;
use std::time::Duration;

/// Longest name of who changed something, in bytes.
const BY_BYTES_MAX: usize = 200;
/// Longest reason, in bytes.
const REASON_BYTES_MAX: usize = 2000;
/// Legacy access of more than 90 days is set with a warning (S1-14).
const LEGACY_WITHOUT_WARNING: Duration = Duration::from_secs(90 * 24 * 3600);

/// The setting in its final form, or why it cannot be made.
pub(super) fn checked(
    tx: &mut dyn Tx,
    mut wanted: Wanted,
    now: Timestamp,
) -> Result<(Wanted, Vec<String>), PolicyError> {
    let name = wanted.name;
    name.check_scope(ScopeKind::of(&wanted.scope))
        .map_err(PolicyError::Invalid)?;
    if !rows::scope_exists(tx, &wanted.scope)? {
        return Err(PolicyError::Missing(format!(
            "{} does not exist",
            wanted.scope
        )));
    }
    wanted.item = checked_item(name, &wanted.item)?;
    if wanted.expires_at.is_some() && name != Name::Destination && !name.is_measure() {
        return Err(PolicyError::Invalid(format!("{name} cannot have an end")));
    }
    if wanted
        .owner
        .as_deref()
        .is_some_and(|owner| !is_line(owner, BY_BYTES_MAX))
    {
        return Err(PolicyError::Invalid(
            "who answers for an exception is named in one line".to_owned(),
        ));
    }
    let warnings = check_dates(tx, &wanted, now)?;
    match &wanted.value {
        Value::InboundTls(Some(_)) => check_consent(tx, &mut wanted)?,
        Value::Word(pool) if name == Name::Pool => {
            let known = rows::as_written(tx, &Scope::Installation, Name::PoolAddresses, pool)?;
            if known.is_none() {
                return Err(PolicyError::Missing(format!(
                    "pool {pool} does not exist; `rohrpost pool add {pool} ADDRESS ...` makes it"
                )));
            }
        }
        Value::RelaySource(source) => check_source(tx, &wanted, source)?,
        Value::Destination(rule)
            if rule.exception && !matches!(wanted.scope, Scope::Domain(_) | Scope::Account(_)) =>
        {
            return Err(PolicyError::Invalid(
                "an exception from outbound-tls is for a sender domain or an account; nobody else can \
                 decide that for them"
                    .to_owned(),
            ));
        }
        _ => {}
    }
    Ok((wanted, warnings))
}

/// An address speaks for one account, and a name is one source.
fn check_source(tx: &mut dyn Tx, wanted: &Wanted, source: &RelaySource) -> Result<(), PolicyError> {
    for row in rows::settings(tx)? {
        let Value::RelaySource(other) = &row.value else {
            continue;
        };
        if row.scope == wanted.scope {
            continue;
        }
        if row.item == wanted.item {
            return Err(PolicyError::Invalid(format!(
                "there is a relay source {} already, of another account; choose another name",
                row.item
            )));
        }
        if let Some(network) = source.overlap(other) {
            return Err(PolicyError::Invalid(format!(
                "{network} overlaps with the relay source {} of another account; nobody could tell for whom mail \
                 from there is",
                row.item
            )));
        }
    }
    Ok(())
}

/// S1-14, S0-02: what lets old things in must say when that ends.
fn check_dates(
    tx: &mut dyn Tx,
    wanted: &Wanted,
    now: Timestamp,
) -> Result<Vec<String>, PolicyError> {
    let name = wanted.name;
    let zone = rows::zone(tx)?;
    let mut warnings = Vec::new();
    if let Value::Legacy(LegacyAccess::Until { until, .. }) = &wanted.value {
        let end = zone.end(*until);
        if end <= now {
            warnings.push(format!("{until} has passed: legacy access is over"));
        } else if end.since(now) > LEGACY_WITHOUT_WARNING {
            warnings.push(format!(
                "legacy access until {until} is more than 90 days; the longer it lasts, the fewer update"
            ));
        }
    }
    let Some(schedule) = wanted.value.schedule() else {
        return Ok(warnings);
    };
    check_versions(wanted)?;
    if schedule.canary.is_some() && name == Name::InboundTls {
        return Err(PolicyError::Invalid(
            "inbound-tls holds for a whole domain; a canary chooses accounts".to_owned(),
        ));
    }
    let lets_in = match &wanted.value {
        Value::LowestTls(lowest) => lowest.version <= TlsVersion::V1_2,
        _ => name == Name::Cleartext,
    };
    if lets_in && schedule.last() < Stage::Enforce && wanted.expires_at.is_none() {
        return Err(PolicyError::Invalid(format!(
            "{name} must name the day on which it is enforced, such as: {}; 2025-03-05 enforce. \
             An exception must end instead.",
            schedule.last()
        )));
    }
    if lets_in && schedule.canary.is_some() && schedule.last() == Stage::Enforce {
        warnings.push(
            "with a canary the other accounts never reach enforce; take it away when it has shown enough"
                .to_owned(),
        );
    }
    if let Some(stage) = schedule.paused {
        warnings.push(format!(
            "it is paused at {stage}: its dates do nothing until `rohrpost measure resume`"
        ));
    }
    Ok(warnings)
}

/// A service without old TLS has 1.2 whatever is set: nobody shall believe otherwise.
fn check_versions(wanted: &Wanted) -> Result<(), PolicyError> {
    let (Value::LowestTls(lowest), Some(service)) =
        (&wanted.value, Service::from_word(&wanted.item))
    else {
        return Ok(());
    };
    let schedule = &lowest.schedule;
    let enforced = schedule.paused.is_none()
        && (schedule.steps.iter()).all(|step| step.stage == Stage::Enforce);
    if lowest.version > TlsVersion::V1_2 || enforced || service.takes_old_tls() {
        return Ok(());
    }
    let old = Service::ALL
        .iter()
        .filter(|service| service.takes_old_tls());
    let words: Vec<_> = old.map(|service| service.word()).collect();
    Err(PolicyError::Invalid(format!(
        "{service} never takes TLS below 1.2, so that 1.2 is always enforced there; older versions can be let in at \
         {} (through the legacy gateway)",
        words.join(", ")
    )))
}

pub(super) fn checked_item(name: Name, item: &str) -> Result<String, PolicyError> {
    match name {
        Name::Destination => {
            let (star, parent) = match item.strip_prefix("*.") {
                Some(parent) => ("*.", parent),
                None if item == "*" => return Ok(item.to_owned()),
                None => ("", item),
            };
            let domain = DomainName::parse(parent)
                .map_err(|error| PolicyError::Invalid(error.to_string()))?;
            Ok(format!("{star}{domain}"))
        }
        Name::PoolAddresses => pool_name(item).ok_or_else(|| {
            PolicyError::Invalid(format!(
                "\"{item}\" cannot name a pool; use letters, digits, hyphens, dots and underscores"
            ))
        }),
        Name::RelaySource => pool_name(item).ok_or_else(|| {
            PolicyError::Invalid(format!(
                "\"{item}\" cannot name a relay source; use letters, digits, hyphens, dots and underscores"
            ))
        }),
        Name::TlsVersion | Name::Cleartext => checked_service(name, item),
        _ if item.is_empty() => Ok(String::new()),
        _ => Err(PolicyError::Invalid(format!("{name} has no items"))),
    }
}

/// A service's word, or `*` (also: nothing) for all.
fn checked_service(name: Name, item: &str) -> Result<String, PolicyError> {
    if item.is_empty() || item == "*" {
        return Ok("*".to_owned());
    }
    let invalid = |why: String| Err(PolicyError::Invalid(why));
    match Service::from_word(item) {
        Some(service) if name == Name::Cleartext && !service.takes_clear_logins() => {
            invalid(format!(
                "cleartext is about logins, and nobody logs in at {service} in clear; for mail between \
                 servers see inbound-tls and outbound-tls"
            ))
        }
        // A floor alone would have mail leave in clear where it is not met.
        Some(Service::Relay) => invalid(
            "tls-version is about those who connect to us; for our own connections see outbound-tls and \
             `rohrpost destination set '*' encrypt --tls-version 1.3`"
                .to_owned(),
        ),
        Some(service) => Ok(service.word().to_owned()),
        None => {
            let others = Service::ALL.iter().filter(|service| **service != Service::Relay);
            let words: Vec<_> = others.map(|service| service.word()).collect();
            invalid(format!(
                "\"{item}\" is no service; give one of {}, or * for all",
                words.join(", ")
            ))
        }
    }
}

/// S4-09: nobody turns inbound TLS on without knowing what it means. Who changes only the text has agreed
/// already.
fn check_consent(tx: &mut dyn Tx, wanted: &mut Wanted) -> Result<(), PolicyError> {
    let before = rows::as_written(tx, &wanted.scope, wanted.name, &wanted.item)?;
    match &wanted.consent {
        None => match before.and_then(|row| row.consent) {
            Some(given) => wanted.consent = Some(given),
            None => {
                return Err(PolicyError::ConsentNeeded(format!(
                    "inbound-tls needs somebody's consent to this text (version \
                     {CONSENT_TEXT_VERSION}):\n\n{CONSENT_TEXT}\n\nSay who agrees and to which version, on \
                     the command line with --consent-by NAME --consent-text {CONSENT_TEXT_VERSION}."
                )));
            }
        },
        Some(consent) if consent.text_version != CONSENT_TEXT_VERSION => {
            // What was agreed to before a new text came holds on; a new consent is to the new text.
            if before.and_then(|row| row.consent).as_ref() != Some(consent) {
                return Err(PolicyError::ConsentNeeded(format!(
                    "the text to agree to is version {CONSENT_TEXT_VERSION} now, not {}:\n\n{CONSENT_TEXT}",
                    consent.text_version
                )));
            }
        }
        Some(consent)
            if consent.by.trim().is_empty() || consent.by.chars().any(char::is_control) =>
        {
            return Err(PolicyError::ConsentNeeded(
                "the name of who agrees is missing".to_owned(),
            ));
        }
        Some(_) => {}
    }
    Ok(())
}

fn is_line(text: &str, bytes_max: usize) -> bool {
    text.len() <= bytes_max && !text.chars().any(char::is_control)
}

/// Who and why as they may be kept.
pub(crate) fn checked_author(author: &Author) -> Result<&Author, PolicyError> {
    if is_line(&author.by, BY_BYTES_MAX) && is_line(&author.reason, REASON_BYTES_MAX) {
        return Ok(author);
    }
    Err(PolicyError::Invalid(format!(
        "who and why are one line each, of at most {BY_BYTES_MAX} and {REASON_BYTES_MAX} bytes"
    )))
}
