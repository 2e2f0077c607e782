//! `cargo xtask up`: builds the program and runs `rohrpost demo` under ./data until Ctrl-C.

use clap::Args;
use std::process::Command;

#[derive(Args)]
pub(crate) struct Options {
    /// Build with optimisation (slower to build, what a benchmark wants).
    #[arg(long)]
    release: bool,
    /// First of the ports that are used.
    #[arg(long, default_value_t = 10000)]
    port_base: u16,
}

pub(crate) fn run(options: &Options) -> Result<(), String> {
    let mut build = vec!["build", "--package", "server"];
    if options.release {
        build.push("--release");
    }
    crate::run("cargo", &build)?;
    let profile = if options.release { "release" } else { "debug" };
    let root = crate::root();
    let program = root.join("target").join(profile).join("rohrpost");
    let status = Command::new(&program)
        .args([
            "demo",
            "--dir",
            "data",
            "--port-base",
            &options.port_base.to_string(),
        ])
        .current_dir(&root)
        .status()
        .map_err(|error| format!("{} could not be started: {error}", program.display()))?;
    // Ctrl-C ends the server by a signal, which is how a demo is meant to end.
    if status.success() || status.code().is_none() {
        return Ok(());
    }
    Err(format!("rohrpost demo ended with {status}"))
}
