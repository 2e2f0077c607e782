//! Commands of the program. Every one works on the store the settings file names, whether a node
//! runs there or not; a running node is told what changed.

mod clock;
mod directory;
mod maintenance;
mod queue;
mod serve;
mod settings;
mod trace;

pub(crate) use serve::{run_until_told, runtime};

use crate::settings::{Settings, load};
use clap::{Parser, Subcommand};
use std::path::{Path, PathBuf};

/// Where a node's settings are when nothing else is said.
const CONFIG_DEFAULT: &str = "/etc/rohrpost/rohrpost.toml";

/// A mail server for e-mail providers: SMTP, IMAP, POP3 in one program.
#[derive(Parser)]
#[command(name = "rohrpost", version, propagate_version = true)]
pub(crate) struct Arguments {
    /// The node's settings file.
    #[arg(long, global = true, default_value = CONFIG_DEFAULT, value_name = "FILE")]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs a node with the settings of --config until it is told to stop (SIGTERM, Ctrl-C).
    /// SIGHUP reads certificates again.
    Serve,
    /// Runs a demo provider: makes domains, accounts and its own certificates, listens on
    /// unprivileged loopback ports, and writes DIR/endpoints.json when everything answers.
    Demo(crate::demo::Options),
    #[command(flatten)]
    Directory(directory::Verb),
    /// Checks that every reference to message bytes leads somewhere, that every byte is intact and
    /// every counter right. Changes nothing; may run beside a serving node.
    Verify,
    /// Writes a consistent copy of all mail and settings to DIR, which must not exist. May run
    /// beside a serving node.
    Backup {
        /// The new folder.
        dir: PathBuf,
    },
    /// Makes the data directory of --config from a backup. No node may run there, and the data
    /// directory must be empty.
    Restore {
        /// The folder `rohrpost backup` wrote.
        dir: PathBuf,
    },
    /// Shows messages waiting for other servers, and why they wait.
    Queue(queue::Options),
    /// Tells the story of one message by the id of its 250 reply or Received line.
    Trace(trace::Options),
    /// Makes a running node read its certificates again.
    Reload,
    /// Shows or moves the clock of a demo or test run.
    Clock(clock::Options),
    /// Prints the commented sample file or the reference page of all settings, or checks --config.
    Settings(settings::Options),
}

/// Carries out one command.
///
/// # Errors
/// A text for the person at the terminal.
pub(crate) fn run(arguments: Arguments) -> Result<(), String> {
    let config = arguments.config;
    match arguments.command {
        Command::Serve => serve::run(read_settings(&config)?),
        Command::Demo(options) => crate::demo::run(&options),
        Command::Directory(verb) => {
            let settings = read_settings(&config)?;
            let store = maintenance::open_or_create_store(&settings)?;
            let rules = crate::node::directory_settings(&settings);
            directory::command(store, rules, &settings.data_dir, &verb)
        }
        Command::Verify => maintenance::verify(&read_settings(&config)?),
        Command::Backup { dir } => maintenance::backup(&read_settings(&config)?, &config, &dir),
        Command::Restore { dir } => maintenance::restore(&read_settings(&config)?, &dir),
        Command::Queue(options) => queue::run(&read_settings(&config)?, &options),
        Command::Trace(options) => trace::run(&read_settings(&config)?, &options),
        Command::Reload => tell(&read_settings(&config)?, &crate::control::Request::Reload),
        Command::Clock(options) => clock::run(&read_settings(&config)?, &options),
        Command::Settings(options) => settings::run(&config, &options),
    }
}

fn read_settings(config: &Path) -> Result<Settings, String> {
    load(config).map_err(|problems| {
        let lines: Vec<_> = problems
            .iter()
            .map(|problem| format!("  {problem}"))
            .collect();
        format!("{} cannot be used:\n{}", config.display(), lines.join("\n"))
    })
}

/// Asks the running node for something and prints its answer.
fn tell(settings: &Settings, request: &crate::control::Request) -> Result<(), String> {
    match crate::control::ask(&settings.data_dir, request) {
        Ok(Some(answer)) if answer.ok => {
            println!("{}", answer.text);
            Ok(())
        }
        Ok(Some(answer)) => Err(answer.text),
        Ok(None) => Err(format!("no node runs on {}", settings.data_dir.display())),
        Err(error) => Err(format!("the node does not answer: {error}")),
    }
}

/// A small runtime for commands that ask the store a few things.
fn block_on<T>(future: impl std::future::Future<Output = T>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("starting failed: {error}"))?;
    Ok(runtime.block_on(future))
}
