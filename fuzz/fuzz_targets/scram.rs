#![no_main]
//! SCRAM's messages from a client that says anything: no panic, and no proof fits a key that the
//! client does not know.

use directory::sasl::{ChannelBindings, Mechanism, PlusOffer};
use directory::scram::{ClientFirst, Derivation, Keys, from_text, keys_from_text};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8], &[u8])| {
    let (kind, first, last) = input;
    let bindings = ChannelBindings {
        tls_exporter: (kind & 1 > 0).then_some([7; 32]),
        tls_server_end_point: (kind & 2 > 0).then(|| vec![9; 32]),
    };
    let (mechanism, plus) = match kind & 4 {
        0 => (Mechanism::ScramSha256, PlusOffer::NotOffered),
        _ => (Mechanism::ScramSha256Plus, PlusOffer::Offered),
    };
    if let Ok(text) = std::str::from_utf8(last) {
        let _stored = (from_text(text), keys_from_text(text));
    }
    let Ok(client) = ClientFirst::parse(first, mechanism, &bindings, plus) else {
        return;
    };
    let derivation = Derivation {
        salt: vec![1; 16],
        iterations: 4096,
    };
    let keys = Keys {
        stored_key: [3; 32],
        server_key: [4; 32],
    };
    let (awaiting, challenge) = client.challenge(&derivation, vec![keys], "nonce");
    assert!(!challenge.contains(&b'\n'));
    assert!(awaiting.clone().finish(last).is_err(), "a forged proof");
    // With the nonce it was given, so that more than the nonce is looked at.
    let challenge = String::from_utf8(challenge).expect("ASCII, or what the client sent in UTF-8");
    let nonce = challenge.split(',').next().unwrap_or_default();
    let begins = [b"c=biws,".as_slice(), nonce.as_bytes(), b",p=", last].concat();
    assert!(awaiting.finish(&begins).is_err(), "a forged proof");
});
