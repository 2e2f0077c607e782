//! The sample file and the reference page, made from the settings table, so that neither can lie.

use super::{DESCRIPTIONS, listeners};
use std::fmt::Write;

/// Columns of a comment in the sample file.
const COMMENT_COLUMNS: usize = 88;

/// A settings file with every setting commented out at its default.
pub(crate) fn sample_file() -> String {
    let mut out = String::from(
        "# Settings of one Rohrpost node. Every line shows its default; remove the # to change it.\n\
         # Made by `rohrpost settings sample`.\n",
    );
    let mut section = "";
    for d in DESCRIPTIONS {
        let (head, key) = d.name.split_once('.').unwrap_or(("", d.name));
        if head != section {
            let _ = write!(out, "\n[{head}]\n");
            section = head;
        }
        out.push('\n');
        wrap(&mut out, d.doc);
        let limits = d
            .limits
            .map_or(String::new(), |(min, max)| format!(", from {min} to {max}"));
        let _ = writeln!(out, "# Type: {}{limits}. Read {}.", d.kind, d.read.words());
        let _ = writeln!(out, "#{key} = {}", d.default);
    }
    out.push_str("\n# Where connections are taken. Without any, the ports 25, 587, 465, 143, 993, 110, 995.\n#[[listener]]\n");
    for (key, kind, example, doc) in listeners::KEYS {
        wrap(&mut out, doc);
        let _ = writeln!(out, "# Type: {kind}.\n#{key} = {example}");
    }
    out
}

/// The reference page in Markdown.
pub(crate) fn reference_page() -> String {
    let mut out = String::from(
        "# Settings\n\nMade by `rohrpost settings reference`; do not edit.\n\nA node's own file \
         holds what it needs before it can open the store. An unknown or bad setting is an error \
         with its line; the server does not start then.\n",
    );
    for d in DESCRIPTIONS {
        let _ = write!(out, "\n## {}\n\n{}\n\n", d.name, d.doc);
        let _ = writeln!(out, "- Type: {}", d.kind);
        let _ = writeln!(out, "- Default: `{}`", d.default);
        if let Some((min, max)) = d.limits {
            let _ = writeln!(out, "- From {min} to {max}");
        }
        let _ = writeln!(out, "- Read {}", d.read.words());
    }
    out.push_str("\n## [[listener]]\n\nWhere connections are taken; may stand several times. Without any, the ports 25 (mx), 587 and 465 (submission), 143 and 993 (IMAP), 110 and 995 (POP3) on all addresses.\n\n");
    for (key, kind, example, doc) in listeners::KEYS {
        let _ = writeln!(out, "- `{key}` ({kind}), for example `{example}`: {doc}");
    }
    out
}

fn wrap(out: &mut String, text: &str) {
    let mut column = 0;
    for word in text.split(' ') {
        if column == 0 || column + 1 + word.len() > COMMENT_COLUMNS {
            if column > 0 {
                out.push('\n');
            }
            out.push('#');
            column = 1;
        }
        out.push(' ');
        out.push_str(word);
        column += 1 + word.len();
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::super::file::parse;
    use super::*;

    #[test]
    fn the_sample_file_is_valid_with_and_without_its_comments() {
        assert!(parse(&sample_file()).is_ok());
        let open: String = sample_file()
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(rest) if !rest.starts_with(' ') => format!("{rest}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        let problems = parse(&open).err();
        assert!(problems.is_none(), "{problems:?}\n{open}");
    }

    #[test]
    fn the_reference_page_in_the_docs_is_this_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/settings.md");
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == reference_page(),
            "run `cargo xtask docs` and commit docs/settings.md"
        );
    }
}
