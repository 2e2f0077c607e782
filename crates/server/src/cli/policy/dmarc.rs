//! `rohrpost dmarc`: the way of a hosted domain to a strict DMARC policy. Shows what others report, advises the
//! next step, plans the change of the DNS and takes it back. A face over `rollout::dmarc` and
//! `rollout::zone_change`.

use super::output::{self, Format, day, or_dash, table, time};
use super::{Desk, Why, dns, domain_name, invalid};
use crate::node::zone_changes;
use clap::{Subcommand, ValueEnum};
use directory::DomainName;
use platform::dns::Resolver;
use platform::dns::update::ZoneRecord;
use policy::admin::PolicyError;
use policy::measure::{LocalTime, Zone};
use policy::{Language, Scope};
use rollout::dmarc::advice::{Advice, Facts, advise};
use rollout::dmarc::figures::{Figures, REPORTS_DAYS, SOURCES_DAYS, gather};
use rollout::dmarc::record::{Record, Testing, Wish};
use rollout::dmarc::seen::{self, Standing};
use rollout::zone_change::look::txt;
use rollout::zone_change::{Change, Hand, NewChange, State, ZoneChanges, diff, shorten_at};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::sync::Arc;

/// The time to live of a first record, in seconds.
const TTL_SECONDS: u32 = 3600;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Where a domain stands, what the next step is, its first day, and what stands in the way.
    ///
    /// A stage lasts a month at least, quarantine as long as none did (RFC 9989); reports must show
    /// that the domain's own mail passes. Services that fail and forwarded mail are named.
    ///
    /// Example: rohrpost dmarc status firma.example
    Status {
        /// A hosted domain.
        #[arg(value_parser = domain_name)]
        domain: DomainName,
        #[command(flatten)]
        speech: Speech,
        #[command(flatten)]
        format: Format,
    },
    /// Where mail with the domain's name came from in the last 14 days, whose it is, what to do.
    ///
    /// Classes: our-pool, service (a known one), forwarder, unknown. From DMARC reports.
    Sources {
        /// A hosted domain.
        #[arg(value_parser = domain_name)]
        domain: DomainName,
        #[command(flatten)]
        speech: Speech,
        #[command(flatten)]
        format: Format,
    },
    /// How much passed at each receiver on each day, from DMARC reports.
    Rates {
        /// A hosted domain.
        #[arg(value_parser = domain_name)]
        domain: DomainName,
        #[command(flatten)]
        format: Format,
    },
    /// Plans the change of the DNS record on a date; without --yes it only shows it.
    ///
    /// In a zone of dns.update_zones the record is changed by this server: its time to live is
    /// lowered beforehand, the new record comes on the minute, and `rohrpost dmarc rollback` brings
    /// the old one back. Other zones are changed by whoever runs them; this server looks whether they
    /// were. What the advisor holds against the step is shown, and needs --anyway.
    ///
    /// Example: rohrpost dmarc plan firma.example --to quarantine --on 2026-12-01 --reason "step 2" --yes
    Plan {
        /// A hosted domain.
        #[arg(value_parser = domain_name)]
        domain: DomainName,
        /// The stage.
        #[arg(long)]
        to: To,
        /// The local date, such as 2026-12-01 or 2026-12-01T06:00.
        #[arg(long)]
        on: LocalTime,
        /// As a trial (t=y): receivers act one stage milder.
        #[arg(long)]
        trial: bool,
        /// Plan it.
        #[arg(long)]
        yes: bool,
        /// Plan it in spite of what the advisor says.
        #[arg(long)]
        anyway: bool,
        #[command(flatten)]
        why: Why,
    },
    /// Lists planned and past changes of a domain's records.
    Changes {
        /// A hosted domain.
        #[arg(value_parser = domain_name)]
        domain: DomainName,
        #[command(flatten)]
        format: Format,
    },
    /// Takes the newest change back: calls it off before its date, restores the old record after it.
    Rollback {
        /// A hosted domain.
        #[arg(value_parser = domain_name)]
        domain: DomainName,
    },
}

/// In which language advice is given.
#[derive(clap::Args)]
pub(crate) struct Speech {
    /// The language of the advice.
    #[arg(long, default_value = "en")]
    lang: Lang,
}

#[derive(Clone, Copy, ValueEnum)]
enum Lang {
    De,
    En,
}

impl Speech {
    pub(super) fn language(&self) -> Language {
        match self.lang {
            Lang::De => Language::German,
            Lang::En => Language::English,
        }
    }
}

/// A stage of DMARC on the command line.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum To {
    /// Only reports.
    None,
    /// Among the spam.
    Quarantine,
    /// Refused.
    Reject,
}

impl From<To> for Wish {
    fn from(to: To) -> Self {
        match to {
            To::None => Self::None,
            To::Quarantine => Self::Quarantine,
            To::Reject => Self::Reject,
        }
    }
}

/// What is known about a domain, and what to do.
struct Known {
    record: Option<Record>,
    text: Option<String>,
    ttl_seconds: u32,
    standing: Option<Standing>,
    figures: Figures,
    advice: Advice,
    reports_address: String,
}

impl Verb {
    /// Whether a running node must hear of it; changes are found by looking.
    pub(super) fn changes_something(&self) -> bool {
        matches!(self, Self::Plan { yes: true, .. } | Self::Rollback { .. })
    }
}

pub(super) async fn run(verb: &Verb, desk: &Desk<'_>) -> Result<String, PolicyError> {
    match verb {
        Verb::Status {
            domain,
            speech,
            format,
        } => {
            let known = know(desk, domain).await?;
            let language = speech.language();
            output::value(*format, &status_json(domain, &known, language), || {
                status(domain, &known, language)
            })
        }
        Verb::Sources {
            domain,
            speech,
            format,
        } => {
            let (figures, _) = reported(desk, domain).await?;
            sources(domain, &figures, speech.language(), *format)
        }
        Verb::Rates { domain, format } => {
            let (figures, _) = reported(desk, domain).await?;
            rates(domain, &figures, *format)
        }
        Verb::Plan {
            domain,
            to,
            on,
            trial,
            yes,
            anyway,
            why,
        } => {
            let wanted = Wanted {
                wish: (*to).into(),
                on: *on,
                testing: if *trial { Testing::Yes } else { Testing::No },
                really: *yes,
                anyway: *anyway,
            };
            plan(desk, domain, &wanted, why).await
        }
        Verb::Changes { domain, format } => changes(desk, domain, *format).await,
        Verb::Rollback { domain } => rollback(desk, domain).await,
    }
}

/// What reports say about a domain, and since when its record is what it is.
async fn reported(
    desk: &Desk<'_>,
    domain: &DomainName,
) -> Result<(Figures, Option<Standing>), PolicyError> {
    // Says so where the domain is not one of ours.
    let scope = desk.admin.scope(&format!("domain:{domain}")).await?;
    let resolver = dns::resolver(desk)?;
    let pool = addresses(desk, &scope, &*resolver).await?;
    let today = today(desk);
    let name = domain.to_string();
    let read = desk.store.read(move |tx| {
        let figures = gather(tx, &name, &pool, today)?;
        Ok::<_, platform::store::StoreError>((figures, seen::standing(tx, &name)?))
    });
    Ok(read.await?)
}

/// Days since 1970.
fn today(desk: &Desk<'_>) -> i64 {
    desk.now.0.div_euclid(24 * 3600 * 1000)
}

async fn know(desk: &Desk<'_>, domain: &DomainName) -> Result<Known, PolicyError> {
    let (figures, standing) = reported(desk, domain).await?;
    let resolver = dns::resolver(desk)?;
    let seen = txt(&*resolver, &owner(domain), "v=DMARC1")
        .await
        .map_err(invalid)?;
    let (text, ttl_seconds) = match seen.text {
        Some(text) => (Some(text), seen.ttl_seconds),
        None => (None, TTL_SECONDS),
    };
    let record = text.as_deref().map(Record::parse).transpose();
    let record = record.map_err(|error| {
        invalid(format!(
            "the DMARC record of {domain} cannot be used: {error}"
        ))
    })?;
    let reports_address = reports_address(desk);
    let advice = advise(&Facts {
        today: today(desk),
        record: record.as_ref(),
        since: standing.as_ref().map(|standing| standing.since),
        days_before: standing.as_ref().map_or(0, |standing| standing.days_before),
        report_days: figures.report_days,
        sources: &figures.sources,
        reports_address: &reports_address,
    });
    Ok(Known {
        record,
        text,
        ttl_seconds,
        standing,
        figures,
        advice,
        reports_address,
    })
}

/// Where reports about our domains should go.
fn reports_address(desk: &Desk<'_>) -> String {
    match &desk.settings.reports_address.0 {
        Some(address) => address.to_string(),
        None => format!("postmaster@{}", desk.settings.host_name.0),
    }
}

/// The addresses mail of a scope leaves from.
pub(super) async fn addresses(
    desk: &Desk<'_>,
    scope: &Scope,
    resolver: &dyn Resolver,
) -> Result<Vec<IpAddr>, PolicyError> {
    let pools = dns::pools(desk, scope, resolver).await?;
    let v4 = pools.iter().flat_map(|pool| &pool.v4).copied();
    let v6 = pools.iter().flat_map(|pool| &pool.v6).copied();
    Ok(v4.map(IpAddr::V4).chain(v6.map(IpAddr::V6)).collect())
}

fn owner(domain: &DomainName) -> String {
    format!("_dmarc.{domain}")
}

fn zone_handle(desk: &Desk<'_>, resolver: Arc<dyn Resolver>) -> Result<ZoneChanges, PolicyError> {
    zone_changes(desk.settings, desk.store.clone(), resolver).map_err(invalid)
}

fn status_json(domain: &DomainName, known: &Known, language: Language) -> Value {
    let advice = &known.advice;
    let blockers = advice.blockers.iter().map(|b| b.words(language, day));
    json!({
        "domain": domain.as_str(),
        "record": known.text,
        "policy": advice.now.map(Wish::word),
        "since": known.standing.as_ref().map(|s| day(s.since)),
        "next": advice.next.map(Wish::word),
        "earliest": advice.earliest.map(day),
        "back_to": advice.back_to.map(Wish::word),
        "blockers": blockers.collect::<Vec<_>>(),
        "record_after": advice.record.as_ref().map(Record::to_string),
        "report_days": known.figures.report_days,
        "own_mail_passed_per_mille": known.figures.own_per_mille(),
    })
}

fn status(domain: &DomainName, known: &Known, language: Language) -> String {
    let advice = &known.advice;
    let mut text = match &known.text {
        Some(record) => format!("{domain} publishes {record}\n"),
        None => format!("{domain} publishes no DMARC record.\n"),
    };
    if let Some(standing) = &known.standing {
        text += &format!("So since {}, as far as was seen.\n", day(standing.since));
    }
    if let Some(share) = known.figures.own_per_mille() {
        let (whole, tenth) = (share / 10, share % 10);
        text += &format!("Of the mail from here that others saw, {whole}.{tenth} % passed.\n");
    }
    let removed = known.record.as_ref().map(Record::removed_tags);
    for tag in removed.unwrap_or_default() {
        text +=
            &format!("The tag {tag} is no longer known (RFC 9989) and goes with the next step.\n");
    }
    text += &match (advice.next, advice.back_to) {
        (_, Some(back)) => format!(
            "Go back to {}: mail of the domain's own fails.\n",
            back.word()
        ),
        (Some(next), None) => format!(
            "Next step: {}, not before {}.\n",
            next.word(),
            advice.earliest.map_or_else(|| "-".to_owned(), day)
        ),
        (None, None) => "The strictest stage is reached.\n".to_owned(),
    };
    for blocker in &advice.blockers {
        text += &format!("  - {}\n", blocker.words(language, day));
    }
    if let Some(record) = &advice.record {
        text += &format!("Record after it: {record}\n");
    }
    text
}

fn sources(
    domain: &DomainName,
    figures: &Figures,
    language: Language,
    format: Format,
) -> Result<String, PolicyError> {
    let values: Vec<Value> = figures
        .sources
        .iter()
        .map(|source| {
            json!({
                "source": source.reported.source.to_string(),
                "class": source.class.word(),
                "messages": source.reported.messages,
                "failed": source.reported.failed(),
                "signers": source.reported.signers,
                "envelopes": source.reported.envelopes,
                "advice": source.advice(domain.as_str(), language),
            })
        })
        .collect();
    output::value(format, &json!(values), || {
        if figures.sources.is_empty() {
            return no_reports(domain, SOURCES_DAYS);
        }
        let rows: Vec<Vec<String>> = figures
            .sources
            .iter()
            .map(|source| {
                vec![
                    source.reported.source.to_string(),
                    source.class.word().to_owned(),
                    source.reported.messages.to_string(),
                    source.reported.failed().to_string(),
                    or_dash(&source.reported.signers.join(" ")),
                ]
            })
            .collect();
        let mut text = table(&["from", "whose", "messages", "failed", "signed by"], &rows);
        for source in &figures.sources {
            let from = source.reported.source;
            text += &format!("{from}: {}\n", source.advice(domain.as_str(), language));
        }
        text
    })
}

/// Said where no report about the last `days` was read.
fn no_reports(domain: &DomainName, days: i64) -> String {
    format!(
        "No reports about {domain} came in the last {days} days. Reports need rua= in the DMARC record and \
         reports.address in the settings.\n"
    )
}

fn rates(domain: &DomainName, figures: &Figures, format: Format) -> Result<String, PolicyError> {
    let values: Vec<Value> = figures
        .rates
        .iter()
        .map(|rate| {
            json!({"day": day(rate.day), "reporter": rate.reporter,
                "messages": rate.messages, "passed": rate.passed})
        })
        .collect();
    output::value(format, &json!(values), || {
        if figures.rates.is_empty() {
            return no_reports(domain, REPORTS_DAYS);
        }
        let rows: Vec<Vec<String>> = figures
            .rates
            .iter()
            .map(|rate| {
                vec![
                    day(rate.day),
                    rate.reporter.clone(),
                    rate.messages.to_string(),
                    rate.passed.to_string(),
                ]
            })
            .collect();
        table(&["day", "receiver", "messages", "passed"], &rows)
    })
}

/// A step somebody asked for.
struct Wanted {
    wish: Wish,
    on: LocalTime,
    testing: Testing,
    really: bool,
    anyway: bool,
}

async fn plan(
    desk: &Desk<'_>,
    domain: &DomainName,
    wanted: &Wanted,
    why: &Why,
) -> Result<String, PolicyError> {
    let known = know(desk, domain).await?;
    let zone = desk.zone().await?;
    let author = desk.author(why);
    let after = match &known.record {
        Some(record) => record.with(wanted.wish, wanted.testing, &known.reports_address),
        None => Record::first(&known.reports_address).with(
            wanted.wish,
            wanted.testing,
            &known.reports_address,
        ),
    };
    let new = NewChange {
        domain: domain.to_string(),
        owner: owner(domain),
        before: ZoneRecord::txt(known.text.clone(), known.ttl_seconds),
        after: ZoneRecord::txt(Some(after.to_string()), known.ttl_seconds.max(TTL_SECONDS)),
        at: zone.beginning(wanted.on),
        by: author.by,
        reason: author.reason,
    };
    let held_against = held_against(&known.advice, wanted, &zone);
    if wanted.really && !held_against.is_empty() && !wanted.anyway {
        let list: String = held_against
            .iter()
            .map(|one| format!("\n  - {one}"))
            .collect();
        return Err(invalid(format!(
            "the advisor holds against it:{list}\nWait, or give --anyway"
        )));
    }
    let handle = zone_handle(desk, dns::resolver(desk)?)?;
    let hand = handle.hand(&new.owner);
    let mut text = shown(&new, hand);
    for one in &held_against {
        text += &format!("warning  {one}\n");
    }
    if !wanted.really {
        return Ok(text + "Nothing is planned yet; give --yes to plan it.\n");
    }
    let id = handle.plan(new).await.map_err(invalid)?;
    Ok(text + &format!("Planned as change {id}.\n"))
}

/// What the advisor says against a step that somebody wants now.
fn held_against(advice: &Advice, wanted: &Wanted, zone: &Zone) -> Vec<String> {
    let stricter = Some(wanted.wish) > advice.now;
    if !stricter {
        return Vec::new();
    }
    let at = zone.beginning(wanted.on).0.div_euclid(24 * 3600 * 1000);
    let mut held: Vec<String> = Vec::new();
    if advice.next.is_some_and(|next| wanted.wish > next) {
        held.push("it leaves a stage out".to_owned());
    }
    for blocker in &advice.blockers {
        use rollout::dmarc::advice::Blocker;
        // A date that is late enough answers that it is too early today.
        if !matches!(blocker, Blocker::TooEarly(first) if at >= *first) {
            held.push(blocker.words(Language::English, day));
        }
    }
    held
}

fn shown(new: &NewChange, hand: Hand) -> String {
    let change = Change {
        id: 0,
        domain: new.domain.clone(),
        owner: new.owner.clone(),
        before: new.before.clone(),
        after: new.after.clone(),
        at: new.at,
        state: State::Planned,
        trouble: String::new(),
        by: String::new(),
        reason: String::new(),
    };
    let at = time(new.at);
    match hand {
        Hand::Ours => format!(
            "{}On {at}; its time to live is lowered from {}.\n",
            diff(&change),
            time(shorten_at(&change))
        ),
        Hand::People => format!(
            "{}On {at}, by hand: {} is in no zone of dns.update_zones. Lower its time to live a day \
             before.\n",
            diff(&change),
            new.owner
        ),
    }
}

async fn changes(
    desk: &Desk<'_>,
    domain: &DomainName,
    format: Format,
) -> Result<String, PolicyError> {
    let handle = zone_handle(desk, dns::resolver(desk)?)?;
    let list = handle.list(domain.as_str()).await?;
    let values: Vec<Value> = list
        .iter()
        .map(|c| {
            json!({"id": c.id, "record": c.owner, "at": c.at.0, "state": c.state.word(),
                "before": c.before.text, "after": c.after.text, "trouble": c.trouble,
                "by": c.by, "reason": c.reason})
        })
        .collect();
    output::value(format, &json!(values), || {
        if list.is_empty() {
            return format!(
                "No change of the records of {domain} is planned, and none was made.\n"
            );
        }
        list.iter().map(line).collect()
    })
}

fn line(change: &Change) -> String {
    let trouble = match change.trouble.as_str() {
        "" => String::new(),
        trouble => format!("  trouble: {trouble}\n"),
    };
    format!(
        "{} {} {} by {}: {}\n{}{trouble}",
        change.id,
        time(change.at),
        change.state.word(),
        change.by,
        or_dash(&change.reason),
        diff(change)
    )
}

async fn rollback(desk: &Desk<'_>, domain: &DomainName) -> Result<String, PolicyError> {
    let handle = zone_handle(desk, dns::resolver(desk)?)?;
    let list = handle.list(domain.as_str()).await?;
    let newest = list
        .iter()
        .find(|change| change.state.is_open() || change.state.is_published())
        .ok_or_else(|| invalid(format!("{domain} has no change that could be taken back")))?;
    let hand = handle.hand(&newest.owner);
    let back = handle.roll_back(domain.as_str(), newest.id).await;
    let back = back.map_err(invalid)?;
    let say = match (back.state, hand) {
        (State::Cancelled, _) => "was called off; the old record stays",
        (_, Hand::Ours) => "was taken back; the old record is published again",
        (_, Hand::People) => "counts as taken back; restore the old record in the zone by hand",
    };
    Ok(format!("Change {} {say}.\n{}", back.id, reverse(&back)))
}

/// The diff of taking a change back.
fn reverse(change: &Change) -> String {
    if change.state == State::Cancelled {
        return String::new();
    }
    diff(&Change {
        before: change.after.clone(),
        after: change.before.clone(),
        ..change.clone()
    })
}
