//! What rules name that somebody else makes: customer groups and pools. A rule about one that does not exist never
//! does what was meant, so it is not taken; one whose group goes later is left, and the linter says it. Called by `store`.

use super::action::Action;
use super::condition::{Op, Value};
use super::fact::Fact;
use super::rule::{Rule, RuleSet};
use crate::admin::PolicyError;
use crate::model::Scope;
use crate::rows;
use crate::setting::Name;
use platform::params;
use platform::store::{StoreError, Tx};
use std::collections::HashSet;

/// Something a rule names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Named<'r> {
    Group(&'r str),
    Pool(&'r str),
}

/// What `rule` names, in its actions and in its condition.
pub(super) fn named(rule: &Rule) -> Vec<Named<'_>> {
    let mut found = Vec::new();
    for action in &rule.then {
        match action {
            Action::Group { name } => found.push(Named::Group(name)),
            Action::Pool { name } => found.push(Named::Pool(name)),
            _ => {}
        }
    }
    rule.when.each_test(&mut |test| {
        let is_group = matches!(test.fact, Fact::AccountGroup | Fact::RecipientGroup);
        if is_group && matches!(test.op, Op::Is | Op::IsOneOf) {
            let texts = test.value.as_ref().map_or(&[][..], Value::texts);
            found.extend(texts.iter().map(|text| Named::Group(text)));
        }
    });
    found
}

/// Refuses what names something that does not exist, unless the rules that hold name it as well: who changes
/// another rule need not mend that one.
pub(super) fn check(tx: &mut dyn Tx, held: &RuleSet, set: &RuleSet) -> Result<(), PolicyError> {
    let known: HashSet<_> = held.rules().iter().flat_map(named).collect();
    for rule in set.rules() {
        for one in named(rule) {
            if known.contains(&one) || exists(tx, &one)? {
                continue;
            }
            return Err(PolicyError::Missing(match one {
                Named::Group(name) => format!(
                    "{} names the group {name}, which does not exist; `rohrpost group add {name}` makes it",
                    rule.name
                ),
                Named::Pool(name) => format!(
                    "{} names the pool {name}, which does not exist; `rohrpost pool add {name} ADDRESS ...` \
                     makes it",
                    rule.name
                ),
            }));
        }
    }
    Ok(())
}

fn exists(tx: &mut dyn Tx, named: &Named<'_>) -> Result<bool, StoreError> {
    match named {
        // Conditions compare without regard to upper and lower case.
        Named::Group(name) => {
            let found = tx.one(
                "SELECT 1 FROM directory_groups WHERE name = ?1 OR LOWER(name) = ?2 LIMIT 1",
                params![*name, &name.to_ascii_lowercase()],
                |row| row.int(0),
            )?;
            Ok(found.is_some())
        }
        Named::Pool(name) => {
            let found = rows::as_written(tx, &Scope::Installation, Name::PoolAddresses, name)?;
            Ok(found.is_some())
        }
    }
}
