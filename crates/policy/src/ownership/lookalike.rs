//! Domains written with letters that look like others (Unicode TR 39, confusables): which plain name
//! a reader would take such a domain for. Pure.

use directory::DomainName;
use unicode_security::confusable_detection::skeleton;

/// The domain in plain letters that `domain` looks like; `None` where it has no letter that looks
/// like another script's. `domain` may be written with U-labels or A-labels.
pub fn resembled_domain(domain: &str) -> Option<DomainName> {
    if domain.is_ascii() && !domain.contains("xn--") {
        return None;
    }
    let shown = DomainName::parse(domain).ok()?.to_unicode();
    let plain: String = shown.chars().map(plain_letter).collect::<Vec<_>>().concat();
    if plain == shown {
        return None;
    }
    DomainName::parse(&plain).ok()
}

/// The ASCII letter a letter is confused with, else itself.
fn plain_letter(letter: char) -> String {
    let own = String::from(letter);
    if letter.is_ascii() {
        return own;
    }
    let prototype: String = skeleton(&own).collect();
    // The prototype of m is "rn" in the tables, so that both sides of a comparison meet.
    match prototype.to_ascii_lowercase().as_str() {
        "rn" => "m".to_owned(),
        plain if plain.is_ascii() && !plain.is_empty() => plain.to_owned(),
        _ => own,
    }
}
