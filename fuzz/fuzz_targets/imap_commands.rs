#![no_main]
//! IMAP's grammar must not panic, and the pieces in which bytes arrive must make no difference.

use access::imap::grammar::feed::fuzz_input;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| fuzz_input(bytes));
