//! Macros in the names of an SPF record (RFC 7208 §7). Pure.

use std::net::IpAddr;

/// Longest name (RFC 1035 §2.3.4); what is longer loses labels on the left (RFC 7208 §7.3).
const NAME_BYTES_MAX: usize = 253;

/// What macros stand for.
pub(super) struct Facts<'f> {
    pub(super) address: IpAddr,
    pub(super) local: &'f str,
    pub(super) sender_domain: &'f str,
    pub(super) domain: &'f str,
}

/// `written` with every macro replaced, as a name to look up.
pub(super) fn expand(written: &str, facts: &Facts<'_>) -> Result<String, String> {
    let wrong = || format!("\"{}\" is no name", written.escape_default());
    let mut name = String::with_capacity(written.len());
    let mut rest = written;
    while let Some((before, after)) = rest.split_once('%') {
        name.push_str(before);
        rest = match after.as_bytes().first() {
            Some(b'%') => {
                name.push('%');
                &after[1..]
            }
            Some(b'_') => {
                name.push(' ');
                &after[1..]
            }
            Some(b'-') => {
                name.push_str("%20");
                &after[1..]
            }
            Some(b'{') => {
                let (inner, after) = after[1..].split_once('}').ok_or_else(wrong)?;
                name.push_str(&one(inner, facts).ok_or_else(wrong)?);
                after
            }
            _ => return Err(wrong()),
        };
    }
    name.push_str(rest);
    let mut name = name.trim_end_matches('.');
    while name.len() > NAME_BYTES_MAX {
        name = name.split_once('.').ok_or_else(wrong)?.1;
    }
    if name.is_empty()
        || !name.is_ascii()
        || name.bytes().any(|b| b.is_ascii_control() || b == b' ')
    {
        return Err(wrong());
    }
    Ok(name.to_ascii_lowercase())
}

/// `letter [digits] [r] [delimiters]`.
fn one(inner: &str, facts: &Facts<'_>) -> Option<String> {
    let mut chars = inner.chars();
    let value = match chars.next()?.to_ascii_lowercase() {
        's' => format!("{}@{}", facts.local, facts.sender_domain),
        'l' => facts.local.to_owned(),
        'o' => facts.sender_domain.to_owned(),
        'd' | 'h' => facts.domain.to_owned(),
        'i' => dotted(facts.address),
        'v' => match facts.address {
            IpAddr::V4(_) => "in-addr".to_owned(),
            IpAddr::V6(_) => "ip6".to_owned(),
        },
        'p' => "unknown".to_owned(),
        _ => return None,
    };
    let transformers = chars.as_str();
    let digits = transformers.bytes().take_while(u8::is_ascii_digit).count();
    let (keep, transformers) = transformers.split_at(digits);
    let keep: Option<usize> = match keep {
        "" => None,
        digits => Some(digits.parse().ok().filter(|n| *n > 0)?),
    };
    let (reverse, delimiters) = match transformers.strip_prefix(['r', 'R']) {
        Some(delimiters) => (true, delimiters),
        None => (false, transformers),
    };
    if !delimiters.bytes().all(|b| b".-+,/_=".contains(&b)) {
        return None;
    }
    let is_delimiter = |c: char| match delimiters {
        "" => c == '.',
        given => given.contains(c),
    };
    let mut parts: Vec<&str> = value.split(is_delimiter).collect();
    if reverse {
        parts.reverse();
    }
    let skip = keep.map_or(0, |keep| parts.len().saturating_sub(keep));
    Some(parts.get(skip..)?.join("."))
}

fn dotted(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let nibbles = address.octets();
            let nibbles = nibbles.iter().flat_map(|b| [b >> 4, b & 15]);
            nibbles
                .map(|n| format!("{n:x}"))
                .collect::<Vec<_>>()
                .join(".")
        }
    }
}
