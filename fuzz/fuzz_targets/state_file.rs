#![no_main]
//! A state file that is read can be written and read again, and then changes nothing.

use directory::state::{export, parse, plan};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(wanted) = parse(text) else {
        return;
    };
    let state = wanted.state;
    assert!(plan(&state, &state).is_empty());
    let text = export(&state);
    let again = parse(&text).map(|again| again.state);
    assert_eq!(again.as_ref(), Ok(&state), "{text}");
    let _all_new = plan(&Default::default(), &state);
    let _all_gone = plan(&state, &Default::default());
});
