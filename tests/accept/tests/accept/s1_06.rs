//! S1-06: "my connections" on the own page: a login by IMAP over OpenSSL and one at the pages stand there within five
//! seconds, each with port, TLS version, cipher, program and day.

use harness::{Lab, Web};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const SHOWN_TIME_MAX: Duration = Duration::from_secs(5);

/// Logs in with `openssl s_client`, as Thunderbird.
fn imap_login(lab: &Lab) {
    let anna = lab.server.account("anna");
    let address = format!("127.0.0.1:{}", lab.server.port("imaps"));
    let mut child = Command::new("openssl")
        .args(["s_client", "-quiet", "-tls1_2", "-connect", &address])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl is installed");
    let said = format!(
        "a ID (\"name\" \"Thunderbird\" \"version\" \"140.0\")\r\nb LOGIN {} {}\r\n",
        anna.address, anna.password
    );
    let input = child.stdin.as_mut().expect("piped");
    input.write_all(said.as_bytes()).expect("said");
    let output = BufReader::new(child.stdout.take().expect("piped"));
    let answered = output.lines().map_while(Result::ok);
    let ok = answered.into_iter().any(|line| line.starts_with("b OK"));
    let _ = child.kill();
    let _ = child.wait();
    assert!(ok, "no login");
}

/// The row of the table for this service.
fn row<'p>(page: &'p str, service: &str) -> Option<&'p str> {
    let cell = format!("<td>{service}</td>");
    page.split("<tr>").find(|row| row.contains(&cell))
}

#[test]
#[allow(
    clippy::disallowed_methods,
    reason = "what takes real time is measured on the machine's clock"
)]
fn both_logins_stand_on_the_own_page_within_five_seconds() {
    let lab = Lab::start();
    let begin = Instant::now();
    imap_login(&lab);
    let web = Web::log_in(&lab.server, "anna");
    let mut page = String::new();
    lab.wait("both rows", || {
        page = web.get("/status?lang=en").with(200).body;
        let both = row(&page, "IMAP").is_some() && row(&page, "Web").is_some();
        both.then_some(()).ok_or_else(|| page.clone())
    });
    assert!(begin.elapsed() < SHOWN_TIME_MAX, "{:?}", begin.elapsed());

    let imap = row(&page, "IMAP").unwrap_or_default();
    let port = format!("<td>{}</td>", lab.server.port("imaps"));
    for told in [
        &port,
        "Thunderbird",
        "SSL/TLS",
        "TLSv1.2",
        "TLS_ECDHE",
        "logged in",
        "2 March 2026",
    ] {
        assert!(imap.contains(told), "{told}: {imap}");
    }
    let browser = row(&page, "Web").unwrap_or_default();
    let port = format!("<td>{}</td>", lab.server.port("https"));
    for told in [
        &port,
        "SSL/TLS",
        "TLSv1.3",
        "TLS_",
        "logged in",
        "2 March 2026",
    ] {
        assert!(browser.contains(told), "{told}: {browser}");
    }
    // They are anna's alone.
    let page = Web::log_in(&lab.server, "carla")
        .get("/status")
        .with(200)
        .body;
    assert!(
        row(&page, "IMAP").is_none() && row(&page, "Web").is_some(),
        "{page}"
    );
}
