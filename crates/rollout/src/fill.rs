//! Fills templates: `{name}` is replaced by a value, `{formal|familiar}` by the form of address that is
//! spoken. What cannot be replaced is an error that names it, so that no letter leaves with a gap. Pure.

use crate::voice::Address;
use std::collections::BTreeMap;

/// What stands in the place of a name.
pub type Values<'v> = BTreeMap<&'static str, std::borrow::Cow<'v, str>>;

/// A template that cannot be filled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FillError {
    /// Nothing is known by this name.
    #[error("{{{0}}} stands for nothing; known are: {1}")]
    Unknown(String, String),
    /// A brace without its other.
    #[error("a brace near \"{0}\" has no other one")]
    Brace(String),
}

/// Fills `template`. Values are not looked through again: braces in them stay.
///
/// # Errors
/// `FillError`, where anything would remain unreplaced.
pub fn fill(template: &str, values: &Values<'_>, address: Address) -> Result<String, FillError> {
    let mut filled = String::with_capacity(template.len() * 2);
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(at);
        filled.push_str(before);
        let near = || FillError::Brace(from.chars().take(30).collect());
        let inner = from.strip_prefix('{').ok_or_else(near)?;
        let (name, after) = inner.split_once('}').ok_or_else(near)?;
        if name.contains('{') {
            return Err(near());
        }
        match name.split_once('|') {
            Some((formal, familiar)) => filled.push_str(match address {
                Address::Formal => formal,
                Address::Familiar => familiar,
            }),
            None => filled.push_str(values.get(name).ok_or_else(|| unknown(name, values))?),
        }
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

fn unknown(name: &str, values: &Values<'_>) -> FillError {
    let known: Vec<_> = values.keys().copied().collect();
    FillError::Unknown(name.to_owned(), known.join(", "))
}

/// Wraps paragraphs to lines of at most `width` characters where words allow it. Lines that begin with a
/// blank or that are links keep their form.
pub fn wrap(text: &str, width: usize) -> String {
    let mut wrapped = String::with_capacity(text.len() + 64);
    for line in text.lines() {
        let indent: String = line.chars().take_while(|c| *c == ' ').collect();
        let hanging = match line.trim_start().split_once(' ') {
            Some((mark, _)) if mark == "-" || is_number(mark) => mark.chars().count() + 1,
            _ => 0,
        };
        let mut column = 0;
        for word in line.split_whitespace() {
            let length = word.chars().count();
            if column == 0 {
                wrapped.push_str(&indent);
                column = indent.len();
            } else if column + 1 + length > width {
                wrapped.push('\n');
                wrapped.push_str(&indent);
                wrapped.extend(std::iter::repeat_n(' ', hanging));
                column = indent.len() + hanging;
            } else {
                wrapped.push(' ');
                column += 1;
            }
            wrapped.push_str(word);
            column += length;
        }
        wrapped.push('\n');
    }
    wrapped
}

/// `1.`, `12.`
fn is_number(word: &str) -> bool {
    word.strip_suffix('.')
        .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;

    fn values() -> Values<'static> {
        Values::from([
            ("provider", Cow::Borrowed("Rohr & Post")),
            ("odd", Cow::Borrowed("{provider}")),
        ])
    }

    #[test]
    fn names_and_forms_are_replaced_and_values_are_left_as_they_are() {
        let text = "{Bitte stellen Sie|Bitte stell} um. {provider} {odd}";
        let formal = fill(text, &values(), Address::Formal).unwrap();
        assert_eq!(formal, "Bitte stellen Sie um. Rohr & Post {provider}");
        let familiar = fill(text, &values(), Address::Familiar).unwrap();
        assert!(familiar.starts_with("Bitte stell um."), "{familiar}");
    }

    #[test]
    fn nothing_remains_unreplaced() {
        for broken in ["{nobody}", "{", "}", "a { b", "{a{provider}}", "{}"] {
            assert!(
                fill(broken, &values(), Address::Formal).is_err(),
                "{broken}"
            );
        }
    }

    #[test]
    fn lines_are_wrapped_between_words() {
        let text = "one two three four\n\n  1. five six seven\nhttps://a.test/very/long/one";
        assert_eq!(
            wrap(text, 12),
            "one two\nthree four\n\n  1. five\n     six\n     seven\nhttps://a.test/very/long/one\n"
        );
    }
}
