//! Who answers for mail in the name of a hosted domain: what counts as a proof, what a stranger can do to get one, and
//! what is not known while the DNS is away.

use crate::{Desk, open};
use directory::DomainName;
use formats::address::Address;
use platform::spool::Spool;
use signing::keyring::{Begin, NewKeys};
use signing::{Claimed, Evidence, Proof, ReceivedFrom, Signing};

const MAIL: &[u8] = b"From: Anna <anna@firma.test>\r\nSubject: x\r\n\r\nhello\r\n";

fn received(mail_from: &str, forwarded_by: &str) -> ReceivedFrom {
    ReceivedFrom {
        client: "192.0.2.1".parse().unwrap(),
        hello: "mx.far.test".to_owned(),
        mail_from: Some(Address::parse(mail_from).unwrap()),
        forwarded_by: forwarded_by.to_owned(),
    }
}

/// What a message from `mail_from` proves for firma.test.
async fn look(desk: &Desk, message: &[u8], mail_from: &str, sealers: &[&str]) -> Evidence {
    let spool = desk.spool(message, 1 << 20);
    let sealers: Vec<_> = sealers
        .iter()
        .map(|name| DomainName::parse(name).unwrap())
        .collect();
    let claimed = Claimed {
        message: &spool,
        original_header: None,
        received: &received(mail_from, ""),
        authors: &[DomainName::parse("firma.test").unwrap()],
        sealers: &sealers,
    };
    desk.signing.evidence(&claimed).await.unwrap()
}

async fn proof(desk: &Desk, message: &[u8], mail_from: &str, sealers: &[&str]) -> Proof {
    look(desk, message, mail_from, sealers)
        .await
        .proofs
        .remove(0)
}

fn in_front(fields: Vec<u8>, message: &[u8]) -> Vec<u8> {
    [fields, message.to_vec()].concat()
}

/// A server that has nothing to do with ours, with keys of its own in the same DNS.
async fn stranger(desk: &Desk, domain: &str) -> Signing {
    let path = desk.dir.path().join(domain);
    let signing = open(&path, 8, &desk.dns, &desk.clock).await.unwrap();
    let new = NewKeys {
        begin: Begin::Now,
        ..NewKeys::default()
    };
    for key in signing.keyring().add(domain, new).await.unwrap() {
        desk.dns
            .add_txt(&key.record().name(), &key.record().value());
    }
    signing
}

async fn sealed(by: &Signing, spool: Spool, received: &ReceivedFrom, message: &[u8]) -> Vec<u8> {
    in_front(by.seal(&spool, 0, received).await.unwrap(), message)
}

#[tokio::test]
async fn signatures_and_spf_of_the_domain_are_proofs() {
    let desk = Desk::new(&["firma.test", "other.test"]).await;
    desk.dns.add_txt("firma.test", "v=spf1 ip4:192.0.2.1 -all");
    assert_eq!(proof(&desk, MAIL, "x@far.test", &[]).await, Proof::Nobody);
    assert_eq!(proof(&desk, MAIL, "x@firma.test", &[]).await, Proof::Spf);
    let sign = async |domain: &str| {
        let spool = desk.spool(MAIL, 1 << 20);
        let fields = desk.signing.sign(&spool, 0, Some(domain), domain).await;
        in_front(fields.unwrap(), MAIL)
    };
    let own = sign("firma.test").await;
    assert_eq!(proof(&desk, &own, "x@far.test", &[]).await, Proof::Dkim);
    let found = look(&desk, &sign("other.test").await, "x@far.test", &[]).await;
    assert_eq!((&found.proofs[0], found.vouched), (&Proof::Nobody, true));
    // The signature covers one From; a reader may be shown the other.
    let twice = in_front(b"From: Chef <chef@firma.test>\r\n".to_vec(), &own);
    assert_eq!(proof(&desk, &twice, "x@far.test", &[]).await, Proof::Nobody);
    let field = look(&desk, &own, "x@far.test", &[])
        .await
        .field("mx.rp.test");
    assert!(
        field.starts_with("Authentication-Results: mx.rp.test;\r\n\tspf=none"),
        "{field}"
    );
    assert!(
        field.contains("dkim=pass\r\n\t header.d=firma.test"),
        "{field}"
    );
}

#[tokio::test]
async fn a_chain_is_worth_what_its_newest_seals_are_worth() {
    let desk = Desk::new(&["alias.test"]).await;
    desk.dns.add_txt("firma.test", "v=spf1 ip4:192.0.2.1 -all");
    // We saw it proved, sealed it for an alias, and it comes back.
    let spool = desk.spool(MAIL, 1 << 20);
    let ours = sealed(
        &desk.signing,
        spool,
        &received("anna@firma.test", "alias.test"),
        MAIL,
    )
    .await;
    let back = proof(&desk, &ours, "x@far.test", &[]).await;
    assert_eq!(back, Proof::Sealed("alias.test".into()));
    let changed = String::from_utf8(ours.clone())
        .unwrap()
        .replace("hello", "hallo");
    assert_eq!(
        proof(&desk, changed.as_bytes(), "x@far.test", &[]).await,
        Proof::Nobody
    );
    // A stranger seals after us: our set is still first, and the chain holds.
    let evil = stranger(&desk, "list.test").await;
    let spool = desk.spool(&ours, 1 << 20);
    let passed_on = sealed(&evil, spool, &received("x@far.test", "list.test"), &ours).await;
    let found = look(&desk, &passed_on, "x@far.test", &[]).await;
    assert_eq!((&found.proofs[0], found.vouched), (&Proof::Nobody, true));
    let believed = proof(&desk, &passed_on, "x@far.test", &["list.test"]).await;
    assert_eq!(believed, Proof::Sealed("alias.test".into()));
    // Who has a hosted domain's DNS and other keys is not us.
    let guest = stranger(&desk, "guest.test").await;
    let spool = desk.spool(MAIL, 1 << 20);
    let lie = sealed(
        &guest,
        spool,
        &received("anna@firma.test", "guest.test"),
        MAIL,
    )
    .await;
    assert_eq!(proof(&desk, &lie, "x@far.test", &[]).await, Proof::Nobody);
}

#[tokio::test]
async fn only_names_of_the_domain_leave_it_open_while_the_dns_is_away() {
    let desk = Desk::new(&["firma.test", "other.test"]).await;
    let sign = async |domain: &str| {
        let spool = desk.spool(MAIL, 1 << 20);
        let fields = desk.signing.sign(&spool, 0, Some(domain), domain).await;
        in_front(fields.unwrap(), MAIL)
    };
    let (own, other) = (sign("firma.test").await, sign("other.test").await);
    for (name, _) in desk.records().await {
        desk.dns.fail(&name, "SERVFAIL");
    }
    assert_eq!(proof(&desk, &own, "x@far.test", &[]).await, Proof::Unknown);
    assert_eq!(proof(&desk, &other, "x@far.test", &[]).await, Proof::Nobody);
    desk.dns
        .fail("far.test", "SERVFAIL")
        .fail("firma.test", "SERVFAIL");
    assert_eq!(proof(&desk, MAIL, "x@far.test", &[]).await, Proof::Nobody);
    assert_eq!(
        proof(&desk, MAIL, "x@firma.test", &[]).await,
        Proof::Unknown
    );
}
