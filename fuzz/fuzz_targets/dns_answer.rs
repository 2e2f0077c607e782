#![no_main]
//! Answers of DNS servers: no panic, bounded work, and no name that is there and proved absent at once.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| platform::dns::fuzz::answer(bytes));
