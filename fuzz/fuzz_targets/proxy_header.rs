#![no_main]
//! PROXY v2 headers: bounded, no panic, and more bytes behind a complete one change nothing.

use libfuzzer_sys::fuzz_target;
use platform::net::proxy::{HEADER_BYTES_MAX, Parsed, parse};

fuzz_target!(|bytes: &[u8]| {
    match parse(bytes) {
        Parsed::Header {
            total_bytes,
            header,
        } => {
            assert!(total_bytes <= bytes.len() && total_bytes <= HEADER_BYTES_MAX);
            let again = parse(&bytes[..total_bytes]);
            assert_eq!(
                again,
                Parsed::Header {
                    total_bytes,
                    header
                }
            );
        }
        Parsed::NeedMore => assert!(bytes.len() < HEADER_BYTES_MAX),
        Parsed::NotProxy | Parsed::Bad(_) => {}
    }
});
