//! The DMARC advisor of an installation: gathers what reports, the store and the DNS know of a hosted domain, asks
//! `advice` what is next, and plans the change of the record. The API calls it; decides nothing itself and changes no
//! zone (`zone_change` does, on the date).

use super::advice::{Advice, Blocker, Facts, advise};
use super::figures::{Figures, gather};
use super::record::{Record, RecordError, Testing, Wish};
use super::seen::{self, Standing};
use crate::zone_change::{
    Change, Hand, NewChange, State, ZoneChangeError, ZoneChanges, shorten_at,
};
use directory::DomainName;
use formats::language::Language;
use platform::clock::Timestamp;
use platform::dns::Resolver;
use platform::dns::update::{RecordKind, ZoneRecord};
use platform::store::StoreError;
use policy::admin::PolicyError;
use policy::dns_check::{addresses_of, pools_of};
use policy::{LocalTime, Policies, Scope};
use std::sync::Arc;

/// The time to live of a first record, in seconds.
const TTL_SECONDS: u32 = 3600;

/// Why there is no advice or no plan.
#[derive(Debug, thiserror::Error)]
pub enum AdvisorError {
    /// The DNS did not answer.
    #[error("{0}")]
    Dns(String),
    /// The domain's record is none.
    #[error("the DMARC record of {0} cannot be used: {1}")]
    Record(DomainName, RecordError),
    /// The pools of the domain could not be found.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The change could not be planned.
    #[error(transparent)]
    Change(#[from] ZoneChangeError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What an advisor works with.
#[derive(Clone)]
pub struct AdvisorParts {
    /// The settings, and the rows.
    pub policies: Policies,
    /// The DNS.
    pub resolver: Arc<dyn Resolver>,
    /// Who plans changes.
    pub changes: ZoneChanges,
    /// The name of this server.
    pub host_name: Arc<str>,
    /// Where reports about hosted domains should go.
    pub reports_address: Arc<str>,
}

/// See the module's text. Cheap to clone.
#[derive(Clone)]
pub struct Advisor {
    parts: AdvisorParts,
}

/// What is known about a domain, and what to do.
#[derive(Debug, Clone)]
pub struct Known {
    /// Its record; `None`: it has none.
    pub record: Option<Record>,
    /// The same as it stands in the zone.
    pub published: ZoneRecord,
    /// Since when it has this wish, as far as was seen.
    pub standing: Option<Standing>,
    /// What reports say.
    pub figures: Figures,
    /// What to do.
    pub advice: Advice,
}

/// A step somebody wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// The stage.
    pub wish: Wish,
    /// Whether as a trial (`t=y`).
    pub testing: Testing,
    /// The local date.
    pub on: LocalTime,
}

/// What a step would be, and what speaks against it.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// The change, as `ZoneChanges::plan` takes it.
    pub new: NewChange,
    /// Who would carry it out.
    pub hand: Hand,
    /// What the advisor holds against it; empty: nothing.
    pub held_against: Vec<HeldAgainst>,
}

/// What is held against a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeldAgainst {
    /// It goes two stages at once.
    LeavesOut,
    /// What the advice names.
    Blocker(Blocker),
}

impl HeldAgainst {
    /// In words; `date` writes a day.
    pub fn words(&self, language: Language, date: impl Fn(i64) -> String) -> String {
        match (self, language) {
            (Self::LeavesOut, Language::German) => "Eine Stufe wird ausgelassen.".to_owned(),
            (Self::LeavesOut, Language::English) => "it leaves a stage out".to_owned(),
            (Self::Blocker(blocker), language) => blocker.words(language, date),
        }
    }
}

impl Proposal {
    /// The change as it would be kept, for `diff` and `shorten_at`.
    pub fn change(&self) -> Change {
        let new = self.new.clone();
        Change {
            id: 0,
            domain: new.domain,
            owner: new.owner,
            before: new.before,
            after: new.after,
            at: new.at,
            state: State::Planned,
            trouble: String::new(),
            by: new.by,
            reason: new.reason,
        }
    }

    /// When the time to live is lowered; `None` where people change the zone.
    pub fn shorten_at(&self) -> Option<Timestamp> {
        (self.hand == Hand::Ours).then(|| shorten_at(&self.change()))
    }
}

/// The name of a domain's DMARC record.
pub fn owner(domain: &DomainName) -> String {
    format!("_dmarc.{domain}")
}

impl Advisor {
    /// An advisor over these.
    pub fn new(parts: AdvisorParts) -> Self {
        Self { parts }
    }

    /// Where reports about hosted domains should go.
    pub fn reports_address(&self) -> &str {
        &self.parts.reports_address
    }

    /// Days since 1970.
    fn today(now: Timestamp) -> i64 {
        now.0.div_euclid(24 * 3600 * 1000)
    }

    /// What reports say about a hosted domain until now.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn figures(
        &self,
        domain: &DomainName,
        now: Timestamp,
    ) -> Result<Figures, AdvisorError> {
        let scope = Scope::Domain(domain.clone());
        let parts = &self.parts;
        let pools = pools_of(
            &parts.policies,
            &*parts.resolver,
            &parts.host_name,
            &scope,
            now,
        );
        let addresses = addresses_of(&pools.await?);
        let (name, today) = (domain.to_string(), Self::today(now));
        let read = parts
            .policies
            .store()
            .read(move |tx| gather(tx, &name, &addresses, today));
        Ok(read.await?)
    }

    /// Where a domain stands and what is next.
    ///
    /// # Errors
    /// `Dns`, `Record`, and those of the store.
    pub async fn know(&self, domain: &DomainName, now: Timestamp) -> Result<Known, AdvisorError> {
        let figures = self.figures(domain, now).await?;
        let name = domain.to_string();
        let read = self
            .parts
            .policies
            .store()
            .read(move |tx| seen::standing(tx, &name));
        let standing = read.await?;
        let owner = owner(domain);
        let held = self.parts.changes.held(&owner, RecordKind::Txt, "v=DMARC1");
        let mut published = held.await.map_err(AdvisorError::Dns)?;
        if published.text.is_none() {
            published.ttl_seconds = TTL_SECONDS;
        }
        let record = published.text.as_deref().map(Record::parse).transpose();
        let record = record.map_err(|error| AdvisorError::Record(domain.clone(), error))?;
        let advice = advise(&Facts {
            today: Self::today(now),
            record: record.as_ref(),
            since: standing.as_ref().map(|standing| standing.since),
            days_before: standing.as_ref().map_or(0, |standing| standing.days_before),
            report_days: figures.report_days,
            sources: &figures.sources,
            reports_address: &self.parts.reports_address,
        });
        Ok(Known {
            record,
            published,
            standing,
            figures,
            advice,
        })
    }

    /// What a step would change, and what speaks against it. Plans nothing; `ZoneChanges::plan` does, with `Proposal::new`.
    ///
    /// # Errors
    /// As `know`.
    pub async fn propose(
        &self,
        domain: &DomainName,
        wanted: &Wanted,
        (by, reason): (String, String),
        now: Timestamp,
    ) -> Result<Proposal, AdvisorError> {
        let known = self.know(domain, now).await?;
        let address = &self.parts.reports_address;
        let record = known.record.clone();
        let record = record.unwrap_or_else(|| Record::first(address));
        let after = record.with(wanted.wish, wanted.testing, address);
        let owner = owner(domain);
        let at = self.parts.policies.snapshot().zone().beginning(wanted.on);
        let ttl_seconds = known.published.ttl_seconds;
        Ok(Proposal {
            hand: self.parts.changes.hand(&owner),
            held_against: held_against(&known.advice, wanted.wish, at),
            new: NewChange {
                domain: domain.to_string(),
                owner,
                before: known.published,
                after: ZoneRecord::txt(Some(after.to_string()), ttl_seconds.max(TTL_SECONDS)),
                at,
                by,
                reason,
            },
        })
    }
}

/// What the advice says against a step to `wish` at `at`.
pub fn held_against(advice: &Advice, wish: Wish, at: Timestamp) -> Vec<HeldAgainst> {
    if Some(wish) <= advice.now {
        return Vec::new();
    }
    let day = at.0.div_euclid(24 * 3600 * 1000);
    let leaves_out = advice.next.is_some_and(|next| wish > next);
    let mut held = Vec::new();
    held.extend(leaves_out.then_some(HeldAgainst::LeavesOut));
    // A date that is late enough answers that it is too early today.
    let counts = |blocker: &&Blocker| !matches!(blocker, Blocker::TooEarly(first) if day >= *first);
    let blockers = advice.blockers.iter().filter(counts).cloned();
    held.extend(blockers.map(HeldAgainst::Blocker));
    held
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advice(now: Option<Wish>, blockers: Vec<Blocker>) -> Advice {
        Advice {
            now,
            next: now.map_or(Some(Wish::None), Wish::stricter),
            earliest: Some(20_000),
            blockers,
            record: None,
            back_to: None,
        }
    }

    #[test]
    fn a_date_late_enough_answers_that_it_is_early_and_nothing_else() {
        let day = |day: i64| Timestamp(day * 86_400_000);
        let blockers = vec![Blocker::TooEarly(20_000), Blocker::FewReports(2)];
        let none = advice(Some(Wish::None), blockers);
        assert_eq!(held_against(&none, Wish::Quarantine, day(19_999)).len(), 2);
        assert_eq!(
            held_against(&none, Wish::Quarantine, day(20_000)),
            [HeldAgainst::Blocker(Blocker::FewReports(2))]
        );
        assert_eq!(
            held_against(&none, Wish::Reject, day(20_000)).first(),
            Some(&HeldAgainst::LeavesOut)
        );
        // The way back, and staying, are always open.
        assert!(held_against(&none, Wish::None, day(0)).is_empty());
        assert!(held_against(&advice(None, Vec::new()), Wish::None, day(0)).is_empty());
    }

    #[test]
    fn what_is_held_against_a_step_is_told_in_both_languages() {
        for held in [
            HeldAgainst::LeavesOut,
            HeldAgainst::Blocker(Blocker::FewReports(1)),
        ] {
            let told =
                [Language::German, Language::English].map(|l| held.words(l, |d| d.to_string()));
            assert_ne!(told[0], told[1]);
        }
    }
}
