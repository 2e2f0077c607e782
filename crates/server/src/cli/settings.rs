//! `rohrpost settings`: the sample file, the reference page, a check of the file in use.

use crate::settings::{reference_page, sample_file};
use clap::{Args, Subcommand};
use std::path::Path;

#[derive(Args)]
pub(super) struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Prints a settings file with every setting commented out at its default.
    ///
    /// Reads no file. Example: rohrpost settings sample > /etc/rohrpost/rohrpost.toml
    Sample,
    /// Prints the reference page of all settings in Markdown (docs/settings.md).
    Reference,
    /// Says whether the file of --config can be used; exit code 1 if not.
    ///
    /// Names every bad line with what was expected and an example. Looks at the file only: whether
    /// the certificates, the data directory, the database and the ports can be used is found out
    /// by `rohrpost serve`.
    Check,
}

pub(super) fn run(config: &Path, options: &Options) -> Result<(), String> {
    match options.what {
        What::Sample => super::print(format_args!("{}", sample_file())),
        What::Reference => super::print(format_args!("{}", reference_page())),
        What::Check => {
            super::read_settings(config)?;
            super::say(format_args!("{} can be used", config.display()));
        }
    }
    Ok(())
}
