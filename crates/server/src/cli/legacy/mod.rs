//! `rohrpost legacy`: access for mail programs that can do no modern TLS. Enrolment, the emergency switch, who is
//! left, what to take out of the DNS at the end, and the proof for domains that forbid it. The admin API does it;
//! this says it in words. A proof is checked without it.

mod dns;
mod proof;
mod status;
mod switch;

use super::admin_api::{AdminApi, Method, path};
use crate::settings::Settings;
use clap::{Args, Subcommand};
use https::api::customers::{Enrol, Enrolled, Withdrawn};
use https::api::legacy::LegacyPast;
use std::path::PathBuf;

/// Lines of history shown.
const HISTORY_LINES_MAX: &str = "1000";

/// Commands of `rohrpost legacy`.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Lets an account use the legacy hosts, until legacy access ends or until a day before that.
    ///
    /// Refused where the account's domain forbids legacy access, or where it is over: the setting
    /// legacy-access (`rohrpost policy set installation legacy-access "until 2025-05-30
    /// tls=1.0,1.1"`) says so. Holds within a second. The account is written to.
    Enrol {
        /// The account.
        address: String,
        /// The last day, such as 2025-03-31.
        #[arg(long, value_name = "DAY")]
        until: Option<String>,
        #[command(flatten)]
        why: Why,
    },
    /// Ends that for an account.
    Withdraw {
        /// The account.
        address: String,
        #[command(flatten)]
        why: Why,
    },
    /// Shows who is enrolled, by whom, since when, and when it was used last.
    List {
        /// Only those who logged in there within 30 days: who would be cut off today.
        #[arg(long)]
        left: bool,
        /// Print JSON instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Shows the gateway, its TLS library with what is known of its weaknesses, the end date, and
    /// how many are enrolled and still come.
    Status {
        /// Print JSON instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Switches TLS versions or logins in clear off at once, at the legacy hosts and everywhere else.
    ///
    /// Sessions of these versions that the gateway holds are dropped within five seconds; so are
    /// sessions in clear at the legacy hosts. Everybody who is enrolled gets a notice. It stays off
    /// until `rohrpost legacy enable`.
    ///
    /// Example: rohrpost legacy disable --tls 1.0,1.1 --now --reason "CVE-2027-0001"
    Disable {
        #[command(flatten)]
        what: What,
        /// Yes, now. There is no later; for a date change the setting legacy-access.
        #[arg(long)]
        now: bool,
        #[command(flatten)]
        why: Why,
    },
    /// Takes `disable` back.
    Enable {
        #[command(flatten)]
        what: What,
        #[command(flatten)]
        why: Why,
    },
    /// Shows what was changed: enrolments, switches, ends.
    History,
    /// Prints the DNS records of the legacy names, and after the end takes them out.
    ///
    /// Asks the DNS what is there. With --on or --now it shows the change, and plans it with --yes: in a
    /// zone of dns.update_zones this server lowers the time to live beforehand and removes the records on
    /// the minute; other zones are changed by whoever runs them, and this server looks whether they were.
    /// Refused for a date before the end of legacy access. --rollback calls it off, or brings the records
    /// back.
    ///
    /// Example: rohrpost legacy dns --on 2027-06-01 --reason "end of legacy access" --yes
    #[command(verbatim_doc_comment)]
    Dns(dns::Options),
    /// Prints a settings file for the program rohrpost-legacy, commented.
    Settings,
    /// Writes a signed proof of a domain's TLS: that it forbids legacy access, what its accounts need
    /// at each service, and what each port of this node answered when it was tried just now.
    ///
    /// Wants `rohrpost policy set DOMAIN legacy-access forbidden` first, and the node running. The PDF
    /// carries the signed data; `rohrpost legacy verify` checks either form.
    ///
    /// Example: rohrpost legacy proof firma.example --pdf firma.pdf
    Proof {
        /// The domain.
        domain: String,
        /// Write it as PDF to this file, too.
        #[arg(long, value_name = "FILE")]
        pdf: Option<PathBuf>,
    },
    /// Checks a proof, JSON or PDF: whether it was signed by the given key and changed since.
    Verify {
        /// The file.
        file: PathBuf,
        /// The key it must be signed with, as `proof` prints it; this installation's when not given.
        #[arg(long, value_name = "KEY")]
        key: Option<String>,
    },
}

/// Who changes something and why.
#[derive(Args, Debug, Clone)]
pub(crate) struct Why {
    /// Why; kept in the history.
    #[arg(long, default_value = "")]
    reason: String,
    /// Who; the user of the operating system when not given.
    #[arg(long)]
    by: Option<String>,
}

/// What is switched.
#[derive(Args, Debug, Clone)]
pub(crate) struct What {
    /// TLS versions: 1.0, 1.1 or both with a comma.
    #[arg(long, value_name = "VERSIONS")]
    tls: Option<String>,
    /// Logins in clear.
    #[arg(long)]
    cleartext: bool,
}

/// Carries out one command.
///
/// # Errors
/// A text for the person at the terminal.
pub(super) fn run(settings: &Settings, verb: &Verb) -> Result<(), String> {
    if let Verb::Verify { file, key } = verb {
        let text = proof::verify(settings, file, key.as_deref())?;
        super::say(format_args!("{text}"));
        return Ok(());
    }
    let text = super::block_on(async {
        let api = AdminApi::open(settings).await?;
        carry_out(api, verb).await
    })??;
    super::print(format_args!("{text}"));
    Ok(())
}

async fn carry_out(api: AdminApi, verb: &Verb) -> Result<String, String> {
    match verb {
        Verb::Enrol {
            address,
            until,
            why,
        } => enrol(&why.author(api), address, until.clone(), why).await,
        Verb::Withdraw { address, why } => withdraw(&why.author(api), address, why).await,
        Verb::List { left, json } => status::list(&api, *left, *json).await,
        Verb::Status { json } => status::status(&api, *json).await,
        Verb::Disable { what, now, why } => {
            switch::disable(&why.author(api), what, *now, why).await
        }
        Verb::Enable { what, why } => switch::enable(&why.author(api), what, why).await,
        Verb::History => history(&api).await,
        Verb::Dns(options) => dns::run(api, options).await,
        Verb::Proof { domain, pdf } => proof::make(&api, domain, pdf.as_deref()).await,
        Verb::Settings | Verb::Verify { .. } => Ok(String::new()),
    }
}

impl Why {
    /// The API, for whoever is named.
    fn author(&self, api: AdminApi) -> AdminApi {
        api.acting_for(self.by.as_deref())
    }
}

async fn enrol(
    api: &AdminApi,
    address: &str,
    until: Option<String>,
    why: &Why,
) -> Result<String, String> {
    let wanted = Enrol {
        until,
        reason: why.reason.clone(),
    };
    let at = path(&["accounts", address, "legacy-access"], &[]);
    let enrolled: Enrolled = api.send(Method::Put, &at, &wanted).await?;
    let (login, last) = (address.to_lowercase(), enrolled.last_day);
    Ok(format!(
        "{login} may use the legacy hosts until {last}, the last day.\n"
    ))
}

async fn withdraw(api: &AdminApi, address: &str, why: &Why) -> Result<String, String> {
    let at = path(
        &["accounts", address, "legacy-access"],
        &[("reason", &why.reason)],
    );
    let withdrawn: Withdrawn = api.send(Method::Delete, &at, &()).await?;
    let login = address.to_lowercase();
    Ok(match withdrawn.was_enrolled {
        true => format!("{login} may no longer use the legacy hosts.\n"),
        false => format!("{login} was not enrolled.\n"),
    })
}

async fn history(api: &AdminApi) -> Result<String, String> {
    let at = path(&["legacy", "history"], &[("limit", HISTORY_LINES_MAX)]);
    let lines: Vec<LegacyPast> = api.get(&at).await?;
    let line = |past: &LegacyPast| {
        let LegacyPast { at, by, what, .. } = past;
        format!("{at}  {by}  {what}{}\n", in_brackets(&past.reason))
    };
    Ok(lines.iter().map(line).collect())
}

/// A reason behind what it is for.
fn in_brackets(reason: &str) -> String {
    match reason.is_empty() {
        true => String::new(),
        false => format!(" ({reason})"),
    }
}

fn pretty(value: &impl serde::Serialize) -> Result<String, String> {
    let text = serde_json::to_string_pretty(value).map_err(|error| error.to_string())?;
    Ok(text + "\n")
}
