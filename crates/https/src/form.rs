//! What a form of a page sends (application/x-www-form-urlencoded). Pure; bounded by the body's own limit.

use axum::body::Bytes;

/// Longest value of a field, in characters; more is cut off.
const VALUE_CHARS_MAX: usize = 10_000;

/// The value of a field, without control characters but line feeds.
pub(crate) fn field(body: &Bytes, name: &str) -> Option<String> {
    value_in(form_urlencoded::parse(body), name)
}

/// The same of what stands after `?`.
pub(crate) fn asked(query: Option<&str>, name: &str) -> Option<String> {
    value_in(form_urlencoded::parse(query.unwrap_or("").as_bytes()), name)
}

fn value_in(mut pairs: form_urlencoded::Parse<'_>, name: &str) -> Option<String> {
    let (_, value) = pairs.find(|(field, _)| field == name)?;
    let kept = value.chars().filter(|c| !c.is_control() || *c == '\n');
    Some(kept.take(VALUE_CHARS_MAX).collect())
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
}
