//! Rollouts in the store: documents and their states, history, what they set, and what was said about the
//! provider. Parts of transactions; `Rollouts` and the chore call them.

use crate::admin::RolloutError;
use crate::check::is_slug;
use crate::model::{Rollout, State};
use crate::voice::{Voice, Word};
use directory::{AccountId, DomainName};
use platform::clock::Timestamp;
use platform::params;
use platform::store::{Row, StoreError, Tx};
use policy::Scope;
use policy::admin::Author;

/// Rollouts that are listed.
const LISTED_MAX: i64 = 1000;

/// A rollout as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// As it was written.
    pub rollout: Rollout,
    /// How far it is.
    pub state: State,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub changed_at: Timestamp,
}

/// A line of a rollout's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// When.
    pub at: Timestamp,
    /// What was done.
    pub action: String,
    /// By whom.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// A setting a rollout made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Made {
    pub(crate) scope: Scope,
    pub(crate) name: String,
    pub(crate) item: String,
    pub(crate) written: String,
    pub(crate) before: Option<Before>,
}

/// What was set there before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Before {
    pub(crate) value: String,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) owner: Option<String>,
}

pub(crate) fn get(tx: &mut dyn Tx, slug: &str) -> Result<Kept, RolloutError> {
    if !is_slug(slug) {
        return Err(missing(slug));
    }
    let row = tx.one(
        "SELECT document, state, created_at, changed_at FROM rollouts WHERE slug = ?1",
        params![slug],
        row,
    )?;
    kept(row.ok_or_else(|| missing(slug))?)
}

fn row(row: &dyn Row) -> Result<(String, String, i64, i64), StoreError> {
    Ok((
        row.text(0)?.to_owned(),
        row.text(1)?.to_owned(),
        row.int(2)?,
        row.int(3)?,
    ))
}

fn missing(slug: &str) -> RolloutError {
    RolloutError::Missing(format!(
        "rollout {slug} does not exist; `rohrpost rollout list` shows those that do"
    ))
}

fn kept(row: (String, String, i64, i64)) -> Result<Kept, RolloutError> {
    let (document, state, created_at, changed_at) = row;
    let read = |what: String| RolloutError::Invalid(format!("a stored rollout is damaged: {what}"));
    Ok(Kept {
        rollout: toml::from_str(&document).map_err(|error| read(error.to_string()))?,
        state: State::from_word(&state).ok_or_else(|| read(format!("state {state}")))?,
        created_at: Timestamp(created_at),
        changed_at: Timestamp(changed_at),
    })
}

pub(crate) fn list(tx: &mut dyn Tx) -> Result<Vec<Kept>, RolloutError> {
    let rows = tx.all(
        "SELECT document, state, created_at, changed_at FROM rollouts ORDER BY created_at DESC, slug \
         LIMIT ?1",
        params![LISTED_MAX],
        row,
    )?;
    rows.into_iter().map(kept).collect()
}

/// Every rollout, by slug.
pub(crate) fn all(tx: &mut dyn Tx) -> Result<Vec<Kept>, RolloutError> {
    let rows = tx.all(
        "SELECT document, state, created_at, changed_at FROM rollouts",
        &[],
        row,
    )?;
    // By bytes: how text is ordered is the database's business.
    let mut all = rows.into_iter().map(kept).collect::<Result<Vec<_>, _>>()?;
    all.sort_by(|one, other| one.rollout.slug.cmp(&other.rollout.slug));
    Ok(all)
}

pub(crate) fn put(
    tx: &mut dyn Tx,
    rollout: &Rollout,
    state: State,
    now: Timestamp,
) -> Result<(), RolloutError> {
    let document = document(rollout)?;
    tx.execute(
        "INSERT INTO rollouts (slug, state, document, created_at, changed_at) \
         VALUES (?1, ?2, ?3, ?4, ?4) ON CONFLICT (slug) DO UPDATE SET \
         state = excluded.state, document = excluded.document, changed_at = excluded.changed_at",
        params![&rollout.slug, state.word(), &document, now.0],
    )?;
    Ok(())
}

/// A rollout as a file.
///
/// # Errors
/// `Invalid` where it cannot be written as TOML, which nothing of a checked rollout makes happen.
pub fn document(rollout: &Rollout) -> Result<String, RolloutError> {
    toml::to_string(rollout).map_err(|error| RolloutError::Invalid(error.to_string()))
}

pub(crate) fn remove(tx: &mut dyn Tx, slug: &str) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM rollouts WHERE slug = ?1",
        "DELETE FROM rollout_history WHERE slug = ?1",
        "DELETE FROM rollout_settings WHERE slug = ?1",
        "DELETE FROM rollout_rounds WHERE slug = ?1",
        "DELETE FROM rollout_letters WHERE slug = ?1",
    ] {
        tx.execute(sql, params![slug])?;
    }
    Ok(())
}

pub(crate) fn note(
    tx: &mut dyn Tx,
    slug: &str,
    action: &str,
    author: &Author,
) -> Result<(), StoreError> {
    let n = tx.one(
        "SELECT COUNT(*) FROM rollout_history WHERE slug = ?1 AND at = ?2",
        params![slug, author.now.0],
        |row| row.int(0),
    )?;
    tx.execute(
        "INSERT INTO rollout_history (slug, at, n, action, changed_by, reason) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            slug,
            author.now.0,
            n.unwrap_or(0),
            action,
            &author.by,
            &author.reason
        ],
    )
    .map(drop)
}

pub(crate) fn history(tx: &mut dyn Tx, slug: &str) -> Result<Vec<Past>, StoreError> {
    tx.all(
        "SELECT at, action, changed_by, reason FROM rollout_history WHERE slug = ?1 \
         ORDER BY at, n LIMIT ?2",
        params![slug, LISTED_MAX],
        |row| {
            Ok(Past {
                at: Timestamp(row.int(0)?),
                action: row.text(1)?.to_owned(),
                by: row.text(2)?.to_owned(),
                reason: row.text(3)?.to_owned(),
            })
        },
    )
}

pub(crate) fn made(tx: &mut dyn Tx, slug: &str) -> Result<Vec<Made>, StoreError> {
    let rows = tx.all(
        "SELECT scope, name, item, written, earlier, earlier_ends_at, earlier_owner \
         FROM rollout_settings WHERE slug = ?1 \
         ORDER BY scope, name, item",
        params![slug],
        |row| {
            // A scope of a newer version is not ours to set back.
            let Some(scope) = scope_from(row.text(0)?) else {
                return Ok(None);
            };
            Ok(Some(Made {
                scope,
                name: row.text(1)?.to_owned(),
                item: row.text(2)?.to_owned(),
                written: row.text(3)?.to_owned(),
                before: match row.maybe_text(4)? {
                    None => None,
                    Some(value) => Some(Before {
                        value: value.to_owned(),
                        expires_at: row.maybe_int(5)?.map(Timestamp),
                        owner: row.maybe_text(6)?.map(str::to_owned),
                    }),
                },
            }))
        },
    )?;
    Ok(rows.into_iter().flatten().collect())
}

pub(crate) fn put_made(tx: &mut dyn Tx, slug: &str, made: &Made) -> Result<(), StoreError> {
    let before = made.before.as_ref();
    tx.execute(
        "INSERT INTO rollout_settings (slug, scope, name, item, written, earlier, earlier_ends_at, \
         earlier_owner) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (slug, scope, name, item) DO UPDATE SET \
         written = excluded.written",
        params![
            slug,
            &scope_text(&made.scope),
            &made.name,
            &made.item,
            &made.written,
            before.map(|before| before.value.as_str()),
            before.and_then(|before| before.expires_at).map(|at| at.0),
            before.and_then(|before| before.owner.as_deref())
        ],
    )
    .map(drop)
}

pub(crate) fn forget_made(tx: &mut dyn Tx, slug: &str) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM rollout_settings WHERE slug = ?1",
        params![slug],
    )
    .map(drop)
}

/// Which other rollouts set the same, by slug.
pub(crate) fn also_set_by(
    tx: &mut dyn Tx,
    slug: &str,
    (scope, name, item): (&Scope, &str, &str),
) -> Result<Option<String>, StoreError> {
    tx.one(
        "SELECT s.slug FROM rollout_settings s JOIN rollouts r ON r.slug = s.slug \
         WHERE s.slug <> ?1 AND s.scope = ?2 AND s.name = ?3 AND s.item = ?4 \
         AND (r.state = 'running' OR r.state = 'paused') LIMIT 1",
        params![slug, &scope_text(scope), name, item],
        |row| Ok(row.text(0)?.to_owned()),
    )
}

fn scope_text(scope: &Scope) -> String {
    match scope {
        Scope::Installation => "installation".to_owned(),
        Scope::Group(name) => format!("group:{name}"),
        Scope::Domain(name) => format!("domain:{name}"),
        Scope::Account(account) => format!("account:{}", account.0),
    }
}

fn scope_from(text: &str) -> Option<Scope> {
    match text.split_once(':') {
        None if text == "installation" => Some(Scope::Installation),
        Some(("group", name)) => Some(Scope::Group(name.to_owned())),
        Some(("domain", name)) => DomainName::parse(name).ok().map(Scope::Domain),
        Some(("account", number)) => number.parse().ok().map(|n| Scope::Account(AccountId(n))),
        _ => None,
    }
}

/// How the provider speaks, over what holds for the host.
pub(crate) fn voice(tx: &mut dyn Tx, mut voice: Voice) -> Result<Voice, StoreError> {
    for (name, value) in said(tx)? {
        // What a newer version knows, or an older one took, is not said.
        if let Some(word) = Word::from_word(&name)
            && let Err(why) = voice.say(word, &value)
        {
            tracing::warn!(name, why, "rollout.voice_unreadable");
        }
    }
    Ok(voice)
}

/// What was said, as it was written.
pub(crate) fn said(tx: &mut dyn Tx) -> Result<Vec<(String, String)>, StoreError> {
    tx.all(
        "SELECT name, value FROM rollout_voice ORDER BY name",
        &[],
        |row| Ok((row.text(0)?.to_owned(), row.text(1)?.to_owned())),
    )
}

/// Says one thing, or says it as by itself, with a line of history.
pub(crate) fn voice_says(
    tx: &mut dyn Tx,
    word: Word,
    value: Option<&str>,
    author: &Author,
) -> Result<(), StoreError> {
    let action = match value {
        Some(value) => {
            say(tx, word, value.trim())?;
            format!("{word} = {value}")
        }
        None => {
            unsay(tx, word)?;
            format!("{word} unset")
        }
    };
    // The provider's words belong to no rollout; their history has the empty slug.
    note(tx, "", &action, author)
}

fn say(tx: &mut dyn Tx, word: Word, value: &str) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO rollout_voice (name, value) VALUES (?1, ?2) \
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        params![word.word(), value],
    )
    .map(drop)
}

fn unsay(tx: &mut dyn Tx, word: Word) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM rollout_voice WHERE name = ?1",
        params![word.word()],
    )
    .map(drop)
}

/// Forgets an account that goes: its letters and its subscription. Part of the transaction that removes it.
///
/// # Errors
/// Those of the store.
pub fn remove_account(tx: &mut dyn Tx, account: AccountId) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM rollout_letters WHERE account = ?1",
        params![account.0],
    )?;
    tx.execute(
        "DELETE FROM rollout_subscriptions WHERE account = ?1",
        params![account.0],
    )
    .map(drop)
}

/// Forgets a domain that goes: the digests about it. Part of the transaction that removes it.
///
/// # Errors
/// Those of the store.
pub fn remove_domain(tx: &mut dyn Tx, domain: &DomainName) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM rollout_letters WHERE domain = ?1 AND account IS NULL",
        params![domain.as_str()],
    )
    .map(drop)
}
