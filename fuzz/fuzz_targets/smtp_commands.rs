#![no_main]
//! Lines, grammar, replies, DATA and BDAT of an SMTP session must not panic.

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| smtp::server::fuzz::dialogue(bytes));
