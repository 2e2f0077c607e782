//! IMAP section specs (`1.2.HEADER.FIELDS (DATE)`, RFC 3501 §6.4.5): read, print, and find the bytes
//! they mean with the facts of a message. Pure; the caller reads the bytes.

use std::ops::Range;

use crate::header;
use crate::imap_text::{self, Utf8};
use crate::message::{Facts, Part, PartKind};

/// Numbers in a section path; deeper ones are refused.
pub const PATH_NUMBERS_MAX: usize = 128;
/// Names in a HEADER.FIELDS list.
pub const FIELD_NAMES_MAX: usize = 200;
/// Bytes of one name in a HEADER.FIELDS list.
pub const FIELD_NAME_BYTES_MAX: usize = 998;

/// What stands between the brackets of `BODY[…]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Section {
    /// Part numbers, each at least 1; empty for the whole message.
    pub path: Vec<u32>,
    /// What of that part.
    pub text: SectionText,
}

/// What of a part is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SectionText {
    /// Everything: the whole message, or the body of a part.
    #[default]
    Whole,
    /// HEADER of a message.
    Header,
    /// HEADER.FIELDS or HEADER.FIELDS.NOT.
    HeaderFields(FieldFilter),
    /// TEXT of a message.
    Text,
    /// MIME header of a part; needs a path.
    Mime,
}

/// Which fields of a header are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldFilter {
    /// Keep the listed ones, or the others.
    pub keep: Keep,
    /// Names as the client wrote them.
    pub names: Vec<String>,
}

/// Keep the listed fields, or the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// HEADER.FIELDS.
    Listed,
    /// HEADER.FIELDS.NOT.
    Unlisted,
}

/// Why a text is no section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SectionError {
    /// Not the grammar of RFC 3501 §9 `section-spec`.
    #[error("this is not a section such as 1.2.MIME or HEADER.FIELDS (DATE)")]
    Grammar,
    /// MIME without a part number.
    #[error("MIME needs a part number before it")]
    MimeNeedsPart,
    /// Over [`PATH_NUMBERS_MAX`] or [`FIELD_NAMES_MAX`].
    #[error("the section has too many numbers or names")]
    TooLong,
}

/// Where a section stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// Bytes of the message the facts describe.
    pub range: Range<u64>,
    /// The section begins with the message's own header, so lines put in front of the message
    /// (Delivered-To) belong to it.
    pub begins_message: bool,
}

impl Section {
    /// Reads a section up to, not including, `]`; returns it and the bytes consumed. Field names may
    /// be atoms, quoted strings or literals.
    // section-spec = section-msgtext / (section-part ["." section-text])
    pub fn parse(bytes: &[u8]) -> Result<(Section, usize), SectionError> {
        let mut input = Input { rest: bytes };
        let mut section = Section::default();
        let mut text_may_follow = true;
        while input.rest.first().is_some_and(u8::is_ascii_digit) {
            if section.path.len() >= PATH_NUMBERS_MAX {
                return Err(SectionError::TooLong);
            }
            section.path.push(input.part_number()?);
            text_may_follow = input.take(b".");
            if !text_may_follow {
                break;
            }
        }
        if text_may_follow && input.rest.first() != Some(&b']') {
            section.text = input.section_text()?;
        } else if text_may_follow && !section.path.is_empty() {
            // `1.` promises something.
            return Err(SectionError::Grammar);
        }
        if section.text == SectionText::Mime && section.path.is_empty() {
            return Err(SectionError::MimeNeedsPart);
        }
        match input.rest.first() {
            Some(b']') => Ok((section, bytes.len() - input.rest.len())),
            _ => Err(SectionError::Grammar),
        }
    }

    /// Writes the section as a FETCH response repeats it, without brackets.
    pub fn write(&self, out: &mut Vec<u8>) {
        for (index, number) in self.path.iter().enumerate() {
            if index > 0 {
                out.push(b'.');
            }
            out.extend_from_slice(number.to_string().as_bytes());
        }
        if !self.path.is_empty() && self.text != SectionText::Whole {
            out.push(b'.');
        }
        match &self.text {
            SectionText::Whole => {}
            SectionText::Header => out.extend_from_slice(b"HEADER"),
            SectionText::Text => out.extend_from_slice(b"TEXT"),
            SectionText::Mime => out.extend_from_slice(b"MIME"),
            SectionText::HeaderFields(filter) => filter.write(out),
        }
    }

    /// Finds the section; `None` where the message has no such part. For HEADER.FIELDS it is the
    /// whole header, to be passed through [`FieldFilter::apply`].
    pub fn locate(&self, facts: &Facts) -> Option<Located> {
        if self.path.is_empty() {
            let range = match self.text {
                SectionText::Whole => 0..facts.size(),
                SectionText::Text => facts.root().body(),
                SectionText::Header | SectionText::HeaderFields(_) => facts.root().header(),
                SectionText::Mime => return None,
            };
            return Some(Located {
                range,
                begins_message: self.text != SectionText::Text,
            });
        }
        let part = part_at(facts, &self.path)?;
        let range = match self.text {
            SectionText::Whole => part.body(),
            SectionText::Mime => part.header(),
            // RFC 3501 §6.4.5: only a message inside has these.
            SectionText::Header | SectionText::HeaderFields(_) => message_inside(part)?.header(),
            SectionText::Text => message_inside(part)?.body(),
        };
        Some(Located {
            begins_message: part.index() == 0 && self.text == SectionText::Mime,
            range,
        })
    }
}

/// The part of a path such as 1.2 (RFC 3501 §6.4.5): numbers count the parts of a multipart; the
/// body of anything else has the one part 1.
pub fn part_at<'a>(facts: &'a Facts, path: &[u32]) -> Option<Part<'a>> {
    let mut part = facts.root();
    let mut place = Place::RootOfMessage;
    for &number in path {
        if place == Place::Part && part.kind() == PartKind::Message {
            part = message_inside(part)?;
            place = Place::RootOfMessage;
        }
        if part.kind() == PartKind::Multipart {
            let index = usize::try_from(number.checked_sub(1)?).ok()?;
            part = part.children().nth(index)?;
        } else if number != 1 || place == Place::Part {
            return None;
        }
        place = Place::Part;
    }
    Some(part)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    RootOfMessage,
    Part,
}

fn message_inside(part: Part<'_>) -> Option<Part<'_>> {
    match part.kind() {
        PartKind::Message => part.children().next(),
        PartKind::Leaf | PartKind::Multipart => None,
    }
}

impl FieldFilter {
    /// The wanted fields of `header` as they stand, in their order, and the empty line.
    pub fn apply(&self, header: &[u8]) -> Vec<u8> {
        let mut kept = Vec::new();
        for field in header::fields(header) {
            let listed = self.names.iter().any(|name| field.is(name));
            if listed == (self.keep == Keep::Listed) {
                kept.extend_from_slice(header.get(field.start..field.end).unwrap_or_default());
            }
        }
        // RFC 3501 §6.4.5: the delimiting blank line is always included.
        if !kept.is_empty() && !kept.ends_with(b"\n") {
            kept.extend_from_slice(b"\r\n");
        }
        kept.extend_from_slice(b"\r\n");
        kept
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(match self.keep {
            Keep::Listed => b"HEADER.FIELDS (",
            Keep::Unlisted => b"HEADER.FIELDS.NOT (",
        });
        for (index, name) in self.names.iter().enumerate() {
            if index > 0 {
                out.push(b' ');
            }
            let is_atom = |byte: u8| byte.is_ascii_graphic() && !b"(){%*\"\\]".contains(&byte);
            match !name.is_empty() && name.bytes().all(is_atom) {
                true => out.extend_from_slice(name.as_bytes()),
                false => imap_text::write_string(out, name.as_bytes(), Utf8::Literals),
            }
        }
        out.push(b')');
    }
}

struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    fn take(&mut self, word: &[u8]) -> bool {
        let head = self.rest.get(..word.len());
        let found = head.is_some_and(|head| head.eq_ignore_ascii_case(word));
        if found {
            self.rest = self.rest.get(word.len()..).unwrap_or_default();
        }
        found
    }

    fn while_byte(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|&byte| !wanted(byte));
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        word
    }

    // nz-number
    fn part_number(&mut self) -> Result<u32, SectionError> {
        let digits = self.while_byte(|byte| byte.is_ascii_digit());
        std::str::from_utf8(digits)
            .ok()
            .filter(|digits| !digits.starts_with('0'))
            .and_then(|digits| digits.parse().ok())
            .ok_or(SectionError::Grammar)
    }

    fn section_text(&mut self) -> Result<SectionText, SectionError> {
        let word = self.while_byte(|byte| byte.is_ascii_alphabetic() || byte == b'.');
        let keep = match word.to_ascii_uppercase().as_slice() {
            b"HEADER" => return Ok(SectionText::Header),
            b"TEXT" => return Ok(SectionText::Text),
            b"MIME" => return Ok(SectionText::Mime),
            b"HEADER.FIELDS" => Keep::Listed,
            b"HEADER.FIELDS.NOT" => Keep::Unlisted,
            _ => return Err(SectionError::Grammar),
        };
        let names = self.header_list()?;
        Ok(SectionText::HeaderFields(FieldFilter { keep, names }))
    }

    // header-list = "(" header-fld-name *(SP header-fld-name) ")"
    fn header_list(&mut self) -> Result<Vec<String>, SectionError> {
        if !self.take(b" (") {
            return Err(SectionError::Grammar);
        }
        let mut names = Vec::new();
        loop {
            if names.len() >= FIELD_NAMES_MAX {
                return Err(SectionError::TooLong);
            }
            let name = String::from_utf8(self.astring()?).map_err(|_| SectionError::Grammar)?;
            names.push(name);
            if self.take(b")") {
                return Ok(names);
            }
            if !self.take(b" ") {
                return Err(SectionError::Grammar);
            }
        }
    }

    fn astring(&mut self) -> Result<Vec<u8>, SectionError> {
        let name = match self.rest.first() {
            Some(b'"') => self.quoted()?,
            Some(b'{') => self.literal()?,
            _ => {
                let is_atom = |byte: u8| byte.is_ascii_graphic() && !b"(){%*\"\\]".contains(&byte);
                self.while_byte(is_atom).to_vec()
            }
        };
        match name.len() {
            0 => Err(SectionError::Grammar),
            // RFC 3501 §9: NUL stands in no string, so it could not be repeated in the answer.
            _ if name.contains(&0) => Err(SectionError::Grammar),
            1..=FIELD_NAME_BYTES_MAX => Ok(name),
            _ => Err(SectionError::TooLong),
        }
    }

    fn quoted(&mut self) -> Result<Vec<u8>, SectionError> {
        let mut text = Vec::new();
        let mut bytes = self.rest.iter().enumerate().skip(1);
        while let Some((at, &byte)) = bytes.next() {
            match byte {
                b'"' => {
                    self.rest = self.rest.get(at + 1..).unwrap_or_default();
                    return Ok(text);
                }
                b'\\' => text.extend(bytes.next().map(|(_, &escaped)| escaped)),
                b'\r' | b'\n' => break,
                _ => text.push(byte),
            }
        }
        Err(SectionError::Grammar)
    }

    fn literal(&mut self) -> Result<Vec<u8>, SectionError> {
        self.take(b"{");
        let digits = self.while_byte(|byte| byte.is_ascii_digit());
        let bytes: Option<usize> = std::str::from_utf8(digits)
            .ok()
            .and_then(|n| n.parse().ok());
        self.take(b"+");
        if !self.take(b"}\r\n") {
            return Err(SectionError::Grammar);
        }
        let split = bytes.and_then(|bytes| self.rest.split_at_checked(bytes));
        let (text, rest) = split.ok_or(SectionError::Grammar)?;
        self.rest = rest;
        Ok(text.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Section, SectionError> {
        let (section, used) = Section::parse(text.as_bytes())?;
        assert_eq!(text.as_bytes()[used], b']');
        Ok(section)
    }

    #[test]
    fn sections_read_and_print() {
        for (text, printed) in [
            ("]", ""),
            ("header]", "HEADER"),
            ("TEXT]", "TEXT"),
            ("1]", "1"),
            ("1.2.33]", "1.2.33"),
            ("1.mime]", "1.MIME"),
            ("1.2.header]", "1.2.HEADER"),
            ("HEADER.FIELDS (DATE From)]", "HEADER.FIELDS (DATE From)"),
            (
                "3.header.fields.not (\"x y\" {3}\r\nCc:)]",
                "3.HEADER.FIELDS.NOT (\"x y\" Cc:)",
            ),
        ] {
            let section = parse(text).expect(text);
            let mut out = Vec::new();
            section.write(&mut out);
            assert_eq!(String::from_utf8_lossy(&out), printed);
        }
        for bad in [
            "",
            "1",
            "1.]",
            "0]",
            "01]",
            ".1]",
            "1..2]",
            "99999999999]",
            "HEAD]",
            "HEADER.FIELDS]",
            "HEADER.FIELDS ()]",
            "HEADER.FIELDS (a]",
            "HEADER.FIELDS (a  b)]",
            "HEADER.FIELDS ({9}\r\na)]",
            "HEADER.FIELDS ({99999999999999999999}\r\na)]",
            "HEADER.FIELDS (\"a)]",
            "HEADER.FIELDS (\"a\0\")]",
            "TEXT.1]",
            "1 ]",
        ] {
            assert_eq!(parse(bad), Err(SectionError::Grammar), "{bad}");
        }
        assert_eq!(parse("MIME]"), Err(SectionError::MimeNeedsPart));
        assert_eq!(
            parse(&format!("{}1]", "1.".repeat(500))),
            Err(SectionError::TooLong)
        );
        assert_eq!(
            parse(&format!("HEADER.FIELDS ({}a)]", "a ".repeat(500))),
            Err(SectionError::TooLong)
        );
    }

    // The example of RFC 3501 §6.4.5, cut down: text, a message with a multipart, a plain message.
    const MESSAGE: &str = "Subject: all\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n\r\none\r\n--o\r\nX-M: two\r\nContent-Type: message/rfc822\r\n\r\nSubject: two\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n--i\r\nX-M: 2.1\r\n\r\ntwo-one\r\n--i--\r\n--o\r\nContent-Type: message/rfc822\r\n\r\nSubject: three\r\n\r\nthree\r\n--o--\r\n";

    #[test]
    fn sections_are_found() {
        let facts = Facts::scan(MESSAGE.as_bytes());
        let get = |text: &str| {
            let located = parse(text).expect(text).locate(&facts)?;
            Some(&MESSAGE[located.range.start as usize..located.range.end as usize])
        };
        for (text, expected) in [
            ("1]", "one"),
            ("1.MIME]", "\r\n"),
            (
                "2.MIME]",
                "X-M: two\r\nContent-Type: message/rfc822\r\n\r\n",
            ),
            (
                "2.HEADER]",
                "Subject: two\r\nContent-Type: multipart/mixed; boundary=i\r\n\r\n",
            ),
            ("2.TEXT]", "--i\r\nX-M: 2.1\r\n\r\ntwo-one\r\n--i--"),
            ("2.1]", "two-one"),
            ("2.1.MIME]", "X-M: 2.1\r\n\r\n"),
            ("3]", "Subject: three\r\n\r\nthree"),
            ("3.1]", "three"),
            ("3.1.MIME]", "Subject: three\r\n\r\n"),
            ("3.TEXT]", "three"),
        ] {
            assert_eq!(get(text), Some(expected), "{text}");
        }
        for text in [
            "4]",
            "1.1]",
            "1.HEADER]",
            "1.TEXT]",
            "2.2]",
            "2.1.1]",
            "3.2]",
            "3.1.1]",
        ] {
            assert_eq!(get(text), None, "{text}");
        }
        assert_eq!(get("]"), Some(MESSAGE));
    }

    #[test]
    fn lines_in_front_of_the_message_belong_to_what_begins_it() {
        let facts = Facts::scan(MESSAGE.as_bytes());
        let header = parse("HEADER]")
            .expect("header")
            .locate(&facts)
            .expect("header");
        assert_eq!(
            header,
            Located {
                range: 0..facts.header_bytes(),
                begins_message: true
            }
        );
        assert!(
            !parse("TEXT]")
                .expect("text")
                .locate(&facts)
                .expect("text")
                .begins_message
        );

        let plain = Facts::scan(b"Subject: x\r\n\r\nbody");
        let body = parse("1]")
            .expect("part")
            .locate(&plain)
            .expect("the one part");
        assert_eq!(body.range, 14..18);
        assert_eq!(parse("1.1]").expect("part").locate(&plain), None);
        let mime = parse("1.MIME]")
            .expect("part")
            .locate(&plain)
            .expect("header");
        assert!(mime.begins_message);
    }

    #[test]
    fn fields_are_filtered() {
        let header = b"Date: a\r\nTo: b\r\n c\r\nX: d\r\ndate: e\r\n\r\n";
        let filter = |keep, names: &[&str]| {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            String::from_utf8(FieldFilter { keep, names }.apply(header)).expect("text")
        };
        assert_eq!(
            filter(Keep::Listed, &["DATE", "Cc"]),
            "Date: a\r\ndate: e\r\n\r\n"
        );
        assert_eq!(
            filter(Keep::Unlisted, &["DATE"]),
            "To: b\r\n c\r\nX: d\r\n\r\n"
        );
        assert_eq!(filter(Keep::Listed, &["Cc"]), "\r\n");
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..40), text in "(1\\.|HEADER|\\.FIELDS| \\(|\"|\\{3\\}\r\n|a| |\\)|\\])*") {
            let _ = Section::parse(&bytes);
            if let Ok((section, _)) = Section::parse(text.as_bytes()) {
                let mut out = Vec::new();
                section.write(&mut out);
                out.push(b']');
                prop_assert_eq!(Section::parse(&out).map(|(again, _)| again), Ok(section));
            }
        }
    }
}
