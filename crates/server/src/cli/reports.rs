//! `rohrpost reports`: what others report about a hosted domain, counted and put in words.

use super::admin_api::{AdminApi, path};
use crate::settings::Settings;
use clap::{Args, Subcommand};
use https::api::figures::{DmarcFigure, DmarcFigures, TlsFigure, TlsFigures};
use std::collections::BTreeMap;

/// Sources that are listed of those that failed.
const SOURCES_SHOWN: usize = 20;

#[derive(Args)]
pub(super) struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Shows what receivers report about mail from the domain (DMARC).
    ///
    /// Example: rohrpost reports dmarc firma.example --days 7
    Dmarc(About),
    /// Shows what senders report about TLS to the domain's servers (TLS-RPT).
    ///
    /// Example: rohrpost reports tls firma.example
    Tls(About),
}

#[derive(Args)]
struct About {
    /// The hosted domain.
    domain: String,
    /// How many UTC days back, today included.
    #[arg(long, default_value_t = 30)]
    days: u32,
    /// Print JSON, an object per line: day, reporter and figures.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(settings: &Settings, options: &Options) -> Result<(), String> {
    super::block_on(async {
        let api = AdminApi::open(settings).await?;
        match &options.what {
            What::Dmarc(about) => dmarc(&api, about).await,
            What::Tls(about) => tls(&api, about).await,
        }
    })?
}

impl About {
    fn name(&self) -> &str {
        self.domain.trim_end_matches('.')
    }

    fn place(&self, kind: &str) -> String {
        let days = self.days.to_string();
        path(
            &["domains", self.name(), "reports", kind],
            &[("days", &days)],
        )
    }
}

async fn dmarc(api: &AdminApi, about: &About) -> Result<(), String> {
    let told: DmarcFigures = api.get(&about.place("dmarc")).await?;
    if about.json {
        for line in &told.lines {
            let json = serde_json::json!({
                "day": line.day, "reporter": line.reporter, "source": line.source,
                "disposition": line.disposition, "dkim": line.dkim, "spf": line.spf,
                "messages": line.messages,
            });
            super::say(format_args!("{json}"));
        }
        return Ok(());
    }
    if is_any((told.reports, told.proven), about) {
        say_dmarc(&told.lines);
    }
    Ok(())
}

fn is_any((reports, proven): (i64, i64), about: &About) -> bool {
    let (domain, days) = (about.name(), about.days);
    if reports == 0 {
        super::say(format_args!(
            "No reports about {domain} in the last {days} days. They come to reports.address; the \
             domain's record must name it in rua."
        ));
        return false;
    }
    super::say(format_args!(
        "{reports} {} about {domain} in the last {days} days; the sender of {proven} was proved by DKIM.",
        if reports == 1 { "report" } else { "reports" }
    ));
    true
}

fn say_dmarc(lines: &[DmarcFigure]) {
    let sum = |wanted: &dyn Fn(&DmarcFigure) -> bool| -> i64 {
        let some = lines.iter().filter(|line| wanted(line));
        some.map(|line| line.messages).sum()
    };
    let is_good = |line: &DmarcFigure| line.dkim == "pass" || line.spf == "pass";
    let (all, good) = (sum(&|_| true), sum(&is_good));
    super::say(format_args!(
        "{all} {}: {good} passed DMARC ({}), {} failed.",
        if all == 1 { "message" } else { "messages" },
        percent(good, all),
        all - good
    ));
    super::say(format_args!(
        "DKIM passed for {}, SPF for {}. Delivered {}, put aside {}, refused {}.",
        sum(&|line| line.dkim == "pass"),
        sum(&|line| line.spf == "pass"),
        sum(&|line| line.disposition == "none"),
        sum(&|line| line.disposition == "quarantine"),
        sum(&|line| line.disposition == "reject"),
    ));
    let mut days: BTreeMap<(&str, &str), (i64, i64)> = BTreeMap::new();
    let mut sources: BTreeMap<&str, i64> = BTreeMap::new();
    for line in lines {
        let day = days.entry((&line.day, &line.reporter)).or_default();
        day.0 += line.messages;
        if is_good(line) {
            day.1 += line.messages;
        } else {
            *sources.entry(&line.source).or_default() += line.messages;
        }
    }
    super::say(format_args!("\nBy day and receiver:"));
    for ((day, reporter), (all, good)) in days {
        let share = percent(good, all);
        super::say(format_args!(
            "  {day}  {reporter}: {good} of {all} passed ({share})"
        ));
    }
    let mut sources: Vec<_> = sources.into_iter().collect();
    sources.sort_by_key(|(source, messages)| (-messages, *source));
    if !sources.is_empty() {
        super::say(format_args!("\nWhere failing messages came from:"));
    }
    for (source, messages) in sources.into_iter().take(SOURCES_SHOWN) {
        super::say(format_args!("  {source}: {messages}"));
    }
}

async fn tls(api: &AdminApi, about: &About) -> Result<(), String> {
    let told: TlsFigures = api.get(&about.place("tls")).await?;
    if about.json {
        for line in &told.lines {
            let json = serde_json::json!({
                "day": line.day, "reporter": line.reporter, "policy": line.policy,
                "result": line.result, "host": line.host, "sessions": line.sessions,
            });
            super::say(format_args!("{json}"));
        }
        return Ok(());
    }
    if is_any((told.reports, told.proven), about) {
        say_tls(&told.lines);
    }
    Ok(())
}

fn say_tls(lines: &[TlsFigure]) {
    let all: i64 = lines.iter().map(|line| line.sessions).sum();
    let good = lines.iter().filter(|line| line.result.is_empty());
    let good: i64 = good.map(|line| line.sessions).sum();
    super::say(format_args!(
        "{all} {}: {good} went as the policy wants it ({}), {} did not.",
        if all == 1 { "session" } else { "sessions" },
        percent(good, all),
        all - good
    ));
    super::say(format_args!("\nBy day and sender:"));
    for line in lines {
        let result = match line.result.as_str() {
            "" => "succeeded",
            failure => failure,
        };
        let host = match line.host.as_str() {
            "" => String::new(),
            host => format!(" at {host}"),
        };
        super::say(format_args!(
            "  {}  {}: {} {result}{host} (policy {})",
            line.day, line.reporter, line.sessions, line.policy
        ));
    }
}

fn percent(part: i64, all: i64) -> String {
    if all <= 0 {
        return "-".to_owned();
    }
    let tenths = i128::from(part) * 1000 / i128::from(all);
    format!("{}.{} %", tenths / 10, tenths % 10)
}
