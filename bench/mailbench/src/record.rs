//! One JSON object of figures, in the order in which they were added. Scenarios build it, `main`
//! prints it as one line, `report.py` reads it. Never nested; a figure that is not finite is null.

use std::fmt;

/// The figures of one run, or a part of them.
#[derive(Default)]
pub(crate) struct Record {
    fields: Vec<(String, Value)>,
}

enum Value {
    Text(String),
    Count(u64),
    Figure { value: f64, digits: usize },
}

impl Record {
    /// A text, escaped as JSON needs it.
    pub(crate) fn text(self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.with(name, Value::Text(text.into()))
    }

    /// A whole number.
    pub(crate) fn count(self, name: impl Into<String>, count: impl TryInto<u64>) -> Self {
        let count = count.try_into().unwrap_or(u64::MAX);
        self.with(name, Value::Count(count))
    }

    /// A number printed with `digits` digits behind the point.
    pub(crate) fn figure(self, name: impl Into<String>, value: f64, digits: usize) -> Self {
        self.with(name, Value::Figure { value, digits })
    }

    /// All fields of `other` behind the ones that are there.
    pub(crate) fn and(mut self, other: Record) -> Self {
        self.fields.extend(other.fields);
        self
    }

    fn with(mut self, name: impl Into<String>, value: Value) -> Self {
        self.fields.push((name.into(), value));
        self
    }
}

impl fmt::Display for Record {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("{")?;
        for (index, (name, value)) in self.fields.iter().enumerate() {
            out.write_str(if index == 0 { "" } else { "," })?;
            write!(out, "\"{name}\":{value}")?;
        }
        out.write_str("}")
    }
}

impl fmt::Display for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) => quoted(text, out),
            Value::Count(count) => write!(out, "{count}"),
            Value::Figure { value, digits } if value.is_finite() => {
                write!(out, "{value:.digits$}")
            }
            Value::Figure { .. } => out.write_str("null"),
        }
    }
}

/// RFC 8259 section 7: quotation mark, backslash and control characters are escaped.
fn quoted(text: &str, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    out.write_str("\"")?;
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(out, "\\{c}")?,
            c if c < ' ' => write!(out, "\\u{:04x}", c as u32)?,
            c => write!(out, "{c}")?,
        }
    }
    out.write_str("\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_order_and_are_valid_json() {
        let record = Record::default()
            .text("cmd", "SEARCH \"a\\b\"\n")
            .count("n", 3_usize)
            .and(Record::default().figure("p50_ms", 1.23456, 3))
            .figure("none", f64::NAN, 1);
        let expected = r#"{"cmd":"SEARCH \"a\\b\"\u000a","n":3,"p50_ms":1.235,"none":null}"#;
        assert_eq!(record.to_string(), expected);
    }
}
