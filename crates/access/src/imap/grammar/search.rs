//! SEARCH (RFC 3501 §6.4.4) with the result options of RFC 4731. Depth and number of keys are bounded.

use super::command::Numbering;
use super::cursor::{Cursor, Empty};
use super::date::{self, Day};
use super::set::{self, Set};
use super::{Fault, Parsed};
use crate::imap::limits;

/// The arguments of SEARCH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// Whether the answer holds sequence numbers or UIDs.
    pub numbering: Numbering,
    /// RFC 4731: the result options, if `RETURN (...)` was given.
    pub returns: Option<Returns>,
    /// The charset of the texts, in upper case; US-ASCII if absent.
    pub charset: Option<Box<str>>,
    /// All of these must hold.
    pub keys: Vec<Key>,
}

/// RFC 4731 §3.1: which results are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Returns {
    /// The lowest number.
    pub min: bool,
    /// The highest number.
    pub max: bool,
    /// All numbers, as a set.
    pub all: bool,
    /// How many.
    pub count: bool,
}

/// A system flag or keyword that must be there or be absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlagKey {
    /// `ANSWERED`
    Answered,
    /// `DELETED`
    Deleted,
    /// `DRAFT`
    Draft,
    /// `FLAGGED`
    Flagged,
    /// `SEEN`
    Seen,
    /// `RECENT`
    Recent,
    /// `KEYWORD`
    Keyword(Box<str>),
}

/// Header fields that have a key of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// `BCC`
    Bcc,
    /// `CC`
    Cc,
    /// `FROM`
    From,
    /// `SUBJECT`
    Subject,
    /// `TO`
    To,
}

/// Which date is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateOf {
    /// INTERNALDATE
    Arrival,
    /// The Date header field.
    Sent,
}

/// A search key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// Every message.
    All,
    /// The flag is set.
    Has(FlagKey),
    /// The flag is not set.
    Lacks(FlagKey),
    /// The date is earlier than the day.
    Before(DateOf, Day),
    /// The date is on the day.
    On(DateOf, Day),
    /// The date is on the day or later.
    Since(DateOf, Day),
    /// Larger than this many bytes.
    Larger(u64),
    /// Smaller than this many bytes.
    Smaller(u64),
    /// Sequence numbers.
    Sequence(Set),
    /// UIDs.
    Uid(Set),
    /// The last change has this modification sequence or a higher one (RFC 7162 §3.1.5).
    ModSeq(u64),
    /// The field has the text.
    Field(Field, Vec<u8>),
    /// Any field of the name has the text; an empty text asks whether the field is there.
    Header(Box<str>, Vec<u8>),
    /// The body has the text.
    Body(Vec<u8>),
    /// Header or body have the text.
    Text(Vec<u8>),
    /// The key does not hold.
    Not(Box<Key>),
    /// One of the two holds.
    Or(Box<(Key, Key)>),
    /// All hold.
    And(Vec<Key>),
}

/// ```abnf
/// search = "SEARCH" [SP "RETURN" SP "(" *option ")"] [SP "CHARSET" SP astring] 1*(SP search-key)
/// ```
pub fn search(cursor: &mut Cursor<'_>, numbering: Numbering) -> Parsed<Search> {
    let mut returns = None;
    if cursor.take_word(b"RETURN") {
        cursor.space()?;
        returns = Some(return_options(cursor)?);
        cursor.space()?;
    }
    let mut charset = None;
    if cursor.take_word(b"CHARSET") {
        cursor.space()?;
        let name = String::from_utf8(cursor.astring()?)
            .map_err(|_| Fault::new("The name of a charset is ASCII."))?;
        charset = Some(name.to_ascii_uppercase().into());
        cursor.space()?;
    }
    let mut budget = Budget {
        keys: limits::SEARCH_KEYS_MAX,
        texts: limits::SEARCH_TEXTS_MAX,
    };
    let mut keys = vec![key(cursor, &mut budget, limits::SEARCH_DEPTH_MAX)?];
    while cursor.take(b' ') {
        keys.push(key(cursor, &mut budget, limits::SEARCH_DEPTH_MAX)?);
    }
    Ok(Search {
        numbering,
        returns,
        charset,
        keys,
    })
}

/// RFC 4731 §3.1: no option means ALL.
fn return_options(cursor: &mut Cursor<'_>) -> Parsed<Returns> {
    let mut returns = Returns::default();
    cursor.list(Empty::Allowed, 8, |cursor| {
        match cursor.atom()?.to_ascii_uppercase().as_str() {
            "MIN" => returns.min = true,
            "MAX" => returns.max = true,
            "ALL" => returns.all = true,
            "COUNT" => returns.count = true,
            _ => return Err(Fault::new("SEARCH returns MIN, MAX, ALL and COUNT.")),
        }
        Ok(())
    })?;
    if returns == Returns::default() {
        returns.all = true;
    }
    Ok(returns)
}

/// What is left of the bounds of one SEARCH.
struct Budget {
    keys: usize,
    texts: usize,
}

impl Budget {
    fn key(&mut self) -> Parsed<()> {
        self.keys = self
            .keys
            .checked_sub(1)
            .ok_or(Fault::new("[LIMIT] The search has too many keys."))?;
        Ok(())
    }

    fn text(&mut self, cursor: &mut Cursor<'_>) -> Parsed<Vec<u8>> {
        cursor.space()?;
        self.texts = self
            .texts
            .checked_sub(1)
            .ok_or(Fault::new("[LIMIT] The search looks for too many texts."))?;
        cursor.astring()
    }
}

/// ```abnf
/// search-key = "ALL" / "ANSWERED" / ... / sequence-set / "(" search-key *(SP search-key) ")"
/// ```
fn key(cursor: &mut Cursor<'_>, budget: &mut Budget, depth: u32) -> Parsed<Key> {
    budget.key()?;
    let depth = depth
        .checked_sub(1)
        .ok_or(Fault::new("[LIMIT] The search is nested too deeply."))?;
    match cursor.peek() {
        Some(b'(') => {
            let keys = cursor.list(Empty::Refused, limits::SEARCH_KEYS_MAX, |cursor| {
                key(cursor, budget, depth)
            })?;
            Ok(Key::And(keys))
        }
        Some(b'*' | b'0'..=b'9') => Ok(Key::Sequence(set::sequence_set(cursor)?)),
        _ => {
            let name = cursor.atom()?.to_ascii_uppercase();
            match name.as_str() {
                "NOT" => {
                    cursor.space()?;
                    Ok(Key::Not(Box::new(key(cursor, budget, depth)?)))
                }
                "OR" => {
                    cursor.space()?;
                    let one = key(cursor, budget, depth)?;
                    cursor.space()?;
                    let other = key(cursor, budget, depth)?;
                    Ok(Key::Or(Box::new((one, other))))
                }
                _ => simple_key(cursor, budget, &name),
            }
        }
    }
}

fn simple_key(cursor: &mut Cursor<'_>, budget: &mut Budget, name: &str) -> Parsed<Key> {
    use FlagKey::{Answered, Deleted, Draft, Flagged, Recent, Seen};
    Ok(match name {
        "ALL" => Key::All,
        "ANSWERED" => Key::Has(Answered),
        "DELETED" => Key::Has(Deleted),
        "DRAFT" => Key::Has(Draft),
        "FLAGGED" => Key::Has(Flagged),
        "SEEN" => Key::Has(Seen),
        "RECENT" => Key::Has(Recent),
        "UNANSWERED" => Key::Lacks(Answered),
        "UNDELETED" => Key::Lacks(Deleted),
        "UNDRAFT" => Key::Lacks(Draft),
        "UNFLAGGED" => Key::Lacks(Flagged),
        "UNSEEN" => Key::Lacks(Seen),
        "OLD" => Key::Lacks(Recent),
        "NEW" => Key::And(vec![Key::Has(Recent), Key::Lacks(Seen)]),
        _ => return key_with_argument(cursor, budget, name),
    })
}

fn key_with_argument(cursor: &mut Cursor<'_>, budget: &mut Budget, name: &str) -> Parsed<Key> {
    Ok(match name {
        "BCC" => Key::Field(Field::Bcc, budget.text(cursor)?),
        "CC" => Key::Field(Field::Cc, budget.text(cursor)?),
        "FROM" => Key::Field(Field::From, budget.text(cursor)?),
        "SUBJECT" => Key::Field(Field::Subject, budget.text(cursor)?),
        "TO" => Key::Field(Field::To, budget.text(cursor)?),
        "BODY" => Key::Body(budget.text(cursor)?),
        "TEXT" => Key::Text(budget.text(cursor)?),
        "HEADER" => {
            cursor.space()?;
            let field = String::from_utf8(cursor.astring()?)
                .map_err(|_| Fault::new("The name of a header field is ASCII."))?;
            Key::Header(field.into(), budget.text(cursor)?)
        }
        "KEYWORD" => Key::Has(keyword(cursor)?),
        "UNKEYWORD" => Key::Lacks(keyword(cursor)?),
        "BEFORE" => Key::Before(DateOf::Arrival, day(cursor)?),
        "ON" => Key::On(DateOf::Arrival, day(cursor)?),
        "SINCE" => Key::Since(DateOf::Arrival, day(cursor)?),
        "SENTBEFORE" => Key::Before(DateOf::Sent, day(cursor)?),
        "SENTON" => Key::On(DateOf::Sent, day(cursor)?),
        "SENTSINCE" => Key::Since(DateOf::Sent, day(cursor)?),
        "LARGER" => Key::Larger(size(cursor)?),
        "SMALLER" => Key::Smaller(size(cursor)?),
        "MODSEQ" => modseq(cursor)?,
        "UID" => {
            cursor.space()?;
            Key::Uid(set::sequence_set(cursor)?)
        }
        _ => return Err(Fault::new("This search key is not known here.")),
    })
}

/// ```abnf
/// search-modsequence = "MODSEQ" [SP entry-name SP entry-type-req] SP mod-sequence-valzer
/// ```
/// RFC 7162 §7. A message has one modification sequence here, so the entry makes no difference.
fn modseq(cursor: &mut Cursor<'_>) -> Parsed<Key> {
    cursor.space()?;
    if cursor.peek() == Some(b'"') {
        cursor.quoted()?;
        cursor.space()?;
        let known = [b"priv".as_slice(), b"shared", b"all"];
        if !known.into_iter().any(|entry| cursor.take_word(entry)) {
            return Err(Fault::new(
                "After the entry priv, shared or all was expected.",
            ));
        }
        cursor.space()?;
    }
    Ok(Key::ModSeq(cursor.number64()?))
}

fn keyword(cursor: &mut Cursor<'_>) -> Parsed<FlagKey> {
    cursor.space()?;
    Ok(FlagKey::Keyword(cursor.atom()?.into()))
}

fn day(cursor: &mut Cursor<'_>) -> Parsed<Day> {
    cursor.space()?;
    date::date(cursor)
}

fn size(cursor: &mut Cursor<'_>) -> Parsed<u64> {
    cursor.space()?;
    cursor.number64()
}
