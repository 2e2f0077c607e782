//! A DMARC record (RFC 9989 §4.7): read with all its tags, so that a step changes the policy and nothing else.
//! What RFC 9989 removed is dropped and named. Pure.

use std::fmt;

/// Longest record that is read, in bytes.
pub const RECORD_BYTES_MAX: usize = 2048;
/// Most tags of one record.
const TAGS_MAX: usize = 32;
/// Tags of RFC 7489 that RFC 9989 no longer knows (its appendix C).
const REMOVED: &[&str] = &["pct", "rf", "ri"];

/// What receivers are asked to do with mail that does not prove to be the domain's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wish {
    /// Nothing; only report.
    None,
    /// Put it among the spam.
    Quarantine,
    /// Refuse it.
    Reject,
}

impl Wish {
    /// Every wish, the mildest first.
    pub const ALL: [Self; 3] = [Self::None, Self::Quarantine, Self::Reject];

    /// The word in a record.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        }
    }

    /// The wish with this word, in any case.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|wish| wish.word().eq_ignore_ascii_case(word))
    }

    /// The next stricter one.
    pub fn stricter(self) -> Option<Self> {
        match self {
            Self::None => Some(Self::Quarantine),
            Self::Quarantine => Some(Self::Reject),
            Self::Reject => None,
        }
    }
}

/// Whether receivers should act one level milder (`t=y`, RFC 9989 §4.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Testing {
    /// They should.
    Yes,
    /// They should do what the record says.
    No,
}

/// Why a text is no DMARC record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It does not begin with the version.
    #[error("a DMARC record begins with v=DMARC1")]
    Version,
    /// It is longer, or has more tags, than any record needs.
    #[error("the record is longer than a DMARC record can sensibly be")]
    TooLong,
    /// A part is no `name=value`, or has letters no record has.
    #[error("\"{0}\" is no tag of a DMARC record")]
    Tag(String),
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Name and value, in order, without the version.
    tags: Vec<(String, String)>,
}

impl Record {
    /// The first record of a domain that has none: asks for nothing but reports to `address`.
    pub fn first(address: &str) -> Self {
        Self {
            tags: vec![
                ("p".into(), Wish::None.word().into()),
                ("rua".into(), format!("mailto:{address}")),
            ],
        }
    }

    /// Reads a record.
    ///
    /// # Errors
    /// Where it is none; a receiver would ignore it, too.
    pub fn parse(text: &str) -> Result<Self, RecordError> {
        if text.len() > RECORD_BYTES_MAX {
            return Err(RecordError::TooLong);
        }
        let mut parts = text.split(';').map(str::trim);
        let version = parts.next().and_then(|part| part.split_once('='));
        let is_version =
            version.is_some_and(|(name, value)| name.trim() == "v" && value.trim() == "DMARC1");
        if !is_version {
            return Err(RecordError::Version);
        }
        let mut tags = Vec::new();
        for part in parts.filter(|part| !part.is_empty()) {
            let bad = || RecordError::Tag(part.chars().take(40).collect());
            let (name, value) = part.split_once('=').ok_or_else(bad)?;
            let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
            let plain = |letter: char| letter == ' ' || letter.is_ascii_graphic();
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric()) {
                return Err(bad());
            }
            if !value.chars().all(plain) {
                return Err(bad());
            }
            if tags.len() >= TAGS_MAX {
                return Err(RecordError::TooLong);
            }
            tags.push((name, value.to_owned()));
        }
        Ok(Self { tags })
    }

    fn value(&self, wanted: &str) -> Option<&str> {
        let tag = self.tags.iter().find(|(name, _)| name == wanted)?;
        Some(&tag.1)
    }

    /// What it asks for the domain itself; what nobody knows means nothing.
    pub fn wish(&self) -> Wish {
        self.value("p")
            .and_then(Wish::from_word)
            .unwrap_or(Wish::None)
    }

    /// What it asks for subdomains without a record of their own; what nobody knows means what holds for the domain.
    pub fn subdomain_wish(&self) -> Wish {
        let own = self.value("sp").and_then(Wish::from_word);
        own.unwrap_or_else(|| self.wish())
    }

    /// Whether it is a trial.
    pub fn testing(&self) -> Testing {
        match self.value("t") {
            Some(value) if value.eq_ignore_ascii_case("y") => Testing::Yes,
            _ => Testing::No,
        }
    }

    /// Where aggregate reports are wanted.
    pub fn reports_to(&self) -> Vec<&str> {
        let all = self.value("rua").unwrap_or_default();
        all.split(',')
            .map(str::trim)
            .filter(|uri| !uri.is_empty())
            .collect()
    }

    /// Tags it has that RFC 9989 no longer knows.
    pub fn removed_tags(&self) -> Vec<&str> {
        let names = self.tags.iter().map(|(name, _)| name.as_str());
        names.filter(|name| REMOVED.contains(name)).collect()
    }

    /// The same with another wish; `t=y` stands only where it is a trial, removed tags go, and where
    /// nobody gets reports `address` does.
    pub fn with(&self, wish: Wish, testing: Testing, address: &str) -> Self {
        let replaced = ["p", "t"];
        let mut tags = vec![("p".to_owned(), wish.word().to_owned())];
        if testing == Testing::Yes {
            tags.push(("t".into(), "y".into()));
        }
        let kept = self.tags.iter().filter(|(name, _)| {
            !replaced.contains(&name.as_str()) && !REMOVED.contains(&name.as_str())
        });
        tags.extend(kept.cloned());
        if self.reports_to().is_empty() {
            tags.retain(|(name, _)| name != "rua");
            tags.push(("rua".into(), format!("mailto:{address}")));
        }
        Self { tags }
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("v=DMARC1")?;
        for (name, value) in &self.tags {
            write!(f, "; {name}={value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_changes_the_policy_and_nothing_else() {
        let text =
            "v=DMARC1; p=none; sp=reject; adkim=s; pct=50; rua=mailto:d@firma.test,mailto:x@y.test";
        let record = Record::parse(text).unwrap();
        assert_eq!((record.wish(), record.testing()), (Wish::None, Testing::No));
        assert_eq!(record.removed_tags(), ["pct"]);
        assert_eq!(
            record
                .with(Wish::Quarantine, Testing::Yes, "ours@rp.test")
                .to_string(),
            "v=DMARC1; p=quarantine; t=y; sp=reject; adkim=s; rua=mailto:d@firma.test,mailto:x@y.test"
        );
        let trial = record.with(Wish::Quarantine, Testing::Yes, "ours@rp.test");
        assert_eq!(trial.testing(), Testing::Yes);
        assert_eq!(
            trial
                .with(Wish::Quarantine, Testing::No, "ours@rp.test")
                .testing(),
            Testing::No
        );
    }

    #[test]
    fn a_domain_that_gets_no_reports_gets_them() {
        let record = Record::parse("v=DMARC1;p=none").unwrap();
        assert!(record.reports_to().is_empty());
        let next = record.with(Wish::None, Testing::No, "d@rp.test");
        assert_eq!(next.to_string(), "v=DMARC1; p=none; rua=mailto:d@rp.test");
        assert_eq!(Record::first("d@rp.test"), next);
    }

    #[test]
    fn what_is_no_record_is_refused() {
        for (text, why) in [
            ("", RecordError::Version),
            ("v=spf1 -all", RecordError::Version),
            ("p=none; v=DMARC1", RecordError::Version),
            ("v=DMARC1; p", RecordError::Tag("p".into())),
            ("v=DMARC1; p=\u{1}", RecordError::Tag("p=\u{1}".into())),
        ] {
            assert_eq!(Record::parse(text), Err(why), "{text}");
        }
        let long = format!("v=DMARC1; rua={}", "m".repeat(RECORD_BYTES_MAX));
        assert_eq!(Record::parse(&long), Err(RecordError::TooLong));
    }
}
