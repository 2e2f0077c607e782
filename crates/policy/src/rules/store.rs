//! Versions of the rules in the store: every change is a new one, with who made it, when and why; none is ever
//! altered. Also what rules that are not enforced yet would have done to other servers, by sender domain. The
//! only place with the SQL of rules; runs inside a caller's transaction.

use super::lint::Existing;
use super::rule::RuleSet;
use crate::admin::{Author, PolicyError, checked_author};
use crate::rows::{bump_revision, damaged, group_of, group_of_domain};
use crate::snapshot::Snapshot;
use directory::{AccountId, AddressKey, DomainName};
use platform::clock::Timestamp;
use platform::params;
use platform::store::{Component, Migration, Row, StoreError, Tx};
use std::net::IpAddr;

/// What `Store::open` is given for rules.
pub const SCHEMA: Component = Component {
    name: "policy-rules",
    migrations: &[Migration {
        number: 1,
        name: "versions of rules, and what they would do to servers",
        // Days count from 1970-01-01, other times are milliseconds. Neither table is about an account.
        sql: "
CREATE TABLE policy_rule_versions (
    version {int} NOT NULL PRIMARY KEY,
    rules {text} NOT NULL,
    changed_at {int} NOT NULL,
    changed_by {text} NOT NULL,
    reason {text} NOT NULL
) {clustered};
CREATE TABLE policy_rule_servers (
    rule {text} NOT NULL,
    domain {text} NOT NULL,
    seen {int} NOT NULL,
    first_day {int} NOT NULL,
    last_day {int} NOT NULL,
    PRIMARY KEY (rule, domain)
) {clustered}",
    }],
};

/// Versions that are kept; the oldest go first.
const VERSIONS_KEPT: i64 = 500;

/// A version of the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its number; the greatest holds.
    pub number: i64,
    /// When it was made.
    pub changed_at: Timestamp,
    /// By whom.
    pub changed_by: String,
    /// Why.
    pub reason: String,
}

/// The rules that hold, and their version; version 0 is no rules, where none were ever set.
///
/// # Errors
/// Those of the store.
pub fn current(tx: &mut dyn Tx) -> Result<(i64, RuleSet), StoreError> {
    let found = tx.one(
        "SELECT version, rules FROM policy_rule_versions ORDER BY version DESC LIMIT 1",
        params![],
        |row| Ok((row.int(0)?, read(row.text(1)?)?)),
    )?;
    Ok(found.unwrap_or_default())
}

/// One version with its rules.
///
/// # Errors
/// Those of the store.
pub fn version(tx: &mut dyn Tx, number: i64) -> Result<Option<(Version, RuleSet)>, StoreError> {
    tx.one(
        "SELECT version, changed_at, changed_by, reason, rules FROM policy_rule_versions \
         WHERE version = ?1",
        params![number],
        |row| Ok((version_of(row)?, read(row.text(4)?)?)),
    )
}

/// Versions without their rules, the newest first, at most `rows_max`.
///
/// # Errors
/// Those of the store.
pub fn versions(tx: &mut dyn Tx, rows_max: i64) -> Result<Vec<Version>, StoreError> {
    tx.all(
        "SELECT version, changed_at, changed_by, reason FROM policy_rule_versions \
         ORDER BY version DESC LIMIT ?1",
        params![rows_max],
        version_of,
    )
}

/// Makes `set` the rules that hold, as a new version; gives its number. Nothing is written where they already
/// hold. `based_on` is the version the author saw: where another one holds by now, nothing is done.
///
/// # Errors
/// `Invalid` for a bad author or an outdated `based_on`; `Missing` where a rule names a group or a pool that does not
/// exist; `Store`.
pub fn put(
    tx: &mut dyn Tx,
    set: &RuleSet,
    based_on: Option<i64>,
    author: &Author,
) -> Result<i64, PolicyError> {
    checked_author(author)?;
    let (known, held) = current(tx)?;
    if based_on.is_some_and(|based_on| based_on != known) {
        return Err(PolicyError::Invalid(format!(
            "the rules were changed meanwhile (version {known} holds now); look at them and change \
             them again"
        )));
    }
    if held == *set {
        return Ok(known);
    }
    super::named::check(tx, &held, set)?;
    let number = known + 1;
    tx.execute(
        "INSERT INTO policy_rule_versions (version, rules, changed_at, changed_by, reason) \
         VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            number,
            &set.to_json(),
            author.now.0,
            &author.by,
            &author.reason
        ],
    )?;
    tx.execute(
        "DELETE FROM policy_rule_versions WHERE version <= ?1",
        params![number - VERSIONS_KEPT],
    )?;
    bump_revision(tx)?;
    Ok(number)
}

/// Makes what `change` says of the rules that hold the rules that hold, as `put` does.
///
/// # Errors
/// Those of `change` and `put`.
pub fn change(
    tx: &mut dyn Tx,
    author: &Author,
    change: impl Fn(&RuleSet) -> Result<RuleSet, PolicyError>,
) -> Result<i64, PolicyError> {
    let (version, held) = current(tx)?;
    put(tx, &change(&held)?, Some(version), author)
}

/// The account with this login address, and its group or its domain's.
///
/// # Errors
/// Those of the store.
pub fn account(
    tx: &mut dyn Tx,
    login: &AddressKey,
) -> Result<Option<(AccountId, Option<String>)>, StoreError> {
    let found = tx.one(
        "SELECT account FROM directory_accounts WHERE domain = ?1 AND local = ?2",
        params![login.domain().as_str(), login.local()],
        |row| row.int(0),
    )?;
    let Some(number) = found.map(AccountId) else {
        return Ok(None);
    };
    Ok(Some((number, group_of(tx, number)?)))
}

/// The group of a hosted domain.
///
/// # Errors
/// Those of the store.
pub fn domain_group(tx: &mut dyn Tx, domain: &DomainName) -> Result<Option<String>, StoreError> {
    group_of_domain(tx, domain)
}

/// What rules may name: groups of customers, pools and their addresses.
///
/// # Errors
/// Those of the store.
pub fn existing(tx: &mut dyn Tx, snapshot: &Snapshot) -> Result<Existing, StoreError> {
    let groups = tx.all("SELECT name FROM directory_groups", params![], |row| {
        row.text(0).map(str::to_owned)
    })?;
    let mut existing = Existing {
        groups: groups.into_iter().collect(),
        ..Existing::default()
    };
    for pool in snapshot.pools() {
        existing.pools.insert(pool.name.clone());
        existing
            .addresses
            .extend(pool.v4.iter().map(|v4| IpAddr::V4(*v4)));
        existing
            .addresses
            .extend(pool.v6.iter().map(|v6| IpAddr::V6(*v6)));
    }
    Ok(existing)
}

fn version_of(row: &dyn Row) -> Result<Version, StoreError> {
    Ok(Version {
        number: row.int(0)?,
        changed_at: Timestamp(row.int(1)?),
        changed_by: row.text(2)?.to_owned(),
        reason: row.text(3)?.to_owned(),
    })
}

fn read(text: &str) -> Result<RuleSet, StoreError> {
    RuleSet::from_json(text).map_err(|error| {
        damaged(
            "policy_rule_versions",
            &format!("has rules we cannot read: {error}"),
        )
    })
}

/// What changed between two sets, a line each.
pub fn diff(before: &RuleSet, after: &RuleSet) -> Vec<Change> {
    let mut changes = Vec::new();
    for rule in before.rules() {
        if after.named(&rule.name).is_none() {
            changes.push(Change::Removed(rule.name.clone()));
        }
    }
    for rule in after.rules() {
        match before.named(&rule.name) {
            None => changes.push(Change::Added(rule.name.clone())),
            Some(known) if known != rule => changes.push(Change::Changed(rule.name.clone())),
            Some(_) => {}
        }
    }
    // Moved is what stands elsewhere among the rules that are in both.
    let names = |set: &RuleSet, other: &RuleSet| -> Vec<String> {
        let common = set
            .rules()
            .iter()
            .filter(|rule| other.named(&rule.name).is_some());
        common.map(|rule| rule.name.clone()).collect()
    };
    let (old, new) = (names(before, after), names(after, before));
    let moved = new
        .iter()
        .enumerate()
        .filter(|(place, name)| old.get(*place) != Some(name));
    changes.extend(moved.map(|(_, name)| Change::Moved(name.clone())));
    changes
}

/// A difference between two sets of rules, with the rule's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Added(String),
    /// It is gone.
    Removed(String),
    /// It says something else.
    Changed(String),
    /// It stands elsewhere in the order.
    Moved(String),
}
