#![no_main]
//! POP3's grammar must not panic, and a refusal must fit into one line.

use access::pop3::grammar::parse;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for line in bytes.split(|byte| *byte == b'\n') {
        if let Err(malformed) = parse(line) {
            assert!(malformed.0.len() < 500 && !malformed.0.contains(['\r', '\n']));
        }
    }
});
