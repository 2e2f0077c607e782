//! S1-04: an account whose password came in clear, even where that was refused, is flagged until the password
//! changes; S1-05: a status per account, nothing to do or action needed since a day, with the devices.

use harness::Lab;
use harness::customer::{Customer, Newest, Program, Security};

const THUNDERBIRD: Program = Program {
    imap_id: Some(["Thunderbird", "140.0", "Linux"]),
    hello: "pc.test",
    mailer: None,
    security: Security::StartTls,
    newest: Newest::Tls13,
};
const CLEAR: Program = Program {
    security: Security::Clear,
    ..THUNDERBIRD
};

fn customer(lab: &Lab, account: &str, program: Program) -> Customer {
    let account = lab.server.account(account);
    Customer {
        program,
        user: account.address,
        password: account.password,
    }
}

#[test]
fn a_password_in_clear_is_flagged_until_it_changes() {
    let lab = Lab::start();
    let anna = lab.server.account("anna").address;
    let refused = customer(&lab, "anna", CLEAR).imap(lab.server.port("imap"));
    assert!(!refused.ok, "{refused:?}");
    let exposed = lab.cli(&["audit", "exposed"]);
    let line = exposed.lines().find(|line| line.starts_with(&anna));
    assert!(line.is_some_and(|line| line.contains("imap")), "{exposed}");
    let told = lab.cli(&["audit", "account", &anna]);
    assert!(told.contains("password-exposed"), "{told}");
    let bernd = lab.server.account("bernd").address;
    assert!(!exposed.contains(&bernd), "{exposed}");
    lab.cli(&["account", "password", &anna]);
    let exposed = lab.cli(&["audit", "exposed"]);
    assert!(!exposed.contains(&anna), "{exposed}");
    let told = lab.cli(&["audit", "account", &anna]);
    assert!(!told.contains("password-exposed"), "{told}");
}

#[test]
fn who_is_secure_has_nothing_to_do_and_who_is_not_sees_the_devices() {
    let lab = Lab::start();
    let (anna, bernd) = (
        lab.server.account("anna").address,
        lab.server.account("bernd").address,
    );
    let imap = lab.server.port("imap");
    let visit = customer(&lab, "anna", THUNDERBIRD).imap(imap);
    assert!(visit.ok, "{visit:?}");
    // Bernd may for now; the date is set.
    let until = "observe; 2026-04-01 enforce";
    lab.policy(&bernd, "cleartext/imap", until);
    let visit = customer(&lab, "bernd", CLEAR).imap(imap);
    assert!(visit.ok, "{visit:?}");
    let told = lab.cli(&["audit", "account", &anna]);
    assert!(
        told.starts_with(&format!("{anna}: nothing to do\n")),
        "{told}"
    );
    let told = lab.cli(&["audit", "account", &bernd]);
    let since = format!("{bernd}: action needed since 2026-03-02\n");
    assert!(told.starts_with(&since), "{told}");
    assert!(
        told.contains("measure: cleartext/imap (observe, enforced from 2026-"),
        "{told}"
    );
    let device = told.lines().find(|line| line.contains("device: "));
    assert!(
        device.is_some_and(|line| line.contains("Thunderbird")),
        "{told}"
    );
    // The same program, set right: only the password is left to change.
    let visit = customer(&lab, "bernd", THUNDERBIRD).imap(imap);
    assert!(visit.ok, "{visit:?}");
    let told = lab.cli(&["audit", "account", &bernd]);
    assert!(!told.contains("device: "), "{told}");
    lab.cli(&["account", "password", &bernd]);
    let told = lab.cli(&["audit", "account", &bernd]);
    assert!(told.contains("nothing to do"), "{told}");
}
