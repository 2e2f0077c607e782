//! `rohrpost dmarc`: the way of a hosted domain to a strict DMARC policy. Shows what others report, advises the
//! next step, plans the change of the DNS and takes it back. The admin API does it; this says it in words.

use super::output::{self, Format, moment, ms, or_dash, table};
use super::{Why, domain_name};
use crate::cli::admin_api::{AdminApi, Method, path};
use clap::{Subcommand, ValueEnum};
use directory::DomainName;
use https::api::dmarc::{
    DmarcRate, DmarcSource, DmarcStage, DmarcStatus, DmarcStep, PlannedStep, RecordChange,
};
use policy::LocalTime;
use rollout::dmarc::figures::{REPORTS_DAYS, SOURCES_DAYS};
use serde_json::{Value, json};

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
    /// As the API is asked for it.
    pub(super) fn query(&self) -> (&'static str, &'static str) {
        let tag = match self.lang {
            Lang::De => "de",
            Lang::En => "en",
        };
        ("lang", tag)
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

impl From<To> for DmarcStage {
    fn from(to: To) -> Self {
        match to {
            To::None => Self::None,
            To::Quarantine => Self::Quarantine,
            To::Reject => Self::Reject,
        }
    }
}

impl Verb {
    /// Whether a new installation could begin with it.
    pub(super) fn changes_something(&self) -> bool {
        matches!(self, Self::Plan { yes: true, .. } | Self::Rollback { .. })
    }
}

pub(super) async fn run(verb: &Verb, api: AdminApi) -> Result<String, String> {
    match verb {
        Verb::Status {
            domain,
            speech,
            format,
        } => {
            let at = path(&["domains", domain.as_str(), "dmarc"], &[speech.query()]);
            let status: DmarcStatus = api.get(&at).await?;
            output::shown(*format, &status_json(&status), || told(&status))
        }
        Verb::Sources {
            domain,
            speech,
            format,
        } => {
            let at = of(domain, "sources", &[speech.query()]);
            sources(domain, &api.get::<Vec<DmarcSource>>(&at).await?, *format)
        }
        Verb::Rates { domain, format } => {
            let at = of(domain, "rates", &[]);
            rates(domain, &api.get::<Vec<DmarcRate>>(&at).await?, *format)
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
            let step = DmarcStep {
                to: (*to).into(),
                on: on.to_string(),
                trial: *trial,
                anyway: *anyway,
                reason: why.reason.clone(),
            };
            plan(&why.author(api), domain, &step, *yes).await
        }
        Verb::Changes { domain, format } => {
            let at = of(domain, "changes", &[]);
            changes(domain, &api.get::<Vec<RecordChange>>(&at).await?, *format)
        }
        Verb::Rollback { domain } => {
            let at = of(domain, "rollback", &[]);
            let back: RecordChange = api.send(Method::Post, &at, &json!({})).await?;
            Ok(taken_back(&back))
        }
    }
}

/// Where the API has something of a domain's DMARC.
fn of(domain: &DomainName, what: &str, query: &[(&str, &str)]) -> String {
    path(&["domains", domain.as_str(), "dmarc", what], query)
}

fn status_json(status: &DmarcStatus) -> Value {
    json!({
        "domain": status.domain,
        "record": status.record,
        "policy": status.policy,
        "since": status.since,
        "next": status.next,
        "earliest": status.earliest,
        "back_to": status.back_to,
        "blockers": status.blockers,
        "record_after": status.record_after,
        "report_days": status.report_days,
        "own_mail_passed_per_mille": status.own_mail_passed_per_mille,
    })
}

fn told(status: &DmarcStatus) -> String {
    let domain = &status.domain;
    let mut text = match &status.record {
        Some(record) => format!("{domain} publishes {record}\n"),
        None => format!("{domain} publishes no DMARC record.\n"),
    };
    if let Some(since) = &status.since {
        text += &format!("So since {since}, as far as was seen.\n");
    }
    if let Some(share) = status.own_mail_passed_per_mille {
        let (whole, tenth) = (share / 10, share % 10);
        text += &format!("Of the mail from here that others saw, {whole}.{tenth} % passed.\n");
    }
    for tag in &status.removed_tags {
        text +=
            &format!("The tag {tag} is no longer known (RFC 9989) and goes with the next step.\n");
    }
    text += &match (&status.next, &status.back_to) {
        (_, Some(back)) => format!("Go back to {back}: mail of the domain's own fails.\n"),
        (Some(next), None) => format!(
            "Next step: {next}, not before {}.\n",
            status.earliest.as_deref().unwrap_or("-")
        ),
        (None, None) => "The strictest stage is reached.\n".to_owned(),
    };
    for blocker in &status.blockers {
        text += &format!("  - {blocker}\n");
    }
    if let Some(record) = &status.record_after {
        text += &format!("Record after it: {record}\n");
    }
    text
}

fn sources(domain: &DomainName, sources: &[DmarcSource], format: Format) -> Result<String, String> {
    output::shown(format, &json!(sources), || {
        if sources.is_empty() {
            return no_reports(domain, SOURCES_DAYS);
        }
        let row = |source: &DmarcSource| {
            vec![
                source.source.clone(),
                source.class.clone(),
                source.messages.to_string(),
                source.failed.to_string(),
                or_dash(&source.signers.join(" ")),
            ]
        };
        let rows: Vec<_> = sources.iter().map(row).collect();
        let mut text = table(&["from", "whose", "messages", "failed", "signed by"], &rows);
        for source in sources {
            text += &format!("{}: {}\n", source.source, source.advice);
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

fn rates(domain: &DomainName, rates: &[DmarcRate], format: Format) -> Result<String, String> {
    output::shown(format, &json!(rates), || {
        if rates.is_empty() {
            return no_reports(domain, REPORTS_DAYS);
        }
        let row = |rate: &DmarcRate| {
            vec![
                rate.day.clone(),
                rate.reporter.clone(),
                rate.messages.to_string(),
                rate.passed.to_string(),
            ]
        };
        let rows: Vec<_> = rates.iter().map(row).collect();
        table(&["day", "receiver", "messages", "passed"], &rows)
    })
}

async fn plan(
    api: &AdminApi,
    domain: &DomainName,
    step: &DmarcStep,
    really: bool,
) -> Result<String, String> {
    let what = if really { "changes" } else { "plan" };
    let planned = api.send(Method::Post, &of(domain, what, &[]), step).await;
    // The API says it as programs do.
    let planned: PlannedStep =
        planned.map_err(|why| why.replace("send \"anyway\": true", "give --anyway"))?;
    let mut text = shown(&planned);
    for one in &planned.held_against {
        text += &format!("warning  {one}\n");
    }
    Ok(match planned.change {
        None => text + "Nothing is planned yet; give --yes to plan it.\n",
        Some(change) => text + &format!("Planned as change {change}.\n"),
    })
}

/// A step that is planned, or could be.
pub(in crate::cli) fn shown(planned: &PlannedStep) -> String {
    let (diff, at) = (&planned.diff, moment(&planned.at));
    match &planned.shorten_at {
        Some(shorten_at) => format!(
            "{diff}On {at}; its time to live is lowered from {}.\n",
            moment(shorten_at)
        ),
        None => format!(
            "{diff}On {at}, by hand: {} is in no zone of dns.update_zones. Lower its time to live a day \
             before.\n",
            planned.record
        ),
    }
}

fn changes(domain: &DomainName, list: &[RecordChange], format: Format) -> Result<String, String> {
    let value = |c: &RecordChange| {
        json!({"id": c.change, "record": c.record, "at": ms(&c.at), "state": c.state,
            "before": c.before, "after": c.after, "trouble": c.trouble,
            "by": c.by, "reason": c.reason})
    };
    let values: Vec<_> = list.iter().map(value).collect();
    output::shown(format, &json!(values), || {
        if list.is_empty() {
            return format!(
                "No change of the records of {domain} is planned, and none was made.\n"
            );
        }
        list.iter().map(line).collect()
    })
}

/// A change that was planned.
pub(in crate::cli) fn line(change: &RecordChange) -> String {
    let trouble = match change.trouble.as_str() {
        "" => String::new(),
        trouble => format!("  trouble: {trouble}\n"),
    };
    format!(
        "{} {} {} by {}: {}\n{}{trouble}",
        change.change,
        moment(&change.at),
        change.state,
        change.by,
        or_dash(&change.reason),
        change.diff
    )
}

/// What came of taking a change back.
pub(in crate::cli) fn taken_back(back: &RecordChange) -> String {
    let say = match (back.state.as_str(), back.by_server) {
        ("cancelled", _) => "was called off; the old record stays",
        (_, true) => "was taken back; the old record is published again",
        (_, false) => "counts as taken back; restore the old record in the zone by hand",
    };
    let diff = match back.state.as_str() {
        "cancelled" => String::new(),
        _ => reversed(&back.diff),
    };
    format!("Change {} {say}.\n{diff}", back.change)
}

/// A diff the other way round: what goes, then what comes.
fn reversed(diff: &str) -> String {
    let turned = |from: char, to: char| {
        let lines = diff.lines().filter_map(move |line| line.strip_prefix(from));
        lines
            .map(|line| format!("{to}{line}\n"))
            .collect::<String>()
    };
    turned('+', '-') + &turned('-', '+')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_can_be_read_the_other_way_round() {
        let diff = "- a.test. 60 IN TXT \"old\"\n+ a.test. 60 IN TXT \"new\"\n";
        assert_eq!(
            reversed(diff),
            "- a.test. 60 IN TXT \"new\"\n+ a.test. 60 IN TXT \"old\"\n"
        );
    }
}
