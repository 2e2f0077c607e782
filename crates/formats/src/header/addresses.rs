//! Address lists of header fields (RFC 5322 §3.4 and §4.4), read the way mail really looks.
//! Never fails and never panics: what cannot be an address becomes an entry IMAP can still show.

use std::borrow::Cow;

/// Entries read from one list; the rest is ignored.
pub const ADDRESSES_MAX: usize = 10_000;
const LITERAL_BYTES_MAX: usize = 256;

/// One entry of a list, in the shape of IMAP's address structure (RFC 3501 §7.4.2). Texts have quotes
/// and comments removed and are not RFC 2047 decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry<'a> {
    /// A mailbox.
    Mailbox {
        /// Display name, or the comment that stood in its place.
        name: Option<Cow<'a, [u8]>>,
        /// Source route, `@a,@b`.
        route: Option<Cow<'a, [u8]>>,
        /// Local part, unquoted.
        local: Cow<'a, [u8]>,
        /// Domain; empty when it is missing.
        domain: Cow<'a, [u8]>,
    },
    /// `name:` of a group begins.
    GroupStart {
        /// Name of the group.
        name: Cow<'a, [u8]>,
    },
    /// `;` of a group.
    GroupEnd,
}

/// Reads an unfolded or folded address list.
pub fn parse_addresses(value: &[u8]) -> Vec<Entry<'_>> {
    let mut list = List {
        rest: value,
        comment: None,
        entries: Vec::new(),
        place: Place::List,
    };
    while list.entries.len() < ADDRESSES_MAX && !list.rest.is_empty() {
        list.entry();
    }
    if list.place == Place::Group {
        list.entries.push(Entry::GroupEnd);
    }
    list.entries
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    List,
    Group,
}

/// Text put together from pieces; borrows while there is only one.
#[derive(Default)]
struct Joined<'a>(Cow<'a, [u8]>);

impl<'a> Joined<'a> {
    fn add(&mut self, piece: Cow<'a, [u8]>) {
        match self.0.is_empty() {
            true => self.0 = piece,
            false => self.0.to_mut().extend_from_slice(&piece),
        }
    }
}

/// What was read up to a character that decides what it is.
#[derive(Default)]
struct Words<'a> {
    /// Joined by single spaces where white space stood between them: a display name.
    phrase: Joined<'a>,
    /// Joined without: a local part or domain, from the last space on that no dot stands beside.
    compact: Joined<'a>,
    /// What stood before that space.
    before: Option<Cow<'a, [u8]>>,
}

struct List<'a> {
    rest: &'a [u8],
    /// The last comment, which old senders use for the name.
    comment: Option<Cow<'a, [u8]>>,
    entries: Vec<Entry<'a>>,
    place: Place,
}

impl<'a> List<'a> {
    // address = mailbox / group, with everything the obsolete forms allow between the commas
    fn entry(&mut self) {
        self.comment = None;
        let words = self.words(b"<,;:@");
        match self.next() {
            Some(b'<') => self.angle(words),
            Some(b'@') => self.bare(words),
            Some(b':') if self.place == Place::List => {
                self.place = Place::Group;
                self.entries.push(Entry::GroupStart {
                    name: words.phrase.0,
                });
            }
            Some(b';') => {
                self.lone_word(words);
                if self.place == Place::Group {
                    self.place = Place::List;
                    self.entries.push(Entry::GroupEnd);
                }
            }
            _ => self.lone_word(words),
        }
    }

    fn next(&mut self) -> Option<u8> {
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(byte)
    }

    /// A word that is no address, such as `undisclosed-recipients`.
    fn lone_word(&mut self, words: Words<'a>) {
        if !words.phrase.0.is_empty() {
            self.entries.push(Entry::Mailbox {
                name: None,
                route: None,
                local: words.phrase.0,
                domain: Cow::Borrowed(b""),
            });
        }
    }

    // angle-addr = "<" [obs-route] addr-spec ">"
    fn angle(&mut self, name: Words<'a>) {
        let mut route = None;
        let start = self.rest;
        let mut local = self.words(b"@:>,;");
        if local.compact.0.is_empty() && self.rest.starts_with(b"@") {
            let colon =
                memchr::memchr3(b':', b'>', b';', start).filter(|&at| start.get(at) == Some(&b':'));
            if let Some((text, rest)) = colon.and_then(|colon| start.split_at_checked(colon)) {
                route = Some(Cow::Borrowed(text.trim_ascii()));
                self.rest = rest.get(1..).unwrap_or_default();
                local = self.words(b"@>,;");
            }
        }
        let mut domain = Words::default();
        if self.rest.starts_with(b"@") {
            self.next();
            domain = self.words(b">,;");
        }
        // What stands between here and the bracket cannot be understood; a comma ends the entry.
        let end = memchr::memchr3(b'>', b',', b';', self.rest).unwrap_or(self.rest.len());
        self.rest = self.rest.get(end..).unwrap_or_default();
        if self.rest.starts_with(b">") {
            self.next();
        }
        // `Anna <a@x> (comment)` has its name already.
        let after = self.words(b",;");
        if self.rest.starts_with(b",") {
            self.next();
        }
        let name = [name.phrase.0, after.phrase.0]
            .into_iter()
            .find(|name| !name.is_empty())
            .or_else(|| self.comment.take());
        self.entries.push(Entry::Mailbox {
            name,
            route,
            local: local.compact.0,
            domain: domain.compact.0,
        });
    }

    // addr-spec, its `@` just read; or a display name with an `@` in it
    fn bare(&mut self, local: Words<'a>) {
        let domain = self.words(b"<,;");
        if self.rest.starts_with(b"<") {
            self.next();
            let mut name = local.phrase.0.into_owned();
            name.push(b'@');
            name.extend_from_slice(&domain.phrase.0);
            let mut words = Words::default();
            words.phrase.add(Cow::Owned(name));
            return self.angle(words);
        }
        if self.rest.starts_with(b",") {
            self.next();
        }
        self.entries.push(Entry::Mailbox {
            // `Anna B anna@x.test` lacks its brackets.
            name: self.comment.take().or(local.before),
            route: None,
            local: local.compact.0,
            domain: domain.compact.0,
        });
    }

    /// Reads atoms, quoted strings, domain literals and comments up to one of `stops`.
    fn words(&mut self, stops: &[u8]) -> Words<'a> {
        let mut words = Words::default();
        let mut space = false;
        while let Some(&byte) = self.rest.first() {
            let piece = match byte {
                _ if stops.contains(&byte) => break,
                b' ' | b'\t' | b'\r' | b'\n' => {
                    self.next();
                    space = true;
                    continue;
                }
                b'(' => {
                    let comment = self.nested(b'(', b')');
                    self.comment = Some(comment).filter(|comment| !comment.is_empty());
                    space = true;
                    continue;
                }
                b'"' => self.quoted(),
                b'[' => self.literal(),
                _ => self.atom(stops),
            };
            // RFC 5322 §4.4: only dots may join the words of an address.
            let joined = piece.starts_with(b".") || words.compact.0.ends_with(b".");
            if space && !joined && !words.phrase.0.is_empty() {
                words.before = Some(words.phrase.0.clone());
                words.compact = Joined::default();
            }
            if space && !words.phrase.0.is_empty() {
                words.phrase.add(Cow::Borrowed(b" "));
            }
            space = false;
            words.phrase.add(piece.clone());
            words.compact.add(piece);
        }
        words
    }

    fn atom(&mut self, stops: &[u8]) -> Cow<'a, [u8]> {
        let ends = |byte: &u8| b" \t\r\n(\"[".contains(byte) || stops.contains(byte);
        // The first byte was looked at by the caller and is none of these.
        let end = self
            .rest
            .iter()
            .skip(1)
            .position(ends)
            .map_or(self.rest.len(), |at| at + 1);
        let (atom, rest) = self.rest.split_at(end);
        self.rest = rest;
        Cow::Borrowed(atom)
    }

    /// The content of a quoted string; an open one reaches to the end.
    fn quoted(&mut self) -> Cow<'a, [u8]> {
        self.next();
        let end = self.rest.iter().position(|byte| b"\"\\\r\n".contains(byte));
        if let Some((text, [b'"', rest @ ..])) = end.and_then(|end| self.rest.split_at_checked(end))
        {
            self.rest = rest;
            return Cow::Borrowed(text);
        }
        let mut text = Vec::new();
        while let Some(byte) = self.next() {
            match byte {
                b'"' => break,
                b'\\' => text.extend(self.next()),
                b'\r' | b'\n' => {}
                _ => text.push(byte),
            }
        }
        Cow::Owned(text)
    }

    fn literal(&mut self) -> Cow<'a, [u8]> {
        // Looked for only as far as a literal can reach, so that many open ones stay cheap.
        let near = self.rest.get(..LITERAL_BYTES_MAX).unwrap_or(self.rest);
        let end = near.iter().position(|byte| b"],>".contains(byte));
        let end = end
            .filter(|&at| near.get(at) == Some(&b']'))
            .map_or(1, |at| at + 1);
        let (literal, rest) = self.rest.split_at(end);
        self.rest = rest;
        Cow::Borrowed(literal)
    }

    /// The content of a comment, those inside included.
    fn nested(&mut self, open: u8, close: u8) -> Cow<'a, [u8]> {
        self.next();
        let mut text = Vec::new();
        let mut depth = 1usize;
        while let Some(byte) = self.next() {
            match byte {
                b'\\' => text.extend(self.next()),
                b'\r' | b'\n' => {}
                _ => {
                    depth = match byte {
                        _ if byte == open => depth + 1,
                        _ if byte == close => depth - 1,
                        _ => depth,
                    };
                    if depth == 0 {
                        break;
                    }
                    text.push(byte);
                }
            }
        }
        Cow::Owned(text.trim_ascii().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn show(value: &[u8]) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let entries = parse_addresses(value).into_iter().map(|entry| match entry {
            Entry::Mailbox {
                name,
                route,
                local,
                domain,
            } => {
                let name = name.map_or(String::new(), |name| format!("{} ", text(&name)));
                let route = route.map_or(String::new(), |route| format!("{}:", text(&route)));
                format!("{name}<{route}{}|{}>", text(&local), text(&domain))
            }
            Entry::GroupStart { name } => format!("{{{}", text(&name)),
            Entry::GroupEnd => "}".to_owned(),
        });
        entries.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn lists_of_real_mail_are_read() {
        for (value, expected) in [
            ("", ""),
            (" , ,", ""),
            ("anna@x.test", "<anna|x.test>"),
            ("<anna@x.test>", "<anna|x.test>"),
            (
                "Anna  B. <anna@x.test>, b@y",
                "Anna B. <anna|x.test>, <b|y>",
            ),
            ("\"B, Anna\" <anna@x.test>", "B, Anna <anna|x.test>"),
            ("\"a \\\"b\\\"\" <anna@x.test>", "a \"b\" <anna|x.test>"),
            ("anna@x.test (Anna (the) B)", "Anna (the) B <anna|x.test>"),
            ("Anna <anna@x.test> (work)", "Anna <anna|x.test>"),
            ("<anna@x.test> Anna", "Anna <anna|x.test>"),
            ("\"a b\"@x.test", "<a b|x.test>"),
            ("anna . b @ x . test", "<anna.b|x.test>"),
            ("anna(c)@(d)x.test", "d <anna|x.test>"),
            (
                "Anna Beta anna@x.test, b@y",
                "Anna Beta <anna|x.test>, <b|y>",
            ),
            ("A <@r1,@r2:anna@x.test>", "A <@r1,@r2:anna|x.test>"),
            (
                "anna@[IPv6:::1], b@[192.0.2.1]",
                "<anna|[IPv6:::1]>, <b|[192.0.2.1]>",
            ),
            (
                "Group: a@x, B <b@y>;, c@z",
                "{Group, <a|x>, B <b|y>, }, <c|z>",
            ),
            ("undisclosed-recipients:;", "{undisclosed-recipients, }"),
            ("open: a@x", "{open, <a|x>, }"),
            ("anna", "<anna|>"),
            ("anna@x <anna@x>", "anna@x <anna|x>"),
            ("=?utf-8?q?J=C3=B6rg?= <j@x>", "=?utf-8?q?J=C3=B6rg?= <j|x>"),
            ("Jörg <jörg@müller.test>", "Jörg <jörg|müller.test>"),
            ("Anna <anna@x.test, b@y", "Anna <anna|x.test>, <b|y>"),
            ("Anna <>", "Anna <|>"),
            ("A\r\n B <a@x>", "A B <a|x>"),
            ("a@x;b@y", "<a|x>, <b|y>"),
            ("\"open", "<open|>"),
            ("(open", ""),
            ("[open", "<[open|>"),
        ] {
            assert_eq!(show(value.as_bytes()), expected, "{value}");
        }
    }

    #[test]
    fn lists_are_limited() {
        let long = b"a@x,".repeat(ADDRESSES_MAX + 5);
        assert_eq!(parse_addresses(&long).len(), ADDRESSES_MAX);
        assert!(parse_addresses(&b"(".repeat(100_000)).is_empty());
        assert!(parse_addresses(&b"<".repeat(100_000)).len() <= ADDRESSES_MAX);
    }

    proptest! {
        #[test]
        fn never_panics(value in proptest::collection::vec(prop_oneof![
            Just(b'<'), Just(b'>'), Just(b'@'), Just(b','), Just(b';'), Just(b':'), Just(b'('), Just(b')'),
            Just(b'['), Just(b']'), Just(b'"'), Just(b'\\'), Just(b' '), Just(b'a'), any::<u8>(),
        ], 0..40)) {
            let _ = parse_addresses(&value);
        }
    }
}
