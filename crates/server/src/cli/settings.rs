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
    /// A settings file with every setting commented out at its default.
    Sample,
    /// The reference page in Markdown.
    Reference,
    /// Says whether the file of --config can be used.
    Check,
}

pub(super) fn run(config: &Path, options: &Options) -> Result<(), String> {
    match options.what {
        What::Sample => print!("{}", sample_file()),
        What::Reference => print!("{}", reference_page()),
        What::Check => {
            super::read_settings(config)?;
            println!("{} can be used", config.display());
        }
    }
    Ok(())
}
