//! S1-32: per account it is told on which day, by which protocol, port and mode, with which TLS version, suite
//! and program it connected insecurely, as CSV and without IP addresses; S2-19: spot checks that can be
//! repeated, and whose totals are right.

use harness::Lab;
use harness::customer::{Customer, Newest, Program, Security};

const PRINTER: Program = Program {
    imap_id: Some(["=cmd|' /C calc'!A0", "1", "2"]),
    hello: "printer.test",
    mailer: None,
    security: Security::Clear,
    newest: Newest::Tls13,
};

fn visit(lab: &Lab, account: &str, program: Program) {
    let account = lab.server.account(account);
    let customer = Customer {
        program,
        user: account.address,
        password: account.password,
    };
    let visit = customer.imap(lab.server.port("imap"));
    assert!(visit.ok, "{visit:?}");
}

/// Anna reads in clear, as she may for now; everybody else securely.
fn lab() -> Lab {
    let lab = Lab::start();
    let anna = lab.server.account("anna").address;
    let until = "observe; 2026-06-01 enforce";
    lab.policy(&anna, "cleartext/imap", until);
    visit(&lab, "anna", PRINTER);
    let secure = Program {
        imap_id: None,
        security: Security::StartTls,
        ..PRINTER
    };
    visit(&lab, "bernd", secure);
    lab
}

#[test]
fn insecure_connections_are_told_as_csv_without_addresses() {
    let lab = lab();
    let (anna, port) = (lab.server.account("anna").address, lab.server.port("imap"));
    let csv = lab.cli(&["audit", "insecure", "--since", "14d", "--csv"]);
    let mut lines = csv.split("\r\n");
    assert_eq!(
        lines.next(),
        Some(
            "account,first_day,last_day,service,port,encryption,door,tls,cipher,client,outcome,whose,seen"
        )
    );
    let row = lines.next().unwrap_or_default();
    let start = format!("{anna},2026-03-02,2026-03-02,imap,{port},clear,normal,,,");
    assert!(row.starts_with(&start), "{csv}");
    assert!(row.ends_with(",logged-in,proved,1"), "{csv}");
    assert_eq!((lines.next(), lines.next()), (Some(""), None), "{csv}");
    assert!(!csv.contains("127.0.0.1"), "{csv}");
    // TLS sessions are told with version and suite.
    let bernd = lab.server.account("bernd").address;
    let told = lab.cli(&["audit", "account", &bernd, "--csv"]);
    assert!(
        told.contains(",imap,") && told.contains(",starttls,normal,TLSv1.3,TLS_"),
        "{told}"
    );
    // What is longer ago is left out; what a measure found is listed, too.
    lab.forward(std::time::Duration::from_secs(14 * 24 * 3600));
    let csv = lab.cli(&["audit", "insecure", "--since", "14d", "--csv"]);
    assert_eq!(csv.split("\r\n").count(), 2, "{csv}");
    let found = lab.cli(&["findings", "cleartext/imap"]);
    assert!(
        found.starts_with(&format!("cleartext/imap: {anna} -> ")),
        "{found}"
    );
}

#[test]
fn a_spot_check_is_the_same_again_and_its_totals_are_right() {
    let lab = lab();
    let sample = ["audit", "sample", "-n", "50", "--seed", "7"];
    let first = lab.cli(&sample);
    assert_eq!(first, lab.cli(&sample));
    let accounts = lab.server.accounts().len();
    let rows = first.lines().skip(1).take_while(|line| !line.is_empty());
    let postures: Vec<&str> = rows
        .filter_map(|row| row.split_whitespace().nth(1))
        .collect();
    assert_eq!(postures.len(), accounts, "{first}");
    let count = |word: &str| postures.iter().filter(|posture| **posture == word).count();
    let (insecure, legacy, secure, unseen) = (
        count("insecure"),
        count("legacy"),
        count("secure"),
        count("unseen"),
    );
    assert_eq!((insecure, legacy, secure), (1, 0, 1), "{first}");
    let totals =
        format!("insecure {insecure}, legacy {legacy}, secure {secure}, unseen {unseen}\n");
    assert!(
        first.contains(&format!("These {accounts}: {totals}")),
        "{first}"
    );
    assert!(
        first.ends_with(&format!("All {accounts}: {totals}")),
        "{first}"
    );
    // A smaller sample is the same again, too.
    let two = ["audit", "sample", "-n", "2", "--seed", "7"];
    assert_eq!(lab.cli(&two), lab.cli(&two));
}
