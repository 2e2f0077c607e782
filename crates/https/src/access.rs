//! Who may do what: the one decision about roles. Pure: a caller, what a route needs, and what it is about go in. Every
//! route is asked about here before anything of it runs; nothing else in this crate knows what a role may.
//!
//!   operator      everything
//!   support       sees everything, and assists accounts (guides, legacy access)
//!   domain admin  sees and changes what belongs to the named domains
//!   user          sees the own account and does for it what `Own` means

use directory::{AccountId, AddressKey, DomainName};

/// What somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Somebody with an account here and nothing more.
    User,
    /// Administrator of some domains.
    DomainAdmin,
    /// The provider's support.
    Support,
    /// The provider.
    Operator,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::User, Self::DomainAdmin, Self::Support, Self::Operator];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::DomainAdmin => "domain-admin",
            Self::Support => "support",
            Self::Operator => "operator",
        }
    }

    /// From its word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.word() == word)
    }
}

/// How a caller proved who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// It opened the local socket.
    Local,
    /// It sent a token, which no browser does by itself.
    Token,
    /// It sent the cookie of a session, which a browser does whoever made the form.
    Session,
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    /// For the audit log: the address of an account, or `token LABEL`, or `local USER`.
    pub(crate) who: String,
    /// The highest role.
    pub(crate) role: Role,
    /// The domains of a domain admin; a user may have some, too.
    pub(crate) domains: Vec<DomainName>,
    /// The account it acts for, if any.
    pub(crate) account: Option<(AccountId, AddressKey)>,
    /// How it proved that.
    pub(crate) proof: Proof,
}

/// What a route does to its subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Right {
    /// Nothing is needed: a public page, or the form of a login.
    Public,
    /// Looks.
    See,
    /// Helps a customer: sends a guide, enrols a device.
    Assist,
    /// Does what people do for their own account: app passwords, their own addresses.
    Own,
    /// Changes.
    Change,
}

/// What a route is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Subject {
    /// The whole installation.
    Installation,
    /// A domain with what is in it.
    Domain(DomainName),
    /// An account.
    Account(AddressKey),
    /// Many; what is shown of them is asked for one by one.
    Each,
    /// The caller itself.
    Caller,
}

impl Subject {
    /// For the audit log.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Installation => "installation".to_owned(),
            Self::Domain(domain) => format!("domain {domain}"),
            Self::Account(login) => format!("account {login}"),
            Self::Each => "several".to_owned(),
            Self::Caller => "the caller".to_owned(),
        }
    }
}

/// What is ruled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ruling {
    /// It may.
    Admitted,
    /// Nobody has said who they are.
    WhoAreYou,
    /// It may not; whether the subject exists is not told.
    Refused,
}

/// Whether `caller` may do `right` to `subject`.
pub(crate) fn rule(caller: Option<&Caller>, right: Right, subject: &Subject) -> Ruling {
    if right == Right::Public {
        return Ruling::Admitted;
    }
    let Some(caller) = caller else {
        return Ruling::WhoAreYou;
    };
    let admitted = match caller.role {
        Role::Operator => true,
        Role::Support => {
            matches!(right, Right::See | Right::Assist)
                || matches!(subject, Subject::Each | Subject::Caller)
                || is_own(caller, right, subject)
        }
        Role::DomainAdmin | Role::User => match subject {
            Subject::Installation => false,
            Subject::Domain(domain) => caller.domains.contains(domain),
            Subject::Account(login) => {
                caller.domains.contains(login.domain()) || is_own(caller, right, subject)
            }
            Subject::Each | Subject::Caller => true,
        },
    };
    match admitted {
        true => Ruling::Admitted,
        false => Ruling::Refused,
    }
}

/// Whether it is about the caller's own account and something people do for that.
fn is_own(caller: &Caller, right: Right, subject: &Subject) -> bool {
    let own = caller.account.as_ref().map(|(_, login)| login);
    matches!(subject, Subject::Account(login) if Some(login) == own) && right != Right::Change
}

impl Caller {
    /// Whether it may do that; for routes about many things at once.
    pub(crate) fn may(&self, right: Right, subject: &Subject) -> bool {
        rule(Some(self), right, subject) == Ruling::Admitted
    }

    /// Whether it may do what lets it act as an account that was granted `role` and `domains`: set its password, end
    /// its app passwords, remove it. Nobody comes by more than they have through somebody else's account.
    pub(crate) fn may_stand_for(&self, role: Role, domains: &[DomainName]) -> bool {
        let has = |domain: &DomainName| self.domains.contains(domain);
        self.role == Role::Operator || (role <= self.role && domains.iter().all(has))
    }

    /// Whether it may see this domain.
    pub(crate) fn sees_domain(&self, name: &str) -> bool {
        DomainName::parse(name).is_ok_and(|domain| self.may(Right::See, &Subject::Domain(domain)))
    }

    /// Whether it may see the account with this login address.
    pub(crate) fn sees_account(&self, login: &str) -> bool {
        AddressKey::parse(login).is_ok_and(|login| self.may(Right::See, &Subject::Account(login)))
    }
}

#[cfg(test)]
#[path = "access_tests.rs"]
mod tests;
