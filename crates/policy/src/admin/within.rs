//! Changes to settings inside a transaction of somebody else, for what must come about together with rows of
//! its own (a rollout sets several schedules and its state). The same checks as in `Admin`.

use super::{Author, PolicyError, Wanted};
use crate::identities::{self, Identity};
use crate::model::Scope;
use crate::rows::{self, Setting};
use crate::setting::Name;
use platform::store::{StoreError, Tx};

/// Makes a setting, as `Admin::set`.
///
/// # Errors
/// Those of `Admin::set`.
pub fn set(tx: &mut dyn Tx, wanted: Wanted, author: &Author) -> Result<Vec<String>, PolicyError> {
    super::set(tx, wanted, author)
}

/// Removes a setting, as `Admin::unset`.
///
/// # Errors
/// Those of `Admin::unset`.
pub fn unset(
    tx: &mut dyn Tx,
    scope: &Scope,
    name: Name,
    item: &str,
    author: &Author,
) -> Result<(), PolicyError> {
    super::unset(tx, scope, name, item, author)
}

/// What `text` names, as `Admin::scope`.
///
/// # Errors
/// `Missing`, `Store`.
pub fn scope(tx: &mut dyn Tx, text: &str) -> Result<Scope, PolicyError> {
    super::scope_named(tx, text)
}

/// What is set at exactly this scope.
///
/// # Errors
/// Those of the store.
pub fn setting(
    tx: &mut dyn Tx,
    scope: &Scope,
    name: Name,
    item: &str,
) -> Result<Option<Setting>, StoreError> {
    rows::one_setting(tx, scope, name, item)
}

/// Every setting, by scope, name and item, as `Admin::settings`.
///
/// # Errors
/// Those of the store.
pub fn settings(tx: &mut dyn Tx) -> Result<Vec<Setting>, StoreError> {
    rows::settings(tx)
}

/// What a scope is called by people, as `Admin::scope_text`.
///
/// # Errors
/// Those of the store.
pub fn scope_text(tx: &mut dyn Tx, scope: &Scope) -> Result<String, StoreError> {
    super::scope_words(tx, scope)
}

/// Every identity of every account, those that wait for their code too.
///
/// # Errors
/// Those of the store.
pub fn identities(tx: &mut dyn Tx) -> Result<Vec<Identity>, StoreError> {
    identities::all(tx)
}

/// Makes all of these settings, each with its reason, removes those, and has identities be as wanted.
///
/// # Errors
/// As `Admin::set`; `Missing` for an identity's account, `Invalid` where one has too many.
pub fn apply(
    tx: &mut dyn Tx,
    wanted: &[(String, Wanted)],
    unwanted: &[(Scope, Name, String)],
    identities: &identities::Wanted,
    author: &Author,
) -> Result<Vec<String>, PolicyError> {
    let added = wanted.iter().map(|(_, wanted)| wanted.name);
    let names: Vec<Name> = added
        .chain(unwanted.iter().map(|(_, name, _)| *name))
        .collect();
    let ended = super::end_enrolments(tx, &names, author)?;
    let mut warnings: Vec<String> = ended.into_iter().collect();
    // Rules that name a pool go before the pool, and come after it.
    let later = |name: Name| name == Name::PoolAddresses;
    for (scope, name, item) in unwanted.iter().filter(|(_, name, _)| !later(*name)) {
        super::take(tx, scope, *name, item, author)?;
    }
    let (pools, others): (Vec<_>, Vec<_>) =
        wanted.iter().partition(|(_, wanted)| later(wanted.name));
    for (reason, one) in pools.into_iter().chain(others) {
        let author = Author {
            reason: reason.clone(),
            ..author.clone()
        };
        warnings.extend(super::put(tx, one.clone(), &author)?);
    }
    for (scope, name, item) in unwanted.iter().filter(|(_, name, _)| later(*name)) {
        super::take(tx, scope, *name, item, author)?;
    }
    identities::put_all(tx, identities)?;
    Ok(warnings)
}
