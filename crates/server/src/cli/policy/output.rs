//! How results are printed: columns for people, JSON for programs.

use clap::Args;
use formats::rfc3339;
use platform::clock::Timestamp;
use policy::measure::Zone;

/// How results are printed.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Format {
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

impl Format {
    /// Whether JSON is wanted.
    pub(in crate::cli) fn is_json(self) -> bool {
        self.json
    }
}

/// A value as JSON, or the text `plain` makes.
pub(in crate::cli) fn shown(
    format: Format,
    value: &serde_json::Value,
    plain: impl FnOnce() -> String,
) -> Result<String, String> {
    if !format.json {
        return Ok(plain());
    }
    let json = serde_json::to_string_pretty(value);
    json.map(|text| text + "\n")
        .map_err(|error| error.to_string())
}

/// Rows in columns wide enough for what is in them, under their headings. Of a text with several lines the
/// first is shown.
pub(in crate::cli) fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let head: Vec<String> = headings.iter().map(ToString::to_string).collect();
    let all = std::iter::once(&head).chain(rows);
    let shown = |cell: &String| cell.lines().next().unwrap_or_default().to_owned();
    let width = |column: usize| {
        let cells = all.clone().filter_map(|row| row.get(column));
        cells
            .map(|cell| shown(cell).chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let mut text = String::new();
    for row in all.clone() {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{:<width$}  ", shown(cell)));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A time without its fraction.
pub(in crate::cli) fn time(at: Timestamp) -> String {
    rfc3339::format(Timestamp::from_seconds(at.seconds()).0)
}

/// A time as the API says it, in milliseconds since 1970.
pub(in crate::cli) fn ms(text: &str) -> i64 {
    rfc3339::parse(text).unwrap_or_default()
}

/// A time as the API says it, without its fraction.
pub(in crate::cli) fn moment(text: &str) -> String {
    time(Timestamp(ms(text)))
}

/// The same as the clocks of the installation's time zone show it.
pub(in crate::cli) fn local(text: &str, zone: &str) -> String {
    let zone = Zone::named(zone).unwrap_or_default();
    zone.shown(Timestamp(ms(text)))
}

/// `-` for nothing.
pub(in crate::cli) fn or_dash(text: &str) -> String {
    if text.is_empty() { "-" } else { text }.to_owned()
}
