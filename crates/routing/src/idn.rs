//! International domain names on their way out (RFC 5890, RFC 6531 §3.2): the DNS is asked for the
//! ASCII form, and an address that is international only in its domain goes to any server. Pure.

use std::borrow::Cow;

/// The form of a domain that the DNS knows, in lower case; `None` where it is no domain name.
pub fn ascii_domain(domain: &str) -> Option<Cow<'_, str>> {
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    if domain.is_empty() {
        return None;
    }
    if domain.is_ascii() {
        return Some(if domain.bytes().any(|b| b.is_ascii_uppercase()) {
            Cow::Owned(domain.to_ascii_lowercase())
        } else {
            Cow::Borrowed(domain)
        });
    }
    idna::domain_to_ascii_strict(domain).ok().map(Cow::Owned)
}

/// An address (or the empty null sender) as MAIL and RCPT give it: in ASCII where its local part
/// is, so that it needs no SMTPUTF8.
pub fn on_the_wire(address: &str) -> Cow<'_, str> {
    match address.rsplit_once('@') {
        Some((local, domain)) if local.is_ascii() && !domain.is_ascii() => ascii_domain(domain)
            .map_or(Cow::Borrowed(address), |domain| {
                Cow::Owned(format!("{local}@{domain}"))
            }),
        _ => Cow::Borrowed(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_international_local_part_needs_more_than_ascii() {
        assert_eq!(on_the_wire("x@bücher.example"), "x@xn--bcher-kva.example");
        assert_eq!(on_the_wire("\"a@b\"@ß.example"), "\"a@b\"@xn--zca.example");
        for same in ["", "x@y.example", "ü@bücher.example", "x@[192.0.2.1]"] {
            assert_eq!(on_the_wire(same), same);
        }
    }

    #[test]
    fn the_dns_knows_lower_case_a_labels_without_a_final_dot() {
        assert_eq!(ascii_domain("Firma.Test.").unwrap(), "firma.test");
        assert_eq!(
            ascii_domain("BÜCHER.example").unwrap(),
            "xn--bcher-kva.example"
        );
        assert_eq!(ascii_domain("a\u{2f}ü.example"), None);
        assert_eq!(ascii_domain("."), None);
    }
}
