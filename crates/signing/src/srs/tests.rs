//! Rewriting there and back, over several forwarders, tampered with, and too late.

use super::*;
use platform::random::Random;
use proptest::prelude::*;
use std::time::Duration;

const NOW: Timestamp = Timestamp(1_795_000_000_000);

fn srs(seed: u64) -> Srs {
    Srs::new(&InstallationSecret::generate(&Random::seeded(seed)))
}

fn parse(text: &str) -> Address {
    Address::parse(text).expect(text)
}

fn days(n: u64) -> Duration {
    Duration::from_secs(n * 86_400)
}

#[test]
fn a_forwarded_sender_finds_its_way_back() {
    let forwarded = srs(1).forward(&parse("Anna.B@far.test"), "firma.test", NOW);
    let text = forwarded.to_string();
    assert!(
        text.starts_with("SRS0=") && text.ends_with("=far.test=Anna.B@firma.test"),
        "{text}"
    );
    assert_eq!(
        srs(1).reverse(&forwarded, NOW),
        Reversed::Sender(parse("Anna.B@far.test"))
    );
    // A server on the way changed the case.
    let shouted = parse(&text.to_uppercase().replace("FIRMA", "firma"));
    assert!(
        matches!(srs(1).reverse(&shouted, NOW), Reversed::Sender(found)
        if found.key() == "anna.b@far.test")
    );
}

#[test]
fn it_is_good_for_21_days_and_for_one_installation_and_domain() {
    let forwarded = srs(1).forward(&parse("anna@far.test"), "firma.test", NOW);
    let at = |day| srs(1).reverse(&forwarded, NOW.plus(days(day)));
    assert!(matches!(at(21), Reversed::Sender(_)));
    assert_eq!(at(22), Reversed::Expired);
    assert!(matches!(
        srs(1).reverse(&forwarded, Timestamp(NOW.0 - 60_000)),
        Reversed::Sender(_)
    ));
    assert_eq!(srs(2).reverse(&forwarded, NOW), Reversed::Forged);
    let elsewhere = parse(&forwarded.to_string().replace("@firma.test", "@privat.test"));
    assert_eq!(srs(1).reverse(&elsewhere, NOW), Reversed::Forged);
    let changed = parse(&forwarded.to_string().replace("=anna@", "=bernd@"));
    assert_eq!(srs(1).reverse(&changed, NOW), Reversed::Forged);
}

#[test]
fn a_second_forwarder_remembers_the_first_only() {
    let once = srs(1).forward(&parse("anna@far.test"), "one.test", NOW);
    let twice = srs(2).forward(&once, "two.test", NOW);
    let thrice = srs(3).forward(&twice, "three.test", NOW);
    assert!(thrice.to_string().starts_with("SRS1="));
    assert!(thrice.to_string().contains("=one.test=="), "{thrice}");
    // The notice goes from the third to the first at once, and from there to Anna.
    assert_eq!(srs(3).reverse(&thrice, NOW), Reversed::Sender(once.clone()));
    assert_eq!(
        srs(1).reverse(&once, NOW),
        Reversed::Sender(parse("anna@far.test"))
    );
    assert_eq!(srs(2).reverse(&thrice, NOW), Reversed::Forged);
}

#[test]
fn ordinary_addresses_and_long_ones() {
    for text in [
        "anna@firma.test",
        "srs0@firma.test",
        "srs@firma.test",
        "SRS0x=a@firma.test",
        "srs1=x@firma.test",
    ] {
        assert_eq!(
            srs(1).reverse(&parse(text), NOW),
            Reversed::Ordinary,
            "{text}"
        );
    }
    for text in [
        "SRS0=a@firma.test",
        "SRS0=x=y=z@firma.test",
        "SRS1=x=y==z@firma.test",
        "SRS0==@firma.test",
    ] {
        assert_eq!(
            srs(1).reverse(&parse(text), NOW),
            Reversed::Forged,
            "{text}"
        );
    }
    let long = parse(&format!("{}@far.test", "l".repeat(250)));
    assert_eq!(
        srs(1).forward(&long, "firma.test", NOW),
        parse("postmaster@firma.test")
    );
    let quoted = parse("\"a b=\\\"c\"@far.test");
    let forwarded = srs(1).forward(&quoted, "firma.test", NOW);
    assert_eq!(parse(&forwarded.to_string()), forwarded);
    assert_eq!(srs(1).reverse(&forwarded, NOW), Reversed::Sender(quoted));
}

#[test]
fn a_forwarder_that_is_no_domain_is_nobodys() {
    let sender = parse("SRS1=ABCDEFGH=one$test==XYZ=AB=far.test=anna@firma.test");
    let forwarded = srs(9).forward(&sender, "firma.test", NOW);
    assert_eq!(srs(9).reverse(&forwarded, NOW), Reversed::Sender(sender));
}

proptest! {
    #[test]
    fn there_and_back(
        local in "[a-zA-Z0-9.=+\"\\\\ äß-]{1,40}",
        domain in "[a-z]{1,10}(\\.[a-z]{1,10}){0,3}",
        seconds in 0_i64..4_000_000_000,
        age in 0_u64..=20,
    ) {
        let Some(sender) = address(&local, &domain) else { return Ok(()) };
        let now = Timestamp::from_seconds(seconds);
        let forwarded = srs(9).forward(&sender, "firma.test", now);
        let printed = parse(&forwarded.to_string());
        let back = srs(9).reverse(&printed, now.plus(days(age)));
        prop_assert_eq!(back, Reversed::Sender(sender));
    }

    #[test]
    fn anything_may_come(local in "\\PC{0,60}", start in "(SRS[01][=+-])?") {
        if let Some(to) = address(&format!("{start}{local}"), "firma.test") {
            let _ = srs(9).reverse(&to, NOW);
            let _ = srs(9).forward(&to, "two.test", NOW);
        }
    }

    #[test]
    fn a_changed_letter_is_noticed(at in 5_usize..30, with in "[a-z0-9]") {
        let forwarded = srs(9).forward(&parse("anna.mueller@far.test"), "firma.test", NOW).to_string();
        let mut changed: Vec<char> = forwarded.chars().collect();
        let new = with.chars().next().unwrap();
        if changed[at].eq_ignore_ascii_case(&new) { return Ok(()) }
        changed[at] = new;
        let changed: String = changed.into_iter().collect();
        if let Ok(to) = Address::parse(&changed) {
            prop_assert!(!matches!(srs(9).reverse(&to, NOW), Reversed::Sender(_)));
        }
    }
}
