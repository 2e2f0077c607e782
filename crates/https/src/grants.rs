//! Which accounts are operators, support, or administrators of which domains. Every account is a user of itself
//! without any of it. Changed by the CLI (`rohrpost admin`) and the API; asked at every request of a session.

use crate::access::Role;
use crate::credentials::{CredentialError, account_of, require_domain};
use directory::{AccountId, AddressKey, DomainName};
use platform::clock::Timestamp;
use platform::params;
use platform::store::{StoreError, Tx};

/// One grant as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GrantView {
    /// The account's login address.
    pub(crate) account: String,
    /// What it is.
    pub(crate) role: Role,
    /// Of which domain; `None` for roles of the whole installation.
    pub(crate) domain: Option<String>,
    /// Milliseconds since 1970.
    pub(crate) granted_at: i64,
    /// By whom.
    pub(crate) granted_by: String,
}

/// What an account is by all its grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Granted {
    pub(crate) role: Role,
    pub(crate) domains: Vec<DomainName>,
}

/// A grant to be made or taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grant {
    /// To whom.
    pub(crate) account: AddressKey,
    /// What.
    pub(crate) role: Role,
    /// Of which domain; exactly for `DomainAdmin`.
    pub(crate) domain: Option<DomainName>,
}

/// Everything an account was granted.
pub(crate) fn of_account(tx: &mut dyn Tx, account: AccountId) -> Result<Granted, StoreError> {
    let rows = tx.all(
        "SELECT role, domain FROM api_grants WHERE account = ?1",
        params![account.0],
        |row| Ok((Role::from_word(row.text(0)?), row.text(1)?.to_owned())),
    )?;
    let role = rows.iter().filter_map(|(role, _)| *role).max();
    let domains = rows.iter().filter(|(_, domain)| !domain.is_empty());
    Ok(Granted {
        role: role.unwrap_or(Role::User),
        domains: domains
            .filter_map(|(_, domain)| DomainName::parse(domain).ok())
            .collect(),
    })
}

/// Everything the account with this login address was granted; nothing where there is none.
pub(crate) fn of_login(tx: &mut dyn Tx, login: &AddressKey) -> Result<Granted, CredentialError> {
    match account_of(tx, login) {
        Ok(account) => Ok(of_account(tx, account)?),
        Err(CredentialError::Missing(_)) => Ok(Granted {
            role: Role::User,
            domains: Vec::new(),
        }),
        Err(error) => Err(error),
    }
}

/// All grants.
///
/// # Errors
/// Those of the store.
pub(crate) fn grants(tx: &mut dyn Tx) -> Result<Vec<GrantView>, StoreError> {
    let rows = tx.all(
        "SELECT a.local, a.domain, g.role, g.domain, g.granted_at, g.granted_by FROM api_grants g \
         JOIN directory_accounts a ON a.account = g.account ORDER BY a.domain, a.local, g.role, g.domain",
        &[],
        |row| {
            let Ok(home) = DomainName::parse(row.text(1)?) else {
                return Ok(None);
            };
            let Some(role) = Role::from_word(row.text(2)?) else {
                return Ok(None);
            };
            let domain = Some(row.text(3)?).filter(|domain| !domain.is_empty());
            Ok(Some(GrantView {
                account: AddressKey::new(row.text(0)?, home).to_string(),
                role,
                domain: domain.map(str::to_owned),
                granted_at: row.int(4)?,
                granted_by: row.text(5)?.to_owned(),
            }))
        },
    )?;
    Ok(rows.into_iter().flatten().collect())
}

/// Makes one; making it again changes nothing.
///
/// # Errors
/// `Invalid` where role and domain do not fit, `Missing` for the account or the domain.
pub(crate) fn add_grant(
    tx: &mut dyn Tx,
    grant: &Grant,
    by: &str,
    now: Timestamp,
) -> Result<(), CredentialError> {
    check(grant)?;
    let account = account_of(tx, &grant.account)?;
    if let Some(domain) = &grant.domain {
        require_domain(tx, domain)?;
    }
    tx.execute(
        "INSERT INTO api_grants (account, role, domain, granted_at, granted_by) VALUES (?1, ?2, ?3, ?4, ?5) \
         ON CONFLICT DO NOTHING",
        params![account.0, grant.role.word(), domain_text(grant), now.0, by],
    )?;
    Ok(())
}

/// Takes one back.
///
/// # Errors
/// `Missing` where it was not made.
pub(crate) fn remove_grant(tx: &mut dyn Tx, grant: &Grant) -> Result<(), CredentialError> {
    check(grant)?;
    let account = account_of(tx, &grant.account)?;
    let gone = tx.execute(
        "DELETE FROM api_grants WHERE account = ?1 AND role = ?2 AND domain = ?3",
        params![account.0, grant.role.word(), domain_text(grant)],
    )?;
    if gone == 0 {
        return Err(CredentialError::Missing(format!(
            "{} was not made {}; `rohrpost admin list` shows who was made what",
            grant.account,
            grant.role.word()
        )));
    }
    Ok(())
}

fn domain_text(grant: &Grant) -> &str {
    grant.domain.as_ref().map_or("", DomainName::as_str)
}

fn check(grant: &Grant) -> Result<(), CredentialError> {
    let fits = match grant.role {
        Role::User => false,
        Role::DomainAdmin => grant.domain.is_some(),
        Role::Support | Role::Operator => grant.domain.is_none(),
    };
    match fits {
        true => Ok(()),
        false => Err(CredentialError::Invalid(
            "a domain admin is made for a domain; operators and support are made without one; \
             every account is a user of itself already"
                .to_owned(),
        )),
    }
}
