//! Questions that readers of an announcement asked (S1-37): they wait until somebody approves them, with an answer or
//! without, or declines them. The address of who asked is for the answer and is never shown on a page.

use crate::problem::Problem;
use formats::address::Address;
use platform::clock::Timestamp;
use platform::params;
use platform::store::{Row, StoreError, Tx};

/// Longest name, in characters.
const NAME_CHARS_MAX: usize = 100;
/// Longest question or answer, in characters.
const TEXT_CHARS_MAX: usize = 2000;
/// Questions that wait; past them nobody can ask until some are decided.
const WAITING_MAX: i64 = 1000;
/// Questions shown on one page.
const SHOWN_MAX: i64 = 200;

/// A question to be asked.
pub(crate) struct NewQuestion {
    page: String,
    name: String,
    address: String,
    text: String,
}

impl NewQuestion {
    /// From what a form sent.
    pub(crate) fn read(page: &str, name: &str, address: &str, text: &str) -> Result<Self, Problem> {
        let (name, address, text) = (name.trim(), address.trim(), text.trim());
        if name.chars().count() > NAME_CHARS_MAX || text.chars().count() > TEXT_CHARS_MAX {
            return Err(Problem::invalid(format!(
                "A name has at most {NAME_CHARS_MAX} characters, a question {TEXT_CHARS_MAX}."
            )));
        }
        if text.is_empty() || Address::parse(address).is_err() {
            return Err(Problem::invalid(
                "Please give a question and the e-mail address for the answer. / Bitte geben Sie eine Frage und die \
                 E-Mail-Adresse für die Antwort an.",
            ));
        }
        Ok(Self {
            page: page.to_owned(),
            name: name.to_owned(),
            address: address.to_owned(),
            text: text.to_owned(),
        })
    }
}

/// A question as support sees it.
pub(crate) struct Question {
    pub(crate) question: i64,
    pub(crate) page: String,
    pub(crate) asked_at: i64,
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) text: String,
    /// `waiting`, `shown` or `declined`.
    pub(crate) state: String,
    pub(crate) answer: Option<String>,
}

/// A question as everybody sees it.
pub(crate) struct Answered {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) answer: Option<String>,
}

/// What is decided about a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It appears on the page.
    Show,
    /// It does not.
    Decline,
}

/// Keeps a question; it waits.
pub(crate) fn ask(
    tx: &mut dyn Tx,
    new: &NewQuestion,
    now: Timestamp,
) -> Result<Result<(), Problem>, StoreError> {
    let waiting = tx.one(
        "SELECT COUNT(*) FROM api_questions WHERE state = 'waiting'",
        &[],
        |row| row.int(0),
    )?;
    if waiting.unwrap_or(0) >= WAITING_MAX {
        return Ok(Err(Problem::too_many(3600)));
    }
    let last = tx.one(
        "SELECT COALESCE(MAX(question), 0) FROM api_questions",
        &[],
        |row| row.int(0),
    )?;
    tx.execute(
        "INSERT INTO api_questions (question, page, asked_at, name, address, text, state) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'waiting')",
        params![
            last.unwrap_or(0) + 1,
            &new.page,
            now.0,
            &new.name,
            &new.address,
            &new.text
        ],
    )?;
    Ok(Ok(()))
}

/// Those that appear on a page, oldest first.
pub(crate) fn answered(tx: &mut dyn Tx, page: &str) -> Result<Vec<Answered>, StoreError> {
    tx.all(
        "SELECT name, text, answer FROM api_questions WHERE page = ?1 AND state = 'shown' \
         ORDER BY question LIMIT ?2",
        params![page, SHOWN_MAX],
        |row| {
            Ok(Answered {
                name: row.text(0)?.to_owned(),
                text: row.text(1)?.to_owned(),
                answer: row.maybe_text(2)?.map(str::to_owned),
            })
        },
    )
}

/// All of a page, newest first.
pub(crate) fn of_page(tx: &mut dyn Tx, page: &str) -> Result<Vec<Question>, StoreError> {
    tx.all(
        "SELECT question, page, asked_at, name, address, text, state, answer FROM api_questions \
         WHERE page = ?1 ORDER BY question DESC LIMIT ?2",
        params![page, WAITING_MAX],
        |row| question(row),
    )
}

fn question(row: &dyn Row) -> Result<Question, StoreError> {
    Ok(Question {
        question: row.int(0)?,
        page: row.text(1)?.to_owned(),
        asked_at: row.int(2)?,
        name: row.text(3)?.to_owned(),
        address: row.text(4)?.to_owned(),
        text: row.text(5)?.to_owned(),
        state: row.text(6)?.to_owned(),
        answer: row.maybe_text(7)?.map(str::to_owned),
    })
}

/// Decides about one; gives whether there is one.
pub(crate) fn decide(
    tx: &mut dyn Tx,
    (page, question): (&str, i64),
    decision: Decision,
    answer: Option<&str>,
    (by, now): (&str, Timestamp),
) -> Result<bool, StoreError> {
    let state = match decision {
        Decision::Show => "shown",
        Decision::Decline => "declined",
    };
    let changed = tx.execute(
        "UPDATE api_questions SET state = ?3, answer = ?4, decided_at = ?5, decided_by = ?6 \
         WHERE page = ?1 AND question = ?2",
        params![page, question, state, answer, now.0, by],
    )?;
    Ok(changed > 0)
}

/// The answer, where it is one that can be kept.
pub(crate) fn checked_answer(answer: Option<String>) -> Result<Option<String>, Problem> {
    let answer = answer
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty());
    match answer
        .as_ref()
        .is_some_and(|text| text.chars().count() > TEXT_CHARS_MAX)
    {
        true => Err(Problem::invalid(format!(
            "An answer has at most {TEXT_CHARS_MAX} characters."
        ))),
        false => Ok(answer),
    }
}
