//! xtext (RFC 3461 §4): how ENVID, ORCPT and XCLIENT carry any character in a parameter. Pure. The
//! queue keeps parameters as written, so that they go on unchanged, and decodes them for notices.

/// ```abnf
/// xtext   = *( xchar / hexchar )                     ; RFC 3461 §4
/// xchar   = %x21-2A / %x2C-3C / %x3E-7E              ; printable without "+" and "="
/// hexchar = "+" 2(%x30-39 / %x41-46)
/// ```
/// Characters beyond ASCII stand for themselves (RFC 6533 §3). `None` where the text is no xtext,
/// or hides a control character.
pub fn decode(text: &str) -> Option<String> {
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
    let decoded = String::from_utf8(decoded).ok()?;
    // RFC 3461 §4.2, §4.4: what is encoded is printable.
    (!decoded.chars().any(char::is_control)).then_some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xtext_is_decoded_and_what_is_none_is_refused() {
        assert_eq!(
            decode("e+3Dmc2@example.com").as_deref(),
            Some("e=mc2@example.com")
        );
        assert_eq!(decode("").as_deref(), Some(""));
        for bad in [
            "a=b", "a b", "+3", "+3d", "+FF", "a+0D+0Ab", "+00", "a\u{7f}",
        ] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
