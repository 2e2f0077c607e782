//! Who changed what over the API, and who looked at whose connections: a row before anything is done, completed when it
//! is, so that no change is without one. Rows are never changed afterwards and hold no password and no address of
//! a network.

use platform::clock::Timestamp;
use platform::params;
use platform::store::{StoreError, Tx};
use serde_json::Value;

/// Longest JSON of what was before or after, in bytes; more is cut off as a whole.
const VALUE_BYTES_MAX: usize = 64 * 1024;
/// What stands for a secret.
const HIDDEN: &str = "(not kept)";
/// Fields whose values are secrets.
const SECRETS: [&str; 4] = ["password", "token", "code", "secret"];

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its number; they rise.
    pub(crate) entry: i64,
    /// Milliseconds since 1970.
    pub(crate) at: i64,
    /// Who.
    pub(crate) who: String,
    /// As what.
    pub(crate) role: String,
    /// Method and path.
    pub(crate) route: String,
    /// About what.
    pub(crate) subject: String,
    /// `begun` (and never finished), `done`, or `refused` with the status.
    pub(crate) outcome: String,
    /// What was before, as JSON.
    pub(crate) before: Option<String>,
    /// What was asked for, or is after, as JSON.
    pub(crate) after: Option<String>,
}

/// What is known before anything is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Begun {
    pub(crate) at: Timestamp,
    pub(crate) who: String,
    pub(crate) role: &'static str,
    pub(crate) route: String,
    pub(crate) subject: String,
}

/// Which entries are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Only those about this, as `Entry::subject` says it.
    pub(crate) subject: Option<String>,
    /// Only those of this caller.
    pub(crate) who: Option<String>,
    /// Only those before this one.
    pub(crate) before: Option<i64>,
    /// At most so many.
    pub(crate) lines_max: i64,
}

/// Writes that something begins; gives the number of the row.
pub(crate) fn begin(tx: &mut dyn Tx, begun: &Begun) -> Result<i64, StoreError> {
    let last = tx.one(
        "SELECT COALESCE(MAX(entry), 0) FROM api_audit",
        &[],
        |row| row.int(0),
    )?;
    let entry = last.unwrap_or(0) + 1;
    tx.execute(
        "INSERT INTO api_audit (entry, at, who, role, route, subject, outcome) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'begun')",
        params![
            entry,
            begun.at.0,
            &begun.who,
            begun.role,
            &begun.route,
            &begun.subject
        ],
    )?;
    Ok(entry)
}

/// Completes a row.
pub(crate) fn end(
    tx: &mut dyn Tx,
    entry: i64,
    outcome: &str,
    before: Option<&str>,
    after: Option<&str>,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE api_audit SET outcome = ?2, before = ?3, after = ?4 WHERE entry = ?1 AND outcome = 'begun'",
        params![entry, outcome, before, after],
    )?;
    Ok(())
}

/// The entries, newest first.
///
/// # Errors
/// Those of the store.
pub(crate) fn entries(tx: &mut dyn Tx, wanted: &Wanted) -> Result<Vec<Entry>, StoreError> {
    let (subject, who) = (wanted.subject.as_deref(), wanted.who.as_deref());
    tx.all(
        "SELECT entry, at, who, role, route, subject, outcome, before, after FROM api_audit \
         WHERE entry < ?1 AND (?2 = '' OR subject = ?2) AND (?3 = '' OR who = ?3) ORDER BY entry DESC LIMIT ?4",
        params![
            wanted.before.unwrap_or(i64::MAX),
            subject.unwrap_or(""),
            who.unwrap_or(""),
            wanted.lines_max
        ],
        |row| {
            Ok(Entry {
                entry: row.int(0)?,
                at: row.int(1)?,
                who: row.text(2)?.to_owned(),
                role: row.text(3)?.to_owned(),
                route: row.text(4)?.to_owned(),
                subject: row.text(5)?.to_owned(),
                outcome: row.text(6)?.to_owned(),
                before: row.maybe_text(7)?.map(str::to_owned),
                after: row.maybe_text(8)?.map(str::to_owned),
            })
        },
    )
}

/// The value as it is kept: without secrets, and not at all where it is very long.
pub(crate) fn kept(value: &Value) -> Option<String> {
    let mut value = value.clone();
    hide_secrets(&mut value);
    let text = value.to_string().replace("\\u0000", "");
    (text.len() <= VALUE_BYTES_MAX && !value.is_null()).then_some(text)
}

fn hide_secrets(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                let lower = name.to_lowercase();
                match SECRETS.iter().any(|secret| lower.contains(secret)) && !value.is_null() {
                    true => *value = HIDDEN.into(),
                    false => hide_secrets(value),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(hide_secrets),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_are_not_kept_however_deep() {
        let value = json!({"login": "a@b.test", "password": "pw", "list": [{"new_token": "t"}], "Password": "hunter2"});
        let kept = kept(&value).unwrap();
        assert!(
            kept.contains("a@b.test")
                && !kept.contains("pw\"")
                && !kept.contains("hunter2")
                && !kept.contains("\"t\""),
            "{kept}"
        );
    }

    #[test]
    fn nothing_and_too_much_are_not_kept() {
        assert_eq!(kept(&Value::Null), None);
        assert_eq!(kept(&json!("x".repeat(VALUE_BYTES_MAX))), None);
    }
}
