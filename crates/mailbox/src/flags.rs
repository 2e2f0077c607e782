//! Flags and keywords of a message, and how a change is worked out. Pure.
//!
//! System flags are bits; keywords are text in the row, because few messages have any. Keywords are
//! compared without case (RFC 3501 §2.3.2) and keep the spelling the mailbox saw first.

use crate::error::Error;
use crate::limits::{KEYWORD_BYTES_MAX, KEYWORDS_MAX, KEYWORDS_PER_MESSAGE_MAX};
use std::ops::{BitOr, BitOrAssign};

/// The system flags of a message (RFC 3501 §2.3.2), without \Recent, which belongs to sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Flags(u8);

impl Flags {
    /// No flag.
    pub const NONE: Flags = Flags(0);
    /// \Seen: it was read.
    pub const SEEN: Flags = Flags(1);
    /// \Answered.
    pub const ANSWERED: Flags = Flags(2);
    /// \Flagged: marked for attention.
    pub const FLAGGED: Flags = Flags(4);
    /// \Deleted: goes with the next EXPUNGE.
    pub const DELETED: Flags = Flags(8);
    /// \Draft.
    pub const DRAFT: Flags = Flags(16);
    /// Every flag with its IMAP name.
    pub const ALL: [(Flags, &'static str); 5] = [
        (Flags::ANSWERED, "\\Answered"),
        (Flags::FLAGGED, "\\Flagged"),
        (Flags::DELETED, "\\Deleted"),
        (Flags::SEEN, "\\Seen"),
        (Flags::DRAFT, "\\Draft"),
    ];

    /// Whether all of `other` are set.
    pub fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// These flags without `other`.
    pub fn without(self, other: Flags) -> Flags {
        Flags(self.0 & !other.0)
    }

    /// Whether no flag is set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The IMAP names of the flags set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::ALL
            .into_iter()
            .filter(move |(flag, _)| self.contains(*flag))
            .map(|(_, name)| name)
    }

    /// As stored in a row.
    pub fn bits(self) -> i64 {
        i64::from(self.0)
    }

    /// From a row; unknown bits are dropped.
    pub fn from_bits(bits: i64) -> Self {
        Flags((bits & 31) as u8)
    }
}

impl BitOr for Flags {
    type Output = Flags;
    fn bitor(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

impl BitOrAssign for Flags {
    fn bitor_assign(&mut self, other: Flags) {
        self.0 |= other.0;
    }
}

/// Keywords of a message or of a mailbox, one space between two. Takes no memory where there are none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct Keywords(Option<Box<str>>);

impl Keywords {
    /// Checks and joins keywords; doubles are dropped.
    ///
    /// # Errors
    /// `KeywordInvalid` where one is no atom, `TooManyKeywords`.
    pub fn new<'a>(keywords: impl IntoIterator<Item = &'a str>) -> Result<Self, Error> {
        let mut joined = Keywords::default();
        let mut room = KEYWORDS_PER_MESSAGE_MAX;
        for keyword in keywords {
            if !is_keyword(keyword) {
                return Err(Error::KeywordInvalid);
            }
            if !joined.contains(keyword) {
                room = room.checked_sub(1).ok_or(Error::TooManyKeywords)?;
                joined.push(keyword);
            }
        }
        Ok(joined)
    }

    /// As stored in a row.
    pub(crate) fn from_stored(text: Option<&str>) -> Self {
        Self(text.filter(|text| !text.is_empty()).map(Box::from))
    }

    /// As stored in a row: NULL where there are none.
    pub(crate) fn stored(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0
            .as_deref()
            .unwrap_or_default()
            .split_ascii_whitespace()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether `keyword` is one of them, in any case.
    pub fn contains(&self, keyword: &str) -> bool {
        self.iter().any(|own| own.eq_ignore_ascii_case(keyword))
    }

    /// These and those of `other` that are not among them; what a mailbox knows may be more than
    /// one message may have.
    pub fn union(&self, other: &Keywords) -> Keywords {
        let mut all = self.clone();
        other.iter().for_each(|keyword| all.push(keyword));
        all
    }

    fn push(&mut self, keyword: &str) {
        if self.contains(keyword) {
            return;
        }
        self.0 = Some(match self.0.take() {
            None => keyword.into(),
            Some(own) => format!("{own} {keyword}").into(),
        });
    }

    fn without(&self, other: &Keywords) -> Keywords {
        let mut left = Keywords::default();
        self.iter()
            .filter(|own| !other.contains(own))
            .for_each(|own| left.push(own));
        left
    }

    /// `self` in the spelling of `known`, which grows by what it did not have.
    ///
    /// # Errors
    /// `TooManyKeywords` where `known` would outgrow `KEYWORDS_MAX`.
    pub(crate) fn enter_into(&self, known: &mut Keywords) -> Result<Keywords, Error> {
        let mut spelled = Keywords::default();
        for keyword in self.iter() {
            known.push(keyword);
            spelled.push(
                known
                    .iter()
                    .find(|k| k.eq_ignore_ascii_case(keyword))
                    .unwrap_or(keyword),
            );
        }
        if known.iter().count() > KEYWORDS_MAX {
            return Err(Error::TooManyKeywords);
        }
        Ok(spelled)
    }
}

/// RFC 3501 §9 `flag-keyword = atom`: printable ASCII without the signs that mean something.
fn is_keyword(text: &str) -> bool {
    (1..=KEYWORD_BYTES_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_graphic() && !b"(){%*\"\\]".contains(&b))
}

/// What happens to the flags named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlagOperation {
    /// They are set beside those there are (`+FLAGS`).
    Add,
    /// They are taken away (`-FLAGS`).
    Remove,
    /// They take the place of those there are (`FLAGS`).
    Replace,
}

/// A change of flags, the same for many messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagChange {
    /// What happens to the flags named.
    pub operation: FlagOperation,
    /// The system flags named.
    pub flags: Flags,
    /// The keywords named.
    pub keywords: Keywords,
}

impl FlagChange {
    /// What a message's flags are after this change.
    ///
    /// # Errors
    /// `TooManyKeywords` where the message would have more than `KEYWORDS_PER_MESSAGE_MAX`.
    pub fn apply(&self, flags: Flags, keywords: &Keywords) -> Result<(Flags, Keywords), Error> {
        let (flags, keywords) = match self.operation {
            FlagOperation::Replace => (self.flags, self.keywords.clone()),
            FlagOperation::Remove => (flags.without(self.flags), keywords.without(&self.keywords)),
            FlagOperation::Add => (flags | self.flags, keywords.union(&self.keywords)),
        };
        if keywords.iter().count() > KEYWORDS_PER_MESSAGE_MAX {
            return Err(Error::TooManyKeywords);
        }
        Ok((flags, keywords))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(operation: FlagOperation, flags: Flags, keywords: &[&str]) -> FlagChange {
        FlagChange {
            operation,
            flags,
            keywords: Keywords::new(keywords.iter().copied()).unwrap(),
        }
    }

    #[test]
    fn the_three_operations() {
        let before = (
            Flags::SEEN | Flags::DRAFT,
            Keywords::new(["$Junk", "a"]).unwrap(),
        );
        let add = change(FlagOperation::Add, Flags::FLAGGED, &["A", "b"])
            .apply(before.0, &before.1)
            .unwrap();
        assert_eq!(add.0, Flags::SEEN | Flags::DRAFT | Flags::FLAGGED);
        assert_eq!(add.1.stored(), Some("$Junk a b"));
        let remove = change(FlagOperation::Remove, Flags::SEEN, &["$junk"])
            .apply(before.0, &before.1)
            .unwrap();
        assert_eq!((remove.0, remove.1.stored()), (Flags::DRAFT, Some("a")));
        let replace = change(FlagOperation::Replace, Flags::NONE, &[])
            .apply(before.0, &before.1)
            .unwrap();
        assert_eq!(replace, (Flags::NONE, Keywords::default()));
    }

    #[test]
    fn keywords_keep_the_mailbox_spelling_and_its_limit() {
        let mut known = Keywords::new(["$Forwarded"]).unwrap();
        let spelled = Keywords::new(["$FORWARDED", "x"])
            .unwrap()
            .enter_into(&mut known)
            .unwrap();
        assert_eq!(spelled.stored(), Some("$Forwarded x"));
        assert_eq!(known.stored(), Some("$Forwarded x"));
        for n in 0..KEYWORDS_MAX - 2 {
            Keywords::new([&*format!("k{n}")])
                .unwrap()
                .enter_into(&mut known)
                .unwrap();
        }
        let one_more = Keywords::new(["more"]).unwrap().enter_into(&mut known);
        assert!(matches!(one_more, Err(Error::TooManyKeywords)));
    }

    #[test]
    fn what_is_no_atom_is_no_keyword() {
        for bad in ["", "a b", "\\Seen", "a\"", "ü", "(x", "*", "a]"] {
            assert!(
                matches!(Keywords::new([bad]), Err(Error::KeywordInvalid)),
                "{bad}"
            );
        }
    }
}
