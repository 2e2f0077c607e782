//! LIST with the options of RFC 5258, RFC 5819 (STATUS) and RFC 6154 (SPECIAL-USE).

use super::command::{StatusItem, mailbox, status_items};
use super::cursor::{Cursor, Empty, is_astring_char};
use super::{Fault, Parsed};
use crate::imap::limits;

/// The arguments of LIST.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct List {
    /// What goes before each pattern.
    pub reference: Vec<u8>,
    /// Names with `%` and `*`.
    pub patterns: Vec<Vec<u8>>,
    /// Whether this is the LIST of RFC 5258: it had options or several patterns.
    pub extended: bool,
    /// Only mailboxes that are subscribed, whether they exist or not.
    pub select_subscribed: bool,
    /// Only mailboxes with a special use.
    pub select_special_use: bool,
    /// Also ancestors of what was selected (RFC 5258 §3.5).
    pub recursive_match: bool,
    /// Tell `\Subscribed`.
    pub return_subscribed: bool,
    /// Tell the special use.
    pub return_special_use: bool,
    /// Add STATUS lines with these items.
    pub return_status: Vec<StatusItem>,
}

/// ```abnf
/// list = "LIST" [SP list-select-opts] SP mailbox SP mbox-or-pat [SP list-return-opts]
/// mbox-or-pat = list-mailbox / "(" list-mailbox *(SP list-mailbox) ")"     ; RFC 5258 §6
/// ```
pub fn list(cursor: &mut Cursor<'_>) -> Parsed<List> {
    let mut list = List::default();
    if cursor.peek() == Some(b'(') {
        list.extended = true;
        select_options(cursor, &mut list)?;
        cursor.space()?;
    }
    list.reference = mailbox(cursor)?;
    cursor.space()?;
    if cursor.peek() == Some(b'(') {
        list.extended = true;
        list.patterns = cursor.list(Empty::Refused, limits::LIST_PATTERNS_MAX, list_mailbox)?;
    } else {
        list.patterns = vec![list_mailbox(cursor)?];
    }
    if cursor.take(b' ') {
        list.extended = true;
        return_options(cursor, &mut list)?;
    }
    Ok(list)
}

/// ```abnf
/// list-mailbox = 1*list-char / string
/// list-char    = ATOM-CHAR / list-wildcards / resp-specials
/// ```
pub fn list_mailbox(cursor: &mut Cursor<'_>) -> Parsed<Vec<u8>> {
    match cursor.peek() {
        Some(b'"' | b'{') => cursor.string(),
        _ => {
            let run = cursor
                .run(|byte| is_astring_char(byte) || matches!(byte, b'%' | b'*') || byte >= 0x80);
            if run.is_empty() {
                return Err(Fault::new("A name or a pattern such as * was expected."));
            }
            Ok(run.to_vec())
        }
    }
}

/// ```abnf
/// list-select-opts = "(" [option *(SP option)] ")"
/// option = "SUBSCRIBED" / "REMOTE" / "RECURSIVEMATCH" / "SPECIAL-USE"
/// ```
fn select_options(cursor: &mut Cursor<'_>, list: &mut List) -> Parsed<()> {
    cursor.list(Empty::Allowed, 8, |cursor| {
        match cursor.atom()?.to_ascii_uppercase().as_str() {
            "SUBSCRIBED" => list.select_subscribed = true,
            // There are no mailboxes on other servers.
            "REMOTE" => {}
            "RECURSIVEMATCH" => list.recursive_match = true,
            "SPECIAL-USE" => list.select_special_use = true,
            _ => {
                return Err(Fault::new(
                    "LIST selects by SUBSCRIBED, REMOTE, RECURSIVEMATCH and SPECIAL-USE.",
                ));
            }
        }
        Ok(())
    })?;
    // RFC 5258 §3: RECURSIVEMATCH alone is an error.
    if list.recursive_match && !list.select_subscribed && !list.select_special_use {
        return Err(Fault::new("RECURSIVEMATCH needs another selection option."));
    }
    list.return_subscribed |= list.select_subscribed;
    list.return_special_use |= list.select_special_use;
    Ok(())
}

/// ```abnf
/// list-return-opts = "RETURN" SP "(" [return-option *(SP return-option)] ")"
/// return-option = "SUBSCRIBED" / "CHILDREN" / "SPECIAL-USE" / "STATUS" SP status-atts
/// ```
fn return_options(cursor: &mut Cursor<'_>, list: &mut List) -> Parsed<()> {
    if !cursor.take_word(b"RETURN") {
        return Err(Fault::new(
            "After the pattern only RETURN (...) may follow.",
        ));
    }
    cursor.space()?;
    cursor.list(Empty::Allowed, 8, |cursor| {
        match cursor.atom()?.to_ascii_uppercase().as_str() {
            "SUBSCRIBED" => list.return_subscribed = true,
            // Always told.
            "CHILDREN" => {}
            "SPECIAL-USE" => list.return_special_use = true,
            "STATUS" => {
                cursor.space()?;
                list.return_status = status_items(cursor)?;
            }
            _ => {
                return Err(Fault::new(
                    "LIST returns SUBSCRIBED, CHILDREN, SPECIAL-USE and STATUS (...).",
                ));
            }
        }
        Ok(())
    })?;
    Ok(())
}
