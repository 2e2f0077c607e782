//! S1-24: a customer's domain forbids legacy access to all its users, and gets a signed proof of its TLS with ports and
//! versions, as JSON and PDF, that notices every change.

use harness::Lab;
use harness::customer::{Customer, Newest, Program, Protocol, Security, Visit};

fn visit(lab: &Lab, account: &str) -> Visit {
    let account = lab.server.account(account);
    let customer = Customer {
        program: Program {
            imap_id: None,
            hello: "old.test",
            mailer: None,
            security: Security::Tls,
            newest: Newest::Tls10,
        },
        user: account.address,
        password: account.password,
    };
    let port = lab.server.port("imaps_legacy");
    customer.visit(Protocol::Imap, &lab.server.legacy_host(), port, "")
}

#[test]
fn a_strict_domain_is_strict_and_can_prove_it() {
    let lab = Lab::start_legacy(&[]);
    lab.policy(
        "installation",
        "legacy-access",
        "until 2026-05-30 tls=1.0,1.1",
    );
    for name in ["anna", "carla"] {
        lab.cli(&["legacy", "enrol", &lab.server.account(name).address]);
    }
    lab.wait("legacy access", || match visit(&lab, "anna") {
        visit if visit.ok => Ok(()),
        visit => Err(format!("{visit:?}")),
    });
    let (ok, _, told) = lab.server.cli(&["legacy", "proof", "firma.test"]);
    assert!(!ok && told.contains("does not forbid"), "{told}");
    lab.policy("firma.test", "legacy-access", "forbidden");
    lab.settle();
    let refused = visit(&lab, "anna");
    assert!(!refused.ok && refused.stage == "login", "{refused:?}");
    assert!(visit(&lab, "carla").ok, "another domain is as it was");
    let bernd = lab.server.account("bernd").address;
    let (ok, _, told) = lab.server.cli(&["legacy", "enrol", &bernd]);
    assert!(!ok && told.contains("does not allow"), "{told}");
    proof(&lab);
}

fn proof(lab: &Lab) {
    let (json, pdf) = (
        lab.server.dir().join("proof.json"),
        lab.server.dir().join("proof.pdf"),
    );
    let (json_name, pdf_name) = (json.display().to_string(), pdf.display().to_string());
    let text = lab.cli(&["legacy", "proof", "firma.test", "--pdf", &pdf_name]);
    std::fs::write(&json, &text).expect("written");
    let proof: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(proof["statement"]["legacy_access"], "forbidden");
    every_port_is_in(lab, &proof);
    let key = proof["key"].as_str().expect("a key");
    for file in [&json_name, &pdf_name] {
        let told = lab.cli(&["legacy", "verify", file]);
        assert!(
            told.contains("genuine") && told.contains("firma.test"),
            "{told}"
        );
        lab.cli(&["legacy", "verify", file, "--key", key]);
    }
    let bytes = std::fs::read(&pdf).expect("a PDF");
    let readable = String::from_utf8_lossy(&bytes).into_owned();
    let port = format!("Port {}", lab.server.port("imaps"));
    assert!(
        readable.contains(&port) && readable.contains("TLS 1.0: refused"),
        "{port}"
    );
    // Whatever is changed is noticed, in the signed part and in what people read.
    let changed = text.replace("refused (alert protocol_version)", "accepted (TLS 1.0)");
    std::fs::write(&json, changed).expect("written");
    std::fs::write(
        &pdf,
        readable.replace("TLS 1.0: refused", "TLS 1.0: granted"),
    )
    .expect("written");
    for file in [&json_name, &pdf_name] {
        let (ok, _, told) = lab.server.cli(&["legacy", "verify", file]);
        assert!(!ok && told.contains("sign"), "{told}");
    }
}

fn every_port_is_in(lab: &Lab, proof: &serde_json::Value) {
    let ports = proof["statement"]["ports"].as_array().expect("ports");
    for (name, role, mode) in [
        ("imaps", "imap", "tls"),
        ("imap", "imap", "starttls"),
        ("pop3s", "pop3", "tls"),
        ("pop3", "pop3", "starttls"),
        ("submissions", "submission", "tls"),
        ("submission", "submission", "starttls"),
    ] {
        let number = lab.server.port(name);
        let port = ports
            .iter()
            .find(|port| port["port"] == number)
            .expect(name);
        assert_eq!((&port["role"], &port["mode"]), (&role.into(), &mode.into()));
        let outcome = |offered: &str| {
            let tried = port["tried"].as_array().expect("tries");
            let one = tried
                .iter()
                .find(|one| one["offered"].as_str().unwrap_or("").starts_with(offered));
            one.map(|one| one["outcome"].as_str().unwrap_or("").to_owned())
                .unwrap_or_default()
        };
        for old in ["TLS 1.0", "TLS 1.1"] {
            assert_eq!(
                outcome(old),
                "refused (alert protocol_version)",
                "{name} {port}"
            );
        }
        assert!(
            outcome("TLS 1.2").starts_with("accepted (TLS 1.2"),
            "{name} {port}"
        );
        assert!(
            outcome("TLS 1.3").starts_with("accepted (TLS 1.3"),
            "{name} {port}"
        );
        assert!(
            outcome("TLS 1.2 with static").starts_with("refused"),
            "{name} {port}"
        );
    }
}
