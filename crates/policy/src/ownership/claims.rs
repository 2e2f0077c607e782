//! Reads who a header says it is from: strictly, because what can be read in two ways is how senders
//! are forged. Comments, quoted names and raw UTF-8 are understood; groups, source routes, text behind
//! the address and unquoted specials are not. Pure; hostile input costs its length.

use formats::address::{Address, Utf8Policy};
use formats::header::{decode_text, fields};

/// Addresses that are looked up per message; nobody has more authors.
pub const CLAIMS_MAX: usize = 30;

/// Where an address stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// MAIL FROM.
    Envelope,
    /// From.
    From,
    /// Sender.
    Sender,
    /// Resent-From.
    ResentFrom,
    /// Resent-Sender.
    ResentSender,
    /// The display name or a comment of one of these fields.
    Shown,
}

impl Place {
    /// As texts call it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Envelope => "envelope sender",
            Self::From => "From",
            Self::Sender => "Sender",
            Self::ResentFrom => "Resent-From",
            Self::ResentSender => "Resent-Sender",
            Self::Shown => "name shown",
        }
    }

    /// The field's place; `None` for fields that name no originator.
    fn of(name: &[u8]) -> Option<Self> {
        let is = |text: &str| name.eq_ignore_ascii_case(text.as_bytes());
        match name.len() {
            4 if is("From") => Some(Self::From),
            6 if is("Sender") => Some(Self::Sender),
            11 if is("Resent-From") => Some(Self::ResentFrom),
            13 if is("Resent-Sender") => Some(Self::ResentSender),
            _ => None,
        }
    }
}

/// One address in one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Where it stands.
    pub place: Place,
    /// The address.
    pub address: Address,
}

/// Everything the header claims.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Claims {
    /// In the order of the header.
    pub claims: Vec<Claim>,
}

impl Claims {
    /// How many addresses stand in `place`.
    pub fn count(&self, place: Place) -> usize {
        self.claims
            .iter()
            .filter(|claim| claim.place == place)
            .count()
    }

    /// The one author; `None` where there are several.
    pub fn author(&self) -> Option<&Address> {
        let mut authors = self
            .claims
            .iter()
            .filter(|claim| claim.place == Place::From);
        let first = authors.next()?;
        authors.next().is_none().then_some(&first.address)
    }
}

/// Why it cannot be said who a message is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No From, or one without anything in it.
    NoFrom,
    /// From or Sender stands twice.
    TwoFields(Place),
    /// Group syntax.
    Group(Place),
    /// Not a list of mailboxes.
    Unreadable(Place),
    /// More than `CLAIMS_MAX` addresses.
    TooMany,
    /// Several authors, but no Sender.
    AuthorsWithoutSender,
}

/// Reads the originator fields of `header`.
///
/// # Errors
/// The first fault from the top.
pub fn read(header: &[u8]) -> Result<Claims, Fault> {
    let mut claims = Claims::default();
    let (mut from, mut sender) = (0, 0);
    for field in fields(header) {
        let Some(place) = Place::of(field.name) else {
            continue;
        };
        let value = field.value();
        let mut list = List {
            rest: &value,
            shown: Vec::new(),
        };
        let before = claims.claims.len();
        list.mailboxes(place, &mut claims)?;
        let added = claims.claims.len() - before;
        match place {
            Place::From => from += 1,
            Place::Sender => sender += 1,
            _ => {}
        }
        if from > 1 || sender > 1 {
            return Err(Fault::TwoFields(place));
        }
        if matches!(place, Place::Sender | Place::ResentSender) && added > 1 {
            return Err(Fault::Unreadable(place));
        }
        shown_addresses(&list.shown, &mut claims.claims);
        if claims.claims.len() > CLAIMS_MAX {
            return Err(Fault::TooMany);
        }
    }
    if from == 0 {
        return Err(Fault::NoFrom);
    }
    Ok(claims)
}

struct List<'a> {
    rest: &'a [u8],
    /// Names and comments, each ended by a blank, still encoded.
    shown: Vec<u8>,
}

impl List<'_> {
    /// ```abnf
    /// mailbox-list = mailbox *("," mailbox)                     ; RFC 5322 §3.4
    /// ```
    fn mailboxes(&mut self, place: Place, claims: &mut Claims) -> Result<(), Fault> {
        let wrong = || Fault::Unreadable(place);
        self.blanks().ok_or_else(wrong)?;
        if self.rest.is_empty() {
            return Err(match place {
                Place::From => Fault::NoFrom,
                _ => wrong(),
            });
        }
        loop {
            let address = self.mailbox(place)?;
            claims.claims.push(Claim { place, address });
            if claims.claims.len() > CLAIMS_MAX {
                return Err(Fault::TooMany);
            }
            self.blanks().ok_or_else(wrong)?;
            match self.rest.split_first() {
                None => return Ok(()),
                Some((b',', rest)) => self.rest = rest,
                Some(_) => return Err(wrong()),
            }
        }
    }

    /// ```abnf
    /// mailbox    = name-addr / addr-spec
    /// name-addr  = [display-name] [CFWS] "<" addr-spec ">" [CFWS]
    /// ```
    fn mailbox(&mut self, place: Place) -> Result<Address, Fault> {
        let wrong = || Fault::Unreadable(place);
        self.blanks().ok_or_else(wrong)?;
        let start = self.rest;
        let shown = self.shown.len();
        self.phrase().ok_or_else(wrong)?;
        match self.rest.first() {
            Some(b'<') => {
                self.rest = self.rest.get(1..).unwrap_or_default();
                let address = self.address().ok_or_else(wrong)?;
                self.rest = self.rest.strip_prefix(b">").ok_or_else(wrong)?;
                Ok(address)
            }
            Some(b'@') => {
                self.rest = start;
                self.shown.truncate(shown);
                self.address().ok_or_else(wrong)
            }
            Some(b':') => Err(Fault::Group(place)),
            _ => Err(wrong()),
        }
    }

    /// An addr-spec, without the source route RFC 5322 §4.4 allowed before it.
    fn address(&mut self) -> Option<Address> {
        if self.rest.starts_with(b"@") {
            return None;
        }
        let (address, used) = Address::parse_prefix(self.rest, Utf8Policy::Accept).ok()?;
        self.rest = self.rest.get(used..)?;
        Some(address)
    }

    /// Words of a display name: atoms (dots and raw UTF-8 among them), quoted strings, comments.
    fn phrase(&mut self) -> Option<()> {
        loop {
            self.blanks()?;
            match self.rest.first() {
                Some(b'"') => self.quoted()?,
                Some(&byte) if is_word(byte) => {
                    let end = self.rest.iter().position(|&byte| !is_word(byte));
                    let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
                    self.shown.extend_from_slice(word);
                    self.rest = rest;
                }
                _ => return Some(()),
            }
        }
    }

    fn quoted(&mut self) -> Option<()> {
        let mut bytes = self.rest.iter().enumerate().skip(1);
        while let Some((at, &byte)) = bytes.next() {
            match byte {
                b'"' => {
                    self.rest = self.rest.get(at + 1..)?;
                    return Some(());
                }
                b'\\' => self.shown.push(*bytes.next()?.1),
                b'\t' | 32..=126 | 128.. => self.shown.push(byte),
                _ => return None,
            }
        }
        None
    }

    /// Blanks and comments, nested ones too (RFC 5322 §3.2.2 `CFWS`).
    fn blanks(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        let mut bytes = self.rest.iter().enumerate();
        let mut end = self.rest.len();
        while let Some((at, &byte)) = bytes.next() {
            match byte {
                b'(' => depth += 1,
                b')' if depth > 0 => {
                    depth -= 1;
                    self.shown.push(b' ');
                }
                b'\\' if depth > 0 => self.shown.push(*bytes.next()?.1),
                b'\t' | 32..=126 | 128.. if depth > 0 => self.shown.push(byte),
                b' ' | b'\t' => {
                    if self.shown.last().is_some_and(|&last| last != b' ') {
                        self.shown.push(b' ');
                    }
                }
                _ if depth > 0 => return None,
                _ => {
                    end = at;
                    break;
                }
            }
        }
        self.rest = self.rest.get(end..)?;
        (depth == 0).then_some(())
    }
}

/// RFC 5322 §3.2.3 `atext`, the dot of `obs-phrase`, and UTF-8 (RFC 6532 §3.2).
fn is_word(byte: u8) -> bool {
    byte >= 0x80 || byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&byte)
}

/// Addresses that a reader would see in names and comments.
fn shown_addresses(shown: &[u8], claims: &mut Vec<Claim>) {
    let has_sign = memchr::memchr(b'@', shown).is_some();
    let encoded = shown.windows(2).any(|pair| pair == b"=?") || !shown.is_ascii();
    if !has_sign && !encoded {
        return;
    }
    let decoded = decode_text(shown);
    let text: String = decoded.chars().filter_map(as_seen).collect();
    for (at, _) in text.match_indices('@') {
        let (before, after) = (&text[..at], &text[at + 1..]);
        let local = before.rsplit(|letter| !in_local_part(letter)).next();
        let domain = after.split(|letter| !in_domain(letter)).next();
        let (Some(local), Some(domain)) = (local, domain) else {
            continue;
        };
        let around = |letter: char| letter.is_ascii_punctuation();
        let (local, domain) = (local.trim_matches(around), domain.trim_matches(around));
        if let Ok(address) = Address::parse(&format!("{local}@{domain}")) {
            claims.push(Claim {
                place: Place::Shown,
                address,
            });
        }
        if claims.len() > CLAIMS_MAX {
            return;
        }
    }
}

/// A letter as a reader sees it: forms of the at sign and the dot, and nothing for what has no shape
/// (soft hyphen, zero width and direction marks).
fn as_seen(letter: char) -> Option<char> {
    match letter {
        '\u{ff20}' | '\u{fe6b}' => Some('@'),
        '\u{ff0e}' | '\u{3002}' | '\u{ff61}' => Some('.'),
        '\u{ad}' | '\u{feff}' => None,
        '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => None,
        other => Some(other),
    }
}

/// Letters and digits of any script, with their combining marks.
fn is_letter(letter: char) -> bool {
    letter.is_alphanumeric() || ('\u{300}'..='\u{36f}').contains(&letter)
}

fn in_domain(letter: char) -> bool {
    is_letter(letter) || matches!(letter, '-' | '.')
}

/// RFC 5322 §3.2.3 `atext` and the dot, with letters of any script.
fn in_local_part(letter: char) -> bool {
    is_letter(letter) || "!#$%&'*+-/=?^_`{|}~.".contains(letter)
}
