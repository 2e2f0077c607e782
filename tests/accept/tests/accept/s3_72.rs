//! S3-72: TLS where it is offered; after a broken handshake in clear, but only after a deferral, and
//! never where a policy forbids it.

use harness::Lab;
use harness::dns::Signing;
use harness::sink::{Behaviour, StartTls};
use std::time::Duration;

const BROKEN: [(&str, StartTls); 3] = [
    ("garbage.test", StartTls::Garbage),
    ("hangup.test", StartTls::HangsUp),
    ("refused.test", StartTls::Refused),
];

#[test]
fn a_broken_handshake_defers_first_and_goes_in_clear_later() {
    let lab = Lab::start();
    let sinks: Vec<_> = BROKEN
        .into_iter()
        .map(|(domain, tls)| {
            (
                domain,
                lab.domain(domain, Signing::Unsigned, Behaviour::start_tls(tls)),
            )
        })
        .collect();
    for (domain, _) in &sinks {
        lab.send("anna", &format!("box@{domain}"), "patience");
    }
    for (domain, sink) in &sinks {
        lab.wait_deferred(&format!("box@{domain}"), 1);
        assert!(sink.mails().is_empty(), "{domain}");
    }
    lab.forward(Duration::from_secs(1800));
    for (domain, sink) in &sinks {
        let mails = sink.wait_mails(1);
        assert_eq!(mails[0].tls, None, "{domain}");
    }
    for (domain, _) in &sinks {
        let to = format!("box@{domain}");
        lab.wait_event(&to, "relayed");
        let tries = lab.tries(&to);
        let result = |n: usize| tries[n]["result"].as_str().unwrap_or_default();
        assert!(result(0).contains("4.7."), "{tries:?}");
        // The later attempt gives TLS another chance before it goes in clear.
        let last = tries.len() - 1;
        assert!(last >= 1 && tries[last]["tls"].is_null(), "{tries:?}");
        assert!(result(last).contains("250"), "{tries:?}");
        // In sentences as well: that it waited, and that it went in clear.
        let story = lab.story(&to);
        assert!(story.contains("goes on waiting"), "{story}");
        assert!(story.contains("no encrypted connection"), "{story}");
    }
}

#[test]
fn with_a_policy_it_never_goes_in_clear() {
    let lab = Lab::start();
    let anna = lab.server.account("anna").address;
    lab.policy(&anna, "outbound-tls", "required");
    let sinks: Vec<_> = BROKEN
        .into_iter()
        .map(|(domain, tls)| {
            (
                domain,
                lab.domain(domain, Signing::Unsigned, Behaviour::start_tls(tls)),
            )
        })
        .collect();
    for (domain, _) in &sinks {
        lab.send("anna", &format!("box@{domain}"), "never in clear");
    }
    for attempts in 1..=3 {
        for (domain, _) in &sinks {
            lab.wait_deferred(&format!("box@{domain}"), attempts);
        }
        lab.forward(Duration::from_secs(2 * 3600));
    }
    for (domain, sink) in &sinks {
        assert!(sink.mails().is_empty(), "{domain}");
        let commands = sink.sessions().into_iter().flat_map(|s| s.commands);
        assert!(
            !commands.into_iter().any(|c| c.starts_with("MAIL")),
            "{domain}: not even the envelope is said in clear"
        );
    }
}
