//! `cargo xtask test`: everything that must be green, on a fresh machine, in one command. Each step
//! counts as one check beside the tests it runs, so that a failing lint is a failing check.

use crate::coverage::Coverage;
use clap::Args;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

#[derive(Args)]
pub(crate) struct Options {
    /// Only tests whose name contains this; skips the other steps.
    filter: Option<String>,
}

/// How many checks passed and failed, and what covers which requirement.
#[derive(Default)]
struct Tally {
    passed: usize,
    failed: Vec<String>,
    coverage: Coverage,
}

impl Tally {
    fn step(&mut self, name: &str, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => self.passed += 1,
            Err(error) => {
                eprintln!("{error}");
                self.failed.push(name.to_owned());
            }
        }
    }

    fn test(&mut self, name: &str, passed: bool) {
        self.coverage.note(name, passed);
        if passed {
            self.passed += 1;
        } else {
            self.failed.push(name.to_owned());
        }
    }
}

pub(crate) fn run(options: &Options) -> Result<(), String> {
    crate::packages::ensure()?;
    let mut tally = Tally::default();
    if options.filter.is_none() {
        tally.step("format", crate::run("cargo", &["fmt", "--all", "--check"]));
        tally.step("tidy", crate::tidy::run());
        let lints = [
            "clippy",
            "--workspace",
            "--all-targets",
            "--quiet",
            "--",
            "-D",
            "warnings",
        ];
        tally.step("lints", crate::run("cargo", &lints));
    }
    // The acceptance, client and crash tests run the program itself.
    tally.step(
        "build",
        crate::run("cargo", &["build", "--workspace", "--bins"]),
    );
    let tests = tests(options.filter.as_deref(), &mut tally);
    tally.step("test runner", tests);
    for name in &tally.failed {
        println!("failed: {name}");
    }
    println!("{}", tally.coverage.summary());
    println!("{} passed, {} failed", tally.passed, tally.failed.len());
    if tally.failed.is_empty() {
        Ok(())
    } else {
        Err("not everything passed".to_owned())
    }
}

/// Runs all tests and notes each; with nextest where it is installed.
fn tests(filter: Option<&str>, tally: &mut Tally) -> Result<(), String> {
    let nextest = Command::new("cargo")
        .args(["nextest", "--version"])
        .output()
        .is_ok_and(|output| output.status.success());
    let mut command = Command::new("cargo");
    if nextest {
        command.args([
            "nextest",
            "run",
            "--workspace",
            "--no-fail-fast",
            "--color",
            "never",
        ]);
        command.args(["--status-level", "all", "--final-status-level", "none"]);
        command.args(["--failure-output", "immediate"]);
    } else {
        command.args(["test", "--workspace", "--no-fail-fast", "--color", "never"]);
    }
    command.args(filter);
    command
        .env("RUST_BACKTRACE", "1")
        .current_dir(crate::root());
    let before = tally.failed.len();
    let status = follow(command, nextest, tally)?;
    if status || tally.failed.len() > before {
        // Failing tests were counted one by one.
        return Ok(());
    }
    Err("the tests did not build or the runner failed".to_owned())
}

fn follow(mut command: Command, nextest: bool, tally: &mut Tally) -> Result<bool, String> {
    // nextest reports on standard error, cargo test on standard output.
    if nextest {
        command.stderr(Stdio::piped());
    } else {
        command.stdout(Stdio::piped());
    }
    let mut child = command
        .spawn()
        .map_err(|error| format!("cargo did not start: {error}"))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let lines: Box<dyn BufRead> = match (out, err) {
        (Some(out), _) => Box::new(BufReader::new(out)),
        (None, Some(err)) => Box::new(BufReader::new(err)),
        (None, None) => return Err("cargo gave no output".to_owned()),
    };
    for line in lines.lines().map_while(Result::ok) {
        println!("{line}");
        let result = if nextest {
            nextest_result(&line)
        } else {
            cargo_test_result(&line)
        };
        if let Some((name, passed)) = result {
            tally.test(name, passed);
        }
    }
    child
        .wait()
        .map(|status| status.success())
        .map_err(|error| error.to_string())
}

/// `PASS [   0.01s] (1/9) crate::binary module::name`, also FAIL, SIGABRT, TIMEOUT and so on.
fn nextest_result(line: &str) -> Option<(&str, bool)> {
    let line = line.trim_start();
    let passed = line.starts_with("PASS ") || line.starts_with("LEAK ");
    let failed = ["FAIL ", "SIG", "TIMEOUT ", "ABORT ", "XFAIL "];
    let failed = failed.iter().any(|word| line.starts_with(word));
    if !(passed || failed) || !line.contains("s] ") {
        return None;
    }
    line.rsplit(' ').next().map(|name| (name, passed))
}

/// `test module::name ... ok`.
fn cargo_test_result(line: &str) -> Option<(&str, bool)> {
    let (name, result) = line.strip_prefix("test ")?.split_once(" ... ")?;
    match result {
        "ok" => Some((name, true)),
        "FAILED" => Some((name, false)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_runners_lines_are_read() {
        assert_eq!(
            nextest_result("        PASS [   0.012s] ( 1/10) accept::accept s1_02::refused"),
            Some(("s1_02::refused", true))
        );
        assert_eq!(
            nextest_result("        FAIL [   0.1s] formats tests::x"),
            Some(("tests::x", false))
        );
        assert_eq!(
            nextest_result("     Summary [   0.1s] 3 tests run: 3 passed"),
            None
        );
        assert_eq!(cargo_test_result("test a::b ... ok"), Some(("a::b", true)));
        assert_eq!(cargo_test_result("test a::b ... ignored"), None);
    }
}
