//! `rohrpost clock`: the clock of a demo or test run that was started with --clock.

use crate::control::Request;
use crate::settings::Settings;
use clap::{Args, Subcommand};

#[derive(Args)]
pub(super) struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Sets the clock; exit code 1 where the node runs on the machine's clock.
    ///
    /// Example: rohrpost --config data/rohrpost.toml clock set 2025-03-05T00:00:00+01:00
    Set {
        /// A time as RFC 3339 writes it, with its offset.
        time: String,
    },
}

pub(super) fn run(settings: &Settings, options: &Options) -> Result<(), String> {
    let What::Set { time } = &options.what;
    let to = formats::rfc3339::parse(time)?;
    super::tell(settings, &Request::Clock { to })
}
