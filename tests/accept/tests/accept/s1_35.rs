//! S1-35, S1-06, S1-29: the first secure login is seen within three seconds, on the own page, and in the support view; a
//! failure within five.

use harness::{Lines, Server, Web};
use std::time::{Duration, Instant};

fn imap_login(server: &Server, password: &str) -> String {
    let anna = server.account("anna");
    let mut imap = Lines::tls(server.port("imaps"), &server.ca_file());
    imap.line();
    imap.imap_ask("a", &format!("LOGIN {} {password}", anna.address))
}

#[test]
#[allow(
    clippy::disallowed_methods,
    reason = "tests wait on the machine's clock"
)]
fn a_secure_login_is_told_within_three_seconds() {
    let server = Server::start();
    let web = Web::log_in(&server, "anna");
    let mut events = web.events("/api/v1/accounts/anna@firma.test/live");
    let begin = Instant::now();
    let password = server.account("anna").password;
    assert!(imap_login(&server, &password).contains("OK"));
    let told = loop {
        let line = events.line();
        if let Some(data) = line.strip_prefix("data: ") {
            break serde_json::from_str::<serde_json::Value>(data).expect("JSON");
        }
    };
    assert!(
        begin.elapsed() < Duration::from_secs(3),
        "{:?}",
        begin.elapsed()
    );
    assert_eq!(
        (&told["service"], &told["secure"]),
        (&"imap".into(), &true.into()),
        "{told}"
    );
    // My connections: IMAP and the browser's own.
    let page = web.get("/status?lang=en").with(200).body;
    assert!(
        page.contains("<td>IMAP</td>") && page.contains("<td>Web</td>"),
        "{page}"
    );
    assert!(page.contains("nothing you have to do"), "{page}");
    // Nobody else's.
    web.get("/api/v1/accounts/carla@privat.test/live").with(403);
}

#[test]
fn support_sees_a_failure_at_once_and_only_support_does() {
    let server = Server::start();
    assert!(imap_login(&server, "wrong").contains("NO"));
    let page = Web::operator(&server)
        .get("/support?address=anna@firma.test&lang=de")
        .with(200)
        .body;
    assert!(page.contains("falsches Passwort"), "{page}");
    assert!(
        page.contains("<ol>") && page.contains("Zum Vorlesen"),
        "{page}"
    );
    Web::log_in(&server, "anna")
        .get("/support?address=anna@firma.test")
        .with(403);
    // The look is written down.
    let log = Web::operator(&server).get("/api/v1/audit").with(200).json();
    let looks = log.as_array().expect("a list").iter();
    assert_eq!(
        looks.filter(|line| line["route"] == "GET /support").count(),
        1,
        "{log}"
    );
}
