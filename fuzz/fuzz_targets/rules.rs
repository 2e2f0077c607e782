#![no_main]
//! Rules of an operator, a described session, a header: what is written reads the same, and what explains a decision
//! agrees with it.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        policy::rules::fuzz::rules(text);
    }
});
