//! Whom a rollout concerns now, and how: the preview of its public measures, with what was seen of each
//! account; and whether an account that got letters has mended its ways. Parts of transactions.

mod rules;

use crate::admin::{LOOK_BACK_DAYS, RolloutError, proposals};
use crate::facts::Sighting;
use crate::ledger;
use crate::model::{Rollout, Visibility};
use directory::AccountId;
use platform::clock::Timestamp;
use platform::params;
use platform::store::{StoreError, Tx};
use platform::tls::TlsVersion;
use policy::clients::UNKNOWN;
use policy::connections::{Belief, Connection, Manner, Outcome};
use policy::impact::{Affected, Impact, Proposed, Question};
use policy::{Door, Encryption, Measure, Scope, Sender, Snapshot};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Sightings kept of one account.
const SIGHTINGS_MAX: usize = 12;

/// An account a rollout concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concerned {
    /// Who.
    pub account: AccountId,
    /// Its address.
    pub login: String,
    /// Its domain.
    pub domain: Arc<str>,
    /// Its group, or its domain's.
    pub group: Option<Arc<str>>,
    /// What was seen of it, latest first.
    pub seen: Vec<Sighting>,
}

/// On whose behalf values are looked up at a scope.
#[derive(Debug, Clone, Default)]
pub(crate) struct Whom {
    account: Option<AccountId>,
    domain: String,
    group: Option<String>,
}

impl Whom {
    /// Somebody in the middle of `scope`.
    pub(crate) fn of(tx: &mut dyn Tx, scope: &Scope) -> Result<Self, RolloutError> {
        let row = match scope {
            Scope::Installation => return Ok(Self::default()),
            Scope::Group(name) => {
                return Ok(Self {
                    group: Some(name.clone()),
                    ..Self::default()
                });
            }
            Scope::Domain(name) => tx.one(
                "SELECT domain, group_name FROM directory_domains WHERE domain = ?1",
                params![name.as_str()],
                |row| {
                    Ok((
                        row.text(0)?.to_owned(),
                        row.maybe_text(1)?.map(str::to_owned),
                    ))
                },
            )?,
            Scope::Account(account) => tx.one(
                "SELECT a.domain, COALESCE(a.group_name, d.group_name) FROM directory_accounts a \
                 LEFT JOIN directory_domains d ON d.domain = a.domain WHERE a.account = ?1",
                params![account.0],
                |row| {
                    Ok((
                        row.text(0)?.to_owned(),
                        row.maybe_text(1)?.map(str::to_owned),
                    ))
                },
            )?,
        };
        let (domain, group) =
            row.ok_or_else(|| RolloutError::Missing(format!("{scope} does not exist")))?;
        let account = match scope {
            Scope::Account(account) => Some(*account),
            _ => None,
        };
        Ok(Self {
            account,
            domain,
            group,
        })
    }

    pub(crate) fn sender(&self) -> Sender<'_> {
        Sender {
            account: self.account,
            domain: &self.domain,
            group: self.group.as_deref(),
        }
    }
}

fn days(rollout: &Rollout) -> u32 {
    u32::from(rollout.rounds.look_back_days.unwrap_or(LOOK_BACK_DAYS))
}

/// Whom one measure concerns at one scope.
pub(crate) fn impact(
    tx: &mut dyn Tx,
    rollout: &Rollout,
    proposed: &Proposed,
    scope: &Scope,
    snapshot: &Snapshot,
    now: Timestamp,
) -> Result<Impact, StoreError> {
    let question = Question {
        proposed,
        scope,
        days: days(rollout),
        snapshot,
        now,
    };
    let servers = routing::seen::servers(tx, proposed, question.days, now)?;
    policy::impact::preview(tx, &question, servers)
}

/// The measures whose steps everybody may know of, at one scope.
pub(crate) fn public_proposals(rollout: &Rollout, scope: &Scope) -> Vec<Proposed> {
    let public: BTreeSet<_> = rollout
        .steps
        .iter()
        .filter(|step| step.visibility == Visibility::Public)
        .map(|step| step.measure.clone())
        .collect();
    let mut all = proposals(rollout, scope);
    all.retain(|proposed| public.contains(&proposed.measure()));
    all
}

/// The accounts a rollout concerns as of `now`, by address.
///
/// # Errors
/// Those of the store.
pub fn concerned(
    tx: &mut dyn Tx,
    rollout: &Rollout,
    scopes: &[Scope],
    snapshot: &Snapshot,
    now: Timestamp,
) -> Result<Vec<Concerned>, StoreError> {
    let mut found: BTreeMap<AccountId, (Affected, Vec<Proposed>)> = BTreeMap::new();
    let told = ledger::told(tx, &rollout.slug)?;
    for scope in scopes {
        for proposed in public_proposals(rollout, scope) {
            let impact = impact(tx, rollout, &proposed, scope, snapshot, now)?;
            let is_open = |affected: &Affected| rules::is_open(affected, &proposed, &told);
            for affected in impact.accounts.into_iter().filter(is_open) {
                let (known, by) = found
                    .entry(affected.account)
                    .or_insert_with(|| (affected.clone(), Vec::new()));
                by.push(proposed.clone());
                known.details.extend(affected.details);
            }
        }
    }
    let first_day = now.0.div_euclid(DAY_MS) - i64::from(days(rollout)) + 1;
    let mut all = Vec::with_capacity(found.len());
    for (account, (affected, mut by)) in found {
        by.sort();
        by.dedup();
        let rows = policy::connections::list(tx, account)?;
        let mut seen = sightings(&rows, &affected, &by, first_day);
        seen.extend(rules::sightings(tx, account, &by, (snapshot, first_day))?);
        latest_first(&mut seen);
        all.push(Concerned {
            account,
            login: affected.login,
            domain: affected.domain,
            group: affected.group,
            seen,
        });
    }
    all.sort_by(|a, b| (&a.domain, &a.login).cmp(&(&b.domain, &b.login)));
    Ok(all)
}

const DAY_MS: i64 = 24 * 3600 * 1000;

/// What a letter names: of each measure the unsettled connections of every mail program, latest first.
fn sightings(
    rows: &[Connection],
    affected: &Affected,
    by: &[Proposed],
    first_day: i64,
) -> Vec<Sighting> {
    let mut seen: Vec<Sighting> = Vec::new();
    let unsettled = |row: &&Connection| row.manner.door == Door::Normal && row.is_open(first_day);
    let alike: Vec<Connection> = rows.iter().filter(unsettled).cloned().collect();
    for proposed in by {
        if *proposed == Proposed::SenderOwnership {
            let senders = affected.details.iter().map(|detail| Sighting {
                measure: proposed.measure().to_string(),
                service: String::new(),
                tls: None,
                clear: false,
                client: detail.to_string(),
                says: String::new(),
                last_day: affected.last_day,
            });
            seen.extend(senders);
            continue;
        }
        for row in alike.iter().filter(|row| breaks(row, proposed)) {
            let sighting = sighting(row, proposed.measure(), &alike);
            let same = |one: &&mut Sighting| {
                (&one.measure, &one.client, &one.tls)
                    == (&sighting.measure, &sighting.client, &sighting.tls)
            };
            match seen.iter_mut().find(same) {
                Some(known) => known.last_day = known.last_day.max(sighting.last_day),
                None => seen.push(sighting),
            }
        }
    }
    seen
}

fn latest_first(seen: &mut Vec<Sighting>) {
    seen.sort_by(|a, b| b.last_day.cmp(&a.last_day).then_with(|| a.cmp(b)));
    seen.truncate(SIGHTINGS_MAX);
}

/// Whether this is what a change would refuse.
fn breaks(row: &Connection, proposed: &Proposed) -> bool {
    let manner = &row.manner;
    if matches!(manner.outcome, Outcome::WrongPassword | Outcome::WrongMode) {
        return false;
    }
    match proposed {
        Proposed::TlsVersion { service, lowest } => {
            manner.service == *service && manner.tls.is_some_and(|tls| tls < *lowest)
        }
        Proposed::Cleartext(service) => {
            manner.service == *service && manner.encryption == Encryption::Clear
        }
        _ => false,
    }
}

/// A connection as letters name it. One that does not say its name is probably the one program that was
/// recognised among the `others` of the account and connects in the same way.
pub(crate) fn sighting(row: &Connection, measure: Measure, others: &[Connection]) -> Sighting {
    let mut sighting = of_manner(&row.manner, measure, row.last_day);
    if sighting.client == UNKNOWN
        && let Some(only) = probably(&row.manner, others)
    {
        sighting.client = format!("{only}?");
    }
    sighting
}

/// The key of the only program among `others` that connects as `unnamed` does.
fn probably<'c>(unnamed: &Manner, others: &'c [Connection]) -> Option<&'c str> {
    let same = others.iter().map(|row| &row.manner).filter(|manner| {
        (manner.encryption == Encryption::Clear, manner.tls)
            == (unnamed.encryption == Encryption::Clear, unnamed.tls)
    });
    let mut named = same
        .map(|manner| manner.client.trim_end_matches('?'))
        .filter(|key| !key.is_empty() && *key != UNKNOWN);
    let first = named.next()?;
    named.all(|key| key == first).then_some(first)
}

pub(crate) fn of_manner(manner: &Manner, measure: Measure, last_day: i64) -> Sighting {
    Sighting {
        measure: measure.to_string(),
        service: manner.service.word().to_owned(),
        tls: manner.tls.map(tls).map(str::to_owned),
        clear: manner.encryption == Encryption::Clear,
        client: manner.client.to_string(),
        says: String::new(),
        last_day,
    }
}

fn tls(version: TlsVersion) -> &'static str {
    match version {
        TlsVersion::V1_0 => "TLS 1.0",
        TlsVersion::V1_1 => "TLS 1.1",
        TlsVersion::V1_2 => "TLS 1.2",
        TlsVersion::V1_3 => "TLS 1.3",
    }
}

/// Whether an account that got a letter on `since` (days since 1970) does nothing any more that the rollout
/// would refuse, by either door, and was seen to be secure. Silence is no proof: who is on holiday is not
/// thanked.
pub(crate) fn is_mended(
    tx: &mut dyn Tx,
    rollout: &Rollout,
    account: AccountId,
    since: i64,
    (snapshot, now): (&Snapshot, Timestamp),
) -> Result<bool, StoreError> {
    let first_day = now.0.div_euclid(DAY_MS) - i64::from(days(rollout)) + 1;
    // What accounts are thanked for is the same at every scope.
    let proposals = public_proposals(rollout, &Scope::Installation);
    let rows = policy::connections::list(tx, account)?;
    if !rules::are_mended(tx, rollout, account, &proposals, (&rows, snapshot, now))? {
        return Ok(false);
    }
    let breach = |row: &&Connection| {
        let is_breach = proposals.iter().any(|proposed| breaks(row, proposed));
        is_breach && !row.settled && row.belief == Belief::Proved
    };
    if rows
        .iter()
        .filter(breach)
        .any(|row| row.last_day >= first_day)
    {
        return Ok(false);
    }
    // A sender's finding ends where the address becomes the account's own; one that is only old proves nothing.
    if proposals.contains(&Proposed::SenderOwnership)
        && !policy::findings::of(tx, account, &Measure::SenderOwnership, i64::MIN)?.is_empty()
    {
        return Ok(false);
    }
    let of_connections = proposals
        .iter()
        .any(|p| matches!(p, Proposed::TlsVersion { .. } | Proposed::Cleartext(_)));
    let is_secure = |row: &&Connection| row.manner.is_secure_login() && row.last_day >= since;
    let secure: BTreeSet<_> = rows
        .iter()
        .filter(is_secure)
        .map(|row| row.manner.service)
        .collect();
    // What was silent for long is proved by the same service only.
    let mut silent = rows.iter().filter(breach).map(|row| row.manner.service);
    Ok(!of_connections || (!secure.is_empty() && silent.all(|service| secure.contains(&service))))
}
