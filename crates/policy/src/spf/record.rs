//! The text of an SPF record as terms (RFC 7208 §4.6.1, §5, §6). Pure.

use super::Bits;
use std::net::IpAddr;

/// Terms of one record; more are an error and not work.
const TERMS_MAX: usize = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Qualifier {
    Pass,
    Fail,
    SoftFail,
    Neutral,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mechanism {
    All,
    Include(String),
    A { domain: Option<String>, bits: Bits },
    Mx { domain: Option<String>, bits: Bits },
    Ptr(Option<String>),
    Ip { network: IpAddr, bits: u8 },
    Exists(String),
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) mechanisms: Vec<(Qualifier, Mechanism)>,
    pub(super) redirect: Option<String>,
}

/// Whether a TXT record is one of SPF (RFC 7208 §4.5).
pub(super) fn is_spf(text: &str) -> bool {
    let head = text.split(' ').next().unwrap_or_default();
    head.eq_ignore_ascii_case("v=spf1")
}

pub(super) fn parse(text: &str) -> Result<Record, String> {
    let mut record = Record::default();
    let terms = text.split(' ').skip(1).filter(|term| !term.is_empty());
    for (n, term) in terms.enumerate() {
        if n >= TERMS_MAX {
            return Err(format!("more than {TERMS_MAX} terms"));
        }
        if let Some((name, value)) = modifier(term) {
            match name.to_ascii_lowercase().as_str() {
                "redirect" if record.redirect.is_some() => {
                    return Err("more than one redirect".to_owned());
                }
                "redirect" => record.redirect = Some(value.to_owned()),
                // exp= and unknown modifiers do not matter here (RFC 7208 §6).
                _ => {}
            }
            continue;
        }
        record.mechanisms.push(directive(term)?);
    }
    // RFC 7208 §5.1: redirect is ignored where there is an "all".
    if record.mechanisms.iter().any(|(_, m)| *m == Mechanism::All) {
        record.redirect = None;
    }
    Ok(record)
}

/// `name=value` where the name is one (RFC 7208 §4.6.1).
fn modifier(term: &str) -> Option<(&str, &str)> {
    let (name, value) = term.split_once('=')?;
    let named = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    named.then_some((name, value))
}

fn directive(term: &str) -> Result<(Qualifier, Mechanism), String> {
    let wrong = || format!("\"{}\" is no term", term.escape_default());
    let (qualifier, rest) = match term.as_bytes().first() {
        Some(b'+') => (Qualifier::Pass, &term[1..]),
        Some(b'-') => (Qualifier::Fail, &term[1..]),
        Some(b'~') => (Qualifier::SoftFail, &term[1..]),
        Some(b'?') => (Qualifier::Neutral, &term[1..]),
        _ => (Qualifier::Pass, term),
    };
    let name_end = rest.find([':', '/']).unwrap_or(rest.len());
    let (name, after) = rest.split_at(name_end);
    let value = after.strip_prefix(':');
    let needed = || {
        value
            .filter(|v| !v.is_empty())
            .map(str::to_owned)
            .ok_or_else(wrong)
    };
    let mechanism = match name.to_ascii_lowercase().as_str() {
        "all" if after.is_empty() => Mechanism::All,
        "include" => Mechanism::Include(needed()?),
        "exists" => Mechanism::Exists(needed()?),
        "ptr" => Mechanism::Ptr(value.map(str::to_owned)),
        "ip4" => ip(&needed()?, 32)
            .filter(|(network, _)| network.is_ipv4())
            .map(of_ip)
            .ok_or_else(wrong)?,
        "ip6" => ip(&needed()?, 128)
            .filter(|(network, _)| network.is_ipv6())
            .map(of_ip)
            .ok_or_else(wrong)?,
        "a" => {
            let (domain, bits) = host(after).ok_or_else(wrong)?;
            Mechanism::A { domain, bits }
        }
        "mx" => {
            let (domain, bits) = host(after).ok_or_else(wrong)?;
            Mechanism::Mx { domain, bits }
        }
        _ => return Err(wrong()),
    };
    Ok((qualifier, mechanism))
}

fn of_ip((network, bits): (IpAddr, u8)) -> Mechanism {
    Mechanism::Ip { network, bits }
}

fn ip(text: &str, bits_max: u8) -> Option<(IpAddr, u8)> {
    match text.split_once('/') {
        Some((address, bits)) => Some((address.parse().ok()?, prefix(bits, bits_max)?)),
        None => Some((text.parse().ok()?, bits_max)),
    }
}

fn prefix(text: &str, bits_max: u8) -> Option<u8> {
    let bits = text.parse().ok().filter(|bits| *bits <= bits_max)?;
    text.bytes().all(|b| b.is_ascii_digit()).then_some(bits)
}

/// `[:domain][/v4bits][//v6bits]`.
fn host(after: &str) -> Option<(Option<String>, Bits)> {
    fn length<'t>(text: &'t str, mark: &str) -> (&'t str, Option<&'t str>) {
        match text.rsplit_once(mark) {
            Some((head, bits)) if bits.bytes().all(|b| b.is_ascii_digit()) => (head, Some(bits)),
            _ => (text, None),
        }
    }
    // From the end, because a macro in the name may hold a slash as a delimiter.
    let (rest, v6) = length(after, "//");
    let (rest, v4) = length(rest, "/");
    let bits = Bits {
        v4: v4.map_or(Some(32), |bits| prefix(bits, 32))?,
        v6: v6.map_or(Some(128), |bits| prefix(bits, 128))?,
    };
    match rest.strip_prefix(':') {
        Some("") => None,
        Some(domain) => Some((Some(domain.to_owned()), bits)),
        None => rest.is_empty().then_some((None, bits)),
    }
}
