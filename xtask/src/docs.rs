//! `cargo xtask docs`: writes the pages that are made from code.

use std::process::Command;

pub(crate) fn run() -> Result<(), String> {
    crate::run("cargo", &["build", "--package", "server"])?;
    for (page, path) in [
        ("reference", "docs/settings.md"),
        ("sample", "docs/rohrpost.sample.toml"),
    ] {
        let output = Command::new(crate::root().join("target/debug/rohrpost"))
            .args(["settings", page])
            .output()
            .map_err(|error| format!("rohrpost could not be started: {error}"))?;
        if !output.status.success() {
            return Err(format!("`rohrpost settings {page}` failed"));
        }
        std::fs::write(crate::root().join(path), output.stdout)
            .map_err(|error| format!("writing {path}: {error}"))?;
        println!("wrote {path}");
    }
    Ok(())
}
