//! JA4: a text that is the same for every connection of one client software and differs between softwares.
//! Pure; made from the parsed ClientHello.

use crate::tls::client_hello::{ClientHello, is_signalling};
use std::fmt::Write as _;

/// JA4 of a TLS-over-TCP client: `t13d1516h2_8daaf6152771_b0da82dd1658`.
pub(crate) fn ja4(hello: &ClientHello) -> String {
    let version = match hello.newest_version() {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        0x0002 => "s2",
        _ => "00",
    };
    let host = if hello.extensions.contains(&0) {
        'd'
    } else {
        'i'
    };
    let mut suites = hello.cipher_suites.clone();
    // JA4 counts signalling suites as the client sends them; the fallback signal is left out here, as it
    // says something about the attempt and not about the software.
    suites.retain(|suite| !is_signalling(*suite) || *suite == 0x00ff);
    suites.sort_unstable();
    let mut extensions = hello.extensions.clone();
    let extension_count = extensions.len();
    // Server name and ALPN depend on the server that is asked, so only their presence counts, above.
    extensions.retain(|kind| !matches!(kind, 0 | 16));
    extensions.sort_unstable();

    let mut listed = hex_list(&extensions);
    if !hello.signature_schemes.is_empty() {
        listed.push('_');
        listed.push_str(&hex_list(&hello.signature_schemes));
    }
    format!(
        "t{version}{host}{:02}{:02}{}_{}_{}",
        suites.len().min(99),
        extension_count.min(99),
        alpn_marks(hello.first_alpn.as_deref()),
        short_hash(&hex_list(&suites)),
        if extensions.is_empty() {
            NO_HASH.to_owned()
        } else {
            short_hash(&listed)
        },
    )
}

/// What stands in place of a hash over nothing.
const NO_HASH: &str = "000000000000";

/// First and last character of the first protocol; those of its hexadecimal form where they are not alphanumeric.
fn alpn_marks(alpn: Option<&[u8]>) -> String {
    let Some((Some(first), Some(last))) = alpn.map(|alpn| (alpn.first(), alpn.last())) else {
        return "00".to_owned();
    };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        String::from_iter([char::from(*first), char::from(*last)])
    } else {
        let (first, last) = (format!("{first:02x}"), format!("{last:02x}"));
        String::from_iter(first.chars().take(1).chain(last.chars().skip(1)))
    }
}

fn hex_list(values: &[u16]) -> String {
    let mut list = String::with_capacity(values.len() * 5);
    for value in values {
        let separator = if list.is_empty() { "" } else { "," };
        let _strings_take_everything = write!(list, "{separator}{value:04x}");
    }
    list
}

/// The first twelve hexadecimal digits of SHA-256.
fn short_hash(text: &str) -> String {
    if text.is_empty() {
        return NO_HASH.to_owned();
    }
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    let mut hash = String::with_capacity(12);
    for byte in digest.as_ref().iter().take(6) {
        let _strings_take_everything = write!(hash, "{byte:02x}");
    }
    hash
}
