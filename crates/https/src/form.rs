//! What a form of a page sends (application/x-www-form-urlencoded), and links that say the same after `?`. Pure; bounded
//! by the body's own limit.

use axum::body::Bytes;

/// Longest value of a field, in characters; more is cut off.
const VALUE_CHARS_MAX: usize = 10_000;

/// The value of a field, without control characters but line feeds.
pub(crate) fn field(body: &Bytes, name: &str) -> Option<String> {
    value_in(form_urlencoded::parse(body), name)
}

/// The values of all fields of this name, in order; at most `values_max`.
pub(crate) fn fields(body: &Bytes, name: &str, values_max: usize) -> Vec<String> {
    let pairs = form_urlencoded::parse(body).filter(|(field, _)| field == name);
    pairs
        .take(values_max)
        .map(|(_, value)| kept(&value))
        .collect()
}

/// The same of what stands after `?`.
pub(crate) fn asked(query: Option<&str>, name: &str) -> Option<String> {
    value_in(form_urlencoded::parse(query.unwrap_or("").as_bytes()), name)
}

fn value_in(mut pairs: form_urlencoded::Parse<'_>, name: &str) -> Option<String> {
    let (_, value) = pairs.find(|(field, _)| field == name)?;
    Some(kept(&value))
}

fn kept(value: &str) -> String {
    let kept = value.chars().filter(|c| !c.is_control() || *c == '\n');
    kept.take(VALUE_CHARS_MAX).collect()
}

/// A link to `place` that is read there as these pairs, whatever they hold: login addresses have `+`, `%` and `&`.
pub(crate) fn link(place: &str, pairs: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(pairs);
    format!("{place}?{}", query.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_and_cleaned() {
        let body = Bytes::from_static(b"a=1&user=anna%40firma.test&text=x%0D%0Ay%00z&%ff=%fe");
        assert_eq!(field(&body, "user").unwrap(), "anna@firma.test");
        assert_eq!(field(&body, "text").unwrap(), "x\nyz");
        assert_eq!(field(&body, "none"), None);
    }

    #[test]
    fn a_link_is_read_as_it_was_meant() {
        for login in [
            "anna+news@firma.test",
            "50%41@firma.test",
            "a&lang=de#x@firma.test",
            "ä@firma.test",
        ] {
            let link = link("/help/outlook", &[("account", login), ("lang", "en")]);
            let query = link.strip_prefix("/help/outlook?");
            assert_eq!(asked(query, "account").as_deref(), Some(login), "{link}");
            assert_eq!(asked(query, "lang").as_deref(), Some("en"), "{link}");
            assert!(link.is_ascii() && !link.contains('#'), "{link}");
        }
    }
}
