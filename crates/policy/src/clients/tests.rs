//! Tests of the catalogue: every shape a client is known to have, and what must stay unknown.

use super::entry::parse;
use super::*;
use crate::testing::{Fixture, author};

fn catalogue() -> Catalogue {
    Catalogue::new(Vec::new())
}

fn key(hints: &Hints<'_>) -> String {
    catalogue().recognise(hints).key().into_owned()
}

fn mailer(text: &str) -> String {
    key(&Hints {
        mailer: Some(text),
        ..Hints::default()
    })
}

fn hello(text: &str) -> String {
    key(&Hints {
        hello: Some(text),
        ..Hints::default()
    })
}

fn imap_id(name: &str, version: &str, os: &str) -> String {
    let given = |text: &'static str| (!text.is_empty()).then_some(text);
    let own = |text: &str| given(String::leak(text.to_owned()));
    key(&Hints {
        imap_id_name: own(name),
        imap_id_version: own(version),
        imap_id_os: own(os),
        ..Hints::default()
    })
}

#[test]
fn every_file_can_be_read() {
    for text in super::catalogue::BUILT_IN {
        let entries = parse(text).unwrap();
        assert!(!entries.is_empty());
        assert_eq!(parse(&entry::write(entries.iter())).unwrap(), entries);
    }
    let catalogue = catalogue();
    let mut ids: Vec<_> = catalogue.entries().map(|e| e.id.clone()).collect();
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count, "an id stands in two files");
    for entry in catalogue.entries() {
        let patterns = [
            &entry.imap_id,
            &entry.mailer,
            &entry.hello,
            &entry.fingerprint,
        ];
        let shows = patterns.iter().any(|p| !p.is_empty());
        assert!(shows, "{} shows itself by nothing", entry.id);
    }
}

#[test]
fn nobody_is_unknown_in_every_form() {
    let catalogue = catalogue();
    let nobody = catalogue.recognise(&Hints::default());
    assert_eq!(nobody, Recognised::unknown());
    assert_eq!(nobody.key(), "unknown");
    assert_eq!(catalogue.from_key("unknown"), nobody);
    assert_eq!(nobody.to_string(), "unknown");
    for odd in [
        "",
        "Mail",
        "x",
        "Outlook-like",
        "\u{1f4e7}",
        "localhost",
        "pc1",
    ] {
        assert_eq!(mailer(odd), "unknown", "{odd}");
        assert_eq!(hello(odd), "unknown", "{odd}");
        assert_eq!(imap_id(odd, "1", "Windows"), "unknown", "{odd}");
    }
}

/// X-Mailer or User-Agent, and the key it leads to.
const MAILERS: &[(&str, &str)] = &[
    ("Microsoft Outlook 14.0", "outlook/2010/windows"),
    ("Microsoft Office Outlook 12.0", "outlook/2007/windows"),
    (
        "Microsoft Office Outlook, Build 11.0.5510",
        "outlook/2003/windows",
    ),
    ("Microsoft Outlook 15.0", "outlook/2013/windows"),
    ("Microsoft Outlook 16.0", "outlook/2016 or newer/windows"),
    (
        "Microsoft Outlook Express 6.00.2900.5931",
        "outlook-express/6/windows",
    ),
    (
        "Microsoft Windows Live Mail 15.4.3555.308",
        "windows-live-mail/15/windows",
    ),
    (
        "Microsoft Windows Mail 6.0.6002.18005",
        "windows-mail/for Vista/windows",
    ),
    (
        "Microsoft-MacOutlook/14.6.9.160926",
        "outlook-mac/2011/macos",
    ),
    (
        "Mozilla/5.0 (Windows NT 6.1; rv:24.0) Gecko/20100101 Thunderbird/24.8.1",
        "thunderbird/24/windows",
    ),
    (
        "Mozilla/5.0 (X11; Linux x86_64; rv:102.0) Gecko/20100101 Thunderbird/102.3.0",
        "thunderbird/102/linux",
    ),
    ("Mozilla Thunderbird", "thunderbird/-/-"),
    ("Apple Mail (2.1878.6)", "apple-mail/of OS X 10.9/macos"),
    (
        "Apple Mail (2.753.1)",
        "apple-mail/of Mac OS X 10.8 or older/macos",
    ),
    (
        "Apple Mail (2.3445.104.21)",
        "apple-mail/of macOS 10.14/macos",
    ),
    (
        "Apple Mail (2.3774.300.61.1.2)",
        "apple-mail/of macOS 12 or newer/macos",
    ),
    ("iPhone Mail (13G36)", "ios-mail/iOS 9/ios"),
    ("iPad Mail (12H321)", "ios-mail/iOS 8 or older/ios"),
    ("iPhone Mail (21A329)", "ios-mail/iOS 17/ios"),
    ("eM_Client/8.2.1659.0", "em-client/8/-"),
    ("The Bat! (v6.8.8) Professional", "the-bat/6/windows"),
    ("Evolution 3.36.5-0ubuntu1", "evolution/3/linux"),
    (
        "KMail/5.2.3 (Linux/4.9.0; KDE/5.28.0; x86_64)",
        "kmail/5/linux",
    ),
    ("Mutt/1.10.1 (2018-07-13)", "mutt/1/linux"),
    ("K-9 Mail for Android", "k9/-/android"),
    (
        "PHPMailer 5.2.22 (https://github.com/PHPMailer/PHPMailer)",
        "phpmailer/5/-",
    ),
    (
        "PHPMailer 6.9.1 (https://github.com/PHPMailer/PHPMailer)",
        "phpmailer/6/-",
    ),
    ("WPMailSMTP/Mailer/smtp 3.8.0", "wordpress/-/-"),
    ("PHP/7.4.3", "php/7/-"),
    (
        "nodemailer (2.3.0; +http://nodemailer.com/; SMTP/1.2.0)",
        "nodemailer/-/-",
    ),
    (
        "swaks v20201014.0 jetmore.org/john/code/swaks/",
        "swaks/-/-",
    ),
    ("Microsoft CDO for Windows 2000", "dotnet/-/windows"),
    (
        "KONICA MINOLTA bizhub C284e",
        "konica-minolta-printer/-/device",
    ),
    ("AVM FRITZ!Box 7590", "fritzbox/-/device"),
];

#[test]
fn programs_are_known_by_what_they_write_into_messages() {
    for (text, wanted) in MAILERS {
        assert_eq!(mailer(text), *wanted, "{text}");
    }
}

#[test]
fn programs_are_known_by_their_imap_id() {
    for (name, version, os, wanted) in [
        (
            "Mac OS X Mail",
            "7.3 (1878.6)",
            "Mac OS X",
            "apple-mail/of OS X 10.9/macos",
        ),
        ("iPhone Mail", "14E304", "iOS", "ios-mail/iOS 10/ios"),
        ("Thunderbird", "102.4.1", "", "thunderbird/102/-"),
        (
            "com.android.email",
            "",
            "android 4.4.2",
            "android-mail/Android 4 or older/android",
        ),
        (
            "com.samsung.android.email.provider",
            "6.1",
            "android 11",
            "samsung-mail/Android 10 or newer/android",
        ),
        ("com.google.android.gm", "", "", "gmail-app/-/android"),
        (
            "com.google.android.gm",
            "",
            "android 4.4.2; KOT49H",
            "gmail-app/Android 4 or older/android",
        ),
        ("K-9 Mail", "5.600", "", "k9/5/android"),
        ("Postbox", "7", "iOS 9.3.5 (13G36)", "postbox/7/ios"),
        ("eM Client", "9.2.1", "Windows", "em-client/9/windows"),
        (
            "Microsoft Outlook",
            "16.0.5134",
            "",
            "outlook/2016 or newer/windows",
        ),
    ] {
        assert_eq!(imap_id(name, version, os), wanted, "{name}");
    }
}

#[test]
fn devices_are_known_by_the_names_their_makers_give_them() {
    for (name, wanted) in [
        ("NPI8A3F21", "hp-printer"),
        ("BRN30055C4F1A2B", "brother-printer"),
        ("brw0080927a1b2c.fritz.box", "brother-printer"),
        ("RNP0026731A2B3C", "ricoh-printer"),
        ("KM4F2A1B", "kyocera-printer"),
        ("KMBT3A4B5C", "konica-minolta-printer"),
        ("XRX9C934E1A2B3C", "xerox-printer"),
        ("EPSON1A2B3C", "epson-printer"),
        ("axis-00408c1a2b3c", "axis-camera"),
        ("fritz.box", "fritzbox"),
        ("DiskStation", "synology"),
        ("NASA1B2C3", "qnap"),
    ] {
        assert_eq!(hello(name), format!("{wanted}/-/device"), "{name}");
    }
    // People's own computers, and a computer behind a FRITZ!Box.
    for pc in [
        "DESKTOP-AB12CD3",
        "[192.168.1.5]",
        "annas-pc.fritz.box",
        "NPIXYZ123",
        "KM4F2A1",
    ] {
        assert_eq!(hello(pc), "unknown", "{pc}");
    }
}

#[test]
fn a_fingerprint_is_a_program_or_a_guess_at_its_family() {
    let of = |fingerprint| {
        let hints = Hints {
            fingerprint: Some(fingerprint),
            ..Hints::default()
        };
        catalogue().recognise(&hints)
    };
    let python = of("t13i181000_85036bcba153_d41ae481755e");
    assert_eq!(
        (python.product.as_ref(), python.confidence),
        ("python", Confidence::Likely)
    );
    let windows = of("t10d120500_d94e65cdb899_195413a0cc0f");
    assert_eq!(windows.key(), "windows-7/-/windows?");
    assert_eq!(windows.newest_tls, Some(TlsAbility::Tls10));
    assert_eq!(windows.confidence, Confidence::Guess);
    assert!(!of("t13d1516h2_8daaf6152771_b0da82dd1658").is_known());
    assert!(!of("").is_known());
}

#[test]
fn what_a_client_says_goes_before_what_it_looks_like() {
    let hints = Hints {
        imap_id_name: Some("Microsoft Outlook"),
        imap_id_version: Some("14.0"),
        fingerprint: Some("t10d120500_d94e65cdb899_195413a0cc0f"),
        hello: Some("NPI8A3F21"),
        mailer: Some("PHPMailer 5.2"),
        ..Hints::default()
    };
    let found = catalogue().recognise(&hints);
    assert_eq!(found.key(), "outlook/2010/windows");
    assert_eq!(found.to_string(), "Microsoft Outlook 2010 (Windows)");
    assert_eq!(found.confidence, Confidence::Certain);
    assert_eq!(found.updated_tls, Some(TlsAbility::Tls12));
    assert_eq!(found.guide.as_ref(), "outlook");
}

#[test]
fn a_key_says_again_what_was_recognised() {
    let catalogue = catalogue();
    let texts = [
        "Microsoft Outlook 14.0",
        "Thunderbird/24.8.1 x",
        "Thunderbird/115.2 x",
        "PHPMailer 6.9",
        "iPhone Mail (13G36)",
        "*Canon*",
        "Canon MF",
    ];
    for text in texts {
        let hints = Hints {
            mailer: Some(text),
            ..Hints::default()
        };
        let found = catalogue.recognise(&hints);
        assert_eq!(catalogue.from_key(&found.key()), found, "{text}");
    }
    let gone = catalogue.from_key("label-printer/firmware 3/device?");
    assert_eq!(gone.to_string(), "label-printer firmware 3");
    assert_eq!(gone.key(), "label-printer/firmware 3/device?");
}

proptest::proptest! {
    #[test]
    fn no_hint_breaks_it_or_makes_a_long_key(text in ".{0,300}", version in ".{0,300}") {
        let catalogue = catalogue();
        for name in [text.as_str(), "Thunderbird", "com.android.email", "iPhone Mail"] {
            let hints = Hints {
                fingerprint: Some(&text),
                imap_id_name: Some(name),
                imap_id_version: Some(&version),
                imap_id_os: Some(&text),
                hello: Some(&text),
                mailer: Some(&text),
                ..Hints::default()
            };
            let key = catalogue.recognise(&hints).key();
            proptest::prop_assert!(key.len() <= 112, "{}", key);
            proptest::prop_assert_eq!(catalogue.from_key(&key).key(), key);
        }
    }
}

/// The bound is for a machine that is busy with other tests; it takes some ten microseconds unremembered.
#[test]
fn recognising_is_cheap() {
    let catalogue = catalogue();
    let names: Vec<_> = (0..2000).map(|n| format!("pc-{n}.home.example")).collect();
    let looks = |name: &str| {
        let hints = Hints {
            fingerprint: Some("t13d1516h2_8daaf6152771_b0da82dd1658"),
            imap_id_name: Some("Some Mail Program"),
            hello: Some(name),
            mailer: Some("Mozilla/5.0 (Windows NT 10.0) Gecko/20100101 Something/115.2"),
            ..Hints::default()
        };
        assert!(!catalogue.recognise(&hints).is_known());
    };
    let clock = platform::clock::Clock::system();
    let begin = clock.now();
    names.iter().for_each(|name| looks(name));
    let first = clock.now().since(begin);
    let begin = clock.now();
    names.iter().for_each(|name| looks(name));
    let again = clock.now().since(begin);
    println!("{} looks: {first:?}, remembered {again:?}", names.len());
    assert!(first.as_millis() < 2000, "{first:?}");
    assert!(again <= first, "{again:?}");
}

#[tokio::test]
async fn an_operators_entry_is_known_to_every_handle_and_goes_before_ours() {
    own_entries(Fixture::new().await).await;
}

#[test]
fn an_operators_entry_lies_in_postgresql_as_well() {
    Fixture::on_postgresql(own_entries);
}

async fn own_entries(fixture: Fixture) {
    let policies = fixture.policies().await;
    let hints = Hints {
        mailer: Some("Microsoft Outlook 14.0"),
        ..Hints::default()
    };
    assert_eq!(
        policies.catalogue().recognise(&hints).key(),
        "outlook/2010/windows"
    );
    let own = parse(
        "[[client]]\nid = \"outlook\"\nname = \"Our Outlook\"\nclass = \"mail-program\"\n\
         guide = \"outlook\"\nmailer = [\"Microsoft Outlook {version}\"]",
    )
    .unwrap();
    rows::add(&fixture.store, own, author()).await.unwrap();
    policies.refresh().await.unwrap();
    let catalogue = policies.catalogue();
    assert_eq!(catalogue.recognise(&hints).key(), "outlook/14/-");
    assert!(catalogue.is_own("outlook") && !catalogue.is_own("thunderbird"));

    // A change of a setting keeps the catalogue and what it remembers.
    fixture
        .set(
            crate::Scope::Installation,
            crate::setting::Name::Language,
            "en",
        )
        .await;
    policies.refresh().await.unwrap();
    assert!(std::sync::Arc::ptr_eq(&catalogue, &policies.catalogue()));

    assert!(
        rows::take_away(&fixture.store, "outlook", author())
            .await
            .unwrap()
    );
    assert!(
        !rows::take_away(&fixture.store, "outlook", author())
            .await
            .unwrap()
    );
    policies.refresh().await.unwrap();
    assert_eq!(
        policies.catalogue().recognise(&hints).key(),
        "outlook/2010/windows"
    );
}

#[test]
fn no_label_of_the_catalogue_stays_english_in_german() {
    let catalogue = Catalogue::new(Vec::new());
    for entry in catalogue.entries() {
        for version in &entry.versions {
            let said = german(&version.label);
            let english = [
                "or", "newer", "older", "to", "of", "for", "and", "from", "up", "before",
            ];
            let left = said.split(' ').find(|word| english.contains(word));
            assert_eq!(left, None, "{}: {said}", entry.id);
        }
    }
    let outlook = catalogue.from_key("outlook/2016 or newer/windows");
    assert_eq!(
        outlook.in_words(Language::German),
        "Microsoft Outlook 2016 oder neuer (Windows)"
    );
    assert_eq!(outlook.in_words(Language::English), outlook.to_string());
}
