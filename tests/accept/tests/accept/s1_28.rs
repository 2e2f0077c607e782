//! S1-28: whoever comes back late keeps the old client working in one step, until the end date and never after it.

use harness::{Server, Web};

#[test]
fn one_click_enrols_until_the_end_and_never_after() {
    let server = Server::start_with(&["--clock", "2025-03-10T12:00:00+01:00"]);
    let set = [
        "policy",
        "set",
        "installation",
        "legacy-access",
        "until 2025-05-30 tls=1.0,1.1 cleartext",
        "--reason",
        "x",
    ];
    let (ok, out, err) = server.cli(&set);
    assert!(ok, "{out}{err}");
    let web = Web::log_in(&server, "anna");
    let page = web.get("/status?lang=de").with(200).body;
    assert!(
        page.contains("/status/keep") && page.contains("30. Mai 2025"),
        "{page}"
    );
    web.form("/status/keep", "").with(303);
    let page = web.get("/status?lang=de").with(200).body;
    assert!(
        !page.contains("/status/keep") && page.contains("imap-legacy."),
        "{page}"
    );
    let list = Web::operator(&server)
        .get("/api/v1/legacy-access")
        .with(200)
        .json();
    assert_eq!(list[0]["account"], "anna@firma.test", "{list}");
    // Carla comes back after the end.
    assert!(server.cli(&["clock", "set", "2025-05-31T00:00:01+02:00"]).0);
    let carla = Web::log_in(&server, "carla");
    let page = carla.get("/status?lang=de").with(200).body;
    assert!(!page.contains("/status/keep"), "{page}");
    carla.form("/status/keep", "").with(422);
    let list = Web::operator(&server)
        .get("/api/v1/legacy-access")
        .with(200)
        .json();
    assert!(!list.to_string().contains("carla"), "{list}");
}
