//! A DNS of its own for tests: one server with root, `test.` and the zones a test adds, signed,
//! unsigned or broken, whose records change while it runs. It answers like a resolver (aliases are
//! followed, recursion is offered) and like an authoritative server (signatures, NSEC, DS at the
//! parent), so that a validator can be pointed at it. Names outside its zones do not exist.
//!
//! It sets the AD bit on everything, lies included. The codec and the arithmetic are hickory's; the
//! zones are our own, because a library server does not break a single signature on demand.

mod answer;
mod serve;
mod zone;

pub use hickory_proto::rr::RecordType;
pub use zone::Signing;

use answer::World;
use hickory_proto::dnssec::PublicKey;
use hickory_proto::rr::rdata::tlsa::{CertUsage, Matching, Selector};
use hickory_proto::rr::rdata::{CNAME, MX, PTR, TLSA, TXT};
use hickory_proto::rr::{LowerName, Name, RData};
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use zone::Zone;

/// Seconds an answer may be kept where the test says nothing else: not at all, because tests change
/// records.
const TTL_DEFAULT: u32 = 0;
/// The longest part of a TXT record (RFC 1035 §3.3).
const TXT_PART_BYTES_MAX: usize = 255;

/// Something wrong with the answers for one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The server says SERVFAIL.
    ServFail,
    /// The server says REFUSED.
    Refused,
    /// No answer comes.
    Silence,
    /// The signature does not fit the records (or the proof of their absence).
    BrokenSignature,
    /// The signature has expired (or that of the proof of absence).
    ExpiredSignature,
    /// Records of a signed zone come without signature (absence without proof).
    NoSignature,
}

/// A running server; it stops with its handle.
pub struct Dns {
    world: Arc<Mutex<World>>,
    sockets: serve::Sockets,
}

fn name(text: &str) -> Name {
    let mut name = Name::from_ascii(text).expect("a domain name");
    name.set_fqdn(true);
    name
}

fn lower(text: &str) -> LowerName {
    LowerName::new(&name(text))
}

impl Default for Dns {
    fn default() -> Self {
        Self::start()
    }
}

impl Dns {
    /// Starts one with a signed root and a signed `test.`, on a free port of 127.0.0.1.
    pub fn start() -> Self {
        let root = LowerName::new(&Name::root());
        let zones = BTreeMap::from([(root.clone(), Zone::new(root, Signing::Signed))]);
        let world = Arc::new(Mutex::new(World {
            zones,
            faults: HashMap::new(),
            questions: HashMap::new(),
            ttl: TTL_DEFAULT,
        }));
        let sockets = serve::start(&world);
        let dns = Self { world, sockets };
        dns.zone("test", Signing::Signed);
        dns.address("ns.test", dns.sockets.address.ip());
        dns
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where it answers, UDP and TCP.
    pub fn socket_address(&self) -> SocketAddr {
        self.sockets.address
    }

    /// Seconds that answers given from now on may be kept.
    pub fn ttl(&self, seconds: u32) {
        self.world().ttl = seconds;
    }

    /// Makes a zone and its delegation in the zone above. One that is there is made anew, empty.
    pub fn zone(&self, origin: &str, signing: Signing) {
        let mut world = self.world();
        let origin = lower(origin);
        let zone = Zone::new(origin.clone(), signing);
        world.zones.remove(&origin);
        world.zone_mut(&origin).delegate(&zone);
        world.zones.insert(origin, zone);
    }

    fn add(&self, owner: &str, data: RData) {
        let owner = lower(owner);
        self.world().zone_mut(&owner).add(&owner, data);
    }

    /// Adds an A or AAAA record.
    pub fn address(&self, host: &str, address: IpAddr) {
        self.add(host, address.into());
    }

    /// Adds an MX record; the host "." makes a null MX (RFC 7505).
    pub fn mx(&self, domain: &str, preference: u16, host: &str) {
        self.add(domain, RData::MX(MX::new(preference, name(host))));
    }

    /// Adds a TLSA record; `owner` such as `_25._tcp.mx.example.test`.
    pub fn tlsa(&self, owner: &str, usage: u8, selector: u8, matching: u8, data: &[u8]) {
        let (usage, selector) = (CertUsage::from(usage), Selector::from(selector));
        let tlsa = TLSA::new(usage, selector, Matching::from(matching), data.to_vec());
        self.add(owner, RData::TLSA(tlsa));
    }

    /// Adds a TXT record, in parts of 255 bytes.
    pub fn txt(&self, owner: &str, text: &str) {
        let parts = text.as_bytes().chunks(TXT_PART_BYTES_MAX).collect();
        self.add(owner, RData::TXT(TXT::from_bytes(parts)));
    }

    /// Adds a CNAME record.
    pub fn cname(&self, owner: &str, target: &str) {
        self.add(owner, RData::CNAME(CNAME(name(target))));
    }

    /// Adds the PTR record of an address.
    pub fn ptr(&self, address: IpAddr, host: &str) {
        let owner = Name::from(address).to_ascii();
        self.add(&owner, RData::PTR(PTR(name(host))));
    }

    /// Removes the records of one type, or all records of a name.
    pub fn remove(&self, owner: &str, kind: Option<RecordType>) {
        let owner = lower(owner);
        self.world().zone_mut(&owner).remove(&owner, kind);
    }

    /// Makes answers for a name go wrong, those of one type or all.
    pub fn fault(&self, owner: &str, kind: Option<RecordType>, fault: Fault) {
        self.world().faults.insert((lower(owner), kind), fault);
    }

    /// Ends all faults of a name.
    pub fn heal(&self, owner: &str) {
        let owner = lower(owner);
        self.world().faults.retain(|(name, _), _| *name != owner);
    }

    /// How often this was asked.
    pub fn questions(&self, owner: &str, kind: RecordType) -> usize {
        let key = (lower(owner), kind);
        self.world().questions.get(&key).copied().unwrap_or(0)
    }

    /// The root's key as a line for `dns.trust_anchor_file`.
    pub fn trust_anchor(&self) -> String {
        let mut world = self.world();
        let key = world.zone_mut(&lower(".")).dnskey().clone();
        let public = key.public_key();
        let algorithm = u8::from(public.algorithm());
        let bytes = base64(public.public_bytes());
        format!(". 3600 IN DNSKEY {} 3 {algorithm} {bytes}\n", key.flags())
    }

    /// The same as a DS line.
    pub fn trust_anchor_ds(&self) -> String {
        let ds = self.world().zone_mut(&lower(".")).ds();
        let digest: String = ds.digest().iter().map(|b| format!("{b:02X}")).collect();
        let (algorithm, kind) = (u8::from(ds.algorithm()), u8::from(ds.digest_type()));
        format!(
            ". 3600 IN DS {} {algorithm} {kind} {digest}\n",
            ds.key_tag()
        )
    }

    /// Writes the trust anchor to a file.
    pub fn write_trust_anchor(&self, path: &Path) {
        std::fs::write(path, self.trust_anchor()).expect("a trust anchor file");
    }
}

fn base64(bytes: &[u8]) -> String {
    crate::lines::base64(bytes)
}
