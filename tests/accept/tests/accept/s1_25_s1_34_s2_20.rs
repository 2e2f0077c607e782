//! The help pages. S1-34: Outlook's has the path that keeps port 143, with the provider's hosts and the reader's address;
//! S1-25: and says that adding the account again is no new address, with places for pictures; S2-20: each client's
//! names 587 with STARTTLS and STARTTLS for IMAP and POP3, as its choices are called. S1-39 holds for all of them.

use harness::Lab;
use std::process::Command;

fn page(lab: &Lab, path: &str) -> String {
    let url = format!("https://127.0.0.1:{}{path}", lab.server.port("https"));
    let output = Command::new("curl")
        .args(["--silent", "--insecure", "--max-time", "20", &url])
        .output()
        .expect("curl runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Every guide the page of guides leads to.
fn guides(lab: &Lab, language: &str) -> Vec<String> {
    let list = page(lab, &format!("/hilfe/?lang={language}"));
    let link = |part: &str| {
        let id = part
            .strip_prefix("/hilfe/")
            .or(part.strip_prefix("/help/"))?;
        let plain = id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        (plain && !id.is_empty()).then(|| id.to_owned())
    };
    list.split('"').filter_map(link).collect()
}

#[test]
fn outlooks_page_keeps_the_port_and_no_new_address_is_needed() {
    let lab = Lab::start();
    for (word, host) in [
        ("imap-host", "imap.provider.test"),
        ("pop3-host", "pop3.provider.test"),
        ("smtp-host", "smtp.provider.test"),
    ] {
        lab.cli(&["rollout", "voice", "set", word, host]);
    }
    let outlook = page(&lab, "/hilfe/outlook?konto=anna@firma.test");
    for told in [
        "imap.provider.test",
        "smtp.provider.test",
        "143",
        "587",
        "STARTTLS",
        "anna@firma.test",
        "Der Port kann auf 143 gesetzt bleiben",
        // S1-25.
        "Das ist keine neue E-Mail-Adresse: anna@firma.test bleibt",
        "PST",
        "outlook-server-settings",
    ] {
        assert!(outlook.contains(told), "{told}\n{outlook}");
    }
    let english = page(&lab, "/help/outlook?account=anna@firma.test&lang=en");
    assert!(english.contains("The port may stay 143"), "{english}");
    assert!(
        english.contains("That is not a new e-mail address: anna@firma.test stays"),
        "{english}"
    );
}

#[test]
fn every_clients_page_names_its_choices_and_never_less_than_encryption() {
    let lab = Lab::start();
    for language in ["de", "en"] {
        let ids = guides(&lab, language);
        for client in [
            "outlook",
            "thunderbird",
            "apple-mail",
            "ios",
            "android",
            "k9",
            "printer",
            "website",
        ] {
            assert!(ids.iter().any(|id| id == client), "{client}: {ids:?}");
        }
        for id in &ids {
            let text = page(&lab, &format!("/hilfe/{id}?lang={language}"));
            assert!(
                text.contains("587") && text.contains("STARTTLS"),
                "{id}: {text}"
            );
            let reads_mail = !matches!(id.as_str(), "printer" | "device");
            if reads_mail {
                assert!(text.contains("143") && text.contains("110"), "{id}: {text}");
            }
            let lower = text.to_lowercase();
            for wrong in [
                "-legacy",
                "„keine“",
                "“none”",
                "unverschlüsselt",
                "unencrypted",
            ] {
                assert!(!lower.contains(wrong), "{id}: {wrong}\n{text}");
            }
        }
    }
}
