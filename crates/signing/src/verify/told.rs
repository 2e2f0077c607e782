//! Reads what an earlier server wrote down as authentication results (RFC 8601 §2.2) in an ARC set: whether it saw a
//! domain proved. Pure; whether that server is believed is asked before.

use super::dmarc::is_below;

/// Longest field that is read, in bytes; honest ones have some hundred.
const FIELD_BYTES_MAX: usize = 16 * 1024;
/// Results of one field that are read.
const RESULTS_MAX: usize = 100;

/// Whether the results in `value` say that `author`, the domain of From, was proved: DMARC passed for it, or SPF or
/// DKIM for it or a domain below it. `value` is unfolded.
pub(crate) fn says_proved(value: &str, author: &str) -> bool {
    if value.len() > FIELD_BYTES_MAX {
        return false;
    }
    let text = without_comments(value);
    // First come i=… and who says so.
    let results = text.split(';').skip(2).take(RESULTS_MAX);
    results
        .map(str::split_whitespace)
        .any(|mut words| match words.next() {
            Some("dmarc=pass") => words.any(|word| property(word, "header.from") == Some(author)),
            Some("dkim=pass") => words.any(|word| speaks(word, "header.d", author)),
            Some("spf=pass") => words.any(|word| speaks(word, "smtp.mailfrom", author)),
            _ => false,
        })
}

fn speaks(word: &str, name: &str, author: &str) -> bool {
    property(word, name).is_some_and(|domain| domain == author || is_below(domain, author))
}

/// The domain in `name=…`, which may be an address or in quotes.
fn property<'w>(word: &'w str, name: &str) -> Option<&'w str> {
    let value = word
        .strip_prefix(name)?
        .strip_prefix('=')?
        .trim_matches('"');
    Some(value.rsplit('@').next().unwrap_or(value))
}

/// RFC 5322 §3.2.2: comments may stand everywhere but in quotes. What is in quotes is kept without semicolons, so that
/// nothing in it is taken for a result.
fn without_comments(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for c in value.chars() {
        let literal = std::mem::take(&mut escaped);
        match c {
            '\\' if !literal && (quoted || depth > 0) => escaped = true,
            '"' if !literal && depth == 0 => quoted = !quoted,
            '(' if !literal && !quoted => depth += 1,
            ')' if !literal && !quoted => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            _ if quoted && (c == ';' || c.is_whitespace()) => out.push('_'),
            _ => out.push(c.to_ascii_lowercase()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_believed_for_their_own_domain_only() {
        let proved = |text: &str| says_proved(&format!("i=1; mx.far.test; {text}"), "firma.test");
        for yes in [
            "dmarc=pass header.from=firma.test",
            "spf=fail; dkim=none; dmarc=pass (p=REJECT sp=NONE) header.from=Firma.test",
            "dkim=pass (good; really) header.d=firma.test header.s=a",
            "dkim=pass header.s=\"a b\" header.d=\"news.firma.test\"",
            "spf=pass smtp.mailfrom=anna@firma.test",
        ] {
            assert!(proved(yes), "{yes}");
        }
        for no in [
            "dmarc=fail header.from=firma.test",
            "dmarc=pass header.from=other.test",
            "dmarc=none header.from=firma.test",
            "dkim=pass header.d=evilfirma.test",
            "dkim=fail reason=\"; dkim=pass header.d=firma.test\"",
            "dkim=fail (\\); dkim=pass header.d=firma.test)",
            "dkim=fail (; dkim=pass header.d=firma.test",
            "spf=pass smtp.helo=firma.test",
        ] {
            assert!(!proved(no), "{no}");
        }
        // Who says it is no result.
        assert!(!says_proved(
            "i=1; dmarc=pass header.from=firma.test",
            "firma.test"
        ));
    }
}
