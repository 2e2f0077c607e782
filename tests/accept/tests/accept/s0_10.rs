//! S0-10: while sender ownership is only observed, foreign senders pass, and per account it is listed which,
//! how often and when last; nobody's IP address is in it.

use harness::dns::Signing;
use harness::sink::Behaviour;
use harness::{Lab, Letter};

#[test]
fn observing_lists_foreign_senders_and_refuses_nothing() {
    let lab = Lab::start();
    let there = lab.domain("there.test", Signing::Unsigned, Behaviour::default());
    let mut letter = Letter::new("anna", "x@there.test", "as somebody else");
    letter.from = "anna@gmx.example".to_owned();
    let refused = lab.submit(&letter);
    assert!(
        refused.starts_with("55") && refused.contains("5.7.1"),
        "{refused}"
    );
    lab.policy("installation", "sender-ownership", "observe");
    for _ in 0..4 {
        let reply = lab.submit(&letter);
        assert!(reply.starts_with("250"), "{reply}");
    }
    lab.send("anna", "x@there.test", "as herself");
    there.wait_mails(5);
    let found = lab.cli(&["findings", "sender-ownership"]);
    let anna = lab.server.account("anna").address;
    assert_eq!(
        found,
        format!("{anna} -> anna@gmx.example (4x, last 2026-03-02)\n")
    );
    let json = lab.cli(&["findings", "--json"]);
    assert!(
        json.contains("\"seen\": 4") && !json.contains("127.0.0.1"),
        "{json}"
    );
    // Enforced for the account alone, observed for everybody else.
    lab.policy(&anna, "sender-ownership", "enforce");
    let refused = lab.submit(&letter);
    assert!(refused.starts_with("55"), "{refused}");
    letter.account = "bernd".to_owned();
    let reply = lab.submit(&letter);
    assert!(reply.starts_with("250"), "{reply}");
}
