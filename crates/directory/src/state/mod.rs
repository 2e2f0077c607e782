//! The directory as values: groups, domains, accounts, aliases. `export`, `plan` and `apply`, the
//! CLI and the admin operations all speak in these types; `rows` writes them. Pure.

mod check;
mod plan;
mod text;

pub use check::{StateFacts, problems};
pub(crate) use check::{label_problem, loop_problem, target_problem};
pub use plan::{Change, plan};
pub use text::{StateError, Wanted, export, parse};

use crate::login::Pop3Delete;
use crate::password::{AppLimits, AppPasswordHash, Verifier};
use crate::resolution::Status;
use crate::scram::{Derivation, Keys};
use crate::{AddressKey, DomainName};
use formats::address::Address;
use std::collections::{BTreeMap, BTreeSet};

/// The whole directory, or what a file wants it to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// By name.
    pub groups: BTreeMap<String, Group>,
    /// By name.
    pub domains: BTreeMap<DomainName, Domain>,
    /// By login address.
    pub accounts: BTreeMap<AddressKey, Account>,
    /// Where each alias leads; never empty.
    pub aliases: BTreeMap<AddressKey, BTreeSet<Address>>,
}

/// A class of customers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// For people.
    pub description: String,
}

/// A hosted domain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Domain {
    /// Whether it is in use.
    pub status: Status,
    /// The group of its accounts that have none of their own.
    pub group: Option<String>,
    /// Where mail for addresses that do not exist goes.
    pub catch_all: Option<Address>,
    /// Who answers for it.
    pub contact: Option<Address>,
}

/// A person or device that logs in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// What an operator decides about it.
    pub profile: Profile,
    /// What it logs in with.
    pub credentials: Credentials,
}

/// What an operator decides about an account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// Whether it is in use.
    pub status: Status,
    /// Its own group; `None`: its domain's.
    pub group: Option<String>,
    /// What POP3 DELE does.
    pub pop3_delete: Pop3Delete,
}

/// What an account logs in with. In a wanted state `None` means: leave as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// The password's hash.
    pub password: Option<Verifier>,
    /// Salt and iterations, and the keys once the password has been seen.
    pub scram: Option<Scram>,
    /// By label.
    pub app_passwords: Option<BTreeMap<String, AppPassword>>,
}

/// The SCRAM-SHA-256 side of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scram {
    /// Shared by the password and all app passwords.
    pub derivation: Derivation,
    /// `None` until the password has been seen in clear (an imported hash says nothing about it).
    pub keys: Option<Keys>,
}

/// One app password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppPassword {
    /// For PLAIN and LOGIN.
    pub hash: AppPasswordHash,
    /// For SCRAM, with the account's derivation.
    pub keys: Option<Keys>,
    /// What it may be used for.
    pub limits: AppLimits,
}

impl Pop3Delete {
    /// The word used in files and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Remove => "remove",
            Self::Trash => "trash",
            Self::Keep => "keep",
        }
    }

    /// The inverse of `word`.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Remove, Self::Trash, Self::Keep]
            .into_iter()
            .find(|policy| policy.word() == word)
    }
}

impl Status {
    /// The word used in files and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
        }
    }

    /// The inverse of `word`.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Active, Self::Suspended]
            .into_iter()
            .find(|status| status.word() == word)
    }
}

/// `address` as it is stored in targets, contacts and catch-alls: folded where its domain is hosted
/// here, the local part as written elsewhere (RFC 5321 §2.4); `None` for an address literal.
pub fn canonical(
    address: &Address,
    is_hosted: impl FnOnce(&DomainName) -> bool,
) -> Option<Address> {
    let key = AddressKey::of(address)?;
    let text = if is_hosted(key.domain()) {
        key.to_string()
    } else {
        let written = address.to_string();
        let (local, _) = written.rsplit_once('@')?;
        format!("{local}@{}", key.domain())
    };
    Address::parse(&text).ok()
}

#[cfg(test)]
mod tests;
