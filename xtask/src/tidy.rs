//! `cargo xtask tidy`: what the compiler cannot check. Every file opens with its contract, no
//! function grows past the limit, crates use only what ARCHITECTURE.md allows them to.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Lines a function may have.
const FUNCTION_LINES_MAX: usize = 70;

pub(crate) fn run() -> Result<(), String> {
    let mut problems = Vec::new();
    for file in rust_files(&crate::root()) {
        let text = fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        let name = file
            .strip_prefix(crate::root())
            .unwrap_or(&file)
            .display()
            .to_string();
        if !text.starts_with("//!") && !text.starts_with("#![no_main]\n//!") {
            problems.push(format!("{name}: opens without its contract (`//!` lines)"));
        }
        for (function, line, lines) in long_functions(&text) {
            problems.push(format!(
                "{name}:{line}: fn {function} has {lines} lines; {FUNCTION_LINES_MAX} is the limit"
            ));
        }
    }
    problems.extend(edge_problems()?);
    if problems.is_empty() {
        return Ok(());
    }
    Err(format!("tidy:\n  {}", problems.join("\n  ")))
}

fn rust_files(root: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders: Vec<PathBuf> = ["crates", "xtask", "tests", "fuzz", "bench"]
        .iter()
        .map(|f| root.join(f))
        .collect();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            let name = entry.file_name();
            if path.is_dir() && name != "target" && name != "corpus" {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// Functions past the limit: name, first line, length. Relies on rustfmt: a function ends at the
/// first `}` that stands as deep as its `fn`.
fn long_functions(text: &str) -> Vec<(String, usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut long = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        if line.trim_end().ends_with('}') {
            continue;
        }
        let Some(name) = function_name(line) else {
            continue;
        };
        let indent = line.len() - line.trim_start().len();
        let ends = |line: &&str| {
            line.trim_start().starts_with('}') && line.len() - line.trim_start().len() == indent
        };
        let Some(length) = lines[start..].iter().position(ends) else {
            continue;
        };
        if length + 1 > FUNCTION_LINES_MAX && !line.trim_end().ends_with(';') {
            long.push((name, start + 1, length + 1));
        }
    }
    long
}

fn function_name(line: &str) -> Option<String> {
    let mut words = line.split_whitespace().peekable();
    while let Some(word) = words.next() {
        match word {
            "pub" | "async" | "const" | "unsafe" | "extern" | "\"C\"" => {}
            word if word.starts_with("pub(") => {}
            "fn" => {
                let name = words.next()?;
                return Some(name.split(['(', '<']).next()?.to_owned());
            }
            _ => return None,
        }
    }
    None
}

/// Compares the edges cargo knows with the table in ARCHITECTURE.md.
fn edge_problems() -> Result<Vec<String>, String> {
    let text = fs::read_to_string(crate::root().join("ARCHITECTURE.md"))
        .map_err(|error| format!("ARCHITECTURE.md: {error}"))?;
    let allowed = allowed_edges(&text);
    let mut problems = Vec::new();
    for (name, uses) in actual_edges()? {
        let Some(may) = allowed.get(&name) else {
            problems.push(format!(
                "crate {name} is not in ARCHITECTURE.md's table of edges"
            ));
            continue;
        };
        for used in uses.iter().filter(|used| !may.contains(used)) {
            problems.push(format!(
                "crate {name} uses {used}, which ARCHITECTURE.md does not allow it"
            ));
        }
    }
    Ok(problems)
}

/// Rows of the table whose head is `| crate | ring | may use |`.
fn allowed_edges(text: &str) -> BTreeMap<String, Vec<String>> {
    let words = |cell: &str| -> Vec<String> {
        let parts = cell.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_');
        parts
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()
    };
    text.lines()
        .skip_while(|line| !line.starts_with("| crate | ring | may use |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .filter_map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
            let name = words(cells.first()?).into_iter().next()?;
            Some((name, words(cells.get(2)?)))
        })
        .collect()
}

/// Which crates of the workspace each one uses, without what only its tests use.
fn actual_edges() -> Result<BTreeMap<String, Vec<String>>, String> {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .current_dir(crate::root())
        .output()
        .map_err(|error| format!("cargo metadata: {error}"))?;
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("cargo metadata gave no JSON: {error}"))?;
    let mut edges = BTreeMap::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let uses = package["dependencies"].as_array().into_iter().flatten();
        let uses = uses
            .filter(|d| d["path"].is_string() && d["kind"].as_str() != Some("dev"))
            .filter_map(|d| d["name"].as_str().map(str::to_owned));
        let name = package["name"].as_str().unwrap_or_default().to_owned();
        edges.insert(name, uses.collect());
    }
    Ok(edges)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_function_is_found() {
        let body = "    x();\n".repeat(FUNCTION_LINES_MAX);
        let text = format!("pub(crate) async fn long<T>(x: T) {{\n{body}}}\nfn short() {{\n}}\n");
        let found = long_functions(&text);
        assert_eq!(found, [("long".to_owned(), 1, FUNCTION_LINES_MAX + 2)]);
    }

    #[test]
    fn the_table_of_edges_is_read() {
        let text = "x\n| crate | ring | may use |\n|---|---|---|\n| `a` | 0 | nothing |\n\
                    | `b` | 1 | `a`, `c-d` |\n\nend";
        let edges = allowed_edges(text);
        assert_eq!(edges["b"], ["a", "c-d"]);
    }
}
