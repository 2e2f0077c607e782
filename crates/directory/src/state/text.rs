//! The state as a TOML file for an operator's git: sorted and stable, passwords only as hashes.
//! Reading refuses what it does not know, with the line and an example.

use super::{Account, AppPassword, Credentials, Domain, Group, Profile, Scram, State, canonical};
use crate::login::Pop3Delete;
use crate::password::{AppLimits, AppPasswordHash, Verifier};
use crate::resolution::Status;
use crate::scram;
use crate::{AddressKey, DomainName};
use formats::address::Address;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use toml::Spanned;

/// What a file asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The state, hashes only.
    pub state: State,
    /// Passwords given in clear; hashed before anything is planned, unless they are already right.
    pub clear_passwords: BTreeMap<AddressKey, String>,
}

/// Why a file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}\n\nA state file looks like this:\n\n{EXAMPLE}")]
pub struct StateError {
    /// With the line.
    pub problem: String,
}

/// Shown with every error.
const EXAMPLE: &str = r#"[[group]]
name = "business"
description = "Customers with a contract"

[[domain]]
name = "firma.example"
group = "business"
catch_all = "anna@firma.example"
contact = "anna@firma.example"

[[account]]
login = "anna@firma.example"
password_hash = "{ARGON2ID}$argon2id$v=19$m=19456,t=2,p=1$..."

[[alias]]
address = "info@firma.example"
to = ["anna@firma.example", "partner@elsewhere.example"]

# Then [[policy]], [[identity]], [[client]], [[rules]], [[rollout]] and [voice], as `rohrpost export` prints them.
"#;

#[derive(Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RawState {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    group: Vec<RawGroup>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    domain: Vec<RawDomain>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    account: Vec<RawAccount>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    alias: Vec<RawAlias>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGroup {
    #[serde(serialize_with = "plain")]
    name: Spanned<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    description: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDomain {
    #[serde(serialize_with = "plain")]
    name: Spanned<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    catch_all: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contact: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAccount {
    #[serde(serialize_with = "plain")]
    login: Spanned<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pop3_delete: Option<String>,
    #[serde(skip_serializing)]
    password: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    password_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scram: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app_password: Option<Vec<RawAppPassword>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAppPassword {
    label: String,
    hash: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    scram: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAlias {
    #[serde(serialize_with = "plain")]
    address: Spanned<String>,
    to: Vec<String>,
}

fn plain<S: serde::Serializer>(value: &Spanned<String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(value.get_ref())
}

fn unplaced(text: String) -> Spanned<String> {
    Spanned::new(0..0, text)
}

/// The state as text; the same state always gives the same text.
pub fn export(state: &State) -> String {
    let raw = RawState {
        group: state.groups.iter().map(raw_group).collect(),
        domain: state.domains.iter().map(raw_domain).collect(),
        account: state.accounts.iter().map(raw_account).collect(),
        alias: state.aliases.iter().map(raw_alias).collect(),
    };
    // Strings and lists of strings always have a TOML form.
    toml::to_string(&raw).unwrap_or_default()
}

fn raw_group((name, group): (&String, &Group)) -> RawGroup {
    RawGroup {
        name: unplaced(name.clone()),
        description: group.description.clone(),
    }
}

/// `None` for the default, so that a file says only what is special.
fn status_word(status: Status) -> Option<String> {
    (status != Status::Active).then(|| status.word().to_owned())
}

fn raw_domain((name, domain): (&DomainName, &Domain)) -> RawDomain {
    RawDomain {
        name: unplaced(name.to_string()),
        status: status_word(domain.status),
        group: domain.group.clone(),
        catch_all: domain.catch_all.as_ref().map(ToString::to_string),
        contact: domain.contact.as_ref().map(ToString::to_string),
    }
}

fn raw_account((login, account): (&AddressKey, &Account)) -> RawAccount {
    let Account {
        profile,
        credentials,
    } = account;
    let scram_text = |s: &Scram| scram::to_text(&s.derivation, s.keys.as_ref());
    let app_password = |(label, app): (&String, &AppPassword)| RawAppPassword {
        label: label.clone(),
        hash: app.hash.to_string(),
        scram: app.keys.as_ref().map(scram::keys_to_text),
        limits: (!app.limits.is_unlimited()).then(|| app.limits.to_string()),
    };
    RawAccount {
        login: unplaced(login.to_string()),
        status: status_word(profile.status),
        group: profile.group.clone(),
        pop3_delete: (profile.pop3_delete != Pop3Delete::default())
            .then(|| profile.pop3_delete.word().to_owned()),
        password: None,
        password_hash: credentials.password.as_ref().map(ToString::to_string),
        scram: credentials.scram.as_ref().map(scram_text),
        app_password: credentials
            .app_passwords
            .as_ref()
            .map(|apps| apps.iter().map(app_password).collect()),
    }
}

fn raw_alias((address, to): (&AddressKey, &BTreeSet<Address>)) -> RawAlias {
    RawAlias {
        address: unplaced(address.to_string()),
        to: to.iter().map(ToString::to_string).collect(),
    }
}

/// Reads a state file. Says nothing yet about whether the parts fit together.
///
/// # Errors
/// A text that is not TOML, an unknown field, a value out of its range; with the line.
pub fn parse(text: &str) -> Result<Wanted, StateError> {
    let raw: RawState = toml::from_str(text).map_err(|error| StateError {
        problem: error.to_string().trim_end().to_owned(),
    })?;
    let reader = Reader {
        text,
        hosted: raw
            .domain
            .iter()
            .filter_map(|d| DomainName::parse(d.name.get_ref()).ok())
            .collect(),
    };
    let mut wanted = Wanted::default();
    for group in raw.group {
        let span = group.name.span();
        let description = group.description;
        reader.new_key(
            &mut wanted.state.groups,
            group.name.into_inner(),
            Group { description },
            span,
        )?;
    }
    for raw in raw.domain {
        let span = raw.name.span();
        let (name, domain) = reader.domain(raw)?;
        reader.new_key(&mut wanted.state.domains, name, domain, span)?;
    }
    for raw in raw.account {
        let span = raw.login.span();
        let clear = raw.password.clone();
        let (login, account) = reader.account(raw)?;
        if let Some(clear) = clear {
            wanted.clear_passwords.insert(login.clone(), clear);
        }
        reader.new_key(&mut wanted.state.accounts, login, account, span)?;
    }
    for raw in raw.alias {
        let span = raw.address.span();
        let (address, to) = reader.alias(raw)?;
        reader.new_key(&mut wanted.state.aliases, address, to, span)?;
    }
    Ok(wanted)
}

struct Reader<'t> {
    text: &'t str,
    hosted: BTreeSet<DomainName>,
}

impl Reader<'_> {
    fn error(&self, span: &Range<usize>, problem: impl std::fmt::Display) -> StateError {
        let before = self.text.get(..span.start).unwrap_or_default();
        let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
        StateError {
            problem: format!("line {line}: {problem}"),
        }
    }

    fn new_key<K: Ord + Clone + std::fmt::Display, V>(
        &self,
        map: &mut BTreeMap<K, V>,
        key: K,
        value: V,
        span: Range<usize>,
    ) -> Result<(), StateError> {
        match map.insert(key.clone(), value) {
            None => Ok(()),
            Some(_) => Err(self.error(&span, format!("{key} stands here a second time"))),
        }
    }

    fn status(&self, word: Option<&String>, span: &Range<usize>) -> Result<Status, StateError> {
        word.map_or(Some(Status::Active), |w| Status::from_word(w))
            .ok_or_else(|| self.error(span, "status is \"active\" or \"suspended\""))
    }

    fn target(&self, text: &str, span: &Range<usize>) -> Result<Address, StateError> {
        Address::parse(text)
            .ok()
            .and_then(|address| canonical(&address, |domain| self.hosted.contains(domain)))
            .ok_or_else(|| self.error(span, format!("\"{text}\" is not an address")))
    }

    fn domain(&self, raw: RawDomain) -> Result<(DomainName, Domain), StateError> {
        let span = raw.name.span();
        let name = DomainName::parse(raw.name.get_ref()).map_err(|e| self.error(&span, e))?;
        let target = |text: Option<String>| text.map(|t| self.target(&t, &span)).transpose();
        let domain = Domain {
            status: self.status(raw.status.as_ref(), &span)?,
            group: raw.group,
            catch_all: target(raw.catch_all)?,
            contact: target(raw.contact)?,
        };
        Ok((name, domain))
    }

    fn account(&self, raw: RawAccount) -> Result<(AddressKey, Account), StateError> {
        let span = raw.login.span();
        let login = AddressKey::parse(raw.login.get_ref()).map_err(|e| self.error(&span, e))?;
        if raw.password.is_some() && raw.password_hash.is_some() {
            return Err(self.error(
                &span,
                format!("account {login} has a password and a password_hash; give one"),
            ));
        }
        let pop3_delete = match &raw.pop3_delete {
            None => Pop3Delete::default(),
            Some(word) => Pop3Delete::from_word(word).ok_or_else(|| {
                self.error(&span, "pop3_delete is \"remove\", \"trash\" or \"keep\"")
            })?,
        };
        let profile = Profile {
            status: self.status(raw.status.as_ref(), &span)?,
            group: raw.group.clone(),
            pop3_delete,
        };
        let credentials = self.credentials(&login, &raw, &span)?;
        Ok((
            login,
            Account {
                profile,
                credentials,
            },
        ))
    }

    fn credentials(
        &self,
        login: &AddressKey,
        raw: &RawAccount,
        span: &Range<usize>,
    ) -> Result<Credentials, StateError> {
        let wrong = |what: String| self.error(span, format!("account {login}: {what}"));
        let password = match &raw.password_hash {
            None => None,
            Some(text) => Some(Verifier::parse(text).map_err(|e| wrong(e.to_string()))?),
        };
        let scram = match &raw.scram {
            None => None,
            Some(text) => {
                let (derivation, keys) = scram::from_text(text).ok_or_else(|| {
                    wrong(
                        "scram is SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>"
                            .into(),
                    )
                })?;
                Some(Scram { derivation, keys })
            }
        };
        let Some(raw_apps) = &raw.app_password else {
            return Ok(Credentials {
                password,
                scram,
                app_passwords: None,
            });
        };
        let mut apps = BTreeMap::new();
        for raw in raw_apps {
            let hash = AppPasswordHash::parse(&raw.hash).map_err(|e| wrong(e.to_string()))?;
            let keys = match &raw.scram {
                None => None,
                Some(text) => Some(scram::keys_from_text(text).ok_or_else(|| {
                    wrong("the scram of an app password is <stored key>:<server key>".into())
                })?),
            };
            let limits = match &raw.limits {
                None => AppLimits::default(),
                Some(text) => text.parse().map_err(wrong)?,
            };
            let app = AppPassword { hash, keys, limits };
            self.new_key(&mut apps, raw.label.clone(), app, span.clone())?;
        }
        Ok(Credentials {
            password,
            scram,
            app_passwords: Some(apps),
        })
    }

    fn alias(&self, raw: RawAlias) -> Result<(AddressKey, BTreeSet<Address>), StateError> {
        let span = raw.address.span();
        let address = AddressKey::parse(raw.address.get_ref()).map_err(|e| self.error(&span, e))?;
        let to = raw
            .to
            .iter()
            .map(|text| self.target(text, &span))
            .collect::<Result<BTreeSet<_>, _>>()?;
        if to.is_empty() {
            return Err(self.error(
                &span,
                format!("alias {address} leads nowhere; name an address in \"to\""),
            ));
        }
        Ok((address, to))
    }
}
