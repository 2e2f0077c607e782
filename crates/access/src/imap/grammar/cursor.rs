//! The words of the grammar: atoms, strings, numbers, lists. Each parser has its ABNF above it.
//! Reads one complete command (see `frame`), so a literal is always all there.

use super::{Fault, Parsed};

/// A place in a command.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// `atom-specials` of RFC 3501 §9 except `resp-specials`; everything else is an ASTRING-CHAR.
pub fn is_astring_char(byte: u8) -> bool {
    byte > 0x20 && byte < 0x7f && !matches!(byte, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\')
}

/// `ATOM-CHAR`.
pub fn is_atom_char(byte: u8) -> bool {
    is_astring_char(byte) && byte != b']'
}

impl<'a> Cursor<'a> {
    /// Starts at the first byte of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next byte, not taken.
    pub fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// What is left.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Takes `byte` if it is next.
    pub fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        if there {
            self.at += 1;
        }
        there
    }

    /// Takes `byte` or fails with `text`.
    pub fn expect(&mut self, byte: u8, text: &'static str) -> Parsed<()> {
        if self.take(byte) {
            Ok(())
        } else {
            Err(Fault::new(text))
        }
    }

    /// Takes `bytes` bytes, at most what is left.
    pub fn skip(&mut self, bytes: usize) {
        self.at = self.at.saturating_add(bytes).min(self.bytes.len());
    }

    /// `SP`: exactly one space (RFC 3501 §9 note 2).
    pub fn space(&mut self) -> Parsed<()> {
        self.expect(b' ', "One space and another argument were expected.")
    }

    /// Nothing may follow.
    pub fn end(&self) -> Parsed<()> {
        if self.at == self.bytes.len() {
            Ok(())
        } else {
            Err(Fault::new("There is something after the last argument."))
        }
    }

    /// Takes the longest run of bytes for which `wanted` holds; may be empty.
    pub fn run(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.rest();
        let length = rest
            .iter()
            .position(|byte| !wanted(*byte))
            .unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    /// Takes `word` if it comes next, whatever its case, and is not the beginning of a longer atom.
    pub fn take_word(&mut self, word: &[u8]) -> bool {
        let rest = self.rest();
        let there = rest
            .get(..word.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(word))
            && !rest.get(word.len()).is_some_and(|next| is_atom_char(*next));
        if there {
            self.at += word.len();
        }
        there
    }

    /// ```abnf
    /// atom = 1*ATOM-CHAR
    /// ```
    pub fn atom(&mut self) -> Parsed<&'a str> {
        let run = self.run(is_atom_char);
        if run.is_empty() {
            return Err(Fault::new("A word was expected."));
        }
        std::str::from_utf8(run).map_err(|_| Fault::new("A word was expected."))
    }

    /// ```abnf
    /// number = 1*DIGIT    ; 0 <= n < 4,294,967,296
    /// ```
    pub fn number(&mut self) -> Parsed<u32> {
        u32::try_from(self.number64()?)
            .map_err(|_| Fault::new("The number is larger than 4294967295."))
    }

    /// ```abnf
    /// number64 = 1*DIGIT  ; 0 <= n <= 9,223,372,036,854,775,807 (RFC 9051 §9)
    /// ```
    pub fn number64(&mut self) -> Parsed<u64> {
        let digits = self.run(|byte| byte.is_ascii_digit());
        if digits.is_empty() {
            return Err(Fault::new("A number was expected."));
        }
        digits
            .iter()
            .try_fold(0u64, |sum, digit| {
                sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
            })
            .filter(|number| *number <= i64::MAX as u64)
            .ok_or(Fault::new("The number is too large."))
    }

    /// ```abnf
    /// nz-number = digit-nz *DIGIT
    /// ```
    pub fn number_nonzero(&mut self) -> Parsed<u32> {
        match self.number()? {
            0 => Err(Fault::new("A number above zero was expected.")),
            number => Ok(number),
        }
    }

    /// ```abnf
    /// quoted      = DQUOTE *QUOTED-CHAR DQUOTE
    /// QUOTED-CHAR = <any TEXT-CHAR except quoted-specials> / "\" quoted-specials
    /// ```
    /// Bytes above 127 are let through: clients that write names in plain UTF-8 are many, and what
    /// the bytes mean is checked where they are used.
    pub fn quoted(&mut self) -> Parsed<Vec<u8>> {
        self.expect(b'"', "A quoted string was expected.")?;
        let mut text = Vec::new();
        loop {
            let plain = self.run(|byte| !matches!(byte, b'"' | b'\\' | b'\r' | b'\n' | 0));
            text.extend_from_slice(plain);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => {
                    self.at += 1;
                    match self.peek() {
                        Some(special @ (b'"' | b'\\')) => {
                            self.at += 1;
                            text.push(special);
                        }
                        _ => {
                            return Err(Fault::new(
                                "In a quoted string a backslash stands only before \\ or \".",
                            ));
                        }
                    }
                }
                _ => return Err(Fault::new("The quoted string does not end.")),
            }
        }
    }

    /// ```abnf
    /// literal = "{" number ["+"] "}" CRLF *CHAR8      ; RFC 3501, RFC 7888
    /// ```
    pub fn literal(&mut self) -> Parsed<Vec<u8>> {
        const NO_LITERAL: Fault = Fault::new("A literal was expected.");
        self.expect(b'{', NO_LITERAL.text)?;
        let bytes = usize::try_from(self.number64()?).map_err(|_| NO_LITERAL)?;
        self.take(b'+');
        self.expect(b'}', NO_LITERAL.text)?;
        self.take(b'\r');
        self.expect(b'\n', NO_LITERAL.text)?;
        let data = self
            .rest()
            .get(..bytes)
            .ok_or(Fault::new("The literal is shorter than it says."))?;
        self.at += bytes;
        if memchr::memchr(0, data).is_some() {
            return Err(Fault::new("A literal must not hold the byte 0."));
        }
        Ok(data.to_vec())
    }

    /// ```abnf
    /// string = quoted / literal
    /// ```
    pub fn string(&mut self) -> Parsed<Vec<u8>> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{') => self.literal(),
            _ => Err(Fault::new("A string was expected.")),
        }
    }

    /// ```abnf
    /// nstring = string / "NIL"
    /// ```
    pub fn nstring(&mut self) -> Parsed<Option<Vec<u8>>> {
        if self.take_word(b"NIL") {
            return Ok(None);
        }
        self.string().map(Some)
    }

    /// ```abnf
    /// astring = 1*ASTRING-CHAR / string
    /// ```
    pub fn astring(&mut self) -> Parsed<Vec<u8>> {
        match self.peek() {
            Some(b'"' | b'{') => self.string(),
            _ => {
                let run = self.run(|byte| is_astring_char(byte) || byte >= 0x80);
                if run.is_empty() {
                    return Err(Fault::new("A word or a string was expected."));
                }
                Ok(run.to_vec())
            }
        }
    }

    /// ```abnf
    /// "(" element *(SP element) ")"
    /// ```
    /// Where `may_be_empty`, `()` is fine. `most` bounds the elements.
    pub fn list<T>(
        &mut self,
        empty: Empty,
        most: usize,
        mut element: impl FnMut(&mut Self) -> Parsed<T>,
    ) -> Parsed<Vec<T>> {
        self.expect(b'(', "A list in parentheses was expected.")?;
        let mut list = Vec::new();
        if empty == Empty::Allowed && self.take(b')') {
            return Ok(list);
        }
        loop {
            if list.len() >= most {
                return Err(Fault::new("The list has too many elements."));
            }
            list.push(element(self)?);
            if self.take(b')') {
                return Ok(list);
            }
            self.expect(b' ', "The list is not closed with a parenthesis.")?;
        }
    }
}

/// Whether a list may be `()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Empty {
    /// `()` is a value.
    Allowed,
    /// At least one element is needed.
    Refused,
}
