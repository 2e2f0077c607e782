//! S1-35: the first secure login is told to the open page of the account within three seconds, and to nobody else.

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
    let page = web.get("/status?lang=en").with(200).body;
    assert!(page.contains("nothing you have to do"), "{page}");
    // Nobody else's.
    web.get("/api/v1/accounts/carla@privat.test/live").with(403);
}
