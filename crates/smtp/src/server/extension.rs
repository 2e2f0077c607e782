//! The extensions of ESMTP that a listener may leave out (S3-75): what each is called, which command it
//! is and which parameter of MAIL belongs to it. Pure; `hello` leaves them out of its answer, `commands`
//! and `mail` refuse what was not offered.

use crate::grammar::{MailParameters, RcptParameters, Verb};
use queue::Return;

/// An extension that can be left out. Enhanced status codes cannot: every reply carries them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Extension {
    /// RFC 2920.
    Pipelining,
    /// RFC 6152.
    EightBitMime,
    /// RFC 6531.
    SmtpUtf8,
    /// RFC 3461.
    Dsn,
    /// RFC 3030.
    Chunking,
    /// RFC 1870.
    Size,
    /// RFC 9422.
    Limits,
    /// RFC 3207.
    StartTls,
    /// RFC 8689.
    RequireTls,
    /// RFC 4865.
    FutureRelease,
    /// RFC 6710.
    MtPriority,
}

impl Extension {
    /// Every extension that can be left out.
    pub const ALL: &'static [Self] = &[
        Self::Pipelining,
        Self::EightBitMime,
        Self::SmtpUtf8,
        Self::Dsn,
        Self::Chunking,
        Self::Size,
        Self::Limits,
        Self::StartTls,
        Self::RequireTls,
        Self::FutureRelease,
        Self::MtPriority,
    ];

    /// The keyword in the answer to EHLO.
    pub fn keyword(self) -> &'static str {
        match self {
            Self::Pipelining => "PIPELINING",
            Self::EightBitMime => "8BITMIME",
            Self::SmtpUtf8 => "SMTPUTF8",
            Self::Dsn => "DSN",
            Self::Chunking => "CHUNKING",
            Self::Size => "SIZE",
            Self::Limits => "LIMITS",
            Self::StartTls => "STARTTLS",
            Self::RequireTls => "REQUIRETLS",
            Self::FutureRelease => "FUTURERELEASE",
            Self::MtPriority => "MT-PRIORITY",
        }
    }

    /// The extension with this keyword, in any case.
    pub fn parse(keyword: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|one| one.keyword().eq_ignore_ascii_case(keyword))
    }

    /// The extension that is a command.
    pub(super) fn of_verb(verb: Verb) -> Option<Self> {
        match verb {
            Verb::StartTls => Some(Self::StartTls),
            Verb::Bdat => Some(Self::Chunking),
            _ => None,
        }
    }

    /// Whether MAIL asks for it.
    pub(super) fn is_asked_by_mail(self, parameters: &MailParameters<'_>) -> bool {
        match self {
            Self::SmtpUtf8 => parameters.utf8,
            Self::Dsn => parameters.envelope_id.is_some() || parameters.ret != Return::default(),
            Self::Size => parameters.size.is_some(),
            Self::RequireTls => parameters.require_tls,
            Self::FutureRelease => parameters.hold.is_some(),
            Self::MtPriority => parameters.priority.is_some(),
            // BODY=8BITMIME does no harm, and clients that know no better send it.
            _ => false,
        }
    }

    /// Whether RCPT asks for it.
    pub(super) fn is_asked_by_rcpt(self, parameters: &RcptParameters<'_>) -> bool {
        self == Self::Dsn && (parameters.notify.is_some() || parameters.original.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_keyword_leads_back() {
        for one in Extension::ALL {
            assert_eq!(Extension::parse(&one.keyword().to_lowercase()), Some(*one));
        }
        assert_eq!(Extension::parse("ENHANCEDSTATUSCODES"), None);
    }
}
