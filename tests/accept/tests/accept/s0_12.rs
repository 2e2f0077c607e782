//! S0-12: who has a domain's catch-all sends as anybody in it, nobody else does; addresses that exist
//! stay those of their owners.

use super::s0_08::{logged_in, send};
use harness::Lab;

#[test]
fn the_catch_all_owns_what_nobody_else_has() {
    let lab = Lab::start();
    lab.cli(&[
        "domain",
        "set",
        "firma.test",
        "--catch-all",
        "anna@firma.test",
    ]);
    let egal = "egal123@firma.test";
    let reply = send(&mut logged_in(&lab, "anna"), egal, &format!("From: {egal}"));
    assert!(reply.starts_with("250"), "{reply}");
    let reply = send(
        &mut logged_in(&lab, "bernd"),
        egal,
        &format!("From: {egal}"),
    );
    assert!(reply.starts_with("550 5.7.1"), "{reply}");
    let bernd = "bernd@firma.test";
    let reply = send(
        &mut logged_in(&lab, "anna"),
        bernd,
        &format!("From: {bernd}"),
    );
    assert!(reply.starts_with("550 5.7.1"), "{reply}");
    // With the catch-all goes the right.
    lab.cli(&["domain", "set", "firma.test", "--catch-all", ""]);
    let reply = send(&mut logged_in(&lab, "anna"), egal, &format!("From: {egal}"));
    assert!(reply.starts_with("550 5.7.1"), "{reply}");
}
