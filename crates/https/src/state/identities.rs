//! Whom accounts may send as in a state file, an `[[identity]]` table each; requests that wait for their code are in no
//! file. Called by `state` inside its transactions.

use super::scopes::Scopes;
use directory::{AddressKey, DomainName};
use platform::store::Tx;
use policy::SendAs;
use policy::admin::{Author, PolicyError, within};
use policy::identities::{Kind, Wanted};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One `[[identity]]` table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    account: String,
    send_as: String,
    /// Whether the account's owner proved it; otherwise an operator granted it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    proven: bool,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    reason: String,
}

#[derive(Serialize, Deserialize)]
struct File {
    identity: Vec<Raw>,
}

/// Account and whom it may send as.
pub(super) type Who = (AddressKey, SendAs);
/// How that came to be, and why.
pub(super) type How = (Kind, String);
/// All of them.
pub(super) type Identities = BTreeMap<Who, How>;

/// What is to be done.
#[derive(Debug, Default)]
pub(super) struct Changes {
    put: Vec<(Who, How)>,
    remove: Vec<Who>,
}

impl Changes {
    /// For the transaction that makes them.
    pub(super) fn wanted(&self, author: &Author) -> Wanted {
        let put = self.put.iter().map(|((login, send_as), (kind, reason))| {
            let author = Author {
                reason: reason.clone(),
                ..author.clone()
            };
            (login.clone(), send_as.clone(), *kind, author)
        });
        Wanted {
            put: put.collect(),
            remove: self.remove.clone(),
        }
    }
}

/// The identities a file wants.
///
/// # Errors
/// With the line or the table that is wrong.
pub(super) fn parse(text: &str) -> Result<Identities, String> {
    let file: File = toml::from_str(text)
        .map_err(|error| format!("the identities in the file cannot be read: {error}"))?;
    let mut all = Identities::new();
    for raw in file.identity {
        let shown = format!("[[identity]] {} {}", raw.account, raw.send_as);
        let wrong = |error: directory::NameError| format!("{shown}: {error}");
        let account = AddressKey::parse(&raw.account).map_err(wrong)?;
        let send_as = match raw.send_as.strip_prefix("*@") {
            Some(domain) => SendAs::AnyAt(DomainName::parse(domain).map_err(wrong)?),
            None => SendAs::Address(AddressKey::parse(&raw.send_as).map_err(wrong)?),
        };
        let kind = match raw.proven {
            true => Kind::Proven,
            false if raw.reason.trim().is_empty() => return Err(format!("{shown} needs a reason")),
            false => Kind::Granted,
        };
        if all.insert((account, send_as), (kind, raw.reason)).is_some() {
            return Err(format!("{shown} is there twice"));
        }
    }
    Ok(all)
}

/// The identities there are.
pub(super) fn current(tx: &mut dyn Tx) -> Result<Identities, PolicyError> {
    let mut current = Identities::new();
    let all = within::identities(tx)?;
    for one in all.into_iter().filter(|one| one.kind != Kind::Waiting) {
        let login = AddressKey::parse(&one.login)
            .map_err(|error| PolicyError::Invalid(error.to_string()))?;
        current.insert((login, one.send_as), (one.kind, one.reason));
    }
    Ok(current)
}

/// As tables; the empty text where there are none.
pub(super) fn write(identities: Identities) -> String {
    if identities.is_empty() {
        return String::new();
    }
    let tables = identities
        .into_iter()
        .map(|((login, send_as), (kind, reason))| Raw {
            account: login.to_string(),
            send_as: send_as.to_string(),
            proven: kind == Kind::Proven,
            reason,
        });
    let identity = tables.collect();
    // Strings always have a TOML form.
    toml::to_string(&File { identity }).unwrap_or_default()
}

/// What would change, and a sentence for each; what goes with its account is not told apart.
///
/// # Errors
/// With the identities of accounts that the file does not have.
pub(super) fn plan(
    current: &Identities,
    wanted: &Identities,
    scopes: &Scopes,
    told: &mut Vec<String>,
) -> Result<Changes, PolicyError> {
    let mut changes = Changes::default();
    let here = |login: &AddressKey| scopes.have(&format!("account:{login}"));
    for (who, how) in wanted {
        if current.get(who) == Some(how) {
            continue;
        }
        let (login, send_as) = who;
        if !here(login) {
            return Err(PolicyError::Invalid(format!(
                "[[identity]] {login} {send_as}: there is no account {login} in the file"
            )));
        }
        told.push(format!(
            "account {login} may send as {send_as} ({})",
            how.0.word()
        ));
        changes.put.push((who.clone(), how.clone()));
    }
    let unwanted = current.keys().filter(|who| !wanted.contains_key(*who));
    for who in unwanted.filter(|(login, _)| here(login)) {
        let (login, send_as) = who;
        told.push(format!("account {login} may no longer send as {send_as}"));
        changes.remove.push(who.clone());
    }
    Ok(changes)
}
