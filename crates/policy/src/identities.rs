//! Whom an account may send as beside its own addresses (S0-11): addresses elsewhere after a proof of
//! control (a code mailed there), and addresses or whole domains an operator grants. Each operation is one
//! transaction. The code is made here and mailed by the caller; only its hash is kept.

use crate::admin::{Author, PolicyError, checked_author, no_account};
use crate::findings;
use crate::model::SendAs;
use crate::rows::{self, send_as_from};
use directory::{AccountId, AddressKey, DomainName};
use platform::clock::Timestamp;
use platform::params;
use platform::random::Random;
use platform::store::{Store, StoreError, Tx};
use std::time::Duration;

/// How long a code can be used.
pub const CODE_KEPT: Duration = Duration::from_secs(24 * 3600);
/// Wrong codes before the request is gone.
pub const ATTEMPTS_MAX: i64 = 5;
/// How soon another code can be asked for: nobody shall be able to fill a stranger's mailbox.
pub const CODE_AGAIN: Duration = Duration::from_secs(600);
/// Identities of one account, with those that wait for their code.
pub const IDENTITIES_MAX: i64 = 100;
/// Codes of one account that wait at the same time.
pub const WAITING_MAX: i64 = 5;

/// Characters of a code that nobody mistakes for each other; 32 of them, 5 bits each.
const LETTERS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
/// 60 bits: not to be found in the hash, however fast somebody tries.
const CODE_LETTERS: usize = 12;

/// How an identity came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Asked for; the code was not yet given back.
    Waiting,
    /// The code came back: whoever has the account reads that address.
    Proven,
    /// An operator said so.
    Granted,
}

impl Kind {
    /// What the column `kind` holds.
    fn number(self) -> i64 {
        i64::from(self == Self::Granted)
    }

    /// The kind of a row whose code came back or that needed none.
    pub(crate) fn from_number(number: i64) -> Self {
        match number {
            0 => Self::Proven,
            _ => Self::Granted,
        }
    }

    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting for its code",
            Self::Proven => "proven",
            Self::Granted => "granted",
        }
    }
}

/// Where the domain of an address is hosted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Home {
    /// In this installation.
    Here,
    /// Anywhere else.
    Elsewhere,
}

/// One identity that may be used, as it is looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usable {
    /// As whom.
    pub send_as: SendAs,
    /// How it came to be; never `Waiting`.
    pub kind: Kind,
}

impl Usable {
    /// Whether mail may be sent as `address`, whose domain is at `home`. A proof tells who reads an
    /// address elsewhere; once its domain is hosted here, aliases and grants decide.
    pub fn covers(&self, address: &AddressKey, home: Home) -> bool {
        let named = match &self.send_as {
            SendAs::Address(known) => known == address,
            SendAs::AnyAt(domain) => domain == address.domain(),
        };
        named && (self.kind == Kind::Granted || home == Home::Elsewhere)
    }
}

/// One identity as it is shown. Holds no code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Whose, by login address.
    pub login: String,
    /// As whom.
    pub send_as: SendAs,
    /// How it came to be.
    pub kind: Kind,
    /// When.
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// Why.
    pub reason: String,
}

/// What came of a code that was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmed {
    /// It is right: the account may send as the address from now on.
    Right,
    /// It is wrong; so many more tries are left.
    Wrong {
        /// Tries left; with 0 the request is gone and a new code must be asked for.
        left: i64,
    },
    /// Nothing was asked for, or too long ago.
    NotWaiting,
}

/// Makes changes. Cheap to clone.
#[derive(Clone)]
pub struct Identities {
    store: Store,
}

/// A new code, such as `K7QF-2MXR-9TBC`.
pub fn new_code(random: &Random) -> String {
    let mut bytes = [0; CODE_LETTERS];
    random.fill(&mut bytes);
    let mut code = String::with_capacity(CODE_LETTERS + 2);
    for (n, byte) in bytes.iter().enumerate() {
        if n > 0 && n % 4 == 0 {
            code.push('-');
        }
        let letter = LETTERS.get(usize::from(byte % 32)).copied();
        code.push(char::from(letter.unwrap_or(b'A')));
    }
    code
}

/// What is kept of a code. Spaces, hyphens and case do not matter.
fn code_hash(account: AccountId, address: &AddressKey, code: &str) -> Vec<u8> {
    let mut hasher = blake3::Hasher::new_derive_key("rohrpost policy identity code 2026-11");
    hasher.update(&account.0.to_le_bytes());
    hasher.update(address.to_string().as_bytes());
    hasher.update(b"\n");
    let letters = code.bytes().filter(u8::is_ascii_alphanumeric).take(64);
    hasher.update(&letters.map(|b| b.to_ascii_uppercase()).collect::<Vec<_>>());
    hasher.finalize().as_bytes().to_vec()
}

impl Identities {
    /// Operations on the identities in `store`.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// Notes that `login` asks to send as `address`, which `code` will prove once it comes back. The caller
    /// mails the code there after this, and nowhere else.
    ///
    /// # Errors
    /// `Missing` (no such account), `Invalid` (an address of this installation, or asked for too often),
    /// `Store`.
    pub async fn request(
        &self,
        login: &AddressKey,
        address: &AddressKey,
        code: &str,
        author: Author,
    ) -> Result<(), PolicyError> {
        let (login, address, code) = (login.clone(), address.clone(), code.to_owned());
        self.store
            .write(move |tx: &mut dyn Tx| request(tx, &login, &address, &code, &author))
            .await
    }

    /// Takes back a request whose code could not be mailed.
    ///
    /// # Errors
    /// `Store`.
    pub async fn withdraw(
        &self,
        login: &AddressKey,
        address: &AddressKey,
    ) -> Result<(), PolicyError> {
        let (login, address) = (login.clone(), address.clone());
        self.store
            .write(move |tx: &mut dyn Tx| {
                if let Some(account) = rows::account_of(tx, &login)? {
                    forget_waiting(tx, account, &address)?;
                }
                Ok::<_, PolicyError>(())
            })
            .await
    }

    /// Gives a code back.
    ///
    /// # Errors
    /// `Missing` (no such account), `Store`.
    pub async fn confirm(
        &self,
        login: &AddressKey,
        address: &AddressKey,
        code: &str,
        now: Timestamp,
    ) -> Result<Confirmed, PolicyError> {
        let (login, address, code) = (login.clone(), address.clone(), code.to_owned());
        self.store
            .write(move |tx: &mut dyn Tx| confirm(tx, &login, &address, &code, now))
            .await
    }

    /// Lets `login` send as an address or a whole domain without proof.
    ///
    /// # Errors
    /// `Missing` (no such account), `Invalid` (no reason given, or one that is no line; too many), `Store`.
    pub async fn grant(
        &self,
        login: &AddressKey,
        send_as: &SendAs,
        author: Author,
    ) -> Result<(), PolicyError> {
        if author.reason.trim().is_empty() {
            return Err(PolicyError::Invalid(
                "a grant without proof needs a reason: who asked for it, and how you know that they may"
                    .to_owned(),
            ));
        }
        let (login, send_as) = (login.clone(), send_as.clone());
        self.store
            .write(move |tx: &mut dyn Tx| {
                let account = rows::account_of(tx, &login)?.ok_or_else(|| no_account(&login))?;
                check_room(tx, account, &send_as, Kind::Granted)?;
                let row = Row::new(account, &send_as, Kind::Granted, checked_author(&author)?);
                row.put(tx)?;
                findings::settle_sender(tx, account, &send_as)?;
                Ok(rows::bump_revision(tx)?)
            })
            .await
    }

    /// Takes an identity, or a request for one, away.
    ///
    /// # Errors
    /// `Missing`, `Store`.
    pub async fn remove(&self, login: &AddressKey, send_as: &SendAs) -> Result<(), PolicyError> {
        let (login, send_as) = (login.clone(), send_as.clone());
        self.store
            .write(move |tx: &mut dyn Tx| {
                let account = rows::account_of(tx, &login)?.ok_or_else(|| no_account(&login))?;
                if delete(tx, account, &send_as)? == 0 {
                    return Err(PolicyError::Missing(format!(
                        "{login} has no identity {send_as}; `rohrpost identity list {login}` shows those it has"
                    )));
                }
                Ok(rows::bump_revision(tx)?)
            })
            .await
    }

    /// Identities of one account or of all, those that wait for their code too; at most `rows_max`.
    ///
    /// # Errors
    /// `Store`.
    pub async fn list(
        &self,
        login: Option<&AddressKey>,
        rows_max: i64,
    ) -> Result<Vec<Identity>, PolicyError> {
        let login = login.cloned();
        let read = self.store.read(move |tx: &mut dyn Tx| {
            let account = match &login {
                None => 0,
                Some(login) => {
                    rows::account_of(tx, login)?
                        .ok_or_else(|| no_account(login))?
                        .0
                }
            };
            Ok::<_, PolicyError>(list(tx, account, rows_max)?)
        });
        read.await
    }

    /// Forgets requests whose code can no longer be used. Called by a chore once in a while.
    ///
    /// # Errors
    /// `Store`.
    pub async fn forget_expired(&self, now: Timestamp) -> Result<(), StoreError> {
        // Not sooner than another code can be asked for: the row tells when the last one was sent.
        let asked = now.0.saturating_sub(CODE_AGAIN.as_millis() as i64);
        self.store
            .write(move |tx: &mut dyn Tx| {
                tx.execute(
                    "DELETE FROM policy_identities WHERE code_hash IS NOT NULL AND expires_at <= ?1 \
                     AND created_at <= ?2",
                    params![now.0, asked],
                )
                .map(drop)
            })
            .await
    }
}

/// Identities as a state file has them.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Written over what is there.
    pub put: Vec<(AddressKey, SendAs, Kind, Author)>,
    /// Taken away. Requests that wait for their code stay.
    pub remove: Vec<(AddressKey, SendAs)>,
}

/// Makes it so; a part of the transaction that applies a state file.
pub(crate) fn put_all(tx: &mut dyn Tx, wanted: &Wanted) -> Result<(), PolicyError> {
    for (login, send_as) in &wanted.remove {
        // Whose account went with the same file has nothing left.
        if let Some(account) = rows::account_of(tx, login)? {
            delete(tx, account, send_as)?;
        }
    }
    for (login, send_as, kind, author) in &wanted.put {
        let account = rows::account_of(tx, login)?.ok_or_else(|| no_account(login))?;
        check_room(tx, account, send_as, *kind)?;
        Row::new(account, send_as, *kind, checked_author(author)?).put(tx)?;
    }
    if wanted.put.is_empty() && wanted.remove.is_empty() {
        return Ok(());
    }
    Ok(rows::bump_revision(tx)?)
}

/// The columns `domain` and `local`; an empty local part stands for the whole domain.
fn columns(send_as: &SendAs) -> (&str, &str) {
    match send_as {
        SendAs::Address(address) => (address.domain().as_str(), address.local()),
        SendAs::AnyAt(domain) => (domain.as_str(), ""),
    }
}

fn delete(tx: &mut dyn Tx, account: AccountId, send_as: &SendAs) -> Result<u64, StoreError> {
    let (domain, local) = columns(send_as);
    tx.execute(
        "DELETE FROM policy_identities WHERE account = ?1 AND domain = ?2 AND local = ?3",
        params![account.0, domain, local],
    )
}

struct Row<'r> {
    account: AccountId,
    send_as: &'r SendAs,
    kind: i64,
    code_hash: Option<Vec<u8>>,
    expires_at: Option<i64>,
    author: &'r Author,
}

impl<'r> Row<'r> {
    fn new(account: AccountId, send_as: &'r SendAs, kind: Kind, author: &'r Author) -> Self {
        Self {
            account,
            send_as,
            kind: kind.number(),
            code_hash: None,
            expires_at: None,
            author,
        }
    }

    fn put(&self, tx: &mut dyn Tx) -> Result<(), StoreError> {
        let (domain, local) = columns(self.send_as);
        tx.execute(
            "INSERT INTO policy_identities (account, domain, local, kind, code_hash, attempts, \
             expires_at, created_at, created_by, reason) VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?7, ?8, ?9) \
             ON CONFLICT (account, domain, local) DO UPDATE SET kind = excluded.kind, \
             code_hash = excluded.code_hash, attempts = 0, expires_at = excluded.expires_at, \
             created_at = excluded.created_at, created_by = excluded.created_by, \
             reason = excluded.reason",
            params![
                self.account.0,
                domain,
                local,
                self.kind,
                self.code_hash.as_deref(),
                self.expires_at,
                self.author.now.0,
                &self.author.by,
                &self.author.reason
            ],
        )
        .map(drop)
    }
}

fn request(
    tx: &mut dyn Tx,
    login: &AddressKey,
    address: &AddressKey,
    code: &str,
    author: &Author,
) -> Result<(), PolicyError> {
    let account = rows::account_of(tx, login)?.ok_or_else(|| no_account(login))?;
    let hosted = crate::model::Scope::Domain(address.domain().clone());
    if rows::scope_exists(tx, &hosted)? {
        return Err(PolicyError::Invalid(format!(
            "{} is a domain of this installation: who may send as {address} is decided here, by an alias \
             or by `rohrpost identity grant`, not by a code",
            address.domain()
        )));
    }
    let send_as = SendAs::Address(address.clone());
    let before = tx.one(
        "SELECT code_hash, created_at FROM policy_identities \
         WHERE account = ?1 AND domain = ?2 AND local = ?3",
        params![account.0, address.domain().as_str(), address.local()],
        |row| Ok((row.is_null(0)?, Timestamp(row.int(1)?))),
    )?;
    match before {
        Some((true, _)) => {
            return Err(PolicyError::Invalid(format!(
                "{login} may send as {address} already"
            )));
        }
        Some((false, asked)) if author.now.since(asked) < CODE_AGAIN => {
            return Err(PolicyError::Invalid(format!(
                "a code was sent to {address} a moment ago; another one can be asked for {} minutes after it",
                CODE_AGAIN.as_secs() / 60
            )));
        }
        Some(_) => {}
        None => check_room(tx, account, &send_as, Kind::Waiting)?,
    }
    let row = Row {
        code_hash: Some(code_hash(account, address, code)),
        expires_at: Some(author.now.plus(CODE_KEPT).0),
        ..Row::new(account, &send_as, Kind::Waiting, author)
    };
    Ok(row.put(tx)?)
}

/// Whether `account` has room for `send_as` beside its others.
fn check_room(
    tx: &mut dyn Tx,
    account: AccountId,
    send_as: &SendAs,
    kind: Kind,
) -> Result<(), PolicyError> {
    let (domain, local) = columns(send_as);
    let counts = tx.one(
        "SELECT COUNT(*), COUNT(code_hash) FROM policy_identities \
         WHERE account = ?1 AND NOT (domain = ?2 AND local = ?3)",
        params![account.0, domain, local],
        |row| Ok((row.int(0)?, row.int(1)?)),
    )?;
    let (all, waiting) = counts.unwrap_or_default();
    if all >= IDENTITIES_MAX || (kind == Kind::Waiting && waiting >= WAITING_MAX) {
        return Err(PolicyError::Invalid(format!(
            "an account may have {IDENTITIES_MAX} identities, and {WAITING_MAX} of them may wait for their \
             code; remove one first"
        )));
    }
    Ok(())
}

fn forget_waiting(
    tx: &mut dyn Tx,
    account: AccountId,
    address: &AddressKey,
) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM policy_identities \
         WHERE account = ?1 AND domain = ?2 AND local = ?3 AND code_hash IS NOT NULL",
        params![account.0, address.domain().as_str(), address.local()],
    )
    .map(drop)
}

fn confirm(
    tx: &mut dyn Tx,
    login: &AddressKey,
    address: &AddressKey,
    code: &str,
    now: Timestamp,
) -> Result<Confirmed, PolicyError> {
    let account = rows::account_of(tx, login)?.ok_or_else(|| no_account(login))?;
    let waiting = tx.one(
        "SELECT code_hash, attempts FROM policy_identities \
         WHERE account = ?1 AND domain = ?2 AND local = ?3 AND code_hash IS NOT NULL AND expires_at > ?4",
        params![account.0, address.domain().as_str(), address.local(), now.0],
        |row| Ok((row.bytes(0)?.to_vec(), row.int(1)?)),
    )?;
    let Some((hash, attempts)) = waiting else {
        return Ok(Confirmed::NotWaiting);
    };
    // Hashes are compared, so the time it takes tells nothing about the code.
    if hash == code_hash(account, address, code) {
        tx.execute(
            "UPDATE policy_identities SET code_hash = NULL, expires_at = NULL, created_at = ?4 \
             WHERE account = ?1 AND domain = ?2 AND local = ?3",
            params![account.0, address.domain().as_str(), address.local(), now.0],
        )?;
        findings::settle_sender(tx, account, &SendAs::Address(address.clone()))?;
        rows::bump_revision(tx)?;
        return Ok(Confirmed::Right);
    }
    let left = ATTEMPTS_MAX - attempts - 1;
    if left <= 0 {
        // The row stays until its time, so that a new code cannot be asked for at once.
        tx.execute(
            "UPDATE policy_identities SET attempts = ?4, expires_at = created_at \
             WHERE account = ?1 AND domain = ?2 AND local = ?3",
            params![
                account.0,
                address.domain().as_str(),
                address.local(),
                attempts + 1
            ],
        )?;
        return Ok(Confirmed::Wrong { left: 0 });
    }
    tx.execute(
        "UPDATE policy_identities SET attempts = ?4 WHERE account = ?1 AND domain = ?2 AND local = ?3",
        params![account.0, address.domain().as_str(), address.local(), attempts + 1],
    )?;
    Ok(Confirmed::Wrong { left })
}

/// Identities of all accounts, those that wait for their code too.
pub(crate) fn all(tx: &mut dyn Tx) -> Result<Vec<Identity>, StoreError> {
    list(tx, 0, i64::MAX)
}

/// `account` 0 stands for all.
fn list(tx: &mut dyn Tx, account: i64, rows_max: i64) -> Result<Vec<Identity>, StoreError> {
    tx.all(
        "SELECT a.local, a.domain, i.domain, i.local, i.kind, i.code_hash, i.created_at, \
         i.created_by, i.reason FROM policy_identities i \
         JOIN directory_accounts a ON a.account = i.account WHERE (CAST(?1 AS BIGINT) = 0 OR i.account = ?1) \
         ORDER BY a.domain, a.local, i.domain, i.local LIMIT ?2",
        params![account, rows_max],
        |row| {
            let domain = DomainName::parse(row.text(1)?)
                .map_err(|_| rows::damaged("directory_accounts", "has a bad domain"))?;
            let kind = match row.is_null(5)? {
                false => Kind::Waiting,
                true => Kind::from_number(row.int(4)?),
            };
            Ok(Identity {
                login: AddressKey::new(row.text(0)?, domain).to_string(),
                send_as: send_as_from(row.text(2)?, row.text(3)?)?,
                kind,
                created_at: Timestamp(row.int(6)?),
                created_by: row.text(7)?.to_owned(),
                reason: row.text(8)?.to_owned(),
            })
        },
    )
}

#[cfg(test)]
mod tests;
