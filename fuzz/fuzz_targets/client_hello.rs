#![no_main]
//! ClientHello: bounded, no panic, and an answer that was given stays when more bytes arrive.

use libfuzzer_sys::fuzz_target;
use platform::tls::client_hello::{HELLO_BYTES_MAX, Parsed, parse};

fuzz_target!(|bytes: &[u8]| {
    let whole = parse(bytes);
    if let Parsed::Hello(hello) = &whole {
        let _facts = (
            hello.newest_version(),
            hello.offered_versions(),
            hello.falls_back(),
            hello.fingerprint(),
        );
    }
    if whole == Parsed::NeedMore {
        assert!(bytes.len() <= HELLO_BYTES_MAX, "more is never needed");
    }
    let shorter = parse(&bytes[..bytes.len() / 2]);
    if shorter != Parsed::NeedMore {
        assert_eq!(shorter, whole);
    }
});
