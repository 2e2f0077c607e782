//! Reads the few parts of a certificate (RFC 5280 §4.1) that webpki keeps to itself: its dates and the bytes of its
//! public key. Pure; bytes that are not a certificate give `None` and never panic.

use rustls_pki_types::UnixTime;

const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const VERSION: u8 = 0xa0;

/// One DER element: its tag, its content, all of its bytes.
struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    whole: &'a [u8],
}

/// Takes the first element off `input`.
fn take<'a>(input: &mut &'a [u8]) -> Option<Element<'a>> {
    let (&tag, rest) = input.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (bytes, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // Up to four bytes of length: no certificate is larger.
        0x81..=0x84 => {
            let (length, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
            let bytes = length
                .iter()
                .fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
            (bytes, rest)
        }
        _ => return None,
    };
    let (content, after) = rest.split_at_checked(bytes)?;
    let whole = input.get(..input.len() - after.len())?;
    *input = after;
    Some(Element {
        tag,
        content,
        whole,
    })
}

/// What is inside the SEQUENCE that `der` is.
pub(crate) fn sequence_content(der: &[u8]) -> Option<&[u8]> {
    let mut rest = der;
    let element = take(&mut rest)?;
    (element.tag == SEQUENCE && rest.is_empty()).then_some(element.content)
}

/// TBSCertificate from its validity on: validity, subject, subjectPublicKeyInfo, ...
fn from_validity(certificate: &[u8]) -> Option<&[u8]> {
    let mut outer = sequence_content(certificate)?;
    let mut fields = take(&mut outer)?.content;
    let first = take(&mut fields)?;
    if first.tag == VERSION {
        take(&mut fields)?; // serialNumber
    }
    take(&mut fields)?; // signature
    take(&mut fields)?; // issuer
    Some(fields)
}

/// The DER of the certificate's SubjectPublicKeyInfo.
pub(crate) fn public_key(certificate: &[u8]) -> Option<&[u8]> {
    let mut fields = from_validity(certificate)?;
    take(&mut fields)?; // validity
    take(&mut fields)?; // subject
    let key = take(&mut fields)?;
    (key.tag == SEQUENCE).then_some(key.whole)
}

/// The last common name (CN) of the certificate's subject, the most specific one, where it is ASCII text.
pub(crate) fn common_name(certificate: &[u8]) -> Option<&str> {
    /// id-at-commonName, 2.5.4.3.
    const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
    /// UTF8String, PrintableString, TeletexString, IA5String.
    const TEXTS: [u8; 4] = [0x0c, 0x13, 0x14, 0x16];
    let mut fields = from_validity(certificate)?;
    take(&mut fields)?; // validity
    let mut names = take(&mut fields)?.content;
    let mut found = None;
    while let Some(mut parts) = take(&mut names).map(|set| set.content) {
        while let Some(mut part) = take(&mut parts).map(|pair| pair.content) {
            let (kind, value) = (take(&mut part)?, take(&mut part)?);
            if kind.content == COMMON_NAME && TEXTS.contains(&value.tag) {
                found = std::str::from_utf8(value.content).ok();
            }
        }
    }
    found.filter(|name| name.is_ascii())
}

/// Whether `now` lies within the certificate's dates. False where they cannot be read.
pub(crate) fn covers(certificate: &[u8], now: UnixTime) -> bool {
    let dates = || {
        let mut fields = from_validity(certificate)?;
        let mut validity = take(&mut fields)?.content;
        let begin = seconds(&take(&mut validity)?)?;
        let end = seconds(&take(&mut validity)?)?;
        Some((begin, end))
    };
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    dates().is_some_and(|(begin, end)| (begin..=end).contains(&now))
}

/// Seconds since 1970 (RFC 5280 §4.1.2.5: `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`).
fn seconds(time: &Element<'_>) -> Option<i64> {
    let digits = time.content.strip_suffix(b"Z")?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = |digits: &[u8]| {
        digits
            .iter()
            .fold(0_i64, |sum, digit| sum * 10 + i64::from(digit - b'0'))
    };
    let (year, rest) = match (time.tag, digits.len()) {
        (UTC_TIME, 12) => {
            let (year, rest) = digits.split_at(2);
            let year = number(year);
            (if year < 50 { year + 2000 } else { year + 1900 }, rest)
        }
        (GENERALIZED_TIME, 14) => {
            let (year, rest) = digits.split_at(4);
            (number(year), rest)
        }
        _ => return None,
    };
    let mut parts = rest.chunks(2).map(number);
    let mut part = || parts.next();
    let (month, day, hour, minute, second) = (part()?, part()?, part()?, part()?, part()?);
    // Days since 1970 in a calendar whose years begin in March, so that leap days come last.
    let shifted = year - i64::from(month <= 2);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = 365 * shifted + shifted / 4 - shifted / 100 + shifted / 400 + day_of_year - 719_468;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read() {
        let time = |tag, content: &'static [u8]| Element {
            tag,
            content,
            whole: content,
        };
        for (tag, text, expected) in [
            (UTC_TIME, &b"700101000000Z"[..], Some(0)),
            (UTC_TIME, b"240229235959Z", Some(1_709_251_199)),
            (UTC_TIME, b"491231235959Z", Some(2_524_607_999)),
            (GENERALIZED_TIME, b"20500101000000Z", Some(2_524_608_000)),
            (GENERALIZED_TIME, b"99991231235959Z", Some(253_402_300_799)),
            (UTC_TIME, b"7001010000Z", None),
            (UTC_TIME, b"70010100000xZ", None),
            (UTC_TIME, b"700101000000+", None),
        ] {
            assert_eq!(seconds(&time(tag, text)), expected);
        }
    }

    #[test]
    fn a_certificate_is_read_and_rubbish_is_not() {
        let made = rcgen::generate_simple_self_signed(["mx.test".to_owned()]).unwrap();
        let der = made.cert.der();
        let key = webpki::EndEntityCert::try_from(der)
            .unwrap()
            .subject_public_key_info();
        assert_eq!(public_key(der), Some(key.as_ref()));
        let year = |year: u64| {
            UnixTime::since_unix_epoch(std::time::Duration::from_secs((year - 1970) * 31_556_952))
        };
        assert!(covers(der, year(2026)));
        assert!(!covers(der, year(1972)));
        assert_eq!(common_name(der), Some("rcgen self signed cert"));
        for end in 0..der.len() {
            let _none_or_cut = common_name(&der[..end]);
            assert!(!covers(&der[..end], year(2026)));
        }
        assert_eq!(public_key(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
