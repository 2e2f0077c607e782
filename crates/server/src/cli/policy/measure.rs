//! `rohrpost measure`: tightening in stages with dates. The admin API does it; each verb's text
//! is made in `measure/`.

mod change;
mod list;

use super::Why;
use super::output::Format;
use crate::cli::admin_api::AdminApi;
use clap::{Args, Subcommand};
use https::api::staging::{self, Except, Milder, Pause};
use policy::measure::LocalTime;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Lists every measure that is set, its stage now, what comes next, and nodes that hold old rules.
    List(Format),
    /// Shows at which stage measures are for a scope, since when, what comes, and where that was set.
    Show {
        /// An address, a domain, a group's name, or the word installation.
        #[arg(default_value = "installation")]
        scope: String,
        /// Only this measure, such as cleartext/imap.
        measure: Option<String>,
        #[command(flatten)]
        format: Format,
    },
    /// Shows what setting a measure would do, and who would no longer get through; changes nothing.
    Plan(Wish),
    /// Sets a measure, after showing who would no longer get through once it is enforced.
    Set {
        #[command(flatten)]
        wish: Wish,
        #[command(flatten)]
        why: Why,
    },
    /// Holds a measure at a milder stage at once, whatever its dates say, on every node.
    Pause {
        #[command(flatten)]
        at: At,
        /// The stage it is held at.
        #[arg(long, default_value = "observe", value_parser = milder)]
        stage: Milder,
        #[command(flatten)]
        why: Why,
    },
    /// Takes a pause back, so that the dates hold again.
    Resume {
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        why: Why,
    },
    /// Has what was set before the last change hold again; a second time takes that back.
    Rollback {
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        why: Why,
    },
    /// Makes an exception for an account, a domain or a group, with an end.
    Except {
        #[command(flatten)]
        at: At,
        /// The last day of it (2025-05-30), or a minute (2025-05-30T12:00), in the installation's time zone.
        #[arg(long)]
        until: LocalTime,
        /// Who answers for it, such as a person and a ticket.
        #[arg(long)]
        owner: String,
        /// The stage that holds for them instead.
        #[arg(long, default_value = "observe", value_parser = milder)]
        stage: Milder,
        #[command(flatten)]
        why: Why,
    },
    /// Removes what is set for a scope, so that a wider scope or the default holds again.
    Unset {
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        why: Why,
    },
}

/// Whom and what it is about.
#[derive(Args)]
pub(crate) struct At {
    /// An address, a domain, a group's name, or the word installation.
    scope: String,
    /// The measure: tls-version/SERVICE, cleartext/SERVICE (without SERVICE: all of them),
    /// sender-ownership, inbound-tls, outbound-tls, spoofed-sender, legacy-access.
    measure: String,
}

/// What a measure shall be.
#[derive(Args)]
pub(crate) struct Wish {
    #[command(flatten)]
    at: At,
    /// The stages and from when on each holds: observe 2025-03-01 warn 2025-03-05 enforce. Before it,
    /// where the measure has one, the value (1.3, required, authenticated).
    #[arg(required = true)]
    value: Vec<String>,
    /// How many days back the preview looks; 1 to 30.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=30))]
    days: u32,
    /// Who agreed to the consequences of inbound-tls.
    #[arg(long, requires = "consent_text")]
    consent_by: Option<String>,
    /// Which version of the text was agreed to.
    #[arg(long, requires = "consent_by")]
    consent_text: Option<String>,
}

fn milder(text: &str) -> Result<Milder, String> {
    match text {
        "off" => Ok(Milder::Off),
        "observe" => Ok(Milder::Observe),
        "warn" => Ok(Milder::Warn),
        _ => Err("give off, observe or warn".to_owned()),
    }
}

impl Verb {
    pub(super) fn changes_something(&self) -> bool {
        !matches!(self, Self::List(_) | Self::Show { .. } | Self::Plan(_))
    }
}

pub(super) async fn run(verb: &Verb, api: AdminApi) -> Result<String, String> {
    match verb {
        Verb::List(format) => list::all(&api, *format).await,
        Verb::Show {
            scope,
            measure,
            format,
        } => list::show(&api, scope, measure.as_deref(), *format).await,
        Verb::Plan(wish) => change::plan(&api, wish).await,
        Verb::Set { wish, why } => change::set(&why.author(api), wish, why).await,
        Verb::Pause { at, stage, why } => {
            let pause = Pause {
                scope: at.scope.clone(),
                measure: at.measure.clone(),
                stage: *stage,
                reason: why.reason.clone(),
            };
            change::pause(&why.author(api), &pause).await
        }
        Verb::Resume { at, why } => change::resume(&why.author(api), &at.because(why)).await,
        Verb::Rollback { at, why } => change::rollback(&why.author(api), &at.because(why)).await,
        Verb::Except {
            at,
            until,
            owner,
            stage,
            why,
        } => {
            let except = Except {
                scope: at.scope.clone(),
                measure: at.measure.clone(),
                until: until.to_string(),
                owner: owner.clone(),
                stage: *stage,
                reason: why.reason.clone(),
            };
            change::except(&why.author(api), &except).await
        }
        Verb::Unset { at, why } => change::unset(&why.author(api), &at.because(why)).await,
    }
}

impl At {
    fn because(&self, why: &Why) -> staging::At {
        staging::At {
            scope: self.scope.clone(),
            measure: self.measure.clone(),
            reason: why.reason.clone(),
        }
    }
}
