#![no_main]
//! Rewritten senders: nothing made up is taken for one of ours, and what we write comes back.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        signing::fuzz::srs(text);
    }
});
