//! Which scopes there will be when a file is applied: what a setting or a rollout can be for. Pure.

use directory::state::State;
use directory::{AddressKey, DomainName};
use std::collections::BTreeSet;

/// The groups, domains and accounts of a file.
#[derive(Debug, Default)]
pub(super) struct Scopes {
    groups: BTreeSet<String>,
    domains: BTreeSet<DomainName>,
    accounts: BTreeSet<AddressKey>,
}

impl Scopes {
    pub(super) fn of(state: State) -> Self {
        Self {
            groups: state.groups.into_keys().collect(),
            domains: state.domains.into_keys().collect(),
            accounts: state.accounts.into_keys().collect(),
        }
    }

    /// Whether it will be there; named as the commands name scopes.
    pub(super) fn have(&self, scope: &str) -> bool {
        let group = |name: &str| self.groups.contains(name);
        let domain = |name: &str| DomainName::parse(name).is_ok_and(|d| self.domains.contains(&d));
        let account =
            |name: &str| AddressKey::parse(name).is_ok_and(|a| self.accounts.contains(&a));
        match scope.split_once(':') {
            Some(("group", name)) => group(name),
            Some(("domain", name)) => domain(name),
            Some(("account", name)) => account(name),
            _ => {
                scope == "installation"
                    || match scope.contains('@') {
                        true => account(scope),
                        false => group(scope) || domain(scope),
                    }
            }
        }
    }
}
