//! S4-20: mandatory TLS for outgoing mail, per domain and per account; the strictest wins. It binds
//! only whom it is set for, also where several senders' mail goes over one connection.

use harness::authority::self_signed;
use harness::dns::Signing;
use harness::sink::{Behaviour, StartTls};
use harness::{Lab, Letter};
use std::time::Duration;

#[test]
fn the_strictest_of_domain_and_account_counts() {
    let lab = Lab::start();
    let clear = lab.domain("clear.test", Signing::Unsigned, Behaviour::default());
    let own = self_signed(&["x.test"]);
    let unknown = lab.domain("unknown.test", Signing::Unsigned, Behaviour::tls(&own));
    let anna = lab.server.account("anna").address;
    // Account on, domain off: for that account only.
    lab.policy(&anna, "outbound-tls", "required");
    lab.send("anna", "a1@clear.test", "held");
    lab.send("bernd", "b1@clear.test", "goes");
    assert_eq!(clear.wait_mails(1)[0].to[0].0, "b1@clear.test");
    lab.wait_deferred("a1@clear.test", 1);
    // Domain on: for everybody in it, not for other domains.
    lab.policy("firma.test", "outbound-tls", "required");
    lab.send("bernd", "b2@clear.test", "held");
    lab.send("carla", "c2@clear.test", "goes");
    lab.wait_deferred("b2@clear.test", 1);
    assert_eq!(clear.wait_mails(2)[1].to[0].0, "c2@clear.test");
    // The account stricter than its domain: a server without a proof is not enough.
    lab.policy(&anna, "outbound-tls", "authenticated");
    lab.send("anna", "a3@unknown.test", "held");
    lab.send("bernd", "b3@unknown.test", "goes");
    assert_eq!(unknown.wait_mails(1)[0].to[0].0, "b3@unknown.test");
    lab.wait_deferred("a3@unknown.test", 1);
    // The account laxer than its domain: the domain's demand stands.
    lab.policy(&anna, "outbound-tls", "off");
    lab.send("anna", "a4@clear.test", "held");
    lab.wait_deferred("a4@clear.test", 1);
    assert_eq!((clear.mails().len(), unknown.mails().len()), (2, 1));
    let why = lab.tries("a4@clear.test");
    assert_eq!(why[0]["policy"], "mandatory firma.test", "{why:?}");
}

/// Policies do not bleed through connections that are kept for the next message: neither does a lax
/// message open the way for a strict one, nor does a strict one hold up others.
#[test]
fn policies_do_not_bleed_through_kept_connections() {
    let lab = Lab::start();
    let anna = lab.server.account("anna").address;
    lab.policy(&anna, "outbound-tls", "authenticated");
    let own = self_signed(&["x.test"]);
    let sink = lab.domain("mixed.test", Signing::Unsigned, Behaviour::tls(&own));
    for round in 0..10 {
        lab.send("bernd", &format!("b{round}@mixed.test"), "goes");
        lab.send("anna", &format!("a{round}@mixed.test"), "held");
    }
    let mails = sink.wait_mails(10);
    assert!(
        mails.iter().all(|mail| mail.to[0].0.starts_with('b')),
        "{mails:?}"
    );
    for round in 0..10 {
        lab.wait_deferred(&format!("a{round}@mixed.test"), 1);
    }
    // One message from both duties to two domains on one server: each by its own duty.
    let shared = lab.domain("one.test", Signing::Unsigned, Behaviour::tls(&own));
    lab.dns.mx("two.test", 10, "mx.one.test");
    lab.destination("two.test", &["verify"]);
    lab.submit(&Letter::new("bernd", "x@one.test", "both").and("x@two.test"));
    let mails = shared.wait_mails(1);
    assert_eq!(mails[0].to.len(), 1, "{mails:?}");
    lab.wait_deferred("x@two.test", 1);
    lab.forward(Duration::from_secs(2 * 3600));
    lab.wait_deferred("x@two.test", 2);
    assert_eq!(shared.mails().len(), 1);
    assert_eq!(sink.mails().len(), 10);
}

/// A connection in clear, allowed to one sender, is not used for another who must not.
#[test]
fn a_clear_connection_carries_nobody_who_must_not() {
    let lab = Lab::start();
    let anna = lab.server.account("anna").address;
    lab.policy(&anna, "outbound-tls", "required");
    let broken = Behaviour::start_tls(StartTls::Garbage);
    let sink = lab.domain("broken.test", Signing::Unsigned, broken);
    for round in 0..5 {
        lab.send("bernd", &format!("b{round}@broken.test"), "in clear later");
        lab.send("anna", &format!("a{round}@broken.test"), "never in clear");
    }
    // The destination is tried with one message while it seems down; in the end everything that may
    // go in clear has gone.
    for _ in 0..40 {
        if sink.mails().len() == 5 {
            break;
        }
        lab.forward(Duration::from_secs(600));
        lab.settle();
    }
    let mails = sink.wait_mails(5);
    assert!(
        mails.iter().all(|mail| mail.to[0].0.starts_with('b')),
        "{mails:?}"
    );
    for round in 0..5 {
        lab.wait_deferred(&format!("a{round}@broken.test"), 1);
    }
    assert_eq!(sink.mails().len(), 5);
}
