#![no_main]
//! The scan of a message gives the same facts however it is cut; they survive being stored; every
//! section lies within the message; and stored facts that are damaged harm nobody.

use formats::imap_text::{Structure, Utf8, write_envelope, write_structure};
use formats::message::{Facts, Scanner};
use formats::search::{Needle, Scope};
use formats::section::Section;
use libfuzzer_sys::fuzz_target;

const SECTIONS: [&[u8]; 8] = [
    b"]",
    b"HEADER]",
    b"TEXT]",
    b"1]",
    b"1.MIME]",
    b"2.1.HEADER]",
    b"1.2.TEXT]",
    b"HEADER.FIELDS.NOT (From)]",
];

/// Everything that is done with facts.
fn use_up(facts: &Facts) {
    let mut out = Vec::new();
    for structure in [Structure::Body, Structure::BodyStructure] {
        for utf8 in [Utf8::Literals, Utf8::Quoted] {
            write_structure(&mut out, facts, structure, utf8);
        }
    }
    write_envelope(&mut out, &facts.envelope(), Utf8::Literals);
    let _date = facts.date();
    for section in SECTIONS {
        if let Ok((section, _)) = Section::parse(section) {
            let _located = section.locate(facts);
        }
    }
}

fn scanned(message: &[u8], cut: usize) {
    let facts = Facts::scan(message);
    for pieces in [message.chunks(cut.max(1)), message.chunks(1)] {
        let mut scanner = Scanner::new();
        pieces.for_each(|piece| scanner.push(piece));
        assert_eq!(scanner.finish(), facts, "the pieces made a difference");
    }
    assert_eq!(facts.size(), message.len() as u64);
    let stored = facts.to_bytes();
    assert_eq!(Facts::from_bytes(&stored).as_ref(), Ok(&facts));
    for part in facts.parts() {
        for range in [part.header(), part.body()] {
            assert!(range.start <= range.end && range.end <= facts.size());
        }
    }
    for section in SECTIONS {
        let Ok((section, _)) = Section::parse(section) else {
            continue;
        };
        if let Some(located) = section.locate(&facts) {
            assert!(located.range.start <= located.range.end);
            assert!(located.range.end <= facts.size());
        }
    }
    use_up(&facts);
    let needle = Needle::new("ä");
    let _found = needle.is_in_message(message, &facts, Scope::Text);
}

fuzz_target!(|input: (u8, &[u8])| {
    let (cut, bytes) = input;
    scanned(bytes, usize::from(cut));
    // The same bytes as if they were facts from a damaged disk.
    if let Ok(facts) = Facts::from_bytes(bytes) {
        use_up(&facts);
    }
});
