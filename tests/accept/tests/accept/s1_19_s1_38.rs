//! S1-19: announcement and letters have the four parts and the background on TLS, in every form of address and
//! gender, and nothing is left unfilled. S1-38: what operators note about others is shown to them only.

use harness::Lab;

const PLAN: &str = r#"
slug = "tls"
reason = "RFC 8996"
as_of = "2026-03-02"
audience = ["installation"]
title = { de = "Sichere Verbindungen", en = "Secure connections" }
rounds = { newsletter = "2026-03-02T10:00", first = "2026-05-01" }
steps = [ { measure = "tls-version/imap", stage = "enforce", date = "2026-06-01" } ]
evidence = [ { source = "https://other.test/", seen = "2026-01-01", note = "still takes TLS 1.0" } ]
"#;

fn preview(lab: &Lab, arguments: &[&str]) -> String {
    lab.cli(&[&["rollout", "preview", "tls"][..], arguments].concat())
}

#[test]
fn every_form_is_filled_and_notes_stay_with_operators() {
    let lab = Lab::start();
    let file = lab.server.dir().join("tls.toml");
    let path = file.display().to_string();
    // A text that names something unknown is not kept.
    let broken = format!("{PLAN}\n[texts.de]\nwhy = \"Wegen {{grund}}.\"\n[texts.en]\n");
    std::fs::write(&file, broken).expect("written");
    let (ok, _, errors) = lab.server.cli(&["rollout", "create", &path]);
    assert!(!ok && errors.contains("{grund}"), "{errors}");

    std::fs::write(&file, PLAN).expect("written");
    lab.cli(&["rollout", "create", &path]);
    let form = |address: &str, gender: &str| {
        let language = ["--language", "de", "--address", address, "--gender", gender];
        preview(&lab, &language)
    };
    let (sie, du, colon) = (
        form("sie", "pair"),
        form("du", "pair"),
        form("sie", "colon"),
    );
    for (text, words) in [
        (&sie, ["Was bedeutet das für Sie?", "Kundinnen und Kunden"]),
        (&du, ["Was bedeutet das für dich?", "Kundinnen und Kunden"]),
        (&colon, ["Was bedeutet das für Sie?", "Kund:innen"]),
    ] {
        let text = text.replace('\n', " ");
        for word in words.into_iter().chain([
            "Warum diese Änderungen?",
            "Übergangszeit",
            "Hintergrund",
            "1999",
            "2018",
            "RFC 8996",
            "März 2021",
        ]) {
            assert!(text.contains(word), "{word}: {text}");
        }
        assert!(!text.contains(['{', '}']), "{text}");
        assert!(text.contains("none has anything left unfilled"), "{text}");
    }
    let all = preview(&lab, &[]);
    assert!(!all.contains("still takes TLS 1.0"), "{all}");
    let shown = lab.cli(&["rollout", "show", "tls"]);
    assert!(shown.contains("still takes TLS 1.0"), "{shown}");
}
