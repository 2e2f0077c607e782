//! Questions on announcements (S1-37): asked by anybody, read by operators first, answered, and shown without
//! the asker's address if an operator says so. `Rollouts` keeps them; pages and the CLI call it.

use crate::admin::{RolloutError, Rollouts};
use crate::model::State;
use crate::rows;
use formats::address::Address;
use platform::clock::Timestamp;
use platform::params;
use platform::store::{StoreError, Tx};
use policy::admin::Author;

/// Longest name, in bytes.
const NAME_BYTES_MAX: usize = 100;
/// Longest question or answer, in bytes.
const TEXT_BYTES_MAX: usize = 4000;
/// Questions of one announcement that wait to be read; more are not taken.
const WAITING_MAX: i64 = 500;
/// Questions of one announcement that are shown.
const SHOWN_MAX: i64 = 200;

/// Where a question stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QuestionState {
    /// Nobody has read it.
    Pending,
    /// Everybody can read it.
    Public,
    /// It was answered, or put away, without being shown.
    Closed,
}

impl QuestionState {
    /// The word in the store and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Public => "public",
            Self::Closed => "closed",
        }
    }

    /// The state with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Pending, Self::Public, Self::Closed]
            .into_iter()
            .find(|state| state.word() == word)
    }
}

/// A question as operators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The rollout.
    pub slug: String,
    /// Its number within the rollout.
    pub number: i64,
    /// When it was asked.
    pub asked_at: Timestamp,
    /// Who says to be asking.
    pub name: String,
    /// Where an answer goes; never shown in public.
    pub address: String,
    /// The question.
    pub text: String,
    /// Where it stands.
    pub state: QuestionState,
    /// The answer; empty for none.
    pub answer: String,
}

/// A question as everybody sees it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Answered {
    /// Who says to have asked.
    pub name: String,
    /// The question.
    pub question: String,
    /// The answer; empty for none.
    pub answer: String,
    /// When it was asked.
    #[serde(skip)]
    pub asked_at: Timestamp,
}

/// A question as it comes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Who says to be asking.
    pub name: String,
    /// Where an answer goes.
    pub address: String,
    /// The question.
    pub text: String,
}

impl Rollouts {
    /// Takes a question in; it waits for an operator. Gives its number.
    ///
    /// # Errors
    /// `Invalid` where something is missing or too long, or too many wait; `Missing` where there is no such
    /// public announcement; `Store`.
    pub async fn ask(&self, slug: &str, asked: Asked, now: Timestamp) -> Result<i64, RolloutError> {
        let asked = checked(asked)?;
        let slug = slug.to_owned();
        self.store
            .write(move |tx: &mut dyn Tx| {
                let kept = rows::get(tx, &slug)?;
                if matches!(kept.state, State::Draft | State::RolledBack) {
                    return Err(RolloutError::Missing(format!(
                        "there is no announcement {slug}"
                    )));
                }
                let counted = tx.one(
                    "SELECT COALESCE(MAX(question), 0), \
                     COALESCE(SUM(CASE WHEN state = 'pending' THEN 1 ELSE 0 END), 0) \
                     FROM rollout_questions WHERE slug = ?1",
                    params![&slug],
                    |row| Ok((row.int(0)?, row.int(1)?)),
                )?;
                let (last, waiting) = counted.unwrap_or((0, 0));
                if waiting >= WAITING_MAX {
                    return Err(RolloutError::Invalid(
                        "too many questions wait to be read; please call us".to_owned(),
                    ));
                }
                tx.execute(
                    "INSERT INTO rollout_questions (slug, question, asked_at, name, address, text, \
                     state, answer, answered_at, answered_by) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'pending', '', NULL, '')",
                    params![
                        &slug,
                        last + 1,
                        now.0,
                        &asked.name,
                        &asked.address,
                        &asked.text
                    ],
                )?;
                Ok(last + 1)
            })
            .await
    }

    /// Questions, those that wait first; of one rollout, or of all where `slug` is `None`.
    ///
    /// # Errors
    /// `Store`.
    pub async fn questions(
        &self,
        slug: Option<&str>,
        rows_max: i64,
    ) -> Result<Vec<Question>, RolloutError> {
        let slug = slug.unwrap_or_default().to_owned();
        let read = self.store.read(move |tx: &mut dyn Tx| {
            tx.all(
                "SELECT slug, question, asked_at, name, address, text, state, answer \
                 FROM rollout_questions WHERE ?1 = '' OR slug = ?1 \
                 ORDER BY CASE WHEN state = 'pending' THEN 0 ELSE 1 END, slug, question LIMIT ?2",
                params![&slug, rows_max],
                |row| {
                    Ok(Question {
                        slug: row.text(0)?.to_owned(),
                        number: row.int(1)?,
                        asked_at: Timestamp(row.int(2)?),
                        name: row.text(3)?.to_owned(),
                        address: row.text(4)?.to_owned(),
                        text: row.text(5)?.to_owned(),
                        state: QuestionState::from_word(row.text(6)?)
                            .unwrap_or(QuestionState::Closed),
                        answer: row.text(7)?.to_owned(),
                    })
                },
            )
        });
        Ok(read.await?)
    }

    /// Answers a question, shows it, or puts it away. An empty answer keeps the one that is there.
    ///
    /// # Errors
    /// `Missing` where there is no such question; `Invalid`, `Store`.
    pub async fn answer(
        &self,
        slug: &str,
        number: i64,
        state: QuestionState,
        answer: &str,
        author: Author,
    ) -> Result<(), RolloutError> {
        let answer = text("answer", answer, TEXT_BYTES_MAX)?;
        let slug = slug.to_owned();
        self.store
            .write(move |tx: &mut dyn Tx| {
                let changed = tx.execute(
                    "UPDATE rollout_questions SET state = ?3, answered_at = ?5, answered_by = ?6, \
                     answer = CASE WHEN ?4 = '' THEN answer ELSE ?4 END \
                     WHERE slug = ?1 AND question = ?2",
                    params![
                        &slug,
                        number,
                        state.word(),
                        &answer,
                        author.now.0,
                        &author.by
                    ],
                )?;
                if changed == 0 {
                    return Err(RolloutError::Missing(format!(
                        "rollout {slug} has no question {number}"
                    )));
                }
                let action = format!("question {number} {}", state.word());
                Ok(rows::note(tx, &slug, &action, &author)?)
            })
            .await
    }
}

fn checked(asked: Asked) -> Result<Asked, RolloutError> {
    let name = text("name", &asked.name, NAME_BYTES_MAX)?;
    let question = text("question", &asked.text, TEXT_BYTES_MAX)?;
    if question.is_empty() {
        return Err(RolloutError::Invalid("please write a question".to_owned()));
    }
    let address = Address::parse(asked.address.trim())
        .map_err(|error| RolloutError::Invalid(error.to_string()))?;
    Ok(Asked {
        name,
        address: address.to_string(),
        text: question,
    })
}

/// Text without controls but line ends, at most `bytes_max`.
fn text(what: &str, given: &str, bytes_max: usize) -> Result<String, RolloutError> {
    let given = given.trim().replace("\r\n", "\n");
    let fits = given.len() <= bytes_max && !given.chars().any(|c| c.is_control() && c != '\n');
    match fits {
        true => Ok(given),
        false => Err(RolloutError::Invalid(format!(
            "the {what} has at most {bytes_max} bytes of plain text"
        ))),
    }
}

/// The questions everybody can read, oldest first.
pub(crate) fn answered(tx: &mut dyn Tx, slug: &str) -> Result<Vec<Answered>, StoreError> {
    tx.all(
        "SELECT name, text, answer, asked_at FROM rollout_questions \
         WHERE slug = ?1 AND state = 'public' ORDER BY question LIMIT ?2",
        params![slug, SHOWN_MAX],
        |row| {
            Ok(Answered {
                name: row.text(0)?.to_owned(),
                question: row.text(1)?.to_owned(),
                answer: row.text(2)?.to_owned(),
                asked_at: Timestamp(row.int(3)?),
            })
        },
    )
}
