//! N-D1: MTA-STS for outgoing mail: enforce, testing, mismatch, bad policy hosts, and a policy that
//! survives the outage of its host.

use harness::Lab;
use harness::authority::{Authority, Validity, self_signed};
use harness::dns::Signing;
use harness::https::{Answer, sts_policy};
use harness::sink::Behaviour;
use std::time::Duration;

#[test]
fn an_enforced_policy_is_kept() {
    let lab = Lab::start();
    let good = Behaviour::tls(&lab.identity(&["mx.good.test"]));
    let good = lab.domain("good.test", Signing::Unsigned, good);
    lab.sts("good.test", "enforce", &["mx.good.test"]);
    let wild = Behaviour::tls(&lab.identity(&["mx.wild.test"]));
    let wild = lab.domain("wild.test", Signing::Unsigned, wild);
    lab.sts("wild.test", "enforce", &["*.wild.test"]);
    let unnamed = Behaviour::tls(&lab.identity(&["mx.unnamed.test"]));
    let unnamed = lab.domain("unnamed.test", Signing::Unsigned, unnamed);
    lab.sts("unnamed.test", "enforce", &["another.unnamed.test"]);
    let own = self_signed(&["mx.own.test"]);
    let own = lab.domain("own.test", Signing::Unsigned, Behaviour::tls(&own));
    lab.sts("own.test", "enforce", &["mx.own.test"]);
    let misnamed = Behaviour::tls(&lab.identity(&["other.test"]));
    let misnamed = lab.domain("misnamed.test", Signing::Unsigned, misnamed);
    lab.sts("misnamed.test", "enforce", &["mx.misnamed.test"]);
    let expired = lab.authority.issue(&["mx.expired.test"], Validity::Expired);
    let expired = lab.domain("expired.test", Signing::Unsigned, Behaviour::tls(&expired));
    lab.sts("expired.test", "enforce", &["mx.expired.test"]);
    let clear = lab.domain("clear.test", Signing::Unsigned, Behaviour::default());
    lab.sts("clear.test", "enforce", &["mx.clear.test"]);
    let refused = [
        ("unnamed.test", &unnamed),
        ("own.test", &own),
        ("misnamed.test", &misnamed),
        ("expired.test", &expired),
        ("clear.test", &clear),
    ];
    for domain in ["good.test", "wild.test"] {
        lab.send("anna", &format!("box@{domain}"), "sts");
    }
    for (domain, _) in refused {
        lab.send("anna", &format!("box@{domain}"), "sts");
    }
    good.wait_mails(1);
    wild.wait_mails(1);
    lab.wait_event("box@good.test", "relayed");
    assert_eq!(lab.tries("box@good.test")[0]["policy"], "mta-sts");
    for attempts in 1..=2 {
        for (domain, _) in refused {
            lab.wait_deferred(&format!("box@{domain}"), attempts);
        }
        lab.forward(Duration::from_secs(3 * 3600));
    }
    for (domain, sink) in refused {
        assert!(sink.mails().is_empty(), "{domain}");
    }
}

/// A policy under test never blocks, whatever is wrong.
#[test]
fn testing_and_unusable_policies_never_block() {
    let lab = Lab::start();
    let own = self_signed(&["x.test"]);
    let mut sinks = Vec::new();
    let mut add = |domain: &'static str, behaviour: Behaviour| {
        sinks.push((domain, lab.domain(domain, Signing::Unsigned, behaviour)));
    };
    add("testing.test", Behaviour::tls(&own));
    lab.sts("testing.test", "testing", &["mx.testing.test"]);
    add("clear.test", Behaviour::default());
    lab.sts("clear.test", "testing", &["another.test"]);
    add("none.test", Behaviour::default());
    lab.sts("none.test", "none", &["another.test"]);
    let policy = Answer::text(&sts_policy("enforce", &["nobody.test"], 86_400));
    let host = |domain: &str| lab.identity(&[&format!("mta-sts.{domain}")]);
    // Policies that cannot be fetched as RFC 8461 §3.3 wants are no policies.
    add("badcert.test", Behaviour::default());
    lab.sts_host(
        "badcert.test",
        &self_signed(&["mta-sts.badcert.test"]),
        policy.clone(),
    );
    add("wrongname.test", Behaviour::default());
    lab.sts_host(
        "wrongname.test",
        &lab.identity(&["www.wrongname.test"]),
        policy.clone(),
    );
    add("stranger.test", Behaviour::default());
    let stranger = Authority::new("Unknown").issue(&["mta-sts.stranger.test"], Validity::Long);
    lab.sts_host("stranger.test", &stranger, policy.clone());
    add("missing.test", Behaviour::default());
    lab.sts_host("missing.test", &host("missing.test"), Answer::status(404));
    add("redirect.test", Behaviour::default());
    let elsewhere = "https://mta-sts.testing.test/.well-known/mta-sts.txt";
    lab.sts_host(
        "redirect.test",
        &host("redirect.test"),
        Answer::redirect(elsewhere),
    );
    add("garbage.test", Behaviour::default());
    lab.sts_host(
        "garbage.test",
        &host("garbage.test"),
        Answer::text("<html>"),
    );
    add("large.test", Behaviour::default());
    let large = format!(
        "{}{}",
        sts_policy("enforce", &["x.test"], 86_400),
        "x".repeat(70_000)
    );
    lab.sts_host("large.test", &host("large.test"), Answer::text(&large));
    for (domain, _) in &sinks {
        lab.send("anna", &format!("box@{domain}"), "sts");
    }
    for (domain, sink) in &sinks {
        assert_eq!(sink.wait_mails(1).len(), 1, "{domain}");
    }
}

/// RFC 8461 §3.3, §5.1: a policy is kept for its time, through outages and restarts.
#[test]
fn a_known_policy_survives_an_outage_and_a_restart() {
    let mut lab = Lab::start();
    lab.dns.ttl(0);
    let sink = lab.domain(
        "kept.test",
        Signing::Unsigned,
        Behaviour::tls(&lab.identity(&["mx.kept.test"])),
    );
    lab.sts("kept.test", "enforce", &["mx.kept.test"]);
    lab.send("anna", "box@kept.test", "first");
    sink.wait_mails(1);
    // The announcement and the policy host are gone, and the MX is a server that has no trusted
    // certificate; a new one, because the connection to the old one may still be open.
    lab.dns.remove("_mta-sts.kept.test", None);
    lab.dns.remove("mta-sts.kept.test", None);
    lab.dns.remove("mx.kept.test", None);
    let other = Behaviour::tls(&self_signed(&["mx.kept.test"]));
    let other = lab.sink("mx.kept.test", other);
    lab.restart();
    lab.forward(Duration::from_secs(2 * 86_400));
    lab.send("anna", "later@kept.test", "second");
    lab.wait_deferred("later@kept.test", 1);
    // Just before max_age (a week) is over it still holds.
    lab.forward(Duration::from_secs(4 * 86_400 + 43_200));
    lab.wait_deferred("later@kept.test", 2);
    assert!(other.mails().is_empty());
    lab.forward(Duration::from_secs(86_400));
    lab.send("anna", "latest@kept.test", "third");
    lab.wait_event("latest@kept.test", "relayed");
    assert_eq!(sink.mails().len(), 1);
}

/// N-D1: success with MTA-STS never stands for a failure of DANE.
#[test]
fn sts_does_not_replace_dane() {
    let lab = Lab::start();
    let sink = lab.domain(
        "both.test",
        Signing::Signed,
        Behaviour::tls(&lab.identity(&["mx.both.test"])),
    );
    lab.tlsa("mx.both.test", [3, 1, 1], &[1; 32]);
    lab.sts("both.test", "enforce", &["mx.both.test"]);
    lab.send("anna", "box@both.test", "both");
    lab.wait_deferred("box@both.test", 1);
    lab.forward(Duration::from_secs(3 * 3600));
    lab.wait_deferred("box@both.test", 2);
    assert!(sink.mails().is_empty());
}

/// A slow policy host holds up its own domain only.
#[test]
fn a_slow_policy_host_delays_nobody_else() {
    let lab = Lab::start();
    let slow = lab.domain("slow.test", Signing::Unsigned, Behaviour::default());
    let host = lab.identity(&["mta-sts.slow.test"]);
    let answer = Answer::text(&sts_policy("testing", &["x.test"], 86_400));
    lab.sts_host("slow.test", &host, answer.after(Duration::from_secs(25)));
    let quick = lab.domain("quick.test", Signing::Unsigned, Behaviour::default());
    lab.send("anna", "box@slow.test", "slow");
    for n in 1..=5 {
        lab.send("anna", "box@quick.test", &format!("quick {n}"));
    }
    quick.wait_mails(5);
    assert!(slow.mails().is_empty(), "the policy was waited for");
}
