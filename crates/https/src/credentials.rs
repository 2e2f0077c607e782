//! Tokens for programs and sessions of browsers: 256 random bits each, kept as a SHA-256 hash only and shown once.
//! Finding out who calls is one read. Called by `face` for each request and by the CLI for `rohrpost token`.

use crate::access::{Caller, Proof, Role};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use directory::{AccountId, AddressKey, DomainName};
use platform::clock::Timestamp;
use platform::params;
use platform::random::Random;
use platform::store::{Row, StoreError, Tx};
use sha2::{Digest as _, Sha256};
use std::time::Duration;

/// What a token begins with, so that it is recognised where it leaks.
const TOKEN_PREFIX: &str = "rohrpost_";
/// Random bytes of a token or session.
const SECRET_BYTES: usize = 32;
/// How long a session lasts.
pub(crate) const SESSION_TIME_MAX: Duration = Duration::from_secs(12 * 3600);
/// Sessions an account may have; the oldest go.
const SESSIONS_MAX: i64 = 20;
/// Longest label of a token, in characters.
const LABEL_CHARS_MAX: usize = 100;
const DAY_MS: i64 = 86_400_000;

/// A token as it is listed; the secret is nowhere any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenView {
    /// Its name for `revoke`.
    pub id: String,
    /// What it may.
    pub role: Role,
    /// The login address of its account.
    pub account: Option<String>,
    /// The domains it administers.
    pub domains: Vec<String>,
    /// What it is for.
    pub label: String,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// Who made it.
    pub created_by: String,
    /// Milliseconds since 1970; `None`: it does not end.
    pub expires_at: Option<i64>,
    /// Days since 1970.
    pub last_used_day: Option<i64>,
}

/// A token to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// What it may.
    pub role: Role,
    /// The account of a user's token.
    pub account: Option<AddressKey>,
    /// The domains of a domain admin's token.
    pub domains: Vec<DomainName>,
    /// What it is for.
    pub label: String,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

/// Why a token or a grant was not made. The texts are for the person who asked.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// What was asked for makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// What it is about does not exist.
    #[error("{0}")]
    Missing(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A secret in clear, for the one time it is shown, and its hash.
pub(crate) struct Secret {
    pub(crate) clear: String,
    pub(crate) hash: Vec<u8>,
}

impl Secret {
    /// A new one of 256 random bits.
    fn new(prefix: &str, random: &Random) -> Self {
        let mut bytes = [0; SECRET_BYTES];
        random.fill(&mut bytes);
        let clear = format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes));
        let hash = hash_of(&clear);
        Self { clear, hash }
    }
}

fn hash_of(clear: &str) -> Vec<u8> {
    Sha256::digest(clear.as_bytes()).to_vec()
}

/// What the forms of a session carry (beside the check of where they come from); tells nothing about the session.
pub(crate) fn form_token(session: &str) -> String {
    let digest = Sha256::digest(format!("form\0{session}").as_bytes());
    URL_SAFE_NO_PAD.encode(digest)
}

/// A token's secret, to be made outside a transaction, which may run twice.
pub struct TokenSecret {
    id: String,
    secret: Secret,
}

impl TokenSecret {
    /// A new one.
    pub fn new(random: &Random) -> Self {
        let id = format!("{:010x}", random.next_u64() >> 24);
        Self {
            id,
            secret: Secret::new(TOKEN_PREFIX, random),
        }
    }

    /// The token as it is sent; to be shown once.
    pub fn clear(&self) -> &str {
        &self.secret.clear
    }

    /// Its name for `revoke`.
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// Stores a new token.
///
/// # Errors
/// `Invalid` where role, account and domains do not fit together, `Missing` where one of them does not exist.
pub fn add_token(
    tx: &mut dyn Tx,
    new: &NewToken,
    secret: &TokenSecret,
    by: &str,
    now: Timestamp,
) -> Result<(), CredentialError> {
    check_label(&new.label)?;
    let fits = match new.role {
        Role::Operator | Role::Support => new.account.is_none() && new.domains.is_empty(),
        Role::DomainAdmin => new.account.is_none() && !new.domains.is_empty(),
        Role::User => new.account.is_some() && new.domains.is_empty(),
    };
    if !fits {
        return Err(CredentialError::Invalid(
            "a token of a domain admin names its domains (--domain firma.example), one of a user its account \
             (--account anna@firma.example), one of an operator or of support neither"
                .to_owned(),
        ));
    }
    if new.expires_at.is_some_and(|at| at <= now) {
        return Err(CredentialError::Invalid(
            "it would have ended already".to_owned(),
        ));
    }
    for domain in &new.domains {
        require_domain(tx, domain)?;
    }
    let account = match &new.account {
        Some(login) => Some(account_of(tx, login)?.0),
        None => None,
    };
    let domains: Vec<_> = new.domains.iter().map(DomainName::as_str).collect();
    tx.execute(
        "INSERT INTO api_tokens (id, hash, role, account, domains, label, created_at, created_by, expires_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            secret.id.as_str(),
            &secret.secret.hash,
            new.role.word(),
            account,
            &domains.join(" "),
            &new.label,
            now.0,
            by,
            new.expires_at.map(|at| at.0),
        ],
    )?;
    Ok(())
}

fn check_label(label: &str) -> Result<(), CredentialError> {
    let chars = label.chars().count();
    if chars == 0 || chars > LABEL_CHARS_MAX || label.chars().any(char::is_control) {
        return Err(CredentialError::Invalid(format!(
            "a label says what the token is for, in 1 to {LABEL_CHARS_MAX} characters"
        )));
    }
    Ok(())
}

/// All tokens.
///
/// # Errors
/// Those of the store.
pub fn tokens(tx: &mut dyn Tx) -> Result<Vec<TokenView>, StoreError> {
    tx.all(
        "SELECT t.id, t.role, a.local, a.domain, t.domains, t.label, t.created_at, t.created_by, t.expires_at, \
         t.last_used_day FROM api_tokens t LEFT JOIN directory_accounts a ON a.account = t.account \
         ORDER BY t.created_at, t.id",
        &[],
        |row| {
            let account = match (row.maybe_text(2)?, row.maybe_text(3)?) {
                (Some(local), Some(domain)) => DomainName::parse(domain)
                    .ok()
                    .map(|domain| AddressKey::new(local, domain).to_string()),
                _ => None,
            };
            Ok(TokenView {
                id: row.text(0)?.to_owned(),
                role: role_in(row, 1)?,
                account,
                domains: words_of(row.text(4)?),
                label: row.text(5)?.to_owned(),
                created_at: row.int(6)?,
                created_by: row.text(7)?.to_owned(),
                expires_at: row.maybe_int(8)?,
                last_used_day: row.maybe_int(9)?,
            })
        },
    )
}

fn words_of(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn role_in(row: &dyn Row, column: usize) -> Result<Role, StoreError> {
    let word = row.text(column)?;
    Role::from_word(word).ok_or_else(|| StoreError::Type {
        column,
        wanted: "a role",
        found: word.to_owned(),
    })
}

/// Ends a token.
///
/// # Errors
/// `Missing` where there is none of this name.
pub fn revoke_token(tx: &mut dyn Tx, id: &str) -> Result<(), CredentialError> {
    if tx.execute("DELETE FROM api_tokens WHERE id = ?1", params![id])? == 0 {
        return Err(CredentialError::Missing(format!(
            "there is no token {id}; `rohrpost token list` shows those that exist"
        )));
    }
    Ok(())
}

/// The account of a login address.
pub(crate) fn account_of(
    tx: &mut dyn Tx,
    login: &AddressKey,
) -> Result<AccountId, CredentialError> {
    let found = tx.one(
        "SELECT account FROM directory_accounts WHERE domain = ?1 AND local = ?2",
        params![login.domain().as_str(), login.local()],
        |row| row.int(0),
    )?;
    found.map(AccountId).ok_or_else(|| {
        CredentialError::Missing(format!(
            "account {login} does not exist; `rohrpost account list` shows those that do"
        ))
    })
}

/// Refuses a domain that is not hosted here.
pub(crate) fn require_domain(tx: &mut dyn Tx, domain: &DomainName) -> Result<(), CredentialError> {
    let found = tx.one(
        "SELECT status FROM directory_domains WHERE domain = ?1",
        params![domain.as_str()],
        |row| row.int(0),
    )?;
    found.map(drop).ok_or_else(|| {
        CredentialError::Missing(format!(
            "domain {domain} does not exist; `rohrpost domain list` shows those that do"
        ))
    })
}

/// Whose token this is, if it is one and holds.
pub(crate) fn caller_of_token(
    tx: &mut dyn Tx,
    token: &str,
    now: Timestamp,
) -> Result<Option<Caller>, StoreError> {
    let hash = hash_of(token);
    let found = tx.one(
        "SELECT t.role, t.account, a.local, a.domain, t.domains, t.label, t.expires_at, a.status, d.status \
         FROM api_tokens t LEFT JOIN directory_accounts a ON a.account = t.account \
         LEFT JOIN directory_domains d ON d.domain = a.domain WHERE t.hash = ?1",
        params![&hash],
        |row| {
            let holds = row.maybe_int(6)?.is_none_or(|end| end > now.0);
            let active = row.maybe_int(7)?.unwrap_or(0) == 0 && row.maybe_int(8)?.unwrap_or(0) == 0;
            let domains = row.text(4)?.split_whitespace();
            Ok((holds && active).then(|| {
                Ok::<_, StoreError>(Caller {
                    who: format!("token {}", row.text(5)?),
                    role: role_in(row, 0)?,
                    domains: domains.filter_map(|d| DomainName::parse(d).ok()).collect(),
                    account: account_in(row, 1)?,
                    proof: Proof::Token,
                })
            }))
        },
    )?;
    found.flatten().transpose()
}

/// Account number, local part, domain from `column` on.
fn account_in(row: &dyn Row, column: usize) -> Result<Option<(AccountId, AddressKey)>, StoreError> {
    let (Some(account), Some(local), Some(domain)) = (
        row.maybe_int(column)?,
        row.maybe_text(column + 1)?,
        row.maybe_text(column + 2)?,
    ) else {
        return Ok(None);
    };
    let domain = DomainName::parse(domain).ok();
    Ok(domain.map(|domain| (AccountId(account), AddressKey::new(local, domain))))
}

/// Notes the day a token was used, at most once a day.
pub(crate) fn note_use(tx: &mut dyn Tx, token: &str, now: Timestamp) -> Result<(), StoreError> {
    let day = now.0.div_euclid(DAY_MS);
    tx.execute(
        "UPDATE api_tokens SET last_used_day = ?1 WHERE hash = ?2 AND (last_used_day IS NULL OR last_used_day < ?1)",
        params![day, &hash_of(token)],
    )?;
    Ok(())
}

/// Whether `note_use` has something to note.
pub(crate) fn use_is_new(tx: &mut dyn Tx, token: &str, now: Timestamp) -> Result<bool, StoreError> {
    let last = tx.one(
        "SELECT last_used_day FROM api_tokens WHERE hash = ?1",
        params![&hash_of(token)],
        |row| row.maybe_int(0),
    )?;
    Ok(last
        .flatten()
        .is_none_or(|day| day < now.0.div_euclid(DAY_MS)))
}

/// A session's secret, to be made outside a transaction.
pub(crate) fn session_secret(random: &Random) -> Secret {
    Secret::new("", random)
}

/// Begins a session of an account; old ones and those past `SESSIONS_MAX` go.
pub(crate) fn begin_session(
    tx: &mut dyn Tx,
    account: AccountId,
    secret: &Secret,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mark = password_mark(tx, account)?;
    tx.execute(
        "DELETE FROM api_sessions WHERE expires_at <= ?1",
        params![now.0],
    )?;
    tx.execute(
        "DELETE FROM api_sessions WHERE account = ?1 AND hash NOT IN (SELECT hash FROM api_sessions \
         WHERE account = ?1 ORDER BY created_at DESC, hash LIMIT ?2)",
        params![account.0, SESSIONS_MAX - 1],
    )?;
    tx.execute(
        "INSERT INTO api_sessions (hash, account, password_mark, created_at, expires_at) \
         VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            &secret.hash,
            account.0,
            &mark,
            now.0,
            now.plus(SESSION_TIME_MAX).0
        ],
    )?;
    Ok(())
}

/// What changes when the account's password does.
fn password_mark(tx: &mut dyn Tx, account: AccountId) -> Result<Vec<u8>, StoreError> {
    let password = tx.one(
        "SELECT password FROM directory_accounts WHERE account = ?1",
        params![account.0],
        |row| Ok(row.maybe_text(0)?.unwrap_or("").to_owned()),
    )?;
    Ok(hash_of(&password.unwrap_or_default()))
}

/// Ends one.
pub(crate) fn end_session(tx: &mut dyn Tx, session: &str) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM api_sessions WHERE hash = ?1",
        params![&hash_of(session)],
    )?;
    Ok(())
}

/// Whose session this is, if it is one and holds. What its account was granted is asked for each time, so that a
/// grant that ends ends at once; so does a session whose account has another password by now.
pub(crate) fn caller_of_session(
    tx: &mut dyn Tx,
    session: &str,
    now: Timestamp,
) -> Result<Option<Caller>, StoreError> {
    let found = tx.one(
        "SELECT s.account, a.local, a.domain, s.expires_at, a.status, d.status, s.password_mark FROM api_sessions s \
         JOIN directory_accounts a ON a.account = s.account JOIN directory_domains d ON d.domain = a.domain \
         WHERE s.hash = ?1",
        params![&hash_of(session)],
        |row| {
            let holds = row.int(3)? > now.0 && row.int(4)? == 0 && row.int(5)? == 0;
            let mark = row.bytes(6)?.to_vec();
            Ok(account_in(row, 0)?.filter(|_| holds).map(|found| (found, mark)))
        },
    )?;
    let Some(((account, login), mark)) = found.flatten() else {
        return Ok(None);
    };
    if password_mark(tx, account)? != mark {
        return Ok(None);
    }
    let granted = crate::grants::of_account(tx, account)?;
    Ok(Some(Caller {
        who: login.to_string(),
        role: granted.role,
        domains: granted.domains,
        account: Some((account, login)),
        proof: Proof::Session,
    }))
}
