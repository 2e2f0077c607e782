//! What must hold in any state: names exist that are named, addresses are one thing only, aliases
//! lead somewhere and never in circles. Pure; problems are sentences for the operator.

use super::{Account, Domain, State};
use crate::limits::{APP_PASSWORDS_MAX, FAN_OUT_MAX, LABEL_BYTES_MAX};
use crate::resolution::{DomainFacts, Entry, Facts, Resolution, Rules, Status, exists, resolve};
use crate::{AccountId, AddressKey, DomainName};
use formats::address::Address;
use std::collections::BTreeMap;
use std::convert::Infallible;

/// A state as facts of resolution; accounts are numbered in the order of their addresses.
pub struct StateFacts<'s> {
    state: &'s State,
    numbers: BTreeMap<&'s AddressKey, AccountId>,
}

impl<'s> StateFacts<'s> {
    /// Facts of `state`.
    pub fn new(state: &'s State) -> Self {
        let numbers = state.accounts.keys().zip((1..).map(AccountId)).collect();
        Self { state, numbers }
    }
}

impl Facts for StateFacts<'_> {
    type Error = Infallible;

    fn domain(&mut self, domain: &DomainName) -> Result<Option<DomainFacts>, Infallible> {
        Ok(self.state.domains.get(domain).map(|d| DomainFacts {
            status: d.status,
            catch_all: d.catch_all.clone(),
            contact: d.contact.clone(),
        }))
    }

    fn entry(&mut self, address: &AddressKey) -> Result<Option<Entry>, Infallible> {
        if let Some(account) = self.state.accounts.get(address) {
            return Ok(self.numbers.get(address).map(|number| Entry::Account {
                account: *number,
                status: account.profile.status,
            }));
        }
        Ok(self.state.aliases.get(address).map(|to| Entry::Alias {
            to: to.iter().cloned().collect(),
        }))
    }

    fn first_account(&mut self) -> Result<Option<AccountId>, Infallible> {
        let in_use = |login: &AddressKey, account: &Account| {
            account.profile.status == Status::Active
                && self
                    .state
                    .domains
                    .get(login.domain())
                    .is_some_and(|d| d.status == Status::Active)
        };
        let first = self.state.accounts.iter().find(|(l, a)| in_use(l, a));
        Ok(first.and_then(|(login, _)| self.numbers.get(login).copied()))
    }
}

/// Everything that is wrong with `state`; empty: it may be applied.
pub fn problems(state: &State, rules: &Rules) -> Vec<String> {
    let mut checker = Checker {
        state,
        rules,
        facts: StateFacts::new(state),
        problems: Vec::new(),
    };
    for name in state.groups.keys() {
        checker.label(name, "group");
    }
    for (name, domain) in &state.domains {
        checker.domain(name, domain);
    }
    for (login, account) in &state.accounts {
        checker.account(login, account);
    }
    for (address, to) in &state.aliases {
        checker.known_domain(address, "alias");
        if to.is_empty() {
            checker.problem(format!(
                "alias {address} leads nowhere; give it a target or remove it"
            ));
        }
        for target in to {
            checker.leads_somewhere(target, &format!("alias {address}"));
        }
        checker.is_no_loop(address);
    }
    checker.problems
}

struct Checker<'s> {
    state: &'s State,
    rules: &'s Rules,
    facts: StateFacts<'s>,
    problems: Vec<String>,
}

impl Checker<'_> {
    fn problem(&mut self, text: String) {
        self.problems.push(text);
    }

    fn label(&mut self, label: &str, what: &str) {
        if let Some(problem) = label_problem(label, what) {
            self.problem(problem);
        }
    }

    fn known_group(&mut self, group: Option<&String>, whose: &str) {
        if let Some(group) = group
            && !self.state.groups.contains_key(group)
        {
            self.problem(format!(
                "{whose} is in group {group}, which does not exist; add the group"
            ));
        }
    }

    fn known_domain(&mut self, address: &AddressKey, what: &str) {
        if !self.state.domains.contains_key(address.domain()) {
            let domain = address.domain();
            self.problem(format!(
                "{what} {address} is in domain {domain}, which does not exist; add the domain"
            ));
        }
    }

    fn domain(&mut self, name: &DomainName, domain: &Domain) {
        self.known_group(domain.group.as_ref(), &format!("domain {name}"));
        if let Some(target) = &domain.catch_all {
            self.leads_somewhere(target, &format!("the catch-all of domain {name}"));
        }
        if let Some(target) = &domain.contact {
            self.leads_somewhere(target, &format!("the contact of domain {name}"));
        }
    }

    fn account(&mut self, login: &AddressKey, account: &Account) {
        self.known_domain(login, "account");
        self.known_group(account.profile.group.as_ref(), &format!("account {login}"));
        if self.state.aliases.contains_key(login) {
            self.problem(format!(
                "{login} is an account and an alias; it can be only one of them"
            ));
        }
        if let Some(app_passwords) = &account.credentials.app_passwords {
            if app_passwords.len() > APP_PASSWORDS_MAX {
                self.problem(format!(
                    "account {login} has more than {APP_PASSWORDS_MAX} app passwords"
                ));
            }
            for label in app_passwords.keys() {
                self.label(label, "app password");
            }
        }
    }

    fn leads_somewhere(&mut self, target: &Address, who: &str) {
        let made = match exists(&mut self.facts, self.rules, target) {
            Ok(made) => made,
            Err(never) => match never {},
        };
        if let Some(problem) = target_problem(&self.resolved(target), made, target, who) {
            self.problem(problem);
        }
    }

    fn is_no_loop(&mut self, address: &AddressKey) {
        let found = Address::parse(&address.to_string()).map(|a| self.resolved(&a));
        if found == Ok(Resolution::Loop) {
            self.problem(loop_problem(address));
        }
    }

    fn resolved(&mut self, address: &Address) -> Resolution {
        match resolve(&mut self.facts, self.rules, address) {
            Ok(resolution) => resolution,
            Err(never) => match never {},
        }
    }
}

/// What is wrong with `target`, to which `who` shall lead.
pub(crate) fn target_problem(
    found: &Resolution,
    made: bool,
    target: &Address,
    who: &str,
) -> Option<String> {
    if target.domain().starts_with('[') {
        return Some(format!(
            "{who} leads to {target}; an IP address cannot be a target"
        ));
    }
    if *found == Resolution::Loop {
        return Some(format!(
            "{who} leads to {target}, which leads in a circle or to more than {FAN_OUT_MAX} addresses"
        ));
    }
    (!made).then(|| {
        format!("{who} leads to {target}, which does not exist; add that account or alias first")
    })
}

/// What is wrong with an address that leads in a circle.
pub(crate) fn loop_problem(address: &AddressKey) -> String {
    format!(
        "alias {address} leads back to itself, or to more than {FAN_OUT_MAX} addresses; take the target that closes the circle away"
    )
}

/// What is wrong with a label or the name of a group.
pub(crate) fn label_problem(label: &str, what: &str) -> Option<String> {
    let good = !label.trim().is_empty()
        && label.trim() == label
        && label.len() <= LABEL_BYTES_MAX
        && !label.contains(char::is_control);
    (!good).then(|| {
        format!("\"{}\" cannot name a {what}: 1 to {LABEL_BYTES_MAX} bytes, no control characters, no space at the ends", label.escape_debug())
    })
}
