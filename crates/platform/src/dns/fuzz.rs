//! For fuzz targets: whatever a DNS server may answer, through everything that reads it without asking further.
//! Nobody else calls it.

use super::anchors::Anchors;
use super::ask::Reply;
use super::denial::{Denial, Evidence};
use super::effort::Work;
use super::signed::{self, Expected, RecordSet};
use super::{dname, proofs};
use hickory_proto::dnssec::rdata::{DNSSECRData, NSEC, NSEC3};
use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RData, Record, RecordType};

/// When signatures are judged; any time does.
const NOW: u32 = 1_795_000_000;

/// Reads `bytes` as a message and judges each set in it with the keys in it.
///
/// # Panics
/// Where an alias leads to a name that none is, or a name is both there and not.
pub fn answer(bytes: &[u8]) {
    let Ok(message) = Message::from_vec(bytes) else {
        return;
    };
    let reply = Reply {
        answers: message.answers,
        authorities: message.authorities,
        no_such_name: false,
    };
    let names: Vec<Name> = message
        .queries
        .iter()
        .map(|query| query.name().clone())
        .chain(reply.answers.iter().map(|record| record.name.clone()))
        .take(8)
        .collect();
    for name in &names {
        if let Some(found) = dname::above(&reply.answers, name) {
            assert!(found.set.name.zone_of(name) && found.set.name != name);
            assert!(found.target.is_none_or(|target| target.len() <= 255));
        }
        signatures(&reply, name);
        denials(&reply.authorities, name);
    }
}

fn signatures(reply: &Reply, name: &Name) {
    let work = Work::at(NOW);
    let keys: Vec<_> = reply
        .answers
        .iter()
        .filter_map(|record| signed::dnskey(record).cloned())
        .collect();
    let ds = reply.answers.iter().filter_map(signed::ds).cloned();
    let expected = Expected {
        ds: ds.collect(),
        keys: Vec::new(),
    };
    let _supported = expected.is_supported();
    for kind in [RecordType::MX, RecordType::TLSA, RecordType::DNSKEY] {
        let Some(set) = RecordSet::of(&reply.answers, name, kind) else {
            continue;
        };
        let _keys = expected.zone_keys(&set, &work).is_ok();
        for signature in &set.signatures {
            let zone = signature.input().signer_name.to_lowercase();
            let _signed = signed::verify(&set, signature, &zone, &keys, &work).is_ok();
            let _proofs = proofs::collect(&work, reply, &zone, &keys).is_ok();
        }
    }
    if let Some(anchor) = Anchors::root().above(name) {
        let _signers = proofs::signers(reply, name, RecordType::MX, anchor);
    }
}

/// As if all were signed by each zone above the name.
fn denials(records: &[Record], name: &Name) {
    let mut nsec: Vec<(&Name, &NSEC)> = Vec::new();
    let mut nsec3: Vec<(&Name, &NSEC3)> = Vec::new();
    for record in records {
        match &record.data {
            RData::DNSSEC(DNSSECRData::NSEC(data)) => nsec.push((&record.name, data)),
            RData::DNSSEC(DNSSECRData::NSEC3(data)) => nsec3.push((&record.name, data)),
            _ => {}
        }
    }
    for labels in 0..=name.iter().len().min(4) {
        let zone = name.trim_to(labels);
        for evidence in [Evidence::Nsec(nsec.clone()), Evidence::Nsec3(nsec3.clone())] {
            let found = evidence.about(&zone, name, RecordType::MX);
            if let (Evidence::Nsec(records), Some(Denial::NxDomain)) = (&evidence, found) {
                let there = records.iter().take(16).any(|(owner, _)| *owner == name);
                assert!(!there, "{name} is there and is not");
            }
            let _stands = evidence.allows_wildcard(&zone, name, labels as u8);
        }
    }
}
