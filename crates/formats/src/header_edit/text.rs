//! Values of fields that actions write, and the one-line form of an action that operators type:
//! `remove [first|last|N|all] NAME`, `replace [..] NAME: VALUE`, `rename [..] NAME TO`,
//! `add NAME: VALUE`, `prepend NAME: VALUE`. Pure.

use super::{Action, FieldName, NamePattern, Which, WrongName};
use crate::header::write_field;
use std::fmt;
use std::str::FromStr;

/// A value; longer ones belong into the body.
const VALUE_BYTES_MAX: usize = 2_000;
/// RFC 2047 §2: an encoded word has at most 75 characters; 45 bytes become 60 of base64.
const ENCODED_BYTES_MAX: usize = 45;

/// Why a text is no action or no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WrongAction {
    /// Not one of the five verbs, or something is missing behind it.
    #[error(
        "write remove [first|last|N|all] NAME, replace [first|last|N|all] NAME: VALUE, \
         rename [first|last|N|all] NAME NEW-NAME, add NAME: VALUE or prepend NAME: VALUE"
    )]
    Shape,
    /// A name is none.
    #[error(transparent)]
    Name(#[from] WrongName),
    /// A value holds control characters or is longer than 2,000 bytes.
    #[error("a value has at most 2,000 bytes and no control characters")]
    Value,
}

/// The value of a field an action writes: one line of text, no control characters. Text beyond ASCII
/// is written as encoded words (RFC 2047).
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FieldText(Box<str>);

impl FieldText {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The whole field with this value, folded, with CRLF.
    pub(super) fn field(&self, name: &str) -> Vec<u8> {
        let mut out = Vec::with_capacity(name.len() + self.0.len() + 8);
        if self.0.is_ascii() {
            write_field(&mut out, name, &self.0);
        } else {
            write_field(&mut out, name, &encoded(&self.0));
        }
        out
    }
}

/// RFC 2047 §4.1 with the charset UTF-8; white space between two words is not part of the text.
fn encoded(text: &str) -> String {
    let mut words = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (head, tail) = rest.split_at(rest.floor_char_boundary(ENCODED_BYTES_MAX));
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str("=?utf-8?B?");
        base64_to(&mut words, head.as_bytes());
        words.push_str("?=");
        rest = tail;
    }
    words
}

/// RFC 4648 §4.
fn base64_to(out: &mut String, bytes: &[u8]) {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let byte = |n: usize| u32::from(chunk.get(n).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for n in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * n) & 63) as usize];
            out.push(if n <= chunk.len() {
                char::from(letter)
            } else {
                '='
            });
        }
    }
}

impl FromStr for FieldText {
    type Err = WrongAction;

    fn from_str(text: &str) -> Result<Self, WrongAction> {
        let fits = text.len() <= VALUE_BYTES_MAX && !text.chars().any(char::is_control);
        fits.then(|| Self(text.trim().into()))
            .ok_or(WrongAction::Value)
    }
}

impl TryFrom<String> for FieldText {
    type Error = WrongAction;

    fn try_from(text: String) -> Result<Self, WrongAction> {
        text.parse()
    }
}

impl From<FieldText> for String {
    fn from(text: FieldText) -> Self {
        text.0.into()
    }
}

impl fmt::Display for FieldText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::First => f.write_str("first"),
            Self::Nth(n) => write!(f, "{n}"),
            Self::Last => f.write_str("last"),
            Self::All => f.write_str("all"),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remove { name, which } => write!(f, "remove {which} {name}"),
            Self::Replace { name, which, value } => write!(f, "replace {which} {name}: {value}"),
            Self::Rename { name, which, to } => write!(f, "rename {which} {name} {to}"),
            Self::Add { name, value } => write!(f, "add {name}: {value}"),
            Self::Prepend { name, value } => write!(f, "prepend {name}: {value}"),
        }
    }
}

/// A word and the rest.
fn word(text: &str) -> (&str, &str) {
    let text = text.trim();
    match text.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, rest.trim_start()),
        None => (text, ""),
    }
}

/// `first`, `last`, `all`, a number from 1; where none of these comes, all are meant.
fn which(text: &str) -> (Which, &str) {
    let (head, rest) = word(text);
    let which = match head {
        "first" => Which::First,
        "last" => Which::Last,
        "all" => Which::All,
        number => match number.parse() {
            Ok(n) if n > 0 => Which::Nth(n),
            _ => return (Which::All, text),
        },
    };
    (which, rest)
}

fn name_and_value<N: FromStr<Err = WrongName>>(text: &str) -> Result<(N, FieldText), WrongAction> {
    let (name, value) = text.split_once(':').ok_or(WrongAction::Shape)?;
    Ok((name.trim().parse()?, value.parse()?))
}

impl FromStr for Action {
    type Err = WrongAction;

    fn from_str(text: &str) -> Result<Self, WrongAction> {
        let (verb, rest) = word(text);
        match verb {
            "remove" => {
                let (which, rest) = which(rest);
                let name: NamePattern = rest.trim_end_matches(':').parse()?;
                Ok(Self::Remove { name, which })
            }
            "replace" => {
                let (which, rest) = which(rest);
                let (name, value) = name_and_value(rest)?;
                Ok(Self::Replace { name, which, value })
            }
            "rename" => {
                let (which, rest) = which(rest);
                let (name, to) = word(rest);
                let (name, to): (NamePattern, FieldName) = (name.parse()?, to.parse()?);
                Ok(Self::Rename { name, which, to })
            }
            "add" => name_and_value(rest).map(|(name, value)| Self::Add { name, value }),
            "prepend" => name_and_value(rest).map(|(name, value)| Self::Prepend { name, value }),
            _ => Err(WrongAction::Shape),
        }
    }
}
