//! The examples of RFC 6376 and what pieces must not change.

use super::*;
use proptest::prelude::*;

fn body(pieces: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut body = RelaxedBody::default();
    for piece in pieces {
        body.push(piece, &mut out);
    }
    body.finish(&mut out);
    out
}

fn field(name: &str, value: &str) -> String {
    let mut out = Vec::new();
    relaxed_field(name.as_bytes(), value.as_bytes(), &mut out);
    String::from_utf8(out).unwrap()
}

/// RFC 6376 §3.4.2 and §3.4.4, written plainly over the whole text.
fn plainly(text: &[u8]) -> Vec<u8> {
    let text: Vec<char> = text.iter().map(|b| char::from(*b)).collect();
    let text: String = text.into_iter().collect();
    let mut lines: Vec<String> = text
        .split("\r\n")
        .map(|line| {
            let end = line.trim_end_matches([' ', '\t']);
            let mut out = String::new();
            for c in end.chars() {
                let white = matches!(c, ' ' | '\t');
                if !(white && out.ends_with(' ')) {
                    out.push(if white { ' ' } else { c });
                }
            }
            out
        })
        .collect();
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    let joined: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    joined.chars().map(|c| c as u8).collect()
}

#[test]
fn the_examples_of_the_rfc() {
    assert_eq!(field("A", " X\r\n"), "a:X\r\n");
    assert_eq!(field("B ", " Y\t\r\n\tZ  \r\n"), "b:Y Z\r\n");
    assert_eq!(body(&[b" C \r\nD \t E\r\n\r\n\r\n"]), b" C\r\nD E\r\n");
    assert_eq!(body(&[b""]), b"");
    assert_eq!(body(&[b"\r\n\r\n"]), b"");
    assert_eq!(body(&[b"a"]), b"a\r\n");
    assert_eq!(body(&[b"a\r"]), b"a\r\r\n");
    assert_eq!(field("Subject", ""), "subject:\r\n");
    assert_eq!(field("SUBJECT", "\r\n \r\n a \r\n"), "subject:a\r\n");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn pieces_make_no_difference(
        text in "([ \t]|a|\r\n|\r\n\r\n|b c|\\.|ä|\r|\n){0,40}",
        cuts in proptest::collection::vec(0_usize..80, 0..6),
    ) {
        let text = text.as_bytes();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut at = 0;
        for cut in cuts {
            pieces.push(&text[at..cut]);
            at = cut;
        }
        pieces.push(&text[at..]);
        prop_assert_eq!(body(&pieces), plainly(text));
    }

    #[test]
    fn canonical_bodies_stay_as_they_are(text in "([ \t]|a|\r\n|b c){0,40}") {
        let once = body(&[text.as_bytes()]);
        prop_assert_eq!(body(&[&once]), once);
    }
}
