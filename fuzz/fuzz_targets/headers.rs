#![no_main]
//! Header fields, addresses, dates, encoded words, modified UTF-7: no panic, and what is written can
//! be read again.

use formats::address::{Address, Utf8Policy};
use formats::header::{
    ADDRESSES_MAX, decode_text, fields, find, header_bytes, parse_addresses, unfold, without,
};
use formats::{date, header_edit, section::Section, utf7};
use libfuzzer_sys::fuzz_target;

fn addresses(bytes: &[u8]) {
    // Groups have a beginning and an end beside their members.
    assert!(parse_addresses(bytes).len() <= 3 * ADDRESSES_MAX);
    for policy in [Utf8Policy::Refuse, Utf8Policy::Accept] {
        let Ok((address, used)) = Address::parse_prefix(bytes, policy) else {
            continue;
        };
        assert!(used <= bytes.len());
        let text = address.to_string();
        let again = Address::parse(&text);
        assert_eq!(again.as_ref(), Ok(&address), "{text:?} is no address");
    }
}

fuzz_target!(|bytes: &[u8]| {
    for field in fields(bytes) {
        let _value = unfold(&field.value());
        let _text = decode_text(&field.value());
    }
    assert!(find(&without(bytes, "Bcc"), "Bcc").is_none());
    let edited = header_edit::apply(bytes, header_edit::blind_copies());
    assert!(find(&edited, "Bcc").is_none() && edited.len() <= bytes.len() + 2);
    assert!(header_bytes(bytes) <= bytes.len());
    addresses(bytes);
    let _dates = (
        date::parse_internaldate(bytes),
        date::parse_search_date(bytes),
    );
    if let Some(read) = date::parse_rfc5322(bytes) {
        let _text = date::format_rfc5322(read);
    }
    if let Ok(name) = utf7::decode(bytes) {
        assert_eq!(utf7::decode(utf7::encode(&name).as_bytes()), Ok(name));
    }
    if let Ok((section, used)) = Section::parse(bytes) {
        assert!(used <= bytes.len());
        let mut text = Vec::new();
        section.write(&mut text);
        text.push(b']');
        let again = Section::parse(&text).map(|(section, _)| section);
        assert_eq!(again.as_ref(), Ok(&section), "{text:?}");
    }
});
