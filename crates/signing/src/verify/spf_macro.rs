//! Macros in SPF records (RFC 7208 §7). Pure.

use std::fmt::Write as _;
use std::net::IpAddr;

/// RFC 1035 §2.3.4, as text.
const NAME_BYTES_MAX: usize = 253;

/// What macros are replaced with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    /// The client.
    pub(crate) client: IpAddr,
    /// Its EHLO name.
    pub(crate) hello: &'a str,
    /// The part of the sender before the @; `postmaster` for the null sender.
    pub(crate) sender_local: &'a str,
    /// The domain of the sender; the EHLO name for the null sender.
    pub(crate) sender_domain: &'a str,
}

/// The name that `spec` stands for while `domain` is looked at; `None` where the grammar is broken.
pub(crate) fn expand(spec: &str, facts: &Facts<'_>, domain: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = spec;
    while let Some(percent) = rest.find('%') {
        out.push_str(rest.get(..percent)?);
        let after = rest.get(percent + 1..)?;
        match after.as_bytes().first()? {
            b'%' => out.push('%'),
            b'_' => out.push(' '),
            b'-' => out.push_str("%20"),
            b'{' => {
                let end = after.find('}')?;
                out.push_str(&replace(after.get(1..end)?, facts, domain)?);
                rest = after.get(end + 1..)?;
                continue;
            }
            _ => return None,
        }
        rest = after.get(1..)?;
    }
    out.push_str(rest);
    let out = out.strip_suffix('.').unwrap_or(&out);
    if out.is_empty() {
        return None;
    }
    // RFC 7208 §7.3: labels are dropped from the left until it fits.
    let mut name = out;
    while name.len() > NAME_BYTES_MAX {
        name = name.split_once('.')?.1;
    }
    Some(name.to_owned())
}

/// One macro: a letter, how many parts from the right, whether reversed, what splits parts.
fn replace(inside: &str, facts: &Facts<'_>, domain: &str) -> Option<String> {
    let letter = inside.chars().next()?;
    let value = match letter.to_ascii_lowercase() {
        's' => format!("{}@{}", facts.sender_local, facts.sender_domain),
        'l' => facts.sender_local.to_owned(),
        'o' => facts.sender_domain.to_owned(),
        'd' => domain.to_owned(),
        'i' => address_macro(facts.client),
        // RFC 7208 §7.3 allows it, and nobody should ask for it.
        'p' => "unknown".to_owned(),
        'v' if facts.client.to_canonical().is_ipv4() => "in-addr".to_owned(),
        'v' => "ip6".to_owned(),
        'h' => facts.hello.to_owned(),
        _ => return None,
    };
    let rest = inside.get(letter.len_utf8()..)?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = rest.split_at(digits);
    let keep = match digits {
        "" => usize::MAX,
        digits => digits.parse().ok().filter(|keep| *keep > 0)?,
    };
    let (reversed, delimiters) = match rest.strip_prefix(['r', 'R']) {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    if !delimiters.bytes().all(|byte| b".-+,/_=".contains(&byte)) {
        return None;
    }
    let splits = |c: char| {
        if delimiters.is_empty() {
            c == '.'
        } else {
            delimiters.contains(c)
        }
    };
    let mut parts: Vec<&str> = value.split(splits).collect();
    if reversed {
        parts.reverse();
    }
    let from = parts.len().saturating_sub(keep);
    let joined = parts.get(from..)?.join(".");
    Some(if letter.is_ascii_uppercase() {
        escaped(&joined)
    } else {
        joined
    })
}

fn address_macro(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let digits = format!("{:032x}", address.to_bits());
            let mut out = String::with_capacity(64);
            for (n, digit) in digits.chars().enumerate() {
                if n > 0 {
                    out.push('.');
                }
                out.push(digit);
            }
            out
        }
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7208 §7.4.
    #[test]
    fn the_examples_of_the_rfc() {
        let facts = |client: &str| Facts {
            client: client.parse().unwrap(),
            hello: "mx.example.org",
            sender_local: "strong-bad",
            sender_domain: "email.example.com",
        };
        let v4 = |spec| expand(spec, &facts("192.0.2.3"), "email.example.com").unwrap();
        for (spec, name) in [
            ("%{s}", "strong-bad@email.example.com"),
            ("%{o}", "email.example.com"),
            ("%{d4}", "email.example.com"),
            ("%{d2}", "example.com"),
            ("%{d1}", "com"),
            ("%{dr}", "com.example.email"),
            ("%{d2r}", "example.email"),
            ("%{l}", "strong-bad"),
            ("%{l-}", "strong.bad"),
            ("%{lr}", "strong-bad"),
            ("%{lr-}", "bad.strong"),
            ("%{l1r-}", "strong"),
            (
                "%{ir}.%{v}._spf.%{d2}",
                "3.2.0.192.in-addr._spf.example.com",
            ),
            ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
            (
                "%{d2}.trusted-domains.example.net",
                "example.com.trusted-domains.example.net",
            ),
            ("a%%b%_c%-", "a%b c%20"),
        ] {
            assert_eq!(v4(spec), name, "{spec}");
        }
        let v6 = expand(
            "%{ir}.%{v}._spf.%{d2}",
            &facts("2001:db8::cb01"),
            "email.example.com",
        );
        assert_eq!(
            v6.unwrap(),
            "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com"
        );
        for bad in ["%", "%{", "%{z}", "%{d0}", "%{d*}", "%x", ""] {
            assert_eq!(expand(bad, &facts("192.0.2.3"), "a.test"), None, "{bad}");
        }
    }
}
