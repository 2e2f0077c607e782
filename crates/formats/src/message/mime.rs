//! Values of MIME fields: `type/subtype; name=value` (RFC 2045 §5.1, RFC 2183) with the continuations
//! and encodings of RFC 2231. Lenient, bounded by the caller's limits, never panics; decodes no charset.

/// A parsed Content-Type or Content-Disposition.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Value {
    /// Everything before the first `;`, lower case: `text/plain`, `attachment`.
    pub(super) word: Vec<u8>,
    /// Names in lower case; continuations joined.
    pub(super) params: Vec<(Vec<u8>, Vec<u8>)>,
    /// There were more parameters than allowed.
    pub(super) cut: bool,
}

/// Reads an unfolded value.
pub(super) fn parse(value: &[u8], params_max: usize) -> Value {
    let mut text = Cursor { rest: value };
    let mut parsed = Value {
        word: text.until_semicolon(),
        ..Value::default()
    };
    parsed.word.make_ascii_lowercase();
    parsed.word.retain(|byte| !byte.is_ascii_whitespace());
    while !text.rest.is_empty() {
        text.skip_space_and_comments();
        let name_end = text
            .rest
            .iter()
            .position(|&byte| byte == b'=' || byte == b';')
            .unwrap_or(text.rest.len());
        let (name, rest) = text.rest.split_at(name_end);
        text.rest = rest;
        if let [b'=', rest @ ..] = rest {
            text.rest = rest;
            let value = text.param_value();
            let name = name.trim_ascii().to_ascii_lowercase();
            match name.is_empty() {
                true => {}
                false if parsed.params.len() >= params_max => parsed.cut = true,
                false => parsed.params.push((name, value)),
            }
        }
        // What follows a value up to the next semicolon is of no use.
        text.skip_to_semicolon();
    }
    if parsed.params.iter().any(|(name, _)| name.contains(&b'*')) {
        parsed.params = join_continuations(parsed.params);
    }
    parsed
}

/// The type and the subtype of a Content-Type word; `None` where it is unusable and RFC 2045 §5.2's
/// default applies.
pub(super) fn split_type(word: &[u8]) -> Option<(&[u8], &[u8])> {
    let slash = memchr::memchr(b'/', word)?;
    let (media_type, rest) = word.split_at(slash);
    let subtype = rest.get(1..)?;
    let is_token = |token: &[u8]| {
        !token.is_empty()
            && token
                .iter()
                .all(|&byte| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&byte))
    };
    (is_token(media_type) && is_token(subtype)).then_some((media_type, subtype))
}

/// The word of a Content-Transfer-Encoding. Only it is of use; senders put comments (RFC 2045 §6.1) on
/// either side and semicolons behind it.
pub(super) fn encoding_word(value: &[u8]) -> &[u8] {
    let mut text = Cursor { rest: value };
    text.skip_space_and_comments();
    let end = text.rest.iter().position(|byte| b" \t;(".contains(byte));
    text.rest
        .get(..end.unwrap_or(text.rest.len()))
        .unwrap_or_default()
}

struct Cursor<'a> {
    rest: &'a [u8],
}

impl Cursor<'_> {
    fn skip_space_and_comments(&mut self) {
        let mut depth = 0usize;
        let mut escaped = false;
        while let Some((&byte, rest)) = self.rest.split_first() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if depth > 0 => escaped = true,
                b'(' => depth += 1,
                b')' if depth > 0 => depth -= 1,
                _ if depth > 0 || byte.is_ascii_whitespace() => {}
                _ => return,
            }
            self.rest = rest;
        }
    }

    /// A token as senders write it: up to `;`, comments and outer white space removed.
    fn until_semicolon(&mut self) -> Vec<u8> {
        let mut word = Vec::new();
        loop {
            let end = self
                .rest
                .iter()
                .position(|&byte| byte == b';' || byte == b'(')
                .unwrap_or(self.rest.len());
            let (piece, rest) = self.rest.split_at(end);
            word.extend_from_slice(piece);
            self.rest = rest;
            match rest.first() {
                Some(b'(') => self.skip_space_and_comments(),
                Some(_) => {
                    self.rest = rest.get(1..).unwrap_or_default();
                    break;
                }
                None => break,
            }
        }
        trimmed(word)
    }

    fn param_value(&mut self) -> Vec<u8> {
        self.skip_space_and_comments();
        let [b'"', rest @ ..] = self.rest else {
            let end = memchr::memchr(b';', self.rest).unwrap_or(self.rest.len());
            let (value, rest) = self.rest.split_at(end);
            self.rest = rest;
            // Parentheses are legal in no token, yet file names have them: only one set off by a
            // space is a comment.
            let comment = value
                .windows(2)
                .position(|pair| pair[0].is_ascii_whitespace() && pair[1] == b'(');
            let value = comment.and_then(|at| value.get(..at)).unwrap_or(value);
            return value.trim_ascii().to_vec();
        };
        let mut value = Vec::new();
        let mut bytes = rest.iter().enumerate();
        while let Some((at, &byte)) = bytes.next() {
            match byte {
                b'"' => {
                    self.rest = rest.get(at + 1..).unwrap_or_default();
                    return value;
                }
                b'\\' => value.extend(bytes.next().map(|(_, &escaped)| escaped)),
                _ => value.push(byte),
            }
        }
        self.rest = &[];
        value
    }

    fn skip_to_semicolon(&mut self) {
        let end = memchr::memchr(b';', self.rest).map_or(self.rest.len(), |at| at + 1);
        self.rest = self.rest.get(end..).unwrap_or_default();
    }
}

fn trimmed(word: Vec<u8>) -> Vec<u8> {
    match word.trim_ascii().len() == word.len() {
        true => word,
        false => word.trim_ascii().to_vec(),
    }
}

/// `name*2*` is piece 2 of `name`, and percent-encoded.
fn piece(name: &[u8]) -> Option<(&[u8], usize, Form)> {
    let (name, form) = match name.strip_suffix(b"*") {
        Some(name) => (name, Form::Encoded),
        None => (name, Form::Plain),
    };
    let star = memchr::memrchr(b'*', name)?;
    let digits = std::str::from_utf8(name.get(star + 1..)?).ok()?;
    let number = digits.parse().ok()?;
    Some((name.get(..star)?, number, form))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    Encoded,
}

// RFC 2231 §3 and §4.1. The result is `name` or, where any piece was encoded, `name*`.
fn join_continuations(params: Vec<(Vec<u8>, Vec<u8>)>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut joined = Vec::with_capacity(params.len());
    let mut done: Vec<&[u8]> = Vec::new();
    for (name, value) in &params {
        let Some((base, _, _)) = piece(name) else {
            joined.push((name.clone(), value.clone()));
            continue;
        };
        if done.contains(&base) {
            continue;
        }
        done.push(base);
        let mut pieces: Vec<(usize, Form, &[u8])> = params
            .iter()
            .filter_map(|(name, value)| {
                let (other, number, form) = piece(name)?;
                (other == base).then_some((number, form, value.as_slice()))
            })
            .collect();
        pieces.sort_by_key(|&(number, _, _)| number);
        let encoded = pieces.iter().any(|&(_, form, _)| form == Form::Encoded);
        let mut whole = Vec::new();
        for (expected, (number, form, value)) in pieces.into_iter().enumerate() {
            if number != expected {
                break;
            }
            match form {
                Form::Plain if encoded => percent_encode(&mut whole, value),
                _ => whole.extend_from_slice(value),
            }
        }
        let mut name = base.to_vec();
        if encoded {
            name.push(b'*');
        }
        joined.push((name, whole));
    }
    joined
}

fn percent_encode(out: &mut Vec<u8>, value: &[u8]) {
    for &byte in value {
        match byte.is_ascii_alphanumeric() || b"!#$&+-.^_`{|}~".contains(&byte) {
            true => out.push(byte),
            false => out.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(value: &str) -> String {
        let parsed = parse(value.as_bytes(), 64);
        let mut shown = String::from_utf8_lossy(&parsed.word).into_owned();
        for (name, value) in parsed.params {
            shown += &format!("|{}={}", name.escape_ascii(), value.escape_ascii());
        }
        shown
    }

    #[test]
    fn an_encoding_is_one_word_among_comments() {
        for (value, word) in [
            ("BASE64", "BASE64"),
            ("(c) base64 (d)", "base64"),
            ("(a (b)) 8bit;", "8bit"),
            ("7bit bits", "7bit"),
            ("", ""),
            ("(open", ""),
        ] {
            assert_eq!(encoding_word(value.as_bytes()), word.as_bytes(), "{value}");
        }
    }

    #[test]
    fn awkward_values_are_read() {
        for (value, expected) in [
            ("text/plain", "text/plain"),
            (
                "TEXT / Plain ; Charset=\"utf-8\"",
                "text/plain|charset=utf-8",
            ),
            (
                "text/plain; charset=us-ascii (Plain; text)",
                "text/plain|charset=us-ascii",
            ),
            (
                "text/plain (comment (nested)); charset = x",
                "text/plain|charset=x",
            ),
            (
                "a/b; name=Rechnung Mai.pdf; x=1",
                "a/b|name=Rechnung Mai.pdf|x=1",
            ),
            ("a/b; name=Kopie(1).pdf", "a/b|name=Kopie(1).pdf"),
            ("a/b; name=\"q\\\"; \\\\x\"; y=", "a/b|name=q\\\"; \\\\x|y="),
            ("a/b; name=\"open", "a/b|name=open"),
            ("a/b;;; ;=x; novalue; z=1;", "a/b|z=1"),
            ("a/b; f*=utf-8''na%C3%AFve", "a/b|f*=utf-8\\'\\'na%C3%AFve"),
            ("a/b; f*1=b; f*0=a; f*3=no", "a/b|f=ab"),
            (
                "a/b; f*0*=utf-8''%C3; f*1*=%A4; f*2=\"x y\"",
                "a/b|f*=utf-8\\'\\'%C3%A4x%20y",
            ),
            ("", ""),
            (";x=1", "|x=1"),
        ] {
            assert_eq!(show(value), expected, "{value}");
        }
    }

    #[test]
    fn parameters_are_limited() {
        let many = "a/b".to_owned() + &"; x=1".repeat(100);
        let parsed = parse(many.as_bytes(), 10);
        assert_eq!((parsed.params.len(), parsed.cut), (10, true));
    }

    #[test]
    fn types_need_two_tokens() {
        assert_eq!(split_type(b"text/html"), Some((&b"text"[..], &b"html"[..])));
        for bad in [
            "text",
            "/",
            "text/",
            "/html",
            "te xt/html",
            "text/ht/ml",
            "te\"xt/x",
            "",
        ] {
            assert_eq!(split_type(bad.as_bytes()), None, "{bad}");
        }
    }
}
