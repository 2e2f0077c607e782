//! German or English: what a page or a problem is said in. Pure. `?lang=de` decides, then what the browser likes best
//! (RFC 9110 §12.5.4), then German.

use axum::http::{HeaderMap, header};

pub(crate) use formats::language::Language;

/// What pages and problems do with a language.
pub(crate) trait Speak: Sized {
    /// For `lang=`.
    fn tag(self) -> &'static str;
    /// The one of two texts.
    fn of<T>(self, german: T, english: T) -> T;
}

impl Speak for Language {
    fn tag(self) -> &'static str {
        self.of("de", "en")
    }

    fn of<T>(self, german: T, english: T) -> T {
        match self {
            Self::German => german,
            Self::English => english,
        }
    }
}

/// Alternatives of a header that are looked at.
const WISHES_MAX: usize = 20;

fn from_tag(tag: &str) -> Option<Language> {
    match tag.split('-').next()?.trim() {
        tag if tag.eq_ignore_ascii_case("de") => Some(Language::German),
        tag if tag.eq_ignore_ascii_case("en") => Some(Language::English),
        _ => None,
    }
}

/// What a request wants.
pub(crate) fn wanted(query: &str, headers: &HeaderMap) -> Language {
    let said = query.split('&').find_map(|pair| pair.strip_prefix("lang="));
    let liked = || {
        let wishes = headers.get(header::ACCEPT_LANGUAGE)?.to_str().ok()?;
        liked_best(wishes)
    };
    said.and_then(from_tag).or_else(liked).unwrap_or_default()
}

fn liked_best(wishes: &str) -> Option<Language> {
    let mut best: Option<(u16, Language)> = None;
    for wish in wishes.split(',').take(WISHES_MAX) {
        let (tag, weight) = wish.split_once(';').unwrap_or((wish, ""));
        let weight = match weight.trim().strip_prefix("q=") {
            Some(weight) => (weight.parse::<f32>().unwrap_or(0.0).clamp(0.0, 1.0) * 1000.0) as u16,
            None => 1000,
        };
        let Some(language) = from_tag(tag) else {
            continue;
        };
        if weight > 0 && best.is_none_or(|(before, _)| weight > before) {
            best = Some((weight, language));
        }
    }
    best.map(|(_, language)| language)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn of_both(query: &str, accept: &'static str) -> Language {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_static(accept));
        wanted(query, &headers)
    }

    #[test]
    fn the_address_decides_then_the_browser_then_german() {
        assert_eq!(of_both("lang=en", "de"), Language::English);
        assert_eq!(of_both("a=b&lang=de", "en"), Language::German);
        assert_eq!(of_both("", "fr, en-GB;q=0.8, de;q=0.7"), Language::English);
        assert_eq!(of_both("", "en;q=0, de;q=0.1"), Language::German);
        assert_eq!(of_both("lang=xx", "fr, *"), Language::German);
        assert_eq!(wanted("", &HeaderMap::new()), Language::German);
    }

    #[test]
    fn nonsense_is_not_minded() {
        for accept in ["", ",,;;", "de;q=x", "de;q=nan", "q=", ";q=1"] {
            let _ = of_both("lang", accept);
        }
    }
}
