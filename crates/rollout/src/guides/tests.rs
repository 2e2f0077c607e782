//! Every guide in every variant.

use super::*;
use crate::voice::Address;

const LANGUAGES: [Language; 2] = [Language::German, Language::English];

fn voices() -> Vec<Voice> {
    let mut voices = Vec::new();
    for address in Address::ALL {
        let mut voice = Voice::of_host("mail.firma.test");
        voice.address = address;
        voices.push(voice.clone());
        voice.phone = "0800 1234567".to_owned();
        voice.hours = "Mo-Fr 9-17".to_owned();
        voice.remote_help = "https://fern.firma.test/".to_owned();
        voices.push(voice);
    }
    voices
}

/// Every guide in every language, tone, with and without support, account and transitional access.
fn every_variant(mut look: impl FnMut(&Rendered, &Places<'_>, Option<&str>)) {
    let voices = voices();
    let transitions = [
        None,
        Some(Transition {
            end: civil::date(2025, 5, 30),
            page: "https://mail.firma.test/access",
        }),
    ];
    for guide in all() {
        for voice in &voices {
            for (language, transition) in LANGUAGES
                .into_iter()
                .flat_map(|l| transitions.into_iter().map(move |t| (l, t)))
            {
                let places = Places {
                    voice,
                    ports: Ports::default(),
                    transition,
                };
                for account in [None, Some("anna@firma.test")] {
                    look(&guide.render(language, &places, account), &places, account);
                }
            }
        }
    }
}

#[test]
fn every_file_can_be_read_and_has_its_own_name() {
    assert_eq!(data::problems(), Vec::<String>::new());
    let mut ids: Vec<_> = all().iter().map(Guide::id).collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
    assert!(get(GENERIC_GUIDE).is_some());
}

#[test]
fn no_variant_has_a_placeholder_left_or_a_gap() {
    every_variant(|rendered, _, _| {
        for text in [
            rendered.to_text(),
            rendered.to_html(),
            rendered.brief.clone(),
        ] {
            assert!(!text.contains(['{', '}', '|']), "{text}");
            assert!(!text.contains("  .") && !text.contains(" ()"), "{text}");
        }
        assert!(!rendered.title.is_empty() && !rendered.brief.is_empty());
        assert!(!rendered.sections.is_empty());
        for section in &rendered.sections {
            assert!(!section.heading.is_empty(), "{}", rendered.id);
            assert!(
                !section.paragraphs.is_empty() || !section.steps.is_empty(),
                "{}: {}",
                rendered.id,
                section.heading
            );
        }
    });
    // A sentence that could not be filled is left out, which would be seen here.
    for guide in all() {
        for section in &guide.sections {
            let block = &section.block;
            for texts in [&block.paragraphs, &block.steps] {
                let [de, en] = LANGUAGES.map(|language| texts.of(language).len());
                assert_eq!(de, en, "{}: {:?}", guide.id, block.heading);
            }
            let voice = Voice::of_host("mail.firma.test");
            let places = Places {
                voice: &voice,
                ports: Ports::default(),
                transition: None,
            };
            for language in LANGUAGES {
                let filler = Filler {
                    language,
                    values: values(language, &places, None),
                    voice: &voice,
                };
                let filled = filler.list(&block.paragraphs).len() + filler.list(&block.steps).len();
                let written = block.paragraphs.of(language).len() + block.steps.of(language).len();
                assert_eq!(filled, written, "{}: {:?}", guide.id, block.heading);
            }
        }
    }
}

/// S1-39: no help page ever hands out a setting in clear or one of the transitional access.
#[test]
fn no_variant_recommends_less_than_encryption() {
    every_variant(|rendered, places, _| {
        let text = rendered.to_text() + &rendered.brief;
        let lower = text.to_lowercase();
        for wrong in [
            "legacy",
            "plain",
            "ssl off",
            "ssl: aus",
            "port 25",
            "tls 1.0",
            "tls 1.1",
            "„keine“",
            "“none”",
            "unverschlüsselt",
            "unencrypted",
        ] {
            assert!(!lower.contains(wrong), "{}: {wrong}\n{text}", rendered.id);
        }
        for host in [
            &places.voice.legacy_imap_host,
            &places.voice.legacy_pop3_host,
            &places.voice.legacy_smtp_host,
        ] {
            assert!(!text.contains(host.as_str()), "{}", rendered.id);
        }
        if places.transition.is_none() {
            assert!(
                !lower.contains("30.05.2025") && !lower.contains("30 may"),
                "{text}"
            );
        }
    });
}

/// S2-20: the choices are named as the programs name them, with their ports.
#[test]
fn every_variant_names_the_choices_and_their_ports() {
    every_variant(|rendered, _, _| {
        let text = rendered.to_text();
        for name in ["STARTTLS", "SSL/TLS", "587", "465"] {
            assert!(text.contains(name), "{}: {name}\n{text}", rendered.id);
        }
        assert!(text.contains("mail.firma.test"), "{text}");
    });
}

#[test]
fn support_is_told_where_there_is_any() {
    every_variant(|rendered, places, _| {
        let text = rendered.to_text();
        let told = text.contains("0800 1234567 (Mo-Fr 9-17)") && text.contains("https://fern");
        assert_eq!(told, !places.voice.phone.is_empty(), "{text}");
    });
}

#[test]
fn what_is_filled_in_cannot_break_the_page() {
    let voice = Voice::of_host("mail.firma.test");
    let places = Places {
        voice: &voice,
        ports: Ports::default(),
        transition: None,
    };
    let account = Some("\"<script>&'\"@firma.test");
    let guide = get(GENERIC_GUIDE).unwrap();
    let html = guide.render(Language::German, &places, account).to_html();
    assert!(!html.contains("<script"), "{html}");
    assert!(
        html.contains("&quot;&lt;script&gt;&amp;&#39;&quot;@firma.test"),
        "{html}"
    );
}

fn text_of(id: &str, transition: Option<Transition<'_>>) -> String {
    let voice = Voice::of_host("mail.firma.test");
    let places = Places {
        voice: &voice,
        ports: Ports::default(),
        transition,
    };
    let guide = get(id).unwrap();
    let account = Some("anna@firma.test");
    guide.render(Language::German, &places, account).to_text()
}

/// S1-34 and S1-25: the path that keeps port 143, and that adding the account again makes no new address.
#[test]
fn outlook_has_the_path_that_keeps_the_port_and_says_what_adding_again_means() {
    let text = text_of("outlook", None);
    let mut rest = text.as_str();
    for next in [
        "„Datei“",
        "„Kontoeinstellungen“",
        "„Servereinstellungen“",
        "„Eingehende E-Mail“",
        "„STARTTLS“",
        "Der Port kann auf 143 gesetzt bleiben",
        "„Ausgehende E-Mail“",
        "„STARTTLS“, Port 587",
        "Das ist keine neue E-Mail-Adresse: anna@firma.test bleibt",
        "PST",
    ] {
        let at = rest
            .find(next)
            .unwrap_or_else(|| panic!("{next} is missing\n{text}"));
        rest = &rest[at..];
    }
}

/// S1-13: update, relay, transitional access, in this order; the last one only while there is one.
#[test]
fn devices_have_three_options_and_two_when_the_transition_is_over() {
    let until = Transition {
        end: civil::date(2025, 5, 30),
        page: "https://mail.firma.test/access",
    };
    for id in ["printer", "device"] {
        let text = text_of(id, Some(until));
        let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what}\n{text}"));
        let update = at("Update des Herstellers: ");
        let relay = at("Relay im eigenen Netz: ");
        assert!(update < relay && relay < at("bis zum 30.05.2025"), "{text}");
        assert!(!text_of(id, None).contains("Übergangszugang"));
    }
}

/// S1-27.
#[test]
fn a_website_learns_whether_it_is_concerned() {
    let text = text_of("website", None);
    for told in [
        "WordPress",
        "Postfach als Relay",
        "mail()",
        "nichts weiter zu tun",
        "STARTTLS",
    ] {
        assert!(text.contains(told), "{told}\n{text}");
    }
}

#[test]
fn every_client_of_the_catalogue_has_its_guide() {
    let catalogue = policy::clients::Catalogue::new(Vec::new());
    for entry in catalogue.entries() {
        let own = entry.versions.iter().filter_map(|v| v.guide.as_ref());
        for guide in own.chain([&entry.guide]) {
            assert!(get(guide).is_some(), "{} wants {guide}", entry.id);
        }
    }
    assert_eq!(
        for_client(&Recognised::unknown()).unwrap().id(),
        GENERIC_GUIDE
    );
}
