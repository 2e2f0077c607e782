//! S3-79: the level of TLS per destination, as a table: every level against every kind of server.

use harness::Lab;
use harness::authority::{Identity, self_signed};
use harness::sink::{Behaviour, Sink};
use std::time::Duration;

const LEVELS: [&str; 7] = [
    "may",
    "encrypt",
    "dane",
    "dane-only",
    "verify",
    "secure",
    "fingerprint",
];

/// A kind of server, and the levels at which it gets mail.
const KINDS: [(&str, &[&str]); 6] = [
    ("clear", &["may", "dane"]),
    ("unknown", &["may", "encrypt", "dane"]),
    // A certificate of a known authority for the MX host, which lies in the domain itself …
    ("near", &["may", "encrypt", "dane", "verify", "secure"]),
    // … or elsewhere, where an unsigned MX record could have led.
    ("far", &["may", "encrypt", "dane", "verify"]),
    ("tlsa", &["may", "encrypt", "dane", "dane-only"]),
    ("pinned", &["may", "encrypt", "dane", "fingerprint"]),
];

struct Place {
    domain: String,
    sink: Sink,
    delivered: bool,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One destination with its server and its rule.
fn place(lab: &Lab, kind: &str, level: &str, unknown: &Identity, pinned: &Identity) -> Place {
    let domain = format!("{kind}-{level}.test");
    let host = match kind {
        "far" => format!("mx.elsewhere-{level}.test"),
        _ => format!("mx.{domain}"),
    };
    let behaviour = match kind {
        "clear" => Behaviour::default(),
        "near" | "far" => Behaviour::tls(&lab.identity(&[&host])),
        "pinned" => Behaviour::tls(pinned),
        _ => Behaviour::tls(unknown),
    };
    if kind == "tlsa" {
        lab.tlsa(&host, [3, 1, 1], &unknown.spki_sha256());
    }
    lab.dns.mx(&domain, 10, &host);
    let fingerprint = format!("--fingerprints={}", hex(&pinned.sha256()));
    let rule: &[&str] = match level {
        "fingerprint" => &[level, &fingerprint],
        _ => &[level],
    };
    lab.destination(&domain, rule);
    let (_, levels) = KINDS.iter().find(|(k, _)| *k == kind).expect("a kind");
    Place {
        sink: lab.sink(&host, behaviour),
        delivered: levels.contains(&level),
        domain,
    }
}

#[test]
fn every_level_against_every_kind_of_server() {
    let lab = Lab::start();
    let (unknown, pinned) = (self_signed(&["x.test"]), self_signed(&["y.test"]));
    let places: Vec<Place> = KINDS
        .iter()
        .flat_map(|(kind, _)| LEVELS.map(|level| (*kind, level)))
        .map(|(kind, level)| place(&lab, kind, level, &unknown, &pinned))
        .collect();
    for place in &places {
        lab.send("anna", &format!("box@{}", place.domain), &place.domain);
    }
    for place in &places {
        let to = format!("box@{}", place.domain);
        if place.delivered {
            lab.wait_event(&to, "relayed");
            assert_eq!(place.sink.mails().len(), 1, "{}", place.domain);
        } else {
            let said = lab.wait_deferred(&to, 1);
            assert!(said.contains("4.7."), "{}: {said}", place.domain);
        }
    }
    lab.forward(Duration::from_secs(2 * 3600));
    for place in places.iter().filter(|place| !place.delivered) {
        lab.wait_deferred(&format!("box@{}", place.domain), 2);
        assert!(place.sink.mails().is_empty(), "{}", place.domain);
    }
}

/// `names=` and `next-hop=`: a partner's gateway under another name.
#[test]
fn a_rule_may_name_the_host_and_the_certificate() {
    let lab = Lab::start();
    let certificate = lab.identity(&["gateway.partner.test"]);
    let gateway = lab.sink("gate.test", Behaviour::tls(&certificate));
    let next_hop = format!("--next-hop=[gate.test]:{}", gateway.address().port());
    for domain in ["partner.test", "stranger.test"] {
        lab.dns.mx(domain, 10, "nowhere.test");
    }
    let named = ["verify", "--names=gateway.partner.test", &next_hop];
    lab.destination("partner.test", &named);
    lab.destination("stranger.test", &["verify", &next_hop]);
    lab.send("anna", "box@partner.test", "for the gateway");
    lab.send("anna", "box@stranger.test", "not for the gateway");
    assert!(gateway.wait_mails(1)[0].text().contains("for the gateway"));
    lab.wait_deferred("box@stranger.test", 1);
    assert_eq!(gateway.mails().len(), 1);
}
