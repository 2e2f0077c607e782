//! `rohrpost legacy`: access for mail programs that can do no modern TLS. Enrolment, the emergency switch, who is
//! left, what to take out of the DNS at the end, and the proof for domains that forbid it. Works on the
//! store beside a running node or without one; a running node is told.

mod advisories;
mod dns;
mod document;
mod probe;
mod proof;
mod status;
mod switch;

use super::stores;
use crate::control::{Request, ask};
use crate::settings::Settings;
use clap::{Args, Subcommand};
use directory::AddressKey;
use platform::clock::{Clock, Timestamp};
use platform::store::Store;
use policy::Policies;
use policy::admin::{Author, PolicyError};
use policy::legacy::Enrolments;
use std::path::PathBuf;

/// Lines of history shown.
const HISTORY_LINES_MAX: u32 = 1000;
/// Enrolments shown.
const ENROLMENTS_MAX: u32 = 1_000_000;

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
    /// Prints the DNS records of the legacy names, and after the end how to take them out.
    ///
    /// Asks the DNS what is there. Changes nothing.
    Dns,
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

/// What a verb works with.
struct Desk<'d> {
    settings: &'d Settings,
    store: Store,
    enrolments: Enrolments,
    now: Timestamp,
}

impl Desk<'_> {
    fn author(&self, why: &Why) -> Author {
        Author {
            by: why.by.clone().unwrap_or_else(super::policy::operator),
            reason: why.reason.clone(),
            now: self.now,
        }
    }

    async fn policies(&self) -> Result<Policies, PolicyError> {
        Ok(Policies::open(self.store.clone(), Clock::settable(self.now)).await?)
    }

    /// A running node writes what it has counted.
    fn keep(&self) {
        let _ = ask(&self.settings.data_dir, &Request::Keep);
    }

    /// A running node takes the change over at once; without one there is nobody to tell.
    fn refresh(&self) {
        let _ = ask(&self.settings.data_dir, &Request::Refresh);
    }

    /// The day at this moment where the installation is: 2025-05-30.
    async fn day(&self, at: Timestamp) -> Result<String, PolicyError> {
        let day = self.policies().await?.snapshot().day(at);
        Ok(day_text(day))
    }
}

/// A number of days since 1970 as a date.
fn day_text(day: i64) -> String {
    let text = formats::rfc3339::format(day.saturating_mul(24 * 3600 * 1000));
    text.chars().take(10).collect()
}

fn invalid(why: impl std::fmt::Display) -> PolicyError {
    PolicyError::Invalid(why.to_string())
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
    let store = stores::open_store(settings)?;
    let desk = Desk {
        settings,
        enrolments: Enrolments::new(store.clone()),
        store,
        now: super::policy::now(settings),
    };
    let text = super::block_on(carry_out(&desk, verb))?.map_err(|error| error.to_string())?;
    super::print(format_args!("{text}"));
    Ok(())
}

async fn carry_out(desk: &Desk<'_>, verb: &Verb) -> Result<String, PolicyError> {
    match verb {
        Verb::Enrol {
            address,
            until,
            why,
        } => enrol(desk, address, until.as_deref(), why).await,
        Verb::Withdraw { address, why } => withdraw(desk, address, why).await,
        Verb::List { left, json } => status::list(desk, *left, *json).await,
        Verb::Status { json } => status::status(desk, *json).await,
        Verb::Disable { what, now, why } => switch::disable(desk, what, *now, why).await,
        Verb::Enable { what, why } => switch::enable(desk, what, why).await,
        Verb::History => history(desk).await,
        Verb::Dns => dns::records(desk).await,
        Verb::Proof { domain, pdf } => proof::make(desk, domain, pdf.as_deref()).await,
        Verb::Settings | Verb::Verify { .. } => Ok(String::new()),
    }
}

async fn enrol(
    desk: &Desk<'_>,
    address: &str,
    until: Option<&str>,
    why: &Why,
) -> Result<String, PolicyError> {
    let login = AddressKey::parse(address).map_err(invalid)?;
    let until = match until {
        None => None,
        Some(text) => {
            let day = text.parse::<policy::LocalTime>().map_err(invalid)?;
            Some(desk.policies().await?.snapshot().zone().end(day))
        }
    };
    let end = desk
        .enrolments
        .enrol(&login, until, desk.author(why))
        .await?;
    desk.refresh();
    // The moment it ends is the beginning of the day after.
    let last = desk.day(Timestamp(end.0 - 1)).await?;
    Ok(format!(
        "{login} may use the legacy hosts until {last}, the last day.\n"
    ))
}

async fn withdraw(desk: &Desk<'_>, address: &str, why: &Why) -> Result<String, PolicyError> {
    let login = AddressKey::parse(address).map_err(invalid)?;
    let was = desk.enrolments.withdraw(&login, desk.author(why)).await?;
    desk.refresh();
    Ok(match was {
        true => format!("{login} may no longer use the legacy hosts.\n"),
        false => format!("{login} was not enrolled.\n"),
    })
}

async fn history(desk: &Desk<'_>) -> Result<String, PolicyError> {
    let lines = desk.enrolments.history(HISTORY_LINES_MAX).await?;
    let line = |past: &policy::legacy::Past| {
        let at = formats::rfc3339::format(past.at.0);
        let reason = match past.reason.is_empty() {
            true => String::new(),
            false => format!(" ({})", past.reason),
        };
        format!("{at}  {}  {}{reason}\n", past.by, past.what)
    };
    Ok(lines.iter().map(line).collect())
}
