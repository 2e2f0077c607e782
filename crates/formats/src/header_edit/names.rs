//! Names of header fields and patterns over them, checked once where they are written down.
//! Pure; used by the actions.

use std::fmt;
use std::str::FromStr;

/// RFC 5322 §2.1.1 bounds the line; nobody names a field longer than this.
const NAME_BYTES_MAX: usize = 100;
/// Stars of one pattern; each can make matching look at the name once more.
const STARS_MAX: usize = 4;

/// Why a text names no field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no name of a header field; an example is X-Originating-IP")]
pub struct WrongName(String);

fn wrong(text: &str) -> WrongName {
    WrongName(text.chars().filter(|c| !c.is_control()).take(60).collect())
}

/// RFC 5322 §3.6.8 `ftext`.
fn is_ftext(byte: u8) -> bool {
    matches!(byte, 33..=57 | 59..=126)
}

/// The name of one field, as it shall be written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FieldName(Box<str>);

impl FieldName {
    /// The name without the colon.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for FieldName {
    type Err = WrongName;

    fn from_str(text: &str) -> Result<Self, WrongName> {
        let fits = (1..=NAME_BYTES_MAX).contains(&text.len())
            && text.bytes().all(|byte| is_ftext(byte) && byte != b'*');
        fits.then(|| Self(text.into())).ok_or_else(|| wrong(text))
    }
}

/// A name in which `*` stands for any number of characters; case does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NamePattern(Box<str>);

impl NamePattern {
    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the field `name` is meant. A line without a name never is.
    pub fn matches(&self, name: &[u8]) -> bool {
        !name.is_empty() && glob(self.0.as_bytes(), name)
    }
}

/// Greedy matching with one point of return, which is enough for `*`.
fn glob(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while let Some(&letter) = name.get(n) {
        match pattern.get(p) {
            Some(b'*') => {
                back = Some((p + 1, n));
                p += 1;
            }
            Some(wanted) if wanted.eq_ignore_ascii_case(&letter) => {
                p += 1;
                n += 1;
            }
            _ => match back {
                Some((after_star, from)) => {
                    back = Some((after_star, from + 1));
                    (p, n) = (after_star, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern
        .get(p..)
        .is_some_and(|rest| rest.iter().all(|&byte| byte == b'*'))
}

impl FromStr for NamePattern {
    type Err = WrongName;

    fn from_str(text: &str) -> Result<Self, WrongName> {
        let stars = text.bytes().filter(|&byte| byte == b'*').count();
        let fits = (1..=NAME_BYTES_MAX).contains(&text.len())
            && text.bytes().all(is_ftext)
            && stars <= STARS_MAX
            // A lone star would take the whole header away.
            && text.bytes().any(|byte| byte != b'*');
        fits.then(|| Self(text.into())).ok_or_else(|| wrong(text))
    }
}

macro_rules! as_text {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = WrongName;

            fn try_from(text: String) -> Result<Self, WrongName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

as_text!(FieldName);
as_text!(NamePattern);
