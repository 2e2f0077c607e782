//! Small pieces of the SMTP grammar: words and numbers. Pure.

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

#[cfg(test)]
mod tests {
    use super::*;

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
