#![no_main]
//! What comes over the link between the legacy gateway and the core: reading it is bounded, what is read is written
//! the same, pieces make no difference.

use gateway_link::{Decoded, HEAD_BYTES, PAYLOAD_BYTES_MAX, decode, encode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut rest = data;
    loop {
        match decode(rest) {
            Ok(Decoded::Frame { frame, total_bytes }) => {
                assert!(total_bytes <= HEAD_BYTES + PAYLOAD_BYTES_MAX);
                let mut written = Vec::new();
                encode(&frame, &mut written);
                assert_eq!(written, &rest[..total_bytes]);
                for cut in [1, HEAD_BYTES, total_bytes - 1] {
                    let piece = &rest[..cut.min(total_bytes - 1)];
                    assert_eq!(decode(piece), Ok(Decoded::NeedMore));
                }
                rest = &rest[total_bytes..];
            }
            Ok(Decoded::NeedMore) => {
                assert!(rest.len() < HEAD_BYTES + PAYLOAD_BYTES_MAX);
                return;
            }
            Err(_) => return,
        }
    }
});
