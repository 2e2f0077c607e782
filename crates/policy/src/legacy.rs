//! Legacy access: which accounts may use the legacy hosts, what was switched off there in an emergency, and whom to
//! tell. An enrolment ends with the access it was made for, also where that is opened anew. Whether anybody may at all,
//! and until when, is the setting `legacy-access`. Every change is a line of history. Called by the CLI, the pages
//! where customers enrol themselves, and the node; `gate` rules at logins.

mod rows;
#[cfg(test)]
mod tests;

pub use rows::{SCHEMA, forget_notices, notices};
pub(crate) use rows::{enrolled, remove_account, stopped};

use crate::admin::{Author, PolicyError, checked_author, no_account};
use crate::measure::Service;
use crate::model::{Language, Legacy, LegacyClear, OldVersions, Sender};
use crate::rows as policy_rows;
use crate::snapshot::Snapshot;
use directory::{AccountId, AddressKey};
use platform::clock::Timestamp;
use platform::store::{Store, StoreError, Tx};
use std::time::Duration;

/// How long after the end the gateway still begins TLS 1.0 and 1.1, only so that whoever comes then can read why
/// nobody is let in (RFC 8314 §4.1 leaves the choice). Nobody is asked for a password any more.
const FAREWELL: Duration = Duration::from_secs(30 * 24 * 3600);

/// Accounts that count as using legacy access logged in there within so many days.
pub const USED_WITHIN_DAYS: i64 = 30;

/// What was switched off everywhere before its date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stopped {
    /// TLS versions.
    pub versions: OldVersions,
    /// Logins in clear: `Refused` where they were.
    pub clear: Option<LegacyClear>,
}

impl Stopped {
    /// Whether anything is.
    pub fn is_any(&self) -> bool {
        *self != Self::default()
    }

    /// Whether logins in clear are.
    pub fn stops_clear(&self) -> bool {
        self.clear == Some(LegacyClear::Refused)
    }

    /// In words of the command line: `tls-1.0`, `tls-1.1`, `cleartext`.
    pub fn words(&self) -> Vec<&'static str> {
        let all = [
            (self.versions.tls10, rows::TLS10),
            (self.versions.tls11, rows::TLS11),
            (self.stops_clear(), rows::CLEARTEXT),
        ];
        let stopped = all.into_iter().filter(|(stopped, _)| *stopped);
        stopped.map(|(_, word)| word).collect()
    }
}

/// An account that may use the legacy hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    /// Whose.
    pub account: AccountId,
    /// Its login address.
    pub login: String,
    /// Since when.
    pub since: Timestamp,
    /// Until when; `None`: until legacy access ends.
    pub until: Option<Timestamp>,
    /// Who enrolled it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// The last day it logged in there, in days since 1970 (UTC); `None`: never, as far as is known.
    pub last_used_day: Option<i64>,
}

impl Enrolment {
    /// Whether the account logged in at the legacy hosts of late.
    pub fn is_used(&self, now: Timestamp) -> bool {
        let today = now.0.div_euclid(24 * 3600 * 1000);
        self.last_used_day
            .is_some_and(|day| today - day <= USED_WITHIN_DAYS)
    }
}

/// Something that stands switched off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// `tls-1.0`, `tls-1.1` or `cleartext`.
    pub what: String,
    /// Since when.
    pub since: Timestamp,
    /// By whom.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// A line of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// What was done.
    pub what: String,
    /// Why.
    pub reason: String,
}

/// Why somebody is to be written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NoticeKind {
    /// The account may use the legacy hosts now.
    Enrolled,
    /// What it may use was switched off early.
    SwitchedOff,
    /// Legacy access is over, and the account still used it.
    Ended,
}

impl NoticeKind {
    /// The word in the store.
    pub fn word(self) -> &'static str {
        match self {
            Self::Enrolled => "enrolled",
            Self::SwitchedOff => "switched-off",
            Self::Ended => "ended",
        }
    }

    /// The kind with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        let all = [Self::Enrolled, Self::SwitchedOff, Self::Ended];
        all.into_iter().find(|kind| kind.word() == word)
    }
}

/// Somebody to be written to. It waits until whoever sends letters takes it (`notices`, then
/// `forget_notices` in the transaction that has the letter).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Whom.
    pub account: AccountId,
    /// Why.
    pub kind: NoticeKind,
    /// What exactly: the end date, or what was switched off.
    pub detail: String,
    /// Since when it waits.
    pub since: Timestamp,
}

/// Why an account cannot be enrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotOpen {
    /// There is no legacy access, or it is over.
    Over,
    /// The customer's domain forbids it.
    Forbidden,
}

impl NotOpen {
    /// For an operator: what to set.
    pub fn explain(self) -> &'static str {
        match self {
            Self::Over => {
                "legacy access is not set for this account, or has ended; set it to a day in the future first, as in \
                 `rohrpost policy set installation legacy-access until 2025-05-30 tls=1.0,1.1`"
            }
            Self::Forbidden => {
                "the account's domain does not allow legacy access (its legacy-access is forbidden); only its \
                 owner should change that"
            }
        }
    }

    /// For the customer who asked.
    pub fn text(self, language: Language) -> &'static str {
        match (self, language) {
            (Self::Over, Language::English) => {
                "There is no access for old mail programs, or it has ended. Please update the mail program; \
                 the help pages say how."
            }
            (Self::Over, Language::German) => {
                "Es gibt keinen Zugang für alte Mailprogramme, oder er ist beendet. Bitte aktualisieren Sie Ihr \
                 Mailprogramm; die Hilfeseiten zeigen, wie."
            }
            (Self::Forbidden, Language::English) => {
                "Your organisation does not allow old encryption for its mailboxes. Please ask your \
                 administrator for help with a current mail program."
            }
            (Self::Forbidden, Language::German) => {
                "Ihre Organisation erlaubt für ihre Postfächer keine alte Verschlüsselung. Bitte wenden Sie \
                 sich für ein aktuelles Mailprogramm an Ihre Verwaltung."
            }
        }
    }
}

/// Until when `sender` could be enrolled at `now`. Pages show their button only then.
///
/// # Errors
/// Why it cannot be.
pub fn open_until(
    policy: &Snapshot,
    sender: &Sender<'_>,
    now: Timestamp,
) -> Result<Timestamp, NotOpen> {
    match policy.legacy(sender, now) {
        Legacy::Until { end, .. } => Ok(end),
        Legacy::Forbidden => Err(NotOpen::Forbidden),
        Legacy::Off => Err(NotOpen::Over),
    }
}

/// What anybody at all may use at the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usable {
    /// TLS versions below 1.2.
    pub versions: OldVersions,
    /// Logins in clear at the legacy hosts.
    pub clear: LegacyClear,
}

impl Snapshot {
    /// What the gateway may speak at `now`: what somebody may use at the legacy hosts, and old TLS while the measure is
    /// not yet enforced for everybody at the normal ones; never what was switched off. Old TLS stays for a while
    /// after the end, so that refusals can be read.
    pub fn usable_at_gateway(&self, now: Timestamp) -> Usable {
        let normal = Service::ALL
            .into_iter()
            .filter(|service| service.takes_old_tls())
            .any(|service| self.old_tls_for_somebody(service, now));
        let stopped = self.stopped.versions;
        Usable {
            versions: OldVersions {
                tls10: !stopped.tls10 && (normal || now < self.legacy_ends.tls10.plus(FAREWELL)),
                tls11: !stopped.tls11 && (normal || now < self.legacy_ends.tls11.plus(FAREWELL)),
            },
            clear: match !self.stopped.stops_clear() && now < self.legacy_ends.clear {
                true => LegacyClear::Allowed,
                false => LegacyClear::Refused,
            },
        }
    }

    /// When the last legacy access of anybody ends or ended; `None` where none was ever set.
    pub fn legacy_end(&self) -> Option<Timestamp> {
        let end = self.legacy_ends.at_all;
        (end > Timestamp(i64::MIN)).then_some(end)
    }

    /// What was switched off before its date.
    pub fn legacy_stopped(&self) -> Stopped {
        self.stopped
    }
}

/// Changes of legacy access. Cheap to clone.
#[derive(Clone)]
pub struct Enrolments {
    store: Store,
}

impl Enrolments {
    /// Those in `store`.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// Lets `login` use the legacy hosts until `until`, or as long as there are any; gives when that ends. Holds within
    /// a second on every node. Again for one that is enrolled changes its end.
    ///
    /// # Errors
    /// `Missing` where the account does not exist, `Invalid` where its domain forbids it, legacy access is over
    /// or `until` is later than its end, `Store`.
    pub async fn enrol(
        &self,
        login: &AddressKey,
        until: Option<Timestamp>,
        author: Author,
    ) -> Result<Timestamp, PolicyError> {
        let login = login.clone();
        self.store
            .write(move |tx: &mut dyn Tx| enrol(tx, &login, until, &author))
            .await
    }

    /// Ends that; gives whether the account was enrolled.
    ///
    /// # Errors
    /// `Missing` where the account does not exist, `Store`.
    pub async fn withdraw(&self, login: &AddressKey, author: Author) -> Result<bool, PolicyError> {
        let login = login.clone();
        self.store
            .write(move |tx: &mut dyn Tx| {
                let author = checked_author(&author)?;
                let account =
                    policy_rows::account_of(tx, &login)?.ok_or_else(|| no_account(&login))?;
                let was = rows::withdraw(tx, account)?;
                if was {
                    rows::remember(tx, Some(account), &format!("withdrawn: {login}"), author)?;
                    policy_rows::bump_revision(tx)?;
                }
                Ok::<_, PolicyError>(was)
            })
            .await
    }

    /// Everybody who is enrolled, by domain and name, at most `rows_max`.
    ///
    /// # Errors
    /// `Store`.
    pub async fn list(&self, rows_max: u32) -> Result<Vec<Enrolment>, PolicyError> {
        let list = self.store.read(move |tx| rows::list(tx, rows_max));
        Ok(list.await?)
    }

    /// Switches `what` off everywhere, at once and until `resume`; asks for a notice to everybody who is enrolled, and
    /// gives how many that are.
    ///
    /// # Errors
    /// `Invalid` where nothing is named, `Store`.
    pub async fn stop(&self, what: Stopped, author: Author) -> Result<u64, PolicyError> {
        if !what.is_any() {
            return Err(nothing_named());
        }
        self.store
            .write(move |tx: &mut dyn Tx| {
                let author = checked_author(&author)?;
                for word in what.words() {
                    rows::stop(tx, word, author)?;
                }
                let words = what.words().join(", ");
                rows::remember(tx, None, &format!("switched off: {words}"), author)?;
                policy_rows::bump_revision(tx)?;
                Ok(rows::notify_all(
                    tx,
                    NoticeKind::SwitchedOff,
                    &words,
                    author.now,
                )?)
            })
            .await
    }

    /// Takes that back.
    ///
    /// # Errors
    /// `Invalid` where nothing is named, `Store`.
    pub async fn resume(&self, what: Stopped, author: Author) -> Result<(), PolicyError> {
        if !what.is_any() {
            return Err(nothing_named());
        }
        self.store
            .write(move |tx: &mut dyn Tx| {
                let author = checked_author(&author)?;
                for word in what.words() {
                    rows::resume(tx, word)?;
                }
                let words = what.words().join(", ");
                rows::remember(tx, None, &format!("switched on again: {words}"), author)?;
                Ok::<_, PolicyError>(policy_rows::bump_revision(tx)?)
            })
            .await
    }

    /// What stands switched off, and since when.
    ///
    /// # Errors
    /// `Store`.
    pub async fn stops(&self) -> Result<Vec<Stop>, PolicyError> {
        Ok(self.store.read(rows::stops).await?)
    }

    /// Asks for a notice to everybody who is still enrolled although legacy access is over; once. Gives how many.
    ///
    /// # Errors
    /// `Store`.
    pub async fn note_end(&self, end: Timestamp, now: Timestamp) -> Result<u64, PolicyError> {
        self.store
            .write(move |tx: &mut dyn Tx| {
                if !rows::begin_end(tx, end)? {
                    return Ok(0);
                }
                let author = Author {
                    by: "rohrpost".to_owned(),
                    reason: "the end date is reached".to_owned(),
                    now,
                };
                rows::remember(tx, None, "ended", &author)?;
                rows::notify_all(tx, NoticeKind::Ended, &end.0.to_string(), now)
            })
            .await
            .map_err(PolicyError::Store)
    }

    /// The history, newest first.
    ///
    /// # Errors
    /// `Store`.
    pub async fn history(&self, lines_max: u32) -> Result<Vec<Past>, PolicyError> {
        let lines = self.store.read(move |tx| rows::history(tx, lines_max));
        Ok(lines.await?)
    }
}

/// Ends enrolments whose access is closed, before a change that may open it again: they were made for the time that is
/// over. Gives how many. Called in the transaction of the change.
pub(crate) fn end_closed(tx: &mut dyn Tx, author: &Author) -> Result<u64, StoreError> {
    let domains = rows::domains(tx)?;
    if domains.is_empty() {
        return Ok(0);
    }
    let policy = Snapshot::build(crate::handle::contents(tx)?, author.now);
    let mut all = 0;
    for domain in domains {
        let anybody = Sender {
            account: None,
            domain: &domain,
            group: None,
        };
        if open_until(&policy, &anybody, author.now).is_err() {
            let ended = rows::end_domain(tx, &domain)?;
            let what = format!("enrolments at {domain} that were over: {ended}");
            rows::remember(tx, None, &what, author)?;
            all += ended;
        }
    }
    Ok(all)
}

fn nothing_named() -> PolicyError {
    PolicyError::Invalid("name what to switch: TLS 1.0, TLS 1.1, cleartext".to_owned())
}

fn enrol(
    tx: &mut dyn Tx,
    login: &AddressKey,
    until: Option<Timestamp>,
    author: &Author,
) -> Result<Timestamp, PolicyError> {
    let author = checked_author(author)?;
    let account = policy_rows::account_of(tx, login)?.ok_or_else(|| no_account(login))?;
    let group = policy_rows::group_of(tx, account)?;
    let policy = Snapshot::build(crate::handle::contents(tx)?, author.now);
    let sender = Sender {
        account: Some(account),
        domain: login.domain().as_str(),
        group: group.as_deref(),
    };
    let end = open_until(&policy, &sender, author.now)
        .map_err(|why| PolicyError::Invalid(why.explain().to_owned()))?;
    if let Some(until) = until
        && (until > end || until <= author.now)
    {
        return Err(PolicyError::Invalid(
            "the end must lie in the future and not after that of legacy access".to_owned(),
        ));
    }
    let ends = until.unwrap_or(end);
    rows::enrol(tx, account, until, author)?;
    rows::remember(tx, Some(account), &format!("enrolled: {login}"), author)?;
    rows::notify(
        tx,
        account,
        NoticeKind::Enrolled,
        &ends.0.to_string(),
        author.now,
    )?;
    policy_rows::bump_revision(tx)?;
    Ok(ends)
}
