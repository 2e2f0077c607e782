//! How results are printed: columns for people, JSON for programs.

use super::Format;
use serde::Serialize;

/// The value as JSON, or the text `plain` makes of it.
pub(super) fn value<T: Serialize>(
    format: Format,
    value: &T,
    plain: impl FnOnce(&T) -> String,
) -> String {
    match format.json {
        true => serde_json::to_string_pretty(value).unwrap_or_default() + "\n",
        false => plain(value),
    }
}

/// What was changed, as sentences.
pub(super) fn sentences(format: Format, sentences: Vec<String>) -> String {
    value(format, &serde_json::json!({ "changes": sentences }), |_| {
        if sentences.is_empty() {
            return "Nothing changes.\n".to_owned();
        }
        sentences
            .iter()
            .map(|sentence| capitalised(sentence) + ".\n")
            .collect()
    })
}

/// One sentence about what was done, or a JSON list with it.
pub(super) fn done(format: Format, sentence: String) -> String {
    sentences(format, vec![sentence])
}

fn capitalised(sentence: &str) -> String {
    let mut chars = sentence.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().collect::<String>() + chars.as_str()
    })
}

/// Rows in columns wide enough for what is in them, under their headings.
pub(super) fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let head: Vec<String> = headings.iter().map(ToString::to_string).collect();
    let all = std::iter::once(&head).chain(rows);
    let width = |column: usize| {
        all.clone()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let mut text = String::new();
    for row in all.clone() {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:<width$}  "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// `name: value` lines; values that are nothing are left out.
pub(super) fn fields(fields: &[(&str, Option<String>)]) -> String {
    let given = fields
        .iter()
        .filter_map(|(name, value)| Some((name, value.as_ref()?)));
    given
        .map(|(name, value)| format!("{:<12}{value}\n", format!("{name}:")))
        .collect()
}

/// The date of a time that the API told, in UTC.
pub(super) fn date(time: &str) -> String {
    time.chars().take(10).collect()
}

/// `-` for nothing.
pub(super) fn or_dash(value: Option<&String>) -> String {
    value.cloned().unwrap_or_else(|| "-".to_owned())
}
