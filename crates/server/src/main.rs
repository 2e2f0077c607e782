//! The program `rohrpost`: reads arguments, starts a node or carries out one command, says in words
//! what went wrong. Contains no mail logic.

mod accounts;
mod cli;
mod compaction;
mod control;
mod demo;
mod letters;
mod log;
mod node;
mod settings;

use clap::Parser;
use std::process::ExitCode;

/// Returns freed memory to the system sooner than the C library's allocator and costs less per
/// message.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    match cli::run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("rohrpost: {message}");
            ExitCode::FAILURE
        }
    }
}
