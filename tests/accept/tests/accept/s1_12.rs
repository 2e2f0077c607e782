//! S1-12: a device is known by how it shows itself, and gets an app password that only sends: as its own sender, to its
//! recipients, so much, from its network. IMAP and POP3 refuse it, SMTP refuses the rest, what is allowed arrives.

use harness::lines::base64;
use harness::postgres::Cluster;
use harness::{Lab, Lines};

const ANNA: &str = "anna@firma.test";

/// Makes an app password with these limits; the password.
fn device_password(lab: &Lab, label: &str, limits: &[&str]) -> String {
    let mut arguments = vec!["app-password", "add", ANNA, label, "--json"];
    arguments.extend(limits);
    let made: serde_json::Value = serde_json::from_str(&lab.cli(&arguments)).expect("JSON");
    made["password"].as_str().expect("a password").to_owned()
}

fn submission(lab: &Lab) -> Lines {
    let mut smtp = Lines::tls(lab.server.port("submissions"), &lab.server.ca_file());
    smtp.smtp();
    smtp.smtp_ask("EHLO NPI8A3F21");
    smtp
}

fn log_in(smtp: &mut Lines, password: &str) -> String {
    smtp.smtp_ask(&format!(
        "AUTH PLAIN {}",
        base64(format!("\0{ANNA}\0{password}").as_bytes())
    ))
}

/// Sends a scan; the last reply.
fn scan(smtp: &mut Lines, sender: &str, from: &str, to: &str) -> String {
    smtp.smtp_ask("RSET");
    for command in [
        &format!("MAIL FROM:<{sender}>"),
        &format!("RCPT TO:<{to}>"),
        "DATA",
    ] {
        let reply = smtp.smtp_ask(command);
        if !reply.starts_with(['2', '3']) {
            return reply;
        }
    }
    smtp.smtp_ask(&format!("From: {from}\r\nSubject: scan\r\n\r\nx\r\n."))
}

#[test]
fn a_device_password_sends_what_it_was_made_for_and_opens_nothing_else() {
    sends_and_opens_nothing_else(&Lab::start());
}

#[test]
fn the_same_on_postgresql() {
    let cluster = Cluster::start();
    let url = format!("\"{}\"", cluster.database());
    let lab = Lab::start_with(&[("store.engine", "postgresql"), ("store.url", &url)]);
    sends_and_opens_nothing_else(&lab);
}

fn sends_and_opens_nothing_else(lab: &Lab) {
    let recognised = lab.cli(&["catalogue", "recognise", "--hello", "NPI8A3F21"]);
    assert!(
        recognised.contains("key: hp-printer/-/device"),
        "{recognised}"
    );

    let limits = [
        "--send-only",
        "--from",
        ANNA,
        "--to",
        "bernd@firma.test",
        "--per-hour",
        "2",
        "--per-day",
        "2",
        "--network",
        "127.0.0.0/8",
        "--network",
        "::1",
    ];
    let password = device_password(lab, "scanner", &limits);

    reads_nothing(lab, &password);
    sends_only_what_it_may(lab, &password);

    // The account itself is not limited.
    let mut smtp = submission(lab);
    log_in(&mut smtp, &lab.server.account("anna").password);
    let other = "info@firma.test";
    let own = scan(&mut smtp, other, other, "carla@privat.test");
    assert!(own.starts_with("250"), "{own}");
}

/// The answer is that of a wrong password; the log says why.
fn reads_nothing(lab: &Lab, password: &str) {
    let mut imap = Lines::tls(lab.server.port("imaps"), &lab.server.ca_file());
    imap.line();
    let refused = imap.imap_ask("a", &format!("LOGIN {ANNA} {password}"));
    let wrong = imap.imap_ask("b", &format!("LOGIN {ANNA} nonsense"));
    assert!(
        refused.starts_with("a NO [AUTHENTICATIONFAILED]"),
        "{refused}"
    );
    assert_eq!(refused.get(1..), wrong.get(1..));
    let mut pop3 = Lines::tls(lab.server.port("pop3s"), &lab.server.ca_file());
    pop3.line();
    pop3.say(&format!("USER {ANNA}"));
    pop3.line();
    pop3.say(&format!("PASS {password}"));
    let refused = pop3.line();
    assert!(refused.starts_with("-ERR [AUTH]"), "{refused}");
    lab.wait("the log tells why", || {
        let told = lab.server.log().contains("app-password-other-service");
        told.then_some(()).ok_or_else(|| "not yet".to_owned())
    });
}

/// Neither to others nor as others, though anna herself may.
fn sends_only_what_it_may(lab: &Lab, password: &str) {
    let mut smtp = submission(lab);
    let reply = log_in(&mut smtp, password);
    assert!(reply.starts_with("235"), "{reply}");
    let foreign = scan(&mut smtp, ANNA, ANNA, "somebody@elsewhere.example");
    assert!(foreign.starts_with("550-5.7.1 "), "{foreign}");
    assert!(
        foreign.contains("may send to bernd@firma.test only"),
        "{foreign}"
    );
    let neighbour = scan(&mut smtp, ANNA, ANNA, "carla@privat.test");
    assert!(neighbour.starts_with("550-5.7.1 "), "{neighbour}");
    for (envelope, from) in [("info@firma.test", ANNA), (ANNA, "info@firma.test")] {
        let reply = scan(&mut smtp, envelope, from, "bernd@firma.test");
        assert!(
            reply.starts_with("550-5.7.1 "),
            "{envelope} {from}: {reply}"
        );
        assert!(
            reply.contains("may send as anna@firma.test only"),
            "{reply}"
        );
    }
    for _ in 0..2 {
        let allowed = scan(&mut smtp, ANNA, ANNA, "bernd@firma.test");
        assert!(allowed.starts_with("250"), "{allowed}");
    }
    let third = scan(&mut smtp, ANNA, ANNA, "bernd@firma.test");
    assert!(third.starts_with("450-4.7.1 "), "{third}");
    assert_eq!(lab.inbox("bernd").len(), 2);
}

#[test]
fn its_network_is_where_it_logs_in_and_a_state_file_keeps_its_limits() {
    let lab = Lab::start();
    let password = device_password(
        &lab,
        "camera",
        &["--send-only", "--network", "192.0.2.0/24"],
    );
    let refused = log_in(&mut submission(&lab), &password);
    assert!(refused.starts_with("535 5.7.8 "), "{refused}");

    let limits = "send-only network=192.0.2.0/24";
    let listed = lab.cli(&["app-password", "list", ANNA]);
    assert!(listed.contains(limits), "{listed}");
    let state = lab.cli(&["export"]);
    assert!(state.contains(&format!("limits = \"{limits}\"")), "{state}");
    let file = lab.server.dir().join("state.toml");
    let file_name = file.to_str().expect("a path in UTF-8");
    std::fs::write(&file, &state).expect("the file is written");
    assert!(lab.cli(&["plan", file_name]).contains("Nothing changes"));

    std::fs::write(&file, state.replace(limits, "send-only")).expect("the file is written");
    lab.cli(&["apply", file_name]);
    lab.wait("the wider limits hold", || {
        let reply = log_in(&mut submission(&lab), &password);
        reply.starts_with("235").then_some(()).ok_or(reply)
    });
}
