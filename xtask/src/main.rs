//! Chores of this repository: `up` (run with demo data), `test`, `tidy`, `docs`.
//! Knows the repository's layout and calls cargo; contains nothing of the product.

mod coverage;
mod docs;
mod packages;
mod test;
mod tidy;
mod up;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::{Command, ExitCode};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Chores of the Rohrpost repository")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Builds Rohrpost, makes a demo provider under ./data and runs it in the foreground.
    Up(up::Options),
    /// Runs everything that must be green: format, lints, tidy, all tests, foreign clients.
    Test(test::Options),
    /// Checks what the compiler cannot: contracts, function lengths, edges between crates.
    Tidy,
    /// Writes the pages that are made from code (docs/settings.md, docs/rohrpost.sample.toml).
    Docs,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().chore {
        Chore::Up(options) => up::run(&options),
        Chore::Test(options) => test::run(&options),
        Chore::Tidy => tidy::run(),
        Chore::Docs => docs::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// The repository's folder.
fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map_or(here.clone(), PathBuf::from)
}

/// Runs a command in the repository's folder; the error names it.
fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let status = Command::new(program)
        .args(arguments)
        .current_dir(root())
        .status()
        .map_err(|error| format!("{program} could not be started: {error}"))?;
    if status.success() {
        return Ok(());
    }
    Err(format!("`{program} {}` failed", arguments.join(" ")))
}
