//! N-D6 (RFC 8689): REQUIRETLS goes only where the MX is proved, the certificate is valid and the
//! next server offers it too; `TLS-Required: No` sets the recipient's policies aside.

use harness::authority::self_signed;
use harness::dns::Signing;
use harness::sink::Behaviour;
use harness::{Lab, Letter};

fn requiring(behaviour: Behaviour) -> Behaviour {
    Behaviour {
        require_tls: true,
        ..behaviour
    }
}

#[test]
fn requiretls_needs_proof_and_the_next_server() {
    let lab = Lab::start();
    let own = self_signed(&["x.test"]);
    // DANE proves everything.
    let dane = lab.domain(
        "dane.test",
        Signing::Signed,
        requiring(Behaviour::tls(&own)),
    );
    lab.tlsa("mx.dane.test", [3, 1, 1], &own.spki_sha256());
    // MTA-STS proves the host, its certificate the rest.
    let named = requiring(Behaviour::tls(&lab.identity(&["mx.sts.test"])));
    let sts = lab.domain("sts.test", Signing::Unsigned, named);
    lab.sts("sts.test", "enforce", &["mx.sts.test"]);
    // A signed MX and a certificate of a known authority.
    let named = requiring(Behaviour::tls(&lab.identity(&["mx.pkix.test"])));
    let pkix = lab.domain("pkix.test", Signing::Signed, named);
    // Proved, but the next server does not offer it.
    let without = lab.domain(
        "without.test",
        Signing::Signed,
        Behaviour::tls(&lab.identity(&["mx.without.test"])),
    );
    // Nothing proves the MX.
    let named = requiring(Behaviour::tls(&lab.identity(&["mx.unproved.test"])));
    let unproved = lab.domain("unproved.test", Signing::Unsigned, named);
    // No TLS at all.
    let clear = lab.domain("clear.test", Signing::Signed, Behaviour::default());
    let domains = [
        "dane.test",
        "sts.test",
        "pkix.test",
        "without.test",
        "unproved.test",
        "clear.test",
    ];
    for domain in domains {
        let letter = Letter::new("anna", &format!("box@{domain}"), domain).parameters("REQUIRETLS");
        let reply = lab.submit(&letter);
        assert!(reply.starts_with("250"), "{reply}");
    }
    for sink in [&dane, &sts, &pkix] {
        let mails = sink.wait_mails(1);
        assert!(mails[0].from_parameters.contains("REQUIRETLS"), "{mails:?}");
    }
    // RFC 8689 §4.2.1: 5.7.30 where the next server does not offer it.
    let notice = lab.wait_inbox("anna", &["box@without.test", "5.7.30"]);
    assert!(notice.contains("Action: failed"), "{notice}");
    lab.wait_inbox("anna", &["box@unproved.test", "5.7.10"]);
    lab.wait("an answer for clear.test", || {
        let deferred = lab.cli(&["queue", "--json"]).contains("box@clear.test");
        let failed = lab
            .inbox("anna")
            .iter()
            .any(|m| m.contains("box@clear.test"));
        if deferred || failed {
            Ok(())
        } else {
            Err(lab.story("box@clear.test"))
        }
    });
    for sink in [&without, &unproved, &clear] {
        assert!(sink.mails().is_empty());
    }
}

#[test]
fn tls_required_no_sets_policies_of_recipients_aside() {
    let lab = Lab::start();
    let own = self_signed(&["x.test"]);
    let dane = lab.domain("dane.test", Signing::Signed, Behaviour::tls(&own));
    lab.tlsa("mx.dane.test", [3, 1, 1], &[1; 32]);
    let sts = lab.domain("sts.test", Signing::Unsigned, Behaviour::default());
    lab.sts("sts.test", "enforce", &["mx.sts.test"]);
    for domain in ["dane.test", "sts.test"] {
        let letter = Letter::new("anna", &format!("box@{domain}"), "let it go");
        let reply = lab.submit(&letter.field("TLS-Required: No"));
        assert!(reply.starts_with("250"), "{reply}");
    }
    assert!(dane.wait_mails(1)[0].text().contains("TLS-Required: No"));
    sts.wait_mails(1);
    // Without it both wait.
    for domain in ["dane.test", "sts.test"] {
        lab.send("anna", &format!("strict@{domain}"), "hold it");
        lab.wait_deferred(&format!("strict@{domain}"), 1);
    }
    // What our own side demands is not the recipient's to lift, nor the message's.
    let bernd = lab.server.account("bernd").address;
    lab.policy(&bernd, "outbound-tls", "required");
    let letter = Letter::new("bernd", "mandatory@sts.test", "in spite of it");
    lab.submit(&letter.field("TLS-Required: No"));
    lab.wait_deferred("mandatory@sts.test", 1);
    assert_eq!((dane.mails().len(), sts.mails().len()), (1, 1));
}
