//! `rohrpost reports`: what others report about a hosted domain, counted and put in words.

use crate::settings::Settings;
use clap::{Args, Subcommand};
use directory::{Directory, DomainName};
use formats::rfc3339;
use platform::clock::Clock;
use platform::random::Random;
use platform::store::{Store, StoreError};
use reports::figures::{self, DmarcLine, Kind, Received, TlsLine};
use std::collections::BTreeMap;

/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 3600 * 1000;
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
    let store = super::stores::open_store(settings)?;
    super::block_on(async {
        let (What::Dmarc(about) | What::Tls(about)) = &options.what;
        must_be_hosted(settings, &store, &about.name()).await?;
        let shown = match &options.what {
            What::Dmarc(about) => dmarc(&store, about).await,
            What::Tls(about) => tls(&store, about).await,
        };
        shown.map_err(|error| error.to_string())
    })?
}

/// "No reports" about a name that was mistyped would sound like good news.
async fn must_be_hosted(settings: &Settings, store: &Store, name: &str) -> Result<(), String> {
    let (clock, random) = (Clock::system(), Random::from_os());
    let rules = crate::node::directory_settings(settings);
    let directory = Directory::open(store.clone(), rules, random)
        .await
        .map_err(|error| error.to_string())?;
    let admin = crate::accounts::admin(directory, clock);
    let domains = admin.domains().await.map_err(|error| error.to_string())?;
    if domains.iter().any(|domain| domain.name == name) {
        return Ok(());
    }
    Err(format!(
        "{name} is no domain of this server; `rohrpost domain list` shows those there are"
    ))
}

impl About {
    fn name(&self) -> String {
        let written = self.domain.trim_end_matches('.');
        DomainName::parse(written).map_or_else(
            |_| written.to_ascii_lowercase(),
            |name| name.as_str().to_owned(),
        )
    }

    fn since(&self) -> i64 {
        let today = Clock::system().now().0.div_euclid(DAY_MS);
        today - i64::from(self.days.saturating_sub(1))
    }
}

async fn dmarc(store: &Store, about: &About) -> Result<(), StoreError> {
    let (domain, since) = (about.name(), about.since());
    let name = domain.clone();
    let (received, lines) = store
        .read(move |tx| {
            let received = figures::received(tx, Kind::Dmarc, &name, since)?;
            Ok::<_, StoreError>((received, figures::dmarc(tx, &name, since)?))
        })
        .await?;
    if about.json {
        for line in &lines {
            let json = serde_json::json!({
                "day": date(line.day), "reporter": line.reporter, "source": line.source,
                "disposition": line.disposition, "dkim": line.dkim, "spf": line.spf,
                "messages": line.messages,
            });
            super::say(format_args!("{json}"));
        }
        return Ok(());
    }
    if !is_any(received, &domain, about.days) {
        return Ok(());
    }
    say_dmarc(&lines);
    Ok(())
}

fn is_any(received: Received, domain: &str, days: u32) -> bool {
    let Received { reports, proven } = received;
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

fn say_dmarc(lines: &[DmarcLine]) {
    let sum = |wanted: &dyn Fn(&DmarcLine) -> bool| -> i64 {
        let some = lines.iter().filter(|line| wanted(line));
        some.map(|line| line.messages).sum()
    };
    let is_good = |line: &DmarcLine| line.dkim == "pass" || line.spf == "pass";
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
    let mut days: BTreeMap<(i64, &str), (i64, i64)> = BTreeMap::new();
    let mut sources: BTreeMap<&str, i64> = BTreeMap::new();
    for line in lines {
        let day = days.entry((line.day, &line.reporter)).or_default();
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
            "  {}  {reporter}: {good} of {all} passed ({share})",
            date(day)
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

async fn tls(store: &Store, about: &About) -> Result<(), StoreError> {
    let (domain, since) = (about.name(), about.since());
    let name = domain.clone();
    let (received, lines) = store
        .read(move |tx| {
            let received = figures::received(tx, Kind::Tls, &name, since)?;
            Ok::<_, StoreError>((received, figures::tls(tx, &name, since)?))
        })
        .await?;
    if about.json {
        for line in &lines {
            let json = serde_json::json!({
                "day": date(line.day), "reporter": line.reporter, "policy": line.policy,
                "result": line.result, "host": line.host, "sessions": line.sessions,
            });
            super::say(format_args!("{json}"));
        }
        return Ok(());
    }
    if !is_any(received, &domain, about.days) {
        return Ok(());
    }
    say_tls(&lines);
    Ok(())
}

fn say_tls(lines: &[TlsLine]) {
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
            date(line.day),
            line.reporter,
            line.sessions,
            line.policy
        ));
    }
}

fn date(day: i64) -> String {
    let text = rfc3339::format(day.saturating_mul(DAY_MS));
    text.get(..10).unwrap_or_default().to_owned()
}

fn percent(part: i64, all: i64) -> String {
    if all <= 0 {
        return "-".to_owned();
    }
    let tenths = i128::from(part) * 1000 / i128::from(all);
    format!("{}.{} %", tenths / 10, tenths % 10)
}
