//! May this connection log in? Rules over the door it came through, its TLS, the measures of its account and
//! legacy access. Pure; asked before a login is offered (`before_login`) and when the name is known but no
//! password was looked at (`login`), so that right and wrong passwords get the same answer. Called by the
//! servers customers log in to.

mod words;

use crate::measure::{Door, Measure, Service};
use crate::model::{Legacy, LegacyClear, OldVersions, Sender, Stage};
use crate::snapshot::Snapshot;
use platform::clock::Timestamp;
use platform::tls::TlsVersion;
use words::Why;

/// The reason of a refusal at a legacy host that serves nobody any more, or not this account.
pub const LEGACY_OVER: &str = "legacy-over";

/// Somebody who wants to log in.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// Where.
    pub service: Service,
    /// Through which hosts.
    pub door: Door,
    /// The TLS version of the connection; `None`: in clear.
    pub tls: Option<TlsVersion>,
    /// Who it says it is; `None`: it gave no name yet. A name nobody has is one without an account.
    pub sender: Option<Sender<'a>>,
    /// Whether that account is enrolled for the legacy hosts.
    pub enrolled: bool,
    /// Where refusals point for help, with a final slash.
    pub help: &'a str,
    /// When.
    pub now: Timestamp,
}

/// Measures that would refuse a login if they had gone further, with the stage each is at: `Observe` or
/// `Warn`. Each is to become a finding.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Noticed(Vec<(Measure, Stage)>);

impl Noticed {
    /// Whether nothing would refuse it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each measure and its stage.
    pub fn iter(&self) -> impl Iterator<Item = &(Measure, Stage)> {
        self.0.iter()
    }
}

/// Why a login is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The measure behind it.
    pub measure: Measure,
    /// A word for logs and statistics; never changes once released.
    pub reason: &'static str,
    /// What the customer is told in English and German, one line of ASCII without codes, the page that helps
    /// at its end.
    pub text: String,
    /// A sentence for the operator.
    pub explain: String,
}

/// What becomes of a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ruling {
    /// Go on, and note this.
    Admit(Noticed),
    /// Refuse it without looking at a password.
    Refuse(Refusal),
}

impl Ruling {
    fn admit() -> Self {
        Self::Admit(Noticed::default())
    }

    fn noting(measure: Measure, stage: Stage) -> Self {
        match stage {
            Stage::Observe | Stage::Warn => Self::Admit(Noticed(vec![(measure, stage)])),
            Stage::Off | Stage::Enforce => Self::admit(),
        }
    }
}

/// Whether a login is offered at all: refuses only what would be refused whoever it is.
pub fn before_login(policy: &Snapshot, attempt: &Attempt<'_>) -> Ruling {
    if switched_off(policy, attempt) {
        return refuse(attempt, Why::normal(attempt.tls, TlsVersion::V1_2));
    }
    let (service, now) = (attempt.service, attempt.now);
    let open = match (attempt.door, attempt.tls) {
        (Door::Legacy, tls) => return before_legacy(policy, attempt, tls),
        (Door::Normal, None) => policy.clear_for_somebody(service, now),
        (Door::Normal, Some(tls)) if tls < TlsVersion::V1_2 => {
            policy.old_tls_for_somebody(service, now)
        }
        (Door::Normal, Some(TlsVersion::V1_2)) => policy.tls12_for_somebody(service, now),
        (Door::Normal, Some(_)) => true,
    };
    if open {
        return Ruling::admit();
    }
    let needed = match attempt.tls {
        Some(tls) if tls >= TlsVersion::V1_2 => TlsVersion::V1_3,
        _ => TlsVersion::V1_2,
    };
    refuse(attempt, Why::normal(attempt.tls, needed))
}

fn before_legacy(policy: &Snapshot, attempt: &Attempt<'_>, tls: Option<TlsVersion>) -> Ruling {
    let ends = &policy.legacy_ends;
    if attempt.now >= ends.at_all {
        return refuse(attempt, Why::LegacyOver);
    }
    let end = match tls {
        None => ends.clear,
        Some(TlsVersion::V1_0) => ends.tls10,
        Some(TlsVersion::V1_1) => ends.tls11,
        Some(_) => ends.at_all,
    };
    if attempt.now >= end {
        return refuse(attempt, Why::not_even_here(tls));
    }
    Ruling::admit()
}

/// Whether whoever gave this name may log in this way. Without a name as `before_login`.
pub fn login(policy: &Snapshot, attempt: &Attempt<'_>) -> Ruling {
    let Some(sender) = &attempt.sender else {
        return before_login(policy, attempt);
    };
    match attempt.door {
        Door::Normal => normal(policy, attempt, sender),
        Door::Legacy => legacy(policy, attempt, sender),
    }
}

/// Whether what the connection uses at a normal host was switched off for everybody, whatever its measure says. At
/// the legacy hosts it counts as not spoken there.
fn switched_off(policy: &Snapshot, attempt: &Attempt<'_>) -> bool {
    let stopped = policy.legacy_stopped();
    attempt.door == Door::Normal
        && match attempt.tls {
            None => stopped.stops_clear(),
            Some(TlsVersion::V1_0) => stopped.versions.tls10,
            Some(TlsVersion::V1_1) => stopped.versions.tls11,
            Some(_) => false,
        }
}

fn normal(policy: &Snapshot, attempt: &Attempt<'_>, sender: &Sender<'_>) -> Ruling {
    if switched_off(policy, attempt) {
        return refuse(attempt, Why::normal(attempt.tls, TlsVersion::V1_2));
    }
    let (service, now) = (attempt.service, attempt.now);
    let Some(tls) = attempt.tls else {
        let measure = Measure::Cleartext(service);
        let stage = policy.stage(&measure, sender, now).value;
        return match stage {
            Stage::Enforce => refuse(attempt, Why::Clear),
            _ => Ruling::noting(measure, stage),
        };
    };
    let (needed, stage) = policy.lowest_tls(service, sender, now).value;
    if tls >= needed {
        return Ruling::admit();
    }
    // Whoever looks ahead to 1.3 has long left what is below 1.2 behind.
    if stage == Stage::Enforce || (tls < TlsVersion::V1_2 && needed > TlsVersion::V1_2) {
        return refuse(attempt, Why::normal(Some(tls), needed.min(next(tls))));
    }
    Ruling::noting(Measure::TlsVersion(service), stage)
}

/// The version that is asked for: below 1.2 it is 1.2 that helps first.
fn next(tls: TlsVersion) -> TlsVersion {
    match tls {
        TlsVersion::V1_0 | TlsVersion::V1_1 => TlsVersion::V1_2,
        TlsVersion::V1_2 | TlsVersion::V1_3 => TlsVersion::V1_3,
    }
}

fn legacy(policy: &Snapshot, attempt: &Attempt<'_>, sender: &Sender<'_>) -> Ruling {
    let (versions, clear) = match policy.legacy(sender, attempt.now) {
        Legacy::Off => return refuse(attempt, Why::LegacyOver),
        Legacy::Forbidden => return refuse(attempt, Why::LegacyForbidden),
        Legacy::Until {
            versions, clear, ..
        } => (versions, clear),
    };
    if !spoken(attempt.tls, versions, clear) {
        return refuse(attempt, Why::not_even_here(attempt.tls));
    }
    if !attempt.enrolled {
        return refuse(attempt, Why::NotEnrolled);
    }
    match attempt.tls {
        Some(tls) if tls >= TlsVersion::V1_2 => Ruling::admit(),
        // What stands behind legacy access is enforced elsewhere: whoever is here is to be told.
        _ => Ruling::noting(measure_of(attempt), Stage::Warn),
    }
}

fn spoken(tls: Option<TlsVersion>, versions: OldVersions, clear: LegacyClear) -> bool {
    match tls {
        None => clear == LegacyClear::Allowed,
        Some(TlsVersion::V1_0) => versions.tls10,
        Some(TlsVersion::V1_1) => versions.tls11,
        Some(_) => true,
    }
}

fn measure_of(attempt: &Attempt<'_>) -> Measure {
    match attempt.tls {
        None => Measure::Cleartext(attempt.service),
        Some(_) => Measure::TlsVersion(attempt.service),
    }
}

fn refuse(attempt: &Attempt<'_>, why: Why) -> Ruling {
    Ruling::Refuse(Refusal {
        measure: measure_of(attempt),
        reason: why.reason(),
        text: why.text(attempt.help),
        explain: why.explain(attempt),
    })
}

#[cfg(test)]
mod tests;
