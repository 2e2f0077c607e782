//! S0-11: an address elsewhere may be used as a sender after its owner gave back the code that was mailed
//! there, with a warning about what its domain says; before and after removal it is refused.

use harness::dns::Signing;
use harness::sink::Behaviour;
use harness::{Lab, Letter};

/// The code in a letter, such as K7QF-2MXR-9TBC.
fn code(text: &str) -> String {
    let is_code = |word: &&str| {
        let groups: Vec<_> = word.split('-').collect();
        groups.len() == 3
            && groups.iter().all(|group| {
                group.len() == 4
                    && group
                        .bytes()
                        .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
            })
    };
    let word = text.split_whitespace().find(is_code);
    word.unwrap_or_else(|| panic!("no code in {text}"))
        .to_owned()
}

#[test]
fn a_mailed_code_proves_an_address_elsewhere() {
    let lab = Lab::start();
    let gmx = lab.domain("gmx.example", Signing::Unsigned, Behaviour::default());
    lab.dns.txt("_dmarc.gmx.example", "v=DMARC1; p=reject");
    let anna = lab.server.account("anna").address;
    let mut letter = Letter::new("anna", "friend@gmx.example", "as my other self");
    letter.from = "anna@gmx.example".to_owned();
    let refused = lab.submit(&letter);
    assert!(
        refused.starts_with("55") && refused.contains("5.7.1"),
        "{refused}"
    );

    let told = lab.cli(&["identity", "request", &anna, "anna@gmx.example"]);
    assert!(told.contains("p=reject"), "warns about the domain: {told}");
    let mail = &gmx.wait_mails(1)[0];
    assert_eq!(
        (mail.from.as_str(), mail.to[0].0.as_str()),
        ("", "anna@gmx.example")
    );
    let text = mail.text();
    assert!(text.contains("Auto-Submitted: auto-generated"), "{text}");
    assert!(
        text.contains("DKIM-Signature:"),
        "signed as everything that leaves: {text}"
    );
    assert!(
        text.contains("the account anna@firma.test wants to send mail"),
        "{text}"
    );

    let (ok, _, why) = lab.server.cli(&[
        "identity",
        "confirm",
        &anna,
        "anna@gmx.example",
        "AAAA-BBBB-CCCC",
    ]);
    assert!(!ok && why.contains("4 more tries"), "{why}");
    let refused = lab.submit(&letter);
    assert!(refused.starts_with("55"), "{refused}");
    lab.cli(&[
        "identity",
        "confirm",
        &anna,
        "anna@gmx.example",
        &code(&text),
    ]);
    let reply = lab.submit(&letter);
    assert!(reply.starts_with("250"), "{reply}");
    assert_eq!(gmx.wait_mails(2)[1].from, "anna@gmx.example");
    let others = Letter {
        account: "bernd".to_owned(),
        ..letter.clone()
    };
    assert!(lab.submit(&others).starts_with("55"), "for anna only");

    let list = lab.cli(&["identity", "list"]);
    assert!(
        list.contains("anna@gmx.example") && list.contains("proven"),
        "{list}"
    );
    lab.cli(&["identity", "remove", &anna, "anna@gmx.example"]);
    assert!(lab.submit(&letter).starts_with("55"));
}

#[test]
fn an_operator_grants_with_a_reason_and_codes_end() {
    let lab = Lab::start();
    let gmx = lab.domain("gmx.example", Signing::Unsigned, Behaviour::default());
    let anna = lab.server.account("anna").address;
    let (ok, _, why) = lab
        .server
        .cli(&["identity", "grant", &anna, "*@gmx.example"]);
    assert!(!ok && why.contains("needs a reason"), "{why}");
    lab.cli(&[
        "identity",
        "grant",
        &anna,
        "*@gmx.example",
        "--reason",
        "her own domain",
    ]);
    let mut letter = Letter::new("anna", "friend@gmx.example", "as anybody there");
    letter.from = "whoever@gmx.example".to_owned();
    let reply = lab.submit(&letter);
    assert!(reply.starts_with("250"), "{reply}");
    gmx.wait_mails(1);

    lab.cli(&[
        "identity",
        "request",
        &lab.server.account("bernd").address,
        "bernd@gmx.example",
    ]);
    let text = gmx.wait_mails(2)[1].text();
    lab.forward(std::time::Duration::from_secs(24 * 3600 + 1));
    let bernd = lab.server.account("bernd").address;
    let confirm = [
        "identity",
        "confirm",
        &bernd,
        "bernd@gmx.example",
        &code(&text),
    ];
    let (ok, _, why) = lab.server.cli(&confirm);
    assert!(!ok && why.contains("older than 24 hours"), "{why}");
}
