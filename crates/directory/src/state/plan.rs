//! The difference between two states as changes, each with a sentence. Pure; the same changes are
//! what the admin operations make and what `rows::carry_out` writes.

use super::{Account, AppPassword, Domain, Group, Profile, Scram, State};
use crate::password::Verifier;
use crate::{AddressKey, DomainName};
use formats::address::Address;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// One change to the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the sentence of each says it")]
pub enum Change {
    GroupAdded {
        name: String,
        group: Group,
    },
    GroupChanged {
        name: String,
        to: Group,
    },
    GroupRemoved {
        name: String,
    },
    DomainAdded {
        name: DomainName,
        domain: Domain,
    },
    DomainChanged {
        name: DomainName,
        from: Domain,
        to: Domain,
    },
    DomainRemoved {
        name: DomainName,
    },
    AccountAdded {
        login: AddressKey,
        account: Account,
    },
    AccountChanged {
        login: AddressKey,
        from: Profile,
        to: Profile,
    },
    AccountRemoved {
        login: AddressKey,
    },
    /// `None` leaves that side as it is; but a new password without a new SCRAM side takes the old
    /// SCRAM keys away, or the old password would still open the door.
    PasswordReplaced {
        login: AddressKey,
        password: Option<Verifier>,
        scram: Option<Scram>,
    },
    /// Only app passwords open the account from here on.
    PasswordRemoved {
        login: AddressKey,
    },
    AppPasswordAdded {
        login: AddressKey,
        label: String,
        app_password: AppPassword,
    },
    AppPasswordRemoved {
        login: AddressKey,
        label: String,
    },
    AliasAdded {
        address: AddressKey,
        to: BTreeSet<Address>,
    },
    TargetAdded {
        address: AddressKey,
        target: Address,
    },
    TargetRemoved {
        address: AddressKey,
        target: Address,
    },
    AliasRemoved {
        address: AddressKey,
    },
}

/// What turns `current` into `wanted`, in an order in which every step is possible. Credentials that
/// `wanted` does not name stay as they are.
pub fn plan(current: &State, wanted: &State) -> Vec<Change> {
    let mut changes = Vec::new();
    removed_addresses(current, wanted, &mut changes);
    groups(current, wanted, &mut changes);
    domains(current, wanted, &mut changes);
    accounts(current, wanted, &mut changes);
    aliases(current, wanted, &mut changes);
    for name in only_in(&current.domains, &wanted.domains) {
        changes.push(Change::DomainRemoved { name: name.clone() });
    }
    for name in only_in(&current.groups, &wanted.groups) {
        changes.push(Change::GroupRemoved { name: name.clone() });
    }
    changes
}

fn only_in<'a, K: Ord, V>(
    these: &'a BTreeMap<K, V>,
    those: &BTreeMap<K, V>,
) -> impl Iterator<Item = &'a K> {
    these.keys().filter(|key| !those.contains_key(key))
}

fn removed_addresses(current: &State, wanted: &State, changes: &mut Vec<Change>) {
    for address in only_in(&current.aliases, &wanted.aliases) {
        changes.push(Change::AliasRemoved {
            address: address.clone(),
        });
    }
    for login in only_in(&current.accounts, &wanted.accounts) {
        changes.push(Change::AccountRemoved {
            login: login.clone(),
        });
    }
}

fn groups(current: &State, wanted: &State, changes: &mut Vec<Change>) {
    for (name, group) in &wanted.groups {
        let (name, group) = (name.clone(), group.clone());
        match current.groups.get(&name) {
            None => changes.push(Change::GroupAdded { name, group }),
            Some(from) if *from != group => changes.push(Change::GroupChanged { name, to: group }),
            Some(_) => {}
        }
    }
}

fn domains(current: &State, wanted: &State, changes: &mut Vec<Change>) {
    for (name, domain) in &wanted.domains {
        let (name, domain) = (name.clone(), domain.clone());
        match current.domains.get(&name) {
            None => changes.push(Change::DomainAdded { name, domain }),
            Some(from) if *from != domain => changes.push(Change::DomainChanged {
                name,
                from: from.clone(),
                to: domain,
            }),
            Some(_) => {}
        }
    }
}

fn accounts(current: &State, wanted: &State, changes: &mut Vec<Change>) {
    for (login, account) in &wanted.accounts {
        let login = login.clone();
        let Some(from) = current.accounts.get(&login) else {
            changes.push(Change::AccountAdded {
                login,
                account: account.clone(),
            });
            continue;
        };
        if from.profile != account.profile {
            changes.push(Change::AccountChanged {
                login: login.clone(),
                from: from.profile.clone(),
                to: account.profile.clone(),
            });
        }
        credentials(&login, from, account, changes);
    }
}

fn credentials(login: &AddressKey, from: &Account, to: &Account, changes: &mut Vec<Change>) {
    let (from, to) = (&from.credentials, &to.credentials);
    let differs = (to.password.is_some() && to.password != from.password)
        || (to.scram.is_some() && to.scram != from.scram);
    if differs {
        changes.push(Change::PasswordReplaced {
            login: login.clone(),
            password: to.password.clone(),
            scram: to.scram.clone(),
        });
    }
    let Some(wanted) = &to.app_passwords else {
        return;
    };
    let mut meanwhile = from.clone();
    if differs {
        // What the replaced password does to the app passwords' keys.
        meanwhile.replace_password(to.password.clone(), to.scram.clone());
    }
    let current = &meanwhile.app_passwords.unwrap_or_default();
    for (label, old) in current {
        if wanted.get(label) != Some(old) {
            changes.push(Change::AppPasswordRemoved {
                login: login.clone(),
                label: label.clone(),
            });
        }
    }
    for (label, new) in wanted {
        if current.get(label) != Some(new) {
            changes.push(Change::AppPasswordAdded {
                login: login.clone(),
                label: label.clone(),
                app_password: new.clone(),
            });
        }
    }
}

fn aliases(current: &State, wanted: &State, changes: &mut Vec<Change>) {
    for (address, to) in &wanted.aliases {
        let Some(from) = current.aliases.get(address) else {
            changes.push(Change::AliasAdded {
                address: address.clone(),
                to: to.clone(),
            });
            continue;
        };
        // Added first, so that an alias never leads nowhere in between.
        changes.extend(to.difference(from).map(|target| Change::TargetAdded {
            address: address.clone(),
            target: target.clone(),
        }));
        changes.extend(from.difference(to).map(|target| Change::TargetRemoved {
            address: address.clone(),
            target: target.clone(),
        }));
    }
}

impl Change {
    /// Whether mail is destroyed by it.
    pub fn destroys_mail(&self) -> bool {
        matches!(self, Self::AccountRemoved { .. })
    }

    /// The change made to a state in memory.
    pub fn apply(self, state: &mut State) {
        match self {
            Self::GroupAdded { name, group } | Self::GroupChanged { name, to: group } => {
                state.groups.insert(name, group);
            }
            Self::GroupRemoved { name } => drop(state.groups.remove(&name)),
            Self::DomainAdded { name, domain }
            | Self::DomainChanged {
                name, to: domain, ..
            } => {
                state.domains.insert(name, domain);
            }
            Self::DomainRemoved { name } => drop(state.domains.remove(&name)),
            Self::AccountAdded { login, account } => drop(state.accounts.insert(login, account)),
            Self::AccountRemoved { login } => drop(state.accounts.remove(&login)),
            Self::AliasAdded { address, to } => drop(state.aliases.insert(address, to)),
            Self::AliasRemoved { address } => drop(state.aliases.remove(&address)),
            Self::TargetAdded { address, target } => {
                state.aliases.entry(address).or_default().insert(target);
            }
            Self::TargetRemoved { address, target } => {
                state.aliases.entry(address).or_default().remove(&target);
            }
            other => other.apply_to_account(state),
        }
    }

    fn apply_to_account(self, state: &mut State) {
        let (Self::AccountChanged { login, .. }
        | Self::PasswordReplaced { login, .. }
        | Self::PasswordRemoved { login }
        | Self::AppPasswordAdded { login, .. }
        | Self::AppPasswordRemoved { login, .. }) = &self
        else {
            return;
        };
        let Some(account) = state.accounts.get_mut(login) else {
            return;
        };
        let credentials = &mut account.credentials;
        match self {
            Self::AccountChanged { to, .. } => account.profile = to,
            Self::PasswordReplaced {
                password, scram, ..
            } => credentials.replace_password(password, scram),
            Self::PasswordRemoved { .. } => credentials.remove_password(),
            Self::AppPasswordAdded {
                label,
                app_password,
                ..
            } => {
                let app_passwords = credentials.app_passwords.get_or_insert_default();
                app_passwords.insert(label, app_password);
            }
            Self::AppPasswordRemoved { label, .. } => {
                credentials
                    .app_passwords
                    .get_or_insert_default()
                    .remove(&label);
            }
            _ => {}
        }
    }
}

impl super::Credentials {
    /// See `Change::PasswordReplaced`. App passwords lose SCRAM where the account's derivation
    /// changes, because their keys were made with the old one.
    pub(crate) fn replace_password(&mut self, password: Option<Verifier>, scram: Option<Scram>) {
        match (scram, &mut self.scram) {
            (Some(new), old) => {
                if old
                    .as_ref()
                    .is_none_or(|old| old.derivation != new.derivation)
                {
                    for app_password in self.app_passwords.iter_mut().flat_map(BTreeMap::values_mut)
                    {
                        app_password.keys = None;
                    }
                }
                *old = Some(new);
            }
            (None, Some(old)) if password.is_some() => old.keys = None,
            (None, _) => {}
        }
        if password.is_some() {
            self.password = password;
        }
    }
}

impl super::Credentials {
    /// See `Change::PasswordRemoved`. App passwords stay as they are.
    pub(crate) fn remove_password(&mut self) {
        self.password = None;
        if let Some(scram) = &mut self.scram {
            scram.keys = None;
        }
    }
}

impl fmt::Display for Change {
    /// The change as a sentence without its full stop.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GroupAdded { name, .. } => write!(f, "group {name} is added"),
            Self::GroupChanged { name, to } => {
                write!(f, "group {name} is now described as \"{}\"", to.description)
            }
            Self::GroupRemoved { name } => write!(f, "group {name} is removed"),
            Self::DomainAdded { name, .. } => write!(f, "domain {name} is added"),
            Self::DomainChanged { name, from, to } => domain_changes(f, name, from, to),
            Self::DomainRemoved { name } => write!(f, "domain {name} is removed"),
            Self::AccountAdded { login, .. } => write!(f, "account {login} is added"),
            Self::AccountChanged { login, from, to } => account_changes(f, login, from, to),
            Self::AccountRemoved { login } => {
                write!(f, "account {login} is removed with all its mail")
            }
            Self::PasswordReplaced { login, .. } => {
                write!(f, "the password of account {login} is replaced")
            }
            Self::PasswordRemoved { login } => write!(
                f,
                "account {login} has no password any more; only app passwords open it"
            ),
            Self::AppPasswordAdded {
                login,
                label,
                app_password,
            } => {
                write!(f, "account {login} gets the app password \"{label}\"")?;
                if app_password.limits.is_unlimited() {
                    return Ok(());
                }
                write!(f, ", limited to {}", app_password.limits)
            }
            Self::AppPasswordRemoved { login, label } => {
                write!(f, "account {login} loses the app password \"{label}\"")
            }
            Self::AliasAdded { address, to } => {
                write!(f, "alias {address} is added and leads to {}", list(to))
            }
            Self::TargetAdded { address, target } => {
                write!(f, "alias {address} now also leads to {target}")
            }
            Self::TargetRemoved { address, target } => {
                write!(f, "alias {address} no longer leads to {target}")
            }
            Self::AliasRemoved { address } => write!(f, "alias {address} is removed"),
        }
    }
}

fn list(addresses: &BTreeSet<Address>) -> String {
    let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

fn shown(value: Option<&impl fmt::Display>) -> String {
    value.map_or_else(|| "nothing".to_owned(), ToString::to_string)
}

fn domain_changes(
    f: &mut fmt::Formatter<'_>,
    name: &DomainName,
    from: &Domain,
    to: &Domain,
) -> fmt::Result {
    let mut parts = Vec::new();
    if from.status != to.status {
        parts.push(format!("is now {}", to.status.word()));
    }
    if from.group != to.group {
        parts.push(format!(
            "changes its group from {} to {}",
            shown(from.group.as_ref()),
            shown(to.group.as_ref())
        ));
    }
    if from.catch_all != to.catch_all {
        parts.push(format!(
            "changes its catch-all from {} to {}",
            shown(from.catch_all.as_ref()),
            shown(to.catch_all.as_ref())
        ));
    }
    if from.contact != to.contact {
        parts.push(format!(
            "changes its contact from {} to {}",
            shown(from.contact.as_ref()),
            shown(to.contact.as_ref())
        ));
    }
    write!(f, "domain {name} {}", parts.join(" and "))
}

fn account_changes(
    f: &mut fmt::Formatter<'_>,
    login: &AddressKey,
    from: &Profile,
    to: &Profile,
) -> fmt::Result {
    let mut parts = Vec::new();
    if from.status != to.status {
        parts.push(format!("is now {}", to.status.word()));
    }
    if from.group != to.group {
        parts.push(format!(
            "changes its group from {} to {}",
            shown(from.group.as_ref()),
            shown(to.group.as_ref())
        ));
    }
    if from.pop3_delete != to.pop3_delete {
        parts.push(format!(
            "changes what POP3 DELE does from {} to {}",
            from.pop3_delete.word(),
            to.pop3_delete.word()
        ));
    }
    write!(f, "account {login} {}", parts.join(" and "))
}
