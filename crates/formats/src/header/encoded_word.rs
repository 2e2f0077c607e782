//! Encoded words of RFC 2047 (with the language of RFC 2231 §5): header bytes to text. Never fails:
//! what is no encoded word stays as it is, bytes in no known charset are replaced.

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

use crate::transfer::Decoder;

/// Decodes an unfolded or folded value. Bytes over 127 outside encoded words are read as UTF-8 where
/// they are that, and else as windows-1252, which is what broken senders mean most often.
pub fn decode_text(value: &[u8]) -> String {
    let value = super::unfold(value);
    let mut text = Text::default();
    let mut rest: &[u8] = &value;
    while !rest.is_empty() {
        let start = memchr::memmem::find(rest, b"=?").unwrap_or(rest.len());
        let (plain, special) = rest.split_at(start);
        text.plain(plain);
        rest = special;
        if let Some((word, after)) = split_word(rest) {
            text.word(&word);
            rest = after;
        } else if let Some((head, tail)) = rest.split_at_checked(2) {
            text.plain(head);
            rest = tail;
        }
    }
    text.finish()
}

/// Longest encoded word (RFC 2047 §2).
const WORD_BYTES_MAX: usize = 75;
const WORD_HEAD: &str = "=?utf-8?q?";
const WORD_TAIL: &str = "?=";

/// Text as it may stand in a field: ASCII stays as it is, anything else becomes encoded words (RFC 2047 §4.2),
/// which `header::write_field` folds between. Controls become spaces.
pub fn encode_text(text: &str) -> String {
    let plain = |c: char| (' '..='~').contains(&c);
    if text.chars().all(plain) && !text.contains("=?") {
        return text.to_owned();
    }
    let mut encoded = String::from(WORD_HEAD);
    let mut begun = 0;
    for letter in text.chars() {
        let letter = if letter.is_control() { ' ' } else { letter };
        let piece = encoded_letter(letter);
        if encoded.len() - begun + piece.len() + WORD_TAIL.len() > WORD_BYTES_MAX {
            encoded.push_str(WORD_TAIL);
            encoded.push(' ');
            begun = encoded.len();
            encoded.push_str(WORD_HEAD);
        }
        encoded.push_str(&piece);
    }
    encoded.push_str(WORD_TAIL);
    encoded
}

/// RFC 2047 §4.2, and only what may stand in a phrase, too (§5).
fn encoded_letter(letter: char) -> String {
    match letter {
        ' ' => "_".to_owned(),
        'a'..='z' | 'A'..='Z' | '0'..='9' | '!' | '*' | '+' | '-' | '/' => letter.to_string(),
        letter => {
            let mut bytes = [0; 4];
            let bytes = letter.encode_utf8(&mut bytes).bytes();
            bytes.map(|byte| format!("={byte:02X}")).collect()
        }
    }
}

struct Word<'a> {
    charset: &'a [u8],
    encoding: WordEncoding,
    text: &'a [u8],
}

#[derive(Clone, Copy)]
enum WordEncoding {
    B,
    Q,
}

// encoded-word = "=?" charset ["*" language] "?" encoding "?" encoded-text "?="
fn split_word(bytes: &[u8]) -> Option<(Word<'_>, &[u8])> {
    let rest = bytes.strip_prefix(b"=?")?;
    let charset_end = rest.iter().take(80).position(|&byte| byte == b'?')?;
    let (charset, rest) = rest.split_at(charset_end);
    let charset = charset.split(|&byte| byte == b'*').next()?;
    if charset.is_empty() || charset.iter().any(|byte| !byte.is_ascii_graphic()) {
        return None;
    }
    let (encoding, rest) = match rest {
        [b'?', b'b' | b'B', b'?', rest @ ..] => (WordEncoding::B, rest),
        [b'?', b'q' | b'Q', b'?', rest @ ..] => (WordEncoding::Q, rest),
        _ => return None,
    };
    // Spaces inside are forbidden and occur; a question mark is not possible in either encoding.
    let end = memchr::memchr(b'?', rest)?;
    let (text, rest) = rest.split_at(end);
    let after = rest.strip_prefix(b"?=")?;
    let word = Word {
        charset,
        encoding,
        text,
    };
    Some((word, after))
}

#[derive(Default)]
struct Text {
    out: String,
    /// Decoded bytes of neighbouring words in one charset: senders split inside letters.
    pending: Vec<u8>,
    charset: Vec<u8>,
    /// White space after a word; dropped if another word follows (RFC 2047 §6.2).
    space: Vec<u8>,
}

impl Text {
    fn plain(&mut self, plain: &[u8]) {
        let in_words = !self.charset.is_empty();
        if in_words && plain.iter().all(u8::is_ascii_whitespace) {
            self.space.extend_from_slice(plain);
            return;
        }
        self.flush();
        let space = std::mem::take(&mut self.space);
        for piece in [space.as_slice(), plain] {
            match std::str::from_utf8(piece) {
                Ok(piece) => self.out.push_str(piece),
                Err(_) => self
                    .out
                    .push_str(&WINDOWS_1252.decode_without_bom_handling(piece).0),
            }
        }
    }

    fn word(&mut self, word: &Word<'_>) {
        self.space.clear();
        if !self.charset.eq_ignore_ascii_case(word.charset) {
            self.flush();
            self.charset = word.charset.to_vec();
        }
        match word.encoding {
            WordEncoding::B => {
                let mut decoder = Decoder::new(Some(b"base64"));
                decoder.push(word.text, &mut self.pending);
                decoder.finish(&mut self.pending);
            }
            WordEncoding::Q => {
                // In Q, `_` is a space (RFC 2047 §4.2 (2)); a space at the end of a word counts.
                let text: Vec<u8> = word
                    .text
                    .iter()
                    .flat_map(|&byte| match byte {
                        b'_' | b' ' => b"=20".to_vec(),
                        byte => vec![byte],
                    })
                    .collect();
                let mut decoder = Decoder::new(Some(b"quoted-printable"));
                decoder.push(&text, &mut self.pending);
                decoder.finish(&mut self.pending);
            }
        }
    }

    fn flush(&mut self) {
        if !self.charset.is_empty() {
            let charset = Encoding::for_label(&self.charset).unwrap_or(UTF_8);
            let (decoded, _) = charset.decode_without_bom_handling(&self.pending);
            self.out.push_str(&decoded);
        }
        self.pending.clear();
        self.charset.clear();
    }

    fn finish(mut self) -> String {
        self.flush();
        self.out.push_str(&String::from_utf8_lossy(&self.space));
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_what_needs_it_is_encoded() {
        assert_eq!(encode_text("Hello, you"), "Hello, you");
        assert_eq!(
            encode_text("Grüße a_b"),
            "=?utf-8?q?Gr=C3=BC=C3=9Fe_a=5Fb?="
        );
        assert!(!encode_text("=?utf-8?q?x?=").starts_with("=?utf-8?q?x"));
        assert!(!encode_text("a\r\nBcc: b").contains('\n'));
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded_again(text in "\\PC{0,200}") {
            let encoded = encode_text(&text);
            prop_assert!(encoded.is_ascii());
            prop_assert!(encoded == text || encoded.split(' ').all(|word| word.len() <= 75));
            prop_assert_eq!(decode_text(encoded.as_bytes()), text);
        }
    }

    #[test]
    fn words_are_decoded() {
        for (value, expected) in [
            ("plain", "plain"),
            ("=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
            ("=?UTF-8*de?B?R3LDvMOfZQ==?= !", "Grüße !"),
            ("=?iso-8859-1?Q?a?= =?iso-8859-1?Q?b?=", "ab"),
            ("=?iso-8859-1?Q?a?= b", "a b"),
            ("=?ISO-8859-1?Q?a_b?=", "a b"),
            ("=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b"),
            // RFC 2047 §5 forbids splitting a letter; it is common.
            ("=?utf-8?q?=C3?=\r\n =?utf-8?q?=BC?=", "ü"),
            ("=?utf-8?q?a b?=", "a b"),
            ("\"=?utf-8?q?=C3=BC?=\" <a@x>", "\"ü\" <a@x>"),
            ("=?utf-8?x?a?=", "=?utf-8?x?a?="),
            ("=?utf-8?q?a", "=?utf-8?q?a"),
            ("=?", "=?"),
            ("=?=?utf-8?q?a?=", "=?a"),
            ("=?shift_jis?B?g2WDWINn?=", "テスト"),
            ("=?nonsense?q?=C3=BC?=", "ü"),
            ("grüße", "grüße"),
            ("a  =?utf-8?q?b?=  c", "a  b  c"),
        ] {
            assert_eq!(decode_text(value.as_bytes()), expected, "{value}");
        }
        assert_eq!(decode_text(b"gr\xfc\xdfe"), "grüße");
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..60), text in "(=\\?|utf-8|\\?q\\?|\\?b\\?|\\?=|[ -~]){0,20}") {
            let _ = decode_text(&bytes);
            let _ = decode_text(text.as_bytes());
        }
    }
}
