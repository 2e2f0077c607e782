//! Changes to settings inside a transaction of somebody else, for what must come about together with rows of
//! its own (a rollout sets several schedules and its state). The same checks as in `Admin`.

use super::{Author, PolicyError, Wanted};
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
