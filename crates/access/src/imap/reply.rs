//! The last line of an answer: OK, NO or BAD with a response code (RFC 3501 §7.1, RFC 5530) and a text
//! that helps. The one place where faults of other crates become words of IMAP.

use admission::Barred;
use directory::LoginRuling;

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    status: Status,
    code: Code,
    text: Box<str>,
}

/// The three ends of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// It was done.
    Ok,
    /// It was understood and not done.
    No,
    /// It was not understood or is not allowed now.
    Bad,
}

/// Response codes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(
    missing_docs,
    reason = "the names are those of RFC 3501 §7.1 and RFC 5530 §3"
)]
pub(super) enum Code {
    None,
    Unavailable,
    AuthenticationFailed,
    PrivacyRequired,
    ContactAdmin,
    ExpungeIssued,
    ServerBug,
    Cannot,
    Limit,
    OverQuota,
    AlreadyExists,
    Nonexistent,
    TryCreate,
    TooBig,
    BadCharset,
    UseAttr,
    ReadOnly,
    ReadWrite,
    /// A code with arguments, without brackets.
    With(Box<str>),
}

impl Code {
    fn as_str(&self) -> &str {
        match self {
            Self::None => "",
            Self::Unavailable => "UNAVAILABLE",
            Self::AuthenticationFailed => "AUTHENTICATIONFAILED",
            Self::PrivacyRequired => "PRIVACYREQUIRED",
            Self::ContactAdmin => "CONTACTADMIN",
            Self::ExpungeIssued => "EXPUNGEISSUED",
            Self::ServerBug => "SERVERBUG",
            Self::Cannot => "CANNOT",
            Self::Limit => "LIMIT",
            Self::OverQuota => "OVERQUOTA",
            Self::AlreadyExists => "ALREADYEXISTS",
            Self::Nonexistent => "NONEXISTENT",
            Self::TryCreate => "TRYCREATE",
            Self::TooBig => "TOOBIG",
            Self::BadCharset => "BADCHARSET (US-ASCII UTF-8)",
            Self::UseAttr => "USEATTR",
            Self::ReadOnly => "READ-ONLY",
            Self::ReadWrite => "READ-WRITE",
            Self::With(code) => code,
        }
    }
}

impl Reply {
    /// `OK`.
    pub(super) fn ok(text: impl Into<Box<str>>) -> Self {
        Self::new(Status::Ok, Code::None, text)
    }

    /// `OK` with a code.
    pub(super) fn ok_with(code: Code, text: impl Into<Box<str>>) -> Self {
        Self::new(Status::Ok, code, text)
    }

    /// `NO`.
    pub(super) fn no(code: Code, text: impl Into<Box<str>>) -> Self {
        Self::new(Status::No, code, text)
    }

    /// `BAD`. A text may begin with its code in brackets.
    pub(super) fn bad(text: impl Into<Box<str>>) -> Self {
        Self::new(Status::Bad, Code::None, text)
    }

    fn new(status: Status, code: Code, text: impl Into<Box<str>>) -> Self {
        Self {
            status,
            code,
            text: text.into(),
        }
    }

    /// How it ended.
    pub(super) fn status(&self) -> Status {
        self.status
    }

    /// Whether the code is `code`.
    pub(super) fn has_code(&self, code: &Code) -> bool {
        self.code == *code
    }

    /// The same answer with another code.
    pub(super) fn recoded(self, code: Code) -> Self {
        Self { code, ..self }
    }

    /// Writes the line with its tag, `*` for an untagged one.
    pub(super) fn write(&self, out: &mut Vec<u8>, tag: &str) {
        let status = match self.status {
            Status::Ok => " OK ",
            Status::No => " NO ",
            Status::Bad => " BAD ",
        };
        out.extend_from_slice(tag.as_bytes());
        out.extend_from_slice(status.as_bytes());
        if self.code != Code::None {
            out.push(b'[');
            out.extend_from_slice(self.code.as_str().as_bytes());
            out.extend_from_slice(b"] ");
        }
        out.extend_from_slice(self.text.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

impl From<mailbox::Error> for Reply {
    fn from(error: mailbox::Error) -> Self {
        use mailbox::Error as E;
        let code = match &error {
            E::NoSuchMailbox => Code::Nonexistent,
            E::AlreadyExists => Code::AlreadyExists,
            E::NameInvalid(_) | E::InboxStays => Code::Cannot,
            E::SpecialUseTaken(_) => Code::UseAttr,
            E::TooManyMailboxes
            | E::TooManySubscriptions
            | E::TooManyKeywords
            | E::TooManyMessages(_)
            | E::UidsExhausted => Code::Limit,
            E::KeywordInvalid => Code::Cannot,
            E::OverQuota => Code::OverQuota,
            E::Damaged(_) | E::Bytes(_) | E::Store(_) => return our_fault(&error),
        };
        let mut text = error.to_string();
        if let Some(first) = text.get(..1).map(str::to_ascii_uppercase) {
            text.replace_range(..1, &first);
        }
        text.push('.');
        Reply::no(code, text)
    }
}

/// What went wrong on our side is logged here, once, and told without details.
fn our_fault(error: &mailbox::Error) -> Reply {
    let damaged = matches!(error, mailbox::Error::Damaged(_));
    tracing::error!(target: "imap", error = error as &(dyn std::error::Error + 'static), "mailbox operation failed");
    if damaged {
        return Reply::no(
            Code::ServerBug,
            "Something stored here is damaged; the operator has been told.",
        );
    }
    Reply::no(
        Code::Unavailable,
        "The server cannot do this right now; please try again in a moment.",
    )
}

impl From<&Barred> for Reply {
    /// RFC 5530 §3: more privacy where encryption helps, the provider where only it can.
    fn from(barred: &Barred) -> Self {
        let code = match barred.wants_encryption() {
            true => Code::PrivacyRequired,
            false => Code::ContactAdmin,
        };
        Reply::no(code, barred.text())
    }
}

impl From<&LoginRuling> for Reply {
    fn from(ruling: &LoginRuling) -> Self {
        let code = match ruling {
            LoginRuling::Accepted(_) => return Reply::ok(ruling.text()),
            LoginRuling::Refused(_) => Code::AuthenticationFailed,
            LoginRuling::TryLater { .. } => Code::Unavailable,
        };
        Reply::no(code, format!("{}.", ruling.text()))
    }
}
