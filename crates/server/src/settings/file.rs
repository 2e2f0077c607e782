//! Reads a settings file: every key must be known, every value of its type and within its limits.
//! A problem names the line, what was expected and an example; all problems are told at once.

use super::types::{Raw, Value};
use super::{DESCRIPTIONS, Settings, listeners};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// Something wrong in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Line in the file, from 1; 0 where the fault is not in a line.
    pub line: usize,
    /// What is wrong, what was expected, an example.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            return f.write_str(&self.text);
        }
        write!(f, "line {}: {}", self.line, self.text)
    }
}

/// Keys of one table, each with its line.
pub(super) type Keys = BTreeMap<String, (usize, Raw)>;

/// What is written in the file, with lines.
#[derive(Debug, Default)]
pub(super) struct Written {
    values: Keys,
    pub(super) listeners: Vec<(usize, Keys)>,
}

impl Written {
    /// The typed value of `name`; adds to `problems` where it is bad.
    pub(super) fn value<T: Value>(
        &self,
        name: &str,
        default: &str,
        limits: Option<(&str, &str)>,
        problems: &mut Vec<Problem>,
    ) -> Option<T> {
        let (line, raw) = match self.values.get(name) {
            Some((line, raw)) => (*line, raw.clone()),
            None => (0, default_raw(default)),
        };
        match T::read(&raw).and_then(|value| within(value, limits)) {
            Ok(value) => Some(value),
            Err(text) => {
                problems.push(Problem {
                    line,
                    text: format!("{name}: {text}; example: {} = {default}", key(name)),
                });
                None
            }
        }
    }
}

fn key(name: &str) -> &str {
    name.split_once('.').map_or(name, |(_, key)| key)
}

fn within<T: Value>(value: T, limits: Option<(&str, &str)>) -> Result<T, String> {
    let Some((min, max)) = limits else {
        return Ok(value);
    };
    let (low, high) = (T::limit(min)?.order(), T::limit(max)?.order());
    if value.order() < low || value.order() > high {
        return Err(format!("must lie between {min} and {max}"));
    }
    Ok(value)
}

fn default_raw(default: &str) -> Raw {
    DeValue::parse(default).map_or(Raw::Other("nothing"), |value| raw(value.get_ref()))
}

fn raw(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Integer(number) => number
            .as_str()
            .parse()
            .map_or(Raw::Other("a number that is too large"), Raw::Number),
        DeValue::Boolean(on) => Raw::Switch(*on),
        DeValue::Array(items) => {
            let texts = items.iter().map(|item| match item.get_ref() {
                DeValue::String(text) => Some(text.to_string()),
                _ => None,
            });
            texts
                .collect::<Option<Vec<_>>>()
                .map_or(Raw::Other("a mixed list"), Raw::List)
        }
        DeValue::Float(_) => Raw::Other("a fraction"),
        DeValue::Datetime(_) => Raw::Other("a date"),
        DeValue::Table(_) => Raw::Other("a table"),
    }
}

/// Reads the file at `path`.
///
/// # Errors
/// All problems found, each with line, expectation and example. Nothing is half-configured.
pub(crate) fn load(path: &Path) -> Result<Settings, Vec<Problem>> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        vec![Problem {
            line: 0,
            text: format!(
                "cannot read the settings file {}: {error}; `rohrpost settings sample` prints one \
                 to begin with",
                path.display()
            ),
        }]
    })?;
    parse(&text)
}

/// Reads settings from text.
pub(crate) fn parse(text: &str) -> Result<Settings, Vec<Problem>> {
    let line_of = |span: Range<usize>| {
        text[..span.start.min(text.len())].lines().count().max(1)
            + usize::from(text[..span.start.min(text.len())].ends_with('\n'))
    };
    let table = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(0, line_of);
        vec![Problem {
            line,
            text: format!("not valid TOML: {}", error.message()),
        }]
    })?;
    let mut written = Written::default();
    let mut problems = Vec::new();
    for (section, value) in table.get_ref() {
        let line = line_of(section.span());
        match (section.get_ref().as_ref(), value.get_ref()) {
            ("listener", DeValue::Array(items)) => {
                for item in items.iter() {
                    let line = line_of(item.span());
                    let DeValue::Table(keys) = item.get_ref() else {
                        continue;
                    };
                    let keys = keys.iter().map(|(key, value)| {
                        (
                            key.get_ref().to_string(),
                            (line_of(key.span()), raw(value.get_ref())),
                        )
                    });
                    written.listeners.push((line, keys.collect()));
                }
            }
            (name, DeValue::Table(keys)) => {
                for (key, value) in keys {
                    let full = format!("{name}.{}", key.get_ref());
                    let at = line_of(key.span());
                    if DESCRIPTIONS.iter().all(|d| d.name != full) {
                        problems.push(unknown(at, &full));
                    }
                    written.values.insert(full, (at, raw(value.get_ref())));
                }
            }
            (name, _) => problems.push(unknown(line, name)),
        }
    }
    match Settings::resolve(&written) {
        Ok(settings) if problems.is_empty() => Ok(settings),
        Ok(_) => Err(problems),
        Err(more) => {
            problems.extend(more);
            problems.sort_by_key(|p| p.line);
            Err(problems)
        }
    }
}

fn unknown(line: usize, name: &str) -> Problem {
    let names = DESCRIPTIONS
        .iter()
        .map(|d| d.name)
        .chain(listeners::KEYS.iter().map(|k| k.0));
    let section = |name: &str| name.split_once('.').map(|(section, _)| section.to_owned());
    // A name of the same section is meant more often than a shorter one elsewhere.
    let near = names.min_by_key(|known| (section(known) != section(name), distance(known, name)));
    let example = DESCRIPTIONS.iter().find(|d| Some(d.name) == near);
    let hint = example.map_or(String::new(), |d| {
        format!(
            "; did you mean {}? Example: {} = {}",
            d.name,
            key(d.name),
            d.default
        )
    });
    Problem {
        line,
        text: format!("there is no setting {name}{hint}"),
    }
}

/// Edit distance, for "did you mean".
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let here = row[j + 1];
            row[j + 1] = (diagonal + usize::from(x != y))
                .min(here + 1)
                .min(row[j] + 1);
            diagonal = here;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        parse(text)
            .unwrap_err()
            .iter()
            .map(Problem::to_string)
            .collect()
    }

    #[test]
    fn an_empty_file_is_all_defaults() {
        let settings = parse("").unwrap();
        assert_eq!(settings.message_size_max.0, 50 << 20);
        assert_eq!(settings.listeners.len(), 9);
    }

    #[test]
    fn an_unknown_setting_names_its_line_and_the_near_one() {
        let found = problems("[node]\nhost_name = \"mx.rp.test\"\n\n[smtp]\nmesage_size_max = 3\n");
        assert_eq!(found.len(), 1);
        assert!(
            found[0].starts_with("line 5: there is no setting smtp.mesage_size_max"),
            "{found:?}"
        );
        assert!(found[0].contains("smtp.message_size_max"), "{found:?}");
    }

    #[test]
    fn a_bad_value_says_what_was_expected() {
        let found = problems("[smtp]\nmessage_size_max = \"50 Megs\"\nrecipients_max = 7\n");
        assert!(
            found[0].contains("line 2") && found[0].contains("50 MiB"),
            "{found:?}"
        );
        assert!(found[1].contains("between 100 and 50000"), "{found:?}");
    }

    #[test]
    fn broken_toml_names_its_line() {
        assert!(problems("[smtp]\nx = = 3\n")[0].starts_with("line 2: not valid TOML"));
    }

    #[test]
    fn every_default_is_within_its_own_limits() {
        assert!(parse("").is_ok());
    }
}
