#![no_main]
//! Certificates and TLSA records of strangers: no panic, and nothing proves what it cannot prove.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: ([u8; 3], u16, &[u8])| {
    let (numbers, cut, bytes) = input;
    platform::tls::fuzz::certificates(numbers, usize::from(cut), bytes);
});
