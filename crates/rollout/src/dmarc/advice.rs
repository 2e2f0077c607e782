//! The next step on the way from `p=none` to `p=reject`, and the earliest day for it: RFC 9989 §7.4 wants a month
//! of each stage, and mail that belongs to the domain must have stopped failing. Pure: today, the record and the
//! figures come in; nothing is changed.

use super::record::{Record, Testing, Wish};
use super::sources::{Class, Source};
use formats::language::Language;

/// Days a domain stays at `none` and then, at least as long, at `quarantine`.
pub const STAGE_DAYS_MIN: i64 = 30;
/// Days with reports that are needed before anything can be said.
pub const REPORT_DAYS_MIN: usize = 14;
/// Of the mail that leaves from here, the share that must pass, in thousandths.
pub const OWN_PASS_PER_MILLE_MIN: u64 = 990;

/// What is known about a domain.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// The day, counted from 1970-01-01.
    pub today: i64,
    /// Its record; `None`: it has none.
    pub record: Option<&'a Record>,
    /// Since when it has this wish (and, before it, the milder one for how many days).
    pub since: Option<i64>,
    /// Days it had the milder wish before; 0 where nobody knows.
    pub days_before: i64,
    /// Days of the last 30 for which reports came.
    pub report_days: usize,
    /// Sources of the last 14 days.
    pub sources: &'a [Source],
    /// Where aggregate reports should go.
    pub reports_address: &'a str,
}

/// What stands in the way of the next step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blocker {
    /// The stage has not lasted long enough; it may end on this day.
    TooEarly(i64),
    /// Reports came for so many days only.
    FewReports(usize),
    /// So many of our own messages fail, of so many.
    OwnMailFails(u64, u64),
    /// A service sends without proof, so many messages.
    ServiceFails(String, u64),
    /// Forwarded mail fails, so many messages; it matters before `reject`.
    ForwardsFail(u64),
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// What holds now; `None`: there is no record.
    pub now: Option<Wish>,
    /// The next stage; `None`: the strictest is reached, or it should first go back.
    pub next: Option<Wish>,
    /// The first day for it as far as time alone is concerned.
    pub earliest: Option<i64>,
    /// What must be mended or waited for first; empty: do it.
    pub blockers: Vec<Blocker>,
    /// The record after the step.
    pub record: Option<Record>,
    /// A stage that is held and harms mail of the domain's own: go back to this one.
    pub back_to: Option<Wish>,
}

/// Rules on the next step.
pub fn advise(facts: &Facts<'_>) -> Advice {
    let Some(record) = facts.record else {
        return Advice {
            now: None,
            next: Some(Wish::None),
            earliest: Some(facts.today),
            blockers: Vec::new(),
            record: Some(Record::first(facts.reports_address)),
            back_to: None,
        };
    };
    let now = record.wish();
    let own = own_blocker(facts);
    let back_to = match (now, &own) {
        (Wish::Reject, Some(_)) => Some(Wish::Quarantine),
        (Wish::Quarantine, Some(_)) => Some(Wish::None),
        _ => None,
    };
    let next = now.stricter().filter(|_| back_to.is_none());
    let least = STAGE_DAYS_MIN.max(match now {
        Wish::Quarantine => facts.days_before,
        Wish::None | Wish::Reject => 0,
    });
    let earliest = next.map(|_| facts.since.unwrap_or(facts.today) + least);
    let mut blockers = Vec::new();
    if let (Some(next), Some(earliest)) = (next, earliest) {
        if earliest > facts.today {
            blockers.push(Blocker::TooEarly(earliest));
        }
        if facts.report_days < REPORT_DAYS_MIN {
            blockers.push(Blocker::FewReports(facts.report_days));
        }
        blockers.extend(own);
        blockers.extend(service_blockers(facts));
        blockers.extend(
            (next == Wish::Reject)
                .then(|| forward_blocker(facts))
                .flatten(),
        );
    } else {
        blockers.extend(own);
    }
    Advice {
        now: Some(now),
        next,
        earliest,
        blockers,
        record: next
            .or(back_to)
            .map(|wish| record.with(wish, Testing::No, facts.reports_address)),
        back_to,
    }
}

fn of_class<'a>(
    facts: &'a Facts<'_>,
    wanted: fn(&Class) -> bool,
) -> impl Iterator<Item = &'a Source> {
    facts
        .sources
        .iter()
        .filter(move |source| wanted(&source.class))
}

fn own_blocker(facts: &Facts<'_>) -> Option<Blocker> {
    let own = || of_class(facts, |class| *class == Class::OurPool);
    let all: u64 = own().map(|source| source.reported.messages).sum();
    let failed: u64 = own().map(|source| source.reported.failed()).sum();
    let passed = all.saturating_sub(failed);
    (passed.saturating_mul(1000) < all.saturating_mul(OWN_PASS_PER_MILLE_MIN))
        .then_some(Blocker::OwnMailFails(failed, all))
}

fn service_blockers<'a>(facts: &'a Facts<'_>) -> impl Iterator<Item = Blocker> + 'a {
    let mut sums: Vec<(&str, u64)> = Vec::new();
    for source in facts.sources {
        let Class::Service(name) = &source.class else {
            continue;
        };
        match sums.iter_mut().find(|(known, _)| known == name) {
            Some((_, sum)) => *sum += source.reported.failed(),
            None => sums.push((name, source.reported.failed())),
        }
    }
    let failing = sums.into_iter().filter(|(_, failed)| *failed > 0);
    failing.map(|(name, failed)| Blocker::ServiceFails(name.to_owned(), failed))
}

fn forward_blocker(facts: &Facts<'_>) -> Option<Blocker> {
    let failed: u64 = of_class(facts, |class| *class == Class::Forwarder)
        .map(|source| source.reported.failed())
        .sum();
    (failed > 0).then_some(Blocker::ForwardsFail(failed))
}

impl Blocker {
    /// In words; `date` writes a day.
    pub fn words(&self, language: Language, date: impl Fn(i64) -> String) -> String {
        match (self, language) {
            (Self::TooEarly(day), Language::German) => format!(
                "Die jetzige Stufe soll mindestens {STAGE_DAYS_MIN} Tage dauern: frühestens am {}.",
                date(*day)
            ),
            (Self::TooEarly(day), Language::English) => format!(
                "The present stage should last {STAGE_DAYS_MIN} days at least: {} is the first day.",
                date(*day)
            ),
            (Self::FewReports(days), Language::German) => format!(
                "Nur für {days} der letzten 30 Tage kamen Berichte, {REPORT_DAYS_MIN} sind nötig. Steht \
                 die Adresse für Berichte im Eintrag (rua)?"
            ),
            (Self::FewReports(days), Language::English) => format!(
                "Reports came for {days} of the last 30 days only; {REPORT_DAYS_MIN} are needed. Is the \
                 address for reports in the record (rua)?"
            ),
            (Self::OwnMailFails(failed, all), Language::German) => format!(
                "{failed} von {all} Nachrichten, die von hier kamen, haben sich nicht ausgewiesen. Zuerst \
                 SPF und DKIM in Ordnung bringen."
            ),
            (Self::OwnMailFails(failed, all), Language::English) => format!(
                "{failed} of {all} messages that came from here did not prove it. Mend SPF and DKIM first."
            ),
            (Self::ServiceFails(name, failed), Language::German) => format!(
                "{name} sandte {failed} Nachrichten ohne Beweis. Dort DKIM einrichten, oder entscheiden, \
                 dass sie scheitern sollen."
            ),
            (Self::ServiceFails(name, failed), Language::English) => format!(
                "{name} sent {failed} messages without proof. Set up DKIM there, or decide that they are \
                 meant to fail."
            ),
            (Self::ForwardsFail(failed), Language::German) => format!(
                "{failed} weitergeleitete Nachrichten (Verteiler, Umleitungen) scheitern. Mit „reject“ \
                 gingen sie verloren; bei „quarantine“ bleiben."
            ),
            (Self::ForwardsFail(failed), Language::English) => format!(
                "{failed} forwarded messages (lists, redirections) fail. With \"reject\" they would be \
                 lost; stay with \"quarantine\"."
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sources::Reported;
    use super::*;

    fn source(class: Class, messages: u64, failed: u64) -> Source {
        Source {
            reported: Reported {
                source: "192.0.2.1".parse().unwrap(),
                signers: Vec::new(),
                envelopes: Vec::new(),
                messages,
                by_dkim: messages - failed,
                by_spf: 0,
            },
            class,
        }
    }

    fn facts<'a>(record: Option<&'a Record>, sources: &'a [Source]) -> Facts<'a> {
        Facts {
            today: 20_000,
            record,
            since: Some(19_900),
            days_before: 0,
            report_days: 30,
            sources,
            reports_address: "d@rp.test",
        }
    }

    fn record(text: &str) -> Record {
        Record::parse(text).unwrap()
    }

    #[test]
    fn a_domain_goes_from_nothing_to_reject_when_all_is_well() {
        let fine = [source(Class::OurPool, 1000, 0)];
        let advice = advise(&facts(None, &fine));
        assert_eq!(advice.next, Some(Wish::None));
        assert!(advice.blockers.is_empty());
        let mut now = advice.record.unwrap();
        for wish in [Wish::Quarantine, Wish::Reject] {
            let advice = advise(&facts(Some(&now), &fine));
            assert_eq!(
                (advice.next, advice.blockers.as_slice()),
                (Some(wish), &[][..])
            );
            now = advice.record.unwrap();
        }
        let end = advise(&facts(Some(&now), &fine));
        assert_eq!((end.next, end.record), (None, None));
    }

    #[test]
    fn each_stage_lasts_a_month_and_quarantine_as_long_as_none_did() {
        let none = record("v=DMARC1; p=none; rua=mailto:d@rp.test");
        let mut young = facts(Some(&none), &[]);
        young.since = Some(young.today - STAGE_DAYS_MIN + 1);
        let advice = advise(&young);
        assert_eq!(advice.blockers, [Blocker::TooEarly(young.today + 1)]);
        young.since = Some(young.today - STAGE_DAYS_MIN);
        assert!(advise(&young).blockers.is_empty());
        let quarantine = record("v=DMARC1; p=quarantine; rua=mailto:d@rp.test");
        let mut longer = facts(Some(&quarantine), &[]);
        (longer.since, longer.days_before) = (Some(longer.today - 40), 60);
        assert_eq!(advise(&longer).earliest, Some(longer.today + 20));
        // Nobody knows since when: from today.
        longer.since = None;
        assert_eq!(advise(&longer).earliest, Some(longer.today + 60));
    }

    #[test]
    fn mail_of_the_domain_that_fails_stands_in_the_way() {
        let none = record("v=DMARC1; p=none; rua=mailto:d@rp.test");
        let quarantine = record("v=DMARC1; p=quarantine; rua=mailto:d@rp.test");
        let service = [source(Class::Service("Brevo".into()), 50, 20)];
        assert_eq!(
            advise(&facts(Some(&none), &service)).blockers,
            [Blocker::ServiceFails("Brevo".into(), 20)]
        );
        let forwarded = [source(Class::Forwarder, 50, 3)];
        assert!(advise(&facts(Some(&none), &forwarded)).blockers.is_empty());
        assert_eq!(
            advise(&facts(Some(&quarantine), &forwarded)).blockers,
            [Blocker::ForwardsFail(3)]
        );
        // Forgeries are what it is all for.
        let forged = [source(Class::Unknown, 5000, 5000)];
        assert!(advise(&facts(Some(&none), &forged)).blockers.is_empty());
        let mut silent = facts(Some(&none), &[]);
        silent.report_days = REPORT_DAYS_MIN - 1;
        assert_eq!(
            advise(&silent).blockers,
            [Blocker::FewReports(REPORT_DAYS_MIN - 1)]
        );
    }

    #[test]
    fn own_mail_that_fails_under_a_strict_policy_is_a_reason_to_go_back() {
        let failing = [source(Class::OurPool, 1000, 11)];
        let reject = record("v=DMARC1; p=reject; rua=mailto:d@rp.test");
        let advice = advise(&facts(Some(&reject), &failing));
        assert_eq!(
            (advice.next, advice.back_to),
            (None, Some(Wish::Quarantine))
        );
        assert_eq!(advice.record.unwrap().wish(), Wish::Quarantine);
        assert_eq!(advice.blockers, [Blocker::OwnMailFails(11, 1000)]);
        let nearly = [source(Class::OurPool, 1000, 10)];
        assert_eq!(advise(&facts(Some(&reject), &nearly)).back_to, None);
    }

    #[test]
    fn blockers_are_told_in_both_languages() {
        for blocker in [
            Blocker::TooEarly(20_000),
            Blocker::FewReports(3),
            Blocker::OwnMailFails(1, 2),
            Blocker::ServiceFails("Brevo".into(), 4),
            Blocker::ForwardsFail(5),
        ] {
            let de = blocker.words(Language::German, |day| day.to_string());
            let en = blocker.words(Language::English, |day| day.to_string());
            assert!(de != en && !de.contains("  ") && !en.contains("  "));
        }
    }
}
