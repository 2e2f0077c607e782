#![no_main]
//! What DKIM, ARC and SPF read of strangers: fields, key records, macros; and canonical forms, which must not depend
//! on the pieces a body comes in.

use libfuzzer_sys::fuzz_target;
use signing::canonical::{RelaxedBody, SimpleBody, relaxed_field};

fn relaxed(pieces: &[&[u8]]) -> Vec<u8> {
    let (mut body, mut out) = (RelaxedBody::default(), Vec::new());
    pieces.iter().for_each(|piece| body.push(piece, &mut out));
    body.finish(&mut out);
    out
}

fn simple(pieces: &[&[u8]]) -> Vec<u8> {
    let (mut body, mut out) = (SimpleBody::default(), Vec::new());
    pieces.iter().for_each(|piece| body.push(piece, &mut out));
    body.finish(&mut out);
    out
}

fuzz_target!(|bytes: &[u8]| {
    signing::fuzz::foreign_text(bytes);
    let Some((cut, text)) = bytes.split_first() else {
        return;
    };
    let (head, tail) = text.split_at(usize::from(*cut).min(text.len()));
    let whole = relaxed(&[text]);
    assert_eq!(relaxed(&[head, tail]), whole);
    assert_eq!(relaxed(&[&whole]), whole);
    assert_eq!(simple(&[head, tail]), simple(&[text]));
    let mut field = Vec::new();
    relaxed_field(head, tail, &mut field);
    let value = field.get(head.trim_ascii_end().len() + 1..).unwrap_or_default();
    let mut again = Vec::new();
    relaxed_field(head, value, &mut again);
    assert_eq!(again, field);
});
