#![no_main]
//! MTA-STS policies and records: bounded, no panic, and what was read is read the same from its own lines.

use libfuzzer_sys::fuzz_target;
use routing::sts::{MAX_AGE_SECONDS_MAX, Mode, announced_id, parse};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(policy) = parse(bytes) {
        assert!(policy.max_age.as_secs() <= MAX_AGE_SECONDS_MAX);
        assert!(policy.mode == Mode::None || !policy.mx.is_empty());
        assert_eq!(parse(policy.lines().join("\r\n").as_bytes()).as_ref(), Ok(&policy));
        for pattern in &policy.mx {
            let host = pattern.replacen('*', "mx", 1);
            assert!(policy.allows(&host), "{host}");
        }
    }
    let _ = announced_id(&[bytes.to_vec()]);
});
