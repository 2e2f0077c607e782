//! S1-11: the catalogue of clients is there for programs.

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
