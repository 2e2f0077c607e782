//! A whole command: its tag, its name, its arguments (RFC 3501 §6 and §9).
//! Says nothing of whether the command is allowed now; that is the table of `commands`.

use super::cursor::{Cursor, Empty, is_astring_char};
use super::fetch::{self, Item};
use super::list::{self, List};
use super::search::{self, Search};
use super::set::{self, Set};
use super::{Fault, Parsed};
use crate::imap::limits;

/// A command with its tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What the peer wants to read before the answer.
    pub tag: Box<str>,
    /// What is to be done.
    pub command: Command,
}

/// What the numbers of a set are (RFC 3501 §6.4.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbering {
    /// Message sequence numbers.
    Sequence,
    /// Unique identifiers.
    Uid,
}

/// A flag a client may set. `\Recent` is ours alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flag {
    /// `\Seen`
    Seen,
    /// `\Answered`
    Answered,
    /// `\Flagged`
    Flagged,
    /// `\Deleted`
    Deleted,
    /// `\Draft`
    Draft,
    /// A keyword, as written.
    Keyword(Box<str>),
}

/// What STORE does with its flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// `FLAGS`
    Replace,
    /// `+FLAGS`
    Add,
    /// `-FLAGS`
    Remove,
}

/// Whether STORE tells the new flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Echo {
    /// It does.
    Told,
    /// `.SILENT`: it does not.
    Silent,
}

/// What STATUS can be asked (RFC 3501 §6.3.10, RFC 8438).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusItem {
    /// Number of messages.
    Messages,
    /// Number of messages with `\Recent`.
    Recent,
    /// The next UID.
    UidNext,
    /// The UIDVALIDITY.
    UidValidity,
    /// Number of messages without `\Seen`.
    Unseen,
    /// Bytes of all messages (RFC 8438).
    Size,
    /// The largest message APPEND takes (RFC 7889).
    AppendLimit,
    /// The modification sequence of the last change (RFC 7162).
    HighestModSeq,
}

/// Whether SELECT or EXAMINE was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// SELECT
    ReadWrite,
    /// EXAMINE
    ReadOnly,
}

/// The arguments of FETCH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// Which messages.
    pub set: Set,
    /// What the set counts.
    pub numbering: Numbering,
    /// What of them.
    pub items: Vec<Item>,
    /// Only messages that changed after this modification sequence (RFC 7162 §3.1.4.1).
    pub changed_since: Option<u64>,
}

/// The arguments of STORE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// Which messages.
    pub set: Set,
    /// What the set counts.
    pub numbering: Numbering,
    /// What happens to the flags.
    pub change: Change,
    /// Whether the answer tells the flags.
    pub echo: Echo,
    /// The flags.
    pub flags: Vec<Flag>,
    /// Messages that changed after this modification sequence are left alone (RFC 7162 §3.1.3).
    pub unchanged_since: Option<u64>,
}

/// The arguments of COPY and MOVE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// Which messages.
    pub set: Set,
    /// What the set counts.
    pub numbering: Numbering,
    /// The mailbox they go to, as written.
    pub mailbox: Vec<u8>,
}

/// Fields of ID and their values (RFC 2971 §3.3).
pub type IdPairs = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// Every command. Mailbox names are as the peer wrote them; see `names`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants are the commands of the RFCs")]
pub enum Command {
    Capability,
    Noop,
    Logout,
    Starttls,
    Namespace,
    Check,
    Close,
    Unselect,
    Idle,
    Id(IdPairs),
    Authenticate {
        mechanism: Box<str>,
        /// The initial response in base64 (RFC 4959).
        initial: Option<Vec<u8>>,
    },
    Login {
        user: Vec<u8>,
        password: Vec<u8>,
    },
    Enable(Vec<Box<str>>),
    Select {
        mailbox: Vec<u8>,
        access: Access,
        /// Whether `(CONDSTORE)` was given (RFC 7162 §3.1.8).
        condstore: bool,
    },
    Create {
        mailbox: Vec<u8>,
        /// RFC 6154 §3: `USE (\Archive)`.
        special_use: Option<Box<str>>,
    },
    Delete(Vec<u8>),
    Rename {
        from: Vec<u8>,
        to: Vec<u8>,
    },
    Subscribe(Vec<u8>),
    Unsubscribe(Vec<u8>),
    List(List),
    Lsub {
        reference: Vec<u8>,
        pattern: Vec<u8>,
    },
    Status {
        mailbox: Vec<u8>,
        items: Vec<StatusItem>,
    },
    Expunge,
    UidExpunge(Set),
    Search(Search),
    Fetch(Fetch),
    Store(Store),
    Copy(Copy),
    Move(Copy),
}

/// ```abnf
/// tag = 1*<any ASTRING-CHAR except "+">
/// ```
pub fn tag<'a>(cursor: &mut Cursor<'a>) -> Parsed<&'a str> {
    let run = cursor.run(|byte| is_astring_char(byte) && byte != b'+');
    if run.is_empty() || run.len() > limits::TAG_BYTES_MAX {
        return Err(Fault::new(
            "A command begins with a tag of up to 64 characters and a space.",
        ));
    }
    std::str::from_utf8(run).map_err(|_| Fault::new("A tag is ASCII."))
}

/// The tag at the beginning of `input`, if there is a whole one.
pub fn tag_of(input: &[u8]) -> Option<Box<str>> {
    let mut cursor = Cursor::new(input);
    let tag = tag(&mut cursor).ok()?;
    (cursor.peek() == Some(b' ')).then(|| tag.into())
}

/// The name of the command in `input` in upper case; empty if there is none.
pub fn name_of(input: &[u8]) -> String {
    let mut cursor = Cursor::new(input);
    if tag(&mut cursor).is_err() || !cursor.take(b' ') {
        return String::new();
    }
    cursor
        .atom()
        .map(str::to_ascii_uppercase)
        .unwrap_or_default()
}

/// ```abnf
/// command = tag SP (command-any / command-auth / command-nonauth / command-select) CRLF
/// ```
/// `frame` is the command without its last line end.
pub fn parse(frame: &[u8]) -> Parsed<Request> {
    let mut cursor = Cursor::new(frame);
    let tag = tag(&mut cursor)?;
    cursor.expect(b' ', "After the tag a space and a command were expected.")?;
    let name = cursor
        .atom()
        .map_err(|_| Fault::new("After the tag the name of a command was expected."))?;
    let command = arguments(&mut cursor, &name.to_ascii_uppercase())?;
    cursor.end()?;
    Ok(Request {
        tag: tag.into(),
        command,
    })
}

fn arguments(cursor: &mut Cursor<'_>, name: &str) -> Parsed<Command> {
    let command = match name {
        "CAPABILITY" => Command::Capability,
        "NOOP" => Command::Noop,
        "LOGOUT" => Command::Logout,
        "STARTTLS" => Command::Starttls,
        "NAMESPACE" => Command::Namespace,
        "CHECK" => Command::Check,
        "CLOSE" => Command::Close,
        "UNSELECT" => Command::Unselect,
        "IDLE" => Command::Idle,
        "EXPUNGE" => Command::Expunge,
        _ => {
            let with_arguments = is_known(name);
            if !with_arguments {
                return Err(Fault::new("This command is not known here."));
            }
            cursor.space()?;
            return after_space(cursor, name);
        }
    };
    Ok(command)
}

fn is_known(name: &str) -> bool {
    const WITH_ARGUMENTS: [&str; 20] = [
        "ID",
        "AUTHENTICATE",
        "LOGIN",
        "ENABLE",
        "SELECT",
        "EXAMINE",
        "CREATE",
        "DELETE",
        "RENAME",
        "SUBSCRIBE",
        "UNSUBSCRIBE",
        "LIST",
        "LSUB",
        "STATUS",
        "APPEND",
        "SEARCH",
        "FETCH",
        "STORE",
        "COPY",
        "MOVE",
    ];
    name == "UID" || WITH_ARGUMENTS.contains(&name)
}

fn after_space(cursor: &mut Cursor<'_>, name: &str) -> Parsed<Command> {
    Ok(match name {
        "ID" => Command::Id(id_params(cursor)?),
        "AUTHENTICATE" => authenticate(cursor)?,
        "LOGIN" => {
            let user = cursor.astring()?;
            cursor.space()?;
            let password = cursor.astring()?;
            Command::Login { user, password }
        }
        "ENABLE" => enable(cursor)?,
        "SELECT" => select(cursor, Access::ReadWrite)?,
        "EXAMINE" => select(cursor, Access::ReadOnly)?,
        "CREATE" => create(cursor)?,
        "DELETE" => Command::Delete(mailbox(cursor)?),
        "RENAME" => {
            let from = mailbox(cursor)?;
            cursor.space()?;
            let to = mailbox(cursor)?;
            Command::Rename { from, to }
        }
        "SUBSCRIBE" => Command::Subscribe(mailbox(cursor)?),
        "UNSUBSCRIBE" => Command::Unsubscribe(mailbox(cursor)?),
        "LIST" => Command::List(list::list(cursor)?),
        "LSUB" => {
            let reference = mailbox(cursor)?;
            cursor.space()?;
            let pattern = list::list_mailbox(cursor)?;
            Command::Lsub { reference, pattern }
        }
        "STATUS" => status(cursor)?,
        "APPEND" => {
            return Err(Fault::new(
                "APPEND takes a mailbox and the message as a literal, such as {310}.",
            ));
        }
        "UID" => uid(cursor)?,
        _ => message_command(cursor, name, Numbering::Sequence)?,
    })
}

/// ```abnf
/// uid = "UID" SP (copy / fetch / search / store / move)   ; RFC 3501, RFC 6851
///     / "UID" SP "EXPUNGE" SP sequence-set                ; RFC 4315 §4
/// ```
fn uid(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    let name = cursor.atom()?.to_ascii_uppercase();
    cursor.space()?;
    if name == "EXPUNGE" {
        return Ok(Command::UidExpunge(set::sequence_set(cursor)?));
    }
    message_command(cursor, &name, Numbering::Uid)
}

fn message_command(cursor: &mut Cursor<'_>, name: &str, numbering: Numbering) -> Parsed<Command> {
    Ok(match name {
        "SEARCH" => Command::Search(search::search(cursor, numbering)?),
        "FETCH" => {
            let set = set::sequence_set(cursor)?;
            cursor.space()?;
            let items = fetch::items(cursor)?;
            let changed_since = match cursor.take(b' ') {
                true => Some(modifier(cursor, b"CHANGEDSINCE")?),
                false => None,
            };
            Command::Fetch(Fetch {
                set,
                numbering,
                items,
                changed_since,
            })
        }
        "STORE" => Command::Store(store(cursor, numbering)?),
        "COPY" => Command::Copy(copy(cursor, numbering)?),
        "MOVE" => Command::Move(copy(cursor, numbering)?),
        _ => {
            return Err(Fault::new(
                "UID goes before COPY, EXPUNGE, FETCH, MOVE, SEARCH or STORE.",
            ));
        }
    })
}

/// ```abnf
/// mailbox = "INBOX" / astring
/// ```
pub fn mailbox(cursor: &mut Cursor<'_>) -> Parsed<Vec<u8>> {
    cursor
        .astring()
        .map_err(|_| Fault::new("The name of a mailbox was expected."))
}

/// ```abnf
/// id_params = "(" *(string SP nstring) ")" / nil       ; RFC 2971 §4
/// ```
fn id_params(cursor: &mut Cursor<'_>) -> Parsed<IdPairs> {
    if cursor.take_word(b"NIL") {
        return Ok(Vec::new());
    }
    cursor.list(Empty::Allowed, limits::ID_PAIRS_MAX, |cursor| {
        let field = cursor.string()?;
        cursor.space()?;
        let value = cursor.nstring()?;
        if value
            .as_ref()
            .is_some_and(|value| value.len() > limits::ID_VALUE_BYTES_MAX)
        {
            return Err(Fault::new("A value of ID is longer than 1024 bytes."));
        }
        Ok((field, value))
    })
}

/// ```abnf
/// authenticate = "AUTHENTICATE" SP auth-type [SP (base64 / "=")]     ; RFC 4959 §4
/// ```
fn authenticate(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    let mechanism = cursor.atom()?.to_ascii_uppercase().into();
    let initial = if cursor.take(b' ') {
        let base64 =
            cursor.run(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='));
        Some(base64.to_vec())
    } else {
        None
    };
    Ok(Command::Authenticate { mechanism, initial })
}

/// ```abnf
/// enable = "ENABLE" 1*(SP capability)       ; RFC 5161 §4
/// ```
fn enable(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    let mut wanted = vec![cursor.atom()?.to_ascii_uppercase().into()];
    while cursor.take(b' ') {
        if wanted.len() >= limits::FLAGS_MAX {
            return Err(Fault::new("ENABLE names too many capabilities."));
        }
        wanted.push(cursor.atom()?.to_ascii_uppercase().into());
    }
    Ok(Command::Enable(wanted))
}

/// ```abnf
/// select = "SELECT" SP mailbox [SP "(CONDSTORE)"]      examine = "EXAMINE" SP mailbox [..]
/// ```
fn select(cursor: &mut Cursor<'_>, access: Access) -> Parsed<Command> {
    let mailbox = mailbox(cursor)?;
    let condstore = cursor.take(b' ');
    if condstore {
        cursor.list(Empty::Refused, 8, |cursor| {
            match cursor.take_word(b"CONDSTORE") {
                true => Ok(()),
                false => Err(Fault::new("After the mailbox only (CONDSTORE) may follow.")),
            }
        })?;
    }
    Ok(Command::Select {
        mailbox,
        access,
        condstore,
    })
}

/// ```abnf
/// create = "CREATE" SP mailbox [SP "(" "USE" SP "(" [use-attr *(SP use-attr)] ")" ")"]
/// ```
/// RFC 6154 §6. One use is enough for a mailbox here.
fn create(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    let mailbox = mailbox(cursor)?;
    let mut special_use = None;
    if cursor.take(b' ') {
        const USE: &str = "After the mailbox only (USE (\\Archive)) or the like may follow.";
        cursor.expect(b'(', USE)?;
        if !cursor.take_word(b"USE") {
            return Err(Fault::new(USE));
        }
        cursor.space()?;
        let uses = cursor.list(Empty::Allowed, 8, |cursor| {
            cursor.expect(b'\\', USE)?;
            Ok(Box::<str>::from(format!("\\{}", cursor.atom()?)))
        })?;
        cursor.expect(b')', USE)?;
        if uses.len() > 1 {
            return Err(Fault::new("A mailbox has one special use here."));
        }
        special_use = uses.into_iter().next();
    }
    Ok(Command::Create {
        mailbox,
        special_use,
    })
}

/// ```abnf
/// status = "STATUS" SP mailbox SP "(" status-att *(SP status-att) ")"
/// ```
fn status(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    let mailbox = mailbox(cursor)?;
    cursor.space()?;
    let items = status_items(cursor)?;
    Ok(Command::Status { mailbox, items })
}

/// ```abnf
/// status-att = "MESSAGES" / "RECENT" / "UIDNEXT" / "UIDVALIDITY" / "UNSEEN" / "SIZE" /
///              "APPENDLIMIT" / "HIGHESTMODSEQ"
/// ```
pub fn status_items(cursor: &mut Cursor<'_>) -> Parsed<Vec<StatusItem>> {
    cursor.list(Empty::Refused, 16, |cursor| {
        Ok(match cursor.atom()?.to_ascii_uppercase().as_str() {
            "MESSAGES" => StatusItem::Messages,
            "RECENT" => StatusItem::Recent,
            "UIDNEXT" => StatusItem::UidNext,
            "UIDVALIDITY" => StatusItem::UidValidity,
            "UNSEEN" => StatusItem::Unseen,
            "SIZE" => StatusItem::Size,
            "APPENDLIMIT" => StatusItem::AppendLimit,
            "HIGHESTMODSEQ" => StatusItem::HighestModSeq,
            _ => {
                return Err(Fault::new(
                    "STATUS knows MESSAGES, RECENT, UIDNEXT, UIDVALIDITY, UNSEEN, SIZE, \
                     APPENDLIMIT and HIGHESTMODSEQ.",
                ));
            }
        })
    })
}

/// ```abnf
/// copy = "COPY" SP sequence-set SP mailbox      move = "MOVE" SP sequence-set SP mailbox
/// ```
fn copy(cursor: &mut Cursor<'_>, numbering: Numbering) -> Parsed<Copy> {
    let set = set::sequence_set(cursor)?;
    cursor.space()?;
    let mailbox = mailbox(cursor)?;
    Ok(Copy {
        set,
        numbering,
        mailbox,
    })
}

/// ```abnf
/// store           = "STORE" SP sequence-set [SP "(UNCHANGEDSINCE" SP number64 ")"] SP store-att-flags
/// store-att-flags = (["+" / "-"] "FLAGS" [".SILENT"]) SP (flag-list / (flag *(SP flag)))
/// ```
fn store(cursor: &mut Cursor<'_>, numbering: Numbering) -> Parsed<Store> {
    let set = set::sequence_set(cursor)?;
    cursor.space()?;
    let mut unchanged_since = None;
    if cursor.peek() == Some(b'(') {
        unchanged_since = Some(modifier(cursor, b"UNCHANGEDSINCE")?);
        cursor.space()?;
    }
    let change = match cursor.peek() {
        Some(b'+') => Change::Add,
        Some(b'-') => Change::Remove,
        _ => Change::Replace,
    };
    if change != Change::Replace {
        cursor.take(if change == Change::Add { b'+' } else { b'-' });
    }
    let echo = match cursor.atom()?.to_ascii_uppercase().as_str() {
        "FLAGS" => Echo::Told,
        "FLAGS.SILENT" => Echo::Silent,
        _ => {
            return Err(Fault::new(
                "STORE knows FLAGS, +FLAGS and -FLAGS, each with .SILENT or without.",
            ));
        }
    };
    cursor.space()?;
    let flags = if cursor.peek() == Some(b'(') {
        cursor.list(Empty::Allowed, limits::FLAGS_MAX, flag)?
    } else {
        let mut flags = vec![flag(cursor)?];
        while cursor.take(b' ') {
            if flags.len() >= limits::FLAGS_MAX {
                return Err(Fault::new("STORE names too many flags."));
            }
            flags.push(flag(cursor)?);
        }
        flags
    };
    Ok(Store {
        set,
        numbering,
        change,
        echo,
        flags,
        unchanged_since,
    })
}

/// ```abnf
/// modifier = "(" name SP mod-sequence-value ")"       ; RFC 7162 §7
/// ```
fn modifier(cursor: &mut Cursor<'_>, name: &[u8]) -> Parsed<u64> {
    const MODIFIER: &str =
        "Here only (CHANGEDSINCE number) of FETCH or (UNCHANGEDSINCE number) of STORE may stand.";
    cursor.expect(b'(', MODIFIER)?;
    if !cursor.take_word(name) {
        return Err(Fault::new(MODIFIER));
    }
    cursor.space()?;
    let modseq = cursor.number64()?;
    cursor.expect(b')', MODIFIER)?;
    Ok(modseq)
}

/// ```abnf
/// flag = "\Answered" / "\Flagged" / "\Deleted" / "\Seen" / "\Draft" / flag-keyword
/// ```
pub fn flag(cursor: &mut Cursor<'_>) -> Parsed<Flag> {
    let system = cursor.take(b'\\');
    let name = cursor
        .atom()
        .map_err(|_| Fault::new("A flag such as \\Seen or a keyword was expected."))?;
    if !system {
        if name.len() > limits::KEYWORD_BYTES_MAX {
            return Err(Fault::new("A keyword may have 100 characters."));
        }
        return Ok(Flag::Keyword(name.into()));
    }
    Ok(match name.to_ascii_lowercase().as_str() {
        "seen" => Flag::Seen,
        "answered" => Flag::Answered,
        "flagged" => Flag::Flagged,
        "deleted" => Flag::Deleted,
        "draft" => Flag::Draft,
        "recent" => {
            return Err(Fault::new("\\Recent is set by the server only."));
        }
        _ => {
            return Err(Fault::new(
                "With a backslash there are \\Seen, \\Answered, \\Flagged, \\Deleted and \\Draft.",
            ));
        }
    })
}
