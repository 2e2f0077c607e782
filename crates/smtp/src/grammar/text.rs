//! Small pieces of the SMTP grammar: words, numbers, xtext. Pure.

/// The bytes as text, where they are UTF-8 without control characters.
pub(super) fn as_text(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let printable = |c: char| c == '\t' || !c.is_control();
    text.chars().all(printable).then_some(text)
}

/// `1*DIGIT`; a number that does not fit is the largest that does, since every limit is below it.
pub(super) fn number(word: &str) -> Option<u64> {
    if word.is_empty() || !word.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(word.parse().unwrap_or(u64::MAX))
}

/// The first word and what follows it, blanks between them removed. `None` at the end.
pub fn split_word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_matches([' ', '\t']);
    if text.is_empty() {
        return None;
    }
    match text.find([' ', '\t']) {
        Some(end) => Some((&text[..end], &text[end..])),
        None => Some((text, "")),
    }
}

/// ```abnf
/// xtext   = *( xchar / hexchar )                     ; RFC 3461 §4
/// xchar   = %x21-2A / %x2C-3C / %x3E-7E              ; printable without "+" and "="
/// hexchar = "+" 2(%x30-39 / %x41-46)
/// ```
/// Characters beyond ASCII stand for themselves (RFC 6533 §3). `None` where the text is no xtext.
pub fn decode_xtext(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => {
                let digit = |b: u8| match b {
                    b'0'..=b'9' => Some(b - b'0'),
                    b'A'..=b'F' => Some(b - b'A' + 10),
                    _ => None,
                };
                decoded.push(digit(bytes.next()?)? << 4 | digit(bytes.next()?)?);
            }
            b'=' | b'\0'..=b' ' | 0x7f => return None,
            other => decoded.push(other),
        }
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xtext_is_decoded_and_what_is_none_is_refused() {
        assert_eq!(
            decode_xtext("e+3Dmc2@example.com").as_deref(),
            Some("e=mc2@example.com")
        );
        assert_eq!(decode_xtext("").as_deref(), Some(""));
        for bad in ["a=b", "a b", "+3", "+3d", "+FF", "a\u{7f}"] {
            assert_eq!(decode_xtext(bad), None, "{bad}");
        }
    }

    #[test]
    fn words_are_split_at_blanks() {
        assert_eq!(split_word("  a  b "), Some(("a", "  b")));
        assert_eq!(split_word(" \t "), None);
    }

    #[test]
    fn a_number_has_digits_only() {
        assert_eq!(number("007"), Some(7));
        assert_eq!(number("18446744073709551616"), Some(u64::MAX));
        assert_eq!(number("+1"), None);
        assert_eq!(number(""), None);
    }
}
