//! S2-17: whoever encrypts already need do nothing about the end of clear text, and is told so: on the own page, on
//! top of the announcement, and by the command for support; whoever does not sees the device.

use harness::customer::{Customer, Newest, Program, Security};
use harness::{Lab, Web};

const PROGRAM: Program = Program {
    imap_id: Some(["Microsoft Outlook", "14.0", "Windows"]),
    hello: "buero.test",
    mailer: None,
    security: Security::StartTls,
    newest: Newest::Tls12,
};

const PLAN: &str = r#"
slug = "verschluesselung"
reason = "Die Sicherheitsrichtlinien"
as_of = "2017-04-27"
audience = ["installation"]
title = { de = "Nur noch verschlüsselt", en = "Encrypted only" }
steps = [
  { measure = "cleartext/submission", stage = "warn", date = "2017-04-27" },
  { measure = "cleartext/submission", stage = "enforce", date = "2017-05-13" },
]
"#;
const GREEN: &str = "Alles in Ordnung: Sie müssen nichts tun.";
const ANNOUNCEMENT: &str = "/ankuendigungen/verschluesselung";

fn sends(lab: &Lab, name: &str, security: Security) {
    let account = lab.server.account(name);
    let customer = Customer {
        program: Program {
            security,
            ..PROGRAM
        },
        user: account.address,
        password: account.password,
    };
    let visit = customer.send(lab.server.port("submission"), "carla@privat.test");
    assert!(visit.ok, "{name}: {visit:?}");
}

#[test]
fn who_encrypts_reads_that_nothing_is_to_be_done() {
    let lab = Lab::start_legacy_at("2017-04-27T07:00:00Z", &[]);
    let file = lab.server.dir().join("plan.toml");
    std::fs::write(&file, PLAN).expect("written");
    lab.cli(&["rollout", "create", &file.display().to_string()]);
    lab.cli(&["rollout", "announce", "verschluesselung"]);
    lab.cli(&[
        "rollout",
        "start",
        "verschluesselung",
        "--reason",
        "decided",
    ]);
    sends(&lab, "anna", Security::StartTls);
    sends(&lab, "bernd", Security::Clear);

    let anna = Web::log_in(&lab.server, "anna");
    for place in ["/status?lang=de", ANNOUNCEMENT] {
        let page = anna.get(place).with(200).body;
        assert!(page.contains(GREEN), "{place}: {page}");
        assert!(!page.contains("Betroffene Geräte"), "{place}: {page}");
    }
    let told = lab.cli(&["audit", "account", "anna@firma.test"]);
    assert!(
        told.starts_with("anna@firma.test: nothing to do\n"),
        "{told}"
    );

    let bernd = Web::log_in(&lab.server, "bernd");
    let page = bernd.get("/status?lang=de").with(200).body;
    for told in [
        "seit dem 27. April 2017",
        "Betroffene Geräte",
        "Port ",
        "Verschlüsselung: keine",
    ] {
        assert!(page.contains(told), "{told}: {page}");
    }
    for place in ["/status?lang=de", ANNOUNCEMENT] {
        let page = bernd.get(place).with(200).body;
        assert!(!page.contains(GREEN), "{place}: {page}");
        assert!(page.contains("Bitte handeln Sie"), "{place}: {page}");
    }
    let told = lab.cli(&["audit", "account", "bernd@firma.test"]);
    assert!(
        told.starts_with("bernd@firma.test: action needed since 2017-04-27\n"),
        "{told}"
    );
    assert!(
        told.contains("measure: cleartext/submission (warn, enforced from 2017-05-1"),
        "{told}"
    );
    // Nobody reads on a public page how an account stands.
    let page = Web::new(&lab.server).get(ANNOUNCEMENT).with(200).body;
    assert!(
        !page.contains(GREEN) && !page.contains("Bitte handeln"),
        "{page}"
    );
}
