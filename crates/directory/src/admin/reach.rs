//! Whom addresses lead to since a change: who got an alias, a target or a catch-all owns these addresses from then on.
//! Called in the transaction of the change, after it; the hooks do something about it.

use super::AccountHooks;
use crate::resolution::{Resolution, Rules, resolve_assigned};
use crate::rows::facts::StoreFacts;
use crate::state::Change;
use crate::{AccountId, AddressKey};
use formats::address::Address;
use platform::store::{StoreError, Tx};
use std::collections::BTreeSet;

/// Tells `hooks` about every account that an address may lead to which did not before.
pub(super) fn tell(
    tx: &mut dyn Tx,
    rules: &Rules,
    changes: &[Change],
    hooks: &dyn AccountHooks,
) -> Result<(), StoreError> {
    let mut reached = BTreeSet::new();
    for address in changes.iter().filter_map(led_anew) {
        reached.extend(accounts(tx, rules, &address)?);
    }
    for account in reached {
        let leads_there = |tx: &mut dyn Tx, address: &Address| {
            Ok(accounts(tx, rules, address)?.contains(&account))
        };
        hooks.reached(tx, account, &leads_there)?;
    }
    Ok(())
}

/// The address that leads elsewhere since the change. Where an account or alias went the catch-all may take it.
fn led_anew(change: &Change) -> Option<Address> {
    let address = |key: &AddressKey| Address::parse(&key.to_string()).ok();
    match change {
        Change::AliasAdded { address: key, .. }
        | Change::TargetAdded { address: key, .. }
        | Change::AliasRemoved { address: key }
        | Change::AccountRemoved { login: key } => address(key),
        Change::DomainAdded { domain, .. } => domain.catch_all.clone(),
        Change::DomainChanged { from, to, .. } if from.catch_all != to.catch_all => {
            to.catch_all.clone()
        }
        _ => None,
    }
}

fn accounts(
    tx: &mut dyn Tx,
    rules: &Rules,
    address: &Address,
) -> Result<Vec<AccountId>, StoreError> {
    match resolve_assigned(&mut StoreFacts::new(tx), rules, address)? {
        Resolution::Local { deliveries, .. } => {
            Ok(deliveries.into_iter().map(|to| to.account).collect())
        }
        _ => Ok(Vec::new()),
    }
}
