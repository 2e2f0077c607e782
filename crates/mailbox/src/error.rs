//! Why a mailbox operation did not happen. Protocol code turns these into its own answers; the
//! texts are fit for a customer's eyes except those of `Store`, `Bytes` and `Damaged`.

use crate::limits;
use crate::model::SpecialUse;
use platform::store::StoreError;

/// What is wrong with a mailbox name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameProblem {
    /// Nothing is left of it.
    #[error("it is empty")]
    Empty,
    /// More than `NAME_BYTES_MAX` bytes.
    #[error("it is longer than {} bytes", limits::NAME_BYTES_MAX)]
    TooLong,
    /// More than `NAME_DEPTH_MAX` levels.
    #[error("it has more than {} levels", limits::NAME_DEPTH_MAX)]
    TooDeep,
    /// Two `/` beside each other, or one at the start.
    #[error("a level between two '/' is empty")]
    EmptyLevel,
    /// A control character, or a line or paragraph separator (RFC 9051 §5.1).
    #[error("it holds a control character")]
    Control,
    /// `%` or `*`, which LIST takes for patterns.
    #[error("it holds '%' or '*', which stand for patterns")]
    Wildcard,
    /// `#` at the start, which is kept for namespaces (RFC 3501 §5.1.2).
    #[error("it starts with '#', which is kept for namespaces")]
    Namespace,
    /// The mailbox would come to lie inside itself.
    #[error("the mailbox would lie inside itself")]
    InsideItself,
}

/// Why an operation did not happen. Nothing was changed then, unless the method says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such mailbox, or it has just been deleted.
    #[error("there is no such mailbox")]
    NoSuchMailbox,
    /// The name is taken.
    #[error("a mailbox with this name exists already")]
    AlreadyExists,
    /// The name cannot be a mailbox name.
    #[error("this cannot be a mailbox name: {0}")]
    NameInvalid(NameProblem),
    /// INBOX cannot be deleted (RFC 3501 §6.3.4).
    #[error("INBOX cannot be deleted")]
    InboxStays,
    /// Another mailbox has this special use already (RFC 6154 §3: one each here).
    #[error("another mailbox is already used for {0}")]
    SpecialUseTaken(SpecialUse),
    /// The account has `MAILBOXES_MAX` mailboxes.
    #[error(
        "the account has {} mailboxes already, which is the most",
        limits::MAILBOXES_MAX
    )]
    TooManyMailboxes,
    /// The account has `SUBSCRIPTIONS_MAX` subscriptions.
    #[error(
        "the account has {} subscriptions already, which is the most",
        limits::SUBSCRIPTIONS_MAX
    )]
    TooManySubscriptions,
    /// The mailbox knows `KEYWORDS_MAX` keywords, or a message would get too many.
    #[error(
        "a mailbox holds at most {} different keywords, a message {}",
        limits::KEYWORDS_MAX,
        limits::KEYWORDS_PER_MESSAGE_MAX
    )]
    TooManyKeywords,
    /// Not an atom, or longer than `KEYWORD_BYTES_MAX`.
    #[error(
        "a keyword is one to {} letters, digits or signs without spaces, quotes, brackets and wildcards",
        limits::KEYWORD_BYTES_MAX
    )]
    KeywordInvalid,
    /// More messages than one such operation takes.
    #[error("one operation takes at most {0} messages; use smaller sets")]
    TooManyMessages(usize),
    /// The account's quota has no room for it.
    #[error("the account's storage is full")]
    OverQuota,
    /// A mailbox has given out all 32-bit UIDs.
    #[error("this mailbox has used up its message numbers; move its messages to a new one")]
    UidsExhausted,
    /// What is stored contradicts itself, or a caller broke a rule of this crate.
    #[error("a row is not what it should be: {0}")]
    Damaged(String),
    /// The database failed.
    #[error("the store failed")]
    Store(#[source] StoreError),
    /// Message bytes could not be read or written.
    #[error("reading or writing message bytes failed")]
    Bytes(#[source] std::io::Error),
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::Bytes(error)
    }
}
