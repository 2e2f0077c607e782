//! S0-05: before a measure is enforced the accounts it would lock out are counted and named, with program, last
//! day and window; S3-27: changing a TLS profile shows first who is locked out.

use harness::Lab;
use harness::customer::{Customer, Newest, Program, Security};

const OUTLOOK: Program = Program {
    imap_id: Some(["Microsoft Outlook", "14.0", "Windows"]),
    hello: "pc.test",
    mailer: None,
    security: Security::StartTls,
    newest: Newest::Tls12,
};

/// The gateway hears a moment later than a session what is allowed.
fn visit(lab: &Lab, account: &str, program: Program) {
    let account = lab.server.account(account);
    let customer = Customer {
        program,
        user: account.address,
        password: account.password,
    };
    lab.wait("a visit", || {
        let visit = customer.imap(lab.server.port("imap"));
        visit.ok.then_some(()).ok_or_else(|| format!("{visit:?}"))
    });
}

#[test]
fn who_a_measure_would_lock_out_is_counted_and_named() {
    let lab = Lab::start();
    let change = "tls-version/imap=1.3";
    let told = lab.cli(&["impact", change, "--since", "14d"]);
    assert!(told.contains("\naccounts: 0\n"), "{told}");
    for account in ["anna", "bernd", "carla"] {
        visit(&lab, account, OUTLOOK);
    }
    let new = Program {
        newest: Newest::Tls13,
        ..OUTLOOK
    };
    visit(&lab, "carla", new);
    let told = lab.cli(&["impact", change, "--since", "14d"]);
    assert!(
        told.contains("\naccounts: 2\n"),
        "carla has updated: {told}"
    );
    for name in ["anna", "bernd"] {
        let address = lab.server.account(name).address;
        let line = told.lines().find(|line| line.starts_with(&address));
        let line = line.unwrap_or_else(|| panic!("{address} in\n{told}"));
        assert!(line.contains("Outlook"), "{line}");
        assert!(line.contains("2026-03-02"), "{line}");
    }
    assert!(
        !told.contains(&lab.server.account("carla").address),
        "{told}"
    );

    // An exception is respected.
    let anna = lab.server.account("anna").address;
    lab.policy(&anna, "tls-version/imap", "1.2 enforce");
    let told = lab.cli(&["impact", change, "--since", "14d"]);
    assert!(told.contains("\naccounts: 1\n"), "{told}");
    assert!(told.contains("\nhave an exception: 1\n"), "{told}");

    // As CSV, by name, without an address.
    let csv = lab.cli(&["impact", change, "--csv"]);
    let bernd = lab.server.account("bernd").address;
    assert!(csv.starts_with("kind,name,domain,"), "{csv}");
    assert!(csv.contains(&format!("\r\naccount,{bernd},")), "{csv}");
    assert!(!csv.contains("127.0.0.1"), "{csv}");

    // Out of the window.
    lab.forward(std::time::Duration::from_secs(15 * 24 * 3600));
    let told = lab.cli(&["impact", change, "--since", "14d"]);
    assert!(told.contains("\naccounts: 0\n"), "{told}");
}

#[test]
fn three_accounts_with_tls_1_0_are_three_accounts() {
    let lab = Lab::start_legacy(&[]);
    lab.cli(&[
        "policy",
        "set",
        "installation",
        "tls-version/imap",
        "1.2",
        "observe; 2026-06-01 enforce",
    ]);
    let accounts = ["anna", "bernd", "carla"];
    for account in accounts {
        let old = Program {
            newest: Newest::Tls10,
            ..OUTLOOK
        };
        visit(&lab, account, old);
    }
    let told = lab.cli(&["impact", "tls-version/imap", "--since", "14d"]);
    assert!(told.contains("\naccounts: 3\n"), "{told}");
    assert!(told.contains("\nget through today: 3\n"), "{told}");
    for account in accounts {
        let address = lab.server.account(account).address;
        let line = told.lines().find(|line| line.starts_with(&address));
        let line = line.unwrap_or_else(|| panic!("{address} in\n{told}"));
        assert!(
            line.contains("Outlook") && line.contains("2026-03-02"),
            "{line}"
        );
    }
    let csv = lab.cli(&["audit", "insecure", "--since", "14d", "--csv"]);
    assert_eq!(csv.matches(",normal,TLSv1,").count(), 3, "{csv}");
}

#[test]
fn a_change_of_the_tls_profile_says_first_who_is_locked_out() {
    let lab = Lab::start();
    visit(&lab, "anna", OUTLOOK);
    let anna = lab.server.account("anna").address;
    let change = [
        "policy",
        "set",
        "installation",
        "tls-version/imap",
        "1.3",
        "enforce",
        "--preview",
    ];
    let told = lab.cli(&change);
    assert!(told.contains(&anna) && told.contains("Outlook"), "{told}");
    assert!(told.ends_with("Nothing was changed.\n"), "{told}");
    visit(&lab, "anna", OUTLOOK);
    // What was said would happen happens.
    lab.cli(&change[..6]);
    let account = lab.server.account("anna");
    let customer = Customer {
        program: OUTLOOK,
        user: account.address,
        password: account.password,
    };
    lab.wait("the profile to hold", || {
        let visit = customer.imap(lab.server.port("imap"));
        match visit.ok {
            true => Err(format!("{visit:?}")),
            false => Ok(()),
        }
    });
}
