#![no_main]
//! Recovery of a segment file that holds anything: no panic, no loop, and what it keeps is inside.

use libfuzzer_sys::fuzz_target;
use platform::segments::recover_bytes;

fuzz_target!(|bytes: &[u8]| {
    let recovered = recover_bytes(bytes);
    let size = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
    for at in &recovered.messages {
        assert!(at.offset >= 0 && at.facts_bytes >= 0 && at.body_bytes >= 0);
        assert!(at.offset + at.facts_bytes + at.body_bytes <= size);
    }
    if let Some(cut) = recovered.cut_at {
        assert!(cut < bytes.len() as u64);
    }
});
