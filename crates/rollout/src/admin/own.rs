//! What one account is told of rollouts, for the banner on its pages and the API: those whose audience it belongs to
//! and that are public and not over, each with its next date and whether the account itself has to do something.

use super::{RolloutError, Rollouts};
use crate::announce::public_steps;
use crate::model::{LocalDate, Rollout, State, Texts};
use crate::rows;
use crate::sight::{self, Whom};
use crate::wording::epoch_day;
use directory::AccountId;
use jiff::civil;
use platform::clock::Timestamp;
use platform::store::Tx;
use policy::{Scope, Sender, Snapshot, Stage};

/// Whether an account has to do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing of what was seen of it would be refused.
    Nothing,
    /// Something would.
    Action,
}

impl Need {
    /// The word in the API.
    pub fn word(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Action => "action",
        }
    }
}

/// A rollout as one account is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Its name in addresses of pages.
    pub slug: String,
    /// Its title.
    pub title: Texts<String>,
    /// The next public date; the last one where all are past.
    pub date: LocalDate,
    /// Whether the account has to do something.
    pub need: Need,
}

impl Rollouts {
    /// What `account` is told of rollouts now, the nearest date first.
    ///
    /// # Errors
    /// `Missing` where there is no such account; `Store`.
    pub async fn of_account(
        &self,
        account: AccountId,
        now: Timestamp,
    ) -> Result<Vec<Told>, RolloutError> {
        let snapshot = self.policies.snapshot();
        self.store
            .read(move |tx: &mut dyn Tx| of_account(tx, account, &snapshot, now))
            .await
    }
}

fn of_account(
    tx: &mut dyn Tx,
    account: AccountId,
    snapshot: &Snapshot,
    now: Timestamp,
) -> Result<Vec<Told>, RolloutError> {
    let today = epoch_day(snapshot.day(now));
    let scope = Scope::Account(account);
    let mut whom = None;
    let mut told = Vec::new();
    for kept in rows::list(tx)? {
        let is_news = matches!(
            kept.state,
            State::Announced | State::Running | State::Paused
        );
        let Some(date) = date(&kept.rollout, today).filter(|_| is_news) else {
            continue;
        };
        let whom = match &mut whom {
            Some(whom) => whom,
            none => none.insert(Whom::of(tx, &scope)?),
        };
        // A group or domain of the audience that is gone has nobody in it.
        let scopes = super::within::scopes(tx, &kept.rollout).unwrap_or_default();
        if !scopes.iter().any(|around| covers(around, &whom.sender())) {
            continue;
        }
        told.push(Told {
            need: need(tx, &kept.rollout, &scope, snapshot, now)?,
            slug: kept.rollout.slug,
            title: kept.rollout.title,
            date,
        });
    }
    told.sort_by_key(|told| told.date);
    Ok(told)
}

/// Whether a scope of an audience has the account in it.
fn covers(around: &Scope, account: &Sender<'_>) -> bool {
    match around {
        Scope::Installation => true,
        Scope::Group(name) => account.group == Some(name.as_str()),
        Scope::Domain(name) => account.domain == name.as_str(),
        Scope::Account(number) => account.account == Some(*number),
    }
}

/// The date to be named; `None` where nothing of it is public.
fn date(rollout: &Rollout, today: civil::Date) -> Option<LocalDate> {
    let public = public_steps(rollout);
    let told = public.iter().filter(|step| step.stage >= Stage::Warn);
    let dates: Vec<LocalDate> = told.map(|step| step.date).collect();
    let next = dates.iter().find(|date| date.day >= today);
    next.or(dates.last()).copied()
}

fn need(
    tx: &mut dyn Tx,
    rollout: &Rollout,
    account: &Scope,
    snapshot: &Snapshot,
    now: Timestamp,
) -> Result<Need, RolloutError> {
    for proposed in sight::public_proposals(rollout, account) {
        let impact = sight::impact(tx, rollout, &proposed, account, snapshot, now)?;
        if !impact.accounts.is_empty() {
            return Ok(Need::Action);
        }
    }
    Ok(Need::Nothing)
}
