//! The tables of the API: tokens and sessions (as hashes only), who may administer what, who changed what, and
//! the questions that readers of an announcement asked.

use directory::AccountId;
use platform::params;
use platform::store::{Component, Migration, StoreError, Tx};

/// What `Store::open` is given for this crate.
pub const SCHEMA: Component = Component {
    name: "https",
    migrations: &[Migration {
        number: 1,
        name: "tokens, sessions, administrators, audit log, questions",
        // Times are milliseconds since 1970, days count from 1970-01-01. A token of an account has its number; one of
        // an administrator of domains has their names, with spaces between.
        sql: "
CREATE TABLE api_tokens (
    id {text} NOT NULL PRIMARY KEY,
    hash {bytes} NOT NULL,
    role {text} NOT NULL,
    account {int},
    domains {text} NOT NULL,
    label {text} NOT NULL,
    created_at {int} NOT NULL,
    created_by {text} NOT NULL,
    expires_at {int},
    last_used_day {int}
) {clustered};
CREATE UNIQUE INDEX api_tokens_hash ON api_tokens (hash);
CREATE TABLE api_sessions (
    hash {bytes} NOT NULL PRIMARY KEY,
    account {int} NOT NULL,
    password_mark {bytes} NOT NULL,
    created_at {int} NOT NULL,
    expires_at {int} NOT NULL
) {clustered};
CREATE INDEX api_sessions_account ON api_sessions (account);
CREATE TABLE api_grants (
    account {int} NOT NULL,
    role {text} NOT NULL,
    domain {text} NOT NULL,
    granted_at {int} NOT NULL,
    granted_by {text} NOT NULL,
    PRIMARY KEY (account, role, domain)
) {clustered};
CREATE TABLE api_audit (
    entry {int} NOT NULL PRIMARY KEY,
    at {int} NOT NULL,
    who {text} NOT NULL,
    role {text} NOT NULL,
    route {text} NOT NULL,
    subject {text} NOT NULL,
    outcome {text} NOT NULL,
    before {text},
    after {text}
) {clustered};
CREATE TABLE api_questions (
    question {int} NOT NULL PRIMARY KEY,
    page {text} NOT NULL,
    asked_at {int} NOT NULL,
    name {text} NOT NULL,
    address {text} NOT NULL,
    text {text} NOT NULL,
    state {text} NOT NULL,
    answer {text},
    decided_at {int},
    decided_by {text}
) {clustered};
CREATE INDEX api_questions_page ON api_questions (page, question)",
    }],
};

/// Removes what an account could do and was given here. The audit log stays.
///
/// # Errors
/// Those of the store.
pub fn remove_account(tx: &mut dyn Tx, account: AccountId) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM api_tokens WHERE account = ?1",
        "DELETE FROM api_sessions WHERE account = ?1",
        "DELETE FROM api_grants WHERE account = ?1",
    ] {
        tx.execute(sql, params![account.0])?;
    }
    Ok(())
}

/// Removes the grants for a domain that goes, so that whoever hosts it later meets no old administrator.
///
/// # Errors
/// Those of the store.
pub fn remove_domain(tx: &mut dyn Tx, domain: &directory::DomainName) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM api_grants WHERE domain = ?1",
        params![domain.as_str()],
    )?;
    // A token for several domains keeps the others; one for this alone is of no use.
    let rows = tx.all(
        "SELECT id, domains FROM api_tokens WHERE domains <> ''",
        &[],
        |row| Ok((row.text(0)?.to_owned(), row.text(1)?.to_owned())),
    )?;
    for (id, domains) in rows {
        let others: Vec<_> = domains
            .split(' ')
            .filter(|d| *d != domain.as_str())
            .collect();
        let others = others.join(" ");
        if others.is_empty() {
            tx.execute("DELETE FROM api_tokens WHERE id = ?1", params![&id])?;
        } else if others != domains {
            tx.execute(
                "UPDATE api_tokens SET domains = ?1 WHERE id = ?2",
                params![&others, &id],
            )?;
        }
    }
    Ok(())
}
