//! What the test DNS answers: finds the zone, follows aliases, proves absences. Sees no socket.

use super::Fault;
use super::zone::{Mark, Zone};
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{LowerName, RData, RecordType};
use std::collections::{BTreeMap, HashMap};

/// Aliases followed for one question.
const ALIASES_MAX: usize = 8;
/// What we say we take over UDP (RFC 9715).
const UDP_BYTES_MAX: u16 = 1232;

/// Everything the server knows.
pub(super) struct World {
    pub(super) zones: BTreeMap<LowerName, Zone>,
    pub(super) faults: HashMap<(LowerName, Option<RecordType>), Fault>,
    pub(super) questions: HashMap<(LowerName, RecordType), usize>,
    pub(super) ttl: u32,
}

impl World {
    /// The zone that answers for `name`: the deepest one, but a DS is the parent's (RFC 4035 §3.1.4.1).
    fn zone(&self, name: &LowerName, kind: RecordType) -> Option<&Zone> {
        let mut origin = name.clone();
        if kind == RecordType::DS && !origin.is_root() {
            origin = origin.base_name();
        }
        loop {
            if let Some(zone) = self.zones.get(&origin) {
                return Some(zone);
            }
            if origin.is_root() {
                return None;
            }
            origin = origin.base_name();
        }
    }

    pub(super) fn zone_mut(&mut self, name: &LowerName) -> &mut Zone {
        let origin = self
            .zone(name, RecordType::A)
            .map(|zone| zone.origin.clone())
            .expect("the root is always there");
        self.zones.get_mut(&origin).expect("it was found")
    }

    /// The fault set for this question.
    pub(super) fn fault(&self, query: &Query) -> Option<Fault> {
        let name = LowerName::new(query.name());
        let fault = |kind| self.faults.get(&(name.clone(), kind)).copied();
        fault(Some(query.query_type())).or_else(|| fault(None))
    }

    fn mark(&self, name: &LowerName, kind: RecordType) -> Mark {
        let fault = |kind| self.faults.get(&(name.clone(), kind));
        match fault(Some(kind)).or_else(|| fault(None)) {
            Some(Fault::BrokenSignature) => Mark::Broken,
            Some(Fault::ExpiredSignature) => Mark::Expired,
            Some(Fault::NoSignature) => Mark::Absent,
            _ => Mark::Good,
        }
    }

    /// The answer to one question.
    pub(super) fn answer(&mut self, request: &Message) -> Message {
        let mut reply = Message::response(request.metadata.id, OpCode::Query);
        reply.metadata.message_type = MessageType::Response;
        reply.metadata.recursion_desired = request.metadata.recursion_desired;
        reply.metadata.checking_disabled = request.metadata.checking_disabled;
        reply.metadata.recursion_available = true;
        // A lie more often than not: who believes it instead of the signatures fails the tests.
        reply.metadata.authentic_data = true;
        let signed = request
            .edns
            .as_ref()
            .is_some_and(|edns| edns.flags().dnssec_ok);
        if request.edns.is_some() {
            let mut edns = Edns::new();
            edns.set_max_payload(UDP_BYTES_MAX).set_dnssec_ok(signed);
            reply.set_edns(edns);
        }
        let Some(query) = request.queries.first() else {
            reply.metadata.response_code = ResponseCode::FormErr;
            return reply;
        };
        reply.add_query(query.clone());
        let name = LowerName::new(query.name());
        let key = (name.clone(), query.query_type());
        *self.questions.entry(key).or_default() += 1;
        match self.fault(query) {
            Some(Fault::ServFail) => reply.metadata.response_code = ResponseCode::ServFail,
            Some(Fault::Refused) => reply.metadata.response_code = ResponseCode::Refused,
            _ => self.resolve(name, query.query_type(), &mut reply),
        }
        reply.maybe_strip_dnssec_records(signed)
    }

    fn resolve(&self, mut name: LowerName, kind: RecordType, reply: &mut Message) {
        for _ in 0..ALIASES_MAX {
            let Some(zone) = self.zone(&name, kind) else {
                reply.metadata.response_code = ResponseCode::Refused;
                return;
            };
            if let Some(data) = zone.records(&name, kind) {
                let mark = self.mark(&name, kind);
                reply.add_answers(zone.set(&name, data, self.ttl, mark));
                return;
            }
            match zone.records(&name, RecordType::CNAME) {
                Some(data) => {
                    let mark = self.mark(&name, RecordType::CNAME);
                    reply.add_answers(zone.set(&name, data, self.ttl, mark));
                    let [RData::CNAME(target), ..] = data else {
                        return;
                    };
                    name = LowerName::new(&target.0);
                }
                None => {
                    self.deny(zone, &name, kind, reply);
                    return;
                }
            }
        }
        reply.metadata.response_code = ResponseCode::ServFail;
    }

    /// Says, and proves where the zone is signed, that there is no such record.
    fn deny(&self, zone: &Zone, name: &LowerName, kind: RecordType, reply: &mut Message) {
        reply.add_authorities(zone.soa(self.ttl));
        let mark = self.mark(name, kind);
        if mark == Mark::Absent {
            reply.authorities.retain(|r| !r.record_type().is_dnssec());
        }
        let mut proofs = Vec::new();
        if !zone.exists(name) {
            reply.metadata.response_code = ResponseCode::NXDomain;
            proofs.push(zone.wildcard_for(name));
        }
        proofs.push(name.clone());
        for proof in proofs {
            let mut proof = zone.nsec(&proof, self.ttl);
            match mark {
                Mark::Good => {}
                Mark::Absent => proof.clear(),
                // A proof whose signature is missing proves nothing.
                Mark::Broken | Mark::Expired => proof.truncate(1),
            }
            // Both absences may lie in one gap.
            if !proof
                .iter()
                .any(|new| new.record_type() == RecordType::NSEC && reply.authorities.contains(new))
            {
                reply.add_authorities(proof);
            }
        }
    }
}
