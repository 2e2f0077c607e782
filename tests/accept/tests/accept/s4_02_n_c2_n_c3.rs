//! N-C2, N-C3 and the outgoing half of S4-02: DANE on our own DNSSEC validation. One lab holds every
//! kind of destination; a message goes to each.

use harness::Lab;
use harness::authority::{Authority, Validity, self_signed};
use harness::dns::{Fault, RecordType, Signing};
use harness::sink::{Behaviour, Sink};
use std::time::Duration;

/// Sends to `box@DOMAIN`, named in the subject.
fn send(lab: &Lab, domain: &str) {
    lab.send("anna", &format!("box@{domain}"), &format!("to {domain}"));
}

fn delivered(lab: &Lab, sink: &Sink, domain: &str, policy: &str) {
    let mails = sink.wait_mails(1);
    assert_eq!(mails.len(), 1, "{domain}");
    let to = format!("box@{domain}");
    lab.wait_event(&to, "relayed");
    let tries = lab.tries(&to);
    let last = tries.last().expect("a try");
    assert_eq!(last["policy"], policy, "{last}");
}

/// Not delivered now, not later, and not in another way.
fn never(lab: &Lab, sinks: &[(&str, &Sink)]) {
    for (domain, _) in sinks {
        lab.wait_deferred(&format!("box@{domain}"), 1);
    }
    for attempts in 2..=3 {
        lab.forward(Duration::from_secs(3 * 3600));
        for (domain, _) in sinks {
            lab.wait_deferred(&format!("box@{domain}"), attempts);
        }
    }
    for (domain, sink) in sinks {
        assert!(sink.mails().is_empty(), "{domain} was delivered");
    }
}

#[test]
fn a_matching_record_delivers_verified() {
    let lab = Lab::start();
    let own = self_signed(&["somebody-else.test"]);
    let ee = lab.domain("ee.test", Signing::Signed, Behaviour::tls(&own));
    lab.tlsa("mx.ee.test", [3, 1, 1], &own.spki_sha256());
    // RFC 7672 §3.1.1: expiry and names do not count for DANE-EE.
    let stranger = Authority::new("Unknown");
    let expired = stranger.issue(&["old.test"], Validity::Expired);
    let old = lab.domain("old.test", Signing::Signed, Behaviour::tls(&expired));
    lab.tlsa("mx.old.test", [3, 0, 1], &expired.sha256());
    // DANE-TA: the root of a chain that nobody trusts otherwise; names count.
    let named = stranger.issue(&["mx.ta.test"], Validity::Long);
    let ta = lab.domain("ta.test", Signing::Signed, Behaviour::tls(&named));
    lab.tlsa(
        "mx.ta.test",
        [2, 0, 1],
        &harness::authority::sha256(&stranger.der()),
    );
    // A record that does not fit beside one that does; and one that cannot be used.
    let own = self_signed(&["x.test"]);
    let mixed = lab.domain("mixed.test", Signing::Signed, Behaviour::tls(&own));
    lab.tlsa("mx.mixed.test", [3, 1, 1], &[9; 32]);
    lab.tlsa("mx.mixed.test", [1, 1, 1], &[9; 32]);
    lab.tlsa("mx.mixed.test", [3, 1, 1], &own.spki_sha256());
    let all = [
        ("ee.test", &ee),
        ("old.test", &old),
        ("ta.test", &ta),
        ("mixed.test", &mixed),
    ];
    for (domain, _) in all {
        send(&lab, domain);
    }
    for (domain, sink) in all {
        delivered(&lab, sink, domain, "dane");
        let sessions = sink.sessions();
        let tls = sessions[0].tls.as_ref().expect("TLS");
        // RFC 7672 §8.1: the TLSA base domain is told by SNI.
        assert_eq!(
            tls.server_name.as_deref(),
            Some(format!("mx.{domain}").as_str())
        );
    }
}

#[test]
fn a_wrong_record_never_delivers() {
    let lab = Lab::start();
    // Records are mended below, and nobody is to remember the old ones.
    lab.dns.ttl(0);
    let good = lab.identity(&["mx.wrong.test"]);
    let wrong = lab.domain("wrong.test", Signing::Signed, Behaviour::tls(&good));
    lab.tlsa("mx.wrong.test", [3, 1, 1], &[1; 32]);
    let stranger = Authority::new("Unknown");
    let misnamed = stranger.issue(&["mx.another.test"], Validity::Long);
    let name = lab.domain("name.test", Signing::Signed, Behaviour::tls(&misnamed));
    lab.tlsa(
        "mx.name.test",
        [2, 0, 1],
        &harness::authority::sha256(&stranger.der()),
    );
    let expired = stranger.issue(&["mx.expired.test"], Validity::Expired);
    let old = lab.domain("expired.test", Signing::Signed, Behaviour::tls(&expired));
    lab.tlsa(
        "mx.expired.test",
        [2, 0, 1],
        &harness::authority::sha256(&stranger.der()),
    );
    let clear = lab.domain("clear.test", Signing::Signed, Behaviour::default());
    lab.tlsa("mx.clear.test", [3, 1, 1], &[1; 32]);
    let all = [
        ("wrong.test", &wrong),
        ("name.test", &name),
        ("expired.test", &old),
        ("clear.test", &clear),
    ];
    for (domain, _) in all {
        send(&lab, domain);
    }
    never(&lab, &all);
    // Mended: it goes at the next attempt.
    lab.dns.remove(&lab.tlsa_name("mx.wrong.test"), None);
    lab.tlsa("mx.wrong.test", [3, 1, 1], &good.spki_sha256());
    lab.forward(Duration::from_secs(3 * 3600));
    delivered(&lab, &wrong, "wrong.test", "dane");
}

#[test]
fn what_the_dns_cannot_prove_defers() {
    let lab = Lab::start();
    let own = self_signed(&["x.test"]);
    let tls = || Behaviour::tls(&own);
    let bogus = lab.domain("bogus.test", Signing::Bogus, tls());
    let mut sinks = vec![("bogus.test", bogus)];
    for (domain, fault) in [
        ("forged.test", Fault::BrokenSignature),
        ("stripped.test", Fault::NoSignature),
        ("servfail.test", Fault::ServFail),
        ("silent.test", Fault::Silence),
    ] {
        sinks.push((domain, lab.domain(domain, Signing::Signed, tls())));
        let name = lab.tlsa_name(&format!("mx.{domain}"));
        lab.dns.fault(&name, Some(RecordType::TLSA), fault);
    }
    // The absence of the record is forged: that must not be taken for "no TLSA".
    sinks.push((
        "absent.test",
        lab.domain("absent.test", Signing::Signed, tls()),
    ));
    let name = lab.tlsa_name("mx.absent.test");
    lab.dns.fault(&name, None, Fault::NoSignature);
    let all: Vec<_> = sinks.iter().map(|(domain, sink)| (*domain, sink)).collect();
    for (domain, _) in &all {
        send(&lab, domain);
    }
    never(&lab, &all);
    // The DNS works again, and there is no record after all.
    lab.dns.heal(&lab.tlsa_name("mx.servfail.test"));
    lab.forward(Duration::from_secs(3 * 3600));
    delivered(&lab, &sinks[3].1, "servfail.test", "opportunistic");
}

#[test]
fn without_signed_records_dane_is_off() {
    let lab = Lab::start();
    let own = self_signed(&["x.test"]);
    // Nothing is signed: the record does not count, however wrong it is.
    let unsigned = lab.domain("unsigned.test", Signing::Unsigned, Behaviour::tls(&own));
    lab.tlsa("mx.unsigned.test", [3, 1, 1], &[1; 32]);
    // The MX is not signed, its host is (RFC 7672 §2.2.1).
    lab.dns.zone("customer.test", Signing::Unsigned);
    lab.dns.mx("customer.test", 10, "mx.provider.test");
    lab.dns.zone("provider.test", Signing::Signed);
    let customer = lab.sink("mx.provider.test", Behaviour::tls(&own));
    lab.tlsa("mx.provider.test", [3, 1, 1], &[1; 32]);
    // The MX is signed, the host's addresses are not.
    lab.dns.zone("owner.test", Signing::Signed);
    lab.dns.mx("owner.test", 10, "mx.cheap.test");
    lab.dns.zone("cheap.test", Signing::Unsigned);
    let owner = lab.sink("mx.cheap.test", Behaviour::tls(&own));
    lab.tlsa("mx.cheap.test", [3, 1, 1], &[1; 32]);
    // There is provably no record.
    let absent = lab.domain("absent.test", Signing::Signed, Behaviour::default());
    let all = [
        ("unsigned.test", &unsigned),
        ("customer.test", &customer),
        ("owner.test", &owner),
        ("absent.test", &absent),
    ];
    for (domain, _) in all {
        send(&lab, domain);
    }
    for (domain, sink) in all {
        delivered(&lab, sink, domain, "opportunistic");
    }
}

#[test]
fn records_that_cannot_be_used_ask_for_encryption() {
    let lab = Lab::start();
    let own = self_signed(&["x.test"]);
    let tls = lab.domain("tls.test", Signing::Signed, Behaviour::tls(&own));
    let clear = lab.domain("clear.test", Signing::Signed, Behaviour::default());
    for host in ["mx.tls.test", "mx.clear.test"] {
        lab.tlsa(host, [1, 1, 1], &[1; 32]);
        lab.tlsa(host, [3, 1, 1], &[1; 7]);
        lab.tlsa(host, [9, 9, 9], &[1; 32]);
    }
    send(&lab, "tls.test");
    send(&lab, "clear.test");
    delivered(&lab, &tls, "tls.test", "dane");
    never(&lab, &[("clear.test", &clear)]);
}

/// N-C3: the preference of MX records beats security, but a host that fails leaves the next one.
#[test]
fn a_host_that_fails_leaves_the_next_one() {
    let lab = Lab::start();
    let own = self_signed(&["x.test"]);
    let first = lab.domain("two.test", Signing::Signed, Behaviour::tls(&own));
    lab.tlsa("mx.two.test", [3, 1, 1], &[1; 32]);
    lab.dns.mx("two.test", 20, "mx2.two.test");
    let second = lab.sink("mx2.two.test", Behaviour::tls(&own));
    lab.tlsa("mx2.two.test", [3, 1, 1], &own.spki_sha256());
    send(&lab, "two.test");
    delivered(&lab, &second, "two.test", "dane");
    assert!(first.mails().is_empty());
    assert_eq!(first.wait_sessions(1).len(), 1);
}

/// N-C4: audit checks and reports, and stops nothing.
#[test]
fn audit_stops_nothing() {
    let lab = Lab::start();
    lab.policy("installation", "dane", "audit");
    let own = self_signed(&["x.test"]);
    let wrong = lab.domain("wrong.test", Signing::Signed, Behaviour::tls(&own));
    lab.tlsa("mx.wrong.test", [3, 1, 1], &[1; 32]);
    send(&lab, "wrong.test");
    delivered(&lab, &wrong, "wrong.test", "opportunistic");
}
