#![no_main]
//! What Outlook asks before anybody logged in: bounded, no panic, and an answer that is well-formed whatever was typed.

use discovery::autodiscover::{Question, answer};
use discovery::{Provider, Servers};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(question) = Question::parse(bytes) {
        assert!(question.address.len() <= 512);
        let provider = Provider { name: "Provider", site: "https://provider.test/" };
        let text = answer(&Servers::default(), &provider, &question.address);
        assert_eq!(text.matches("<DisplayName>").count(), 1);
        assert_eq!(text.matches("</Autodiscover>").count(), 1);
    }
});
