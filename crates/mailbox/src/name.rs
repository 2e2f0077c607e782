//! Mailbox names: UTF-8 with '/' between levels, INBOX in any case. Pure; modified UTF-7 is the
//! protocol's business, not ours.

use crate::error::{Error, NameProblem};
use crate::limits::{NAME_BYTES_MAX, NAME_DEPTH_MAX};
use std::fmt;

/// A valid mailbox name. `INBOX`, alone or as first level, is in capitals.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxName(Box<str>);

impl MailboxName {
    /// The name of the mailbox where mail arrives.
    pub const INBOX: &'static str = "INBOX";

    /// Checks a name as a client wrote it. One '/' at the end is dropped: it only declares that
    /// levels below will follow (RFC 3501 §6.3.3).
    ///
    /// # Errors
    /// `NameInvalid` with what is wrong.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = text.strip_suffix('/').unwrap_or(text);
        check(text).map_err(Error::NameInvalid)?;
        let (first, rest) = match text.split_once('/') {
            Some((first, rest)) => (first, Some(rest)),
            None => (text, None),
        };
        // RFC 3501 §5.1: INBOX is the one name that is compared without case.
        if !first.eq_ignore_ascii_case(Self::INBOX) {
            return Ok(Self(text.into()));
        }
        Ok(Self(match rest {
            None => Self::INBOX.into(),
            Some(rest) => format!("{}/{rest}", Self::INBOX).into(),
        }))
    }

    /// The name of INBOX.
    pub fn inbox() -> Self {
        Self(Self::INBOX.into())
    }

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is INBOX itself.
    pub fn is_inbox(&self) -> bool {
        &*self.0 == Self::INBOX
    }

    /// The names above this one, outermost first.
    pub fn parents(&self) -> impl Iterator<Item = &str> {
        self.0.match_indices('/').map(|(at, _)| &self.0[..at])
    }

    /// What follows `parent` and its '/' where this name lies below it.
    pub fn below<'a>(&'a self, parent: &MailboxName) -> Option<&'a str> {
        self.0.strip_prefix(&*parent.0)?.strip_prefix('/')
    }
}

impl fmt::Display for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn check(text: &str) -> Result<(), NameProblem> {
    if text.is_empty() {
        return Err(NameProblem::Empty);
    }
    if text.len() > NAME_BYTES_MAX {
        return Err(NameProblem::TooLong);
    }
    if text.split('/').any(str::is_empty) {
        return Err(NameProblem::EmptyLevel);
    }
    if text.split('/').count() > NAME_DEPTH_MAX {
        return Err(NameProblem::TooDeep);
    }
    // RFC 9051 §5.1: no control characters, no line or paragraph separators.
    if text
        .chars()
        .any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'))
    {
        return Err(NameProblem::Control);
    }
    if text.contains(['%', '*']) {
        return Err(NameProblem::Wildcard);
    }
    if text.starts_with('#') {
        return Err(NameProblem::Namespace);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> Option<NameProblem> {
        match MailboxName::parse(text) {
            Err(Error::NameInvalid(problem)) => Some(problem),
            _ => None,
        }
    }

    #[test]
    fn inbox_is_found_in_any_case_and_other_names_are_not_changed() {
        assert!(MailboxName::parse("inBox").unwrap().is_inbox());
        assert_eq!(
            MailboxName::parse("inbox/Rechnungen/").unwrap().as_str(),
            "INBOX/Rechnungen"
        );
        assert_eq!(MailboxName::parse("inboxes").unwrap().as_str(), "inboxes");
        assert_eq!(MailboxName::parse("Entwürfe").unwrap().as_str(), "Entwürfe");
    }

    #[test]
    fn what_no_name_can_be_is_said() {
        assert_eq!(problem(""), Some(NameProblem::Empty));
        assert_eq!(problem("/"), Some(NameProblem::Empty));
        assert_eq!(problem("a//b"), Some(NameProblem::EmptyLevel));
        assert_eq!(problem("/a"), Some(NameProblem::EmptyLevel));
        assert_eq!(problem("a\0b"), Some(NameProblem::Control));
        assert_eq!(problem("a\u{2028}b"), Some(NameProblem::Control));
        assert_eq!(problem("a*"), Some(NameProblem::Wildcard));
        assert_eq!(problem("#news"), Some(NameProblem::Namespace));
        assert_eq!(
            problem(&"x".repeat(NAME_BYTES_MAX + 1)),
            Some(NameProblem::TooLong)
        );
        assert_eq!(
            problem(&vec!["x"; NAME_DEPTH_MAX + 1].join("/")),
            Some(NameProblem::TooDeep)
        );
        assert_eq!(problem(&vec!["x"; NAME_DEPTH_MAX].join("/")), None);
    }

    #[test]
    fn parents_come_outermost_first() {
        let name = MailboxName::parse("a/b/c").unwrap();
        assert_eq!(name.parents().collect::<Vec<_>>(), ["a", "a/b"]);
        assert_eq!(name.below(&MailboxName::parse("a").unwrap()), Some("b/c"));
        assert_eq!(name.below(&MailboxName::parse("a/b/c").unwrap()), None);
    }
}
