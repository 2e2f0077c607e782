//! For fuzz targets: everything that reads what others wrote, without DNS. Nobody else calls it.

use crate::InstallationSecret;
use crate::field_choice::{Purpose, choose};
use crate::record::PublishedKey;
use crate::signature::HeaderHash;
use crate::srs::{Reversed, Srs};
use crate::verify::chain::collect;
use crate::verify::dkim::{Kind, Signature, without_signature};
use crate::verify::results::newest;
use crate::verify::spf_macro::{Facts, expand};
use formats::address::Address;
use formats::header::fields;
use platform::clock::Timestamp;
use platform::random::Random;

/// Reads `bytes` as a header with signatures, as a key record and as an SPF macro.
pub fn foreign_text(bytes: &[u8]) {
    let all: Vec<_> = fields(bytes).collect();
    assert!(newest(&collect(&all)) <= 50);
    for purpose in [Purpose::Signature, Purpose::Seal] {
        let _hash = HeaderHash::over(&choose(&all, purpose));
    }
    for field in &all {
        let value = field.value();
        if let Ok(text) = std::str::from_utf8(&value) {
            for kind in [Kind::Dkim, Kind::ArcMessage, Kind::ArcSeal] {
                let _signature = Signature::parse(text, kind).is_ok();
            }
        }
        let once = without_signature(field.raw_value);
        assert_eq!(without_signature(&once), once);
    }
    let _key = PublishedKey::parse(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        let facts = Facts {
            client: [192, 0, 2, 1].into(),
            hello: "mx.far.test",
            sender_local: "a-b",
            sender_domain: "far.test",
        };
        if let Some(name) = expand(text, &facts, "near.test") {
            assert!(name.len() <= 253);
        }
    }
}

/// Reads `text` as a sender and as a rewritten one.
pub fn srs(text: &str) {
    let srs = Srs::new(&InstallationSecret::generate(&Random::seeded(1)));
    let now = Timestamp::from_seconds(1_795_000_000);
    let Ok(sender) = Address::parse(text) else {
        return;
    };
    // Nobody guesses a hash.
    assert!(!matches!(srs.reverse(&sender, now), Reversed::Sender(_)));
    let forwarded = srs.forward(&sender, "firma.test", now);
    match srs.reverse(&forwarded, now) {
        Reversed::Sender(_) => {}
        other => assert_eq!(
            (forwarded.local(), other),
            ("postmaster", Reversed::Ordinary)
        ),
    }
}
