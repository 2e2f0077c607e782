//! Header fields: name in lower case, folding undone, runs of white space one space, none around the colon and at
//! the end.

use super::Sink;

/// Writes the field `name: value` in relaxed form, with its final CRLF. `raw_value` is what follows the colon,
/// folding included, with or without its line end.
pub fn relaxed_field(name: &[u8], raw_value: &[u8], sink: &mut impl Sink) {
    relaxed_field_open(name, raw_value, sink);
    sink.take(b"\r\n");
}

/// As `relaxed_field` without the final CRLF: the form of the signature's own field (RFC 6376 §3.7).
pub(crate) fn relaxed_field_open(name: &[u8], raw_value: &[u8], sink: &mut impl Sink) {
    sink.take(&name.trim_ascii_end().to_ascii_lowercase());
    sink.take(b":");
    let mut rest = trim(raw_value);
    while !rest.is_empty() {
        let text = memchr::memchr3(b' ', b'\t', b'\r', rest).unwrap_or(rest.len());
        let text = match memchr::memchr(b'\n', rest.get(..text).unwrap_or_default()) {
            Some(line_feed) => line_feed,
            None => text,
        };
        let (now, after) = rest.split_at(text);
        sink.take(now);
        let gap = after
            .iter()
            .position(|byte| !is_gap(*byte))
            .unwrap_or(after.len());
        let (gap, after) = after.split_at(gap);
        // A line end that no white space follows occurs in damaged headers only; it is unfolded away.
        if gap.iter().any(|byte| matches!(byte, b' ' | b'\t')) {
            sink.take(b" ");
        }
        rest = after;
    }
}

fn is_gap(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn trim(value: &[u8]) -> &[u8] {
    let start = value.iter().position(|byte| !is_gap(*byte));
    let end = value.iter().rposition(|byte| !is_gap(*byte));
    match (start, end) {
        (Some(start), Some(end)) => value.get(start..=end).unwrap_or_default(),
        _ => b"",
    }
}
