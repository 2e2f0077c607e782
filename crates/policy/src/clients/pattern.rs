//! Patterns of the catalogue: how a client shows itself, `Microsoft Outlook {version}` or `NPI{hex:6}`. Pure; linear
//! in the text but for `*`, quadratic at worst; both lengths are bounded. Used by `entry` and `catalogue`.

/// Longest pattern, in bytes.
pub(super) const PATTERN_BYTES_MAX: usize = 120;
/// What a client says of itself is looked at up to here, in bytes.
pub const HINT_BYTES_MAX: usize = 200;

/// One pattern: whole text, letters in either case. `*` is anything, `{hex:6}` six hexadecimal digits,
/// `{digits}` one or more digits, `{version}` a version, which begins with a digit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: Box<str>,
    parts: Box<[Part]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// In lower case.
    Literal(Box<[u8]>),
    Any,
    Hex(usize),
    Digits,
    Version,
}

/// How a text fits a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fit<'t> {
    /// What stood for `{version}`.
    pub version: Option<&'t str>,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it, for an operator.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.len() > PATTERN_BYTES_MAX {
            return Err(format!(
                "a pattern has 1 to {PATTERN_BYTES_MAX} bytes: \"{text}\""
            ));
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['*', '{']) {
            let (literal, special) = rest.split_at(at);
            push_literal(&mut parts, literal);
            rest = match special.strip_prefix('*') {
                Some(after) => {
                    parts.push(Part::Any);
                    after
                }
                None => {
                    let (word, after) = special
                        .strip_prefix('{')
                        .and_then(|inner| inner.split_once('}'))
                        .ok_or_else(|| format!("\"{text}\" has a {{ without its }}"))?;
                    parts.push(placeholder(word).ok_or_else(|| {
                        format!(
                            "\"{text}\" has {{{word}}}; known are {{version}}, {{digits}} and {{hex:6}}"
                        )
                    })?);
                    after
                }
            };
        }
        push_literal(&mut parts, rest);
        if parts.iter().all(|part| *part == Part::Any) {
            return Err(format!(
                "\"{text}\" fits everything, and so would every client"
            ));
        }
        Ok(Self {
            text: text.into(),
            parts: parts.into(),
        })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether its end is fixed. A fingerprint ends with the hash that tells one program's TLS from another's; one
    /// without it is a family's.
    pub fn has_fixed_end(&self) -> bool {
        self.parts.last() != Some(&Part::Any)
    }

    /// How `text` fits. Only its first `HINT_BYTES_MAX` bytes count.
    pub fn fit<'t>(&self, text: &'t str) -> Option<Fit<'t>> {
        let text = cut(text);
        let bytes = text.as_bytes();
        let mut at = 0;
        let mut part = 0;
        let mut version = None;
        // Where to go on if what follows the last `*` does not fit: that `*` then takes one byte more.
        let mut retry = None;
        loop {
            let step = match self.parts.get(part) {
                None if at == bytes.len() => return Some(Fit { version }),
                None => None,
                Some(Part::Any) => {
                    at = self.next_start(part, bytes, at)?;
                    retry = Some((part, at));
                    part += 1;
                    continue;
                }
                Some(other) => other.take(bytes.get(at..).unwrap_or_default()),
            };
            if let Some(taken) = step {
                if self.parts.get(part) == Some(&Part::Version) {
                    version = text.get(at..at + taken);
                }
                at += taken;
                part += 1;
                continue;
            }
            let (star, from) = retry?;
            if from >= bytes.len() {
                return None;
            }
            let from = self.next_start(star, bytes, from + 1)?;
            retry = Some((star, from));
            (part, at) = (star + 1, from);
        }
    }

    /// Where, from `from` on, what follows the `*` at `star` may begin; most texts lack its first letter, so this is
    /// where most patterns end.
    fn next_start(&self, star: usize, bytes: &[u8], from: usize) -> Option<usize> {
        let Some(Part::Literal(literal)) = self.parts.get(star + 1) else {
            return Some(from);
        };
        let first = *literal.first()?;
        let rest = bytes.get(from..)?;
        let found = memchr::memchr2(first, first.to_ascii_uppercase(), rest)?;
        Some(from + found)
    }
}

impl Part {
    /// How many of the first bytes it takes; always as many as it can.
    fn take(&self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Literal(literal) => bytes
                .get(..literal.len())
                .filter(|start| start.eq_ignore_ascii_case(literal))
                .map(<[u8]>::len),
            Self::Any => None,
            Self::Hex(count) => bytes
                .get(..*count)
                .filter(|start| start.iter().all(u8::is_ascii_hexdigit))
                .map(<[u8]>::len),
            Self::Digits => {
                let digits = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
                (digits > 0).then_some(digits)
            }
            Self::Version => {
                let of_version = |b: &&u8| b.is_ascii_alphanumeric() || **b == b'.';
                let taken = bytes.iter().take_while(of_version).count();
                (taken > 0 && bytes.first().is_some_and(u8::is_ascii_digit)).then_some(taken)
            }
        }
    }
}

fn push_literal(parts: &mut Vec<Part>, text: &str) {
    if !text.is_empty() {
        let lower = text.to_ascii_lowercase().into_bytes();
        parts.push(Part::Literal(lower.into()));
    }
}

fn placeholder(word: &str) -> Option<Part> {
    match word {
        "version" => Some(Part::Version),
        "digits" => Some(Part::Digits),
        other => {
            let count = other.strip_prefix("hex:")?.parse().ok()?;
            (1..=32).contains(&count).then_some(Part::Hex(count))
        }
    }
}

/// The first bytes of a text, ending between two characters.
pub(super) fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(HINT_BYTES_MAX))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_the_whole_text_in_either_case() {
        let pattern = Pattern::parse("Microsoft Outlook {version}").unwrap();
        let fit = pattern.fit("microsoft OUTLOOK 14.0").unwrap();
        assert_eq!(fit.version, Some("14.0"));
        assert_eq!(pattern.fit("Microsoft Outlook"), None);
        assert_eq!(pattern.fit("My Microsoft Outlook 14.0"), None);
        assert_eq!(pattern.fit("Microsoft Outlook Express 6"), None);
    }

    #[test]
    fn a_star_tries_again_further_on() {
        let pattern = Pattern::parse("*Thunderbird/{version}*").unwrap();
        let text = "Mozilla/5.0 (X11; Thunderbird) Gecko Thunderbird/45.8.0 x";
        assert_eq!(pattern.fit(text).unwrap().version, Some("45.8.0"));
        assert_eq!(pattern.fit("Thunderbird/"), None);
        let device = Pattern::parse("NPI{hex:6}*").unwrap();
        assert!(device.fit("NPI8a3F21.local").is_some());
        assert!(device.fit("NPI8a3G21").is_none());
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for wrong in ["", "*", "**", "{version", "{what}", "{hex:0}", "{hex:99}"] {
            assert!(Pattern::parse(wrong).is_err(), "{wrong}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_takes_long_or_breaks_it(text in ".{0,400}") {
            for pattern in ["*a*a*a*a*b", "*{version}*{digits}x", "{hex:4}*"] {
                let _either = Pattern::parse(pattern).unwrap().fit(&text);
            }
        }
    }
}
