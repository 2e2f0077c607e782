//! Modified UTF-7 of IMAP mailbox names (RFC 3501 §5.1.3). Refuses what the RFC forbids
//! (encoded printable ASCII, bad base64, lone surrogates, null shifts), so every name has one spelling.

/// Why a name is not modified UTF-7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the mailbox name is not valid modified UTF-7 (RFC 3501 §5.1.3)")]
pub struct Utf7Error;

/// Base64 with `,` in place of `/`.
const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

fn is_printable_ascii(letter: char) -> bool {
    matches!(letter, ' '..='~')
}

/// Writes a mailbox name as modified UTF-7.
pub fn encode(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(letter) = rest.chars().next() {
        let run = match is_printable_ascii(letter) {
            true => rest.find(|letter| !is_printable_ascii(letter)),
            false => rest.find(is_printable_ascii),
        };
        let (run, after) = rest.split_at(run.unwrap_or(rest.len()));
        rest = after;
        if is_printable_ascii(letter) {
            out.push_str(&run.replace('&', "&-"));
        } else {
            encode_run(run, &mut out);
        }
    }
    out
}

fn encode_run(run: &str, out: &mut String) {
    out.push('&');
    let mut bits = 0u32;
    let mut count = 0;
    let mut letter = |six: u32| out.push(char::from(LETTERS[(six & 63) as usize]));
    for unit in run.encode_utf16() {
        bits = bits << 16 | u32::from(unit);
        count += 16;
        while count >= 6 {
            count -= 6;
            letter(bits >> count);
        }
        bits &= (1 << count) - 1;
    }
    if count > 0 {
        letter(bits << (6 - count));
    }
    out.push('-');
}

/// Reads a mailbox name from modified UTF-7.
pub fn decode(name: &[u8]) -> Result<String, Utf7Error> {
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    // Two shifts side by side would give one name two spellings.
    let mut after_shift = false;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'&' {
            match byte {
                b' '..=b'~' => out.push(char::from(byte)),
                _ => return Err(Utf7Error),
            }
            after_shift = false;
            continue;
        }
        let end = memchr::memchr(b'-', rest).ok_or(Utf7Error)?;
        let (shifted, after) = rest.split_at_checked(end).ok_or(Utf7Error)?;
        rest = after.get(1..).unwrap_or_default();
        if shifted.is_empty() {
            out.push('&');
            after_shift = false;
        } else if after_shift {
            return Err(Utf7Error);
        } else {
            decode_run(shifted, &mut out)?;
            after_shift = true;
        }
    }
    Ok(out)
}

fn decode_run(shifted: &[u8], out: &mut String) -> Result<(), Utf7Error> {
    let mut bits = 0u32;
    let mut count = 0;
    let mut units = Vec::with_capacity(shifted.len() * 6 / 16);
    for byte in shifted {
        let six = LETTERS
            .iter()
            .position(|letter| letter == byte)
            .ok_or(Utf7Error)?;
        bits = bits << 6 | u32::try_from(six).map_err(|_| Utf7Error)?;
        count += 6;
        if count >= 16 {
            count -= 16;
            units.push((bits >> count) as u16);
            bits &= (1 << count) - 1;
        }
    }
    // What is left over is padding: less than one letter, and zero.
    if count >= 6 || bits != 0 {
        return Err(Utf7Error);
    }
    for letter in char::decode_utf16(units) {
        match letter {
            Ok(letter) if !is_printable_ascii(letter) => out.push(letter),
            _ => return Err(Utf7Error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_encoded_and_decoded() {
        for (name, encoded) in [
            ("", ""),
            ("INBOX", "INBOX"),
            ("A&B", "A&-B"),
            ("&", "&-"),
            ("Entwürfe", "Entw&APw-rfe"),
            // RFC 3501 §5.1.3.
            ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
            ("☺!", "&Jjo-!"),
            ("😀", "&2D3eAA-"),
            ("ä&ö", "&AOQ-&-&APY-"),
        ] {
            assert_eq!(encode(name), encoded);
            assert_eq!(decode(encoded.as_bytes()).as_deref(), Ok(name));
        }
    }

    #[test]
    fn second_spellings_are_refused() {
        for name in [
            "&",
            "a&b",
            "&AGE-",
            "&Jjo",
            "&Jjo!-",
            "&JjoA-",
            "&Jjp-x&",
            "&U,BTFw-&ZeVnLIqe-",
            "&2D0-",
            "&3gA-",
            "&A-",
            "&AA-",
            "&APx-",
            "ä",
            "a\tb",
            "&AC8-",
            "&+-x",
        ] {
            assert_eq!(decode(name.as_bytes()), Err(Utf7Error), "{name}");
        }
    }

    proptest! {
        #[test]
        fn every_name_survives(name in "\\PC{0,20}") {
            let encoded = encode(&name);
            prop_assert!(encoded.bytes().all(|byte| matches!(byte, b' '..=b'~')));
            prop_assert_eq!(decode(encoded.as_bytes()), Ok(name));
        }

        #[test]
        fn what_decodes_has_one_spelling(name in "[&A-Za-z0-9+,-]{0,16}") {
            if let Ok(decoded) = decode(name.as_bytes()) {
                prop_assert_eq!(encode(&decoded), name);
            }
        }
    }
}
