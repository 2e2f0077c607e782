//! S1-11: the catalogue of clients is there for programs, and drives the letters: an own entry changes the next one.

use crate::s1_13;
use harness::{Server, Web};

#[test]
fn the_catalogue_names_products_versions_tls_guides_and_the_end_of_support() {
    let server = Server::start();
    let clients = Web::new(&server)
        .get("/api/catalogue/clients")
        .with(200)
        .json();
    let outlook = clients
        .as_array()
        .expect("a list")
        .iter()
        .find(|c| c["id"] == "outlook");
    let outlook = outlook.expect("Outlook");
    assert!(
        outlook["guide"].is_string() && outlook["vendor"] == "Microsoft",
        "{outlook}"
    );
    let versions = outlook["versions"].as_array().expect("versions");
    let old = versions
        .iter()
        .find(|v| v["label"] == "2010")
        .expect("2010");
    assert!(
        old["support_ended"].is_string() && old["newest_tls"].is_string(),
        "{old}"
    );
    let same = Web::new(&server)
        .get("/api/v1/catalogue/clients")
        .with(200)
        .json();
    assert_eq!(same, clients);
}

/// The catalogue drives the letters: an entry of the operator's own is in the next one.
#[test]
fn an_entry_of_ones_own_changes_the_next_letter() {
    const LABEL_PRINTER: &str = r#"
[[client]]
id = "label-printer"
name = "Muster-Etikettendrucker"
vendor = "Muster"
class = "printer"
platform = "device"
guide = "printer"
newest-tls = "1.0"
hello = ["MLP{hex:6}"]
"#;
    let lab = s1_13::lab();
    s1_13::sends(&lab, "MLP3FA2C0");
    lab.cli(&["rollout", "start", "tls", "--reason", "decided"]);
    lab.forward(s1_13::DAY);
    let before = s1_13::letter(&lab, 1);
    assert!(!before.contains("Muster-Etikettendrucker"), "{before}");
    assert!(!before.contains("Relay im eigenen Netz"), "{before}");

    let file = lab.server.dir().join("own.toml");
    std::fs::write(&file, LABEL_PRINTER).expect("written");
    lab.cli(&["catalogue", "add", &file.display().to_string()]);
    s1_13::sends(&lab, "MLP3FA2C0");
    lab.forward(s1_13::DAY * 7);
    let after = s1_13::letter(&lab, 2);
    for told in ["Muster-Etikettendrucker", "Relay im eigenen Netz"] {
        assert!(after.contains(told), "{told}: {after}");
    }
}
